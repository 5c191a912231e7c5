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
from . import _loops

ROOT, BRANCH, LEAF = (1 << bits for bits in LPM_BITS)
DEEPER = 1 << 31
_WIDE, _DEEP = 32 - LPM_BITS[0], LPM_BITS[2]        # bits of an address within a root cell, within a branch's


class Intervals:
    """The address space cut where the longest match changes.

    ``starts`` (ascending, the first is 0) and ``matches``: index of the longest prefix, −1 where none matches. ``parents``:
    for each prefix the next shorter one around it, or −1. Of equal prefixes the first given wins, the next one is its parent.
    """

    def __init__(self, prefixes: Sequence[Prefix] | np.ndarray) -> None:
        networks, lengths = np.array(prefixes, np.int64).reshape(-1, 2).T.copy()
        order = np.arange(len(networks))
        if (networks[:-1] >= networks[1:]).any():
            last = (1 << 25) - 1                       # of equal prefixes the first one last: it lies inside the others
            order = last - (np.sort(networks << 31 | lengths << 25 | last - order) & last)
        self.parents = np.empty(len(networks), np.int64)
        starts, matches = np.empty((2, 2 * len(networks) + 1), np.int64)
        count = _loops.cut(
            order, networks, networks + (1 << 32 - lengths), self.parents, np.empty(len(networks), np.int64), starts, matches)
        self.starts, self.matches = starts[:count], matches[:count]

    def match(self, addresses: np.ndarray) -> np.ndarray:
        """Index of the longest prefix of each address, −1 where none matches."""
        return self.matches[np.searchsorted(self.starts, addresses, "right") - 1]

    def match_ascending(self, addresses: np.ndarray) -> np.ndarray:
        """The same of addresses in ascending order: where many addresses share an interval, that one is sought."""
        return spread(self.starts, self.matches, addresses)


def build(starts: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The table for intervals that begin at ``starts`` (ascending, the first is 0) and have these classes (integers of any
    kind)."""
    wide, deep = _mixed(starts, _WIDE), _mixed(starts, _DEEP)
    spanning = -(-starts >> _WIDE) < np.append(starts[1:], 1 << 32) >> _WIDE      # intervals that hold whole /16s
    shared, which = numbered(classes[spanning])
    sizes = [ROOT, BRANCH * wide, BRANCH * len(shared), LEAF * deep]
    table = np.empty(sum(sizes), np.uint32)
    root, branches, whole, leaves = np.split(table, np.cumsum(sizes)[:-1])
    whole[:] = np.repeat(shared, BRANCH)
    places = np.zeros(len(starts), np.int64)
    places[spanning] = ROOT + BRANCH * (wide + which)
    _loops.fill(root, branches, leaves, starts, classes.astype(np.int64, copy=False), places, ROOT,
                DEEPER | len(table) - len(leaves), _WIDE, _DEEP)
    return table


def _mixed(starts: np.ndarray, bits: int) -> int:
    """How many stretches of 2^bits addresses there are that are not of one class."""
    found = starts[starts & (1 << bits) - 1 != 0] >> bits
    return int(np.count_nonzero(_new(found)))


def within(starts: np.ndarray, addresses: np.ndarray) -> np.ndarray:
    """Of ascending addresses the interval in which each lies."""
    found = np.empty(len(addresses), np.int64)
    _loops.within(starts, addresses, found)
    return found


def spread(starts: np.ndarray, values: np.ndarray, addresses: np.ndarray) -> np.ndarray:
    """Of ascending addresses the values of the intervals in which they lie."""
    return values[within(starts, addresses)]


def distinct(values: np.ndarray) -> np.ndarray:
    """The different values, ascending (``np.unique`` hashes integers, which takes fifty times as long)."""
    values = np.sort(values)
    return values[_new(values)]


def _new(values: np.ndarray) -> np.ndarray:
    """Where each is another one than the one before it."""
    return np.append(np.full(min(len(values), 1), True), values[1:] != values[:-1])


def ascending(addresses: np.ndarray) -> np.ndarray:
    """The order of addresses (sorting numbers takes a third of what ``np.argsort`` does)."""
    return np.sort(addresses << 31 | np.arange(len(addresses))) & (1 << 31) - 1


def numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values, ascending, and of each value which it is."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, -1)
    if high - low < 2 * len(values):
        there = np.zeros(high - low + 1, bool)
        there[values - low] = True
        return np.flatnonzero(there) + low, (np.cumsum(there) - 1)[values - low]
    if (values[1:] >= values[:-1]).all():
        new = _new(values)
        return values[new], np.cumsum(new) - 1
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
    return max(int(branches.view(np.int32).max(initial=0)), int(table[end:].max(initial=0)))      # what leads deeper is below 0
