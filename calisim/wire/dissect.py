"""A packet's whole nest of headers: tunnels are opened, ICMP errors' quotes too.

Every byte belongs to a layer: the payload of the last one is what nothing here understands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from . import ethernet, icmp, ipv4, tcp, udp, vxlan
from .octets import CutShort, MalformedPacket

DEEPEST = 16                    # headers; a packet of nothing but IP-in-IP headers could hold thousands
Header: TypeAlias = ipv4.Ipv4 | udp.Udp | tcp.Tcp | icmp.Icmp | vxlan.Vxlan | ethernet.Ethernet


@dataclass(frozen=True, slots=True)
class Layer:
    """One header at byte ``start`` of the packet; ``right``: its checksum, None where there is none or not all that it covers."""

    header: Header
    start: int
    right: bool | None = None
    quoted: bool = False        # inside an ICMP error's quote


@dataclass(frozen=True, slots=True)
class Dissection:
    """Layers from the outermost on; ``payload`` starts behind the last; ``fault`` says why the next one is no header."""

    layers: tuple[Layer, ...]
    payload: bytes
    fault: MalformedPacket | None = None

    @property
    def wrong(self) -> tuple[Layer, ...]:
        """Layers with a wrong checksum."""
        return tuple(layer for layer in self.layers if layer.right is False)


def dissect(packet: bytes) -> Dissection:
    """Never raises: what cannot be read is the payload, with the reason in ``fault``."""
    walk = _Walk()
    try:
        walk.open_ipv4(memoryview(packet), quoted=False, cut=False)
    except MalformedPacket as fault:
        expected = walk.partial and isinstance(fault, CutShort)
        return Dissection(tuple(walk.layers), packet[walk.at:], None if expected else fault)
    return Dissection(tuple(walk.layers), packet[walk.at:])


class _Walk:
    """Layers so far, the byte behind them, and whether the packet they are in goes on elsewhere."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.at = 0
        self.partial = False

    def add(self, header: Header, size: int, right: bool | None, quoted: bool) -> None:
        if len(self.layers) == DEEPEST:
            raise MalformedPacket(f"more than {DEEPEST} headers in each other", self.at)
        self.layers.append(Layer(header, self.at, right, quoted))
        self.at += size

    def open_ipv4(self, data: memoryview, *, quoted: bool, cut: bool) -> None:
        """``cut``: the end of the packet may be elsewhere, as in a quote or in the first fragment of a tunnel's packet."""
        header, payload = ipv4.parse(data, cut=cut)
        self.add(header, header.size, ipv4.verify(data), quoted)
        if header.offset:
            return
        self.partial = partial = header.more_fragments or len(payload) < (header.length or 0) - header.size
        if header.protocol == ipv4.UDP:
            self.open_udp(payload, header, quoted=quoted, cut=partial)
        elif header.protocol == ipv4.TCP:
            segment, _ = tcp.parse(payload)
            self.add(segment, segment.size, None if partial else tcp.verify(payload, header.src, header.dst), quoted)
        elif header.protocol == ipv4.ICMP:
            self.open_icmp(payload, quoted=quoted, cut=partial)
        elif header.protocol == ipv4.IPIP and len(payload):
            self.open_ipv4(payload, quoted=quoted, cut=partial)

    def open_udp(self, data: memoryview, ip: ipv4.Ipv4, *, quoted: bool, cut: bool) -> None:
        header, payload = udp.parse(data, cut=cut)
        self.add(header, udp.SIZE, None if cut or not header.checksum else udp.verify(data, ip.src, ip.dst), quoted)
        if header.dport != vxlan.PORT or len(payload) < vxlan.SIZE + ethernet.SIZE:
            return
        try:
            tunnel, inside = vxlan.parse(payload)
        except MalformedPacket:
            return                                              # the port alone makes no VXLAN
        self.add(tunnel, vxlan.SIZE, None, quoted)
        frame, inner = ethernet.parse(inside)
        self.add(frame, len(inside) - len(inner), None, quoted)
        if frame.ethertype == ethernet.IPV4:
            self.open_ipv4(inner, quoted=quoted, cut=cut)

    def open_icmp(self, data: memoryview, *, quoted: bool, cut: bool) -> None:
        header, payload = icmp.parse(data)
        self.add(header, icmp.SIZE, None if cut else icmp.verify(data), quoted)
        if header.is_error and len(payload):
            self.open_ipv4(payload, quoted=True, cut=True)


def assemble(layers: tuple[Layer, ...], payload: bytes) -> bytes:
    """The packet of these layers, the inverse of :func:`dissect`; what is None in the headers is filled in."""
    data = payload
    for number in range(len(layers) - 1, -1, -1):
        match layers[number].header, layers[number - 1].header:
            case ipv4.Ipv4() as header, _:
                data = ipv4.emit(header, data)
            case udp.Udp() as header, ipv4.Ipv4() as ip:
                data = udp.emit(header, data, ip.src, ip.dst)
            case tcp.Tcp() as header, ipv4.Ipv4() as ip:
                data = tcp.emit(header, data, ip.src, ip.dst)
            case icmp.Icmp() as header, _:
                data = icmp.emit(header, data)
            case vxlan.Vxlan() as header, _:
                data = vxlan.emit(header, data)
            case ethernet.Ethernet() as header, _:
                data = ethernet.emit(header, data)
    return data
