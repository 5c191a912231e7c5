"""Seeded random worlds and waves, meant to hit every branch of both engines, not to look like anybody's cluster.

``random_intent(Random(seed))`` and ``random_wave(intent, Random(seed), count)`` are functions of the seed alone;
``worlds`` is the hypothesis strategy over them. TAILS are the batch sizes around the frame of the compiled core.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random

import numpy as np
from hypothesis import strategies as st

from calisim.control.intent import FilterRule, Intent
from calisim.traffic.batch import ACK, FIN, ICMP, PSH, RST, SYN, TCP, UDP, packet
from calisim.traffic.flows import reply_wave
from calisim.traffic.owners import AddressOwners
from calisim.vocabulary import HEADER, EndpointKind, RouterFlag, RpFilter, TargetKind
from tests.intents import Cluster, allow, deny

TAILS = (0, 1, 2, 255, 256, 257)
SECOND = 1_000_000_000
ODD_ADDRESSES = (0, 1, 0x7F000001, 0xE0000005, 0xEFFFFFFF, 0xF0000001, 0xFFFFFFFF, 0x08080808, 0x0AF40000, 0x0A000102)
NONE = RouterFlag(0)
SENDS_ANYTHING = RouterFlag.PODS_SEND_IPIP | RouterFlag.PODS_SEND_VXLAN
PEERS = ("10.0.1.0/24", "10.0.0.0/16", "10.244.0.0/16", "0.0.0.0/0", "10.0.1.11/32")
MODES = ("Never", "Always", "CrossSubnet")

worlds = st.integers(0, 2**32 - 1)


def random_intent(rng: Random) -> Intent:
    """A small cluster of 0..6 nodes with odd masks, filters, pools, borrowed addresses and cloud routes."""
    cluster = Cluster(seed=rng.getrandbits(63), mtu=rng.choice((1500, 1500, 9001, 576)))
    provider = rng.choice(("aws", "aws", "aws", "linux", "plain"))
    cluster.fabric = {
        "decrements_ttl": provider == "linux", "routes_pods": provider == "plain",
        "blocked_protocols": frozenset(rng.choice(((), (), (), (4,), (17, 47)))),
        "outside_address": rng.choice((0, 0xCB007101)), "mtu": rng.choice((9001, 1500, 1490)),
        "internet_mtu": rng.choice((1500, 1400)),
    }
    cluster.icmp_ratelimit = rng.choice((0, 0, 1000))
    _add_subnets(cluster, rng)
    for _ in range(rng.choice((0, 0, 1, 3))):
        cluster.group(_rules(rng, groups=3), _rules(rng, groups=3))
    _add_nodes(cluster, rng)
    _add_pods(cluster, rng)
    _add_cloud_routes(cluster, rng, provider)
    for address in rng.sample(("203.0.113.10", "198.51.100.7", "10.0.1.200", "10.0.2.201", "10.244.9.9"), rng.randint(0, 3)):
        cluster.host(address)
    if cluster.routers and rng.random() < 0.2:
        cluster.outcasts.add(rng.choice(cluster.routers).address)
    return cluster.build()


def _rules(rng: Random, groups: int = 0, *, acl: bool = False) -> list[FilterRule]:
    """Up to four rules; half of the lists end in *everything*, so that not all packets die here."""
    rules = []
    for _ in range(rng.randint(0, 3)):
        protocol = rng.choice((None, 1, 4, 6, 17, 17, 47))
        port = rng.choice(((0, 65535), (80, 80), (4789, 4789), (8, 8), (0, 0), (1024, 65535)))
        peer = {} if rng.random() < 0.4 else {"prefix": rng.choice(PEERS)}
        if acl and rng.random() < 0.3:
            rules.append(deny(protocol, port, **peer))
        elif groups and rng.random() < 0.4:
            rules.append(allow(protocol, port, group=rng.randint(1, groups)))
        else:
            rules.append(allow(protocol, port, **peer))
    return rules + ([allow()] if rng.random() < 0.6 else [])


def _add_subnets(cluster: Cluster, rng: Random) -> None:
    prefixes = ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/26", "10.1.1.0/24"][:rng.randint(1, 4)]
    for prefix in prefixes:
        acl_in, acl_out = ((_rules(rng, acl=True), _rules(rng, acl=True)) if rng.random() < 0.2 else (None, None))
        vpc = 2 if prefix.startswith("10.1.") else 1
        cluster.subnet(
            prefix, mtu=rng.choice((0, 0, 1400)), vpc=vpc, table=rng.choice((0, 0, 1)), acl_in=acl_in, acl_out=acl_out)


def _add_nodes(cluster: Cluster, rng: Random) -> None:
    world = {"check": rng.random() < 0.2, "calico": rng.random() < 0.7, "rp_filter": rng.choice(tuple(RpFilter))}
    for number in range(1, rng.choice((0, 1, 2, 2, 3, 3, 3, 4, 4, 6)) + 1):
        subnet = rng.randint(1, len(cluster.subnets))
        if rng.random() < 0.2:
            world = {"check": rng.random() < 0.5, "calico": rng.random() < 0.5, "rp_filter": rng.choice(tuple(RpFilter))}
        cluster.node(
            cluster.subnets[subnet - 1].prefix.network + 10 + number, subnet=subnet,
            recorded=rng.choice((-1, -1, -1, 32, 16, 28, None)),
            ipip=f"10.244.{number}.1" if rng.random() < 0.8 else 0, vxlan=f"10.244.{number}.2" if rng.random() < 0.8 else 0,
            ipip_mtu=rng.choice((None, None, None, 1480, 1500)), vxlan_mtu=rng.choice((None, None, None, 1450, 1500)),
            pod_mtu=rng.choice((0, 1450, 1480)), random_fully=rng.random() < 0.4, down=rng.random() < 0.06,
            host_action_drop=rng.random() < 0.2, more=rng.choice((NONE, NONE, SENDS_ANYTHING)),
            public=rng.choice((None, 0, 0, f"198.51.100.{100 + number}")),
            groups=tuple(sorted(rng.sample(range(1, len(cluster.groups) + 1), rng.randint(0, len(cluster.groups))))),
            rp_filter_veth=rng.choice((None, None, *RpFilter)), rp_filter_tunnel=rng.choice((None, None, *RpFilter)),
            tunnel_masquerade=rng.random() < 0.8, **world)


def _add_pods(cluster: Cluster, rng: Random) -> None:
    cluster.pool(
        "10.244.0.0/16", ipip=(mode := rng.choice(MODES)), vxlan=rng.choice(MODES) if mode == "Never" else "Never",
        nat_outgoing=rng.random() < 0.7, export=rng.random() < 0.95)
    if rng.random() < 0.4:                    # a second pool, sometimes over the nodes' own addresses
        cluster.pool(
            rng.choice(("10.50.0.0/16", "10.0.2.0/24", "10.0.0.0/8", "203.0.113.0/24")), ipip=rng.choice(MODES),
            nat_outgoing=rng.random() < 0.5, disabled=rng.random() < 0.3)
    for number in range(1, len(cluster.routers) + 1):
        cluster.block(f"10.244.{number}.0/{rng.choice((26, 26, 26, 28, 24))}", number)
        if rng.random() < 0.2:
            cluster.block(f"10.244.200.{number}/32", number)
            cluster.pod(f"10.244.200.{number}", number)
        for ordinal in range(rng.randint(0, 3)):
            cluster.pod(f"10.244.{number}.{ordinal + 3}", number, mtu=rng.choice((0, 0, 0, 1500, 1400)))
        if rng.random() < 0.2:                # borrowed out of another block, or out of nobody's
            address = f"10.244.{rng.randint(1, len(cluster.routers) + 1)}.{60 + number}"
            cluster.pod(address, number)
            cluster.borrow(address, number)
        if rng.random() < 0.1:
            cluster.pod(0, number)
        if len(cluster.pools) > 1 and rng.random() < 0.5:
            base = cluster.pools[1].prefix.network
            cluster.block(str(cluster.pools[1].prefix._replace(network=base + number * 64, length=26)), number, pool=1)
            cluster.pod(base + number * 64 + 5, number)


def _add_cloud_routes(cluster: Cluster, rng: Random, provider: str) -> None:
    for table in range(len(cluster.tables)):
        cluster.cloud_route("10.0.0.0/16", table=table)
        if rng.random() < 0.6:
            cluster.cloud_route("10.1.0.0/16", table=table)
        outside = TargetKind.OUTSIDE if provider == "linux" else TargetKind.INTERNET
        if rng.random() < 0.8:
            cluster.cloud_route("0.0.0.0/0", rng.choice((outside, outside, outside, outside, TargetKind.NAT)), vpc=1, table=table)
        for number in range(1, len(cluster.routers) + 1):
            if rng.random() < 0.2:
                via = rng.randint(1, len(cluster.routers))
                cluster.cloud_route(f"10.244.{number}.0/26", TargetKind.NODE, router=via, table=table)
            elif rng.random() < 0.1:
                target = rng.choice((TargetKind.BLACKHOLE, TargetKind.QUOTA))
                cluster.cloud_route(f"10.244.{number}.0/26", target, table=table)


_SEGMENTS = (SYN, SYN, SYN | ACK, SYN | ACK, ACK, ACK, ACK, PSH | ACK, FIN | ACK, FIN | ACK, RST, RST | ACK)


def conversation(intent: Intent, rng: Random, count: int, waves: int = 4) -> Generator[np.ndarray, np.ndarray, None]:
    """Waves in the order of time; send each one's RESULT array back, for some waves are answers, some come again later."""
    wave, now = random_wave(intent, rng, count), SECOND
    for _ in range(waves):
        results = yield wave
        now = max(now, int(wave["time"].max(initial=0))) + rng.choice((0, 1, 40, 200, 700, 500_000)) * SECOND
        choice = rng.random()
        if choice < 0.65 and len(answers := reply_wave(wave, results, intent)):
            wave = answers
        elif choice < 0.8:
            wave = wave.copy()
            wave["time"] = now + np.arange(len(wave), dtype=np.uint64)
        else:
            wave = random_wave(intent, rng, count, start=now)


