"""The smallest change of policy that lets one denied flow pass one side: a document to apply, least privilege, or advice.

What nobody allowed needs one more policy that does; what a rule denied needs one that is asked before it. Kubernetes'
NetworkPolicy is preferred where it can say it. The document is also what :func:`edit_of` really adds to the topology.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml

from ..datapath.reference.police import ICMP
from ..quantities import format_address
from ..scenario.policy_documents import PolicyDocuments
from ..scenario.reader import parse
from ..scenario.resources import Policy
from ..scenario.unpack import unpack
from .policy_book import Book, object_of
from .policy_words import protocol_name
from .policy_walk import Side

if TYPE_CHECKING:
    from ..model.entities import Pod
    from ..model.topology import Topology

NAMESPACE_NAME = "kubernetes.io/metadata.name"
# Labels that controllers put on the pods of one revision or one pod: a policy that asks for them dies with it.
_FLEETING = frozenset({"pod-template-hash", "controller-revision-hash", "pod-template-generation",
                       "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"})
_LONGEST = 50           # of a name, its end apart
_WITH_PORTS = {6: "TCP", 17: "UDP", 132: "SCTP"}
_WITH_PRIORITY = ("AdminNetworkPolicy", "ClusterNetworkPolicy")


@dataclass(frozen=True, slots=True)
class PolicyCure:
    """``document`` is YAML to apply with ``tool``; "" where only ``advice`` can be given."""

    document: str
    tool: str = "kubectl"
    advice: str = ""


def cure_of_side(book: Book, side: Side) -> PolicyCure:
    """How to let through what this side denied."""
    subject = book.pod(book.owner(side.flow.dst if side.way == "ingress" else side.flow.src))
    assert subject is not None and not side.allowed
    asked = _Flow(book, side, subject)
    if side.tier is None:
        name = side.profiles[-1].object.name if side.profiles else "of the pod"
        return PolicyCure("", advice=f"add an Allow rule to the profile {name}: no tier decided, and no profile allows it")
    if side.tier.by_default:
        tier = side.tier.object.name
        if tier == "default" and side.flow.protocol in _WITH_PORTS:
            return PolicyCure(_text(asked.kubernetes()))
        return PolicyCure(_text(asked.calico(tier, None)), "calicoctl")
    return _before(book, side, asked)


def _before(book: Book, side: Side, asked: _Flow) -> PolicyCure:
    """Something that is asked before the policy whose rule denies."""
    assert side.policy is not None and side.decided_by is not None and side.tier is not None
    denier = next(one for one in book.policies if object_of(one) == side.policy)
    if denier.kind in _WITH_PRIORITY and denier.order and (document := asked.admin(denier)) is not None:
        return PolicyCure(_text(document))
    if denier.kind not in (*_WITH_PRIORITY, "BaselineAdminNetworkPolicy"):
        orders = [one.order for one in book.policies if one.tier == denier.tier and one.order is not None]
        order = max(orders, default=0) + 1 if denier.order is None else denier.order - 1
        return PolicyCure(_text(asked.calico(denier.tier, order)), "calicoctl")
    return PolicyCure("", advice=(
        f"put a rule that allows {asked.service} {'from' if side.way == 'ingress' else 'to'} {asked.far_name} before "
        f"{side.decided_by.name} ({side.decided_by.mark})"))


def edit_of(cure: PolicyCure, topology: Topology) -> Topology:
    """The topology with the cure's document applied."""
    written, _ = parse(cure.document, "(cure)")
    policy = topology.resources.policy
    read = PolicyDocuments(note=lambda document, meaning: None, tiers={tier.name: tier for tier in policy.tiers})
    for document in unpack(written)[0]:
        read.read(document)
    added = read.resources()
    changed = replace(policy, tiers=added.tiers, policies=(*policy.policies, *added.policies))
    return replace(topology, resources=replace(topology.resources, policy=changed))


