"""The bytes on an interface where the packet's own are known: an EVENT and the packet as its sender made it → the IPv4 packet
that tcpdump shows there. (Where no more than the records is known, :mod:`calisim.datapath.deparse` makes them.)

Fields are changed in place and checksums adjusted (RFC 1624), as the kernel does it: a checksum that was wrong stays wrong,
a UDP checksum of 0 stays 0. The outer header of a tunnel is made anew; what no EVENT holds of it is in
:class:`~calisim.datapath.deparse.Tunnels`.
An ICMP error is made of the bytes that its cause had where it was lost.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..datapath.deparse import Tunnels
from ..vocabulary import Encap, PacketFlag
from ..vocabulary.chance import draw
from ..wire import ethernet, icmp, ipv4, udp, vxlan
from ..wire.checksum import update
from ..wire.fragments import piece

CHECKSUM_AT = {ipv4.TCP: 16, ipv4.UDP: 6}      # in the segment
ICMP_CHECKSUM_AT, ICMP_IDENTIFIER_AT = 2, 4


def frames(events: Iterable[np.void], sent: bytes, tunnels: Tunnels, *, wrapped: bool = False) -> list[bytes]:
    """Every crossing of one packet in turn. ``wrapped``: ``sent`` is IP in IP, and its outer header is the sender's until
    it is taken off."""
    made = []
    for event in events:
        if wrapped and event["encap"] == Encap.NONE:
            sent, wrapped = ipv4.parse(sent)[1], False
        made.append(_outer_rewritten(event, sent) if wrapped else frame(event, sent, tunnels))
    return made


def error(packet: np.void, header: np.void, quoted: bytes, source: int, seed: int) -> bytes:
    """An ICMP error as its sender makes it. ``quoted``: what it is about, as last seen; ``source``: the address chosen for it."""
    about = rewritten(
        quoted, src=int(header["quote_src"]), dst=int(header["quote_dst"]), sport=int(header["quote_sport"]),
        dport=int(header["quote_dport"]), ttl=int(header["quote_ttl"]), tos=int(header["quote_tos"]))
    dst, kind = int(packet["dst"]), int(packet["dport"])
    identification = draw(seed, int(packet["time"]), source << 32 | dst, kind) & 0xFFFF      # the kernel chooses it
    message = icmp.Icmp(kind >> 8, kind & 0xFF, int(header["mtu"]))
    return ipv4.emit(
        ipv4.Ipv4(source, dst, ipv4.ICMP, int(packet["ttl"]), int(packet["tos"]), identification),
        icmp.emit(message, icmp.quote(about)))


def frame(event: np.void, sent: bytes, tunnels: Tunnels) -> bytes:
    """The whole IPv4 packet of one crossing; ``sent`` is the row's packet as its sender made it."""
    inner = rewritten(
        sent, src=int(event["src"]), dst=int(event["dst"]), sport=int(event["sport"]), dport=int(event["dport"]),
        ttl=int(event["ttl"]), tos=int(event["tos"]))
    if event["quote_src"]:
        inner = _quote_rewritten(event, inner)
    if event["encap"] == Encap.NONE:
        return inner
    return _part(event, _encapsulated(event, inner, tunnels))


def _encapsulated(event: np.void, inner: bytes, tunnels: Tunnels) -> bytes:
    """A packet in the outer header of an EVENT; a piece of the outer packet is cut from it afterwards."""
    src, dst = int(event["outer_src"]), int(event["outer_dst"])
    outer = ipv4.Ipv4(
        src, dst, ipv4.IPIP, int(event["outer_ttl"]), int(event["outer_tos"]), _outer_id(event, inner, tunnels.seed),
        int(event["outer_fragment"]) & PacketFlag.DF)
    if event["encap"] == Encap.IPIP:
        return ipv4.emit(outer, inner)
    nobody = bytes(6)
    wrapped = ethernet.emit(
        ethernet.Ethernet(tunnels.macs.get(dst, nobody), tunnels.macs.get(src, nobody), ethernet.IPV4), inner)
    datagram = udp.emit(
        udp.Udp(int(event["outer_sport"]), tunnels.port, checksum=None if tunnels.udp_checksum else 0),
        vxlan.emit(vxlan.Vxlan(tunnels.vni), wrapped), src, dst)
    return ipv4.emit(ipv4.Ipv4(src, dst, ipv4.UDP, outer.ttl, outer.tos, outer.id, outer.fragment), datagram)


def _outer_rewritten(event: np.void, sent: bytes) -> bytes:
    """What was sent encapsulated, while it is: its outer header is a packet like any other."""
    return _part(event, rewritten(
        sent, src=int(event["outer_src"]), dst=int(event["outer_dst"]), sport=int(event["outer_sport"]), dport=0,
        ttl=int(event["outer_ttl"]), tos=int(event["outer_tos"])))


