"""What is wrong with policies, found without a packet: documents that cannot mean what they say. One function a question.

What follows from all policies together (rules that never decide, ends that deny each other's permissions) is found by
:mod:`.policy_usage` over everything that policy can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..control.intent import Object
from ..control.policy.order import ordered_tiers
from ..control.policy.scopes import policy_selector
from ..errors import Mark
from ..quantities import Prefix, format_address, parse_address
from ..scenario.policy_documents import TIERS
from ..scenario.resources import EntityRule, Policy, PolicyRule, Tier
from .lint import Finding
from .policy_applies import pods_by_policy
from .policy_book import WAYS, Book, name_of, object_of
from .policy_words import peer_words, protocol_name, subject_words

if TYPE_CHECKING:
    from .network import Network, Progress

_ADMIN = ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy")
_WITH_PRIORITY = ("AdminNetworkPolicy", "ClusterNetworkPolicy")
_KUBERNETES = (("NetworkPolicy", "networking.k8s.io"), ("StagedKubernetesNetworkPolicy", "projectcalico.org"))


@dataclass(frozen=True)
class Facts:
    """What all checks look at."""

    book: Book

    @cached_property
    def pods(self) -> dict[Object, int]:
        return pods_by_policy(self.book)

    @cached_property
    def addresses(self) -> np.ndarray:
        """Of all pods, in order."""
        return np.array(sorted(self.book.policing.addresses), np.int64)

    @cached_property
    def service_addresses(self) -> dict[int, str]:
        """ClusterIPs and other addresses of services, with the service's name."""
        found: dict[int, str] = {}
        for document in self.book.network.scenario.documents:
            if document.kind == "Service":
                spec = document.value.get("spec") or {}
                texts = [spec.get("clusterIP"), *(spec.get("clusterIPs") or ()), *(spec.get("externalIPs") or ()),
                         spec.get("loadBalancerIP")]
                for text in texts:
                    try:
                        found[parse_address(str(text))] = f"{document.namespace}/{document.name}"
                    except ValueError:
                        continue                 # None, headless, or IPv6
        return found

    @cached_property
    def tunnels(self) -> dict[str, list[tuple[str, int, int]]]:
        """By variant of the comparison: (node, address, tunnel address) of each node that has a tunnel there."""
        from .network import Network

        found = {}
        for variant in self.book.network.scenario.variant_ids:
            routers = Network(self.book.network.scenario, variant).intent.routers
            found[variant] = [
                (router.name, router.address, tunnel) for router in routers
                for tunnel in (router.ipip_address, router.vxlan_address) if tunnel]
        return found

    def pods_in(self, net: Prefix) -> int:
        low, high = np.searchsorted(self.addresses, [net.network, net.last + 1])
        return int(high - low)

    def chains(self) -> Iterator[tuple[int, str, Policy]]:
        """Every chain of a policy with its direction, in the order of their numbers."""
        seen = set()
        for program, way in self._programs():
            for chain in self.book.policing.programs[program - 1].chains:
                owner = self.book.owner_of(chain)
                if chain not in seen and isinstance(owner, Policy):
                    seen.add(chain)
                    yield chain, way, owner

    def _programs(self) -> Iterator[tuple[int, str]]:
        pairs = {(getattr(identity, f"{prefix}{way}"), way) for identity in self.book.policing.identities for way in WAYS
                 for prefix in ("", "staged_")}
        yield from sorted(pair for pair in pairs if pair[0])


def title(policy: Policy) -> str:
    return f"{policy.kind} {name_of(policy)}"


def findings(network: Network, progress: Progress | None = None) -> list[Finding]:
    """All findings in the order of the files."""
    from .policy_usage import usage_findings

    facts = Facts(Book(network))
    found = [finding for check in _CHECKS for finding in check(facts)]
    found += usage_findings(facts.book, progress)
    return sorted(dict.fromkeys(found), key=lambda one: (one.mark.file, one.mark.line, one.mark.column, one.code))


def _selects_nothing(facts: Facts) -> Iterator[Finding]:
    hosts = facts.book.network.topology.resources.policy.host_endpoints
    for policy in facts.book.policies:
        if facts.pods.get(object_of(policy)):
            continue
        selector = policy_selector(policy)
        if any(selector.matches(host.labels) for host in hosts) or policy.staged == "Delete":
            continue
        pods = facts.book.network.topology.entities.pods
        running = sum(not policy.namespace or pod.namespace == policy.namespace for pod in pods)
        why = f"of {running:,}" + (f" in namespace {policy.namespace}" if policy.namespace else "")
        yield Finding(
            "SELECTS_NOTHING", "warning", f"{title(policy)} is about {subject_words(policy)}, and no pod is chosen ({why})",
            "compare the selector with the pods' labels (calisim policy SCENARIO --pod X), or remove the policy", policy.mark)


