"""Policy by hand: what becomes of a flow's first packet at one end of it, and who said so.

Reads :mod:`calisim.control.policing` and nothing else, in the order in which the rules are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...control.policing import Policing, Ports, ProgramTier, RuleMatch, SideMatch
from ...quantities import Prefix
from ...vocabulary import PolicyAction

WITH_PORTS = frozenset({6, 17, 132})
ICMP = frozenset({1, 58})


@dataclass(frozen=True, slots=True)
class Flow:
    """What policy sees of a packet; ``icmp`` is (type, code). ``fragment``: a piece that carries no ports."""

    src: int
    dst: int
    protocol: int
    sport: int = 0
    dport: int = 0
    icmp: tuple[int, int] = (0, 0)
    fragment: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was asked: a tier, a policy or profile, a rule that matched (object ids); ``action`` None: no match.

    A tier's action is how it ended without a decision of its policies.
    """

    kind: str                             # tier | chain | rule
    decided_by: int
    action: PolicyAction | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """``decided_by`` is the rule, the tier whose end it was, or 0 where no profile said anything."""

    allowed: bool
    decided_by: int
    steps: tuple[Step, ...]
    silent: bool = False                  # the program ended without a word: neither allowed nor denied


class Police:
    """Judges flows by the programs of one Intent."""

    def __init__(self, policing: Policing) -> None:
        self.policing = policing

    def egress(self, flow: Flow, *, staged: bool = False) -> Judgement:
        """The sender's side. ``staged``: as if staged policies were in force."""
        return self._side(flow, flow.src, "staged_egress" if staged else "egress")

    def ingress(self, flow: Flow, *, staged: bool = False) -> Judgement:
        """The receiver's side."""
        return self._side(flow, flow.dst, "staged_ingress" if staged else "ingress")

    def _side(self, flow: Flow, address: int, which: str) -> Judgement:
        identity = self.policing.addresses.get(address, 0)
        return self.judge(getattr(self.policing.identities[identity - 1], which) if identity else 0, flow)

    def judge(self, program: int, flow: Flow) -> Judgement:
        """The program's verdict; program 0 allows everything."""
        if not program:
            return Judgement(True, 0, ())
        steps: list[Step] = []
        found = self.policing.programs[program - 1]
        for tier in found.tiers:
            if (decided := self._tier(tier, flow, steps)) is not None:
                return Judgement(decided.action is PolicyAction.ALLOW, decided.decided_by, tuple(steps))
        for chain in found.profiles:
            if (decided := self._chain(chain, flow, steps)) is not None and decided.action is not PolicyAction.PASS:
                return Judgement(decided.action is PolicyAction.ALLOW, decided.decided_by, tuple(steps))
        return Judgement(found.end is PolicyAction.ALLOW, 0, tuple(steps), found.end is PolicyAction.PASS)

    def _tier(self, tier: ProgramTier, flow: Flow, steps: list[Step]) -> Step | None:
        """The step that decided; None to go on to the next tier."""
        steps.append(Step("tier", tier.decided_by))
        for chain in tier.chains:
            decided = self._chain(chain, flow, steps)
            if decided is not None:
                return None if decided.action is PolicyAction.PASS else decided
        end = Step("tier", tier.decided_by, tier.end)
        steps.append(end)
        return None if tier.end is PolicyAction.PASS else end

    def _chain(self, number: int, flow: Flow, steps: list[Step]) -> Step | None:
        """The first rule that matches and says more than to log."""
        chain = self.policing.chains[number - 1]
        steps.append(Step("chain", chain.decided_by))
        for rule in chain.rules:
            if self.matches(rule, flow):
                matched = Step("rule", rule.decided_by, rule.action)
                steps.append(matched)
                if rule.action is not PolicyAction.LOG:
                    return matched
        return None

    def matches(self, rule: RuleMatch, flow: Flow) -> bool:
        return all(self._asked(rule, flow))

    def _asked(self, rule: RuleMatch, flow: Flow) -> Iterator[bool]:
        """Each thing that the rule asks, answered."""
        if rule.protocol is not None:
            yield flow.protocol == rule.protocol
        if rule.not_protocol is not None:
            yield flow.protocol != rule.not_protocol
        if rule.icmp is not None:
            yield _is_icmp(rule.icmp, flow)
        if rule.not_icmp is not None:
            yield not _is_icmp(rule.not_icmp, flow)
        yield from self._asked_of(rule.source, flow, flow.src, flow.sport)
        yield from self._asked_of(rule.destination, flow, flow.dst, flow.dport)

    def _asked_of(self, side: SideMatch, flow: Flow, address: int, port: int) -> Iterator[bool]:
        if side.nets:
            yield _inside(address, side.nets)
        if side.not_nets:
            yield not _inside(address, side.not_nets)
        for number in side.sets:
            yield self._holds(number, address)
        for number in side.not_sets:
            yield not self._holds(number, address)
        if side.ports or side.port_sets:
            yield _has_ports(flow) and self._among(side.ports, side.port_sets, flow.protocol, address, port)
        if side.not_ports or side.not_port_sets:
            yield _has_ports(flow) and not self._among(side.not_ports, side.not_port_sets, flow.protocol, address, port)

    def _holds(self, number: int, address: int) -> bool:
        found = self.policing.sets[number - 1]
        return self.policing.addresses.get(address, 0) in found.identities or _inside(address, found.nets)

    def _among(self, ports: Ports, port_sets: tuple[int, ...], protocol: int, address: int, port: int) -> bool:
        if any(first <= port <= last for first, last in ports):
            return True
        identity = self.policing.addresses.get(address, 0)
        for number in port_sets:
            found = self.policing.port_sets[number - 1]
            if found.protocol == protocol and (port in found.numbers.get(identity, ()) or (address, port) in found.hosts):
                return True
        return False


def _has_ports(flow: Flow) -> bool:
    return flow.protocol in WITH_PORTS and not flow.fragment


def _inside(address: int, nets: tuple[Prefix, ...]) -> bool:
    return any(address in net for net in nets)


def _is_icmp(asked: tuple[int, int | None], flow: Flow) -> bool:
    kind, code = asked
    return flow.protocol in ICMP and not flow.fragment and flow.icmp[0] == kind and code in (None, flow.icmp[1])
