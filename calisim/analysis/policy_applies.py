"""What applies to a pod, in the order in which it is asked; and all policies of a scenario with whom they are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..control.intent import Object
from ..control.policing import Program
from ..errors import UsageError
from ..scenario.resources import Policy
from ..vocabulary import EndpointKind, PolicyAction
from .policy_book import Book, name_of, object_of
from .policy_words import rule_words, subject_words

if TYPE_CHECKING:
    from .network import Network


@dataclass(frozen=True, slots=True)
class RuleApplied:
    """One rule in words."""

    object: Object
    says: str


@dataclass(frozen=True, slots=True)
class PolicyApplied:
    """A policy or profile with its rules for one direction; ``staged`` ones would apply if they were enforced."""

    object: Object
    order: float | None
    rules: tuple[RuleApplied, ...]
    staged: bool


@dataclass(frozen=True, slots=True)
class TierApplied:
    """A tier with what of it applies, and how it ends where nothing of it decides."""

    object: Object
    policies: tuple[PolicyApplied, ...]
    end: PolicyAction


@dataclass(frozen=True, slots=True)
class DirectionApplied:
    """One direction. Without tiers nobody isolates the pod, and its profiles decide."""

    way: str
    tiers: tuple[TierApplied, ...]
    profiles: tuple[PolicyApplied, ...]

    @property
    def isolated(self) -> bool:
        return any(not policy.staged for tier in self.tiers for policy in tier.policies)


@dataclass(frozen=True)
class PodPolicy:
    """Everything for one pod; ``alike`` pods, it among them, are policed in the same way."""

    pod: str
    alike: int
    directions: tuple[DirectionApplied, ...]


def applies(network: Network, text: str) -> PodPolicy:
    """What polices the pod that a text names."""
    book = Book(network)
    endpoint = book.intent.endpoint(network.endpoint_id(text))
    if endpoint.kind is not EndpointKind.POD:
        raise UsageError(f"{endpoint.name} is no pod; only pods are policed")
    identity = book.identity_of(endpoint)
    ways = tuple(_direction(book, endpoint.id, way) for way in ("ingress", "egress"))
    return PodPolicy(endpoint.name, book.policing.endpoints.count(identity), ways)


def _direction(book: Book, endpoint: int, way: str) -> DirectionApplied:
    """The program as if staged policies were enforced holds them in their order; those that they replace are there, too."""
    one = book.intent.endpoint(endpoint)
    numbers = [book.program_of(one, way, staged=staged) for staged in (False, True)]
    now, then = (book.policing.programs[number - 1] if number else Program((), ()) for number in numbers)
    tiers = [*then.tiers, *(tier for tier in now.tiers if tier.decided_by not in {other.decided_by for other in then.tiers})]
    ranks = {object_of(policy): rank for rank, policy in enumerate(book.policies)}
    found = []
    for tier in tiers:
        chains = dict.fromkeys(chain for program in (then, now) for other in program.tiers if other.decided_by == tier.decided_by
                               for chain in other.chains)
        policies = sorted((_policy(book, chain, way) for chain in chains), key=lambda policy: ranks[policy.object])
        found.append(TierApplied(book.object(tier.decided_by), tuple(policies), tier.end))
    return DirectionApplied(way, tuple(found), tuple(_policy(book, chain, way) for chain in now.profiles))


def _policy(book: Book, chain: int, way: str) -> PolicyApplied:
    owner = book.owner_of(chain)
    policy = owner if isinstance(owner, Policy) else None
    rules = (RuleApplied(book.object(rule.decided_by), rule_words(written, way, policy.namespace if policy else ""))
             for rule, written in book.rules_of(chain, way))
    number = book.object(book.policing.chains[chain - 1].decided_by)
    return PolicyApplied(number, policy.order if policy else None, tuple(rules), bool(policy and policy.staged))


# --- all policies ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """One policy and whom it is about."""

    policy: Policy
    name: str
    subject: str
    pods: int
    rules: int


def listed(network: Network) -> list[Listed]:
    """Every policy in the order in which it is asked."""
    book = Book(network)
    pods = pods_by_policy(book)
    return [
        Listed(policy, name_of(policy), subject_words(policy), pods.get(object_of(policy), 0),
               len(policy.ingress) + len(policy.egress)) for policy in book.policies]


def pods_by_policy(book: Book) -> dict[Object, int]:
    """How many pods each policy polices, staged ones as if they were enforced."""
    policing = book.policing
    amounts = np.bincount(np.array(policing.endpoints or (0,)), minlength=len(policing.identities) + 1)
    chains: dict[int, set[int]] = {}
    for number, identity in enumerate(policing.identities, 1):
        for program in {identity.ingress, identity.egress, identity.staged_ingress, identity.staged_egress}:
            for chain in policing.programs[program - 1].chains if program else ():
                chains.setdefault(policing.chains[chain - 1].decided_by, set()).add(number)
    return {book.object(number): int(sum(amounts[one] for one in found)) for number, found in chains.items()}


