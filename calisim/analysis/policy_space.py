"""All that policy can tell apart, and its verdict on it: classes of addresses × classes of addresses × classes of services.

Exact, not sampled: a class of addresses is all pods of one identity (or everybody outside) between the same bounds of all nets
of all rules; services are :mod:`.policy_services`. Several worlds (an old and a new policy, as enforced and as staged) share
one space, so that they can be compared class by class. Work goes with what can be told apart, not with pods.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..control.policing import Policing, Program, RuleMatch, SideMatch
from ..quantities import Prefix, parse_address
from ..vocabulary import EndpointKind, PolicyAction
from .policy_services import PortsAsked, Services

if TYPE_CHECKING:
    from .network import Network

_EXAMPLE = parse_address("203.0.113.1")  # TEST-NET-3: nobody has it


@dataclass(frozen=True)
class World:
    """One policy in force. ``staged``: as if staged policies were enforced."""

    network: Network
    staged: bool = False

    @property
    def policing(self) -> Policing:
        return self.network.intent.policy


@dataclass(frozen=True, slots=True, eq=False)
class AddressClass:
    """``identities`` and ``addresses`` (of one member) by world; ``net`` is the longest net of any rule that holds it."""

    identities: tuple[int, ...]
    addresses: tuple[int, ...]
    net: Prefix | None
    members: np.ndarray                  # endpoint ids in the first world, of pods
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program makes of all services from or to one class: what it allows, who decided which, what rules match at all."""

    allowed: int
    decided: dict[int, int]              # object → services
    matched: dict[int, int]              # rule's object → services, whoever decides them


