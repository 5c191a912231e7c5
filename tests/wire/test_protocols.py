"""Round trips of every protocol, and bytes worked out by hand or taken from RFCs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calisim.quantities import parse_address
from calisim.wire import ethernet, icmp, ipv4, tcp, udp, vxlan
from calisim.wire.octets import MalformedPacket

u8, u12, u16, u24, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 12, 16, 24, 32))
payloads = st.binary(max_size=200)
options = st.integers(0, 10).flatmap(lambda words: st.binary(min_size=words * 4, max_size=words * 4))
filled = st.none() | u16                # a checksum to be computed, or one that is kept, right or wrong
ipv4_headers = st.builds(ipv4.Ipv4, src=u32, dst=u32, protocol=u8, ttl=u8, tos=u8, id=u16, fragment=u16, options=options,
                         checksum=filled)
tcp_headers = st.builds(tcp.Tcp, sport=u16, dport=u16, seq=u32, ack=u32, flags=u12, window=u16, urgent=u16, options=options,
                        checksum=filled)
udp_headers = st.builds(udp.Udp, sport=u16, dport=u16, checksum=filled)
icmp_headers = st.builds(icmp.Icmp, type=u8, code=u8, rest=u32, checksum=filled)
vxlan_headers = st.builds(vxlan.Vxlan, vni=u24, flags=u8.map(lambda flags: flags | vxlan.VNI_VALID), reserved=st.tuples(u24, u8))
tags = st.lists(st.tuples(st.sampled_from(ethernet.TAGGED), u16), max_size=3).map(tuple)
ethernet_headers = st.builds(ethernet.Ethernet, dst=st.binary(min_size=6, max_size=6), src=st.binary(min_size=6, max_size=6),
                             ethertype=u16.filter(lambda ethertype: ethertype not in ethernet.TAGGED), tags=tags)


@given(ipv4_headers, payloads, st.binary(max_size=9))
def test_ipv4_inverse(header: ipv4.Ipv4, payload: bytes, padding: bytes) -> None:
    data = ipv4.emit(header, payload)
    parsed, inside = ipv4.parse(memoryview(data + padding))
    assert inside == payload
    assert replace(parsed, length=None, checksum=header.checksum) == header
    assert parsed.length == len(data) and ipv4.emit(parsed, inside) == data
    assert header.checksum is not None or ipv4.verify(data)


@given(udp_headers, payloads, u32, u32)
def test_udp_inverse(header: udp.Udp, payload: bytes, src: int, dst: int) -> None:
    data = udp.emit(header, payload, src, dst)
    parsed, inside = udp.parse(data)
    assert inside == payload and replace(parsed, length=None, checksum=header.checksum) == header
    assert udp.emit(parsed, inside, src, dst) == data
    assert header.checksum or udp.verify(data, src, dst)


@given(tcp_headers, payloads, u32, u32)
def test_tcp_inverse(header: tcp.Tcp, payload: bytes, src: int, dst: int) -> None:
    data = tcp.emit(header, payload, src, dst)
    parsed, inside = tcp.parse(data)
    assert inside == payload and replace(parsed, checksum=header.checksum) == header
    assert tcp.emit(parsed, inside, src, dst) == data
    assert header.checksum is not None or tcp.verify(data, src, dst)


@given(icmp_headers, payloads)
def test_icmp_inverse(header: icmp.Icmp, payload: bytes) -> None:
    data = icmp.emit(header, payload)
    parsed, inside = icmp.parse(data)
    assert inside == payload and replace(parsed, checksum=header.checksum) == header
    assert icmp.emit(parsed, inside) == data
    assert header.checksum is not None or icmp.verify(data)


@given(vxlan_headers, payloads)
def test_vxlan_inverse(header: vxlan.Vxlan, frame: bytes) -> None:
    assert vxlan.parse(vxlan.emit(header, frame)) == (header, frame)


@given(ethernet_headers, payloads)
def test_ethernet_inverse(header: ethernet.Ethernet, payload: bytes) -> None:
    assert ethernet.parse(ethernet.emit(header, payload)) == (header, payload)


@pytest.mark.parametrize("parse", [ethernet.parse, ipv4.parse, udp.parse, tcp.parse, icmp.parse, vxlan.parse, ipv4.verify,
                                   icmp.verify, lambda data: udp.verify(data, 1, 2), lambda data: tcp.verify(data, 1, 2)])
@given(data=st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(parse, data: bytes) -> None:
    try:
        parse(data)
    except MalformedPacket as error:
        assert 0 <= error.offset <= len(data)


def test_known_ipv4_header() -> None:
    """The header that textbooks work through: its checksum is b861."""
    header = ipv4.Ipv4(parse_address("192.168.0.1"), parse_address("192.168.0.199"), ipv4.UDP, fragment=0x4000, length=115)
    assert ipv4.emit(header, b"").hex() == "450000730000400040" "11b861c0a80001c0a800c7"
    assert header.dont_fragment and not header.is_fragment


def test_known_echo() -> None:
    """0800 + 0007 + 0001 + 6162 = 696a, whose complement is 9695."""
    assert icmp.emit(icmp.echo(7, 1), b"ab").hex() == "0800969500070001" "6162"
    assert icmp.echo(7, 1, reply=True).type == 0 and icmp.echo(7, 9).identifier == 7 and icmp.echo(7, 9).sequence == 9


def test_known_vxlan_header() -> None:
    """VNI 4096 stands in the upper 24 bits of the second word."""
    assert vxlan.emit(vxlan.Vxlan(4096), b"").hex() == "0800000000100000"


def test_known_vlan_frame() -> None:
    data = bytes.fromhex("ffffffffffff020000000001" "88a80064" "81000005" "0800" "45")
    header, payload = ethernet.parse(data)
    assert header.tags == ((0x88A8, 100), (0x8100, 5)) and header.ethertype == ethernet.IPV4 and payload == b"\x45"


def test_udp_checksum_zero() -> None:
    """0 means none and stays; a sum that comes out as 0 is sent as ffff (RFC 768)."""
    assert udp.emit(udp.Udp(1, 2, checksum=0), b"", 3, 4)[6:] == b"\0\0"
    assert udp.verify(udp.emit(udp.Udp(1, 2, checksum=0), b"odd", 3, 4), 3, 4)
    # ports + length + pseudo-header (protocol 17, length 10) + payload = ffff → checksum 0
    rest = 0xFFFF - (1 + 2 + 10 + 3 + 4 + 17 + 10)
    data = udp.emit(udp.Udp(1, 2), rest.to_bytes(2, "big"), 3, 4)
    assert data[6:8] == b"\xff\xff" and udp.verify(data, 3, 4)


def test_errors_quote_as_linux_does() -> None:
    """548 bytes of a long packet, so that the error has 576; a short one whole."""
    packet = ipv4.emit(ipv4.Ipv4(1, 2, ipv4.UDP), bytes(1400))
    error = ipv4.emit(ipv4.Ipv4(3, 1, ipv4.ICMP, tos=0xC0), icmp.emit(icmp.fragmentation_needed(1400), icmp.quote(packet)))
    assert len(error) == 576
    header, quote = icmp.parse(ipv4.parse(error)[1])
    assert (header.type, header.code, header.mtu, header.is_error) == (3, 4, 1400, True)
    assert quote == packet[:548] and icmp.quote(packet[:100]) == packet[:100]
    assert icmp.time_exceeded().type == 11 and icmp.unreachable(icmp.HOST_UNREACHABLE).code == 1
    assert icmp.Icmp(11, 0, 1400).mtu == 0


def test_a_quote_may_be_cut() -> None:
    data = ipv4.emit(ipv4.Ipv4(1, 2, ipv4.UDP), udp.emit(udp.Udp(3, 4), bytes(100), 1, 2))[:28]
    with pytest.raises(MalformedPacket, match="cut short: 28 of 128"):
        ipv4.parse(data)
    header, payload = ipv4.parse(data, cut=True)
    assert header.length == 128 and len(payload) == 8
    assert udp.parse(payload, cut=True)[0].length == 108


@pytest.mark.parametrize(("change", "reason"), [
    ((0, 0x65), "IP version 6"), ((0, 0x44), "header length 16"), ((0, 0x4F), "options cut short"),
    ((3, 19), "total length 19"), ((3, 41), "cut short: 40 of 41"),
])
def test_ipv4_rejects(change: tuple[int, int], reason: str) -> None:
    data = bytearray(ipv4.emit(ipv4.Ipv4(1, 2, 3), bytes(20)))
    data[change[0]] = change[1]
    with pytest.raises(MalformedPacket, match=reason):
        ipv4.parse(bytes(data))


def test_transport_rejects() -> None:
    with pytest.raises(MalformedPacket, match="UDP length 7"):
        udp.parse(bytes.fromhex("0001000200070000"))
    with pytest.raises(MalformedPacket, match="data offset 16"):
        tcp.parse(bytes(12) + b"\x40" + bytes(7))
    with pytest.raises(MalformedPacket, match="no VNI"):
        vxlan.parse(bytes(8))
    with pytest.raises(MalformedPacket, match="VLAN tag"):
        ethernet.parse(bytes(12) + b"\x81\x00\x00\x01\x81")


@pytest.mark.parametrize("options", [bytes(3), bytes(44)])
def test_options_that_do_not_fit(options: bytes) -> None:
    with pytest.raises(ValueError, match="in steps of 4"):
        ipv4.emit(ipv4.Ipv4(1, 2, 3, options=options), b"")
    with pytest.raises(ValueError, match="in steps of 4"):
        tcp.emit(tcp.Tcp(1, 2, options=options), b"", 1, 2)


def test_packet_that_does_not_fit() -> None:
    assert len(ipv4.emit(ipv4.Ipv4(1, 2, 3), bytes(65515))) == 65535
    with pytest.raises(ValueError, match="65536 bytes"):
        ipv4.emit(ipv4.Ipv4(1, 2, 3), bytes(65516))
