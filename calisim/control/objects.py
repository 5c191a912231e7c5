"""The register of things that can decide a packet's fate; ids are 1-based, 0 is nobody."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Mark
from ..model.entities import NOWHERE
from ..sequences import Joined
from .intent import Object

ROOM = 1024
NOBODY = Object("", "", NOWHERE)          # what a free id stands for


class Objects:
    """Numbers objects in the order in which they are named; ``before``: how many there are that it does not have."""

    def __init__(self, before: int = 0) -> None:
        self._before: list[Sequence[Object]] = []
        self._count = before              # of those before
        self._latest: list[Object] = []

    @property
    def all(self) -> Joined[Object]:
        return Joined([*self._before, tuple(self._latest)])

    @property
    def next(self) -> int:
        """The id of whatever comes next."""
        return self._count + len(self._latest) + 1

    def add(self, kind: str, name: str, mark: Mark) -> int:
        self._latest.append(Object(kind, name, mark))
        return self.next - 1

    def leave_room(self) -> None:
        """What is named next has another id only where hundreds more are named before it."""
        self.extend((NOBODY,) * (-(self.next - 1) % ROOM))

    def extend(self, objects: Sequence[Object]) -> None:
        """Many at once; they are not copied."""
        self._count = self.next - 1 + len(objects)
        self._before += [tuple(self._latest), objects]
        self._latest = []
