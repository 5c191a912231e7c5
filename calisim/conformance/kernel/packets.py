"""The bytes that a case's packet starts with, from the case's words and from what was received before.

Every packet carries a mark: an eight-byte text that fills the payload, in TCP without data the sequence number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...quantities import format_address, parse_address
from ...traffic.batch import packet
from ...vocabulary import HEADER, Encap, HeaderFlag, PacketFlag
from ...wire import icmp, ipv4, tcp, udp
from ...wire.dissect import dissect

Spec = Mapping[str, Any]

FIRST_ID, OUTER_ID, ID_STEP = 0x1000, 0x5000, 0x101          # IP identifications that the sender writes
FIRST_SEQUENCE, SEQUENCE_STEP = 0xCA000000, 0x100
PAYLOAD = 32                                                # bytes, where the case does not say
ERROR_TOS = 0xC0


def made(spec: Spec, number: int, own: int, received: bytes | None, *, is_node: bool, limit: int) -> bytes:
    """The packet ``number`` (from 1) of a case as its sender makes it, whole.

    ``own`` is the sender's first address, ``received`` what it answers or complains about, ``limit`` the longest packet that
    its kernel knows to fit the way. A node's kernel chooses among several addresses where the case leaves it the choice;
    the source is then 0.
    """
    if "error" in spec:
        assert received is not None
        return _error(spec, number, 0 if is_node else own, received)
    if "reply_to" in spec:
        assert received is not None
        spec = _answer(spec, received)
    return _packet(spec, number, own, is_node, limit)


def split(whole: bytes, spec: Spec) -> list[bytes]:
    """The packet as it is put on the wire: in pieces of at most ``frag`` bytes, or in ``pieces`` as they are listed, in that
    order: payload from byte ``at`` on, ``size`` bytes of it, other values of ``df``, ``mf``, ``ttl``, ``tos``."""
    if "frag" in spec:
        return pieces(whole, spec["frag"])
    return [_piece(whole, one) for one in spec["pieces"]] if "pieces" in spec else [whole]


def _piece(whole: bytes, said: Spec) -> bytes:
    header, body = ipv4.parse(whole)
    part = body[said["at"]:said["at"] + said["size"]]
    more = said.get("mf", said["at"] + len(part) < len(body))
    word = (PacketFlag.DF if said.get("df") else 0) | (PacketFlag.MF if more else 0) | said["at"] // 8
    return ipv4.emit(replace(
        header, fragment=int(word), ttl=said.get("ttl", header.ttl), tos=said.get("tos", header.tos), length=None,
        checksum=None), part)


def _source(spec: Spec, own: int, is_node: bool) -> int:
    said = spec["ip"].get("src")
    if said == "auto" or (said is None and spec.get("inject") == "socket"):
        return 0 if is_node else own
    return own if said is None else parse_address(said)


def _packet(spec: Spec, number: int, own: int, is_node: bool, limit: int) -> bytes:
    said = spec["ip"]
    protocol = next((known for known in ("udp", "tcp", "icmp") if known in spec), None)
    if protocol is None:
        raise ValueError(f"packet {spec['id']} is neither udp nor tcp nor icmp")
    src, dst = _source(spec, own, is_node), parse_address(said["dst"])
    segment, code = {"udp": _udp, "tcp": _tcp, "icmp": _icmp}[protocol](spec[protocol], said, number, src, dst)
    unbroken = spec.get("inject") == "socket" and ipv4.SIZE + len(segment) <= limit
    whole = ipv4.emit(_header(said, src, dst, code, FIRST_ID + number * ID_STEP, unbroken), segment)
    if outer := spec.get("outer"):
        outer_src = parse_address(outer["src"]) if "src" in outer else own
        head = _header(outer, outer_src, parse_address(outer["dst"]), ipv4.IPIP, OUTER_ID + number * ID_STEP, False)
        return ipv4.emit(head, whole)
    return whole


def _header(said: Spec, src: int, dst: int, protocol: int, identification: int, unbroken: bool) -> ipv4.Ipv4:
    """A socket's kernel sets DF on what fits (path MTU discovery), raw packets are as the case has them."""
    df = said.get("df", unbroken)
    return ipv4.Ipv4(
        src, dst, protocol, said.get("ttl", 64), said.get("tos", 0), said.get("id", identification & 0xFFFF),
        PacketFlag.DF if df else 0)


def mark(number: int) -> bytes:
    """What fills the payload of packet ``number``."""
    return b"<kl%03d>>" % number


