"""What a capture file holds, whatever its format; and the bounded reading that both formats share."""

from __future__ import annotations

import zlib
from typing import BinaryIO, NamedTuple

from ..errors import CalisimError
from ..vocabulary import Direction

LONGEST = 262_144               # bytes of one frame; the same bound as libpcap's
_CHUNK = 65_536


class Frame(NamedTuple):
    """One captured frame: ``data`` is what was kept of ``length`` bytes on the wire.

    ``time`` in nanoseconds since the epoch; ``number`` counts from 1 and ``offset`` is the record's first byte in the file
    (both 0 for a frame that was not read).
    """

    time: int
    data: bytes
    length: int
    linktype: int
    interface: str = ""
    direction: Direction | None = None
    comment: str = ""
    number: int = 0
    offset: int = 0


class CaptureError(CalisimError):
    """A capture that cannot be read further; the frames before it are good."""

    def __init__(self, reason: str, number: int, offset: int) -> None:
        super().__init__(f"packet {number}, byte {offset}: {reason}")
        self.reason = reason
        self.number = number
        self.offset = offset


class Source:
    """A stream that knows where it is: ``number`` of the packet being read (from 1) and ``offset`` in bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read = stream.read
        self.number = 1
        self.offset = 0

    def error(self, reason: str, offset: int | None = None) -> CaptureError:
        return CaptureError(reason, self.number, self.offset if offset is None else offset)

    def take(self, size: int, what: str) -> bytes:
        """Exactly ``size`` bytes."""
        data = self.take_or_end(size, what)
        if len(data) != size:
            raise self.error(f"the file ends where {what} should be")
        return data

    def take_or_end(self, size: int, what: str) -> bytes:
        """``size`` bytes, or none at the end of the file."""
        try:
            data = self._read(size)
        except (OSError, EOFError, zlib.error) as cause:            # a broken gzip stream raises all three
            raise self.error(f"{what} cannot be read: {cause}") from None
        if data and len(data) < size:
            raise self.error(f"{what} cut short: {len(data)} of {size} bytes")
        self.offset += len(data)
        return data

    def skip(self, size: int, what: str) -> None:
        """Pass over bytes, however many, in little memory."""
        while size > 0:
            size -= len(self.take(min(size, _CHUNK), what))