def _part(event: np.void, outer: bytes) -> bytes:
    """What crosses of an outer packet: all of it, or the piece that the EVENT names."""
    word = int(event["outer_fragment"])
    if not word & (PacketFlag.MF | PacketFlag.OFFSET):
        return outer
    return piece(outer, word, int(event["outer_length"]) - ipv4.SIZE)


def _quote_rewritten(event: np.void, packet: bytes) -> bytes:
    """An ICMP error whose quote says what the EVENT says; Linux sums the whole message anew (nf_nat_icmp_reply_translation)."""
    header, segment = ipv4.parse(packet)
    message, quote = icmp.parse(segment)
    about, _ = ipv4.parse(quote, cut=True)
    made = rewritten(
        quote, src=int(event["quote_src"]), dst=int(event["quote_dst"]), sport=int(event["quote_sport"]),
        dport=int(event["quote_dport"]), ttl=about.ttl, tos=about.tos)
    made += quote[len(made):]                      # more than the packet (extensions, RFC 4884) is nobody's to change
    if made == quote:
        return packet
    return packet[:header.size] + icmp.emit(icmp.Icmp(message.type, message.code, message.rest), made)


def rewritten(packet: bytes, *, src: int, dst: int, sport: int, dport: int, ttl: int, tos: int) -> bytes:
    """A packet with other addresses, ports (ICMP echo: identifier in ``sport``), TTL and TOS, checksums adjusted.

    It may be cut short, as a quote is.
    """
    header, payload = ipv4.parse(packet, cut=True)
    sum_ = header.checksum or 0
    for before, after, width in (
        (header.tos, tos, 16), (header.ttl << 8, ttl << 8, 16), (header.src, src, 32), (header.dst, dst, 32),
    ):
        sum_ = update(sum_, before, after, width) if before != after else sum_
    segment = bytearray(payload)
    if not header.fragment & PacketFlag.OFFSET:
        _translate(segment, header, src, dst, sport, dport)
    head = bytearray(packet[:header.size])
    head[1], head[8] = tos, ttl
    head[10:20] = sum_.to_bytes(2, "big") + src.to_bytes(4, "big") + dst.to_bytes(4, "big")
    return bytes(head + segment)


def aged(packet: bytes) -> bytes:
    """The packet behind one more router: its TTL is one less."""
    header, _ = ipv4.parse(packet)
    sum_ = update(header.checksum or 0, header.ttl << 8, header.ttl - 1 << 8)
    return packet[:8] + bytes((header.ttl - 1, header.protocol)) + sum_.to_bytes(2, "big") + packet[12:]


def _translate(segment: bytearray, header: ipv4.Ipv4, src: int, dst: int, sport: int, dport: int) -> None:
    """Ports and checksum of a TCP or UDP segment, identifier and checksum of an ICMP echo."""
    changes = [(header.src, src, 32), (header.dst, dst, 32)]
    fields: tuple[tuple[int, int], ...]
    if header.protocol == ipv4.ICMP:
        at, fields, changes = ICMP_CHECKSUM_AT, ((ICMP_IDENTIFIER_AT, sport),), []
    elif header.protocol in CHECKSUM_AT:
        at, fields = CHECKSUM_AT[header.protocol], ((0, sport), (2, dport))
    else:
        return
    if len(segment) < icmp.SIZE or (header.protocol == ipv4.ICMP and segment[0] not in (icmp.ECHO, icmp.ECHO_REPLY)):
        return
    for place, value in fields:
        changes.append((int.from_bytes(segment[place:place + 2], "big"), value, 16))
        segment[place:place + 2] = value.to_bytes(2, "big")
    if len(segment) < at + 2:                      # a quote of eight bytes of TCP has no checksum
        return
    sum_ = int.from_bytes(segment[at:at + 2], "big")
    if header.protocol == ipv4.UDP and not sum_:
        return
    for before, after, width in changes:
        sum_ = update(sum_, before, after, width) if before != after else sum_
    if header.protocol == ipv4.UDP:
        sum_ = sum_ or 0xFFFF
    segment[at:at + 2] = sum_.to_bytes(2, "big")


def _outer_id(event: np.void, inner: bytes, seed: int) -> int:
    """The kernel chooses it; here it depends on the inner packet and the tunnel, so that it is one along the whole leg, of
    all pieces, too."""
    inside, outside = (int(event[f"{which}src"]) << 32 | int(event[f"{which}dst"]) for which in ("", "outer_"))
    return draw(seed, int(event["time"]), int.from_bytes(inner[4:8], "big"), inside, outside) & 0xFFFF
