"""What policy looks at: the labels that some selector mentions, the port names that some rule has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...scenario.resources import EntityRule, Policy, PolicyResources, Profile
from ...selector import And, Comparison, Has, Node, Not, Or, parse

NAMESPACE = "projectcalico.org/namespace"
ORCHESTRATOR = "projectcalico.org/orchestrator"
SERVICE_ACCOUNT = "projectcalico.org/serviceaccount"
NAME = "projectcalico.org/name"
NAMESPACE_PREFIX = "pcns."
ACCOUNT_PREFIX = "pcsa."


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything else about a pod decides nothing."""

    labels: frozenset[str]
    ports: frozenset[str]


def sight(resources: PolicyResources) -> Sight:
    entities = list(_entities(resources))
    labels = {NAMESPACE, SERVICE_ACCOUNT} if entities or resources.policies else set()
    for text, prefix in {*_selectors(resources), *_selectors_of(entities)}:
        labels |= {prefix + label for label in mentioned(parse(text).root)}
    ports = {name for entity in entities for name in (*entity.named_ports, *entity.not_named_ports)}
    return Sight(frozenset(labels), frozenset(ports))


def asks_of_nodes(resources: PolicyResources) -> bool:
    """Whether some rule chooses nodes by their labels."""
    return any(entity.nodes for entity in _entities(resources))


def mentioned(node: Node) -> set[str]:
    """Labels that a selector's verdict can depend on."""
    match node:
        case Has(label) | Comparison(label):
            return {label}
        case Not(inner):
            return mentioned(inner)
        case And(terms) | Or(terms):
            return set().union(*map(mentioned, terms))
        case _:
            return set()


def _entities(resources: PolicyResources) -> Iterator[EntityRule]:
    owners: list[Policy | Profile] = [*resources.policies, *resources.profiles]
    for owner in owners:
        for rule in (*owner.ingress, *owner.egress):
            yield rule.source
            yield rule.destination


def _selectors(resources: PolicyResources) -> Iterator[tuple[str, str]]:
    """Texts of selectors, with the prefix of the labels that they ask for."""
    for policy in resources.policies:
        yield policy.selector, ""
        yield policy.namespace_selector, NAMESPACE_PREFIX
        yield policy.service_account_selector, ACCOUNT_PREFIX


def _selectors_of(entities: list[EntityRule]) -> Iterator[tuple[str, str]]:
    for entity in entities:
        yield entity.selector, ""
        yield entity.not_selector, ""
        yield entity.namespace_selector, NAMESPACE_PREFIX
        yield entity.service_account_selector, ACCOUNT_PREFIX
