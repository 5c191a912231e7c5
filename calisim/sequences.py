"""Sequences that are not written out: what they hold is made when it is asked for."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice, repeat
from typing import TypeVar, overload

T = TypeVar("T")


class Computed(Sequence[T]):
    """A sequence whose items are made by :meth:`at`; it equals every sequence of equal items."""

    __slots__ = ()

    @abstractmethod
    def at(self, position: int) -> T:
        """The item at a position that exists."""

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        places = range(len(self))[index]
        return self.at(places) if isinstance(places, int) else tuple(map(self.at, places))

    def __iter__(self) -> Iterator[T]:
        return map(self.at, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class Joined(Computed[T]):
    """Sequences one after the other; ``parts`` are those that are not empty."""

    __slots__ = ("_starts", "parts")

    def __init__(self, parts: Iterable[Sequence[T]]) -> None:
        self.parts = tuple(part for part in parts if len(part))
        self._starts = [0, *accumulate(map(len, self.parts))]

    def __len__(self) -> int:
        return self._starts[-1]

    def at(self, position: int) -> T:
        part = bisect_right(self._starts, position) - 1
        return self.parts[part][position - self._starts[part]]

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self.parts)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Joined) and self._starts == other._starts:
            return all(map(_equal, self.parts, other.parts))
        return super().__eq__(other)

    __hash__ = None


def runs(sequence: Sequence[T]) -> Sequence[Sequence[T]]:
    """What it is joined from; itself where it is one piece."""
    return sequence.parts if isinstance(sequence, Joined) else (sequence,) if len(sequence) else ()


class Turns(Computed[int]):
    """``size`` numbers: the ``first`` ones again and again, each time ``step`` more."""

    __slots__ = ("first", "size", "step")

    def __init__(self, first: array[int], size: int, step: int = 0) -> None:
        self.first, self.size, self.step = first, size, step

    def __len__(self) -> int:
        return self.size

    def at(self, position: int) -> int:
        turn, place = divmod(position, len(self.first))
        return self.first[place] + self.step * turn

    def __iter__(self) -> Iterator[int]:
        rounds = -(-self.size // len(self.first)) if self.size else 0
        more = ([number + self.step * turn for number in self.first] for turn in range(rounds)) if self.step else (
            repeat(self.first, rounds))
        return islice(chain.from_iterable(more), self.size)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Turns):
            return (self.size, self.step, self.first) == (other.size, other.step, other.first) or super().__eq__(other)
        return super().__eq__(other)

    __hash__ = None


def go_on(turns: list[Turns], first: array[int], size: int) -> None:
    """So many more, from the first one on: together with those before, if these are of the same and end with the last one."""
    if turns and turns[-1].first is first and len(turns[-1]) % len(first) == 0:
        size += len(turns.pop())
    turns.append(Turns(first, size))


def _equal(one: Sequence[object], other: Sequence[object]) -> bool:
    """Of one kind they know themselves, which is faster than item by item."""
    return one is other or (one == other if type(one) is type(other) else tuple(one) == tuple(other))
