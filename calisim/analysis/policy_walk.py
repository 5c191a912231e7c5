"""What policy says of one packet at one of its ends: every tier, policy and rule that was asked, and why it did not match.

The verdict and every match are the evaluator's own (:mod:`calisim.datapath.reference.police`): a rule that does not match
is put to it again part by part, so that the part which fails can be named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..control.intent import Endpoint, Object
from ..control.policing import Program, RuleMatch, SideMatch
from ..control.policy.scopes import entity_selector
from ..datapath.reference.police import ICMP, WITH_PORTS, Flow, Police
from ..quantities import format_address
from ..scenario.resources import EntityRule, Policy, PolicyRule
from ..vocabulary import EndpointKind, PolicyAction, RouterFlag
from .policy_book import Book
from .policy_words import peer_words, ports_words, protocol_name, rule_words, service_words

if TYPE_CHECKING:
    import numpy as np

    from .losses import Header
    from .network import Network


@dataclass(frozen=True, slots=True)
class RuleAsked:
    """One rule. ``misses`` tells what of the packet it does not match; empty: it matched."""

    object: Object
    says: str
    action: PolicyAction
    misses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyAsked:
    """A policy or profile that applies; ``action`` is what it decided, None: nothing, LOG alone decides nothing."""

    object: Object
    rules: tuple[RuleAsked, ...]
    action: PolicyAction | None


@dataclass(frozen=True, slots=True)
class TierAsked:
    """A tier with policies that apply; ``action`` is how it ended, ``by_default`` where none of them decided."""

    object: Object
    policies: tuple[PolicyAsked, ...]
    action: PolicyAction
    by_default: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One end: ``decided_by`` is a rule, a tier, or None where the profiles said nothing."""

    way: str                              # egress | ingress
    who: str
    flow: Flow
    allowed: bool
    decided_by: Object | None
    policy: Object | None                 # whose rule decided
    tiers: tuple[TierAsked, ...]
    profiles: tuple[PolicyAsked, ...]

    @property
    def isolated_by(self) -> tuple[Object, ...]:
        """The policies that apply, whatever they decided."""
        return tuple(policy.object for tier in self.tiers for policy in tier.policies)

    @property
    def tier(self) -> TierAsked | None:
        """The tier that decided; None where it was the profiles."""
        return None if self.profiles or not self.tiers else self.tiers[-1]


