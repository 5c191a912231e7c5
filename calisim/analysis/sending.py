"""Sending: waves through an engine, added up as they come out. Memory is bounded by one wave unless rows are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from ..traffic.flows import reply_wave
from ..vocabulary import EVENT, PACKET, RESULT
from .run import Run, Tally, codes_of, reply_name

if TYPE_CHECKING:
    from .network import Network, Progress


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


def send(
    network: Network, stream: Iterator[tuple[str, np.ndarray]], *, threads: int, events: bool, replies: bool, keep: bool,
    progress: Progress | None,
) -> Run:
    """Forward every wave of the stream over one state and add up what becomes of it."""
    run, kept = Run(), _Kept()
    run.state = state = network.engine.new_state()
    codes: dict[str, list[np.ndarray]] = {}
    sent = 0

    def forward(name: str, packets: np.ndarray) -> np.ndarray:
        if events and kept.rows + len(packets) > MOST_WITH_EVENTS:
            raise UsageError(
                f"events of more than {MOST_WITH_EVENTS:,} packets fill the memory; choose one traffic set, or fewer endpoints")
        outcome = network.engine.forward(packets, state, events=events, threads=threads)
        wave_codes = codes_of(packets, outcome.results, network.scopes)
        run.tallies.setdefault(name, Tally()).add(wave_codes, packets, outcome.results)
        codes.setdefault(name, []).append(wave_codes)
        paths, counts = np.unique(outcome.results["path"], return_counts=True)
        run.paths.update(dict(zip(paths.tolist(), counts.tolist(), strict=True)))
        run.protocols.update(np.unique(packets["protocol"]).tolist())
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
    run.codes = {name: np.concatenate(parts) for name, parts in codes.items()}
    run.links = state.links.sum(axis=0)
    if keep:
        kept.into(run, events)
    return run
