"""What the page shows, as one JSON document: the comparison, the map with its traffic, and the journeys of single packets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ...analysis.classes import Class, classes
from ...analysis.compare import Comparison, compare
from ...analysis.explain import Request, packet_of
from ...analysis.flows import Flows
from ...analysis.scopes import TITLES
from ...analysis.story import word_of
from ...errors import UsageError
from ...vocabulary import DropReason, Encap
from ...vocabulary.encaps import encapsulation
from .. import json as documents
from .journeys import Subject, journey
from .map import Map, traffic

if TYPE_CHECKING:
    from ...analysis.network import Network, Progress
    from ...scenario.scenario import Scenario

MOST_JOURNEYS = 24
MOST_BYTES = 2_500_000
"""Of all journeys together (policies that are asked may be many): those that come last are left out above it."""


def document(
    scenario: Scenario, variants: Sequence[str], asked: Sequence[Request] = (), *, engine: str = "fast",
    progress: Progress | None = None, edits: Sequence[str] = (), warn: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The page's document. ``asked``: packets whose journeys are shown first; the others stand for classes of the traffic.
    ``edits``: how the scenario was changed for this call, as on the command line."""
    watch = Watching(asked, len(variants))
    compared = compare(scenario, variants, engine=engine, progress=progress, watch=watch)
    for failure in failures(compared):
        warn(failure)
    return drawn(compared, watch, edits=edits, progress=progress)


class Watching:
    """Sees the waves of every variant's network, and knows the packets that were asked for: one of ``variants`` networks has
    to know each."""

    def __init__(self, asked: Sequence[Request], variants: int) -> None:
        self.asked = asked
        self._flows: dict[str, Flows] = {}               # by variant
        self._drawn: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {}
        self._variants = variants
        self._strange: list[set[str]] = [set() for _ in asked]          # by packet the variants that cannot send it

    def __call__(self, network: Network) -> Flows:
        for request, strange in zip(self.asked, self._strange, strict=True):
            try:
                packet_of(network, request)
            except UsageError:
                strange.add(network.variant)             # once, though its run may be broken off and begun again
                if len(strange) == self._variants:
                    raise
        return self.beside(network)

    def beside(self, network: Network) -> Flows:
        """A network more, which need not know the packets."""
        flows = self._flows[network.variant] = Flows(network)
        self._drawn.pop(network.variant, None)
        return flows

    def drawn(self, network: Network, maps: list[dict[str, Any]], variants: int) -> dict[str, Any]:
        """A network's traffic, one of so many variants, over one of the maps, to which its own is added where it is new."""
        known = self._drawn.get(network.variant)
        if known is None or known[0] != variants:
            known = variants, Map(network).document(), traffic(self._flows[network.variant], variants)
            self._drawn[network.variant] = known
        if known[1] not in maps:
            maps.append(known[1])
        return {"id": network.variant, "map": maps.index(known[1]), **known[2]}


def failures(compared: Comparison) -> dict[str, None]:
    """What the control plane could not do, each sentence once."""
    return dict.fromkeys(one for report in compared.variants for one in report.network.intent.failures)


def drawn(
    compared: Comparison, watch: Watching, *, edits: Sequence[str] = (), progress: Progress | None = None,
    keep: bool = False,
) -> dict[str, Any]:
    """The document of a comparison whose networks were watched. ``keep``: their tables, for the next time."""
    maps: list[dict[str, Any]] = []
    scenario = compared.scenario
    found, count = classes(compared.variants, MOST_JOURNEYS)
    return {
        "apiVersion": documents.API_VERSION, "kind": "Report",
        "scenario": {"name": scenario.name, "description": scenario.file.metadata.description, "file": scenario.path},
        "comparison": json.loads(documents.comparison(compared)), "scopes": TITLES,
        "encaps": {one.name.lower(): {"title": encapsulation(one).title} for one in Encap if one},
        "reasons": {reason.name: reason.remedy for reason in DropReason if reason},
        "variants": [watch.drawn(one.network, maps, len(compared.variants)) for one in compared.variants],
        "maps": maps, "classes": count,
        "journeys": _journeys(compared, watch.asked, found, edits, progress, keep),
    }


def _journeys(
    compared: Comparison, asked: Sequence[Request], found: Sequence[Class], edits: Sequence[str], progress: Progress | None,
    keep: bool,
) -> list[dict[str, Any]]:
    """Variant by variant, so that only one network's tables are in memory."""
    ids = [report.id for report in compared.variants]
    subjects = [Subject(request) for request in asked] + [
        Subject(one.example, one.packets, one.traffic, TITLES[one.outcomes[0].scope],
                {id_: word_of(outcome) for id_, outcome in zip(ids, one.outcomes, strict=True)}) for one in found]
    told: list[dict[str, Any]] = [subject.document(compared.scenario.path, ids, edits) for subject in subjects]
    for report in compared.variants:
        if progress is not None:
            progress(f"{report.id}: journeys", 0)
        for entry, subject in zip(told, subjects, strict=True):
            entry["told"][report.id] = journey(report.network, subject.request)
        if not keep:
            report.network.release()
    sizes = accumulate(len(json.dumps(entry)) for entry in told)
    fitting = sum(size <= MOST_BYTES for size in sizes)
    return told[:max(fitting, len(asked), 1)]
