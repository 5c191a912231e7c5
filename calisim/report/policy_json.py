"""``calisim policy --json``: one document a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..datapath.reference.police import WITH_PORTS, Flow
from ..quantities import format_address
from .json import document, finding, object_, side

if TYPE_CHECKING:
    from ..analysis.lint import Finding
    from ..analysis.policy_applies import DirectionApplied, Listed, PodPolicy, PolicyApplied
    from ..analysis.policy_diff import Change, PolicyDiff
    from ..analysis.policy_hits import HitsReport
    from ..analysis.policy_matrix import ConnectionSets, TruthTable
    from ..analysis.policy_services import Service
    from ..analysis.policy_staged import StagedReport


def list_document(scenario: str, found: Sequence[Listed]) -> str:
    return document("PolicyList", scenario=scenario, policies=[
        {"tier": one.policy.tier, "order": one.policy.order, "kind": one.policy.kind, "name": one.name, "about": one.subject,
         "directions": [way.lower() for way in one.policy.types], "staged": bool(one.policy.staged), "pods": one.pods,
         "rules": one.rules, "file": one.policy.mark.file, "line": one.policy.mark.line} for one in found])


def pod_document(scenario: str, found: PodPolicy) -> str:
    return document(
        "PodPolicy", scenario=scenario, pod=found.pod, podsAlike=found.alike,
        directions=[_direction(one) for one in found.directions])


def _direction(one: DirectionApplied) -> dict[str, Any]:
    return {
        "direction": one.way, "isolated": one.isolated,
        "tiers": [
            {"tier": object_(tier.object), "end": tier.end.name.lower(), "policies": list(map(_applied, tier.policies))}
            for tier in one.tiers],
        "profiles": [_applied(profile) for profile in one.profiles]}


def _applied(one: PolicyApplied) -> dict[str, Any]:
    return {
        "policy": object_(one.object), "order": one.order, "staged": one.staged,
        "rules": [{"rule": object_(rule.object), "says": rule.says} for rule in one.rules]}


def truth_document(scenario: str, found: TruthTable) -> str:
    return document(
        "PolicyMatrix", scenario=scenario, level=found.level, service=found.service,
        sources=[one.name for one in found.sources], destinations=[one.name for one in found.destinations],
        ingress=found.ingress, egress=found.egress, combined=found.combined)


def sets_document(scenario: str, found: ConnectionSets) -> str:
    return document(
        "PolicyConnections", scenario=scenario, level=found.level, pairs=found.pairs, silentPairs=found.silent, connections=[
            {"from": one.source, "to": list(one.destinations), "says": one.says, "allows": _services(one.allowed, found.services)}
            for one in found.rows])


def _services(bits: int, services: Sequence[Service]) -> list[dict[str, Any]]:
    """The classes of a set; protocol null stands for all that no rule names."""
    return [
        {"protocol": one.protocol if one.protocol < 256 else None, "ports": list(one.dports), "sourcePorts": list(one.sports)}
        if one.protocol in WITH_PORTS else {"protocol": one.protocol if one.protocol < 256 else None}
        for position, one in enumerate(services) if bits >> position & 1]


def lint_document(scenario: str, found: Sequence[Finding]) -> str:
    return document("PolicyLint", scenario=scenario, findings=[finding(one) for one in found])


def diff_document(old: str, new: str, found: PolicyDiff) -> str:
    return document(
        "PolicyDiff", old=old, new=new, pairsCompared=found.compared, podsOnlyOld=list(found.only_old),
        podsOnlyNew=list(found.only_new), changes=[_change(one) for one in found.changes])


def _change(one: Change) -> dict[str, Any]:
    return {
        "from": one.source, "to": one.destination, "gained": one.gained, "lost": one.lost,
        "example": {**_flow(one.example), "from": one.ends[0], "to": one.ends[1]},
        **{word: {"allowed": allowed, "sides": [side(each) for each in sides]}
           for word, (allowed, sides) in (("before", one.before), ("after", one.after))}}


def _flow(one: Flow) -> dict[str, Any]:
    return {"src": format_address(one.src), "dst": format_address(one.dst), "protocol": one.protocol, "sport": one.sport,
            "dport": one.dport}


def staged_document(scenario: str, found: StagedReport) -> str:
    return document(
        "PolicyStaged", scenario=scenario, packets=found.packets, unplaced=found.unplaced,
        policies=[object_(one) for one in found.policies],
        wouldBeDenied=found.count(allowed_now=True), wouldBeAllowed=found.count(allowed_now=False),
        flows=[{"traffic": one.traffic, "from": one.source, "to": one.destination, "service": one.service, "packets": one.packets,
                "now": "allowed" if one.allowed_now else "denied", "then": "denied" if one.allowed_now else "allowed",
                "example": {**_flow(one.example), "from": one.ends[0], "to": one.ends[1]}, "decision": side(one.side)}
               for one in found.shifts])


def hits_document(scenario: str, found: HitsReport) -> str:
    return document(
        "PolicyHits", scenario=scenario, packets=found.packets, hits=found.hits,
        rules=[{"direction": one.way, "policy": one.policy, "says": one.says, "hits": one.hits, "rule": object_(one.object)}
               for one in found.rows])
