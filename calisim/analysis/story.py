"""The story of a scenario with ``steps:``: after each step, what becomes of the traffic in each scope.

A cell names the outcomes in the words of the trade: ``ok`` on the same node, ``native``, ``IPIP +20 B``,
``VXLAN +50 B``, ``SNAT`` towards the internet, or the reason of the loss; mixed outcomes with their shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..parts import Parts
from ..vocabulary import Encap, Verdict
from ..vocabulary.encaps import encapsulation
from .run import Outcome, Tally
from .scopes import SCOPES

if TYPE_CHECKING:
    from ..scenario.scenario import Scenario
    from .network import Progress

ALWAYS_SHOWN = ("same-node", "same-subnet", "other-subnet", "external")


@dataclass(frozen=True, slots=True)
class Chapter:
    """One step: its number and title, and for each scope the packets by outcome word."""

    number: int
    title: str
    cells: dict[str, dict[str, int]]


def story(scenario: Scenario, engine: str = "fast", progress: Progress | None = None) -> tuple[Chapter, ...]:
    """The chapters of a scenario's story; each step keeps what went before."""
    return tuple(_chapters(scenario, engine, progress))


def _chapters(scenario: Scenario, engine: str, progress: Progress | None) -> Iterator[Chapter]:
    from .network import Network

    parts = Parts()
    for number, step in enumerate(scenario.spec.steps, 1):
        if progress is not None:
            progress(f"step {number}: {step.title}", 0)
        run = Network(scenario, step=number, engine=engine, parts=parts).run(keep=False)
        yield Chapter(number, step.title, cells(run.tally))


def cells(tally: Tally) -> dict[str, dict[str, int]]:
    """For each scope in which packets were sent: packets by outcome word, the most frequent first."""
    table: dict[str, dict[str, int]] = {scope: {} for scope in SCOPES}
    for outcome, amount in tally:
        column = table[outcome.scope]
        word = word_of(outcome)
        column[word] = column.get(word, 0) + amount.packets
    return {
        scope: dict(sorted(column.items(), key=lambda item: -item[1])) for scope, column in table.items() if column}


def word_of(outcome: Outcome) -> str:
    """What became of a packet, in one word (or two)."""
    if outcome.verdict is Verdict.DROPPED:
        return outcome.reason.name
    if outcome.verdict is Verdict.CONTINUED:
        return "fragments missing"
    if not outcome.verdict.success:
        return outcome.verdict.name.lower()
    if outcome.encap != Encap.NONE:
        return wrapped(outcome.encap)
    if outcome.snat:
        return "SNAT"
    return "ok" if outcome.scope == "same-node" else "native"


def wrapped(encap: int) -> str:
    """``IPIP +20 B``."""
    wrapping = encapsulation(encap)
    return f"{wrapping.title} +{wrapping.overhead} B"


def shares(column: dict[str, int]) -> str:
    """A cell as people read it: one word, or ``75 % native, 25 % SOURCE_CHECK``; "–" where nothing was sent."""
    total = sum(column.values())
    if not total:
        return "–"
    if len(column) == 1:
        return next(iter(column))
    return ", ".join(f"{percent(count, total)} {word}" for word, count in column.items())


def percent(part: int, whole: int) -> str:
    """A share that never hides a few: ``<1 %``, ``>99 %`` instead of a rounded 0 or 100."""
    if not whole:
        return "–"
    exact = 100 * part / whole
    if 0 < exact < 1:
        return "<1 %"
    if 99 < exact < 100:
        return ">99 %"
    return f"{exact:.0f} %"
