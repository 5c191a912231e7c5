"""Intent.policy → tables. What a packet costs depends on the rules that can match it, not on all there are.

All addresses that answer every question of every rule alike are one *peer* (:mod:`.peers`); a rule's question about an address is
an *atom*, a bit of the peer's row. A program is a run of tiers, a tier a run of steps (rules); equal runs of steps are stored
once. A long run has an index (:mod:`.indexes`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..control.policing import AddressSet, Failsafes, Identified, Policing, Ports, Program, RuleMatch, SideMatch
from ..errors import CompileError
from ..parts import Parts
from ..quantities import Prefix
from ..vocabulary import GUARD, MATCH, TERM, TIER, PolicyAction, TermFlag, TermKind
from .columns import Arrays
from .indexes import ANY, Indexes
from .peers import MOST_CELLS, Peers

WITH_PORTS = (6, 17, 132)
ICMP = (1, 58)
LAST_PORT = 0xFFFF

HOOKS = (
    "ingress", "egress", "forward_ingress", "forward_egress", "pre_dnat", "untracked_ingress", "untracked_egress")

_Row = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The tables, by their names in the image, and the first tier of each program."""

    arrays: dict[str, np.ndarray]
    programs: dict[int, int]


def compile_policy(policing: Policing, parts: Parts) -> Policy:
    """Rules and programs stay as they are where only the pods are others."""
    rules = parts.of("rules of policy", Rules, replace(policing, endpoints=(), addresses={}, warnings=()))
    known = policing.addresses
    if not isinstance(known, Identified):
        known = Identified(list(known), array("q", known.values()))
    peers = parts.of("peers of policy", partial(Peers, parts), rules.sets, len(policing.identities), tuple(rules.atoms), known)
    return Policy(
        {"peers": peers.table, **parts.of("steps of policy", _steps, rules, Arrays((peers.atoms,))), "guards": rules.guards},
        rules.tiers.programs)


class Rules:
    """All that does not depend on who has which address."""

    def __init__(self, policing: Policing) -> None:
        questions = _Questions(policing)
        self.tiers = _Tiers(policing, questions)
        self.sets, self.atoms = tuple(questions.sets), tuple(questions.atoms)
        self.matches, self.terms = np.array(list(questions.matches), MATCH), np.array(questions.terms, TERM)
        self.steps, self.guards = self.tiers.steps(), _guards(policing, self.tiers.programs)


def _steps(rules: Rules, atoms: Arrays) -> dict[str, np.ndarray]:
    """The tables of rules and of their indexes; these are by peer."""
    indexes = Indexes(atoms[0], rules.matches)
    tiers = rules.tiers.records(indexes.over(rules.tiers.runs, rules.steps))
    return {
        "atoms": atoms[0], "tiers": tiers, "steps": rules.steps, "matches": rules.matches, "terms": rules.terms,
        **indexes.arrays()}


def _guards(policing: Policing, programs: dict[int, int]) -> np.ndarray:
    before = [programs[number] for number in _failsafes(policing.failsafes)]
    rows = [(0,) * 12, *(
        (*(programs[getattr(guard, name)] for name in HOOKS), guard.decided_by, *before) for guard in policing.guards)]
    return np.array(rows, GUARD)


def _failsafes(safe: Failsafes) -> tuple[int, ...]:
    return safe.ingress, safe.egress, safe.untracked_ingress, safe.untracked_egress


class _Questions:
    """Rules, and what they ask of addresses and ports: each once."""

    def __init__(self, policing: Policing) -> None:
        self.policing = policing
        self.sets: list[AddressSet] = list(policing.sets)
        self.atoms: dict[SideMatch, int] = {SideMatch(): 0}        # the address part of a side
        self.terms: list[_Row] = [(0,) * 6]
        self.matches: dict[_Row, int] = {(0,) * 9: 0}
        self._asked: dict[tuple[tuple[object, ...], ...], int] = {}
        self._named: dict[AddressSet, int] = {}
        self._runs: dict[tuple[_Row, ...], int] = {(): 0}

    def match(self, rule: RuleMatch) -> int:
        """Index of the rule's record."""
        wanted = rule.destination.ports if rule.protocol in WITH_PORTS and not rule.destination.port_sets else ()
        terms = tuple(term for group in self._groups(rule, inline=len(wanted) == 1) for term in group)
        row = (
            self._atom(rule.source), self._atom(rule.destination), self._run(terms), len(terms), rule.decided_by,
            ANY if rule.protocol is None else rule.protocol, min((first for first, _ in wanted), default=0),
            max((last for _, last in wanted), default=LAST_PORT), rule.action)
        return self.matches.setdefault(row, len(self.matches))

    def _atom(self, side: SideMatch) -> int:
        asked = side.nets, side.not_nets, side.sets, side.not_sets
        if asked not in self._asked:
            self._asked[asked] = self.atoms.setdefault(SideMatch(*asked), len(self.atoms))
        return self._asked[asked]

    def _run(self, terms: tuple[_Row, ...]) -> int:
        if terms not in self._runs:
            self._runs[terms] = len(self.terms)
            self.terms += terms
        return self._runs[terms]

    def _groups(self, rule: RuleMatch, *, inline: bool) -> Iterator[list[_Row]]:
        """Groups of terms, all of which must hold. ``inline``: the wanted destination ports stand in the rule's record."""
        if rule.not_protocol is not None:
            yield _group([(0, 0, LAST_PORT, rule.not_protocol, TermKind.ANY)], negated=True)
        if rule.icmp is not None:
            yield _group(_icmp(rule.icmp))
        if rule.not_icmp is not None:
            yield _group(_icmp(rule.not_icmp), negated=True)
        for side, kind in ((rule.source, TermKind.SPORT), (rule.destination, TermKind.DPORT)):
            if (side.ports or side.port_sets) and not (inline and kind is TermKind.DPORT):
                yield _group(self._among(side.ports, side.port_sets, kind) or [_NEVER])
            if side.not_ports or side.not_port_sets:
                yield _group([(0, 0, LAST_PORT, protocol, kind) for protocol in WITH_PORTS])
                if refused := self._among(side.not_ports, side.not_port_sets, kind):
                    yield _group(refused, negated=True)

    def _among(self, ports: Ports, port_sets: Iterable[int], kind: TermKind) -> list[_Row]:
        found: list[_Row] = [
            (0, first, last, protocol, kind) for first, last in ports if first <= last for protocol in WITH_PORTS]
        for number in port_sets:
            named = self.policing.port_sets[number - 1]
            owners: dict[int, set[int]] = {}
            for identity, numbers in named.numbers.items():
                for port in numbers:
                    owners.setdefault(port, set()).add(identity)
            for port in sorted({*owners, *(port for _, port in named.hosts)}):
                nets = tuple(sorted(Prefix(address, 32) for address, own in named.hosts if own == port))
                atom = self._owners(AddressSet("", frozenset(owners.get(port, ())), nets))
                found.append((atom, port, port, named.protocol, kind))
        return found

    def _owners(self, owners: AddressSet) -> int:
        """The atom of those who give a port's name this number."""
        if owners not in self._named:
            self.sets.append(owners)
            self._named[owners] = self._atom(SideMatch(sets=(len(self.sets),)))
        return self._named[owners]


