"""Indexes over long runs of rules: bit vectors by peer and by protocol and port (Lakshman and Stiliadis 1998, Baboescu and
Varghese 2001)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..vocabulary import INDEX
from .columns import distinct_rows

MOST_INDEXED = 1 << 23                # words of 64 bits that indexes may take; what is left over is tried rule by rule
LONG = 8                              # steps from which on an index pays (measured: 22 ns by it, 5 ns a step without)
ANY = 256                             # protocol: all
_AT_ONCE = 1 << 24                    # cells that are worked on together

_Row = tuple[int, ...]


@dataclass
class Indexes:
    """Bit vectors over long runs of steps, the longest first, as long as there is room."""

    atoms: np.ndarray
    matches: np.ndarray
    _records: list[_Row] = field(default_factory=lambda: [(0,) * 5])
    _maps: list[np.ndarray] = field(default_factory=lambda: [np.zeros(1, np.uint32)])
    _bits: list[np.ndarray] = field(default_factory=lambda: [np.zeros(1, np.uint64)])
    _mapped: int = 1
    _words: int = 1

    def over(self, runs: list[tuple[int, ...]], steps: np.ndarray) -> dict[int, int]:
        """Index of each run that has one."""
        starts = np.concatenate([[0], np.cumsum([len(run) for run in runs])])
        found = {}
        for run in sorted((run for run in range(len(runs)) if len(runs[run]) >= LONG), key=lambda run: -len(runs[run])):
            words = -(-len(runs[run]) // 64)
            rules = self.matches[steps[starts[run]:starts[run + 1]]]
            edges = np.unique(np.concatenate([[0], *_keys(rules)]))
            room = self._words + self._mapped // 2 < MOST_INDEXED
            if room and (len(self.atoms) + len(edges)) * words < MOST_INDEXED:
                found[run] = self._add(rules, words, edges)
        return found

    def _add(self, rules: np.ndarray, words: int, edges: np.ndarray) -> int:
        by_dst = int(np.count_nonzero(rules["dst"]) > np.count_nonzero(rules["src"]))
        peers, of_peer = self._by_peer(rules["dst" if by_dst else "src"], words)
        low, end = _keys(rules)
        ports, of_edge = _packed(len(edges), words, lambda start, stop: (
            (low <= edges[start:stop, None]) & (edges[start:stop, None] < end)))
        base, stride = self._words, peers.shape[1]
        record = (self._mapped, self._mapped + len(of_peer), len(edges), words, by_dst)
        for part in (base + of_peer * stride, edges, base + (len(peers) + of_edge) * stride):
            self._maps.append(part.astype(np.uint32))
            self._mapped += len(part)
        for bits in (peers, ports):
            self._bits.append(bits.ravel())
            self._words += bits.size
        self._records.append(record)
        return len(self._records) - 1

    def _by_peer(self, atoms: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
        return _packed(len(self.atoms), words, lambda start, stop: (
            (self.atoms[start:stop, atoms >> 5] >> (atoms & 31).astype(np.uint32) & 1).astype(bool) | (atoms == 0)))

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "indexes": np.array(self._records, INDEX), "maps": np.concatenate(self._maps), "bits": np.concatenate(self._bits)}


def _keys(rules: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The protocols << 16 | destination ports that can match each rule, as far as its record alone tells: from, up to."""
    everything = rules["protocol"] == ANY
    base = rules["protocol"].astype(np.int64) << 16
    return np.where(everything, 0, base + rules["low"]), np.where(everything, 1 << 24, base + rules["high"] + 1)


def _packed(count: int, words: int, truth: Callable[[int, int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The different sets among ``count``; ``truth(start, stop)`` tells some of them, a row of booleans each.

    A set is a bit for each of its words that is not empty, then the words.
    """
    rows = np.zeros((count, words * 8), np.uint8)
    step = max(1, _AT_ONCE // (words * 64))
    for start in range(0, count, step):
        block = np.packbits(truth(start, start + step), axis=1, bitorder="little")
        rows[start:start + step, :block.shape[1]] = block
    full = rows.view("<u8")
    filled = np.zeros((count, -(-words // 64) * 8), np.uint8)
    filled[:, :-(-words // 8)] = np.packbits(full != 0, axis=1, bitorder="little")
    return distinct_rows(np.concatenate([filled.view("<u8"), full], axis=1))