@dataclass(frozen=True)
class _Flow:
    """One flow at one side, as each language would allow it."""

    book: Book
    side: Side
    subject: Pod

    @property
    def far_address(self) -> int:
        return self.side.flow.src if self.side.way == "ingress" else self.side.flow.dst

    @property
    def far(self) -> Pod | None:
        return self.book.pod(self.book.owner(self.far_address))

    @property
    def far_name(self) -> str:
        return self.far.id if self.far else format_address(self.far_address)

    @property
    def service(self) -> str:
        port = f" {self.side.flow.dport}" if self.side.flow.protocol in _WITH_PORTS else ""
        return f"{protocol_name(self.side.flow.protocol)}{port}"

    @property
    def name(self) -> str:
        """A name for the new policy: who, to whom, what; each end's is one of its own."""
        near, far = self.subject.group or self.subject.name, self.far.group or self.far.name if self.far else "outside"
        sender, receiver = (far, near) if self.side.way == "ingress" else (near, far)
        words = re.sub(r"[^a-z0-9]+", "-", f"allow-{sender}-to-{receiver}-{self.service}".lower())
        return f"{words[:_LONGEST].strip('-')}-{self.side.way}"

    def kubernetes(self) -> dict[str, Any]:
        ingress = self.side.way == "ingress"
        rule = {"from" if ingress else "to": [self._peer()],
                "ports": [{"protocol": _WITH_PORTS[self.side.flow.protocol], "port": self.side.flow.dport}]}
        return {
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": self.name, "namespace": self.subject.namespace},
            "spec": {"podSelector": _match_labels(self.subject), "policyTypes": [self.side.way.capitalize()],
                     self.side.way: [rule]}}

    def _peer(self) -> dict[str, Any]:
        if self.far is None:
            return {"ipBlock": {"cidr": f"{format_address(self.far_address)}/32"}}
        peer: dict[str, Any] = {"podSelector": _match_labels(self.far)}
        if self.far.namespace != self.subject.namespace:
            peer = {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: self.far.namespace}}, **peer}
        return peer

    def calico(self, tier: str, order: float | None) -> dict[str, Any]:
        flow, ingress = self.side.flow, self.side.way == "ingress"
        rule: dict[str, Any] = {"action": "Allow", "protocol": _calico_protocol(flow.protocol)}
        if flow.protocol in ICMP:
            rule["icmp"] = {"type": flow.icmp[0], "code": flow.icmp[1]}
        far: dict[str, Any] = {"nets": [f"{format_address(self.far_address)}/32"]}
        if self.far is not None:
            far = {"selector": _selector(self.far)}
            if self.far.namespace != self.subject.namespace:
                far["namespaceSelector"] = f"{NAMESPACE_NAME} == '{self.far.namespace}'"
        rule["source" if ingress else "destination"] = far
        if flow.protocol in _WITH_PORTS:
            rule["destination"] = {**rule.get("destination", {}), "ports": [flow.dport]}
        spec: dict[str, Any] = {} if tier == "default" else {"tier": tier}
        if order is not None:
            spec["order"] = int(order) if order == int(order) else order
        spec |= {"selector": _selector(self.subject), "types": [self.side.way.capitalize()], self.side.way: [rule]}
        name = self.name if tier == "default" else f"{tier}.{self.name}"
        return {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
                "metadata": {"name": name, "namespace": self.subject.namespace}, "spec": spec}

    def admin(self, denier: Policy) -> dict[str, Any] | None:
        """A policy of the denier's kind and one priority before it; None where its language cannot say it."""
        flow, ingress = self.side.flow, self.side.way == "ingress"
        if flow.protocol not in _WITH_PORTS or (ingress and self.far is None):
            return None
        word = _WITH_PORTS[flow.protocol]
        peer: dict[str, Any] = {"networks": [f"{format_address(self.far_address)}/32"]}
        if self.far is not None:
            peer = {"pods": _pods(self.far)}
        rule: dict[str, Any] = {"name": self.name, "from" if ingress else "to": [peer]}
        spec: dict[str, Any] = {"priority": int(denier.order or 0) - 1, "subject": {"pods": _pods(self.subject)}}
        if denier.kind == "AdminNetworkPolicy":
            version = "v1alpha1"
            rule |= {"action": "Allow", "ports": [{"portNumber": {"protocol": word, "port": flow.dport}}]}
        else:
            version = "v1alpha2"
            rule |= {"action": "Accept", "protocols": [{word.lower(): {"destinationPort": {"number": flow.dport}}}]}
            spec = {"tier": "Baseline" if "baseline" in denier.tier else "Admin", **spec}
        return {"apiVersion": f"policy.networking.k8s.io/{version}", "kind": denier.kind, "metadata": {"name": self.name},
                "spec": {**spec, self.side.way: [rule]}}


def _calico_protocol(number: int) -> str | int:
    name = protocol_name(number)
    return name if name in ("TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "UDPLite") else number


def lasting_labels(pod: Pod) -> dict[str, str]:
    return {key: value for key, value in sorted(pod.labels.items()) if key not in _FLEETING}


def _match_labels(pod: Pod) -> dict[str, Any]:
    labels = lasting_labels(pod)
    return {"matchLabels": labels} if labels else {}


def _selector(pod: Pod) -> str:
    return " && ".join(f"{key} == '{value}'" for key, value in lasting_labels(pod).items()) or "all()"


def _pods(pod: Pod) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: pod.namespace}}, "podSelector": _match_labels(pod)}


def _text(document: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return text
