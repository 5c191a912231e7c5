"""Longest prefix match: prefixes → disjoint intervals → a 16-8-8 multibit table.

Knows nothing of what a prefix means: it gives numbers (classes) to addresses. The table is one ``uint32`` array: 65,536
root cells (upper 16 bits of the address), then chunks of 256 cells (the next 8 bits, then the last 8). A cell with
:data:`CHUNK` set names a chunk, any other is the class itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..quantities import Prefix

ROOT = 1 << 16
CHUNK = 1 << 31


class Intervals:
    """The address space cut where the longest match changes.

    ``starts`` (ascending, the first is 0) and ``matches``: index of the longest prefix, −1 where none matches. ``parents``:
    for each prefix the next shorter one around it, or −1. Of equal prefixes the first given wins.
    """

    def __init__(self, prefixes: Sequence[Prefix]) -> None:
        self.parents = [-1] * len(prefixes)
        starts, matches = [0], [-1]
        open_: list[int] = []

        def close(before: int) -> None:
            while open_ and prefixes[open_[-1]].last < before:
                end = prefixes[open_.pop()].last + 1
                _emit(starts, matches, end, open_[-1] if open_ else -1)

        for index in sorted(range(len(prefixes)), key=lambda i: (*prefixes[i], -i)):
            close(prefixes[index].network)
            self.parents[index] = open_[-1] if open_ else -1
            _emit(starts, matches, prefixes[index].network, index)
            open_.append(index)
        close(1 << 33)
        if starts[-1] == 1 << 32:
            del starts[-1], matches[-1]
        self.starts = np.array(starts, np.int64)
        self.matches = np.array(matches, np.int64)

    def match(self, addresses: np.ndarray) -> np.ndarray:
        """Index of the longest prefix of each address, −1 where none matches."""
        return self.matches[np.searchsorted(self.starts, addresses, "right") - 1]


def _emit(starts: list[int], matches: list[int], start: int, match: int) -> None:
    if starts[-1] == start:
        matches[-1] = match
    else:
        starts.append(start)
        matches.append(match)


def build(starts: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The table for intervals that begin at ``starts`` (ascending, the first is 0) and have these classes."""
    def at(addresses: np.ndarray) -> np.ndarray:
        return classes[np.searchsorted(starts, addresses, "right") - 1].astype(np.uint32)

    deep = np.unique(starts[starts % (1 << 8) != 0] >> 8)            # /24s that are not of one class
    wide = np.unique(np.concatenate([starts[starts % (1 << 16) != 0] >> 16, deep >> 8]))      # /16s likewise
    root = at(np.arange(ROOT, dtype=np.int64) << 16)
    root[wide] = CHUNK | np.arange(len(wide), dtype=np.uint32)
    cells = np.arange(256, dtype=np.int64)
    middle = at(((wide[:, None] << 8 | cells) << 8).ravel())
    chunks = np.arange(len(wide), len(wide) + len(deep), dtype=np.uint32)
    middle[np.searchsorted(wide, deep >> 8) * 256 + (deep & 255)] = CHUNK | chunks
    last = at((deep[:, None] << 8 | cells).ravel())
    return np.concatenate([root, middle, last])


def lookup(table: np.ndarray, address: int) -> int:
    """Class of one address, step by step as the compiled core does it."""
    cell = int(table[address >> 16])
    for shift in (8, 0):
        if not cell & CHUNK:
            break
        cell = int(table[ROOT + (cell & ~CHUNK) * 256 + (address >> shift & 255)])
    return cell
