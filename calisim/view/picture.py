"""What the page shows of one version of a scenario's file: its variants as the file has them, and beside them what was switched.

Every variant's traffic is sent once and kept; a change sends its own only, over a network that takes over what stayed the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..analysis.compare import VariantReport, concluded, measured, refuse_silence, report
from ..analysis.difference import difference
from ..analysis.explain import Request
from ..analysis.network import Network, Progress
from ..analysis.story import story
from ..errors import Mark
from ..parts import Parts
from ..report.page.document import Watching, drawn, failures
from ..scenario.scenario import Scenario
from ..scenario.schema import VariantSpec
from .toggles import Board

SWITCHED = Mark("(switched here)")
NAME = "changed"


class Pictures:
    """Of one scenario. ``ids``: the variants that are shown when nothing is switched; ``asked``: packets to be played first."""

    def __init__(self, scenario: Scenario, ids: Sequence[str], asked: Sequence[Request], engine: str) -> None:
        refuse_silence(scenario)
        self.scenario, self.ids, self.engine = scenario, tuple(ids), engine
        taken = {*scenario.own_variants, *scenario.variant_ids}
        self.name = next(name for name in (NAME, *(f"{NAME}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)
        self._watch = Watching(asked, len(self.ids))
        self._parts = Parts()
        self._networks: dict[str, Network] = {}
        self._boards: dict[str, Board] = {}
        self._reports: dict[str, VariantReport] = {}
        self._whole: dict[str, VariantReport] = {}             # reports with their needs
        self._changed: tuple[object, VariantReport] | None = None
        self._chapters: tuple[Any, ...] | None = None

    def board(self, base: str) -> Board:
        """What can be switched under a variant."""
        if base not in self._boards:
            self._boards[base] = Board(self.scenario, base, self._network(base))
        return self._boards[base]

    def change(self, base: str, choices: Mapping[str, str | bool]) -> VariantSpec:
        return self.board(base).change(choices, self.name)

    def document(
        self, base: str, choices: Mapping[str, str | bool], progress: Progress | None = None, *, needs: bool,
    ) -> dict[str, Any]:
        """``report`` is the page's document, ``difference`` what the choices did (None without any), ``pair`` the variants that
        are to lie side by side. ``needs``: measured, too, which takes several times as long."""
        if self._chapters is None:
            self._chapters = story(self.scenario, self.engine, progress) if self.scenario.spec.steps else ()
        shown = [*self.ids, *([] if base in self.ids else [base])]
        reports = [self._report(id_, progress) for id_ in shown]
        if choices:
            reports.append(self._report_changed(base, choices, progress))
        reports = [self._measured(one, progress) if needs else self._whole.get(one.id, one) for one in reports]
        compared = concluded(self.scenario, self._chapters, tuple(reports))
        made = drawn(compared, self._watch, progress=progress, keep=True)
        for journey in made["journeys"]:
            journey["commands"].pop(self.name, None)           # no file says so yet
        told = asdict(difference(self._reports[base], reports[-1])) if choices else None
        pair = [base, self.name] if choices else [self.ids[0], base] if base not in self.ids else None
        return {
            "report": made, "difference": told, "pair": pair, "whole": needs, "failures": list(failures(compared))}

    def _network(self, id_: str) -> Network:
        if id_ not in self._networks:
            self._networks[id_] = Network(self.scenario, id_, engine=self.engine, parts=self._parts)
        return self._networks[id_]

    def _report(self, id_: str, progress: Progress | None) -> VariantReport:
        if id_ not in self._reports:
            watch = self._watch if id_ in self.ids else self._watch.beside
            self._reports[id_] = report(self._network(id_), progress, watch)
        return self._reports[id_]

    def _report_changed(self, base: str, choices: Mapping[str, str | bool], progress: Progress | None) -> VariantReport:
        wanted = base, dict(choices)
        if self._changed is None or self._changed[0] != wanted:
            self._changed = None                          # broken off, what was watched would not be the old one any more
            self._whole.pop(self.name, None)
            network = self._network(base).changed(self.scenario.varied(self.change(base, choices), SWITCHED))
            self._changed = wanted, report(network, progress, self._watch.beside)
        return self._changed[1]

    def _measured(self, made: VariantReport, progress: Progress | None) -> VariantReport:
        if made.id not in self._whole:
            self._whole[made.id] = measured(made, progress)
        return self._whole[made.id]
