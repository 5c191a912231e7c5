"""Pieces of packets: how a packet is cut (ip_do_fragment), and how a router makes it whole again (ip_fragment.c).

Positions and lengths are those of IP payloads, in bytes, but where a *length* is said to be an IP total length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ...vocabulary import PacketFlag
from .tracking import SECOND
from .tunnels import CE, ECN, NOT_ECT
from .walk import Header

HEADER_LENGTH = 20
UNIT = 8                                   # of the offset field, bytes
LEAST_LIMIT = HEADER_LENGTH + UNIT
PATIENCE = 30 * SECOND                     # net.ipv4.ipfrag_time
MOST_HELD = 4 << 20                        # net.ipv4.ipfrag_high_thresh, bytes, of each router

Cut = tuple[int, int]                      # where in the datagram, and how much


def cut(header: Header, limit: int) -> list[Cut]:
    """The payload in pieces of at most ``limit`` bytes with a header each; as it is where not even eight bytes fit."""
    start, payload = (header.fragment & PacketFlag.OFFSET) * UNIT, header.length - HEADER_LENGTH
    room = limit - HEADER_LENGTH
    if limit < LEAST_LIMIT or payload <= room:
        return [(start, payload)]
    step = room // UNIT * UNIT
    last = -(-(payload - room) // step) * step         # where the last one begins: it takes all that fits
    return [*((start + at, step) for at in range(0, last, step)), (start + last, payload - last)]


def piece_of(header: Header, piece: Cut) -> tuple[int, int]:
    """Fragment field and total length of a piece of the packet with this header."""
    (offset, payload), start = piece, (header.fragment & PacketFlag.OFFSET) * UNIT
    is_last = offset + payload == start + header.length - HEADER_LENGTH
    more = header.fragment & PacketFlag.MF if is_last else PacketFlag.MF
    return header.fragment & PacketFlag.DF | more | offset // UNIT, HEADER_LENGTH + payload


class Key(NamedTuple):
    """What pieces of one datagram have in common at one router; number 0: they were not cut here, the id decides."""

    router: int                            # its key
    is_outer: bool
    src: int
    dst: int
    protocol: int
    number: int
    id: int

    @classmethod
    def of(cls, router: int, header: Header, *, is_outer: bool) -> Key:
        """Of the piece with this header."""
        number, identification = header.datagram, 0 if header.datagram else header.id
        return cls(router, is_outer, header.src, header.dst, header.protocol, number, identification)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece that waits, with the rows that it would have gone on as."""

    header: Header
    packet_row: Mapping[str, int]
    header_row: Mapping[str, int]

    @property
    def start(self) -> int:
        return (self.header.fragment & PacketFlag.OFFSET) * UNIT

    @property
    def payload(self) -> int:
        return self.header.length - HEADER_LENGTH

    @property
    def end(self) -> int:
        return self.start + self.payload

    @property
    def is_last(self) -> bool:
        return not self.header.fragment & PacketFlag.MF


@dataclass(slots=True)
class Queue:
    """The pieces of one datagram so far, in the order of their positions; no two overlap."""

    expires: int
    pieces: list[Piece] = field(default_factory=list)
    end: int | None = None                 # known from the last piece
    payload: int = 0
    held: int = 0                          # bytes, of total lengths

    def has(self, piece: Piece) -> bool:
        """Whether every byte of it is there already."""
        position, at = piece.start, self._before(piece.start)
        while position < piece.end and at < len(self.pieces) and self.pieces[at].start <= position < self.pieces[at].end:
            position, at = self.pieces[at].end, at + 1
        return position >= piece.end

    def contradicts(self, piece: Piece) -> bool:
        """Whether the pieces cannot be of one datagram: overlaps (RFC 5722) or two different ends."""
        at = self._before(piece.start)
        if any(other.start < piece.end and piece.start < other.end for other in self.pieces[at:at + 2]):
            return True
        if self.end is not None:
            return piece.end > self.end or (piece.is_last and piece.end != self.end)
        return piece.is_last and bool(self.pieces) and self.pieces[-1].end > piece.end

    def add(self, piece: Piece) -> None:
        self.pieces.insert(bisect_right(self.pieces, piece.start, key=lambda other: other.start), piece)
        self.end = piece.end if piece.is_last else self.end
        self.payload += piece.payload
        self.held += piece.header.length

    @property
    def is_whole(self) -> bool:
        return self.payload == self.end

    def _before(self, start: int) -> int:
        """Index of the last piece that begins at ``start`` or before it, else of the first."""
        return max(bisect_right(self.pieces, start, key=lambda other: other.start) - 1, 0)


class Reassembly:
    """All pieces that wait at routers; the numbers of datagrams, and where those were cut that came in pieces."""

    def __init__(self) -> None:
        self._queues: dict[Key, Queue] = {}
        self._held: defaultdict[int, int] = defaultdict(int)           # bytes by router
        self._came_as: dict[int, tuple[int, list[Cut]]] = {}           # by number: until when, and how
        self._numbers = 0

    def new_number(self) -> int:
        self._numbers = self._numbers % 0xFFFFFFFF + 1
        return self._numbers

    def forget(self, time: int) -> None:
        """What has waited too long before a wave that begins at this time."""
        for key in [key for key, queue in self._queues.items() if queue.expires <= time]:
            self._drop(key)
        self._came_as = {number: one for number, one in self._came_as.items() if one[0] > time}

    def take(self, key: Key, piece: Piece, time: int) -> list[Piece]:
        """One more piece; all of them, in order, if it closes the last hole."""
        if key in self._queues and self._queues[key].expires <= time:
            self._drop(key)
        if self._held[key.router] + piece.header.length > MOST_HELD:
            return []
        queue = self._queues.get(key) or Queue(time + PATIENCE)
        if queue.has(piece):
            return []
        if queue.contradicts(piece):
            self._drop(key)                            # it is not the first, so they have met before
            return []
        queue.add(piece)
        self._queues[key] = queue
        self._held[key.router] += piece.header.length
        if not queue.is_whole:
            return []
        self._drop(key)
        return queue.pieces

    def _drop(self, key: Key) -> None:
        self._held[key.router] -= self._queues.pop(key).held

    def remember(self, number: int, pieces: list[Piece], time: int) -> None:
        """How a datagram was cut, for who cuts it again."""
        self._came_as[number] = time + PATIENCE, [(piece.start, piece.payload) for piece in pieces]

    def came_as(self, header: Header, time: int) -> list[Cut]:
        """How the datagram with this header was cut; nothing if that is not known."""
        expires, pieces = self._came_as.get(header.datagram, (0, []))
        adds_up = sum(payload for _, payload in pieces) == header.length - HEADER_LENGTH
        start = (header.fragment & PacketFlag.OFFSET) * UNIT
        return [(start + at, payload) for at, payload in pieces] if expires > time and adds_up else []


def merged(pieces: list[Piece]) -> Header | None:
    """The header of the datagram: the first piece's, but for length, DF and ECN; None: the ECN fields exclude each other."""
    ecn = {piece.header.tos & ECN for piece in pieces}
    if NOT_ECT in ecn and len(ecn) > 1:
        return None                                    # ip_frag_ecn_table
    first = pieces[0].header
    largest_with_df = max((piece.header.length for piece in pieces if piece.header.df), default=0)
    return replace(
        first, length=HEADER_LENGTH + pieces[-1].end, tos=first.tos | (CE if CE in ecn else 0),
        fragment=PacketFlag.DF if largest_with_df == largest(pieces) else 0)


def largest(pieces: list[Piece]) -> int:
    """Total length of the longest of them."""
    return max(piece.header.length for piece in pieces)
