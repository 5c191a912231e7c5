"""Rules that decide nothing, permissions that the other end denies, pods that may speak but not ask for names.

Found over all classes of addresses and services (:mod:`.policy_space`), so what is called useless is so for every packet that
the cluster's addresses can make, not for some that were tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..control.intent import Object
from ..scenario.resources import Policy
from ..vocabulary import PolicyAction
from .lint import Finding
from .policy_book import WAYS, Book
from .policy_names import Names
from .policy_space import Outcome, Space, World
from .policy_words import shortened

if TYPE_CHECKING:
    from .network import Progress

_DNS = (17, 53)


@dataclass(slots=True)
class _Use:
    """What becomes of a rule of a document (several rules of the Intent may be made of one)."""

    policy: Policy
    way: str
    action: PolicyAction
    matches: bool = False                 # something at all
    decides: bool = False
    works: bool = False                   # the other end agrees somewhere
    rivals: set[int] = field(default_factory=set)     # who decides what it matches
    refused: str = ""                     # an example of an other end that does not


def usage_findings(book: Book, progress: Progress | None) -> list[Finding]:
    """Findings that need every pair to be looked at."""
    space = Space(World(book.network))
    names = Names(space)
    uses, of_object = _rules(book)
    starved: dict[int, list[int]] = {}
    dns = 1 << space.services.position(*_DNS, sport=40000)
    for own, one in enumerate(space.classes):
        if progress is not None and own % 100 == 0:
            progress(f"rules of {own:,} of {len(space.classes):,} kinds of pods", 0)
        for way in WAYS if one.count else ():
            columns, outcomes = space.outcomes(own, way)
            for number, outcome in enumerate(outcomes):
                _note(space, names, own, way, outcome, columns, number, uses, of_object)
            if way == "egress" and any(outcome.allowed for outcome in outcomes) and not any(
                    outcome.allowed & dns for outcome in outcomes):
                starved.setdefault(space.program(own, way, 0), []).append(own)
    return [*_useless(book, uses), *_no_names(book, names, starved)]


def _rules(book: Book) -> tuple[dict[Object, _Use], dict[int, Object]]:
    """A use for each rule of a document, and which of them an object of the Intent belongs to."""
    uses: dict[Object, _Use] = {}
    of_object: dict[int, Object] = {}
    for identity in book.policing.identities:
        for way in WAYS:
            number = getattr(identity, way)
            for chain in book.policing.programs[number - 1].chains if number else ():
                owner = book.owner_of(chain)
                for rule in book.policing.chains[chain - 1].rules if isinstance(owner, Policy) else ():
                    if rule.decided_by not in of_object:
                        assert isinstance(owner, Policy)
                        of_object[rule.decided_by] = book.object(rule.decided_by)
                        uses.setdefault(of_object[rule.decided_by], _Use(owner, way, rule.action))
    return uses, of_object


def _note(
    space: Space, names: Names, own: int, way: str, outcome: Outcome, columns: np.ndarray, number: int, uses: dict[Object, _Use],
    of_object: dict[int, Object],
) -> None:
    """What an outcome says of the rules that had a part in it."""
    for rule, bits in outcome.matched.items():
        use = uses.get(of_object[rule]) if rule in of_object else None
        if use is None or not bits:
            continue
        use.matches = True
        decided = outcome.decided.get(rule, 0)
        if not decided:
            if not use.decides:
                use.rivals |= {other for other, theirs in outcome.decided.items() if theirs & bits}
            continue
        use.decides = True
        if use.works or use.action is not PolicyAction.ALLOW:
            continue
        back = "ingress" if way == "egress" else "egress"
        for peer in np.flatnonzero(columns == number).tolist():
            if peer == own and space.classes[own].count == 1:
                continue
            if space.outcome(peer, own, back).allowed & decided:
                use.works = True
                break
            use.refused = names.of(peer)


def _useless(book: Book, uses: dict[Object, _Use]) -> Iterator[Finding]:
    for rule, use in uses.items():
        if use.action is PolicyAction.LOG:
            continue
        if use.matches and not use.decides:
            rivals = shortened(sorted({_title(book.object(one)) for one in use.rivals if book.object(one) != rule}), 3)
            yield Finding(
                "SHADOWED", "warning", f"{rule.name} never decides anything: all that it matches is decided by {rivals}",
                "remove it, or move it before them", rule.mark)
        elif use.decides and not use.works and use.action is PolicyAction.ALLOW and use.refused:
            far, denies = ("to", "lets nothing of it in") if use.way == "egress" else ("from", "may not send any of it")
            yield Finding(
                "OTHER_SIDE_DENIES", "warning",
                f"{rule.name} allows {use.way} {far} {use.refused}, which {denies}: a flow needs both ends",
                f"add the {'ingress' if use.way == 'egress' else 'egress'} rule at the other end (calisim trace shows which "
                "policies isolate it), or remove this one", rule.mark)


def _title(one: Object) -> str:
    return f"{one.name} ({one.mark})" if one.mark.line else f"{one.kind} {one.name}"


def _no_names(book: Book, names: Names, starved: dict[int, list[int]]) -> Iterator[Finding]:
    """Pods that may send something, but no DNS to anybody: connections by name fail before they begin."""
    for program, classes in starved.items():
        chain = book.policing.programs[program - 1].tiers[0].chains[0]
        isolating = book.object(book.policing.chains[chain - 1].decided_by)
        yield Finding(
            "NO_DNS", "warning",
            f"{shortened([names.of(number) for number in classes], 3)}: isolated for egress ({isolating.kind} {isolating.name} "
            "first), and nothing allows UDP 53 to anybody: names cannot be resolved, only connections by address work",
            "allow UDP and TCP 53 to the DNS pods (namespace kube-system, k8s-app: kube-dns)", isolating.mark)
