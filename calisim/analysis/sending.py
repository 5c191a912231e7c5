"""Sending: waves through an engine, with what they go on as, added up as they come out.

Memory is bounded by one wave and its offspring unless rows are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datapath.generations import Generation, generations
from ..datapath.results import Born
from ..datapath.settling import continued, root_rows, settled
from ..errors import UsageError
from ..traffic.flows import answered, reply_wave
from ..vocabulary import EVENT, HEADER, PACKET, RESULT
from .run import Run, Tally, codes_of, reply_name

if TYPE_CHECKING:
    from .network import Network, Progress
    from .scopes import Scopes

Wave = tuple[np.ndarray, np.ndarray | None]
"""PACKETs, and a HEADER for each where they are not all plain."""

Watch = Callable[[str, np.ndarray, np.ndarray], None]
"""Called with the name of a traffic set, the PACKETs of one of its waves and what became of them (RESULTs)."""

MOST_WITH_EVENTS = 200_000
"""Packets of one run whose events may be kept: at some six crossings of 64 bytes each, 77 MB."""


@dataclass(frozen=True)
class Fates:
    """What became of a wave when all is over: a RESULT for each packet, the wave with its offspring, and what the stacks that
    got its packets say (the next wave)."""

    results: np.ndarray
    family: tuple[Generation, ...]
    answers: Born | None = None


def fates(
    network: Network, packets: np.ndarray, state: Any, headers: np.ndarray | None = None, *, events: bool = False,
    threads: int = 1, errors: bool = False, asks: bool = True,
) -> Fates:
    """Forward a wave and what it goes on as: pieces, and datagrams made whole; with ``errors`` all other offspring, too.
    ``asks``: stacks that answer may do so; to an answer nobody does.
    """
    sent = generations(network.engine, packets, state, headers, events=events, threads=threads, errors=errors)
    family = [next(sent)]
    if errors or continued(family[0].results.results).any():
        family += sent
    results = settled(family)
    if not asks or not network.stacks:
        return Fates(results, tuple(family))
    results, answers = network.stacks.answers(packets, results)
    return Fates(results, tuple(family), answers if len(answers.packets) else None)


class _Kept:
    """Rows that the caller wants to see afterwards."""

    def __init__(self) -> None:
        self.packets: list[np.ndarray] = []
        self.fates: list[Fates] = []
        self.events: list[np.ndarray] = []
        self.rows = 0

    def add(self, packets: np.ndarray, outcome: Fates, events: bool) -> None:
        self.packets.append(packets)
        self.fates.append(outcome)
        if events:
            self.events.append(_numbered(outcome.family, self.rows))
        self.rows += len(packets)

    def into(self, run: Run, events: bool) -> None:
        run.packets = np.concatenate([np.empty(0, PACKET), *self.packets])
        run.results = np.concatenate([np.empty(0, RESULT), *(one.results for one in self.fates)])
        if events:
            run.events = np.concatenate([np.empty(0, EVENT), *self.events])
            run.families = [one.family for one in self.fates]


def kept_run(waves: Sequence[tuple[np.ndarray, Fates]]) -> Run:
    """Waves that were sent with events, as a run that kept them; nothing is added up."""
    kept, run = _Kept(), Run()
    for packets, outcome in waves:
        kept.add(packets, outcome, True)
    kept.into(run, True)
    return run


def _numbered(family: Sequence[Generation], start: int) -> np.ndarray:
    """The events of a wave and of its offspring; their rows count from ``start``, what a packet gave rise to has its row."""
    parts = []
    for generation, roots in zip(family, root_rows(family), strict=True):
        events = generation.results.events
        assert events is not None
        parts.append(events.copy())
        parts[-1]["row"] = start + roots[events["row"]]
    if len(parts) == 1:
        return parts[0]
    events = np.concatenate(parts)
    return events[np.argsort(events["row"], kind="stable")]


class _Ledger:
    """Adds up results. Small waves are added up together: their number may be large."""

    FULL = 65_536                        # rows …
    MANY = 2_048                         # … or waves that are added up at once

    def __init__(self, run: Run, scopes: Scopes, codes: bool) -> None:
        self._run, self._scopes = run, scopes
        self._waiting: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self._rows: Counter[str] = Counter()
        self._codes: dict[str, list[np.ndarray]] | None = {} if codes else None

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


def answers(network: Network, wave: np.ndarray, outcome: Fates, *, generic: bool) -> Wave | None:
    """What is said to a wave: by the stacks that answer by themselves, and (``generic``) something by everybody else."""
    said = outcome.answers
    if not generic:
        return None if said is None else (said.packets, said.headers)
    spoke = np.zeros(len(wave), bool) if said is None else np.isin(np.arange(len(wave)), said.causes["parent"])
    others = np.flatnonzero(answered(wave, outcome.results) & ~spoke)
    back = reply_wave(wave[others], outcome.results[others], network.intent)
    if said is None:
        return (back, None) if len(back) else None
    order = np.argsort(np.concatenate([said.causes["parent"], others]), kind="stable")
    headers = np.concatenate([said.headers, np.zeros(len(back), HEADER)])
    return np.concatenate([said.packets, back])[order], headers[order]


def send(
    network: Network, stream: Iterator[tuple[str, Wave]], *, threads: int, events: bool, errors: bool, replies: bool, keep: bool,
    codes: bool, asks: bool, progress: Progress | None, watch: Watch | None = None,
) -> Run:
    """Forward every wave of the stream over one state and add up what becomes of it; with ``codes`` each packet's fate, too.

    ``errors``: the ICMP errors that the packets give rise to are sent as well; ``asks``: stacks answer what they get.
    """
    run, kept = Run(), _Kept()
    run.state = state = network.engine.new_state()
    ledger = _Ledger(run, network.scopes, codes)
    sent = 0

    def forward(name: str, packets: np.ndarray, headers: np.ndarray | None, *, asks: bool) -> Fates:
        if events and kept.rows + len(packets) > MOST_WITH_EVENTS:
            raise UsageError(
                f"events of more than {MOST_WITH_EVENTS:,} packets fill the memory; choose one traffic set, fewer endpoints "
                "or a shorter capture")
        outcome = fates(network, packets, state, headers, events=events, threads=threads, errors=errors, asks=asks)
        ledger.add(name, packets, outcome.results)
        if watch is not None:
            watch(name, packets, outcome.results)
        if keep:
            kept.add(packets, outcome, events)
        return outcome

    for name, (wave, headers) in stream:
        back = answers(network, wave, forward(name, wave, headers, asks=asks), generic=replies)
        if back is not None:
            forward(reply_name(name), *back, asks=False)
        sent += len(wave)
        if progress is not None:
            progress(name, sent)
    ledger.close()
    run.links = state.links.sum(axis=0)
    if keep:
        kept.into(run, events)
    return run
