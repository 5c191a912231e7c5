"""IPv4 (RFC 791): header with options and fragment fields; also both headers of IP-in-IP (RFC 2003)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..quantities import format_address
from ..vocabulary import PacketFlag
from .checksum import checksum
from .octets import CutShort, MalformedPacket, Octets, SameOctets, require

ICMP, IPIP, TCP, UDP = 1, 4, 6, 17
SIZE = 20
LONGEST = 0xFFFF
_HEADER = struct.Struct("!BBHHHBBHII")


@dataclass(frozen=True, slots=True)
class Ipv4:
    """``fragment`` is the header's word as it stands: DF, MF and the offset in units of 8 bytes."""

    src: int
    dst: int
    protocol: int
    ttl: int = 64
    tos: int = 0
    id: int = 0
    fragment: int = 0
    options: bytes = b""
    length: int | None = None
    checksum: int | None = None

    @property
    def dont_fragment(self) -> bool:
        return bool(self.fragment & PacketFlag.DF)

    @property
    def more_fragments(self) -> bool:
        return bool(self.fragment & PacketFlag.MF)

    @property
    def offset(self) -> int:
        """Where the payload lies in the whole one, in bytes."""
        return (self.fragment & PacketFlag.OFFSET) * 8

    @property
    def is_fragment(self) -> bool:
        return bool(self.fragment & (PacketFlag.MF | PacketFlag.OFFSET))

    @property
    def size(self) -> int:
        """Bytes of the header."""
        return SIZE + len(self.options)

    def __str__(self) -> str:
        return f"{format_address(self.src)} > {format_address(self.dst)}"


def parse(data: SameOctets, *, cut: bool = False) -> tuple[Ipv4, SameOctets]:
    """Header and payload, without padding behind it. ``cut``: less than the total length may be there (a quote, a snapshot)."""
    require(data, SIZE, "IPv4 header")
    first, tos, length, identification, fragment, ttl, protocol, sum_, src, dst = _HEADER.unpack_from(data)
    size = (first & 15) * 4
    if first >> 4 != 4:
        raise MalformedPacket(f"IP version {first >> 4}, not 4")
    if size < SIZE:
        raise MalformedPacket(f"IPv4 header length {size} is below {SIZE}")
    require(data, size, "IPv4 options")
    if length < size:
        raise MalformedPacket(f"IPv4 total length {length} is below the header's {size}", 2)
    if length > len(data) and not cut:
        raise CutShort(f"IPv4 packet cut short: {len(data)} of {length} bytes", len(data))
    header = Ipv4(src, dst, protocol, ttl, tos, identification, fragment, bytes(data[SIZE:size]), length, sum_)
    return header, data[size:length]


def emit(header: Ipv4, payload: Octets) -> bytes:
    """Raises ValueError for options that are not 0..40 bytes in fours and for a packet beyond 65,535 bytes."""
    size = header.size
    if size & 3 or size > 60:
        raise ValueError(f"IPv4 options of {len(header.options)} bytes: 0..40 in steps of 4 fit")
    length = size + len(payload) if header.length is None else header.length
    if length > LONGEST:
        raise ValueError(f"an IPv4 packet of {length} bytes: at most {LONGEST}")
    head = _HEADER.pack(0x40 | size >> 2, header.tos, length, header.id, header.fragment, header.ttl, header.protocol,
                        header.checksum or 0, header.src, header.dst) + header.options
    if header.checksum is None:
        head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    return b"".join((head, payload))


def verify(data: Octets) -> bool:
    """Is the header checksum right? (RFC 1071: the sum over a header with its checksum is zero.)"""
    require(data, SIZE, "IPv4 header")
    size = (data[0] & 15) * 4
    require(data, size, "IPv4 options")
    return checksum(data[:size]) == 0
