"""From a captured frame to the IPv4 packet inside, by the capture's link type.

To write packets without a link header take ``IPV4``: libpcap 1.10 refuses pcapng files with two interfaces of ``RAW_IP``.
Source: the list of link-layer header types of libpcap (tcpdump.org/linktypes.html).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from ..vocabulary import Direction
from . import ethernet
from .frame import Frame
from .octets import MalformedPacket, require

ETHERNET, RAW, RAW_BSD, RAW_IP, COOKED, IPV4, COOKED2 = 1, 12, 14, 101, 113, 228, 276
OUTGOING = 4                    # packet type of a cooked header; 0..3 came in or were for somebody else


class Inside(NamedTuple):
    """``packet`` may have padding behind it; ``interface`` is a cooked header's "if3" where the capture names none."""

    packet: memoryview
    interface: str
    direction: Direction | None


class _Link(NamedTuple):
    ethertype: int
    payload: memoryview
    interface: str = ""
    direction: Direction | None = None


def unwrap(frame: Frame) -> Inside | None:
    """The IPv4 packet of a frame; None for another protocol (ARP, IPv6). Raises MalformedPacket, also for unknown link types."""
    opener = _OPENERS.get(frame.linktype)
    if opener is None:
        raise MalformedPacket(f"link type {frame.linktype} is none of {', '.join(map(str, _OPENERS))}")
    link = opener(memoryview(frame.data))
    _, ethertype, packet = ethernet.untag(link.ethertype, link.payload)
    if ethertype != ethernet.IPV4:
        return None
    return Inside(packet, frame.interface or link.interface, link.direction if frame.direction is None else frame.direction)


def _ethernet(data: memoryview) -> _Link:
    header, payload = ethernet.parse(data)
    return _Link(header.ethertype, payload)


def _raw(data: memoryview) -> _Link:
    """The version in the first byte is all there is to tell IPv4 from IPv6."""
    require(data, 1, "IP packet")
    return _Link(ethernet.IPV6 if data[0] >> 4 == 6 else ethernet.IPV4, data)


def _cooked(data: memoryview) -> _Link:
    require(data, 16, "Linux cooked header")
    kind, protocol = struct.unpack_from("!H12xH", data)
    return _Link(protocol, data[16:], "", _way(kind))


def _cooked2(data: memoryview) -> _Link:
    require(data, 20, "Linux cooked header")
    protocol, interface, kind = struct.unpack_from("!HxxIxxB", data)
    return _Link(protocol, data[20:], f"if{interface}", _way(kind))


def _way(kind: int) -> Direction:
    return Direction.OUT if kind == OUTGOING else Direction.IN


_OPENERS: dict[int, Callable[[memoryview], _Link]] = {
    ETHERNET: _ethernet, RAW: _raw, RAW_BSD: _raw, RAW_IP: _raw, COOKED: _cooked, IPV4: _raw, COOKED2: _cooked2,
}
