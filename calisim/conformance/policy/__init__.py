"""Cases of network policy suites: who may talk to whom, as the suites state it, against what calisim says.

A folder holds one folder a case: ``cluster.yaml`` and ``policies.yaml`` (what there is), ``expected.json`` (flows with their
verdicts). ``case`` reads the first two and makes a cluster of each model of encapsulation, ``travel`` sends packets through both
engines, and only this judge reads what is expected. A case of a feature that is out of scope is listed, not judged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..files import case_folders, read_json
from .case import MODELS, Model, read
from .travel import ENGINES, Sides, Travel

MAX_BYTES = 64 << 20
OUT_OF_SCOPE = {
    "IPv6": "calisim models IPv4 only",
    "anp-sameLabels-removed": "sameLabels and notSameLabels were removed from the API after v0.1.1",
}
__all__ = [
    "ENGINES", "MODELS", "OUT_OF_SCOPE", "Mismatch", "Model", "PolicyResult", "Sides", "Travel", "judged", "read", "run"]
_ANSWERS = ("verdict", "egress", "ingress")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A flow on which calisim says something else: which side, and what is expected of it; under which engines and models."""

    flow: Mapping[str, Any]
    side: str                              # verdict | egress | ingress
    expected: str
    under: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """One case; ``fault`` says why it could not be run, which is a failure, ``out_of_scope`` names the feature.

    ``alone``: flows of which no packet could tell and the stage was asked. ``unlawful``: its policies that Calico's API would
    refuse and that were read past its validation.
    """

    name: str
    suite: str = ""
    features: tuple[str, ...] = ()
    flows: int = 0
    mismatches: tuple[Mismatch, ...] = ()
    alone: int = 0
    fault: str = ""
    out_of_scope: str = ""
    unlawful: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.fault and not self.mismatches


def run(
    directory: str | os.PathLike[str], names: Iterable[str] | None = None, *, models: Sequence[Model] = MODELS,
    engines: Sequence[str] = ENGINES,
) -> list[PolicyResult]:
    """Every case of the folder (or those named), in the order of their names."""
    folders = case_folders(Path(directory), "cluster.yaml", "policy", names)
    return [judged(folder, models, engines) for folder in folders]


def judged(folder: Path, models: Sequence[Model] = MODELS, engines: Sequence[str] = ENGINES) -> PolicyResult:
    """One case. What cannot be run is a failure that says why."""
    try:
        expected = _expected(folder / "expected.json")
        features = tuple(expected["features"])
        head = PolicyResult(folder.name, expected["suite"], features, len(expected["flows"]))
    except Exception as error:
        return PolicyResult(folder.name, fault=f"expected.json cannot be read: {type(error).__name__}: {error}")
    if beyond := next((feature for feature in features if feature in OUT_OF_SCOPE), ""):
        return replace(head, out_of_scope=beyond)
    try:
        asked = [{key: value for key, value in flow.items() if key not in _ANSWERS} for flow in expected["flows"]]
        found, unlawful = _answers(folder, asked, models, engines)
        mismatches = tuple(_mismatches(expected["flows"], asked, found))
    except Exception as error:             # whatever is wrong with the case: it is told, and the other cases run
        return replace(head, fault=f"the case cannot run: {type(error).__name__}: {error}")
    alone = sum(sides.alone for sides in next(iter(found.values())))
    return replace(head, mismatches=mismatches, alone=alone, unlawful=unlawful)


def _expected(path: Path) -> dict[str, Any]:
    found = read_json(path, MAX_BYTES)
    assert isinstance(found, dict) and isinstance(found["flows"], list)
    return found


def _answers(
    folder: Path, asked: Sequence[Mapping[str, Any]], models: Sequence[Model], engines: Sequence[str],
) -> tuple[dict[str, list[Sides]], tuple[str, ...]]:
    """What is said of the flows, by engine and model; the policies that the API would refuse."""
    found: dict[str, list[Sides]] = {}
    outside = [end for flow in asked for end in (flow["src"], flow["dst"]) if "/" not in end]
    for model in models:
        case = read(folder, model, outside)
        for engine in engines:
            found[f"{engine}, {model.name}"] = Travel(case, engine).verdicts(asked)
    return found, case.unlawful


def _mismatches(
    flows: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]], found: Mapping[str, Sequence[Sides]],
) -> Iterable[Mismatch]:
    for row, (flow, question) in enumerate(zip(flows, asked, strict=True)):
        for side in _ANSWERS:
            under = tuple(how for how, said in found.items() if side in flow and _told(said[row])[side] != flow[side])
            if under:
                yield Mismatch(question, side, flow[side], under)


def _told(sides: Sides) -> dict[str, str]:
    said = {"egress": sides.egress, "ingress": sides.ingress, "verdict": sides.egress and sides.ingress}
    return {side: "allow" if allowed else "deny" for side, allowed in said.items()}
