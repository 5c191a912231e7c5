"""IP fragments of the compiled engine: what was too long is cut, what came in pieces is held until it is whole.

Takes the packets that the core has CONTINUED, as they were then, in the order of legs and rows, and gives what they go on as.
Cuts like ip_do_fragment, joins like ip_frag_queue and ip_frag_reasm. Knows no routes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

import numpy as np

from ..vocabulary import PacketFlag, Relation, Stage
from ..vocabulary.chance import draw
from ..vocabulary.encaps import encapsulation
from .results import Born

_LIFETIME = 30_000_000_000                 # net.ipv4.ipfrag_time, ns
_MOST_BYTES = 4 << 20                      # net.ipv4.ipfrag_high_thresh, at one router
_HEADER = 20
_LEAST_LIMIT = _HEADER + 8
_DF, _MF, _OFFSET = int(PacketFlag.DF), int(PacketFlag.MF), int(PacketFlag.OFFSET)
_NOT_ECT, _CE = 1, 8                       # bits by the two of ECN
_SLACK = 64                            # entries of a heap that are not worth tidying
_AS_THEY_CAME = 2                      # BORN.cause as the core has it
_Key = tuple[int, int, int, int, int, int, int]


@dataclass(eq=False)
class _Queue:
    """Pieces of one datagram that do not overlap; ``starts`` and ``ends`` are offsets in bytes, sorted."""

    router: int                            # key
    first_time: int
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    end: int | None = None                 # of the datagram, once its last piece is here
    head: tuple[np.ndarray, np.ndarray] | None = None
    ecn: int = 0
    bytes: int = 0                         # of the pieces' lengths
    largest: int = 0
    largest_with_df: int = 0

    def covered(self, start: int, end: int) -> int:
        """How many of these bytes are here."""
        total, position = 0, max(bisect_right(self.starts, start) - 1, 0)
        while position < len(self.starts) and self.starts[position] < end:
            total += max(0, min(end, self.ends[position]) - max(start, self.starts[position]))
            position += 1
        return total

    def refuses(self, start: int, end: int, last: bool) -> bool:
        """Overlapping pieces, or ones that disagree about the end: somebody plays tricks (RFC 5722)."""
        if self.covered(start, end) or (self.end is not None and end > self.end):
            return True
        return last and (self.end not in (None, end) or (len(self.ends) > 0 and self.ends[-1] > end))

    def add(self, start: int, end: int) -> None:
        position = bisect_right(self.starts, start)
        self.starts.insert(position, start)
        self.ends.insert(position, end)

    def complete(self) -> bool:
        # they do not overlap and none ends beyond the end
        return self.end is not None and self.bytes - _HEADER * len(self.starts) == self.end


class Fragments:
    """What a network remembers of datagrams in pieces: queues, the boundaries of what was made whole, numbers given out."""

    def __init__(self) -> None:
        self.number = 0
        self._queues: dict[_Key, _Queue] = {}
        self._due: list[tuple[int, _Key]] = []                         # a heap: when each queue is over; completed ones, too
        self._bytes: Counter[int] = Counter()                          # by router key
        self._boundaries: dict[int, tuple[int, list[int]]] = {}        # by number: until when, payloads in order

    @property
    def waiting(self) -> bool:
        """There is something that may be over one day."""
        return bool(self._due or self._boundaries)

    def expire(self, now: int) -> None:
        """Forget what is over at ``now``."""
        if len(self._due) > 2 * len(self._queues) + _SLACK:            # most of them were completed
            self._due = [(queue.first_time + _LIFETIME, key) for key, queue in self._queues.items()]
            heapify(self._due)
        while self._due and self._due[0][0] <= now:
            until, key = heappop(self._due)
            if key in self._queues and self._queues[key].first_time + _LIFETIME == until:
                self._forget(key)
        while self._boundaries:                # the oldest come first; one that is kept longer than it counts does no harm
            number = next(iter(self._boundaries))
            if self._boundaries[number][0] > now:
                break
            del self._boundaries[number]

    def offspring(self, snapshots: Born, keys: np.ndarray, seed: int) -> Born:
        """Errors as they are, pieces and wholes in the place of the packets that they come from."""
        packets: list[np.ndarray] = []
        headers: list[np.ndarray] = []
        causes: list[np.ndarray] = []
        relations = snapshots.causes["relation"].tolist()
        for row, relation in enumerate(relations):
            packet, header, cause = (
                part[row:row + 1] for part in (snapshots.packets, snapshots.headers, snapshots.causes))
            if relation == Relation.PIECE:
                packet, header = self._cut(packet, header, cause, seed)
            elif relation == Relation.WHOLE:
                whole = self._hold(packet, header, int(keys[header["resume_at"][0]]))
                if whole is None:
                    continue
                packet, header = whole
            if relation != Relation.ERROR:
                cause = np.repeat(cause, len(packet))
                for name in ("cause", "type", "code"):
                    cause[name] = 0
            packets.append(packet)
            headers.append(header)
            causes.append(cause)
        if not packets:
            return Born(snapshots.packets[:0], snapshots.headers[:0], snapshots.causes[:0])
        return Born(np.concatenate(packets), np.concatenate(headers), np.concatenate(causes))

    def _next(self) -> int:
        self.number = self.number % 0xFFFFFFFF + 1
        return self.number

    def _cut(self, packet: np.ndarray, header: np.ndarray, cause: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The pieces of the packet, or of the outer one where it is encapsulated."""
        outer = "outer_" if header["encap"][0] else ""
        length = _outer_length(packet, header) if outer else int(packet["length"][0])
        flags = int((header if outer else packet)[f"{outer}fragment"][0])
        by_hand = not header[f"{outer}datagram"][0] and bool(flags & (_MF | _OFFSET))
        number = 0 if by_hand else int(header[f"{outer}datagram"][0]) or self._next()
        limit = int(cause["type"][0]) << 8 | int(cause["code"][0])
        came = int(cause["cause"][0])
        payloads = self._kept(number, int(packet["time"][0]), length - _HEADER, limit) if came == _AS_THEY_CAME else None
        keeps_df = _DF if came and payloads is None else 0
        if payloads is None:
            payloads = _divide(length - _HEADER, min(limit, int(header["largest"][0])) if came else limit)
        packets, headers = (np.repeat(part, len(payloads)) for part in (packet, header))
        target = headers if outer else packets
        offsets = np.cumsum([flags & _OFFSET, *(payload // 8 for payload in payloads[:-1])])
        target[f"{outer}fragment"] = offsets & _OFFSET | flags & keeps_df | _MF
        if not flags & _MF:
            target[f"{outer}fragment"][-1] &= 0xFFFF ^ _MF
        target[f"{outer}length"] = np.array(payloads) + _HEADER
        if outer and not headers["outer_fragment"][0] & (_MF | _OFFSET):      # in one piece: none
            headers["outer_length"] = 0
        headers["largest"], headers[f"{outer}datagram"] = 0, number
        if not by_hand and not headers[f"{outer}id"][0]:
            headers[f"{outer}id"] = 1 + draw(seed, number, 0) % 65535
        return packets, headers

    def _kept(self, number: int, time: int, payload: int, limit: int) -> list[int] | None:
        """As the datagram came, if it still may go on like that."""
        until, payloads = self._boundaries.get(number, (0, []))
        if time < until and sum(payloads) == payload and max(payloads) + _HEADER <= limit:
            return payloads
        return None

    def _hold(self, packet: np.ndarray, header: np.ndarray, router: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The whole, if this was the last piece missing."""
        outer = "outer_" if header["encap"][0] else ""
        fields = header if outer else packet
        src, dst, flags, tos = (int(fields[f"{outer}{name}"][0]) for name in ("src", "dst", "fragment", "tos"))
        number, identification = int(header[f"{outer}datagram"][0]), int(header[f"{outer}id"][0])
        protocol = int(header["encap"][0] if outer else packet["protocol"][0]) << bool(outer) * 8
        length, time = int(fields[f"{outer}length"][0]), int(packet["time"][0])
        start, last = (flags & _OFFSET) * 8, not flags & _MF
        end = start + length - _HEADER
        key = router, src, dst, protocol, number, 0 if number else identification, bool(outer)
        queue = self._queues.get(key)
        if queue is not None and time >= queue.first_time + _LIFETIME:
            self._forget(key)
            queue = None
        if self._bytes[router] + length > _MOST_BYTES:
            return None
        if queue is None:
            queue = self._queues[key] = _Queue(router, time)
            heappush(self._due, (time + _LIFETIME, key))
        if queue.covered(start, end) == end - start:
            return None
        if queue.refuses(start, end, last):
            self._forget(key)
            return None
        queue.add(start, end)
        queue.bytes += length
        self._bytes[router] += length
        queue.ecn |= 1 << (tos & 3)
        queue.largest = max(queue.largest, length)
        if flags & _DF:
            queue.largest_with_df = max(queue.largest_with_df, length)
        if not start:
            queue.head = packet.copy(), header.copy()
        if last:
            queue.end = end
        return self._close(key, queue, packet, header, outer) if queue.complete() else None

    def _close(
        self, key: _Key, queue: _Queue, packet: np.ndarray, header: np.ndarray, outer: str,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The datagram, as its first piece but for what all of them say together."""
        self._forget(key)
        if queue.head is None or (queue.ecn & _NOT_ECT and queue.ecn != _NOT_ECT):
            return None
        whole, more = (part.copy() for part in queue.head)
        for name in ("ingress", "time"):
            whole[name] = packet[name]
        for name in ("resume", "device"):
            more[name] = header[name]
        number = int(header[f"{outer}datagram"][0]) or self._next()
        self._boundaries.pop(number, None)
        self._boundaries[number] = (
            int(packet["time"][0]) + _LIFETIME, [end - start for start, end in zip(queue.starts, queue.ends, strict=True)])
        fields = more if outer else whole
        fields[f"{outer}fragment"] = _DF if queue.largest_with_df == queue.largest else 0
        fields[f"{outer}length"] = 0 if outer else _HEADER + queue.ends[-1]
        if queue.ecn & _CE:
            fields[f"{outer}tos"] |= 3
        more[f"{outer}datagram"] = number
        more["largest"] = 0 if more["resume"][0] == Stage.DECAPSULATE else queue.largest
        return whole, more

    def _forget(self, key: _Key) -> None:
        queue = self._queues.pop(key)
        self._bytes[queue.router] -= queue.bytes


def _outer_length(packet: np.ndarray, header: np.ndarray) -> int:
    if header["outer_fragment"][0] & (_MF | _OFFSET):
        return int(header["outer_length"][0])
    return int(packet["length"][0]) + encapsulation(int(header["encap"][0])).overhead


def _divide(payload: int, limit: int) -> list[int]:
    """Multiples of 8, as large as fit; the last is what is left."""
    room = limit - _HEADER
    if limit < _LEAST_LIMIT or payload <= room:
        return [payload]
    pieces = -(-(payload - room) // (room & ~7))
    return [room & ~7] * pieces + [payload - pieces * (room & ~7)]
