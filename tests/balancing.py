"""Random services without documents: what the control plane could hand on, and what it never would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np

from calisim.control.intent import Backend, Frontend, Intent, Object, ServicePort, Services
from calisim.errors import Mark
from calisim.quantities import Prefix, parse_address, parse_prefix
from calisim.traffic.batch import SYN, TCP, UDP
from calisim.vocabulary import EndpointKind
from calisim.vocabulary.chance import fnv1a_32

SECOND = 1_000_000_000
PORTS = (53, 80, 80, 4789, 40000)
ADDRESSES = tuple(parse_address(text) for text in ("10.96.0.1", "10.96.0.2", "10.96.0.3", "198.51.100.1", "203.0.113.77"))
NETS = tuple(parse_prefix(text) for text in (
    "0.0.0.0/0", "10.244.0.0/16", "10.244.1.0/24", "10.0.0.0/8", "10.0.1.0/24", "203.0.113.0/24", "10.244.1.3/32"))


def served(intent: Intent, rng: Random) -> Intent:
    """The world with services on a few addresses and ports, some of them on what others have, some that nobody serves."""
    objects = list(intent.objects)
    candidates = _candidates(intent, rng)
    ports = tuple(_port(number, candidates, objects, rng) for number in range(1, rng.randint(2, 7)))
    frontends = {(one.address, one.protocol, one.port): one for port in range(len(ports)) for one in _frontends(
        port + 1, ports[port].protocol, intent, rng)}
    services = Services(
        ports, tuple(frontends.values()), _nets(rng, 2) if rng.random() < 0.6 else None, rng.random() < 0.2,
        rng.random() < 0.2, _nets(rng, 2) if rng.random() < 0.3 else None)
    return replace(intent, objects=tuple(objects), services=services)


def asking(intent: Intent, rng: Random, wave: np.ndarray) -> np.ndarray:
    """The wave, most packets of which ask for a service now."""
    nodes = [own for router in intent.routers for own in (router.address, router.address, router.ipip_address) if own] or [0]
    wave = wave.copy()
    for packet in wave:
        if not intent.services.frontends or rng.random() < 0.2:
            continue
        frontend = rng.choice(intent.services.frontends)
        packet["dst"] = frontend.address or rng.choice(nodes)
        packet["dport"], packet["protocol"] = frontend.port, frontend.protocol
        packet["tcp_flags"] = (SYN if rng.random() < 0.8 else packet["tcp_flags"]) if frontend.protocol == TCP else 0
        if rng.random() < 0.8 and not packet["fragment"] & 0x3FFF:
            packet["length"], packet["ttl"] = rng.choice((40, 60, 100, 1400)), 64
    return wave


def _nets(rng: Random, most: int) -> tuple[Prefix, ...]:
    return tuple(rng.choice(NETS) for _ in range(rng.randint(0, most)))


def _candidates(intent: Intent, rng: Random) -> list[Backend]:
    """Pods, nodes, a tunnel's end, a host, and who is not there, mostly said to be where they are."""
    homes = {end.address: end.router for end in intent.endpoints if end.address}
    homes |= {router.ipip_address: router.id for router in intent.routers if router.ipip_address}
    pods = [end.address for end in intent.endpoints if end.kind is EndpointKind.POD and end.address]
    addresses = [*pods * 3, *homes, parse_address("10.244.1.63"), parse_address("192.0.2.1"), 0]
    return [
        Backend(address, rng.choice((*PORTS, 8080, 0)), homes.get(address, 0) if rng.random() < 0.9 else rng.randint(0, 3))
        for address in addresses]


def _port(number: int, candidates: Sequence[Backend], objects: list[Object], rng: Random) -> ServicePort:
    objects.append(Object("Service", f"default/s{number}", Mark("random", number)))
    backends = tuple(rng.sample(candidates, min(len(candidates), rng.choice((0, 1, 1, 2, 3, 8)))))
    own = backends if rng.random() < 0.7 else tuple(rng.sample(candidates, min(len(candidates), 4)))
    name = f"default/s{number}:x"
    return ServicePort(
        name, fnv1a_32(name), rng.choice((TCP, TCP, UDP)), backends, tuple(one for one in own if one.router),
        rng.choice((0, 0, SECOND, 40 * SECOND, 500 * SECOND)), len(objects))


def _frontends(service: int, protocol: int, intent: Intent, rng: Random) -> list[Frontend]:
    others = [end.address for end in intent.endpoints if end.address]
    found = []
    for _ in range(rng.randint(1, 4)):
        address = rng.choice((*ADDRESSES, *ADDRESSES, 0, 0, 0, *rng.sample(others, min(2, len(others)))))
        external = address == 0 or rng.random() < 0.5
        sources = _nets(rng, 2) if address and external and rng.random() < 0.2 else None
        found.append(Frontend(address, protocol, rng.choice(PORTS), service, external, rng.random() < 0.4, sources))
    return found
