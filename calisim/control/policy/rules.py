"""Rules of documents → rules that ask about packets: selectors become sets, port names port sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...scenario.resources import EntityRule, Policy, PolicyRule, Profile
from ...vocabulary import PolicyAction
from ..objects import Objects
from ..policing import Chain, RuleMatch, SideMatch
from .labels import PROTOCOLS
from .scopes import entity_selector, excluded_selector
from .sets import Services, Sets

ACTIONS = {"Allow": PolicyAction.ALLOW, "Deny": PolicyAction.DENY, "Pass": PolicyAction.PASS, "Log": PolicyAction.LOG}


@dataclass(slots=True)
class Chains:
    """The register of chains; one a policy and direction."""

    sets: Sets
    objects: Objects
    services: Services
    all: list[Chain] = field(default_factory=list)
    unknown_services: dict[str, None] = field(default_factory=dict)

    def of_policy(self, policy: Policy, number: int, direction: str) -> int:
        """``number`` is the policy's object; a policy without rules in the direction has an empty chain."""
        name = title(policy)
        return self.add(policy.ingress if direction == "ingress" else policy.egress, policy.namespace, name, number)

    def of_profile(self, profile: Profile, number: int, direction: str) -> int:
        rules = profile.ingress if direction == "ingress" else profile.egress
        return self.add(rules, "", f"Profile {profile.name}", number)

    def add(self, rules: tuple[PolicyRule, ...], namespace: str, owner: str, number: int) -> int:
        self.all.append(Chain(tuple(self.match(rule, namespace, owner) for rule in rules), number))
        return len(self.all)

    def match(self, rule: PolicyRule, namespace: str, owner: str) -> RuleMatch:
        decided_by = self.objects.add("PolicyRule", f"{owner} {rule.name}".rstrip(), rule.mark)
        protocol = rule.protocol if rule.protocol is not None and rule.protocol in PROTOCOLS.values() else PROTOCOLS["TCP"]
        return RuleMatch(
            ACTIONS[rule.action], rule.protocol, rule.not_protocol, _icmp(rule.icmp), _icmp(rule.not_icmp),
            self.side(rule.source, namespace, protocol, receiving=False),
            self.side(rule.destination, namespace, protocol, receiving=True), decided_by)

    def side(self, entity: EntityRule, namespace: str, protocol: int, *, receiving: bool) -> SideMatch:
        """``protocol`` is the one under which port names are looked up: the rule's, where it has ports, else TCP."""
        if entity == _ANYBODY:
            return _ANYTHING
        selector, excluded = entity_selector(entity, namespace), excluded_selector(entity, namespace)
        sets = [self.sets.chosen(selector)] if selector else []
        if entity.nodes:
            sets.append(self.sets.nodes(entity.nodes))
        port_sets = [self.sets.ports(name, protocol) for name in entity.named_ports]
        if entity.service:
            self.add_service(entity.service[0] or namespace, entity.service[1], sets, port_sets if receiving else None)
        return SideMatch(
            entity.nets, entity.not_nets, tuple(sets), (self.sets.chosen(excluded),) if excluded else (),
            entity.ports, entity.not_ports, tuple(port_sets),
            tuple(self.sets.ports(name, protocol) for name in entity.not_named_ports))

    def add_service(self, namespace: str, name: str, sets: list[int], port_sets: list[int] | None) -> None:
        """As a source the addresses of its backends, as a destination (``port_sets``) their ports as well."""
        backends = self.services.get((namespace, name))
        shown = f"service {namespace}/{name}"
        if backends is None:
            self.unknown_services[shown] = None
        if not backends:
            sets.append(self.sets.nobody(shown))
        elif port_sets is None:
            sets.append(self.sets.listed(shown, (address for address, _, _ in backends)))
        else:
            port_sets += self.sets.listed_ports(shown, backends)


def title(policy: Policy) -> str:
    name = f"{policy.namespace}/{policy.name}" if policy.namespace else policy.name
    return f"{policy.kind} {name}"


def _icmp(said: tuple[int | None, int | None] | None) -> tuple[int, int | None] | None:
    """A code belongs to a type; validation sees to it."""
    return None if said is None or said[0] is None else (said[0], said[1])


_ANYBODY = EntityRule()
_ANYTHING = SideMatch()
