"""ICMP (RFC 792): echo, and errors with the quote that Linux makes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .checksum import checksum
from .octets import Octets, SameOctets, require

ECHO_REPLY, UNREACHABLE, SOURCE_QUENCH, REDIRECT, ECHO, TIME_EXCEEDED, PARAMETER_PROBLEM = 0, 3, 4, 5, 8, 11, 12
ERRORS = frozenset((UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM))
NET_UNREACHABLE, HOST_UNREACHABLE, PROTOCOL_UNREACHABLE, PORT_UNREACHABLE, FRAGMENTATION_NEEDED = range(5)
SIZE = 8
LONGEST_ERROR = 576             # bytes of the whole error packet (RFC 1812 §4.3.2.3, Linux icmp_send)
_HEADER = struct.Struct("!BBHI")


@dataclass(frozen=True, slots=True)
class Icmp:
    """``rest`` is the second word, whose meaning hangs on the type."""

    type: int
    code: int = 0
    rest: int = 0
    checksum: int | None = None

    @property
    def identifier(self) -> int:
        """Of an echo."""
        return self.rest >> 16

    @property
    def sequence(self) -> int:
        """Of an echo."""
        return self.rest & 0xFFFF

    @property
    def mtu(self) -> int:
        """Of "fragmentation needed" (RFC 1191); else 0."""
        return self.rest & 0xFFFF if (self.type, self.code) == (UNREACHABLE, FRAGMENTATION_NEEDED) else 0

    @property
    def is_error(self) -> bool:
        """Does the payload quote a packet?"""
        return self.type in ERRORS


def echo(identifier: int, sequence: int, *, reply: bool = False) -> Icmp:
    return Icmp(ECHO_REPLY if reply else ECHO, 0, identifier << 16 | sequence)


def unreachable(code: int) -> Icmp:
    return Icmp(UNREACHABLE, code)


def fragmentation_needed(mtu: int) -> Icmp:
    return Icmp(UNREACHABLE, FRAGMENTATION_NEEDED, mtu)


def time_exceeded(code: int = 0) -> Icmp:
    return Icmp(TIME_EXCEEDED, code)


def quote(packet: SameOctets) -> SameOctets:
    """What Linux quotes of a packet: as much as an error packet of 576 bytes holds, 548 bytes (measured; net/ipv4/icmp.c)."""
    return packet[:LONGEST_ERROR - 20 - SIZE]


def parse(data: SameOctets) -> tuple[Icmp, SameOctets]:
    require(data, SIZE, "ICMP header")
    type_, code, sum_, rest = _HEADER.unpack_from(data)
    return Icmp(type_, code, rest, sum_), data[SIZE:]


def emit(header: Icmp, payload: Octets) -> bytes:
    data = b"".join((_HEADER.pack(header.type, header.code, header.checksum or 0, header.rest), payload))
    return data[:2] + checksum(data).to_bytes(2, "big") + data[4:] if header.checksum is None else data


def verify(data: Octets) -> bool:
    require(data, SIZE, "ICMP header")
    return checksum(data) == 0