def segments(intent: Intent, rng: Random, connections: np.ndarray, count: int, now: int) -> np.ndarray:
    """TCP segments with flags of every kind in both directions of what is tracked, and the SYNs of what is not yet."""
    known = connections[(connections["protocol"] == TCP) & (connections["flags"] == 0)]
    owners = AddressOwners(intent)
    wave = random_wave(intent, rng, count, start=now, spread=rng.choice((1, 5, 100)) * SECOND)
    wave["protocol"], wave["ttl"], wave["length"] = TCP, 64, 100
    for segment in wave:
        segment["tcp_flags"] = rng.choice(_SEGMENTS) if rng.random() < 0.95 else rng.randrange(256)
        if len(known) and rng.random() < 0.9:
            one, reply = known[rng.randrange(len(known))], rng.random() < 0.5
            for field in ("src", "dst", "sport", "dport"):
                segment[field] = one[f"reply_{field}" if reply else field]
            segment["ingress"] = owners.of(np.array([segment["src"]]))[0]
    return wave


def addresses_of_interest(intent: Intent) -> list[int]:
    """Everything that has an address, its neighbours in number, the edges of prefixes, and what nobody may use."""
    known = {e.address for e in intent.endpoints} | {s.gateway for s in intent.fabric.subnets}
    for router in intent.routers:
        known |= {router.ipip_address, router.vxlan_address, router.public_address}
    for ranged in (*intent.blocks, *intent.pools, *intent.fabric.subnets):
        prefix = ranged.prefix
        known |= {prefix.network, prefix.last}
    near = {address + step & 0xFFFFFFFF for address in known for step in (-1, 1)}
    services = sorted({frontend.address for frontend in intent.services.frontends} - {0})
    return sorted(known) * 4 + sorted(near) + list(ODD_ADDRESSES) + services * 40


