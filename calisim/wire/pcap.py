"""Classic capture files (libpcap): read in both byte orders with µs or ns, written in ns.

Source: the Internet-Draft "PCAP Capture File Format" (draft-ietf-opsawg-pcap).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from .frame import LONGEST, Frame, Source

MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
MAGICS = {                      # the file's first bytes → byte order (of struct), nanoseconds per unit
    struct.pack(f"{sign}I", magic): (sign, scale)
    for magic, scale in ((MICROSECONDS, 1000), (NANOSECONDS, 1)) for sign in "<>"
}
SECOND = 10**9


def read(stream: BinaryIO) -> Iterator[Frame]:
    """The frames one by one. Raises CaptureError at the first record that cannot be."""
    source = Source(stream)
    magic = source.take(4, "the file header")
    if magic not in MAGICS:
        raise source.error("no pcap file: it starts with " + magic.hex(), 0)
    sign, scale = MAGICS[magic]
    major, _, _, _, _, network = struct.unpack(f"{sign}HHiIII", source.take(20, "the file header"))
    if major != 2:
        raise source.error(f"pcap version {major}, not 2", 4)
    record, linktype = struct.Struct(f"{sign}IIII"), network & 0xFFFF       # the upper bits tell of frame check sequences
    while True:
        start = source.offset
        head = source.take_or_end(16, "a record's header")
        if not head:
            return
        seconds, fraction, kept, length = record.unpack(head)
        if kept > LONGEST:
            raise source.error(f"a record of {kept} bytes: at most {LONGEST}", start)
        data = source.take(kept, "a record's data")
        yield Frame(seconds * SECOND + fraction * scale, data, length, linktype, number=source.number, offset=start)
        source.number += 1


class Writer:
    """Frames of one link type into a stream, little-endian, in nanoseconds."""

    def __init__(self, stream: BinaryIO, linktype: int) -> None:
        self._write = stream.write
        self.linktype = linktype
        self._write(struct.pack("<IHHiIII", NANOSECONDS, 2, 4, 0, 0, LONGEST, linktype))

    def write(self, frame: Frame) -> None:
        """Raises ValueError for another link type, a frame too long, or a time outside 1970..2106."""
        if frame.linktype != self.linktype:
            raise ValueError(f"a frame of link type {frame.linktype} in a file of {self.linktype}")
        if len(frame.data) > LONGEST:
            raise ValueError(f"a frame of {len(frame.data)} bytes: at most {LONGEST}")
        seconds, rest = divmod(frame.time, SECOND)
        if not 0 <= seconds < 2**32:
            raise ValueError(f"a time of {seconds} s since 1970 has no place in a pcap file")
        self._write(struct.pack("<IIII", seconds, rest, len(frame.data), frame.length) + frame.data)
