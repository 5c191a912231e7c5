"""A capture file of either format, compressed with gzip or not: the first bytes tell."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from . import pcap, pcapng
from .frame import Frame, Source

GZIP = b"\x1f\x8b"


def read(stream: BinaryIO) -> Iterator[Frame]:
    """The frames one by one, in bounded memory. Raises CaptureError where the file cannot be read further.

    The stream is closed behind the last frame.
    """
    buffered = io.BufferedReader(cast(io.RawIOBase, stream))
    try:
        if buffered.peek(2).startswith(GZIP):
            buffered = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=buffered)))
        magic = buffered.peek(4)[:4]
    except (OSError, EOFError, zlib.error) as cause:
        raise Source(buffered).error(f"the file cannot be read: {cause}") from None
    if magic == pcapng.MAGIC:
        yield from pcapng.read(buffered)
    elif magic in pcap.MAGICS:
        yield from pcap.read(buffered)
    else:
        raise Source(buffered).error(f"neither pcap nor pcapng: the file starts with {magic.hex() or 'nothing'}")