def random_wave(intent: Intent, rng: Random, count: int, *, start: int = SECOND, spread: int = 1000 * SECOND) -> np.ndarray:
    """``count`` packets; few ports and few addresses, so that connections clash, return and expire."""
    if not count:
        return packet()[:0]
    targets = addresses_of_interest(intent)
    senders = [endpoint.id for endpoint in intent.endpoints] * 20 + [0, len(intent.endpoints) + 1]
    return np.concatenate([_random_packet(intent, rng, targets, senders, start + rng.randrange(spread)) for _ in range(count)])


def _random_packet(intent: Intent, rng: Random, targets: list[int], senders: list[int], time: int) -> np.ndarray:
    ingress = rng.choice(senders)
    sender = intent.endpoint(ingress) if 0 < ingress <= len(intent.endpoints) else None
    own = sender.address if sender else 0
    if sender and sender.kind is EndpointKind.NODE:
        own = rng.choice((0, 0, own, intent.router(sender.router).ipip_address))
    protocol = rng.choice((TCP, TCP, TCP, UDP, UDP, ICMP, ICMP, 4, 47, 132, 255))
    sport = rng.choice((0, 1, 53, 511, 512, 700, 1023, 1024, 40000, 40001, 65535))
    dport = rng.choice((0, 53, 80, 80, 4789, 40000))
    if protocol == ICMP:
        dport = rng.choice((0x0800,) * 8 + (0, 0, 0x0801, 0x0B00, 0x0304))
    return packet(
        ingress=ingress, src=own if rng.random() < 0.93 else rng.choice(targets), dst=rng.choice(targets), protocol=protocol,
        sport=sport, dport=dport, time=time, df=rng.random() < 0.7, tos=rng.choice((0, 1, 2, 3, 0xB8, 0xBB)),
        tcp_flags=rng.choice((SYN, SYN, SYN, ACK, PSH | ACK, SYN | ACK, RST, FIN | ACK, FIN, 0)) if protocol == TCP else 0,
        ttl=rng.choice((0, 1, 2, 3, 4, 64, 64, 64, 255)),
        length=rng.choice((*(60, 100, 576, 1000) * 8, 2000, 4001, 20, 19, 28, 27, 40, 39, 0, 65535, *_edges(intent, rng) * 2)),
        **({"fragment": rng.choice((0x2000, 0x2010, 0x0001, 0x6000))} if rng.random() < 0.01 else {}))


