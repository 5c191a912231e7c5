"""Longest prefix match: prefixes → disjoint intervals → a 16-10-6 multibit table.

Knows nothing of what a prefix means: it gives numbers (classes) to addresses. The table is one ``uint32`` array of places:
65,536 root cells (upper 16 bits of the address), each the place of a branch; branches of 1,024 cells (the next 10 bits), each
the class itself or, with :data:`DEEPER` set, the place of a leaf; leaves of 64 classes (the last 6). /16s that are of one
class share its branch, so that every lookup begins with the same two loads, and no jump depends on the first.
Calico cuts pools into /26s: a leaf is for what is smaller than a block.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..quantities import Prefix
from ..vocabulary.records import LPM_BITS

ROOT, BRANCH, LEAF = (1 << bits for bits in LPM_BITS)
DEEPER = 1 << 31
_WIDE, _DEEP = 32 - LPM_BITS[0], LPM_BITS[2]        # bits of an address within a root cell, within a branch's
_AT_ONCE = 512                        # changes of a class that are written together


class Intervals:
    """The address space cut where the longest match changes.

    ``starts`` (ascending, the first is 0) and ``matches``: index of the longest prefix, −1 where none matches. ``parents``:
    for each prefix the next shorter one around it, or −1. Of equal prefixes the first given wins, the next one is its parent.
    """

    def __init__(self, prefixes: Sequence[Prefix] | np.ndarray) -> None:
        networks, lengths = np.array(prefixes, np.int64).reshape(-1, 2).T
        ends = networks + (1 << 32 - lengths)
        if (ends[:-1] <= networks[1:]).all():
            self._apart(networks, ends)
            return
        starts = distinct(np.concatenate([[0], networks, ends]))
        self.starts = starts[starts < 1 << 32]
        self.matches = np.full(len(self.starts), -1, np.int64)
        self.parents = np.full(len(networks), -1, np.int64)
        last = (1 << 25) - 1                           # of equal prefixes the first one last
        order = last - (np.sort(lengths << 57 | networks << 25 | last - np.arange(len(networks))) & last)
        edges = np.flatnonzero(np.diff(lengths[order])) + 1
        for alike in np.split(order, edges) if len(order) else ():         # a length at a time, the shortest first
            self._paint(alike, networks[alike], ends[alike])

    def _apart(self, networks: np.ndarray, ends: np.ndarray) -> None:
        """Prefixes in ascending order, none inside another: each is followed by the next one or by a gap."""
        starts = np.column_stack([networks, ends]).ravel()
        matches = np.column_stack([np.arange(len(networks)), np.full(len(networks), -1)]).ravel()
        kept = np.append(starts[:-1] < starts[1:], starts[-1:] < 1 << 32)
        beginning = starts[:1] != 0 if len(starts) else np.array([True])
        self.starts = np.concatenate([np.zeros(beginning.sum(), np.int64), starts[kept]])
        self.matches = np.concatenate([np.full(beginning.sum(), -1), matches[kept]])
        self.parents = np.full(len(networks), -1, np.int64)

    def _paint(self, alike: np.ndarray, networks: np.ndarray, ends: np.ndarray) -> None:
        """Prefixes of one length, by network, of equal ones the first given last: they cover what is shorter."""
        again = np.append(networks[1:] == networks[:-1], False)
        places = np.searchsorted(self.starts, networks)
        self.parents[alike] = self.matches[places]
        self.parents[alike[1:][again[:-1]]] = alike[again]
        first = places[~again]
        sizes = np.searchsorted(self.starts, ends[~again]) - first
        if (sizes == 1).all():
            self.matches[first] = alike[~again]
            return
        places = np.repeat(first - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
        self.matches[places] = np.repeat(alike[~again], sizes)

    def match(self, addresses: np.ndarray) -> np.ndarray:
        """Index of the longest prefix of each address, −1 where none matches."""
        return self.matches[np.searchsorted(self.starts, addresses, "right") - 1]

    def match_ascending(self, addresses: np.ndarray) -> np.ndarray:
        """The same of addresses in ascending order: where many addresses share an interval, that one is sought."""
        return spread(self.starts, self.matches, addresses)


def build(starts: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The table for intervals that begin at ``starts`` (ascending, the first is 0) and have these classes."""
    wide = distinct(starts[starts % (1 << _WIDE) != 0] >> _WIDE)           # /16s that are not of one class
    deep = distinct(starts[starts % (1 << _DEEP) != 0] >> _DEEP)           # /26s likewise
    spanning = -(-starts >> _WIDE) < np.append(starts[1:], 1 << 32) >> _WIDE      # intervals that hold whole /16s
    shared, which = numbered(classes[spanning])
    sizes = [ROOT, BRANCH * len(wide), BRANCH * len(shared), LEAF * len(deep)]
    table = np.empty(sum(sizes), np.uint32)
    root, branches, whole, leaves = np.split(table, np.cumsum(sizes)[:-1])
    places = np.zeros(len(starts), np.int64)
    places[spanning] = ROOT + BRANCH * (len(wide) + which)
    _fill(root, starts, places, np.zeros(1, np.int64), _WIDE, ROOT)
    root[wide] = ROOT + BRANCH * np.arange(len(wide))
    _fill(branches, starts, classes, wide << _WIDE, _DEEP, BRANCH)
    branches[np.searchsorted(wide, deep // BRANCH) * BRANCH + deep % BRANCH] = (
        DEEPER | len(table) - len(leaves) + LEAF * np.arange(len(deep)))
    whole[:] = np.repeat(shared, BRANCH)
    _fill(leaves, starts, classes, deep << _DEEP, 0, LEAF)
    return table


def _fill(cells: np.ndarray, starts: np.ndarray, classes: np.ndarray, firsts: np.ndarray, shift: int, count: int) -> None:
    """``count`` cells from each of the addresses ``firsts`` on, a cell every 2^shift addresses: the class there.

    Between two starts nothing changes, so nothing is looked up there: there are a hundred times as many cells as starts.
    """
    chunk = np.searchsorted(firsts, starts, "right") - 1
    cell = (starts - firsts[chunk] + (1 << shift) - 1 >> shift) if len(firsts) else np.full(len(starts), count)
    inside = (chunk >= 0) & (cell < count)
    places = np.concatenate([np.arange(len(firsts)) * count, chunk[inside] * count + cell[inside]])
    order = np.argsort(places, kind="stable")
    order = order[np.diff(places[order], append=len(cells)) > 0]    # of several starts before one cell the last one counts
    known = np.concatenate([classes[np.searchsorted(starts, firsts, "right") - 1], classes[inside]]).astype(np.uint32)[order]
    sizes = np.diff(places[order], append=len(cells))
    edges = np.concatenate([[0], np.cumsum(sizes)])
    for first in range(0, len(known), _AT_ONCE):                    # a whole table's copy would not fit the caches
        some = slice(first, first + _AT_ONCE)
        cells[edges[first]:edges[min(first + _AT_ONCE, len(known))]] = np.repeat(known[some], sizes[some])


def spread(starts: np.ndarray, values: np.ndarray, addresses: np.ndarray) -> np.ndarray:
    """Of ascending addresses the values of the intervals in which they lie."""
    return np.repeat(values, np.diff(np.searchsorted(addresses, starts), append=len(addresses)))


def distinct(values: np.ndarray) -> np.ndarray:
    """The different values, ascending (``np.unique`` hashes integers, which takes fifty times as long)."""
    values = np.sort(values)
    return values[np.append(np.full(min(len(values), 1), True), values[1:] != values[:-1])]


def numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values, ascending, and of each value which it is."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, -1)
    if high - low < 2 * len(values):
        there = np.zeros(high - low + 1, bool)
        there[values - low] = True
        return np.flatnonzero(there) + low, (np.cumsum(there) - 1)[values - low]
    different = distinct(values)
    return different, np.searchsorted(different, values)


def lookup(table: np.ndarray, address: int) -> int:
    """Class of one address, step by step as the compiled core does it."""
    cell = int(table[int(table[address >> _WIDE]) + (address >> _DEEP) % BRANCH])
    return int(table[(cell & ~DEEPER) + address % LEAF]) if cell & DEEPER else cell


def most(table: np.ndarray) -> int:
    """The largest class in a table; :data:`DEEPER` or more if of some address a lookup would leave it, or end at a place."""
    root = table[:ROOT]
    end = int(root.max(initial=0)) + BRANCH              # of the branches; after them there are leaves
    if end > len(table) or root.min() < ROOT:
        return DEEPER
    branches = table[ROOT:end]
    deeper = branches[branches >= DEEPER] - DEEPER
    if len(deeper) and (deeper.min() < end or int(deeper.max()) + LEAF > len(table)):
        return DEEPER
    return max(int(branches.max(where=branches < DEEPER, initial=0)), int(table[end:].max(initial=0)))
