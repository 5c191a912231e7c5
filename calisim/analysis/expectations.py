"""Do a scenario's expectations hold? Each is sent as packets and compared with what became of them.

``from``/``to`` expectations send one packet per pair over a fresh state, so their order has no meaning; all
pairs (of the scope, if one is named) have to agree. ``count`` expectations send the scenario's whole traffic once
per variant and step and count outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Mark
from ..parts import Parts
from ..quantities import plural
from ..scenario.schema import CountSpec, Expectation, TrafficSet
from .network import Network, Progress
from .needs import pair_of
from .run import Outcome, Run, codes_of, outcome_of
from .sending import fates
from .story import word_of

if TYPE_CHECKING:
    from ..scenario.scenario import Scenario

DEFAULT_VARIANT = "as-is"


@dataclass(frozen=True, slots=True)
class Checked:
    """One expectation and what became of it; ``command`` shows why it failed."""

    text: str
    mark: Mark
    passed: bool
    instead: str = ""
    command: str = ""


def check(
    scenario: Scenario, expected: Sequence[Expectation] | None = None, *, engine: str = "fast", progress: Progress | None = None,
) -> list[Checked]:
    """All expectations of a scenario in their order, or others in their place."""
    worlds = _Worlds(scenario, engine, progress)
    return [_checked(one, worlds) for one in (scenario.spec.expect if expected is None else expected)]


class _Worlds:
    """Networks and whole-traffic runs by variant and step, each made once."""

    def __init__(self, scenario: Scenario, engine: str, progress: Progress | None) -> None:
        self.scenario, self.engine, self.progress = scenario, engine, progress
        self._parts = Parts()
        self._networks: dict[tuple[str, int], Network] = {}
        self._runs: dict[tuple[str, int], Run] = {}

    def step_of(self, one: Expectation) -> int:
        """The number of steps after which an expectation holds; 0: the file as it stands."""
        if one.step is None:
            return 0
        titles = [step.title for step in self.scenario.spec.steps]
        return one.step if isinstance(one.step, int) else titles.index(one.step) + 1

    def network(self, one: Expectation) -> Network:
        key = one.variant or DEFAULT_VARIANT, self.step_of(one)
        if key not in self._networks:
            if self.progress is not None:
                self.progress(f"{self.scenario.name}: {key[0]}", 0)
            self._networks[key] = Network(self.scenario, key[0], step=key[1], engine=self.engine, parts=self._parts)
        return self._networks[key]

    def run(self, one: Expectation) -> Run:
        key = one.variant or DEFAULT_VARIANT, self.step_of(one)
        if key not in self._runs:
            self._runs[key] = self.network(one).run(keep=False, progress=self.progress)
        return self._runs[key]


def _checked(one: Expectation, worlds: _Worlds) -> Checked:
    return _count(one, one.count, worlds) if one.count is not None else _pairs(one, worlds)


def _count(one: Expectation, count: CountSpec, worlds: _Worlds) -> Checked:
    run = worlds.run(one)
    tallies = [tally for name, tally in run.tallies.items() if count.traffic in (None, name)]
    wanted = _matcher(count)
    found = sum(tally.total(wanted).packets for tally in tallies)
    text = f"{_words(count, count.traffic)}: {plural(one.value or 0, 'packet')}{_where(one)}"
    if found == one.value:
        return Checked(text, one.mark, True)
    path = worlds.scenario.path
    command = f"calisim run {path}{_flags(one, worlds)}{f' --traffic {count.traffic}' if count.traffic else ''}"
    return Checked(text, one.mark, False, plural(found, "packet"), command)


def _pairs(one: Expectation, worlds: _Worlds) -> Checked:
    assert one.source is not None and one.destination is not None, "the reader refuses an expectation without a pair or a count"
    network = worlds.network(one)
    traffic = TrafficSet(
        name="expectation", source=one.source, destination=one.destination, protocol=one.protocol, port=one.port,
        size=one.size or 1000)
    agrees = _matcher(one)
    sent, wrong, first = 0, 0, None
    state = network.engine.new_state()
    for wave in network.waves(traffic):
        codes = codes_of(wave, fates(network, wave, state).results, network.scopes)
        for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
            outcome = outcome_of(int(code))
            if one.scope not in (None, outcome.scope):
                continue
            sent += int(count)
            if not agrees(outcome):
                wrong += int(count)
                first = first or (outcome, pair_of(network, wave[int(np.flatnonzero(codes == code)[0])]))
    text = f"{one.source} → {one.destination}{_port(one)}: {_words(one, None)}{_where(one)}"
    if first is None:
        instead = "" if sent else "no packet was sent: nothing is selected, or no pair is of that scope"
        return Checked(text, one.mark, bool(sent), instead)
    outcome, (sender, receiver) = first
    instead = f"{wrong:,} of {plural(sent, 'packet')} not, {sender} → {receiver}: {_seen(outcome)}"
    command = f"calisim trace {worlds.scenario.path} {sender} {receiver}{_packet_flags(one)}{_flags(one, worlds)}"
    return Checked(text, one.mark, False, instead, command)


def _matcher(one: Expectation | CountSpec) -> Callable[[Outcome], bool]:
    """Whether an outcome is as an expectation (or a count) says."""
    scope = one.scope if isinstance(one, CountSpec) else None

    def matches(outcome: Outcome) -> bool:
        return (
            one.fate in (None, outcome.verdict.name.lower()) and one.reason in (None, outcome.reason.name)
            and one.encap in (None, outcome.encap.name.lower()) and one.snat in (None, outcome.snat)
            and scope in (None, outcome.scope))

    return matches


def _words(one: Expectation | CountSpec, traffic: str | None) -> str:
    parts = [f"traffic {traffic}"] if traffic else []
    parts += [one.scope] if one.scope else []
    parts += [str(value) for value in (one.fate, one.reason) if value]
    parts += [f"encap {one.encap}"] if one.encap else []
    parts += ["SNAT" if one.snat else "no SNAT"] if one.snat is not None else []
    return ", ".join(parts) or "sent"


def _where(one: Expectation) -> str:
    parts = [one.variant] if one.variant else []
    parts += [f"step {one.step}"] if one.step is not None else []
    return f" [{', '.join(parts)}]" if parts else ""


def _port(one: Expectation) -> str:
    return f" port {one.port}" if one.port is not None else ""


def _seen(outcome: Outcome) -> str:
    word = word_of(outcome)
    how = f" ({word})" if word != outcome.verdict.name.lower() else ""
    return f"{outcome.verdict.name.lower()}{how}{', SNAT' if outcome.snat and word != 'SNAT' else ''}"


def _flags(one: Expectation, worlds: _Worlds) -> str:
    variant = f" --variant {one.variant}" if one.variant and one.variant != DEFAULT_VARIANT else ""
    step = worlds.step_of(one)
    return f"{variant}{f' --step {step}' if step else ''}"


def _packet_flags(one: Expectation) -> str:
    port = f" --port {one.port}" if one.port is not None else ""
    protocol = f" --protocol {one.protocol}" if one.protocol != "tcp" else ""
    return f"{port}{protocol}{f' --size {one.size}' if one.size else ''}"
