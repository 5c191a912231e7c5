"""A packet in words: one line for a table, and the name of the field that holds a byte."""

from __future__ import annotations

from ...quantities import format_address
from ...wire import ethernet, icmp, ipv4, tcp, udp, vxlan
from ...wire.dissect import Layer, dissect

# Where the fields of a header begin, in bytes from its start.
FIELDS: dict[type, tuple[tuple[int, str], ...]] = {
    ipv4.Ipv4: (
        (0, "version and header length"), (1, "TOS"), (2, "total length"), (4, "identification"), (6, "flags and offset"),
        (8, "TTL"), (9, "protocol"), (10, "header checksum"), (12, "source address"), (16, "destination address"),
        (20, "options")),
    udp.Udp: ((0, "source port"), (2, "destination port"), (4, "length"), (6, "checksum")),
    tcp.Tcp: (
        (0, "source port"), (2, "destination port"), (4, "sequence number"), (8, "acknowledgement"), (12, "offset and flags"),
        (14, "window"), (16, "checksum"), (18, "urgent pointer"), (20, "options")),
    icmp.Icmp: ((0, "type"), (1, "code"), (2, "checksum"), (4, "identifier or unused"), (6, "sequence or MTU")),
    vxlan.Vxlan: ((0, "flags"), (4, "VNI"), (7, "reserved")),
    ethernet.Ethernet: ((0, "destination MAC"), (6, "source MAC"), (12, "type")),
}
NAMES = {
    ipv4.Ipv4: "IPv4", udp.Udp: "UDP", tcp.Tcp: "TCP", icmp.Icmp: "ICMP", vxlan.Vxlan: "VXLAN", ethernet.Ethernet: "Ethernet",
}


def field_at(packet: bytes, offset: int) -> str:
    """The header and the field that this byte belongs to, for example ``inner IPv4 TTL``."""
    found = dissect(packet)
    if offset >= len(packet) - len(found.payload):
        return f"payload (byte {offset})"
    layer = max((one for one in found.layers if one.start <= offset), key=lambda one: one.start)
    field = [name for start, name in FIELDS[type(layer.header)] if start <= offset - layer.start][-1]
    return f"{name_of(layer, found.layers)} {field}"


def name_of(layer: Layer, layers: tuple[Layer, ...]) -> str:
    """The header's name, and which of several of its kind it is: outer, inner, quoted."""
    name = NAMES[type(layer.header)]
    if layer.quoted:
        return f"quoted {name}"
    alike = [one for one in layers if type(one.header) is type(layer.header) and not one.quoted]
    if len(alike) < 2:
        return name
    return f"outer {name}" if layer is alike[0] else f"inner {name}"


def text(packet: bytes) -> str:
    """One line: every header from the outermost on."""
    found = dissect(packet)
    return " | ".join(word for layer in found.layers if (word := _word(layer, packet)))


def _word(layer: Layer, packet: bytes) -> str:
    wrong = " BADSUM" if layer.right is False else ""
    match layer.header:
        case ipv4.Ipv4() as ip:
            quoted = f"quote({len(packet) - layer.start}B) " if layer.quoted else ""
            marks = f"{' DF' if ip.dont_fragment else ''}{' MF' if ip.more_fragments else ''}"
            marks += f" off {ip.offset}" if ip.offset else ""
            marks += f" tos 0x{ip.tos:02x}" if ip.tos else ""
            return (f"{quoted}{format_address(ip.src)}>{format_address(ip.dst)} ttl {ip.ttl} id {ip.id:04x} len {ip.length}"
                    f"{marks}{wrong}")
        case udp.Udp() as datagram:
            return f"udp {datagram.sport}>{datagram.dport}{wrong if datagram.checksum else ' nosum'}"
        case tcp.Tcp() as segment:
            flags = "".join(letter for bit, letter in enumerate("FSRPAU") if segment.flags >> bit & 1)
            return f"tcp {segment.sport}>{segment.dport} [{flags}] seq {segment.seq:08x}{wrong}"
        case icmp.Icmp() as message:
            return _icmp(message) + wrong
        case vxlan.Vxlan() as tunnel:
            return f"vxlan {tunnel.vni}"
    return ""


def _icmp(message: icmp.Icmp) -> str:
    if message.type in (icmp.ECHO, icmp.ECHO_REPLY):
        name = "echo" if message.type == icmp.ECHO else "echo-reply"
        return f"{name} id {message.identifier} seq {message.sequence}"
    mtu = f" mtu {message.mtu}" if (message.type, message.code) == (icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED) else ""
    return f"icmp {message.type}/{message.code}{mtu}"