def _payload(number: int, said: Spec, layer: Spec, headers: int, default: int) -> bytes:
    """``total`` is the length of the whole packet, ``len`` that of the payload."""
    length = said["total"] - headers if "total" in said else layer.get("len", default)
    text = mark(number)
    return (text * (length // len(text) + 1))[:length]


def _udp(layer: Spec, said: Spec, number: int, src: int, dst: int) -> tuple[bytes, int]:
    payload = _payload(number, said, layer, ipv4.SIZE + udp.SIZE, PAYLOAD)
    header = udp.Udp(layer["sport"], layer["dport"], checksum=0 if layer.get("nosum") else None)
    return udp.emit(header, payload, src, dst), ipv4.UDP


def _tcp(layer: Spec, said: Spec, number: int, src: int, dst: int) -> tuple[bytes, int]:
    payload = _payload(number, said, layer, ipv4.SIZE + tcp.SIZE, 0)
    flags = 0
    for letter in layer.get("flags", "S"):
        flags |= 1 << "FSRPAUEC".index(letter)
    header = tcp.Tcp(
        layer["sport"], layer["dport"], layer.get("seq", sequence_mark(number)), layer.get("ack", 0), flags)
    return tcp.emit(header, payload, src, dst), ipv4.TCP


def _icmp(layer: Spec, said: Spec, number: int, src: int, dst: int) -> tuple[bytes, int]:
    payload = _payload(number, said, layer, ipv4.SIZE + icmp.SIZE, PAYLOAD)
    rest = layer.get("id", 7) << 16 | layer.get("seq", 1)
    return icmp.emit(icmp.Icmp(layer.get("type", icmp.ECHO), layer.get("code", 0), rest), payload), ipv4.ICMP


def _answer(spec: Spec, received: bytes) -> Spec:
    """The words of the answer to a received packet; what the case says of it wins."""
    header, segment = ipv4.parse(received)
    answer = {**spec, "ip": {"src": format_address(header.dst), "dst": format_address(header.src), **spec.get("ip", {})}}
    if header.protocol == ipv4.UDP:
        asked, _ = udp.parse(segment, cut=True)
        answer["udp"] = {"sport": asked.dport, "dport": asked.sport, **spec.get("udp", {})}
    elif header.protocol == ipv4.TCP:
        opened, _ = tcp.parse(segment)
        ack = opened.seq + bool(opened.flags & tcp.Flag.SYN) & 0xFFFFFFFF
        answer["tcp"] = {"sport": opened.dport, "dport": opened.sport, "flags": "SA", "ack": ack, **spec.get("tcp", {})}
    elif header.protocol == ipv4.ICMP:
        echo, _ = icmp.parse(segment)
        answer["icmp"] = {"type": 0, "id": echo.identifier, "seq": echo.sequence, **spec.get("icmp", {})}
    return answer


def _error(spec: Spec, number: int, own: int, received: bytes) -> bytes:
    """An ICMP error that quotes a received packet, sent to where that came from."""
    error = spec["error"]
    said = spec.get("ip", {})
    about, _ = ipv4.parse(received)
    src = parse_address(said["src"]) if "src" in said else own
    quote = received[:error.get("quote", icmp.LONGEST_ERROR - ipv4.SIZE - icmp.SIZE)]
    header = ipv4.Ipv4(
        src, about.src, ipv4.ICMP, said.get("ttl", 64), ERROR_TOS, FIRST_ID + number * ID_STEP & 0xFFFF)
    return ipv4.emit(header, icmp.emit(icmp.Icmp(error["type"], error["code"], error.get("mtu", 0)), quote))


def pieces(whole: bytes, size: int) -> list[bytes]:
    """IP fragments of at most ``size`` bytes, as a sender makes them."""
    header, body = ipv4.parse(whole)
    step = (size - header.size) // 8 * 8
    if step <= 0:
        raise ValueError(f"fragments of {size} bytes hold nothing")
    made = []
    for at in range(0, len(body), step):
        more = PacketFlag.MF if at + step < len(body) else 0
        head = replace(header, fragment=more | at // 8, length=None, checksum=None)
        made.append(ipv4.emit(head, body[at:at + step]))
    return made


def is_recognised(data: bytes, number: int, identification: int | None) -> bool:
    """Whether a piece shows that it belongs to packet ``number``: by its mark, or as a later piece by the identification
    that the sender wrote (None: its kernel did). Golden files do not have the others."""
    headers = [layer.header for layer in dissect(data).layers if isinstance(layer.header, ipv4.Ipv4) and not layer.quoted]
    if not any(header.is_fragment for header in headers) or (headers[-1].offset and headers[-1].id == identification):
        return True
    return mark(number) in data or sequence_mark(number).to_bytes(4, "big") in data


def sequence_mark(number: int) -> int:
    """The sequence number that marks TCP packet ``number``."""
    return FIRST_SEQUENCE + number * SEQUENCE_STEP


def sequence(data: bytes) -> int | None:
    """Of a TCP packet."""
    header, segment = ipv4.parse(data)
    return tcp.parse(segment)[0].seq if header.protocol == ipv4.TCP and len(segment) >= tcp.SIZE else None


def acknowledged(data: bytes) -> int | None:
    """The acknowledgement number of a TCP packet."""
    header, segment = ipv4.parse(data)
    return tcp.parse(segment)[0].ack if header.protocol == ipv4.TCP and len(segment) >= tcp.SIZE else None


def row(
    data: bytes, ingress: int, time: int, *, choose_source: bool, wrapped: bool = False, frame: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The PACKET of these bytes and its HEADER, as the datapath takes them. ``wrapped``: they are IP in IP by hand; ``frame``:
    they are put straight onto the sender's wire."""
    extra: dict[str, int] = {}
    if wrapped:
        outer, data = ipv4.parse(data)
        extra = {"encap": Encap.IPIP, "outer_src": outer.src, "outer_dst": outer.dst, "outer_ttl": outer.ttl,
                 "outer_tos": outer.tos, "outer_fragment": outer.fragment, "outer_id": outer.id}
    extra["flags"] = HeaderFlag.FRAME if frame else 0
    header, segment = ipv4.parse(data)
    extra["id"] = header.id
    fields: dict[str, int] = {"sport": 0, "dport": 0, "tcp_flags": 0}
    if not header.offset:
        fields |= _ports(header.protocol, segment)
        extra |= _quoted(segment) if header.protocol == ipv4.ICMP else {}
    made = packet(
        src=0 if choose_source else header.src, dst=header.dst, protocol=header.protocol, ttl=header.ttl, tos=header.tos,
        length=len(data), fragment=header.fragment, df=header.dont_fragment, ingress=ingress, time=time, **fields)
    more = np.zeros(1, HEADER)
    for name, value in extra.items():
        more[name] = value
    return made, more


def outer_piece(whole: tuple[np.ndarray, np.ndarray], data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The same for a piece of a packet that is IP in IP by hand."""
    made, more = whole[0], whole[1].copy()
    outer, _ = ipv4.parse(data)
    more["outer_fragment"], more["outer_length"], more["outer_ttl"], more["outer_tos"] = (
        outer.fragment, len(data), outer.ttl, outer.tos)
    return made, more


def _quoted(segment: bytes) -> dict[str, int]:
    """What an ICMP error quotes, in words of HEADER."""
    message, quote = icmp.parse(segment)
    if not message.is_error or len(quote) < ipv4.SIZE:
        return {}
    about, body = ipv4.parse(quote, cut=True)
    ports = {} if about.offset else _ports(about.protocol, body)
    return {
        "mtu": message.mtu, "quote_src": about.src, "quote_dst": about.dst, "quote_sport": ports.get("sport", 0),
        "quote_dport": ports.get("dport", 0), "quote_length": about.length or 0, "quote_fragment": about.fragment,
        "quote_protocol": about.protocol, "quote_ttl": about.ttl, "quote_tos": about.tos}


def _ports(protocol: int, segment: bytes) -> dict[str, int]:
    readers: dict[int, Callable[[bytes], dict[str, int]]] = {ipv4.UDP: _udp_ports, ipv4.TCP: _tcp_ports, ipv4.ICMP: _echo_ports}
    return readers[protocol](segment) if protocol in readers and len(segment) >= 8 else {}


def _udp_ports(segment: bytes) -> dict[str, int]:
    header, _ = udp.parse(segment, cut=True)
    return {"sport": header.sport, "dport": header.dport}


def _tcp_ports(segment: bytes) -> dict[str, int]:
    if len(segment) < tcp.SIZE:                    # a quote of eight bytes has the ports
        return {"sport": int.from_bytes(segment[:2], "big"), "dport": int.from_bytes(segment[2:4], "big")}
    header, _ = tcp.parse(segment)
    return {"sport": header.sport, "dport": header.dport, "tcp_flags": header.flags & 0xFF}


def _echo_ports(segment: bytes) -> dict[str, int]:
    header, _ = icmp.parse(segment)
    return {"sport": 0 if header.is_error else header.identifier, "dport": header.type << 8 | header.code}
