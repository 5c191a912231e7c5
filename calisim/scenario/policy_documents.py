"""Documents of every policy language → :class:`~calisim.scenario.resources.PolicyResources`.

One reader a kind. Each document has been judged by its kind's rules already; what it says in another language becomes
Calico's. What Calico takes but calisim leaves aside is noted, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import Mark
from . import admin_policies, kubernetes_policies
from .calico import legacy_policies, policing
from .calico.policies import BUILT_IN_TIERS
from .calico.rules import Fault, suggestion, without_blanks
from .documents import Document
from .kubernetes_policies import Origins
from .resources import HostEndpoint, NetworkSet, Policy, PolicyResources, Profile, Tier

KUBERNETES_TIERS = {"adminnetworkpolicy": (1_000, "Pass"), "baselineadminnetworkpolicy": (10_000_000, "Pass")}
TIERS: dict[str, tuple[float, str]] = {**BUILT_IN_TIERS, **KUBERNETES_TIERS}
Note = Callable[[Document, str], None]

_IPV6 = "its IPv6 rules are left aside: calisim models IPv4 only"
_HTTP = "http is judged by a proxy beside the pod, not in the datapath: the rest of the rule decides"
_WITH_PRIORITY = ("AdminNetworkPolicy", "ClusterNetworkPolicy")
_BEYOND = "nodes peers and ClusterNetworkPolicy's named ports mean what the API says; Calico itself does not convert them"


@dataclass(slots=True)
class PolicyDocuments:
    """What is known after the documents read so far."""

    note: Note
    tiers: dict[str, Tier] = field(default_factory=dict)
    policies: list[tuple[Policy, Document]] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    network_sets: list[NetworkSet] = field(default_factory=list)
    host_endpoints: list[HostEndpoint] = field(default_factory=list)
    accounts: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    pod_profiles: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def read(self, document: Document) -> None:
        one, notes = document.told(_alone)
        for meaning in notes:
            self.note(document, meaning)
        self.policies += one.policies
        self.profiles += one.profiles
        self.network_sets += one.network_sets
        self.host_endpoints += one.host_endpoints
        self.tiers |= one.tiers
        self.accounts |= one.accounts
        self.pod_profiles |= one.pod_profiles

    # --- one method a kind ------------------------------------------------------------------------------------------

    def policy(self, document: Document) -> None:
        if document.api_version.startswith("networking.k8s.io/"):
            self.kubernetes_policy(document)
        else:
            self.add(document, document.value, _as_written(document), document.kind)

    def v1_policy(self, document: Document) -> None:
        self.add(document, legacy_policies.policy_to_v3(document.value), _as_written(document), "GlobalNetworkPolicy")

    def kubernetes_policy(self, document: Document) -> None:
        value, origins = kubernetes_policies.to_v3(kubernetes_policies.defaulted(document.value))
        self.add(document, value, _as_converted(document, origins), "KubernetesNetworkPolicy")

    def staged_kubernetes_policy(self, document: Document) -> None:
        value, origins = kubernetes_policies.to_v3(kubernetes_policies.defaulted(document.value))
        value["spec"]["stagedAction"] = (document.value.get("spec") or {}).get("stagedAction")
        self.add(document, value, _as_converted(document, origins), document.kind)

    def admin_policy(self, document: Document) -> None:
        converted = admin_policies.to_v3(document.value)
        assert converted is not None                 # its rules ask for a tier and a subject
        value, origins, refused = converted
        for rule in refused:
            self.note(document, f"{rule}; as in Calico, Deny and Pass then deny everything and Allow is left out")
        strict = admin_policies.to_v3(document.value, as_calico=True)
        if strict is not None and len(strict[2]) > len(refused):
            self.note(document, _BEYOND)
        self.add(document, value, _as_converted(document, origins), f"Kubernetes{document.kind}")

    def add(self, document: Document, value: Mapping[str, Any], place: policing.Place, calico_kind: str) -> None:
        policy = policing.policy(value, place, document.mark, document.kind, calico_kind)
        self.policies.append((policy, document))
        self.look_over(document, value, len(policy.ingress) + len(policy.egress))

    def look_over(self, document: Document, value: Mapping[str, Any], kept: int) -> None:
        """Notes on what the rules say and calisim leaves aside."""
        rules = list(_rules(value))
        if len(rules) > kept:
            self.note(document, _IPV6)
        if any(rule.get("http") for rule in rules):
            self.note(document, _HTTP)

    def tier(self, document: Document) -> None:
        self.tiers[document.name] = policing.tier(document.value, document.mark)

    def profile(self, document: Document) -> None:
        value = _as_v3(document)
        profile = policing.profile(value, _as_written(document), document.mark)
        self.profiles.append(profile)
        self.look_over(document, value, len(profile.ingress) + len(profile.egress))

    def network_set(self, document: Document) -> None:
        found = policing.network_set(document.value, document.mark)
        self.network_sets.append(found)
        if len(found.nets) < len((document.value.get("spec") or {}).get("nets") or ()):
            self.note(document, "its IPv6 nets are left aside: calisim models IPv4 only")

    def host_endpoint(self, document: Document) -> None:
        self.host_endpoints.append(policing.host_endpoint(_as_v3(document), document.mark))

    def service_account(self, document: Document) -> None:
        labels = (document.value.get("metadata") or {}).get("labels") or {}
        self.accounts[document.namespace, document.name] = dict(labels)

    def workload_endpoint(self, document: Document) -> None:
        """Its profiles count for the pod that it names; addresses and interfaces are calisim's own business."""
        spec = document.value.get("spec") or {}
        if spec.get("pod") and spec.get("profiles") is not None:
            self.pod_profiles[document.namespace, spec["pod"]] = tuple(spec["profiles"])
        else:
            self.note(document, "only the profiles that it gives to a pod are read; calisim allocates addresses itself")

    # --- all together -----------------------------------------------------------------------------------------------

    def note_equal_priorities(self) -> None:
        """The API leaves open which of them is asked first."""
        ranks: dict[tuple[str, float | None], list[tuple[Policy, Document]]] = {}
        for policy, document in self.policies:
            if policy.kind in _WITH_PRIORITY:
                ranks.setdefault((policy.tier, policy.order), []).append((policy, document))
        for (_, priority), equal in ranks.items():
            meaning = f"of equal priority {priority:g}, so the API leaves open who is asked first; Calico goes by name"
            for _, document in equal if len(equal) > 1 else ():
                self.note(document, meaning)

    def faults(self) -> Iterator[tuple[Document, Fault]]:
        """Policies of tiers that nobody described."""
        known = {*TIERS, *self.tiers}
        for policy, document in self.policies:
            if policy.tier not in known:
                yield document, Fault(
                    f"there is no tier {policy.tier}", suggestion(policy.tier, known) or "add a Tier document", ("spec", "tier"))

    def resources(self) -> PolicyResources:
        policies = tuple(policy for policy, _ in self.policies if policy.tier in TIERS or policy.tier in self.tiers)
        used = {policy.tier for policy in policies}
        built_in = (Tier(name, order, action) for name, (order, action) in TIERS.items() if name in used)
        tiers = {**{tier.name: tier for tier in built_in}, **self.tiers}
        return PolicyResources(
            tuple(tiers.values()), policies, tuple(self.profiles), tuple(self.network_sets), tuple(self.host_endpoints),
            self.accounts, self.pod_profiles)