def _rule_selects_nothing(facts: Facts) -> Iterator[Finding]:
    for chain, way, policy in facts.chains():
        for rule, written in facts.book.rules_of(chain, way):
            for side, entity in ((rule.source, written.source), (rule.destination, written.destination)):
                empty = [number for number in side.sets if not _anybody(facts, number)]
                if empty and not entity.service:
                    yield Finding(
                        "RULE_SELECTS_NOTHING", "warning",
                        f"{_rule(policy, written)} chooses nobody by one of its peers: there are no "
                        f"{peer_words(entity, policy.namespace)}", "mend the selector, or remove the peer", written.mark)


def _anybody(facts: Facts, number: int) -> bool:
    found = facts.book.policing.sets[number - 1]
    return bool(found.identities or found.nets)


def _names_service(facts: Facts) -> Iterator[Finding]:
    for policy, _, written in _rules(facts):
        for net in (*written.source.nets, *written.destination.nets):
            named = next((address for address in facts.service_addresses if address in net), None)
            if named is not None and not facts.pods_in(net):
                yield Finding(
                    "NAMES_SERVICE", "error",
                    f"{_rule(policy, written)} names {net}, and {format_address(named)} is the address of service "
                    f"{facts.service_addresses[named]}: policy sees the pod's address and port behind it, so this never matches",
                    "select the pods behind the service, with the port that they listen on", written.mark)


def _log_only(facts: Facts) -> Iterator[Finding]:
    tiers = _tiers(facts)
    for policy in facts.book.policies:
        for way in WAYS:
            rules = policy.ingress if way == "ingress" else policy.egress
            ends = tiers[policy.tier].default_action
            if rules and all(rule.action == "Log" for rule in rules) and ends == "Deny" and way.capitalize() in policy.types:
                yield Finding(
                    "LOG_ONLY", "warning",
                    f"{title(policy)} only logs {way}, but that it applies is enough for tier {policy.tier} to deny what no "
                    "other policy allows",
                    "end it with {action: Pass} (another tier decides) or {action: Allow}", rules[0].mark)


def _equal_order(facts: Facts) -> Iterator[Finding]:
    """Policies of one tier and order that speak against each other about the same pods."""
    ranks: dict[tuple[str, float | None], list[Policy]] = {}
    for policy in facts.book.policies:
        if not policy.staged:
            ranks.setdefault((policy.tier, policy.order), []).append(policy)
    for (tier, order), equal in ranks.items():
        if len(equal) > 1 and any(_actions(policy) - {"Allow", "Log"} for policy in equal):
            yield from _disagreeing(facts, tier, order, equal)


def _disagreeing(facts: Facts, tier: str, order: float | None, equal: list[Policy]) -> Iterator[Finding]:
    chosen = {id(policy): _identities(facts, policy) for policy in equal}
    for position, policy in enumerate(equal):
        for other in equal[:position][:200]:
            differ = len(_actions(policy) | _actions(other)) > 1
            if differ and chosen[id(policy)] & chosen[id(other)] and set(policy.types) & set(other.types):
                word, plural_ = ("priority", "priorities") if policy.kind in _WITH_PRIORITY else ("order", "orders")
                said = "none" if order is None else f"{order:g}"
                undefined = "the API leaves open who is asked first, and Calico" if policy.kind in _WITH_PRIORITY else "Calico"
                yield Finding(
                    "EQUAL_ORDER", "warning",
                    f"{title(policy)} and {title(other)} ({other.mark}) have one {word} ({said}, tier {tier}), choose the same "
                    f"pods and disagree: {undefined} goes by name", f"give them different {plural_}", policy.mark)
                break


def _identities(facts: Facts, policy: Policy) -> frozenset[int]:
    selector = policy_selector(policy)
    identities = enumerate(facts.book.policing.identities, 1)
    return frozenset(number for number, identity in identities if selector.matches(identity.labels))


def _actions(policy: Policy) -> set[str]:
    return {rule.action for rule in (*policy.ingress, *policy.egress)} - {"Log"}


def _no_such_port(facts: Facts) -> Iterator[Finding]:
    """A port's name that nobody gives: for ingress, none of the pods that the policy is about.

    An admin policy's name means the port of any protocol, so all that was made of one rule is looked at together.
    """
    port_sets = {(found.name, found.protocol): found for found in facts.book.policing.port_sets}
    asked: dict[tuple[Mark, str], tuple[Policy, str, PolicyRule]] = {}
    answered: set[tuple[Mark, str]] = set()
    for policy, way, written in _rules(facts):
        for name in written.destination.named_ports:
            asked.setdefault((written.mark, name), (policy, way, written))
            found = port_sets.get((name, written.protocol or 6))
            mine = _identities(facts, policy) if way == "ingress" else None
            if found is None or found.hosts or any(mine is None or identity in mine for identity in found.numbers):
                answered.add((written.mark, name))
    for key, (policy, way, written) in asked.items():
        if key not in answered:
            who = f"none of {subject_words(policy)}" if way == "ingress" else "no pod"
            word = f"{protocol_name(written.protocol)} " if policy.kind not in _ADMIN and written.protocol else ""
            yield Finding(
                "NO_SUCH_PORT", "warning",
                f"{_rule(policy, written)}: {who} has a {word}port named {key[1]}, so it matches nothing",
                "name the port in the pods' containers, or write its number", written.mark)