class Space:
    """The classes of one or more worlds."""

    def __init__(self, *worlds: World) -> None:
        self.worlds = worlds
        self.services = Services(world.policing for world in worlds)
        self.nets = sorted({net for world in worlds for net in _nets(world.policing)})
        self._firsts = [net.network for net in self.nets]
        self._bounds, self._within = _atoms(self.nets)
        self.classes: list[AddressClass] = []
        self.class_of_endpoint = np.zeros(0, np.int64)
        self._add_pods()
        self._add_outside()
        self._identity = [np.array([one.identities[world] for one in self.classes], np.int64) for world in range(len(worlds))]
        self._nets = [
            np.array([self._position(one.addresses[world]) for one in self.classes], np.int64) for world in range(len(worlds))]
        self._matches: dict[tuple[object, ...], np.ndarray] = {}
        self._named: dict[tuple[object, ...], _PortsOf] = {}
        self._programs: dict[tuple[int, int], list[RuleMatch]] = {}
        self._results: dict[tuple[object, ...], tuple[np.ndarray, list[Outcome]]] = {}

    # --- classes ----------------------------------------------------------------------------------------------------

    def _position(self, address: int) -> int:
        """Which net is the longest that holds the address; -1: none."""
        return int(self._within[bisect_right(self._bounds, address) - 1])

    def _add_pods(self) -> None:
        """Pods that every world knows and that have an address."""
        first = self.worlds[0].network.intent
        ids = [endpoint.id for endpoint in first.endpoints if endpoint.kind is EndpointKind.POD and endpoint.address]
        places: list[list[int]] = [ids]
        for world in self.worlds[1:]:
            known = world.network.intent.endpoint_ids
            places.append([known.get(first.endpoint(number).name, 0) for number in ids])
        columns, kept = [], np.ones(len(ids), bool)
        addresses = []
        for world, numbers in zip(self.worlds, places, strict=True):
            intent, owners = world.network.intent, np.array((0, *world.policing.endpoints), np.int64)
            where = np.array([intent.endpoint(number).address if number else 0 for number in numbers], np.int64)
            kept &= where != 0
            addresses.append(where)
            columns.append(owners[np.array(numbers, np.int64)] if len(owners) > 1 else np.zeros(len(ids), np.int64))
            columns.append(self._within[np.searchsorted(self._bounds, where, side="right") - 1])
        self.class_of_endpoint = np.full(len(first.endpoints) + 1, -1, np.int64)
        if not kept.any():
            return
        pods = np.array(ids, np.int64)[kept]
        each, inverse = np.unique(np.stack(columns, axis=1)[kept], axis=0, return_inverse=True)
        inverse = inverse.ravel()
        order = np.argsort(inverse, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
        ranked = sorted(range(len(groups)), key=lambda number: int(groups[number][0]))
        for number in ranked:
            rows: np.ndarray = groups[number]
            key: list[int] = each[number].tolist()
            self.class_of_endpoint[pods[rows]] = len(self.classes)
            self.classes.append(AddressClass(
                tuple(key[::2]), tuple(int(where[kept][rows[0]]) for where in addresses),
                self.nets[key[1]] if key[1] >= 0 else None, pods[rows], len(rows)))

    def _add_outside(self) -> None:
        """Everybody else: a class for each net that holds an address which no pod has."""
        owned = np.array(sorted({address for world in self.worlds for address in world.policing.addresses}), np.int64)
        first, seen = self.worlds[0].network.intent, set()
        hosts = [endpoint.address for endpoint in first.endpoints if endpoint.kind is EndpointKind.HOST]
        preferred = {self._position(address): address for address in (_EXAMPLE, *reversed(hosts))}
        self.outside: dict[int, int] = {}                # net → class
        for position, (start, net) in enumerate(zip(self._bounds, self._within.tolist(), strict=True)):
            if net in seen:
                continue
            end = self._bounds[position + 1] if position + 1 < len(self._bounds) else 1 << 32
            address = preferred.get(net) or _free(owned, max(start, 1), end)
            if address is None:
                continue
            seen.add(net)
            self.outside[net] = len(self.classes)
            self.classes.append(AddressClass(
                (0,) * len(self.worlds), (address,) * len(self.worlds), self.nets[net] if net >= 0 else None,
                np.zeros(0, np.int64), 0))

    def of_addresses(self, addresses: np.ndarray) -> np.ndarray:
        """The class of each address in the first world; -1 where there is none."""
        each, inverse = np.unique(addresses, return_inverse=True)
        owners = self.worlds[0].network.intent.address_owners
        found = np.array([self._class_of(int(address), owners.get(int(address), 0)) for address in each], np.int64)
        return found[inverse.ravel()]

    def _class_of(self, address: int, endpoint: int) -> int:
        known = int(self.class_of_endpoint[endpoint]) if endpoint else -1
        return known if known >= 0 else self.outside.get(self._position(address), -1)

    # --- verdicts ---------------------------------------------------------------------------------------------------

    def pair(self, source: int, destination: int, world: int = 0) -> int:
        """Services that both ends allow."""
        sent = self.outcome(source, destination, "egress", world).allowed
        return sent & self.outcome(destination, source, "ingress", world).allowed

    def outcome(self, own: int, peer: int, way: str, world: int = 0) -> Outcome:
        """What the policy of one end makes of all services."""
        columns, outcomes = self.outcomes(own, way, world)
        return outcomes[columns[peer]]

    def outcomes(self, own: int, way: str, world: int = 0) -> tuple[np.ndarray, list[Outcome]]:
        """For every class as the peer: the number of its outcome, and the distinct outcomes."""
        number = self.program(own, way, world)
        if not number:
            return np.zeros(len(self.classes), np.int64), [Outcome(self.services.everything, {}, {})]
        rules = self._rules(number, world)
        near, far = ("source", "destination") if way == "egress" else ("destination", "source")
        mine = tuple(bool(self._holds(getattr(rule, near), world)[own]) for rule in rules)
        ports = tuple(self._ports(getattr(rule, near), world)[own] for rule in rules)
        key = (world, number, way, mine, ports)
        if key not in self._results:
            self._results[key] = self._outcomes(number, way, world, rules, mine, ports, far)
        return self._results[key]

    def program(self, own: int, way: str, world: int) -> int:
        identity = self.classes[own].identities[world]
        policed = self.worlds[world].policing.identities[identity - 1] if identity else None
        return getattr(policed, f"staged_{way}" if self.worlds[world].staged else way) if policed else 0

    def _rules(self, number: int, world: int) -> list[RuleMatch]:
        """All rules of a program in the order in which they are asked."""
        if (world, number) not in self._programs:
            policing = self.worlds[world].policing
            program = policing.programs[number - 1]
            self._programs[world, number] = [
                rule for chain in (*program.chains, *program.profiles) for rule in policing.chains[chain - 1].rules]
        return self._programs[world, number]

    def _outcomes(
        self, number: int, way: str, world: int, rules: list[RuleMatch], mine: tuple[bool, ...], ports: tuple[PortsAsked, ...],
        far: str,
    ) -> tuple[np.ndarray, list[Outcome]]:
        """Peers that no rule tells apart have one outcome."""
        sets: list[int] = [0]
        known: dict[int, int] = {0: 0}
        table = np.zeros((max(len(rules), 1), len(self.classes)), np.int32)
        for row, (rule, matches, own_ports) in enumerate(zip(rules, mine, ports, strict=True)):
            if not matches:
                continue
            held = self._holds(getattr(rule, far), world)
            far_ports = self._ports(getattr(rule, far), world)
            for named, chosen in _grouped(far_ports):
                towards = (named, own_ports) if way == "egress" else (own_ports, named)
                bits = self.services.matched(rule, *towards)
                if bits not in known:
                    known[bits] = len(sets)
                    sets.append(bits)
                table[row, held if chosen is None else held & chosen] = known[bits]
        each, inverse = np.unique(table, axis=1, return_inverse=True)
        program = self.worlds[world].policing.programs[number - 1]
        outcomes = [self._run(program, world, [sets[one] for one in column]) for column in each.T.tolist()]
        return inverse.ravel(), outcomes

    def _run(self, program: Program, world: int, matched: list[int]) -> Outcome:
        """The program on all services at once; ``matched`` are those that each of its rules matches."""
        allowed, decided, asked = 0, dict[int, int](), dict[int, int]()
        remaining, at = self.services.everything, 0
        chains = self.worlds[world].policing.chains

        def ask(chain: int, here: int) -> tuple[int, int]:
            """What a chain leaves, and what it passes on."""
            nonlocal at, allowed
            passed = 0
            for rule in chains[chain - 1].rules:
                asked[rule.decided_by] = matched[at]
                bits = matched[at] & here
                at += 1
                if bits and rule.action is not PolicyAction.LOG:
                    decided[rule.decided_by] = decided.get(rule.decided_by, 0) | bits
                    here &= ~bits
                    allowed |= bits if rule.action is PolicyAction.ALLOW else 0
                    passed |= bits if rule.action is PolicyAction.PASS else 0
            return here, passed

        for tier in program.tiers:
            here, through = remaining, 0
            for chain in tier.chains:
                here, passed = ask(chain, here)
                through |= passed
            if here:
                decided[tier.decided_by] = decided.get(tier.decided_by, 0) | here
            remaining = through | here if tier.end is PolicyAction.PASS else through
        for chain in program.profiles:
            here, passed = ask(chain, remaining)
            remaining = here | passed
        return Outcome(allowed, decided, asked)

    def content(self, side: SideMatch, world: int) -> tuple[object, ...]:
        """What a side of a rule matches, however it is said."""
        ports = self._ports(side, world)
        return self._holds(side, world).tobytes(), ports.own if ports.each is None else tuple(ports.each)

    # --- what rules ask of one end ----------------------------------------------------------------------------------

    def _holds(self, side: SideMatch, world: int) -> np.ndarray:
        """Which classes a side of a rule matches, ports aside."""
        key = (world, side.nets, side.not_nets, side.sets, side.not_sets)
        if key not in self._matches:
            held = np.ones(len(self.classes), bool)
            if side.nets:
                held &= self._inside(side.nets, world)
            if side.not_nets:
                held &= ~self._inside(side.not_nets, world)
            for number in side.sets:
                held &= self._among(number, world)
            for number in side.not_sets:
                held &= ~self._among(number, world)
            self._matches[key] = held
        return self._matches[key]

    def _inside(self, nets: Sequence[Prefix], world: int) -> np.ndarray:
        """The nets inside a net stand in a row after it."""
        held = np.zeros(len(self.classes), bool)
        for net in nets:
            low, high = bisect_right(self.nets, net) - 1, bisect_right(self._firsts, net.last)
            held |= (self._nets[world] >= low) & (self._nets[world] < high)
        return held

    def _among(self, number: int, world: int) -> np.ndarray:
        key = (world, number)
        if key not in self._matches:
            found = self.worlds[world].policing.sets[number - 1]
            wanted = np.zeros(len(self.worlds[world].policing.identities) + 1, bool)
            wanted[list(found.identities)] = True
            self._matches[key] = wanted[self._identity[world]] | self._inside(found.nets, world)
        return self._matches[key]

    def _ports(self, side: SideMatch, world: int) -> _PortsOf:
        """The ports that a side of a rule means, names resolved, for each class."""
        key = (world, side.ports, side.not_ports, side.port_sets, side.not_port_sets)
        if key not in self._named:
            own = PortsAsked(side.ports, side.not_ports)
            if not side.port_sets and not side.not_port_sets:
                self._named[key] = _PortsOf(own)
            else:
                each = [own._replace(
                    named=tuple(self._resolved(side.port_sets, one, world)),
                    not_named=tuple(self._resolved(side.not_port_sets, one, world))) for one in self.classes]
                self._named[key] = _PortsOf(own, each)
        return self._named[key]

    def _resolved(self, port_sets: tuple[int, ...], one: AddressClass, world: int) -> Iterator[tuple[int, int]]:
        for number in port_sets:
            found = self.worlds[world].policing.port_sets[number - 1]
            for port in sorted(found.numbers.get(one.identities[world], ())):
                yield found.protocol, port
            for address, port in sorted(found.hosts):
                if address == one.addresses[world]:
                    yield found.protocol, port


@dataclass
class _PortsOf:
    """Ports by class; ``each`` None: the same for all."""

    own: PortsAsked
    each: list[PortsAsked] | None = None

    def __getitem__(self, position: int) -> PortsAsked:
        return self.own if self.each is None else self.each[position]


def _grouped(ports: _PortsOf) -> Iterator[tuple[PortsAsked, np.ndarray | None]]:
    """Distinct ports and the classes that have them; None: all."""
    if ports.each is None:
        yield ports.own, None
        return
    for named in dict.fromkeys(ports.each):
        yield named, np.array([one == named for one in ports.each])


def _nets(policing: Policing) -> Iterator[Prefix]:
    """Every net that some rule asks about."""
    for chain in policing.chains:
        for rule in chain.rules:
            for side in (rule.source, rule.destination):
                yield from side.nets
                yield from side.not_nets
    for found in policing.sets:
        yield from found.nets
    for named in policing.port_sets:
        yield from (Prefix(address, 32) for address, _ in named.hosts)


def _atoms(nets: Sequence[Prefix]) -> tuple[list[int], np.ndarray]:
    """Bounds of all nets in ascending order, and the longest net (its position, -1: none) from each bound on."""
    bounds = sorted({0, *(net.network for net in nets), *(net.last + 1 for net in nets)} - {1 << 32})
    within: list[int] = []
    open_: list[int] = []
    following = 0
    for bound in bounds:
        while open_ and nets[open_[-1]].last < bound:
            open_.pop()
        while following < len(nets) and nets[following].network == bound:
            open_.append(following)
            following += 1
        within.append(open_[-1] if open_ else -1)
    return bounds, np.array(within, np.int64)


def _free(owned: np.ndarray, start: int, end: int) -> int | None:
    """An address from start to before end that nobody owns."""
    low, high = np.searchsorted(owned, [start, end])
    taken = owned[low:high]
    if len(taken) >= end - start:
        return None
    gaps = np.flatnonzero(taken != np.arange(start, start + len(taken)))
    return start + (int(gaps[0]) if len(gaps) else len(taken))
