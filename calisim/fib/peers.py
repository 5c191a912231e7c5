"""The peers: a partition of all addresses such that every question that a rule asks about an address has one answer each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..control.policing import AddressSet, Identified, SideMatch
from ..errors import CompileError
from ..parts import Parts
from ..quantities import Prefix
from . import lpm
from .columns import distinct_rows, expanded, ranges

MOST_CELLS = 1 << 26                  # of 32 bits: atoms of all peers, steps of all tiers
_BLOCK = 1 << 24                      # cells that are worked on at once


class Peers:
    """The partition of all addresses by what the atoms say: ``table`` (16-8-8, address → peer), ``atoms`` (peer → bits)."""

    def __init__(
        self, parts: Parts, sets: Sequence[AddressSet], identities: int, asked: Sequence[SideMatch], known: Identified,
    ) -> None:
        """``identities``: how many there are; ``asked`` are the atoms."""
        self._sets, self._identities = sets, identities
        nets = sorted({net for atom in asked for net in self._nets(atom)})
        intervals = lpm.Intervals(nets)
        addresses, who = _identified(parts, known)
        # pairs of an identity (0: nobody) and a net: of all that there may be those that there are
        of_address = who * (len(nets) + 1) + intervals.match_ascending(addresses) + 1
        pairs, number = _which(np.concatenate([of_address, intervals.matches + 1]), (self._identities + 1) * (len(nets) + 1))
        self._who, self._match = np.divmod(pairs, len(nets) + 1)
        used, first = np.unique(intervals.matches + 1, return_index=True)
        self._samples = np.full(len(nets) + 1, -1, np.int64)       # an address of each match that there is
        self._samples[used] = intervals.starts[first]
        self._known: dict[int, np.ndarray] = {}
        rows, of_pair = self._rows(asked)
        self.atoms = np.concatenate([np.zeros((1, rows.shape[1]), np.uint32), rows])
        peers = (of_pair + 1)[number]
        self.table = lpm.build(*_changes(addresses, peers[:len(addresses)], intervals, peers[len(addresses):]))

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


def _identified(parts: Parts, known: Identified) -> tuple[np.ndarray, np.ndarray]:
    """Addresses, ascending, and the identity of each."""
    rows = parts.of("ranges", ranges, known.addresses)
    rows = rows[np.argsort(rows[:, 0])]
    addresses, positions = expanded(rows)
    if not (rows[:-1, 0] + rows[:-1, 1] <= rows[1:, 0]).all():
        order = np.argsort(addresses, kind="stable")
        addresses, positions = addresses[order], positions[order]
    identities = np.frombuffer(known.identities, np.int64)[positions]
    if not identities.all():
        addresses, identities = addresses[identities > 0], identities[identities > 0]
    return addresses, identities


def _which(values: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The different values, ascending, and of each value which it is; all are below the limit."""
    if limit > _BLOCK:
        return lpm.numbered(values)
    there = np.zeros(limit, bool)
    there[values] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[values]


def _changes(
    addresses: np.ndarray, peers: np.ndarray, intervals: lpm.Intervals, around: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the peer changes and to which: ``peers`` of some addresses, ascending, ``around`` them those of the intervals."""
    alone = np.append(True, addresses[1:] != addresses[:-1] + 1)[:len(addresses)]
    first = np.flatnonzero(alone | np.append(True, peers[1:] != peers[:-1])[:len(addresses)])
    after = addresses[np.append(alone[1:], True)[:len(addresses)]] + 1
    gaps = lpm.distinct(np.concatenate([intervals.starts, after]))
    gaps = gaps[gaps < 1 << 32]
    if len(addresses):
        gaps = gaps[addresses[np.minimum(np.searchsorted(addresses, gaps), len(addresses) - 1)] != gaps]
    starts = np.concatenate([addresses[first], gaps])
    values = np.concatenate([peers[first], lpm.spread(intervals.starts, around, gaps)])
    order = np.argsort(starts)
    starts, values = starts[order], values[order]
    new = np.append(True, values[1:] != values[:-1])
    return starts[new], values[new]
