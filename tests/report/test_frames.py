"""Bytes of an interface from its EVENT: what is adjusted equals what is made anew, what was wrong stays wrong."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from calisim.datapath.engine import engine
from calisim.quantities import parse_address
from calisim.datapath.deparse import Tunnels
from calisim.report.frames import aged, error, frame, frames, rewritten
from calisim.traffic.batch import packet
from calisim.vocabulary import EVENT, HEADER, PACKET, Device, Direction, Encap, PacketFlag
from calisim.wire import icmp, ipv4, tcp, udp, vxlan
from calisim.wire.dissect import dissect
from tests.intents import three_zones

P1, P5, API = "10.244.1.2", "10.244.3.2", "203.0.113.10"


def sent(protocol: int, rng: Random) -> bytes:
    """A packet with right checksums, its addresses and ports at random."""
    src, dst = rng.getrandbits(32), rng.getrandbits(32)
    body = rng.randbytes(rng.randint(0, 60))
    segment = {
        ipv4.UDP: udp.emit(udp.Udp(rng.getrandbits(16), rng.getrandbits(16)), body, src, dst),
        ipv4.TCP: tcp.emit(tcp.Tcp(rng.getrandbits(16), rng.getrandbits(16), rng.getrandbits(32)), body, src, dst),
        ipv4.ICMP: icmp.emit(icmp.echo(rng.getrandbits(16), rng.getrandbits(16)), body), 47: body,
    }[protocol]
    options = bytes(4 * rng.choice((0, 0, 1, 10)))
    return ipv4.emit(ipv4.Ipv4(src, dst, protocol, rng.randint(2, 255), rng.getrandbits(8), options=options), segment)


@pytest.mark.parametrize("protocol", [ipv4.UDP, ipv4.TCP, ipv4.ICMP, 47])
@pytest.mark.parametrize("seed", range(20))
def test_adjusted_checksums_are_right(protocol, seed):
    rng = Random(seed)
    fields = {"src": rng.getrandbits(32), "dst": rng.getrandbits(32), "sport": rng.getrandbits(16), "dport": rng.getrandbits(16),
              "ttl": rng.getrandbits(8), "tos": rng.getrandbits(8)}
    made = rewritten(sent(protocol, rng), **fields)
    header, segment = ipv4.parse(made)
    assert not dissect(made).wrong and dissect(made).fault is None
    assert {name: getattr(header, name) for name in ("src", "dst", "ttl", "tos")} == {
        name: fields[name] for name in ("src", "dst", "ttl", "tos")}
    if protocol == ipv4.ICMP:
        assert icmp.parse(segment)[0].identifier == fields["sport"]
    elif protocol in (ipv4.UDP, ipv4.TCP):
        assert int.from_bytes(segment[:4], "big") == fields["sport"] << 16 | fields["dport"]


def test_a_wrong_checksum_stays_wrong_and_none_stays_none():
    src, dst = parse_address(P1), parse_address(API)
    fields = {"src": dst, "dst": src, "sport": 1, "dport": 2, "ttl": 9, "tos": 0}
    wrong, none = (
        rewritten(ipv4.emit(ipv4.Ipv4(src, dst, ipv4.UDP), udp.emit(udp.Udp(5, 6, checksum=sum_), b"x", src, dst)), **fields)
        for sum_ in (0x1234, 0))
    assert [type(layer.header) for layer in dissect(wrong).wrong] == [udp.Udp]
    assert udp.parse(ipv4.parse(none)[1])[0].checksum == 0


def test_later_fragments_have_no_ports_to_translate():
    body = bytes(range(40))
    later = ipv4.emit(ipv4.Ipv4(1, 2, ipv4.UDP, fragment=5), body)
    assert ipv4.parse(rewritten(later, src=3, dst=4, sport=5, dport=6, ttl=7, tos=8))[1] == body


def test_aged_is_one_router_further():
    before = sent(ipv4.UDP, Random(5))
    header, payload = ipv4.parse(before)
    assert aged(before) == ipv4.emit(replace(header, ttl=header.ttl - 1, checksum=None), payload)


def crossings(cluster, dst, tunnels):
    """Frames of one UDP packet from the first pod, with the devices they were seen on."""
    intent = cluster.build()
    src, to = parse_address(P1), parse_address(dst)
    question = udp.emit(udp.Udp(40000, 53), b"question", src, to)
    data = ipv4.emit(ipv4.Ipv4(src, to, ipv4.UDP, tos=3, fragment=PacketFlag.DF), question)
    wave = packet(src=src, dst=to, protocol="udp", sport=40000, dport=53, length=len(data), tos=3,
                  ingress=intent.endpoint_ids["default/p1"])
    forward = engine("reference", intent)
    events = forward.forward(wave, forward.new_state(), events=True).events
    assert isinstance(events, np.ndarray)
    return [(Device(int(event["device"])), Direction(int(event["direction"])), frame(event, data, tunnels)) for event in events]


def test_ipip():
    seen = crossings(three_zones(ipip="Always"), P5, Tunnels())
    assert [device for device, _, _ in seen] == [
        Device.VETH, Device.IPIP, Device.ETHERNET, Device.ETHERNET, Device.IPIP, Device.VETH]
    outer, inner = ipv4.parse(seen[2][2])
    assert inner == seen[1][2] and ipv4.parse(inner)[0].ttl == 63
    assert (outer.protocol, outer.ttl, outer.tos, outer.dont_fragment, outer.length) == (4, 63, 2, True, len(inner) + 20)
    assert seen[3][2] == seen[2][2], "one identification along the whole leg"
    assert all(not dissect(data).wrong for _, _, data in seen)


@pytest.mark.parametrize("checksum", [True, False])
def test_vxlan(checksum):
    n1, n3 = parse_address("10.0.1.11"), parse_address("10.0.2.13")
    macs = {n1: bytes.fromhex("660000000001"), n3: bytes.fromhex("660000000003")}
    seen = crossings(
        three_zones(ipip="Never", vxlan="Always"), P5, Tunnels(vni=7, port=8472, udp_checksum=checksum, macs=macs))
    wire = next(data for device, _, data in seen if device is Device.ETHERNET)
    outer, segment = ipv4.parse(wire)
    datagram, payload = udp.parse(segment)
    assert (outer.ttl, outer.tos, outer.dont_fragment, datagram.dport) == (64, 2, False, 8472)
    assert datagram.sport in range(32768, 61000) and bool(datagram.checksum) is checksum
    assert udp.verify(segment, outer.src, outer.dst)
    tunnel, inside = vxlan.parse(payload)
    assert tunnel.vni == 7 and inside[:14].hex() == "6600000000036600000000010800" and inside[14:] == seen[1][2]


def quoting(about: bytes) -> bytes:
    """An ICMP error from somebody about a packet."""
    message = icmp.emit(icmp.unreachable(icmp.PORT_UNREACHABLE), about)
    return ipv4.emit(ipv4.Ipv4(parse_address(API), parse_address(P1), ipv4.ICMP), message)


def event_of(packet: bytes, **fields: int) -> np.void:
    """The EVENT of an ICMP error as it is, but for what its quote says."""
    header, _ = ipv4.parse(packet)
    made = np.zeros(1, EVENT)
    for name, value in {"src": header.src, "dst": header.dst, "ttl": header.ttl, "tos": header.tos, **fields}.items():
        made[name] = value
    return made[0]


@pytest.mark.parametrize("protocol", [ipv4.UDP, ipv4.TCP, ipv4.ICMP])
@pytest.mark.parametrize("length", [28, 36, 40, 100])
@pytest.mark.parametrize("seed", range(5))
def test_a_quote_is_translated_and_its_message_summed_anew(protocol, length, seed):
    """All that is quoted says the same as if the packet had been sent so; what was cut off stays away."""
    rng = Random(seed)
    src, dst, ends = parse_address(P1), parse_address(P5), (parse_address(API), parse_address(P5))
    body = rng.randbytes(60)

    def whole(src: int, sport: int) -> bytes:
        segment = {
            ipv4.UDP: udp.emit(udp.Udp(sport, 53), body, src, dst), ipv4.TCP: tcp.emit(tcp.Tcp(sport, 53, 7), body, src, dst),
            ipv4.ICMP: icmp.emit(icmp.echo(sport, 3), body)}[protocol]
        return ipv4.emit(ipv4.Ipv4(src, dst, protocol, 9, 4), segment)

    before = quoting(whole(ends[0], 4000)[:length])
    event = event_of(before, quote_src=src, quote_dst=dst, quote_sport=5000, quote_dport=0x800 if protocol == ipv4.ICMP else 53)
    after = frame(event, before, Tunnels())
    assert after == quoting(whole(src, 5000)[:length])


def test_what_was_sent_encapsulated_keeps_its_outer_header_until_it_is_taken_off():
    inner = sent(ipv4.UDP, Random(1))
    data = ipv4.emit(ipv4.Ipv4(1, 2, ipv4.IPIP, 40, 0xB8, 0x5101), inner)
    header, segment = ipv4.parse(inner)
    ports, _ = udp.parse(segment)
    events = np.zeros(2, EVENT)
    events["src"], events["dst"], events["sport"], events["dport"] = header.src, header.dst, ports.sport, ports.dport
    events["ttl"], events["tos"] = header.ttl, header.tos
    events["encap"], events["outer_src"], events["outer_dst"] = [Encap.IPIP, Encap.NONE], [1, 0], [2, 0]
    events["outer_ttl"], events["outer_tos"] = [39, 0], [0xB8, 0]
    first, second = frames(events, data, Tunnels(), wrapped=True)
    assert first == aged(data) and second == inner


def test_an_error_quotes_what_was_lost():
    lost = sent(ipv4.UDP, Random(2))
    header, segment = ipv4.parse(lost)
    ports, _ = udp.parse(segment)
    packet_, more = np.zeros(1, PACKET), np.zeros(1, HEADER)
    packet_["dst"], packet_["dport"], packet_["ttl"], packet_["tos"] = header.src, 0x0304, 64, 0xC0
    more["mtu"], more["quote_src"], more["quote_dst"] = 1400, header.src, header.dst
    more["quote_sport"], more["quote_dport"], more["quote_ttl"], more["quote_tos"] = (
        ports.sport, ports.dport, header.ttl - 1, header.tos)
    made, message = ipv4.parse(error(packet_[0], more[0], lost, 77, 1))
    told, quote = icmp.parse(message)
    assert (made.src, made.dst, made.ttl, made.tos, made.fragment) == (77, header.src, 64, 0xC0, 0)
    assert (told.type, told.code, told.mtu) == (3, 4, 1400) and icmp.verify(message)
    assert quote == aged(lost)[:548]
