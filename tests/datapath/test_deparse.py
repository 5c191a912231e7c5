"""The compiled deparser and ``calisim.wire`` agree on every byte: whole packets, pieces, tunnels, errors with what they quote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calisim.control.intent import Intent
from calisim.datapath.deparse import Deparser, Tunnels
from calisim.datapath.engine import engine
from calisim.datapath.generations import generations
from calisim.errors import UsageError
from calisim.report.frames import frame
from calisim.traffic.batch import packet
from calisim.vocabulary import EVENT, HEADER, Device, Encap, HeaderFlag, PacketFlag
from calisim.vocabulary.chance import draw
from calisim.wire import ethernet, fragments, icmp, ipv4, tcp, udp, vxlan
from calisim.wire.dissect import dissect
from tests.generators import conversation, random_errors, random_headers, random_intent, worlds

PLAIN = np.zeros((), HEADER)[()]
INSIDE = ipv4.Ipv4(0xC0000201, 0xC0000202, 253)
MACS = {0x0A00010B: b"\x66one..", 0x0A00010C: b"\x66two..", 0x0A00020D: b"\x66three"[:6]}


# --- the judge

def text(size: int) -> bytes:
    return (b"calisim " * (size // 8 + 1))[:size]


def segment(protocol: int, src: int, dst: int, sport: int, dport: int, size: int, *, flags: int = 0, seq: int = 0, ack: int = 0,
            unsummed: bool = False) -> bytes:
    """What follows the IPv4 header, ``size`` bytes if that is room for a header."""
    if protocol == ipv4.TCP:
        return tcp.emit(tcp.Tcp(sport, dport, seq, ack, flags), text(max(size - tcp.SIZE, 0)), src, dst)
    if protocol == ipv4.UDP:
        header = udp.Udp(sport, dport, checksum=0 if unsummed else None)
        return udp.emit(header, bytes(max(size - udp.SIZE, 0)), src, dst)
    if protocol == ipv4.ICMP:
        return icmp.emit(icmp.Icmp(dport >> 8, dport & 0xFF, sport << 16 | 1), text(max(size - icmp.SIZE, 0)))
    if protocol == ipv4.IPIP and size >= ipv4.SIZE:
        return ipv4.emit(INSIDE, bytes(size - ipv4.SIZE))
    if protocol == 132 and size >= 16:
        return bytes(12) + b"\x84\0" + (size - 12).to_bytes(2, "big") + bytes(size - 16)
    return bytes(size)


def error(sent: np.void, header: np.void, size: int) -> bytes:
    """An ICMP error's message."""
    about = ipv4.Ipv4(
        int(header["quote_src"]), int(header["quote_dst"]), int(header["quote_protocol"]), int(header["quote_ttl"]),
        int(header["quote_tos"]), 0, int(header["quote_fragment"]))
    quoted = ipv4.emit(about, segment(
        about.protocol, about.src, about.dst, int(header["quote_sport"]), int(header["quote_dport"]),
        int(header["quote_length"]) - ipv4.SIZE))
    filling = text(size + 8) if about.protocol in (ipv4.TCP, ipv4.ICMP) else bytes(size + 8)
    kind = int(sent["dport"])
    behind = len(quoted) - ipv4.SIZE - (tcp.SIZE if about.protocol == ipv4.TCP else icmp.SIZE)
    told = (quoted + filling[behind % 8:])[:max(size - icmp.SIZE, 0)]
    return icmp.emit(icmp.Icmp(kind >> 8, kind & 0xFF, int(header["mtu"])), told)


def datagram(sent: np.void, header: np.void, row: int, src: int, numbers: Any, whole: int) -> bytes:
    """The whole packet as its sender made it."""
    sport, dport, size = int(sent["sport"]), int(sent["dport"]), whole - ipv4.SIZE
    ip = ipv4.Ipv4(src, int(sent["dst"]), int(sent["protocol"]), int(sent["ttl"]), int(sent["tos"]),
                   int(header["id"]) or row + 1 & 0xFFFF, int(sent["fragment"]) & ~0x3FFF)
    if ip.protocol == ipv4.ICMP and dport >> 8 in (3, 11) and header["quote_length"] >= 20:
        body = error(sent, header, size)
    else:
        seq, ack = (int(number) for number in numbers)
        body = segment(ip.protocol, src, ip.dst, sport, dport, size, flags=int(sent["tcp_flags"]), seq=seq, ack=ack,
                       unsummed=bool(header["flags"] & HeaderFlag.NO_CHECKSUM))
    return ipv4.emit(ip, body)