def random_headers(intent: Intent, rng: Random, wave: np.ndarray) -> np.ndarray:
    """A HEADER for each packet: a third are sent encapsulated, mostly from node to node, some to whom it may concern."""
    headers = np.zeros(len(wave), HEADER)
    nodes, targets = [router.address for router in intent.routers], addresses_of_interest(intent)
    for header, packet_ in zip(headers, wave, strict=True):
        if rng.random() < 0.65:
            continue
        header["encap"] = rng.choice((1, 1, 1, 1, 2, 2, 2, 2, 3, 255)) if rng.random() < 0.1 else rng.choice((1, 2))
        own = intent.endpoint(int(packet_["ingress"])).address if 0 < packet_["ingress"] <= len(intent.endpoints) else 0
        header["outer_src"] = rng.choice((0, own, own, own, own, *nodes[:2], rng.choice(targets)))
        header["outer_dst"] = rng.choice(nodes) if nodes and rng.random() < 0.7 else rng.choice(targets)
        header["outer_ttl"], header["outer_tos"] = rng.choice((0, 1, 2, 3, 64, 64, 64)), rng.choice((0, 1, 2, 3, 3, 0xB9))
        header["outer_fragment"] = rng.choice((0, 0, 0, 0x4000, 0x4000, 0x4000, 0x8000, 0x2000)) if rng.random() < 0.5 else 0
        header["outer_sport"] = rng.choice((0, 40000, 40001, 4789))
        if rng.random() < 0.5:                 # inside: as it would come from another pod
            packet_["src"] = rng.choice(targets)
    return headers


