"""What an endpoint's own kernel says: echo replies, port unreachable where nobody listens (RFC 1122 §3.2.2, §4.1.3.1), and to
its own sockets that a packet is too big."""

from __future__ import annotations

from ...vocabulary.chance import draw
from ...wire import icmp, ipv4

ERROR_TOS, RT_TOS = 0xC0, 0x1E                     # icmp_send
TTL = 64                                           # net.ipv4.ip_default_ttl


def answer(received: bytes, seed: int) -> bytes | None:
    """None: it says nothing. In the laboratory nobody listens on any port."""
    header, segment = ipv4.parse(received)
    identification = draw(seed, header.dst << 32 | header.src, header.id) & 0xFFFF           # the kernel chooses it
    if header.protocol == ipv4.UDP:
        message = icmp.emit(icmp.unreachable(icmp.PORT_UNREACHABLE), icmp.quote(received))
        tos = ERROR_TOS | header.tos & RT_TOS
        return ipv4.emit(ipv4.Ipv4(header.dst, header.src, ipv4.ICMP, TTL, tos, identification), message)
    if header.protocol == ipv4.ICMP:
        asked, payload = icmp.parse(segment)
        if asked.type == icmp.ECHO:
            reply = icmp.emit(icmp.echo(asked.identifier, asked.sequence, reply=True), payload)
            return ipv4.emit(ipv4.Ipv4(header.dst, header.src, ipv4.ICMP, TTL, header.tos, identification), reply)
    return None


def too_big(lost: bytes, mtu: int, seed: int) -> bytes:
    """What a stack tells itself of its own packet with DF that is longer than the path MTU it has learnt (ip_fragment)."""
    header, _ = ipv4.parse(lost)
    identification = draw(seed, header.dst << 32 | header.src, header.id) & 0xFFFF
    message = icmp.emit(icmp.fragmentation_needed(mtu), icmp.quote(lost))
    tos = ERROR_TOS | header.tos & RT_TOS
    return ipv4.emit(ipv4.Ipv4(header.src, header.src, ipv4.ICMP, TTL, tos, identification), message)