def piece(whole: bytes, word: int, length: int) -> bytes:
    """``length`` bytes of packet out of a whole one, where its fragment word says."""
    header, body = ipv4.parse(whole)
    header = replace(header, fragment=word, length=None, checksum=None)
    return ipv4.emit(header, body[header.offset:header.offset + length - ipv4.SIZE])


def wrapped(event: np.void, inner: bytes, tunnels: Tunnels, header: np.void | None) -> bytes:
    """In the outer header of the sender, or of a tunnel device (None); cut if the EVENT is about a piece."""
    src, dst = int(event["outer_src"]), int(event["outer_dst"])
    inside = int(event["src"]) << 32 | int(event["dst"])
    drawn = draw(tunnels.seed, int(event["time"]), int.from_bytes(inner[4:8], "big"), inside, src << 32 | dst)
    identification = drawn if header is None else int(header["outer_id"]) or int(event["row"]) + 1
    unsummed = not tunnels.udp_checksum if header is None else header["flags"] & HeaderFlag.NO_OUTER_CHECKSUM
    port = tunnels.port if header is None else vxlan.PORT
    outer = ipv4.Ipv4(src, dst, ipv4.IPIP, int(event["outer_ttl"]), int(event["outer_tos"]), identification & 0xFFFF)
    if event["encap"] == Encap.VXLAN:
        macs = ethernet.Ethernet(tunnels.macs.get(dst, bytes(6)), tunnels.macs.get(src, bytes(6)))
        inner = udp.emit(udp.Udp(int(event["outer_sport"]), port, checksum=0 if unsummed else None),
                         vxlan.emit(vxlan.Vxlan(tunnels.vni), ethernet.emit(macs, inner)), src, dst)
        outer = replace(outer, protocol=ipv4.UDP)
    return piece(ipv4.emit(outer, inner), int(event["outer_fragment"]), int(event["outer_length"]))


def judged(events: np.ndarray, sent: np.ndarray, headers: np.ndarray, numbers: np.ndarray, tunnels: Tunnels) -> Iterator[bytes]:
    """The packet of each event in turn."""
    row, own = -1, False
    for event in events:
        if row != event["row"]:
            row = int(event["row"])
            header, src = headers[row], int(sent[row]["src"]) or int(event["src"])
            own = bool(header["encap"])
        own = own and bool(event["encap"])
        word, length = int(event["fragment"]), int(event["length"])
        whole = datagram(sent[row], header, row, src, numbers[row], length + 8 * (word & PacketFlag.OFFSET))
        if not event["encap"] and not word & 0x3FFF:
            yield frame(event, whole, tunnels)
            continue
        bare = event.copy()
        bare["encap"] = Encap.NONE
        inner = piece(frame(bare, whole, tunnels), word, length)
        yield wrapped(event, inner, tunnels, header if own else None) if event["encap"] else inner


# --- both

def agreed(events: np.ndarray, sent: np.ndarray, headers: np.ndarray, rng: Random, tunnels: Tunnels) -> set[tuple[int, ...]]:
    """The deparser and the judge agree; on what: encapsulation, protocol, was it sent encapsulated, does it quote?"""
    numbers = np.array([[rng.getrandbits(32), rng.getrandbits(32)] for _ in sent], np.uint32).reshape(-1, 2)
    made = Deparser(events, tunnels, headers=headers, numbers=numbers).deparse(np.arange(len(events)))
    for number, (event, expected) in enumerate(zip(events, judged(events, sent, headers, numbers, tunnels), strict=True)):
        seen = made.packet(number)
        assert seen.hex() == expected.hex(), event
        assert len(seen) == made.lengths[number]
        assert not [layer for layer in dissect(seen).wrong if not event["fragment"] & 0x3FFF], event
    return {
        (int(event["encap"]), int(event["protocol"]), bool(headers[event["row"]]["encap"]), bool(event["quote_src"]))
        for event in events}


@given(worlds)
@settings(max_examples=60, deadline=None)
def test_journeys_through_random_worlds_agree(seed: int) -> None:
    journeys(random_intent(Random(seed)), Random(seed ^ 1))


def test_the_worlds_show_every_kind_of_packet() -> None:
    """Else the agreement over worlds would say little."""
    seen = set().union(*(journeys(random_intent(Random(seed)), Random(seed ^ 1)) for seed in range(20)))
    both = {(encap, is_so) for encap in range(3) for is_so in (False, True)}
    assert {(encap, own) for encap, _, own, _ in seen} == {(encap, quotes) for encap, _, _, quotes in seen} == both
    assert {protocol for _, protocol, *_ in seen} >= {1, 4, 6, 17, 47, 132}


