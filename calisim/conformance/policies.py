"""Judges of policy: conversion to Calico's language, defaults, order, and the walk through tiers and profiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..control.objects import Objects
from ..control.policing import Policing
from ..control.policy.order import ordered_policies, ordered_tiers
from ..control.policy.resolve import police
from ..datapath.reference.police import Flow, Police
from ..model.entities import Entities, Pod, Pods, Replicas
from ..scenario import admin_policies, kubernetes_policies
from ..scenario.calico.policing import types_of
from ..scenario.resources import Policy, PolicyResources, PolicyRule, Profile, Tier
from .resources import different

Case = dict[str, Any]
_ADDRESS, _STRANGER = 0x0A000001, 0x0A000002


def kubernetes_policy(case: Case) -> str | None:
    """What a NetworkPolicy becomes, and which of its rules are left out."""
    converted, origins = kubernetes_policies.to_v3(case["input"])
    return _differs(converted["spec"], case["expected"]) or different(
        _left_out(case["input"].get("spec") or {}, origins), case.get("dropped_rules") or {})


def _left_out(spec: Mapping[str, Any], origins: Mapping[str, Iterable[int]]) -> dict[str, list[int]]:
    lost = {way: [number for number in range(len(spec.get(way) or ())) if number not in kept] for way, kept in origins.items()}
    return {way: numbers for way, numbers in lost.items() if numbers}


def cluster_policy(case: Case) -> str | None:
    """What a ClusterNetworkPolicy becomes in Calico."""
    converted = admin_policies.to_v3(case["input"], as_calico=True)
    if converted is None or case["expected"] is None:
        return different(None if converted is None else converted[0], case["expected"])
    return _differs({**converted[0]["spec"], "kind": converted[0]["kind"]}, case["expected"])


def _differs(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    """An empty list says as much as none; annotations do not filter."""
    def said(policy: Mapping[str, Any]) -> dict[str, Any]:
        ways = {way: [{key: value for key, value in rule.items() if key != "metadata"} for rule in policy.get(way) or ()]
                for way in ("ingress", "egress")}
        return {**policy, **ways, "order": float(policy["order"])}

    mine, theirs = said(found), said(expected)
    return different({key: mine.get(key) for key in theirs}, theirs)


def types_default(case: Case) -> str | None:
    """The directions of a Calico policy that does not say them."""
    spec = {way: [{"action": "Allow"}] * case[way] for way in ("ingress", "egress")}
    return different(list(types_of({**spec, "types": case["types"]})), case["expected"])


def ports(case: Case) -> str | None:
    """A list of ports made short."""
    return different(kubernetes_policies.simplify_ports(case["input"]), case["expected"])


def order(case: Case) -> str | None:
    """Who is asked first."""
    if case["kind"] == "tiers":
        found: Any = [one.name for one in ordered_tiers(Tier(one["name"], one["order"]) for one in case["input"])]
    else:
        written = [
            Policy(one.get("kind", "NetworkPolicy"), one["name"], one.get("namespace", ""), order=one["order"])
            for one in case["input"]]
        in_order = ordered_policies(written)
        if "expected_index" in case:
            return different([written.index(policy) for policy in in_order], case["expected_index"])
        found = [policy.name for policy in in_order]
    return different(found, case["expected"])


def evaluation(case: Case) -> str | None:
    """One direction of an endpoint; a case lists the actions of those rules that match."""
    profiles = tuple(Profile(f"p{number}", _rules(actions)) for number, actions in enumerate(case["profiles"]))
    tiers = tuple(
        Tier(tier["name"], number, tier.get("defaultAction") or "Deny") for number, tier in enumerate(case["tiers"]))
    policies = tuple(
        _policy(tier["name"], number, policy) for tier in case["tiers"] for number, policy in enumerate(tier["policies"]))
    resources = PolicyResources(
        tiers, policies, profiles, pod_profiles={("x", "pod"): tuple(profile.name for profile in profiles)})
    found = Police(_policed(resources)).ingress(Flow(_STRANGER, _ADDRESS, 6, 1024, 80))
    return different("allow" if found.allowed else "deny", case["expected"])


def _policy(tier: str, number: int, written: Any) -> Policy:
    staged, actions = (written.get("staged"), written["rules"]) if isinstance(written, dict) else (False, written)
    kind, setting = ("StagedGlobalNetworkPolicy", "Set") if staged else ("GlobalNetworkPolicy", "")
    return Policy(kind, f"{tier}.{number}", tier=tier, order=number, ingress=_rules(actions), staged=setting)


def _rules(actions: Iterable[str]) -> tuple[PolicyRule, ...]:
    return tuple(PolicyRule(action) for action in actions)


def _policed(resources: PolicyResources) -> Policing:
    entities = Entities({}, {}, (), Pods([Replicas.of(Pod("pod", "x", "", {}))]), (), {"x": {}})
    return police(resources, entities, [_ADDRESS], Objects())


TOPICS = {
    "policy_conversion_k8s": kubernetes_policy,
    "cluster_network_policy": cluster_policy,
    "policy_types_default": types_default,
    "simplify_ports": ports,
    "tier_policy_order": order,
    "endpoint_policy_eval": evaluation,
}
