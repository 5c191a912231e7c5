"""Cutting IPv4 packets and putting them together, as Linux does (net/ipv4/ip_output.c, ip_fragment.c).

The checksum of TCP or UDP covers the whole payload and travels in the first fragment; nothing here touches it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..vocabulary import PacketFlag
from . import ipv4
from .octets import MalformedPacket, Octets

COPIED, END, NOTHING = 0x80, 0, 1                               # of an option's first byte (RFC 791 §3.1)
NOT_ECT, CE = 0, 3


def fragment(packet: Octets, mtu: int) -> list[bytes]:
    """The packet in pieces of at most ``mtu`` bytes: each but the last as long as a multiple of 8 allows.

    ID, TTL, TOS and DF stay. To cut a reassembled packet again give the smaller of the link's MTU and ``largest``.
    Raises ValueError for an MTU without room for 8 bytes of payload.
    """
    header, payload = ipv4.parse(packet)
    if header.offset + len(payload) > ipv4.LONGEST:
        raise MalformedPacket("a fragment that reaches beyond the longest packet", 6)
    room = mtu - header.size
    if len(payload) <= room:
        return [bytes(packet[:header.length])]
    if room < 8:
        raise ValueError(f"an MTU of {mtu} has no room for 8 bytes behind a header of {header.size}")
    pieces = []
    start = 0
    while start < len(payload):
        left = len(payload) - start
        size = left if left <= room else room & ~7
        word = header.fragment + start // 8 | (PacketFlag.MF if size < left else 0)
        pieces.append(_emit(header, int(word), payload[start:start + size], first=not start))
        start += size
    return pieces


def piece(packet: Octets, word: int, size: int) -> bytes:
    """The fragment of a packet (or of a fragment of it) with this ``word`` of DF, MF and offset and ``size`` bytes of payload."""
    header, payload = ipv4.parse(packet)
    start = (word & PacketFlag.OFFSET) * 8 - header.offset
    return _emit(header, word, payload[start:start + size], first=not start)


def _emit(header: ipv4.Ipv4, word: int, payload: Octets, *, first: bool) -> bytes:
    options = header.options if first else _for_later(header.options)
    return ipv4.emit(replace(header, fragment=word, options=options, length=None, checksum=None), payload)


def _for_later(options: bytes) -> bytes:
    """Options of fragments but the first: those that are not to be copied become no-operations (Linux ip_options_fragment)."""
    kept = bytearray(options)
    at = 0
    while at < len(kept) and kept[at] != END:
        if kept[at] == NOTHING:
            at += 1
            continue
        size = kept[at + 1] if at + 1 < len(kept) else 0
        if not 2 <= size <= len(kept) - at:
            break                                               # what makes no sense is left as it is
        if not kept[at] & COPIED:
            kept[at:at + size] = bytes((NOTHING,)) * size
        at += size
    return bytes(kept)


@dataclass(frozen=True, slots=True)
class Reassembled:
    """The whole ``packet`` and the length of the ``largest`` fragment that came in (Linux' frag_max_size)."""

    packet: bytes
    largest: int


@dataclass(slots=True)
class _Run:
    """Payload without a gap; fragments that came in order extend it."""

    start: int
    end: int
    payloads: list[Octets]


def reassemble(fragments: Iterable[Octets]) -> Reassembled | None:
    """The packet whose fragments came in this order; None while some are missing.

    A fragment inside what came before is a duplicate and is ignored. Raises MalformedPacket where Linux gives the packet up:
    an overlap (RFC 5722), two ends, a whole beyond 65,535 bytes, Not-ECT mixed with ECT (RFC 3168 §5.3); and for fragments
    of different packets.
    """
    runs: list[_Run] = []
    headers: list[ipv4.Ipv4] = []
    largest = unbroken = 0                                      # longest fragment, longest with DF
    end, complete = 0, False                                    # the furthest byte; does the last fragment say so?
    for data in fragments:
        header, payload = ipv4.parse(data)
        if headers and _identity(header) != _identity(headers[0]):
            raise MalformedPacket("fragments of different packets", 4)
        if header.more_fragments:
            payload = payload[:len(payload) & ~7]               # what does not fill the unit of 8 cannot be continued
        stop = header.offset + len(payload)
        last = not header.more_fragments
        if not payload or (complete and stop > end) or (last and stop < end):
            raise MalformedPacket("a fragment without payload, or beyond the last one", 6)
        end, complete = stop if last else max(end, stop), complete or last
        if _insert(runs, _Run(header.offset, stop, [payload])):
            headers.append(header)
            largest = max(largest, header.size + len(payload))
            unbroken = max(unbroken, header.size + len(payload) if header.dont_fragment else 0)
    runs.sort(key=lambda run: run.start)
    gapless = all(run.start == before for run, before in zip(runs, [0, *(run.end for run in runs)], strict=False))
    if not complete or not gapless:
        return None
    payload = b"".join(payload for run in runs for payload in run.payloads)
    return Reassembled(_whole(headers, payload, dont_fragment=largest == unbroken), largest)


def _identity(header: ipv4.Ipv4) -> tuple[int, int, int, int]:
    return header.src, header.dst, header.protocol, header.id


def _insert(runs: list[_Run], new: _Run) -> bool:
    """Add a fragment; False for a duplicate."""
    for run in runs:
        if run.start <= new.start and new.end <= run.end:
            return False
        if new.start < run.end and run.start < new.end:
            raise MalformedPacket("fragments overlap", 6)
    furthest = max(runs, key=lambda run: run.end, default=None)
    if furthest and furthest.end == new.start:
        furthest.end = new.end
        furthest.payloads += new.payloads
    else:
        runs.append(new)
    return True


def _whole(headers: list[ipv4.Ipv4], payload: bytes, *, dont_fragment: bool) -> bytes:
    """The first fragment's header over all; DF if the largest fragment had it; CE if one had it."""
    first = next(header for header in headers if not header.offset)
    if first.size + len(payload) > ipv4.LONGEST:
        raise MalformedPacket(f"the whole packet would have {first.size + len(payload)} bytes", 2)
    marks = {header.tos & 3 for header in headers}
    if NOT_ECT in marks and len(marks) > 1:
        raise MalformedPacket("fragments with and without ECN", 1)
    header = replace(first, fragment=int(PacketFlag.DF) if dont_fragment else 0, length=None, checksum=None,
                     tos=first.tos | (CE if CE in marks else 0))
    return ipv4.emit(header, payload)
