"""Cases of network policy suites: who may talk to whom, as the suites state it, against what calisim says.

A folder holds one folder a case: ``cluster.yaml`` and ``policies.yaml`` (what there is), ``expected.json`` (flows with their
verdicts). ``case`` reads the first two, ``evaluate`` answers, and only this judge reads what is expected; the evaluator is
handed a flow without its verdict. A case of a feature that is out of scope is listed, not judged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .case import Case, read
from .evaluate import Evaluator, Sides

MAX_BYTES = 64 << 20
OUT_OF_SCOPE = {
    "IPv6": "calisim models IPv4 only",
    "anp-sameLabels-removed": "sameLabels and notSameLabels were removed from the API after v0.1.1",
}
_ANSWERS = ("verdict", "egress", "ingress")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A flow on which calisim says something else: which side, and what is expected of it."""

    flow: Mapping[str, Any]
    side: str                              # verdict | egress | ingress
    expected: str


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """One case; ``fault`` says why it could not be run, which is a failure, ``out_of_scope`` names the feature.

    ``unlawful``: its policies that Calico's API would refuse and that were read past its validation.
    """

    name: str
    suite: str = ""
    features: tuple[str, ...] = ()
    flows: int = 0
    mismatches: tuple[Mismatch, ...] = ()
    fault: str = ""
    out_of_scope: str = ""
    unlawful: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.fault and not self.mismatches


def run(directory: str | os.PathLike[str], names: Iterable[str] | None = None) -> list[PolicyResult]:
    """Every case of the folder (or those named), in the order of their names."""
    return [judged(folder) for folder in _folders(Path(directory), None if names is None else list(names))]


def _folders(directory: Path, names: Sequence[str] | None) -> list[Path]:
    if not directory.is_dir():
        raise UsageError(f"{directory} is no folder; policy cases are a folder with one folder a case")
    found = {path.parent.name: path.parent for path in sorted(directory.glob("*/cluster.yaml"))}
    if not found:
        raise UsageError(f"{directory} holds no CASE/cluster.yaml")
    if unknown := [name for name in names or () if name not in found]:
        raise UsageError(f"{directory} has no case {', '.join(unknown)}")
    return [found[name] for name in names or found]


def judged(folder: Path) -> PolicyResult:
    """One case. What cannot be run is a failure that says why."""
    try:
        expected = _expected(folder / "expected.json")
        features = tuple(expected["features"])
        head = PolicyResult(folder.name, expected["suite"], features, len(expected["flows"]))
    except Exception as error:
        return PolicyResult(folder.name, fault=f"expected.json cannot be read: {type(error).__name__}: {error}")
    if beyond := next((feature for feature in features if feature in OUT_OF_SCOPE), ""):
        return PolicyResult(head.name, head.suite, features, head.flows, out_of_scope=beyond)
    try:
        case, asked = _asked(folder, expected["flows"])
        mismatches = tuple(_mismatches(case, expected["flows"], asked))
    except Exception as error:             # whatever is wrong with the case: it is told, and the other cases run
        return PolicyResult(head.name, head.suite, features, head.flows,
                            fault=f"the case cannot run: {type(error).__name__}: {error}")
    return PolicyResult(head.name, head.suite, features, head.flows, mismatches, unlawful=case.unlawful)


def _expected(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has more than {MAX_BYTES:,} bytes")
    found = json.loads(path.read_bytes())
    assert isinstance(found, dict) and isinstance(found["flows"], list)
    return found


def _asked(folder: Path, flows: Sequence[Mapping[str, Any]]) -> tuple[Case, list[dict[str, Any]]]:
    """The case, and its flows without what is expected of them."""
    asked = [{key: value for key, value in flow.items() if key not in _ANSWERS} for flow in flows]
    return read(folder, [end for flow in asked for end in (flow["src"], flow["dst"]) if "/" not in end]), asked


def _mismatches(case: Case, flows: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]]) -> Iterable[Mismatch]:
    verdict = Evaluator(case).verdict
    for flow, question in zip(flows, asked, strict=True):
        found = _told(verdict(question))
        for side in _ANSWERS:
            if side in flow and found[side] != flow[side]:
                yield Mismatch(question, side, flow[side])


def _told(sides: Sides) -> dict[str, str]:
    said = {"egress": sides.egress, "ingress": sides.ingress, "verdict": sides.egress and sides.ingress}
    return {side: "allow" if allowed else "deny" for side, allowed in said.items()}