def random_pieces(intent: Intent, rng: Random, count: int, *, start: int = SECOND) -> tuple[np.ndarray, np.ndarray]:
    """Datagrams in pieces as raw sockets send them, a third of them outer ones: in any order, some missing, doubled, overlapping
    or with another end, some with few ids, so that they mix."""
    rows, more = [], []
    senders = [e for e in intent.endpoints if e.address]
    while len(rows) < count and senders:
        sender = rng.choice(senders)
        whole = random_wave(intent, rng, 1, start=start, spread=rng.choice((1, 40 * SECOND)))
        whole["ingress"], whole["ttl"] = sender.id, rng.choice((2, 64, 64, 64))
        whole["src"] = sender.address if rng.random() < 0.9 else whole["src"]
        whole["dst"] = rng.choice(senders).address if rng.random() < 0.8 else whole["dst"]
        header = random_headers(intent, rng, whole) if rng.random() < 0.3 else np.zeros(1, HEADER)
        header["id"], header["outer_id"] = rng.randint(0, 3), rng.randint(0, 3)
        if rng.random() < 0.1:
            header["datagram"], header["outer_datagram"] = rng.randint(0, 3), rng.randint(0, 3)
        for offset, length, flags in _cut(rng):
            piece, of = whole.copy(), header.copy()
            if of["encap"][0]:
                of["outer_fragment"], of["outer_length"] = flags | offset // 8, length
                of["outer_tos"] = rng.choice((of["outer_tos"][0], 3, 1)) if rng.random() < 0.1 else of["outer_tos"]
            else:
                piece["fragment"], piece["length"] = flags | offset // 8, length
                piece["tos"] = rng.choice((piece["tos"][0], 3, 1)) if rng.random() < 0.1 else piece["tos"]
            piece["time"] += rng.choice((0, 0, 0, 1, 29 * SECOND, 30 * SECOND))
            rows.append(piece)
            more.append(of)
    return (np.concatenate(rows), np.concatenate(more)) if rows else (packet()[:0], np.zeros(0, HEADER))


def _cut(rng: Random) -> list[tuple[int, int, int]]:
    """Offset, total length and flags of pieces."""
    df = rng.choice((0, 0, 0x4000))
    sizes = [8 * rng.choice((5, 10, 60, 182, 182, 185, 400)) for _ in range(rng.randint(1, 4))] + [rng.choice((1, 8, 60, 1460))]
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    pieces = [
        (start, size + 20, (df if rng.random() < 0.95 else 0) | 0x2000) for start, size in zip(starts, sizes, strict=True)]
    pieces[-1] = pieces[-1][0], pieces[-1][1], pieces[-1][2] & 0x4000
    if rng.random() < 0.4:
        rng.shuffle(pieces)
    if rng.random() < 0.3:
        start, length, flags = rng.choice(pieces)
        pieces.insert(rng.randint(0, len(pieces)), rng.choice((
            (start, length, flags), (start + 8, length, flags), (start, max(28, length - 8), flags),
            (start, length, flags ^ 0x2000), (rng.choice((0x1FFF, 0x1FF0)) * 8, rng.choice((28, 60)), flags))))
    if rng.random() < 0.15:
        del pieces[rng.randrange(len(pieces))]
    return pieces


