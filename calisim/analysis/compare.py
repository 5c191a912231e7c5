"""One traffic through several variants: what each encapsulates, costs, loses and needs, and which to take.

Every number is a sum over packets that went through the engine; the needs were measured by leaving each out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from ..parts import Parts
from ..vocabulary import Encap
from .needs import Need, needs, pairs_at
from .network import Network, Progress
from .run import Run, Tally, outcome_of
from .sending import Watch
from .story import Chapter, story, word_of

if TYPE_CHECKING:
    from ..scenario.scenario import Scenario

OVERLAYS = ("overlay-ipip", "overlay-vxlan")
CROSS_SUBNETS = ("calico-cross-subnet", "calico-cross-subnet-vxlan")
MOST_PAIRS = 50


@dataclass(frozen=True)
class VariantReport:
    """One variant: its network, the run of the whole traffic, and what it needs."""

    id: str
    network: Network
    run: Run
    needs: tuple[Need, ...]

    @property
    def tally(self) -> Tally:
        return self.run.tally

    @property
    def encapsulated(self) -> int:
        """Packets that were encapsulated, lost ones included."""
        return self.tally.total(lambda outcome: outcome.encap != Encap.NONE).packets

    @property
    def overhead(self) -> int:
        """Bytes of outer headers on the first node's wire."""
        return self.tally.total().overhead

    @property
    def pod_mtu(self) -> tuple[int, int]:
        """Smallest and largest MTU that nodes give their pods, bytes."""
        values = [router.pod_mtu for router in self.network.intent.routers]
        return (min(values), max(values)) if values else (0, 0)


@dataclass(frozen=True, slots=True)
class Difference:
    """A pair of endpoints whose packets fare differently: outcome word by variant."""

    sender: str
    receiver: str
    traffic: str
    outcomes: dict[str, str]


@dataclass(frozen=True)
class Comparison:
    """The answer of ``calisim compare``."""

    scenario: Scenario
    chapters: tuple[Chapter, ...]
    variants: tuple[VariantReport, ...]
    pairs: tuple[Difference, ...] | None = None
    differing: int = 0
    answer: str = ""
    assumptions: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        """One line; what it holds is there to be asked."""
        return f"<Comparison of {len(self.variants)} variants of {self.scenario.name}: {self.answer}>"


def compare(
    scenario: Scenario, variants: Sequence[str] = (), *, pairs: bool = False, engine: str = "fast",
    progress: Progress | None = None, watch: Callable[[Network], Watch] | None = None,
) -> Comparison:
    """Send the scenario's traffic through every variant and answer "overlay or cross-subnet?". ``watch`` is asked for each
    variant's network who is to see its waves (of the traffic itself, not of what the needs were measured with)."""
    refuse_silence(scenario)
    chapters = story(scenario, engine, progress) if scenario.spec.steps else ()
    parts = Parts()
    reports = tuple(measured(report(Network(scenario, variant, engine=engine, parts=parts), progress, watch), progress)
                    for variant in variants or scenario.variant_ids)
    differences, count = (tuple(_differences(reports)), _differing(reports)) if pairs else (None, 0)
    return replace(concluded(scenario, chapters, reports), pairs=differences, differing=count)


def refuse_silence(scenario: Scenario) -> None:
    """Without traffic there is nothing to say."""
    if not scenario.spec.traffic:
        raise UsageError(
            "the scenario sends nothing, so there is nothing to compare; add a traffic set, for example\n"
            "  traffic: [{name: mesh, from: all(), to: all(), protocol: tcp, port: 80, size: 1000}]")


def report(network: Network, progress: Progress | None = None, watch: Callable[[Network], Watch] | None = None) -> VariantReport:
    """The whole traffic sent through a network; what it needs is not measured yet."""
    say = progress and partial(_relay, progress, network.variant)
    if say is not None:
        say("control plane", 0)
    run = network.run(keep=False, progress=say, watch=watch and watch(network))
    run.state = None
    network.release()
    return VariantReport(network.variant, network, run, ())


def measured(made: VariantReport, progress: Progress | None = None) -> VariantReport:
    """The report with what its network needs, each left out once."""
    return replace(made, needs=needs(made.network, made.run, progress and partial(_relay, progress, made.id)))


def concluded(scenario: Scenario, chapters: tuple[Chapter, ...], reports: tuple[VariantReport, ...]) -> Comparison:
    """What the reports of several variants come to."""
    from .answer import answer, assumptions

    return Comparison(scenario, chapters, reports, answer=answer(reports), assumptions=assumptions(reports))


def _relay(progress: Progress, variant: str, what: str, count: int) -> None:
    progress(f"{variant}: {what}", count)


def _differing_rows(reports: Sequence[VariantReport]) -> Iterator[tuple[str, np.ndarray, list[np.ndarray]]]:
    """For each traffic set the positions of packets whose outcome is not the same in all variants."""
    for name in reports[0].run.codes:
        columns = [report.run.codes[name] for report in reports]
        shortest = min(map(len, columns))
        columns = [column[:shortest] for column in columns]
        yield name, np.flatnonzero(np.any([column != columns[0] for column in columns], axis=0)), columns


def _differing(reports: Sequence[VariantReport]) -> int:
    return sum(len(rows) for _, rows, _ in _differing_rows(reports))


def _differences(reports: Sequence[VariantReport]) -> Iterator[Difference]:
    """The first pairs whose outcome differs, at most :data:`MOST_PAIRS`."""
    seen: set[tuple[str, str, str]] = set()
    for name, rows, columns in _differing_rows(reports):
        positions = rows[: 20 * MOST_PAIRS].tolist()
        for row, pair in zip(positions, pairs_at(reports[0].network, name, positions), strict=True):
            if len(seen) == MOST_PAIRS:
                return
            if (*pair, name) in seen:
                continue
            seen.add((*pair, name))
            words = {
                report.id: word_of(outcome_of(int(column[row]))) for report, column in zip(reports, columns, strict=True)}
            yield Difference(*pair, name, words)
