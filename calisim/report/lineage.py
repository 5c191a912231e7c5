"""The bytes of a packet and of all that it gives rise to: pieces are cut from it, wholes are put together, errors quote it.

Takes one generation after the other (:mod:`calisim.datapath.generations`) and gives the frames of each of its packets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..datapath.deparse import Tunnels
from ..datapath.generations import Generation
from ..vocabulary import EVENT, HEADER, PACKET, Encap, Relation, Stage, Verdict
from ..wire import ipv4
from ..wire.fragments import piece, reassemble
from ..wire.octets import MalformedPacket
from .frames import error, frame, frames

Held = tuple[int, int, int, int, int]          # router, source, destination, protocol, number or identification


@dataclass(frozen=True, slots=True)
class Seen:
    """One packet of a generation: the bytes that its frames are made of (``wrapped``: with the outer header that its sender
    wrote), the frames, and the packet as last seen. ``held``: under which key it waits for the other pieces."""

    data: bytes
    wrapped: bool
    frames: Sequence[bytes]
    last: bytes
    held: Held | None = None


class Lineage:
    """Bytes of waves and their generations; remembers pieces until they are made whole, from one wave to the next."""

    def __init__(self, tunnels: Tunnels) -> None:
        self._tunnels = tunnels
        self._before: list[Seen] = []
        self._held: dict[Held, list[bytes]] = {}

    def add(self, generation: Generation, sent: Sequence[bytes] = ()) -> list[Seen]:
        """Every packet of the next generation; of a wave that nothing gave rise to, the bytes that were ``sent``."""
        events = generation.results.events
        assert events is not None
        bounds = np.searchsorted(events["row"], np.arange(len(generation.packets) + 1))
        headers = np.zeros(len(generation.packets), HEADER) if generation.headers is None else generation.headers
        seen = []
        for row, (packet, header, result) in enumerate(zip(generation.packets, headers, generation.results.results, strict=True)):
            mine = events[bounds[row]:bounds[row + 1]]
            if generation.causes is None:
                data, wrapped = sent[row], bool(header["encap"])
            else:
                data, wrapped = self._born(packet, header, generation.causes[row], mine)
            one = self._seen(data, wrapped, packet, header, mine)
            seen.append(self._hold(one, header, result, mine))
        self._before = seen
        return seen

    def _seen(self, data: bytes, wrapped: bool, packet: np.void, header: np.void, events: np.ndarray) -> Seen:
        made = frames(events, data, self._tunnels, wrapped=wrapped)
        if made or not header["resume"]:
            return Seen(data, wrapped, made, made[-1] if made else data)
        start, = frames([_as_event(packet, header)], data, self._tunnels, wrapped=wrapped)
        return Seen(data, wrapped, made, start)

    def _hold(self, one: Seen, header: np.void, result: np.void, events: np.ndarray) -> Seen:
        """A piece that stays at a router until its datagram is whole; what is still encapsulated has all its bytes already."""
        if (result["verdict"], result["stage"]) != (Verdict.CONTINUED, Stage.DEFRAGMENT):
            return one
        if (events[-1] if len(events) else header)["encap"] != Encap.NONE:
            return one
        here, _ = ipv4.parse(one.last)
        key = int(result["where"]), here.src, here.dst, here.protocol, int(header["datagram"]) << 16 or here.id
        self._held.setdefault(key, []).append(one.last)
        return Seen(one.data, one.wrapped, one.frames, one.last, key)

    def _born(self, packet: np.void, header: np.void, cause: np.void, events: np.ndarray) -> tuple[bytes, bool]:
        """The bytes of an offspring, and whether they begin with an outer header that the first sender wrote."""
        parent = self._before[int(cause["parent"])]
        if cause["relation"] == Relation.ERROR:
            source = int(events[0]["src"]) if len(events) else int(packet["src"])       # a node's kernel chooses it
            return error(packet, header, parent.last, source, self._tunnels.seed), False
        if header["encap"] != Encap.NONE:          # of the outer packet: the inner one lies in it untouched
            return parent.data, parent.wrapped
        if cause["relation"] == Relation.WHOLE:
            assert parent.held is not None
            return _together(self._held.pop(parent.held)), False
        inner = ipv4.parse(parent.data)[1] if parent.wrapped else parent.data
        now = frame(_as_event(packet, header, encap=Encap.NONE), inner, self._tunnels)
        return piece(now, int(packet["fragment"]), int(packet["length"]) - ipv4.SIZE), False


def _as_event(packet: np.void, header: np.void, **changes: int) -> np.void:
    """A packet as it is, as if it crossed an interface."""
    made = np.zeros(1, EVENT)
    for record, layout in ((packet, PACKET), (header, HEADER)):
        for name in set(layout.names or ()) & set(EVENT.names or ()) - {"device"}:
            made[name] = record[name]
    for name, value in changes.items():
        made[name] = value
    return made[0]


def _together(pieces: list[bytes]) -> bytes:
    """The datagram of these pieces, in the order in which they came; some of the first may belong to one that was given up."""
    for start in range(len(pieces)):
        try:
            whole = reassemble(pieces[start:])
        except MalformedPacket:
            continue
        if whole is not None:
            return whole.packet
    raise AssertionError("a datagram was made whole of which not all pieces were seen")
