"""Nests of headers: all layers are found, with their place, and what is behind a cut is no fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calisim.wire import icmp, ipv4, tcp, udp, vxlan
from calisim.wire.dissect import DEEPEST, assemble, dissect
from calisim.wire.fragments import fragment
from calisim.wire.octets import MalformedPacket
from tests import fuzz_wire

DATAGRAM, STREAM, PING, IPIP, VXLAN, ERROR = fuzz_wire.packets()[:6]


@pytest.mark.parametrize(("packet", "names", "starts"), [
    (DATAGRAM, "Ipv4 Udp", [0, 20]), (STREAM, "Ipv4 Tcp", [0, 28]), (PING, "Ipv4 Icmp", [0, 20]),
    (IPIP, "Ipv4 Ipv4 Tcp", [0, 20, 48]), (VXLAN, "Ipv4 Udp Vxlan Ethernet Ipv4 Udp", [0, 20, 28, 36, 50, 70]),
    (ERROR, "Ipv4 Icmp Ipv4 Ipv4 Tcp", [0, 20, 28, 48, 76]),
])
def test_layers(packet: bytes, names: str, starts: list[int]) -> None:
    seen = dissect(packet)
    assert " ".join(type(layer.header).__name__ for layer in seen.layers) == names
    assert [layer.start for layer in seen.layers] == starts
    assert [layer.quoted for layer in seen.layers] == [start >= 28 and packet is ERROR for start in starts]
    assert seen.fault is None and not seen.wrong and assemble(seen.layers, seen.payload) == packet


def test_assemble_fills_in() -> None:
    """A packet is changed by replacing a header and leaving its checksum to be computed."""
    seen = dissect(IPIP)
    outer, inner, segment = seen.layers
    assert isinstance(inner.header, ipv4.Ipv4) and isinstance(segment.header, tcp.Tcp)
    changed = (outer, replace(inner, header=replace(inner.header, src=7, checksum=None)),
               replace(segment, header=replace(segment.header, sport=9, checksum=None)))
    found = dissect(assemble(changed, seen.payload))
    assert found.fault is None and not found.wrong and found.layers[1].header.src == 7          # type: ignore[union-attr]
    stale = (outer, changed[1], replace(segment, header=replace(segment.header, sport=9)))
    assert [layer.start for layer in dissect(assemble(stale, seen.payload)).wrong] == [48]


def test_first_fragments_and_short_quotes_are_no_fault() -> None:
    for packet in (DATAGRAM, STREAM, IPIP, VXLAN):
        for piece in fragment(packet, 44):
            seen = dissect(piece)
            assert seen.fault is None and not seen.wrong and assemble(seen.layers, seen.payload) == piece
    for packet in (DATAGRAM, STREAM, IPIP):
        error = ipv4.emit(ipv4.Ipv4(1, 2, ipv4.ICMP), icmp.emit(icmp.time_exceeded(), packet[:36]))
        assert dissect(error).fault is None and len(dissect(error).layers) >= 3


def test_faults_are_named() -> None:
    whole = dissect(ipv4.emit(ipv4.Ipv4(1, 2, ipv4.TCP), bytes(12)))
    assert isinstance(whole.fault, MalformedPacket) and "TCP header cut short" in str(whole.fault)
    assert [type(layer.header) for layer in whole.layers] == [ipv4.Ipv4] and whole.payload == bytes(12)
    assert dissect(b"").fault is not None and dissect(b"").layers == ()


def test_depth_is_bounded() -> None:
    packet = b""
    for _ in range(3000):
        packet = ipv4.emit(ipv4.Ipv4(1, 2, ipv4.IPIP), packet)
    seen = dissect(packet)
    assert len(seen.layers) == DEEPEST and "headers in each other" in str(seen.fault)
    assert assemble(seen.layers, seen.payload) == packet


def test_the_port_alone_makes_no_vxlan() -> None:
    data = ipv4.emit(ipv4.Ipv4(1, 2, ipv4.UDP), udp.emit(udp.Udp(3, vxlan.PORT), bytes(40), 1, 2))
    seen = dissect(data)
    assert seen.fault is None and [type(layer.header) for layer in seen.layers] == [ipv4.Ipv4, udp.Udp]
