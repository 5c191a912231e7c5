"""The endpoints of an Intent as columns: what the compiler asks of all of them at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import numpy as np

from ..control.endpoints import PodEndpoints
from ..control.intent import Endpoint
from ..parts import Parts
from ..sequences import Joined, Turns, runs
from ..vocabulary import EndpointKind


class Columns:
    """Kinds, addresses … of the endpoints, in their order, which is that of their ids."""

    def __init__(self, parts: Parts, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = endpoints
        columns = parts.each("columns of each", _columns, runs(endpoints)) or [_columns(())]
        self.kinds, self.addresses, self.routers, self.mtus, self.deciders = (
            np.concatenate(column) for column in zip(*columns, strict=True))

    def __len__(self) -> int:
        return len(self.kinds)


def _columns(part: Sequence[Endpoint]) -> Arrays:
    if not isinstance(part, PodEndpoints):
        rows = [(one.kind, one.address, one.router, one.mtu, one.decided_by) for one in part]
        kinds, *columns = np.array(rows, np.uint32).reshape(-1, 5).T
        return Arrays((kinds.astype(np.uint8), *columns))
    return Arrays((
        np.full(len(part), EndpointKind.POD, np.uint8), column(part.addresses), column(part.routers), column(part.mtus),
        np.arange(part.deciders.start, part.deciders.stop, dtype=np.uint32)))


def column(numbers: Sequence[int]) -> np.ndarray:
    """The numbers, none above 32 bits, as an array."""
    if isinstance(numbers, Joined):
        return np.concatenate([np.zeros(0, np.uint32), *map(column, numbers.parts)])
    if isinstance(numbers, Turns):
        rounds = -(-len(numbers) // len(numbers.first))
        steps = np.arange(rounds, dtype=np.uint32)[:, None] * np.uint32(numbers.step)
        return (steps + np.array(numbers.first, np.uint32)).ravel()[:len(numbers)]
    return np.array(numbers if isinstance(numbers, array) else list(numbers), np.uint32)


class Arrays(tuple[np.ndarray, ...]):
    """Arrays as a value: equal where all their numbers are."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Arrays) and len(self) == len(other) and all(map(np.array_equal, self, other)))

    __hash__ = None  # type: ignore[assignment]


def pairs(written: Mapping[int, int] | Iterable[Sequence[tuple[int, int]]]) -> np.ndarray:
    """Pairs of numbers as rows."""
    flat = written.items() if isinstance(written, Mapping) else chain.from_iterable(written)
    return np.fromiter(chain.from_iterable(flat), np.int64).reshape(-1, 2)
