"""The endpoints of an Intent as columns: what the compiler asks of all of them at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np

from ..control.endpoints import PodEndpoints
from ..control.intent import Endpoint
from ..lines import room
from ..parts import Parts
from ..sequences import Joined, Turns, runs
from ..vocabulary import ENDPOINT, EndpointKind
from . import _loops


class Columns:
    """What is asked of all endpoints at once, by id; those of the pods are not written out before their records are.

    ``claims``: who has which address, as rows of :func:`ranges` and the router of which all pods of the range are, 0 where
    they are no pods. ``hosts``: rows of id and address.
    """

    def __init__(self, parts: Parts, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = endpoints
        placed = list(zip(accumulate(map(len, runs(endpoints)), initial=1), runs(endpoints), strict=False))
        self._pods = [(first, part) for first, part in placed if isinstance(part, PodEndpoints)]
        others = [(first, part) for first, part in placed if not isinstance(part, PodEndpoints)]
        self._ids = np.concatenate([np.zeros(0, np.int64), *(np.arange(first, first + len(part)) for first, part in others)])
        self._others = np.concatenate([np.zeros((5, 0), np.uint32), *(
            rows for rows, in parts.each("columns of each", _columns, [part for _, part in others]))], axis=1)
        kinds, addresses, routers, *_ = self._others
        self.hosts = np.column_stack([self._ids, addresses])[(kinds == EndpointKind.HOST) & (addresses != 0)]
        own = np.column_stack([singles(addresses, self._ids), np.where(kinds == EndpointKind.POD, routers, 0)])
        self.claims = np.concatenate([own[addresses != 0], *(
            _of_one_router(parts.of("ranges", ranges, pods.addresses), Turning.of(pods.routers)) + (0, 0, first, 0, 0)
            for first, pods in self._pods)])

    def records(self, edges: np.ndarray, ingress: np.ndarray, egress: np.ndarray) -> np.ndarray:
        """ENDPOINT records, in no subnet. From one of the ``edges`` to the next one the same programs police all."""
        table = room(len(self.endpoints) + 1, ENDPOINT)
        table[0] = np.zeros((), ENDPOINT)
        for first, pods in self._pods:
            _loops.tell(
                table[first:first + len(pods)], EndpointKind.POD, pods.first_object, *Turning.of(pods.addresses),
                *Turning.of(pods.routers), *Turning.of(pods.mtus), edges - (first - 1), ingress, egress)
        policed = np.searchsorted(edges, self._ids - 1, "right") - 1
        for name, column in zip(
                ("kind", "address", "router", "mtu", "detail", "subnet", "ingress", "egress"),
                (*self._others, 0, ingress[policed], egress[policed]), strict=True):
            table[name][self._ids] = column
        return table


class Turning(NamedTuple):
    """:class:`~calisim.sequences.Turns` one after the other: of each where it begins, how many ``numbers`` take turns, what is
    added each time, and where in ``numbers`` they stand; any other sequence is a single turn."""

    pieces: np.ndarray
    numbers: np.ndarray

    @staticmethod
    def of(sequence: Sequence[int]) -> Turning:
        turns = [part if isinstance(part, Turns) else Turns(array("q", part), len(part)) for part in runs(sequence)]
        starts, places = (accumulate(map(len, some), initial=0) for some in (turns, [one.first for one in turns]))
        rows = [(start, len(one.first), one.step, place) for start, one, place in zip(starts, turns, places, strict=False)]
        return Turning(
            np.array(rows, np.int64).reshape(-1, 4), np.concatenate([np.zeros(0, np.int64), *(one.first for one in turns)]))

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The numbers at these positions, and in which pieces they are."""
        which = np.searchsorted(self.pieces[:, 0], positions, "right") - 1
        start, many, step, place = self.pieces[which].T
        turn, ahead = np.divmod(positions - start, many)
        return self.numbers[place + ahead] + step * turn, which


def _columns(part: Sequence[Endpoint]) -> Arrays:
    rows = [(one.kind, one.address, one.router, one.mtu, one.decided_by) for one in part]
    return Arrays((np.array(rows, np.uint32).reshape(-1, 5).T,))


def _of_one_router(rows: np.ndarray, routers: Turning) -> np.ndarray:
    """Ranges with their routers; where these may take turns within a range, in pieces."""
    _, counts, first, steps = rows.T
    (own, at_first), (_, at_last) = routers.at(first), routers.at(first + (counts - 1) * steps)
    one = (counts == 1) | (at_first == at_last) & (steps % routers.pieces[at_first, 1] == 0) & (routers.pieces[at_first, 2] == 0)
    alone = apart(rows[~one])
    return np.concatenate([
        np.column_stack([rows[one], own[one]]), np.column_stack([alone, routers.at(alone[:, 2])[0]])])


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
    address, count, position, step = rows[:, :4].T
    if (count[1:] == count[:-1]).all():
        inside = np.arange(count[0] if len(count) else 0)
        return (address[:, None] + inside).ravel(), (position[:, None] + step[:, None] * inside).ravel()
    inside = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(address, count) + inside, np.repeat(position, count) + np.repeat(step, count) * inside


def apart(rows: np.ndarray) -> np.ndarray:
    """Ranges of one, of whose columns those after the first four stay."""
    return np.column_stack([singles(*expanded(rows)), np.repeat(rows[:, 4:], rows[:, 1], axis=0)])


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
    if isinstance(written, Mapping):
        return np.column_stack([np.fromiter(column, np.int64, len(written)) for column in (written.keys(), written.values())])
    return np.fromiter(chain.from_iterable(chain.from_iterable(written)), np.int64).reshape(-1, 2)