_NEVER = (0, 1, 0, ANY, TermKind.ANY)


def _group(terms: Iterable[_Row], *, negated: bool = False) -> list[_Row]:
    terms = list(terms)
    flags = TermFlag.LAST | (TermFlag.NEGATED if negated else TermFlag(0))
    return [(*term, 0) for term in terms[:-1]] + [(*terms[-1], flags)]


def _icmp(asked: tuple[int, int | None]) -> list[_Row]:
    kind, code = asked
    low, high = (kind << 8, kind << 8 | 0xFF) if code is None else (kind << 8 | code,) * 2
    return [(0, low, high, protocol, TermKind.ICMP) for protocol in ICMP]


class _Tiers:
    """Programs as runs of tiers; their rules as runs of steps. Rules that only log decide nothing and are left out."""

    def __init__(self, policing: Policing, questions: _Questions) -> None:
        self.questions = questions
        self.runs: list[tuple[int, ...]] = [(0,)]                  # steps, index 0 of them nothing
        self.programs: dict[int, int] = {0: 0}
        self._known: dict[tuple[int, ...], int] = {}
        self._total = 1
        deny = PolicyAction.DENY
        self._tiers: list[tuple[int, int, int, int]] = [(0, 0, deny, deny)]      # run, end's object, end, last
        self._chains = [self._of_chain(policing, number) for number in range(len(policing.chains))]
        enforced = {program for identity in policing.identities for program in (identity.ingress, identity.egress)}
        enforced |= {getattr(guard, name) for guard in policing.guards for name in HOOKS}
        enforced |= set(_failsafes(policing.failsafes))
        for number in sorted(enforced - {0}):
            self.programs[number] = self._add(policing.programs[number - 1])

    def _of_chain(self, policing: Policing, number: int) -> tuple[int, ...]:
        return tuple(
            self.questions.match(rule) for rule in policing.chains[number].rules if rule.action is not PolicyAction.LOG)

    def _add(self, program: Program) -> int:
        """Index of the program's first tier; the profiles are tiers that never end by themselves."""
        first = len(self._tiers)
        for tier in program.tiers:
            self._tiers.append((self._run(tier.chains), tier.decided_by, tier.end, 0))
        for chain in program.profiles:
            self._tiers.append((self._run((chain,)), 0, PolicyAction.PASS, 0))
        if first == len(self._tiers):
            self._tiers.append((self._run(()), 0, PolicyAction.PASS, 0))
        self._tiers[-1] = (*self._tiers[-1][:3], program.end)
        return first

    def _run(self, chains: tuple[int, ...]) -> int:
        if chains not in self._known:
            self._known[chains] = len(self.runs)
            self.runs.append(tuple(step for chain in chains for step in self._chains[chain - 1]))
            self._total += len(self.runs[-1])
            if self._total > MOST_CELLS:
                raise CompileError(
                    f"the policies that apply to one pod after another add up to more than {MOST_CELLS:,} rules: let fewer "
                    "policies select all pods")
        return self._known[chains]

    def steps(self) -> np.ndarray:
        return np.fromiter((step for run in self.runs for step in run), np.uint32, self._total)

    def records(self, indexed: dict[int, int]) -> np.ndarray:
        starts = np.concatenate([[0], np.cumsum([len(run) for run in self.runs])])
        return np.array([
            (starts[run], len(self.runs[run]), indexed.get(run, 0), detail, end, last) for run, detail, end, last in self._tiers
        ], TIER)
