"""UDP (RFC 768). A checksum of 0 says "none" and stays 0; one that is computed to 0 is sent as 0xFFFF."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .checksum import checksum, pseudo_header
from .ipv4 import UDP
from .octets import CutShort, MalformedPacket, Octets, SameOctets, require

SIZE = 8
_HEADER = struct.Struct("!HHHH")


@dataclass(frozen=True, slots=True)
class Udp:
    sport: int
    dport: int
    length: int | None = None
    checksum: int | None = None


def parse(data: SameOctets, *, cut: bool = False) -> tuple[Udp, SameOctets]:
    """``cut``: less than the datagram may be there (a first fragment, a quote)."""
    require(data, SIZE, "UDP header")
    header = Udp(*_HEADER.unpack_from(data))
    assert header.length is not None
    if header.length < SIZE:
        raise MalformedPacket(f"UDP length {header.length} is below {SIZE}", 4)
    if header.length > len(data) and not cut:
        raise CutShort(f"UDP datagram cut short: {len(data)} of {header.length} bytes", len(data))
    return header, data[SIZE:header.length]


def emit(header: Udp, payload: Octets, src: int, dst: int) -> bytes:
    """The addresses enter the checksum."""
    length = SIZE + len(payload) if header.length is None else header.length
    data = b"".join((_HEADER.pack(header.sport, header.dport, length, header.checksum or 0), payload))
    if header.checksum is None:
        sum_ = checksum(data, pseudo_header(src, dst, UDP, length)) or 0xFFFF
        data = data[:6] + sum_.to_bytes(2, "big") + data[8:]
    return data


def verify(data: Octets, src: int, dst: int) -> bool:
    """Right, or not used."""
    header, _ = parse(data)
    assert header.length is not None
    return header.checksum == 0 or checksum(data[:header.length], pseudo_header(src, dst, UDP, header.length)) == 0
