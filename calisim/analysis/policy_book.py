"""The Intent's policy put side by side with the documents that it was made from.

The Intent knows chains, rules and objects; documents know selectors and what people called things. A chain has one rule for
each of its policy's rules, in their order, so the object of a chain leads from the one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..control.intent import Endpoint, Object
from ..control.policing import Policing, RuleMatch
from ..control.policy.order import ordered_policies, ordered_tiers
from ..scenario.resources import Policy, PolicyRule, Profile
from ..vocabulary import EndpointKind

if TYPE_CHECKING:
    from ..control.intent import Intent
    from ..model.entities import Pod
    from .network import Network

WAYS = ("egress", "ingress")


@dataclass(frozen=True)
class Book:
    """What policy says, what it was made from, and whose address is whose."""

    network: Network

    @cached_property
    def intent(self) -> Intent:
        return self.network.intent

    @cached_property
    def policing(self) -> Policing:
        return self.intent.policy

    @cached_property
    def policies(self) -> list[Policy]:
        """Every policy, staged ones too, in the order in which they are asked."""
        resources = self.network.topology.resources.policy
        ranks = {tier.name: rank for rank, tier in enumerate(ordered_tiers(resources.tiers))}
        return sorted(ordered_policies(resources.policies), key=lambda policy: ranks[policy.tier])

    @cached_property
    def _written(self) -> dict[Object, Policy | Profile]:
        resources = self.network.topology.resources.policy
        found: dict[Object, Policy | Profile] = {Object("Profile", one.name, one.mark): one for one in resources.profiles}
        found |= {object_of(policy): policy for policy in resources.policies}
        return found

    def object(self, number: int) -> Object:
        found = self.intent.object(number)
        assert found is not None
        return found

    def owner_of(self, chain: int) -> Policy | Profile:
        """The policy or profile of a chain; one that nobody wrote has no rules to show."""
        number = self.object(self.policing.chains[chain - 1].decided_by)
        return self._written.get(number) or Profile(number.name)

    def rules_of(self, chain: int, way: str) -> Iterator[tuple[RuleMatch, PolicyRule]]:
        """Rules of a chain, each with what it was made from."""
        owner = self.owner_of(chain)
        written = owner.ingress if way == "ingress" else owner.egress
        for position, rule in enumerate(self.policing.chains[chain - 1].rules):
            yield rule, written[position] if position < len(written) else PolicyRule(rule.action.name.capitalize())

    def program_of(self, endpoint: Endpoint, way: str, *, staged: bool = False) -> int:
        """The program that polices an endpoint; 0: none."""
        identity = self.identity_of(endpoint)
        return getattr(self.policing.identities[identity - 1], f"staged_{way}" if staged else way) if identity else 0

    def identity_of(self, endpoint: Endpoint) -> int:
        return self.policing.endpoints[endpoint.id - 1] if self.policing.endpoints else 0

    def owner(self, address: int) -> Endpoint | None:
        """Whose address it is."""
        number = self.intent.address_owners.get(address)
        return self.intent.endpoint(number) if number else None

    def pod(self, endpoint: Endpoint | None) -> Pod | None:
        """The pod of an endpoint: they are the last of the endpoints, in their own order."""
        if endpoint is None or endpoint.kind is not EndpointKind.POD:
            return None
        pods = self.network.topology.entities.pods
        return pods[endpoint.id - 1 - (len(self.intent.endpoints) - len(pods))]


def name_of(policy: Policy) -> str:
    return f"{policy.namespace}/{policy.name}" if policy.namespace else policy.name


def object_of(policy: Policy) -> Object:
    """As the Intent names it."""
    return Object(policy.kind, name_of(policy), policy.mark)
