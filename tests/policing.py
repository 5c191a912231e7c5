"""Random policy without documents: what the control plane could hand on, and what it never would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np

from calisim.control.intent import Intent, Object
from calisim.control.policing import (
    AddressSet, Chain, Failsafes, Guard, Identity, Policing, Ports, PortSet, Program, ProgramTier, RuleMatch, SideMatch,
)
from calisim.errors import Mark
from calisim.quantities import Prefix, network_of, parse_prefix
from calisim.traffic.batch import SYN, packet
from calisim.vocabulary import Device, EndpointKind, PolicyAction

ALLOW, DENY, PASS, LOG = PolicyAction.ALLOW, PolicyAction.DENY, PolicyAction.PASS, PolicyAction.LOG
NETS = tuple(parse_prefix(text) for text in (
    "10.244.0.0/16", "10.244.1.0/24", "10.244.1.0/26", "10.244.1.2/31", "10.0.0.0/8", "0.0.0.0/0", "10.0.1.11/32",
    "203.0.113.0/24", "255.255.255.255/32", "0.0.0.0/32", "10.244.2.0/23"))
PORTS = (0, 1, 53, 79, 80, 81, 4789, 40000, 65535)


def policed(intent: Intent, rng: Random, *, rules: int = 4) -> Intent:
    """The world under policy; chains have up to ``rules`` rules. Sometimes there is none, sometimes everything is denied."""
    return _Maker(intent, rng, rules).made()


class _Maker:
    def __init__(self, intent: Intent, rng: Random, rules: int) -> None:
        self.intent, self.rng, self.rules = intent, rng, rules
        self.objects = list(intent.objects)
        self.identities = rng.randint(0, 5)
        self.nets = [*NETS, *(Prefix(pod.address, 32) for pod in intent.endpoints if pod.address)]
        self.nets += [network_of(pod.address, 30) for pod in intent.endpoints if pod.address][:3]

    def made(self) -> Intent:
        rng = self.rng
        sets = tuple(self._set(number) for number in range(rng.randint(0, 4)))
        port_sets = tuple(self._port_set(number) for number in range(rng.randint(0, 3)))
        chains = tuple(self._chain(len(sets), len(port_sets)) for _ in range(rng.randint(1, 8)))
        programs = tuple(self._program(len(chains)) for _ in range(rng.randint(0, 5)))
        numbers = [0, *(number for number, one in enumerate(programs, 1) if one.end is not PASS)]     # pods' always end in a word
        identities = tuple(
            Identity({}, rng.choice(numbers), rng.choice(numbers), 0, 0) for _ in range(self.identities))
        of = [rng.randint(0, self.identities) if end.kind is EndpointKind.POD else 0 for end in self.intent.endpoints]
        addresses = {end.address: number for end, number in zip(self.intent.endpoints, of, strict=True) if number and end.address}
        policing = Policing(
            identities, tuple(of), addresses, programs, chains, sets, port_sets, cuts=rng.random() < 0.2)
        if rng.random() < 0.5:
            policing = self._guarded(policing)
        return replace(self.intent, objects=tuple(self.objects), policy=policing)

    def _guarded(self, policing: Policing) -> Policing:
        rng, numbers = self.rng, range(len(policing.programs) + 1)

        def program() -> int:
            return rng.choice(numbers) if rng.random() < 0.5 else 0

        guards = tuple(
            Guard(*(program() for _ in range(7)), decided_by=self._object("HostEndpoint")) for _ in range(rng.randint(1, 3)))
        interfaces = {
            (router.id, device): rng.randint(1, len(guards)) for router in self.intent.routers
            for device in (Device.ETHERNET, Device.IPIP, Device.VXLAN, Device.LOOPBACK, Device.VETH) if rng.random() < 0.5}
        return replace(
            policing, guards=guards, interfaces=interfaces, failsafes=Failsafes(program(), program(), program(), program()))

    def _object(self, kind: str) -> int:
        self.objects.append(Object(kind, f"{kind}-{len(self.objects)}", Mark("random", len(self.objects))))
        return len(self.objects)

    def _some(self, among: Sequence[int], most: int) -> tuple[int, ...]:
        return tuple(self.rng.sample(among, min(len(among), self.rng.randint(0, most))))

    def _nets(self, most: int) -> tuple[Prefix, ...]:
        return tuple(self.rng.choice(self.nets) for _ in range(self.rng.randint(0, most)))

    def _set(self, number: int) -> AddressSet:
        return AddressSet(f"s{number}", frozenset(self._some(range(1, self.identities + 1), 3)), self._nets(2))

    def _port_set(self, number: int) -> PortSet:
        rng = self.rng
        owners = self._some(range(1, self.identities + 1), 4)
        numbers = {identity: frozenset(rng.sample(PORTS, rng.randint(0, 2))) for identity in owners}
        hosts = frozenset((rng.choice(self.nets).network, rng.choice(PORTS)) for _ in range(rng.randint(0, 2)))
        return PortSet(f"port-{number}", rng.choice((6, 6, 17, 132)), numbers, hosts)

    def _ports(self) -> Ports:
        return tuple(sorted(self.rng.choices(PORTS, k=2)) for _ in range(self.rng.randint(1, 2)))  # type: ignore[misc]

    def _side(self, sets: int, port_sets: int) -> SideMatch:
        rng = self.rng
        if rng.random() < 0.3:
            return SideMatch()
        named = range(1, port_sets + 1)
        return SideMatch(
            nets=self._nets(2) if rng.random() < 0.4 else (), not_nets=self._nets(2) if rng.random() < 0.2 else (),
            sets=self._some(range(1, sets + 1), 2) if rng.random() < 0.4 else (),
            not_sets=self._some(range(1, sets + 1), 1) if rng.random() < 0.2 else (),
            ports=self._ports() if rng.random() < 0.3 else (), not_ports=self._ports() if rng.random() < 0.1 else (),
            port_sets=self._some(named, 1) if rng.random() < 0.2 else (),
            not_port_sets=self._some(named, 1) if rng.random() < 0.1 else ())

    def _rule(self, sets: int, port_sets: int) -> RuleMatch:
        rng = self.rng
        icmp = rng.choice(((8, None), (8, 0), (8, 1), (11, 0), (3, None)))
        return RuleMatch(
            rng.choice((ALLOW, ALLOW, ALLOW, DENY, PASS, LOG)), rng.choice((None, None, 6, 6, 17, 1, 132, 47)),
            rng.choice((6, 17, 1)) if rng.random() < 0.1 else None, icmp if rng.random() < 0.1 else None,
            icmp if rng.random() < 0.1 else None, self._side(sets, port_sets), self._side(sets, port_sets),
            self._object("PolicyRule"))

    def _chain(self, sets: int, port_sets: int) -> Chain:
        rules = tuple(self._rule(sets, port_sets) for _ in range(self.rng.randint(0, self.rules)))
        if self.rng.random() < 0.3:
            rules += (RuleMatch(self.rng.choice((ALLOW, ALLOW, DENY)), decided_by=self._object("PolicyRule")),)
        return Chain(rules, self._object("Policy"))

    def _program(self, chains: int) -> Program:
        numbers = range(1, chains + 1)
        tiers = tuple(
            ProgramTier(
                tuple(self.rng.choices(numbers, k=self.rng.randint(1, 3))), self.rng.choice((DENY, PASS)), self._object("Tier"))
            for _ in range(self.rng.randint(0, 3)))
        return Program(tiers, self._some(numbers, 2), self.rng.choice((DENY, DENY, ALLOW, PASS)))


def openings(intent: Intent, rng: Random, count: int) -> np.ndarray:
    """Packets that open connections, mostly between pods, to all ports and protocols that rules name, and those beside them."""
    pods = [end for end in intent.endpoints if end.kind is EndpointKind.POD and end.address]
    targets = [*(end.address for end in pods), *(end.address for end in pods), 0xCB00710A, 0x0A00010B, 0x0AF40909, 0x08080808]
    wave = []
    for _ in range(count if pods else 0):
        sender, protocol = rng.choice(pods), rng.choice((6, 6, 17, 1, 132, 47, 58))
        dport = rng.choice((0x0800, 0x0801)) if protocol == 1 else rng.choice((*PORTS, 82, 54))
        wave.append(packet(
            ingress=sender.id, src=sender.address, dst=rng.choice(targets), protocol=protocol, sport=rng.choice((*PORTS, 40001)),
            dport=dport, tcp_flags=SYN if protocol == 6 else 0, length=100, ttl=64))
    return np.concatenate([packet()[:0], *wave])