def hostile_headers(intent: Intent, rng: Random, headers: np.ndarray) -> None:
    """Some packets claim that they go on somewhere, as numbers that nobody gave out, in pieces that nobody saw."""
    for header in headers:
        if rng.random() < 0.7:
            continue
        header["resume"] = rng.choice((2, 3, 6, 14, 16, 18, 2, 3, 6, 14, 16, 18, 1, 4, 5, 15, 17, 19, 255))
        header["resume_at"] = rng.choice(([*range(1, len(intent.routers) + 1)] or [1]) * 8 + [
            0, *range(len(intent.endpoints) + 2), 0xFFFFFFFF])
        header["device"] = rng.choice((*(1, 2, 3, 4, 5) * 6, 0, 6, 255))
        header["place"] = rng.choice((0, *range(len(intent.places) + 2), 0xFFFFFFFF)) if rng.random() < 0.5 else 0
        header["largest"] = rng.choice((0, 0, 0, 1, 27, 28, 100, 1400, 0xFFFF))
        header["datagram"], header["outer_datagram"] = rng.choice((0, 1, 2, 5)), rng.choice((0, 1, 2, 5))
        header["outer_length"] = rng.choice((header["outer_length"], 0, 19, 100, 0xFFFF))


def random_errors(intent: Intent, rng: Random, connections: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """ICMP errors about packets of tracked connections, in any direction and on either side of a translation, by anybody."""
    wave, headers = random_wave(intent, rng, count if len(connections) else 0), np.zeros(count, HEADER)
    places = range(len(intent.routers) + 1, len(intent.places) + 2)
    for packet_, header in zip(wave, headers, strict=False):
        c = rng.choice(connections)
        side, turned = rng.choice(("", "reply_")), rng.random() < 0.4
        ends = [(c[f"{side}{end}"], c[f"{side}{end[0]}port"]) for end in ("src", "dst")]
        (src, sport), (dst, dport) = reversed(ends) if turned and c["protocol"] != ICMP else ends
        if c["protocol"] == ICMP:
            sport, dport = c[f"{side}sport"], c[f"{side}dport"]
        header["quote_src"], header["quote_dst"], header["quote_sport"], header["quote_dport"] = src, dst, sport, dport
        header["quote_protocol"], header["quote_length"] = c["protocol"], rng.choice((28, 100, 1500, 19, 0xFFFF))
        header["quote_fragment"] = rng.choice((0, 0, 0, 0x4000, 0x2000, 1)) if rng.random() < 0.2 else 0
        header["flags"] = rng.choice((0, 0, 4, 7))
        header["mtu"], header["place"] = rng.choice((0, 576, 1400)), rng.choice(places) if rng.random() < 0.2 else 0
        packet_["time"] = int(connections["created"].max()) + rng.choice((0, 1, 40 * SECOND))
        packet_["protocol"], packet_["dport"] = ICMP, rng.choice((0x0300, 0x0301, 0x0303, 0x0304, 0x0B00, 0x0B00, 0x0C00))
        packet_["dst"] = src if rng.random() < 0.9 else packet_["dst"]
        pods = [e for e in intent.endpoints if e.address == dst]
        if pods and rng.random() < 0.5:
            packet_["ingress"], packet_["src"] = pods[0].id, pods[0].address
    return wave, headers[:len(wave)]


def _edges(intent: Intent, rng: Random) -> list[int]:
    """A length that an MTU of this world just admits, and its neighbours."""
    mtus = {1500, intent.fabric.mtu, intent.fabric.internet_mtu} | {e.mtu for e in intent.endpoints}
    for router in intent.routers:
        mtus |= {mtu for mtu in (router.inputs.ipip_mtu, router.inputs.vxlan_mtu) if mtu}
    mtu = rng.choice(sorted(mtus))
    return [mtu - 1, mtu, mtu + 1, mtu - 20, mtu - 50, mtu - 19, mtu - 49]
