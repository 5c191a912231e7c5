"""TCP headers (RFC 9293); options stay opaque bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

from .checksum import checksum, pseudo_header
from .ipv4 import TCP
from .octets import MalformedPacket, Octets, SameOctets, require

SIZE = 20
_HEADER = struct.Struct("!HHIIHHHH")


class Flag(IntFlag):
    FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))


@dataclass(frozen=True, slots=True)
class Tcp:
    """``flags`` are all 12 bits behind the data offset, reserved ones included."""

    sport: int
    dport: int
    seq: int = 0
    ack: int = 0
    flags: int = Flag.SYN
    window: int = 64240
    urgent: int = 0
    options: bytes = b""
    checksum: int | None = None

    @property
    def size(self) -> int:
        """Bytes of the header."""
        return SIZE + len(self.options)


def parse(data: SameOctets) -> tuple[Tcp, SameOctets]:
    require(data, SIZE, "TCP header")
    sport, dport, seq, ack, word, window, sum_, urgent = _HEADER.unpack_from(data)
    size = (word >> 12) * 4
    if size < SIZE:
        raise MalformedPacket(f"TCP data offset {size} is below {SIZE}", 12)
    require(data, size, "TCP options")
    return Tcp(sport, dport, seq, ack, word & 0xFFF, window, urgent, bytes(data[SIZE:size]), sum_), data[size:]


def emit(header: Tcp, payload: Octets, src: int, dst: int) -> bytes:
    """The addresses enter the checksum. Raises ValueError for options that are not 0..40 bytes in fours."""
    size = header.size
    if size & 3 or size > 60:
        raise ValueError(f"TCP options of {len(header.options)} bytes: 0..40 in steps of 4 fit")
    head = _HEADER.pack(header.sport, header.dport, header.seq, header.ack, size << 10 | header.flags, header.window,
                        header.checksum or 0, header.urgent)
    data = b"".join((head, header.options, payload))
    if header.checksum is None:
        data = data[:16] + checksum(data, pseudo_header(src, dst, TCP, len(data))).to_bytes(2, "big") + data[18:]
    return data


def verify(data: Octets, src: int, dst: int) -> bool:
    require(data, SIZE, "TCP header")
    return checksum(data, pseudo_header(src, dst, TCP, len(data))) == 0
