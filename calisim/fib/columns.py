"""The endpoints of an Intent as columns: what the compiler asks of all of them at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain

import numpy as np

from ..control.endpoints import PodEndpoints
from ..control.intent import Endpoint
from ..parts import Parts
from ..sequences import Joined, Turns, runs
from ..vocabulary import EndpointKind
from .lpm import distinct


class Columns:
    """Kinds, addresses … of the endpoints, in their order, which is that of their ids.

    ``claims``: who has which address, as rows of :func:`ranges`; the endpoints of one range are of one router.
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
                claims.append(self._of_one_router(parts.of("ranges", ranges, part.addresses) + (0, 0, first, 0)))
                alone[first - 1:first - 1 + len(part)] = False
            first += len(part)
        others = np.flatnonzero(alone & (self.addresses != 0))
        return np.concatenate([singles(self.addresses[others], others + 1), *claims])

    def _of_one_router(self, rows: np.ndarray) -> np.ndarray:
        """Ranges of pods of several routers in pieces."""
        mixed = np.zeros(len(rows), bool)
        kinds = rows[:, 1] << 32 | rows[:, 3]
        for kind in distinct(kinds[rows[:, 1] > 1]).tolist():
            some, step = np.flatnonzero(kinds == kind), kind & 0xFFFFFFFF
            ids = rows[some, 2]
            low, high = int(ids.min()), int(ids.max())
            found = np.zeros(high - low + 1, bool)
            for ahead in range(step, (kind >> 32) * step, step):
                found |= self.routers[low - 1 + ahead:high + ahead] != self.routers[low - 1:high]
            mixed[some] = found[ids - low]
        return np.concatenate([rows[~mixed], singles(*expanded(rows[mixed]))]) if mixed.any() else rows

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
    if isinstance(numbers, Turns) and len(numbers.first) == 1 and not numbers.step:
        return np.full(len(numbers), numbers.first[0], np.uint32)
    if isinstance(numbers, Turns):
        rounds = -(-len(numbers) // len(numbers.first))
        steps = np.arange(rounds, dtype=np.uint32)[:, None] * np.uint32(numbers.step)
        return (steps + np.array(numbers.first, np.uint32)).ravel()[:len(numbers)]
    return np.array(numbers if isinstance(numbers, array) else list(numbers), np.uint32)


def ranges(addresses: Sequence[int]) -> np.ndarray:
    """Addresses that follow each other and whose positions are evenly spaced, as the pods of one node often have them: rows of
    the first address, how many there are, the first one's position and the step to the next one's. 0 is no address."""
    first, found = 0, [np.zeros((0, 4), np.int64)]
    for part in runs(addresses):
        if isinstance(part, Turns) and part.step == 1:
            many = len(part.first)
            rounds, rest = divmod(len(part), many)
            at = np.arange(many)
            found.append(np.column_stack([np.array(part.first), rounds + (at < rest), at + first, np.full(many, many)]))
        else:
            found.append(singles(column(part), np.arange(first, first + len(part))))
        first += len(part)
    rows = np.concatenate(found)
    return rows[(rows[:, 0] != 0) & (rows[:, 1] != 0)]


def singles(addresses: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Addresses as ranges of one."""
    ones = np.ones(len(addresses), np.int64)
    return np.column_stack([addresses.astype(np.int64), ones, positions, ones])


def expanded(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Addresses and positions of ranges, one by one."""
    address, count, position, step = rows.T
    if (count[1:] == count[:-1]).all():
        inside = np.arange(count[0] if len(count) else 0)
        return (address[:, None] + inside).ravel(), (position[:, None] + step[:, None] * inside).ravel()
    inside = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(address, count) + inside, np.repeat(position, count) + np.repeat(step, count) * inside


def constant_runs(numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of one number begin, and which: equal ones may follow each other."""
    parts = runs(numbers)
    if all(isinstance(part, Turns) and len(part.first) == 1 and not part.step for part in parts):
        return np.array([0, *accumulate(map(len, parts))])[:-1], np.array([part[0] for part in parts], np.int64)
    whole = column(numbers)
    edges = np.flatnonzero(np.append(True, whole[1:] != whole[:-1])[:len(whole)])
    return edges, whole[edges].astype(np.int64)


def distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows, and the number of each row among them."""
    rows = np.ascontiguousarray(rows)
    whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, number = np.unique(whole, return_index=True, return_inverse=True)
    return rows[first], number


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
