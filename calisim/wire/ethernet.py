"""Ethernet II frames (IEEE 802.3) with any number of VLAN tags (802.1Q, 802.1ad).

Knows nothing of the frame check sequence, which captures and tunnels leave out; padding stays in the payload, since only the
protocol inside knows its length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .octets import CutShort, Octets, SameOctets, require

IPV4, ARP, VLAN, IPV6, SERVICE_VLAN, OLD_SERVICE_VLAN = 0x0800, 0x0806, 0x8100, 0x86DD, 0x88A8, 0x9100
TAGGED = (VLAN, SERVICE_VLAN, OLD_SERVICE_VLAN)
SIZE = 14
_HEADER = struct.Struct("!6s6sH")
_TAG = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class Ethernet:
    """``tags`` are (tag protocol, tag control) pairs, outermost first; ``ethertype`` is what follows the last."""

    dst: bytes
    src: bytes
    ethertype: int = IPV4
    tags: tuple[tuple[int, int], ...] = ()


def parse(data: SameOctets) -> tuple[Ethernet, SameOctets]:
    require(data, SIZE, "Ethernet header")
    dst, src, ethertype = _HEADER.unpack_from(data)
    tags, ethertype, payload = untag(ethertype, data[SIZE:])
    return Ethernet(dst, src, ethertype, tags), payload


def untag(ethertype: int, data: SameOctets) -> tuple[tuple[tuple[int, int], ...], int, SameOctets]:
    """Tags, the EtherType behind them and what follows, from the first EtherType on."""
    tags = []
    start = 0
    while ethertype in TAGGED:
        if len(data) < start + 4:
            raise CutShort("VLAN tag cut short", len(data))
        control, following = _TAG.unpack_from(data, start)
        tags.append((ethertype, control))
        ethertype = following
        start += 4
    return tuple(tags), ethertype, data[start:]


def emit(header: Ethernet, payload: Octets) -> bytes:
    types = [protocol for protocol, _ in header.tags] + [header.ethertype]
    tags = b"".join(_TAG.pack(control, following) for (_, control), following in zip(header.tags, types[1:], strict=True))
    return b"".join((_HEADER.pack(header.dst, header.src, types[0]), tags, payload))
