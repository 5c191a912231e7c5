"""Parts of a build, each with what it was made of: a build that follows takes over those that are made of the same.

A part is what a function of values gives; it is never changed once it is made. The first build begins with no parts, so that
there is one way to build: a full build is one that finds nothing to take over.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from typing import TypeVar, cast

T = TypeVar("T")
Row = TypeVar("Row", bound=tuple[object, ...])


class Parts:
    """The parts of the latest build by name. Inputs are compared by identity first, then by value."""

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[tuple[object, ...], object]] = {}

    def of(self, name: Hashable, make: Callable[..., T], *inputs: object) -> T:
        """``make(*inputs)``, or what that was last time if it was the same question."""
        known = self._made.get(name)
        if known is not None and known[0] == inputs:
            return cast(T, known[1])
        made = make(*inputs)
        self._made[name] = inputs, made
        return made

    def each(self, name: Hashable, make: Callable[..., T], items: Sequence[object], *inputs: object) -> list[T]:
        """``make(item, *inputs)`` of every item. Where the inputs are those of last time, what is made of the items with which
        both lists begin and end is taken over: a few that join or leave cost what they are. What comes out equal to what it was
        is the object that it was, so that nothing that follows from it is made again."""
        known = self._made.get(name)
        before: Sequence[object] = ()
        made: list[T] = []
        if known is not None:
            made = cast("list[T]", known[1])
            if known[0][1:] == inputs:
                before = cast(Sequence[object], known[0][0])
        shorter = min(len(items), len(before))
        first = _alike(items, before, shorter)
        last = _alike(items[::-1], before[::-1], shorter - first)
        new = [make(item, *inputs) for item in items[first:len(items) - last]]
        settled = [
            old if old == one else one for old, one in zip_longest(made[first:first + len(new)], new)] if made else new
        made = [*made[:first], *settled, *made[len(made) - last:]]
        self._made[name] = (items, *inputs), made
        return made

    def onward(
        self, name: Hashable, make: Callable[..., Iterable[T]], items: Sequence[object], *inputs: object,
    ) -> list[T]:
        """Results one after the other, each of which depends on all before it: ``make(items, results before, *inputs)`` gives
        those of the items from the first one on that is not as it was."""
        known = self._made.get(name)
        made: list[T] = []
        if known is not None and known[0][1:] == inputs:
            before = cast(Sequence[object], known[0][0])
            made = cast("list[T]", known[1])[:_alike(items, before, min(len(items), len(before)))]
        made = [*made, *make(items[len(made):], made, *inputs)]
        self._made[name] = (items, *inputs), made
        return made

    def branch(self) -> Parts:
        """These parts for another build; what that one makes changes nothing here."""
        other = Parts()
        other._made.update(self._made)
        return other


def _alike(some: Sequence[object], others: Sequence[object], most: int) -> int:
    """With how many equal items both begin."""
    pairs = zip(range(most), some, others, strict=False)
    return next((at for at, one, other in pairs if one is not other and one != other), most)


def rows(kind: type[Row], *columns: Iterable[object]) -> Iterator[Row]:
    """Named tuples out of columns, as long as the shortest: half a million of them in a tenth of a second."""
    return map(partial(tuple.__new__, kind), zip(*columns, strict=False))


@contextmanager
def collector_paused() -> Iterator[None]:
    """Nothing that reading and building make is garbage in cycles; going through it again and again takes a third of the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
