"""pcapng capture files: read in both byte orders with any time resolution, written in ns with names and comments.

Source: the Internet-Draft "PCAP Now Generic (pcapng) Capture File Format" (draft-ietf-opsawg-pcapng).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..vocabulary import Direction
from .frame import LONGEST, Frame, Source

SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, PACKET = 0x0A0D0D0A, 1, 2, 3, 6
END_OF_OPTIONS, COMMENT, NAME, FLAGS, RESOLUTION, TIME_OFFSET = 0, 1, 2, 2, 9, 14
BYTE_ORDER = 0x1A2B3C4D
MAGIC = SECTION.to_bytes(4, "big")                  # the same in both byte orders
LONGEST_BLOCK = 1 << 20                             # bytes, of a block that is read; unknown ones are passed over
MOST_INTERFACES = 65_536                            # of a section
LONGEST_NAME = 1024                                 # bytes that are kept of an interface's name
SECOND = 10**9
DIRECTIONS = {1: Direction.IN, 2: Direction.OUT}    # epb_flags, bits 0 and 1
Options = list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Interface:
    linktype: int
    snap_length: int
    name: str
    units: int                  # per second
    offset: int                 # seconds

    def nanoseconds(self, stamp: int) -> int:
        return stamp * SECOND // self.units + self.offset * SECOND


def read(stream: BinaryIO) -> Iterator[Frame]:
    """The frames one by one. Raises CaptureError at the first block that cannot be."""
    return _Reader(stream).frames()


class _Reader:
    def __init__(self, stream: BinaryIO) -> None:
        self.source = Source(stream)
        self.sign = ""                              # of struct; "" before the first section
        self.interfaces: list[Interface] = []

    def frames(self) -> Iterator[Frame]:
        readers = {PACKET: self.packet, SIMPLE_PACKET: self.simple_packet, OLD_PACKET: self.old_packet}
        source = self.source
        while head := source.take_or_end(8, "a block's header"):
            start = source.offset - 8
            if head[:4] == MAGIC:
                self.section(head, start)
                continue
            if not self.sign:
                raise source.error("no pcapng file: it starts with " + head[:4].hex(), start)
            kind, length = struct.unpack(f"{self.sign}II", head)
            if kind != INTERFACE and kind not in readers:
                self.check(length, start)
                source.skip(length - 12, "a block")
                self.close(length, start)
                continue
            body = self.body(length, 12, start)
            if kind == INTERFACE:
                self.interface(body, start)
            else:
                yield readers[kind](body, start)
                source.number += 1

    # --- blocks

    def check(self, length: int, start: int) -> None:
        if length < 12 or length & 3:
            raise self.source.error(f"a block of {length} bytes: at least 12 in steps of 4", start)

    def close(self, length: int, start: int) -> None:
        """A block ends with its length said again."""
        again, = struct.unpack(f"{self.sign}I", self.source.take(4, "a block's end"))
        if again != length:
            raise self.source.error(f"a block of {length} bytes that ends with a length of {again}", start)

    def body(self, length: int, taken: int, start: int) -> bytes:
        """What lies between a block's header, of which ``taken`` - 4 bytes are read, and its second length."""
        self.check(length, start)
        if not taken <= length <= LONGEST_BLOCK:
            raise self.source.error(f"a block of {length} bytes: from {taken} to {LONGEST_BLOCK}", start)
        body = self.source.take(length - taken, "a block")
        self.close(length, start)
        return body

    def section(self, head: bytes, start: int) -> None:
        """A new section has its own byte order and interfaces."""
        order = self.source.take(4, "a section's byte order")
        signs = {BYTE_ORDER.to_bytes(4, "big"): ">", BYTE_ORDER.to_bytes(4, "little"): "<"}
        if order not in signs:
            raise self.source.error("no byte order of pcapng: " + order.hex(), start + 8)
        self.sign = signs[order]
        length, = struct.unpack(f"{self.sign}I", head[4:])
        body = self.body(length, 16, start)
        if len(body) < 12:
            raise self.source.error("a section header cut short", start)
        major, = struct.unpack_from(f"{self.sign}H", body)
        if major != 1:
            raise self.source.error(f"pcapng version {major}, not 1", start + 12)
        self.interfaces = []

    def interface(self, body: bytes, start: int) -> None:
        if len(body) < 8:
            raise self.source.error("an interface description cut short", start)
        if len(self.interfaces) == MOST_INTERFACES:
            raise self.source.error(f"more than {MOST_INTERFACES} interfaces", start)
        linktype, snap_length = struct.unpack_from(f"{self.sign}HxxI", body)
        options = dict(self.options(body, 8, start))
        exponent = (options.get(RESOLUTION) or b"\x06")[0]
        offset = options.get(TIME_OFFSET, b"")
        self.interfaces.append(Interface(
            linktype, snap_length, options.get(NAME, b"")[:LONGEST_NAME].decode(errors="replace"),
            units=(2 if exponent & 0x80 else 10) ** (exponent & 0x7F),
            offset=struct.unpack(f"{self.sign}q", offset)[0] if len(offset) == 8 else 0))

    def options(self, body: bytes, at: int, start: int) -> Options:
        """(code, value) pairs from byte ``at`` of a block's body on."""
        found: Options = []
        while at + 4 <= len(body):
            code, size = struct.unpack_from(f"{self.sign}HH", body, at)
            if code == END_OF_OPTIONS:
                break
            at += 4
            if at + size > len(body):
                raise self.source.error(f"an option of {size} bytes reaches beyond its block", start)
            found.append((code, body[at:at + size]))
            at += size + 3 & ~3
        return found

    # --- packets

    def packet(self, body: bytes, start: int) -> Frame:
        """Enhanced Packet Block."""
        if len(body) < 20:
            raise self.source.error("a packet block cut short", start)
        return self.frame(body, start, *struct.unpack_from(f"{self.sign}IIIII", body))

    def old_packet(self, body: bytes, start: int) -> Frame:
        """Packet Block: obsolete, but files have it."""
        if len(body) < 20:
            raise self.source.error("a packet block cut short", start)
        return self.frame(body, start, *struct.unpack_from(f"{self.sign}HxxIIII", body))

    def frame(self, body: bytes, start: int, interface: int, high: int, low: int, kept: int, length: int) -> Frame:
        on = self.interface_of(interface, start)
        if kept > min(LONGEST, len(body) - 20):
            raise self.source.error(f"a packet of {kept} bytes in a block with room for {min(LONGEST, len(body) - 20)}", start)
        options = self.options(body, 20 + (kept + 3 & ~3), start)
        comment = "\n".join(value.decode(errors="replace") for code, value in options if code == COMMENT)
        flags = next((value for code, value in options if code == FLAGS and len(value) == 4), bytes(4))
        way = DIRECTIONS.get(struct.unpack(f"{self.sign}I", flags)[0] & 3)
        return Frame(on.nanoseconds(high << 32 | low), body[20:20 + kept], length, on.linktype, on.name, way, comment,
                     self.source.number, start)

    def simple_packet(self, body: bytes, start: int) -> Frame:
        """Simple Packet Block: on the first interface, without a time (0)."""
        on = self.interface_of(0, start)
        if len(body) < 4:
            raise self.source.error("a packet block cut short", start)
        length, = struct.unpack_from(f"{self.sign}I", body)
        kept = min(length, on.snap_length or length)
        if kept > min(LONGEST, len(body) - 4):
            raise self.source.error(f"a packet of {kept} bytes in a block with room for {min(LONGEST, len(body) - 4)}", start)
        return Frame(0, body[4:4 + kept], length, on.linktype, on.name, number=self.source.number, offset=start)

    def interface_of(self, number: int, start: int) -> Interface:
        if number >= len(self.interfaces):
            raise self.source.error(f"a packet on interface {number} of {len(self.interfaces)} described", start)
        return self.interfaces[number]


