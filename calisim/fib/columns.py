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
    """Kinds, addresses … of the endpoints, in their order, which is that of their ids.

    ``claims``: address << 31 | id of each, in ascending runs.
    """

    def __init__(self, parts: Parts, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = endpoints
        columns = parts.each("columns of each", _columns, runs(endpoints)) or [_columns(())]
        self.kinds, self.addresses, self.routers, self.mtus, self.deciders = (
            np.concatenate(column) for column in zip(*columns, strict=True))
        self.claims = self._claims(parts)

    def _claims(self, parts: Parts) -> np.ndarray:
        first, claims, alone = 1, [], np.ones(len(self), bool)
        for part in runs(self.endpoints):
            if isinstance(part, PodEndpoints):
                addresses, positions = parts.of("ascending", ascending, part.addresses)
                claims.append(addresses.astype(np.int64) << 31 | positions + first)
                alone[first - 1:first - 1 + len(part)] = False
            first += len(part)
        others = np.flatnonzero(alone)
        return np.concatenate([*claims, self.addresses[others].astype(np.int64) << 31 | others + 1])

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


def ascending(numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The numbers in ascending order, and the position of each among them as they are given."""
    first, found = 0, [np.zeros(0, np.int64)]
    for part in runs(numbers):
        found.append((_turns_ascending(part) if isinstance(part, Turns) else _keys(part)) + first)
        first += len(part)
    keys = np.concatenate(found)
    keys.sort(kind="stable")                         # which is quick where there are few runs
    return keys >> 31, keys & (1 << 31) - 1


def _turns_ascending(turns: Turns) -> np.ndarray:
    """The keys of numbers each of whose turns is ascending if all take place before anybody's next."""
    many = len(turns.first)
    rounds, rest = divmod(len(turns), many)
    order = np.argsort(turns.first)
    first = np.array(turns.first)[order]
    if rest or not (first[:-1] + turns.step * (rounds - 1) < first[1:]).all():
        return _keys(turns)
    return ((first << 31 | order)[:, None] + np.arange(rounds) * (turns.step << 31 | many)).ravel()


def _keys(numbers: Sequence[int]) -> np.ndarray:
    keys = column(numbers).astype(np.int64) << 31 | np.arange(len(numbers))
    keys.sort()
    return keys


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