@dataclass(frozen=True)
class Walker:
    """Walks flows through the programs of one network."""

    network: Network

    @cached_property
    def book(self) -> Book:
        return Book(self.network)

    @cached_property
    def police(self) -> Police:
        return Police(self.network.intent.policy)

    def side(self, flow: Flow, way: str, *, staged: bool = False) -> Side | None:
        """What the sender's (egress) or receiver's (ingress) policy says; None where nothing polices that end."""
        endpoint = self.book.owner(flow.src if way == "egress" else flow.dst)
        number = self.book.program_of(endpoint, way, staged=staged) if endpoint else 0
        if endpoint is None or not number:
            return None
        program = self.book.policing.programs[number - 1]
        judged = self.police.judge(number, flow)
        tiers, ended = self._tiers(program, flow, way)
        profiles = () if ended else tuple(self._profiles(program, flow, way))
        asked = [policy for tier in tiers for policy in tier.policies] + list(profiles)
        policy = asked[-1].object if asked and asked[-1].action in (PolicyAction.ALLOW, PolicyAction.DENY) else None
        decider = self.network.intent.object(judged.decided_by)
        return Side(way, endpoint.name, flow, judged.allowed, decider, policy, tiers, profiles)

    def _tiers(self, program: Program, flow: Flow, way: str) -> tuple[tuple[TierAsked, ...], bool]:
        """The tiers that were asked, and whether one decided."""
        found: list[TierAsked] = []
        for tier in program.tiers:
            policies: list[PolicyAsked] = []
            for chain in tier.chains:
                policies.append(self._chain(chain, flow, way))
                if policies[-1].action is not None:
                    break
            decided = policies[-1].action
            found.append(TierAsked(self.book.object(tier.decided_by), tuple(policies), decided or tier.end, decided is None))
            if found[-1].action is not PolicyAction.PASS:
                return tuple(found), True
        return tuple(found), False

    def _profiles(self, program: Program, flow: Flow, way: str) -> Iterator[PolicyAsked]:
        for chain in program.profiles:
            asked = self._chain(chain, flow, way)
            yield asked
            if asked.action in (PolicyAction.ALLOW, PolicyAction.DENY):
                return

    def _chain(self, chain: int, flow: Flow, way: str) -> PolicyAsked:
        rules: list[RuleAsked] = []
        owner = self.book.owner_of(chain)
        namespace = owner.namespace if isinstance(owner, Policy) else ""
        decided = None
        for rule, written in self.book.rules_of(chain, way):
            misses = () if self.police.matches(rule, flow) else tuple(self._misses(rule, written, flow, namespace))
            rules.append(RuleAsked(self.book.object(rule.decided_by), rule_words(written, way, namespace), rule.action, misses))
            if not misses and rule.action is not PolicyAction.LOG:
                decided = rule.action
                break
        return PolicyAsked(self.book.object(self.book.policing.chains[chain - 1].decided_by), tuple(rules), decided)

    def sides_of(self, packet: np.void, result: np.void) -> tuple[Side, ...]:
        """Both ends of a packet that an engine has forwarded: egress on what was sent, as its destination is after DNAT."""
        intent, protocol, dport = self.network.intent, int(packet["protocol"]), int(result["dport"])
        sender = intent.endpoint(int(packet["ingress"])) if packet["ingress"] else None
        source = int(packet["src"]) or (sender.address if sender else 0)
        sent = flow_between(source, int(result["dst"]), protocol, int(packet["sport"]), dport)
        arrives = replace(sent, src=int(result["src"]) or source, sport=int(result["sport"]))
        receiver = self.book.owner(sent.dst)
        found = []
        if sender is not None and sender.kind is EndpointKind.POD and self._polices(sender):
            found.append(self.side(sent, "egress"))
        if receiver is not None and self._polices(receiver) and not _own_node(sender, receiver):
            found.append(self.side(arrives, "ingress"))
        return tuple(side for side in found if side is not None)

    def _polices(self, pod: Endpoint) -> bool:
        """Whether Calico's chains are on the pod's node."""
        return bool(pod.router and self.network.intent.router(pod.router).flags & RouterFlag.CALICO_FILTER)

    # --- why not ----------------------------------------------------------------------------------------------------

    def _misses(self, rule: RuleMatch, written: PolicyRule, flow: Flow, namespace: str) -> Iterator[str]:
        """Each part of a rule that fails, in words."""
        bare = RuleMatch(rule.action)
        kind = replace(bare, protocol=rule.protocol, not_protocol=rule.not_protocol)
        if not self.police.matches(kind, flow):
            yield f"protocol: {protocol_name(flow.protocol)}, the rule says {service_words(written)}"
        elif not self.police.matches(replace(bare, icmp=rule.icmp, not_icmp=rule.not_icmp), flow):
            yield f"ICMP: type {flow.icmp[0]} code {flow.icmp[1]}, the rule says {service_words(written)}"
        for end, address, port, word in (
                ("source", flow.src, flow.sport, "source port"), ("destination", flow.dst, flow.dport, "port")):
            asked: SideMatch = getattr(rule, end)
            entity: EntityRule = getattr(written, end)
            if not self._fits(end, replace(asked, ports=(), not_ports=(), port_sets=(), not_port_sets=()), flow):
                yield f"{end}: {self._peer_miss(entity, address, namespace)}"
            if rule.protocol not in (None, flow.protocol):
                continue                  # of another protocol's ports there is nothing to say
            ports = SideMatch(
                ports=asked.ports, not_ports=asked.not_ports, port_sets=asked.port_sets, not_port_sets=asked.not_port_sets)
            if not self._fits(end, ports, flow):
                yield f"{word}: {self._port_miss(entity, flow, address, port)}"

    def _fits(self, end: str, side: SideMatch, flow: Flow) -> bool:
        """Whether a flow is what one side alone asks for."""
        asked = RuleMatch(PolicyAction.ALLOW, **{end: side})  # type: ignore[arg-type]  # source or destination
        return self.police.matches(asked, flow)

    def _peer_miss(self, entity: EntityRule, address: int, namespace: str) -> str:
        endpoint = self.book.owner(address)
        pod = self.book.pod(endpoint)
        wanted = peer_words(entity, namespace)
        if pod is None:
            who = f" ({endpoint.name})" if endpoint else ", outside the cluster,"
            return f"{format_address(address)}{who} is not {wanted}"
        selector = entity_selector(entity, namespace)
        if namespace and not entity.namespace_selector and selector is not None and pod.namespace != namespace:
            return f"{pod.id} is in namespace {pod.namespace}; without a namespaceSelector the rule means {namespace} only"
        labels = ", ".join(f"{key}={value}" for key, value in sorted(pod.labels.items())) or "no labels"
        at = f", {format_address(address)}" if entity.nets or entity.not_nets else ""
        return f"{pod.id} ({labels}{at}) is not {wanted}"

    def _port_miss(self, entity: EntityRule, flow: Flow, address: int, port: int) -> str:
        if flow.protocol not in WITH_PORTS:
            return f"{protocol_name(flow.protocol)} has no ports, the rule asks for some"
        said = f"{port}, the rule says {ports_words(entity.ports, entity.named_ports) or 'any'}"
        if entity.not_ports or entity.not_named_ports:
            said += f" but not {ports_words(entity.not_ports, entity.not_named_ports)}"
        names = [self._named_port(name, flow.protocol, self.book.owner(address)) for name in entity.named_ports]
        return f"{said} ({'; '.join(names)})" if names else said

    def _named_port(self, name: str, protocol: int, endpoint: Endpoint | None) -> str:
        pod = self.book.pod(endpoint)
        if endpoint is None or pod is None:
            return f"{name} is the name of a pod's port"
        word = protocol_name(protocol)
        numbers = [port.port for port in pod.ports if port.name == name and port.protocol == word]
        others = [port.protocol for port in pod.ports if port.name == name and port.protocol != word]
        if numbers:
            return f"{name} is {', '.join(map(str, numbers))} on {pod.id}"
        return f"{pod.id} has no {word} port named {name}" + (f", only {', '.join(others)}" if others else "")


def flow_of(header: Header) -> Flow:
    """What policy sees of a header."""
    return flow_between(header.src, header.dst, header.protocol, header.sport, header.dport)


def flow_between(src: int, dst: int, protocol: int, sport: int, dport: int) -> Flow:
    """What policy sees of a packet whose records hold the type and code of ICMP as its destination port."""
    return Flow(src, dst, protocol, sport, dport, (dport >> 8, dport & 255) if protocol in ICMP else (0, 0))


def _own_node(sender: Endpoint | None, receiver: Endpoint) -> bool:
    """A node reaches its own pods whatever policy says."""
    return sender is not None and sender.kind is EndpointKind.NODE and sender.router == receiver.router