def journeys(intent: Intent, rng: Random) -> set[tuple[int, ...]]:
    forward = engine("fast", intent)
    state = forward.new_state()
    tunnels = Tunnels(rng.getrandbits(64), rng.getrandbits(24), rng.choice((4789, 8472)), rng.random() < 0.7, MACS)
    talk = conversation(intent, rng, 40)
    wave, seen = next(talk).copy(), set[tuple[int, ...]]()
    while True:
        headers = random_headers(intent, rng, wave) if rng.random() < 0.5 else np.zeros(len(wave), HEADER)
        for header in headers:
            header["flags"], header["id"], header["outer_id"] = rng.randrange(4), rng.getrandbits(16), rng.choice((0, 77))
        first = None
        for generation in generations(forward, wave, state, headers, events=True):
            first = first or generation.results
            assert generation.headers is not None and generation.results.events is not None
            seen |= agreed(generation.results.events, generation.packets, generation.headers, rng, tunnels)
        about, quotes = random_errors(intent, rng, state.connections(), 6)
        about["length"] = [rng.choice((56, 57, 60, 100, 576)) for _ in about]        # what they quote is told by 28 bytes or more
        told = forward.forward(about, state, quotes, events=True).events
        assert told is not None and first is not None
        seen |= agreed(told, about, quotes, rng, tunnels)
        try:
            wave = talk.send(first.results).copy()
        except StopIteration:
            return seen


# --- pieces

PROTOCOLS = st.sampled_from((ipv4.TCP, ipv4.UDP, ipv4.ICMP, ipv4.IPIP, 132, 47))


def event_of(sent: np.ndarray, **fields: int) -> np.ndarray:
    """One crossing of a packet as it was sent."""
    made = np.zeros(1, EVENT)
    for name in ("src", "dst", "sport", "dport", "length", "fragment", "protocol", "tcp_flags", "ttl", "tos"):
        made[name] = sent[name]
    for name, value in fields.items():
        made[name] = value
    return made


@given(PROTOCOLS, st.integers(40, 3000), st.integers(28, 600), st.integers(0, 0x4000).map(lambda bits: bits & 0x4000))
@settings(deadline=None)
def test_pieces_are_slices_of_their_datagram(protocol: int, length: int, mtu: int, df: int) -> None:
    sent = packet(src=0x0AF40102, dst=0x0AF40302, protocol=protocol, sport=40001, dport=0x0800, length=length, ttl=9, tos=5)
    sent["fragment"] = df
    whole = datagram(sent[0], PLAIN, 0, 0x0AF40102, (1, 2), length)
    pieces = fragments.fragment(whole, mtu)
    events = np.concatenate([event_of(sent, row=0) for _ in pieces])
    events["length"] = [len(data) for data in pieces]
    events["fragment"] = [ipv4.parse(data)[0].fragment for data in pieces]
    deparser = Deparser(events, Tunnels(), numbers=np.array([[1, 2]]), wholes=np.array([length]))
    made = deparser.deparse(np.arange(len(events)))
    assert [made.packet(number).hex() for number in range(len(pieces))] == [data.hex() for data in pieces]


@given(PROTOCOLS, st.sampled_from((Encap.IPIP, Encap.VXLAN)), st.integers(40, 3000), st.integers(28, 600), st.booleans())
@settings(deadline=None)
def test_pieces_of_the_outer_packet(protocol: int, encap: Encap, length: int, mtu: int, inside_too: bool) -> None:
    """Cut behind the tunnel device, and again if what is inside is a piece itself."""
    sent = packet(src=0x0AF40102, dst=0x0AF40302, protocol=protocol, sport=40001, dport=0x0800, length=length, df=False)
    overhead = 20 if encap is Encap.IPIP else 50
    event = event_of(sent, encap=encap, outer_src=0x0A00010B, outer_dst=0x0A00020D, outer_ttl=63, outer_sport=40000,
                     outer_length=length + overhead)
    tunnels = Tunnels(5, macs=MACS)
    whole = datagram(sent[0], PLAIN, 0, 0x0AF40102, (0, 0), length)
    inner, wholes = frame(event[0], whole, Tunnels(5))[overhead:], np.zeros(1, np.uint16)
    if inside_too:
        wholes = np.array([length], np.uint16)
        event["fragment"], event["length"] = PacketFlag.MF | 1, 20 + (length - 28 & ~7)
        event["outer_length"] = event["length"] + overhead
        inner = piece(whole, int(event["fragment"][0]), int(event["length"][0]))
    packet_ = wrapped(event[0], inner, tunnels, None)
    pieces = fragments.fragment(packet_, mtu)
    events = np.repeat(event, len(pieces))
    events["outer_length"] = [len(data) for data in pieces]
    events["outer_fragment"] = [ipv4.parse(data)[0].fragment for data in pieces]
    made = Deparser(events, tunnels, wholes=wholes).deparse(np.arange(len(events)))
    assert [made.packet(number).hex() for number in range(len(pieces))] == [data.hex() for data in pieces]