def _alone(document: Document) -> tuple[PolicyDocuments, list[str]]:
    """What is known after this document alone, and the notes on it."""
    notes: list[str] = []
    made = PolicyDocuments(lambda _, meaning: notes.append(meaning))
    READERS[document.kind](made, replace(document, value=without_blanks(document.value)))
    return made, notes


def _rules(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    spec = value.get("spec") or {}
    for direction in ("ingress", "egress"):
        yield from spec.get(direction) or ()


def _as_v3(document: Document) -> Mapping[str, Any]:
    convert = legacy_policies.CONVERTED.get(document.kind)
    return convert(document.value) if convert else document.value


def _as_written(document: Document) -> policing.Place:
    def place(direction: str, number: int) -> tuple[str, Mark]:
        return f"{direction}[{number}]", document.mark_of("spec", direction, number)
    return place


def _as_converted(document: Document, origins: Origins) -> policing.Place:
    """The rule of the document that a converted one was made from; named, where the document names it."""
    def place(direction: str, number: int) -> tuple[str, Mark]:
        origin = origins[direction][number]
        name = (document.value["spec"][direction][origin] or {}).get("name")
        return f"{direction}[{origin}]" + (f" {name}" if name else ""), document.mark_of("spec", direction, origin)
    return place


_POLICIES = ("NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "StagedGlobalNetworkPolicy")
READERS: dict[str, Callable[[PolicyDocuments, Document], None]] = {
    **dict.fromkeys(_POLICIES, PolicyDocuments.policy),
    "StagedKubernetesNetworkPolicy": PolicyDocuments.staged_kubernetes_policy,
    **dict.fromkeys(admin_policies.RULES, PolicyDocuments.admin_policy),
    "Tier": PolicyDocuments.tier,
    "policy": PolicyDocuments.v1_policy,
    **dict.fromkeys(("Profile", "profile"), PolicyDocuments.profile),
    **dict.fromkeys(("NetworkSet", "GlobalNetworkSet"), PolicyDocuments.network_set),
    **dict.fromkeys(("HostEndpoint", "hostEndpoint"), PolicyDocuments.host_endpoint),
    "ServiceAccount": PolicyDocuments.service_account,
    "WorkloadEndpoint": PolicyDocuments.workload_endpoint,
}
KINDS = {
    "projectcalico.org": (
        *_POLICIES, "StagedKubernetesNetworkPolicy", "Tier", "Profile", "NetworkSet", "GlobalNetworkSet", "HostEndpoint",
        "WorkloadEndpoint"),
    "networking.k8s.io": ("NetworkPolicy",),
    "policy.networking.k8s.io": tuple(admin_policies.RULES),
    "": ("ServiceAccount", *legacy_policies.RULES),
}
