"""How often each rule decided in a run of the scenario's traffic, by the engine's own counters.

Policy is asked of the first packet of a connection only, so a hit is a connection and not a packet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..control.intent import Object
from ..control.policing import Program
from ..scenario.resources import Policy
from ..vocabulary import PolicyAction
from .policy_book import Book
from .policy_words import rule_words, shortened

if TYPE_CHECKING:
    from .network import Network, Progress


@dataclass(frozen=True, slots=True)
class Hits:
    """A rule, or the end of a tier, and what it decided."""

    object: Object
    way: str
    policy: str
    says: str
    hits: int


@dataclass(frozen=True)
class HitsReport:
    """All rules in the order in which they are asked; tiers' ends after them."""

    rows: tuple[Hits, ...]
    packets: int
    hits: int


def hits(network: Network, traffic: str | None = None, progress: Progress | None = None) -> HitsReport:
    """Send the traffic and read the counters."""
    run = network.run(traffic, keep=False, progress=progress)
    assert run.state is not None
    counted, book = run.state.hits, Book(network)
    said: dict[tuple[str, Object], tuple[str, list[str]]] = {}     # direction and rule → policy, words
    numbers: dict[tuple[str, Object], set[int]] = {}               # a rule of a document may be several of the Intent
    for chain, way in _chains(book):
        owner = book.owner_of(chain)
        policy = book.object(book.policing.chains[chain - 1].decided_by)
        for rule, written in book.rules_of(chain, way):
            key = way, book.object(rule.decided_by)
            words = rule_words(written, way, owner.namespace if isinstance(owner, Policy) else "")
            said.setdefault(key, (f"{policy.kind} {policy.name}", []))[1].append(words)
            numbers.setdefault(key, set()).add(rule.decided_by)
    for number, tier in _tiers(book).items():
        key = "both", book.object(number)
        said[key], numbers[key] = (f"Tier {tier.name}", ["denied at its end: none of its policies decided"]), {number}
    rows = tuple(
        Hits(one, way, policy, shortened(words, 1), int(sum(counted[number] for number in numbers[way, one])))
        for (way, one), (policy, words) in said.items())
    return HitsReport(rows, run.sent.sent, int(counted.sum()))


def _programs(book: Book) -> Iterator[tuple[Program, str]]:
    """Those in force, ingress first."""
    for way in ("ingress", "egress"):
        for number in dict.fromkeys(getattr(identity, way) for identity in book.policing.identities):
            if number:
                yield book.policing.programs[number - 1], way


def _chains(book: Book) -> list[tuple[int, str]]:
    """Chains in force in the order in which policies are asked, profiles last."""
    ranks = {id(policy): rank for rank, policy in enumerate(book.policies)}
    found = {(chain, way) for program, way in _programs(book)
             for chain in (*program.chains, *program.profiles)}
    return sorted(found, key=lambda one: (ranks.get(id(book.owner_of(one[0])), len(ranks)), one[1] == "egress", one[0]))


def _tiers(book: Book) -> dict[int, Object]:
    """Those whose end decides something."""
    tiers = (tier for program, _ in _programs(book) for tier in program.tiers if tier.end is PolicyAction.DENY)
    return {tier.decided_by: book.object(tier.decided_by) for tier in tiers}