def test_a_udp_checksum_that_comes_to_zero_is_sent_as_its_other_zero() -> None:
    """RFC 768: 0 would say that there is none. Inside and in the tunnel's own datagram."""
    sent = packet(src=1, dst=2, protocol="udp", sport=0, dport=53, length=100)
    whole = datagram(sent[0], PLAIN, 0, 1, (0, 0), 100)
    sent["sport"] = int.from_bytes(whole[26:28], "big")
    wire = event_of(sent, encap=Encap.VXLAN, outer_length=150, outer_src=3, outer_dst=4)
    wire["outer_sport"] = int.from_bytes(Deparser(wire, Tunnels()).deparse(np.arange(1)).packet(0)[26:28], "big")
    made = Deparser(wire, Tunnels()).deparse(np.arange(1)).packet(0)
    assert made[26:28] == made[76:78] == b"\xff\xff"
    assert made == wrapped(wire[0], datagram(sent[0], PLAIN, 0, 1, (0, 0), 100), Tunnels(), None)


# --- what is asked for

def crossings() -> np.ndarray:
    """A packet on a veth, in a VXLAN device and on the wire."""
    sent = packet(src=1, dst=2, protocol="tcp", sport=40000, dport=80, length=1000)
    wire = event_of(sent, device=Device.ETHERNET, encap=Encap.VXLAN, outer_length=1050, outer_src=3, outer_dst=4, outer_ttl=64)
    return np.concatenate([event_of(sent, device=Device.VETH), event_of(sent, device=Device.VXLAN), wire])


@pytest.mark.parametrize("snap", [0, 1, 19, 40, 53, 54, 104, 105, 1001, 1050, 5000])
def test_a_snap_length_cuts_and_changes_nothing(snap: int) -> None:
    deparser = Deparser(crossings(), Tunnels())
    whole, cut = deparser.deparse(np.array([2, 0, 1])), deparser.deparse(np.array([2, 0, 1]), snap)
    assert [cut.packet(number) for number in range(3)] == [whole.packet(number)[:snap] for number in range(3)]
    assert whole.lengths.tolist() == cut.lengths.tolist() == [1050, 1000, 1000]


def test_nothing_asked_nothing_made() -> None:
    made = Deparser(np.zeros(0, EVENT), Tunnels()).deparse(np.zeros(0, np.uint64))
    assert made.octets.size == 0 and made.offsets.tolist() == [0]


@pytest.mark.parametrize("fields", [
    {"length": 19}, {"encap": 3}, {"encap": 1, "outer_length": 19}, {"encap": 255, "outer_length": 100}, {"row": 3}])
def test_events_of_no_packet_are_refused(fields: dict[str, int]) -> None:
    events = crossings()
    for name, value in fields.items():
        events[1][name] = value
    deparser = Deparser(events, Tunnels(), headers=np.zeros(3, HEADER))
    with pytest.raises(UsageError, match="none of a packet of these rows"):
        deparser.deparse(np.arange(3))


@pytest.mark.parametrize("beyond", ["headers", "numbers", "wholes"])
def test_rows_beyond_what_belongs_to_them_are_refused(beyond: str) -> None:
    arrays = {"headers": np.zeros(1, HEADER), "numbers": np.zeros((1, 2), np.uint32), "wholes": np.zeros(1, np.uint16)}
    events = crossings()
    events["row"] = 1
    with pytest.raises(UsageError, match="none of a packet of these rows"):
        Deparser(events, Tunnels(), **{beyond: arrays[beyond]}).deparse(np.arange(3))


def test_any_bytes_as_events_are_packets_or_refused() -> None:
    chance = np.random.default_rng(7)
    for _ in range(50):
        events = np.frombuffer(chance.bytes(64 * EVENT.itemsize), EVENT).copy()
        headers = np.frombuffer(chance.bytes(64 * HEADER.itemsize), HEADER)
        events["row"] %= 80
        events["encap"] %= 4
        deparser = Deparser(
            events, Tunnels(macs=MACS), headers=headers, wholes=chance.integers(0, 65536, 64, np.uint16))
        events_ok = (events["row"] < 64) & (events["encap"] < 3) & (events["length"] >= 20)
        events_ok &= (events["encap"] == 0) | (events["outer_length"] >= 20)
        for number in range(64):
            if events_ok[number]:
                assert len(deparser.deparse(np.array([number])).packet(0)) >= 20
            else:
                with pytest.raises(UsageError):
                    deparser.deparse(np.array([number]))