def _net_covers_pods(facts: Facts) -> Iterator[Finding]:
    for policy, way, written in _rules(facts):
        far = written.source if way == "ingress" else written.destination
        for net in far.nets:
            held = facts.pods_in(net) - sum(facts.pods_in(one) for one in far.not_nets if net.covers(one))
            if held > 0 and net.length < 32:
                yield Finding(
                    "NET_COVERS_PODS", "warning",
                    f"{_rule(policy, written)} names {net}, which holds the addresses of {held:,} pods: Calico matches them, too "
                    "(other network plugins do not)",
                    f"say who is meant: pods by their labels, and {net} except the pods' pools for the rest", written.mark)


def _nodes_without_tunnels(facts: Facts) -> Iterator[Finding]:
    """Who lets nodes in by their addresses needs their tunnel addresses, too, in variants that have tunnels."""
    nodes = [router.address for router in facts.book.network.intent.routers]
    for policy, way, written in _rules(facts):
        if way != "ingress" or written.action != "Allow" or not any(_is_in(written.source, node) for node in nodes):
            continue
        allowed = [rule.source for rule in policy.ingress if rule.action == "Allow"]
        for variant, tunnels in facts.tunnels.items():
            lacking = [
                (name, tunnel) for name, address, tunnel in tunnels
                if _is_in(written.source, address) and not any(_is_in(side, tunnel) for side in allowed)]
            if lacking:
                (name, tunnel), others = lacking[0], f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
                yield Finding(
                    "NODES_BY_ADDRESS", "warning",
                    f"{_rule(policy, written)} lets nodes in by their addresses; under {variant} what they send through a "
                    f"tunnel comes from its address ({name}: {format_address(tunnel)}{others}), which it does not allow",
                    "allow the tunnel addresses, too (calisim ipam shows them), or take a variant without tunnels", written.mark)


def _is_in(side: EntityRule, address: int) -> bool:
    """Whether the side names nets that hold the address."""
    return any(address in net for net in side.nets) and not any(address in net for net in side.not_nets)


def _pass_in_last_tier(facts: Facts) -> Iterator[Finding]:
    tiers = ordered_tiers(_tiers(facts).values())
    used = {policy.tier for policy in facts.book.policies if not policy.staged} | {"default"}
    last = [tier.name for tier in tiers if tier.name in used][-1]
    for policy, _, written in _rules(facts):
        if policy.tier == last and written.action == "Pass":
            yield Finding(
                "PASS_IN_LAST_TIER", "warning",
                f"{_rule(policy, written)} passes on from tier {last}, after which no tier has a policy: what it matches goes to "
                "the profiles, and a namespace's profile allows everything",
                "say Allow or Deny, or add a tier after it", written.mark)


def _implied_ingress(facts: Facts) -> Iterator[Finding]:
    """A NetworkPolicy of egress rules that says no policyTypes isolates its pods for ingress, too."""
    for document in facts.book.network.scenario.documents:
        spec = document.value.get("spec") or {}
        only_egress = spec.get("egress") and not spec.get("ingress") and not spec.get("policyTypes")
        if only_egress and (document.kind, document.api_version.partition("/")[0]) in _KUBERNETES:
            yield Finding(
                "IMPLIED_INGRESS", "warning",
                f"{document.kind} {document.namespace}/{document.name} has egress rules and no policyTypes, which means both "
                "directions: it denies all ingress", "write policyTypes: [Egress], or say which ingress is meant", document.mark)


# --- what they go through -------------------------------------------------------------------------------------------


def _rules(facts: Facts) -> Iterator[tuple[Policy, str, PolicyRule]]:
    """Every rule of every policy that has the rule's direction."""
    for policy in facts.book.policies:
        for way, rules in (("ingress", policy.ingress), ("egress", policy.egress)):
            if way.capitalize() in policy.types:
                for rule in rules:
                    yield policy, way, rule


def _rule(policy: Policy, rule: PolicyRule) -> str:
    return f"{title(policy)} {rule.name}".rstrip()


def _tiers(facts: Facts) -> dict[str, Tier]:
    described = {tier.name: tier for tier in facts.book.network.topology.resources.policy.tiers}
    return {"default": Tier("default", *TIERS["default"]), **described}


_CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _selects_nothing, _rule_selects_nothing, _names_service, _log_only, _equal_order, _no_such_port, _net_covers_pods,
    _nodes_without_tunnels, _pass_in_last_tier, _implied_ingress,
)