class Writer:
    """Frames into a stream, little-endian, in nanoseconds; an interface is described when its first frame comes."""

    def __init__(self, stream: BinaryIO, application: str = "calisim") -> None:
        self._write = stream.write
        self._interfaces: dict[tuple[str, int], int] = {}
        self._block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1) + _options([(4, application.encode())]))

    def write(self, frame: Frame) -> None:
        """Raises ValueError for a frame too long or a time before 1970."""
        if len(frame.data) > LONGEST:
            raise ValueError(f"a frame of {len(frame.data)} bytes: at most {LONGEST}")
        if not 0 <= frame.time < 2**64:
            raise ValueError(f"a time of {frame.time} ns since 1970 has no place in a pcapng file")
        options: Options = [(COMMENT, _text(frame.comment))] if frame.comment else []
        if frame.direction is not None:
            options.append((FLAGS, struct.pack("<I", 1 if frame.direction == Direction.IN else 2)))
        head = struct.pack("<IIIII", self._interface(frame.interface, frame.linktype), frame.time >> 32,
                           frame.time & 0xFFFFFFFF, len(frame.data), frame.length)
        self._block(PACKET, head + _padded(frame.data) + _options(options))

    def _interface(self, name: str, linktype: int) -> int:
        key = name, linktype
        if key not in self._interfaces:
            self._interfaces[key] = len(self._interfaces)
            options: Options = [(NAME, _text(name))] if name else []
            self._block(INTERFACE, struct.pack("<HHI", linktype, 0, LONGEST) + _options([*options, (RESOLUTION, b"\x09")]))
        return self._interfaces[key]

    def _block(self, kind: int, body: bytes) -> None:
        length = struct.pack("<I", len(body) + 12)
        self._write(struct.pack("<I", kind) + length + body + length)


def _text(value: str) -> bytes:
    """As much of a text as an option holds, whole letters only."""
    return value.encode(errors="replace")[:0xFFFF].decode(errors="ignore").encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(options: Options) -> bytes:
    if not options:
        return b""
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options) + bytes(4)
