"""The peers: a partition of all addresses such that every question that a rule asks about an address has one answer each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..control.policing import AddressSet, Identified, SideMatch
from ..errors import CompileError
from ..parts import Parts
from ..quantities import Prefix
from . import _loops, lpm
from .columns import column, constant_runs, distinct_rows, expanded, ranges

MOST_CELLS = 1 << 26                  # of 32 bits: atoms of all peers, steps of all tiers
_BLOCK = 1 << 24                      # cells that are worked on at once


class Peers:
    """The partition of all addresses by what the atoms say: ``table`` (16-10-6, address → peer), ``atoms`` (peer → bits)."""

    def __init__(
        self, parts: Parts, sets: Sequence[AddressSet], identities: int, asked: Sequence[SideMatch], known: Identified,
    ) -> None:
        """``identities``: how many there are; ``asked`` are the atoms."""
        self._sets, self._identities = sets, identities
        nets = sorted({net for atom in asked for net in self._nets(atom)})
        intervals = lpm.Intervals(nets)
        # pairs of an identity (0: nobody) and a net: of all that there may be those that there are
        alone, alike = _split(parts.of("ranges", ranges, known.addresses), known.identities, intervals)
        found = [alone.pairs, *(some.pairs for some in alike), intervals.matches + 1]
        pairs, number = _which(np.concatenate(found), (identities + 1) * (len(nets) + 1))
        self._who, self._match = np.divmod(pairs, len(nets) + 1)
        used, first = np.unique(intervals.matches + 1, return_index=True)
        self._samples = np.full(len(nets) + 1, -1, np.int64)       # an address of each match that there is
        self._samples[used] = intervals.starts[first]
        self._known: dict[int, np.ndarray] = {}
        rows, of_pair = self._rows(asked)
        self.atoms = np.concatenate([np.zeros((1, rows.shape[1]), np.uint32), rows])
        peers = (of_pair + 1)[number]
        own, *each, around = np.split(peers, np.cumsum(list(map(len, found)))[:-1])
        stretches = [
            np.column_stack([alone.addresses, np.ones(len(own), np.int64), own]),
            *(_stretches(some.addresses, of_some) for some, of_some in zip(alike, each, strict=True))]
        self.table = lpm.build(*_changes(np.concatenate(stretches), intervals, around))

    def _nets(self, atom: SideMatch) -> Iterator[Prefix]:
        yield from atom.nets
        yield from atom.not_nets
        for number in (*atom.sets, *atom.not_sets):
            yield from self._sets[number - 1].nets

    def _rows(self, asked: Sequence[SideMatch]) -> tuple[np.ndarray, np.ndarray]:
        """The different rows of bits, one an atom, and which of them each pair of identity and match has."""
        words = -(-len(asked) // 32)
        if len(self._who) * words > MOST_CELLS:
            raise CompileError(
                f"{len(asked):,} different questions of rules about {len(self._who):,} kinds of pods do not fit the table of "
                f"policy ({MOST_CELLS:,} cells): select pods by fewer different labels")
        by_atom = np.zeros((words * 32, -(-len(self._who) // 8)), np.uint8)
        for number, atom in enumerate(asked):
            by_atom[number] = np.packbits(self._truth(atom), bitorder="little")
        rows = np.empty((len(self._who), words), np.uint32)
        step = max(8, _BLOCK // len(by_atom) // 8 * 8)
        for start in range(0, len(rows), step):
            block = np.unpackbits(by_atom[:, start // 8:(start + step) // 8], axis=1, bitorder="little")[:, :len(rows) - start]
            rows[start:start + step] = np.ascontiguousarray(np.packbits(block.T, axis=1, bitorder="little")).view("<u4")
        return distinct_rows(rows)

    def _truth(self, atom: SideMatch) -> np.ndarray:
        """What each pair answers."""
        said = np.ones(len(self._who), bool)
        if atom.nets:
            said &= self._inside(atom.nets)
        if atom.not_nets:
            said &= ~self._inside(atom.not_nets)
        for number in atom.sets:
            said &= self._holds(number)
        for number in atom.not_sets:
            said &= ~self._holds(number)
        return said

    def _inside(self, nets: Iterable[Prefix]) -> np.ndarray:
        found: np.ndarray = (lpm.Intervals(list(nets)).match(self._samples) >= 0)[self._match]
        return found

    def _holds(self, number: int) -> np.ndarray:
        if number not in self._known:
            found = self._sets[number - 1]
            members = np.zeros(self._identities + 1, bool)
            members[list(found.identities)] = True
            said = members[self._who]
            self._known[number] = said | self._inside(found.nets) if found.nets else said
        return self._known[number]


class _Pairs(NamedTuple):
    """Addresses with the pair of each, or first addresses of runs with the pairs that each of these runs has."""

    addresses: np.ndarray
    pairs: np.ndarray


def _split(rows: np.ndarray, identities: Sequence[int], intervals: lpm.Intervals) -> tuple[_Pairs, list[_Pairs]]:
    """The pairs of single addresses, and of ranges that are alike, as those of pods of the same groups are."""
    nets = len(intervals.parents) + 1
    edges, values = constant_runs(identities)
    first, last = (np.searchsorted(intervals.starts, rows[:, 0] + more, "right") - 1 for more in (0, rows[:, 1] - 1))
    whole = (first == last) & (rows[:, 1] > 1)
    singly, rows, matches = [rows[~whole]], rows[whole], intervals.matches[first[whole]]
    alike = []
    kinds = rows[:, 1] << 32 | rows[:, 3]
    for kind in lpm.distinct(kinds).tolist():
        some = np.flatnonzero(kinds == kind)
        inside, positions = np.arange(kind >> 32) * (kind & 0xFFFFFFFF), rows[some, 2]
        least, most = (np.searchsorted(edges, end + inside, "right") - 1 for end in (positions.min(), positions.max()))
        if (least != most).any():                  # what lies between two positions of one run is in it, too
            singly.append(rows[some])
            continue
        for match in lpm.distinct(matches[some]).tolist():
            alike.append(_Pairs(rows[some[matches[some] == match], 0], values[least] * nets + match + 1))
    addresses, positions = expanded(np.concatenate(singly))
    if not len(addresses):
        return _Pairs(addresses, positions), alike
    return _Pairs(addresses, column(identities)[positions].astype(np.int64) * nets + intervals.match(addresses) + 1), alike


def _stretches(addresses: np.ndarray, peers: np.ndarray) -> np.ndarray:
    """Rows of first address, size and peer: ``peers`` of the addresses that follow each of the ``addresses``."""
    edges = np.flatnonzero(np.append(True, peers[1:] != peers[:-1]))
    rows = np.empty((len(addresses), len(edges), 3), np.int64)
    rows[:, :, 0], rows[:, :, 1], rows[:, :, 2] = addresses[:, None] + edges, np.diff(edges, append=len(peers)), peers[edges]
    return rows.reshape(-1, 3)


def _which(values: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The different values, ascending, and of each value which it is; all are below the limit."""
    if limit > _BLOCK:
        return lpm.numbered(values)
    there = np.zeros(limit, bool)
    there[values] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[values]


def _changes(stretches: np.ndarray, intervals: lpm.Intervals, around: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the peer changes and to which: that of each stretch, none of which spans two intervals, ``around`` them those of the
    intervals."""
    addresses, sizes, peers = stretches[lpm.ascending(stretches[:, 0])].T
    starts, values = np.empty((2, len(intervals.starts) + 2 * len(addresses)), np.int64)
    count = _loops.overlay(intervals.starts, around, addresses, sizes, peers, starts, values)
    return starts[:count], values[:count]
