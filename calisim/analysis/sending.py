"""Sending: waves through an engine, added up as they come out. Memory is bounded by one wave unless rows are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from ..traffic.flows import reply_wave
from ..vocabulary import EVENT, PACKET, RESULT
from .run import Run, Tally, codes_of, reply_name

if TYPE_CHECKING:
    from .network import Network, Progress
    from .scopes import Scopes


MOST_WITH_EVENTS = 200_000
"""Packets of one run whose events may be kept: at some six crossings of 64 bytes each, 77 MB."""


class _Kept:
    """Rows that the caller wants to see afterwards."""

    def __init__(self) -> None:
        self.packets: list[np.ndarray] = []
        self.results: list[np.ndarray] = []
        self.events: list[np.ndarray] = []
        self.rows = 0

    def add(self, packets: np.ndarray, results: np.ndarray, events: np.ndarray | None) -> None:
        self.packets.append(packets)
        self.results.append(results)
        if events is not None:
            numbered = events.copy()
            numbered["row"] += self.rows
            self.events.append(numbered)
        self.rows += len(packets)

    def into(self, run: Run, events: bool) -> None:
        run.packets = np.concatenate([np.empty(0, PACKET), *self.packets])
        run.results = np.concatenate([np.empty(0, RESULT), *self.results])
        if events:
            run.events = np.concatenate([np.empty(0, EVENT), *self.events])


class _Ledger:
    """Adds up results. Small waves are added up together: their number may be large."""

    FULL = 65_536                        # rows …
    MANY = 2_048                         # … or waves that are added up at once

    def __init__(self, run: Run, scopes: Scopes, fates: bool) -> None:
        self._run, self._scopes = run, scopes
        self._waiting: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self._rows: Counter[str] = Counter()
        self._codes: dict[str, list[np.ndarray]] | None = {} if fates else None

    def add(self, name: str, packets: np.ndarray, results: np.ndarray) -> None:
        self._waiting.setdefault(name, []).append((packets, results))
        self._rows[name] += len(packets)
        if self._rows[name] >= self.FULL or len(self._waiting[name]) >= self.MANY:
            self._sum_up(name)

    def close(self) -> None:
        for name in self._waiting:
            self._sum_up(name)
        if self._codes is not None:
            self._run.codes = {name: np.concatenate(parts) for name, parts in self._codes.items()}

    def _sum_up(self, name: str) -> None:
        """What waits under a name becomes part of the sums."""
        tally = self._run.tallies.setdefault(name, Tally())
        if not self._rows[name]:
            return
        packets, results = (np.concatenate(column) for column in zip(*self._waiting[name], strict=True))
        self._waiting[name].clear()
        self._rows[name] = 0
        codes = codes_of(packets, results, self._scopes)
        tally.add(codes, packets, results)
        if self._codes is not None:
            self._codes.setdefault(name, []).append(codes)
        paths, counts = np.unique(results["path"], return_counts=True)
        self._run.paths.update(dict(zip(paths.tolist(), counts.tolist(), strict=True)))
        self._run.protocols.update(np.unique(packets["protocol"]).tolist())


def send(
    network: Network, stream: Iterator[tuple[str, np.ndarray]], *, threads: int, events: bool, replies: bool, keep: bool,
    fates: bool, progress: Progress | None,
) -> Run:
    """Forward every wave of the stream over one state and add up what becomes of it; ``fates`` of every packet, too."""
    run, kept = Run(), _Kept()
    run.state = state = network.engine.new_state()
    ledger = _Ledger(run, network.scopes, fates)
    sent = 0

    def forward(name: str, packets: np.ndarray) -> np.ndarray:
        if events and kept.rows + len(packets) > MOST_WITH_EVENTS:
            raise UsageError(
                f"events of more than {MOST_WITH_EVENTS:,} packets fill the memory; choose one traffic set, fewer endpoints "
                "or a shorter capture")
        outcome = network.engine.forward(packets, state, events=events, threads=threads)
        ledger.add(name, packets, outcome.results)
        if keep:
            kept.add(packets, outcome.results, outcome.events)
        return outcome.results

    for name, wave in stream:
        results = forward(name, wave)
        if replies:
            back = reply_wave(wave, results, network.intent)
            if len(back):
                forward(reply_name(name), back)
        sent += len(wave)
        if progress is not None:
            progress(name, sent)
    ledger.close()
    run.links = state.links.sum(axis=0)
    if keep:
        kept.into(run, events)
    return run
