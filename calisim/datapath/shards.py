"""What the compiled engine writes down, in parts: a shard has all that belongs to some of the routers, and is one thread's at a
time. Rooms grow here, never in the compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._fastpath import (
    CONNECTION_ROOM, FRAME, LEAST_AFFINITIES, LEAST_INDEX, SLOTS_PER_TAKEN, TAKEN_SIZE, TIE_SIZE, TIED_BIT, Desk, Ledger,
    Post, Sheet, reindex, remember, widen,
)
from ..fib.image import FibImage
from ..lines import in_line, room_for, zeros
from ..vocabulary import AFFINITY, CONNECTION, PMTU, Device, DropReason, Verdict
from .flows import MOST, FlowCache

_FIRST_ROOM = 8 * FRAME                    # a power of two, and no less than one frame of one leg may take up
_SLOTS, _OCTETS = np.dtype(np.uint64), np.dtype(np.uint8)
_GROWTH = 4                                # of an index, and of room for records, at least: what nobody has written yet takes no
_BOLD_GROWTH = 64                          # memory, so that half a gigabyte is soon asked for, and hardly anything is copied
_BOLD_ROOM = 1 << 23
_SAMPLE = 4096                             # connections that say whether tidying pays, an odd distance apart: neighbours differ


@dataclass(frozen=True)
class Counters:
    """``links``: uint64[routers + 1, devices, 2 directions, (packets, bytes)]; ``drops``: uint64[places + 1, reasons];
    ``verdicts``: uint64[verdicts]; ``hits``: uint64[objects + 1]."""

    links: np.ndarray
    drops: np.ndarray
    verdicts: np.ndarray
    hits: np.ndarray

    @classmethod
    def of(cls, image: FibImage) -> Self:
        """At 0."""
        counters = cls.room(image)
        for array in (counters.links, counters.drops, counters.verdicts, counters.hits):
            array[...] = 0
        return counters

    @classmethod
    def room(cls, image: FibImage) -> Self:
        """At whatever they are: a page that nobody touches takes no time."""
        return cls(
            np.empty((len(image.routers), len(Device), 2, 2), np.uint64),
            np.empty((image.places + 1, len(DropReason)), np.uint64),
            np.empty(len(Verdict), np.uint64), np.empty(image.objects + 1, np.uint64))


@dataclass
class Common:
    """What all shards read, and write only where it is their routers': ``ordinals``, the last one given, by conntrack and by the
    groups, and ``shards``, whose each router is. ``sourced``: it may be asked which connection a source opened last."""

    paths: np.ndarray
    ordinals: np.ndarray
    shards: np.ndarray
    sourced: bool

    @classmethod
    def of(cls, routers: int, *, sourced: bool) -> Self:
        return cls(np.zeros(0, PMTU), np.zeros((routers, 2), np.uint32), np.zeros(routers, np.uint8), sourced)


def _more(room: int) -> int:
    """Room for records when ``room`` is full."""
    return max(_GROWTH * room, min(_BOLD_GROWTH * room, _BOLD_ROOM))


def _on_sheet(count: int, dtype: np.dtype, *, blank: bool) -> np.ndarray:
    """So many, aligned, perhaps in memory that another state has given up."""
    return in_line(np.frombuffer(memoryview(Sheet(room_for(count, dtype), blank)), np.uint8), count, dtype)


def _furnished(room: int) -> tuple[np.ndarray, np.ndarray]:
    """Empty tables for that many connections, and for what they have to do with flows."""
    return _on_sheet(room, CONNECTION, blank=False), zeros(room * TIE_SIZE, _OCTETS)


def _leading(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The index, and room for which ports searches that it leads have found taken."""
    return index, zeros(len(index) // SLOTS_PER_TAKEN * TAKEN_SIZE, _OCTETS)


def _indexed(connections: np.ndarray, *, sourced: bool) -> tuple[np.ndarray, int]:
    """An index over all of them, and how many of its slots are taken."""
    room = LEAST_INDEX
    while room // 8 * 5 < 3 * len(connections):          # two slots, and one of the source where it is translated
        room *= 2
    index = _on_sheet(room, _SLOTS, blank=True)
    return index, reindex(connections, len(connections), index, sourced)


class Shard:
    """Connections (the first ones of ``records``, with an ``index`` over them, open addressing; ``ties``: what they have to do
    with flows, ``taken``: which ports searches have found taken), affinities (``sessions``), the flows that start here, and the
    counters of what happened here. How many there are of each the ``ledger`` knows, through which the compiled code sees all of
    it. ``waiting`` (of the slice of the wave that its thread sets off), ``onward`` (in turn) and ``notes``: what it has for all
    shards, during a wave; ``desk``: what it has for itself; ``trial``: counters that nobody reads. ``slices``: of a wave, at
    most."""

    def __init__(self, number: int, common: Common, counters: Counters, trial: Counters, slices: int = 1) -> None:
        self.number = number
        self._common = common
        self.counters, self.trial = counters, trial
        self.records, self.ties = _furnished(_FIRST_ROOM)
        self.index, self.taken = _leading(_on_sheet(LEAST_INDEX, _SLOTS, blank=True))
        self.sessions = zeros(LEAST_AFFINITIES, AFFINITY)             # an open-addressing table
        self.flows = FlowCache(slices)
        self.onward, self.notes, self.waiting, self.desk = (Post(), Post()), Post(), Post(), Desk()
        self._untidy = _FIRST_ROOM                                    # connections from which on it pays to look for dead ones
        self._bind(0, 0, 0, 0)

    def _bind(self, connections: int, sessions: int, flows: int, slots: int) -> None:
        """A ledger over the arrays as they are now, with these numbers of records in them."""
        common, counters, cache = self._common, self.counters, self.flows
        self.ledger = Ledger(
            self.records, connections, self.index, self.ties, self.taken, self.sessions, sessions, common.paths, common.ordinals,
            counters.links, counters.drops, counters.verdicts, counters.hits, cache.records, cache.asides, cache.tolls,
            cache.index, cache.unsettled, flows, slots, common.shards, self.number, common.sourced, self.trial.links,
            self.trial.drops, self.trial.verdicts)

    @property
    def connections(self) -> np.ndarray:
        """Dead ones, too."""
        return self.records[:self.ledger.counts[0]]

    def take(self, connections: np.ndarray, sessions: np.ndarray) -> None:
        """Instead of its own, all of different tuples and clients; flows are forgotten."""
        room = len(self.records)
        while room < len(connections) + CONNECTION_ROOM:
            room = _more(room)
        self._replace(connections, room)
        seated = self._seat(sessions)
        self._bind(len(connections), seated, 0, self.ledger.counts[3])

    @property
    def untidy(self) -> bool:
        """It may pay to tidy."""
        return self.ledger.counts[0] >= self._untidy

    def tidy(self, earliest: int) -> bool:
        """Forget connections that had expired at ``earliest`` if they take up much of an untidy table; places that flows keep are
        dead, too, but would come again. True: the others stand elsewhere now, and with them flows must be forgotten."""
        connections = self.connections
        sample = connections[::max(len(connections) // _SAMPLE, 1) | 1]
        dead = sample[sample["expires"] <= earliest]
        places = (dead["packets"] == 0) & (dead["wave"] & TIED_BIT != 0)
        moved = int(np.count_nonzero(~places)) * 4 >= len(sample)
        if moved:
            if not self._common.sourced:                 # whom those that go have superseded is known by then
                _indexed(connections, sourced=True)
            self._replace(connections[connections["expires"] > earliest], len(self.records))
        left = self.ledger.counts[0]
        self._untidy = left + left // 4 + _FIRST_ROOM
        return moved

    def grow(self, earliest: int) -> None:
        """Make room for one frame more of whatever lacks it. Connections stay where they are."""
        connections, sessions, flows, slots = self.ledger.counts
        records, ties, index, taken, cache = self.records, self.ties, self.index, self.taken, self.flows
        if len(records) - connections < CONNECTION_ROOM:
            records, ties = _furnished(_more(len(records)))
            for old, new, octets in ((self.records, records, CONNECTION.itemsize), (self.ties, ties, TIE_SIZE)):
                new.view(np.uint8)[:connections * octets] = old.view(np.uint8)[:connections * octets]
        if slots > len(index) // 8 * 5:
            index, taken = _leading(_on_sheet(_GROWTH * len(index), _SLOTS, blank=True))      # ports are looked up anew
            widen(self.index, index)
        if cache.room - flows < FRAME and cache.room < MOST:
            cache = cache.grown(flows)
        if sessions > len(self.sessions) // 2:
            sessions = self._seat(self.sessions[self.sessions["expires"] > earliest])
        # all of them or, where there is no memory, none
        self.records, self.ties, self.index, self.taken, self.flows = records, ties, index, taken, cache
        self._bind(connections, sessions, flows, slots)

    def make_room_for_flows(self, count: int) -> None:
        """So many more, if there may be."""
        connections, sessions, flows, slots = self.ledger.counts
        if self.flows.room - flows < count and self.flows.room < MOST:
            self.flows = self.flows.grown(flows, count)
            self._bind(connections, sessions, flows, slots)

    def forget_flows(self) -> None:
        """What they rest on has changed. Nothing may be owed to connections."""
        self.ledger.settle()
        connections, sessions, _, slots = self.ledger.counts
        self.flows = FlowCache(self.flows.slices, self.flows.room)
        self.ties[:connections * TIE_SIZE] = 0
        self.connections["wave"] &= ~np.uint32(TIED_BIT)
        self._bind(connections, sessions, 0, slots)

    def _replace(self, connections: np.ndarray, room: int) -> None:
        """These connections instead of all others, in a table of their own; flows are forgotten."""
        self.ledger.settle()
        records, ties = _furnished(room)
        records[:len(connections)] = connections
        flows = FlowCache(self.flows.slices, self.flows.room)
        index, slots = _indexed(records[:len(connections)], sourced=self._common.sourced)
        self.index, self.taken = _leading(index)                   # from here on nothing asks for memory
        self.records, self.ties, self.flows = records, ties, flows
        self._bind(len(connections), self.ledger.counts[1], 0, slots)

    def index_anew(self) -> None:
        """Over the same connections, by their sources, too, if these may be asked for. No flow may be known."""
        connections, sessions, _, _ = self.ledger.counts
        index, slots = _indexed(self.connections, sourced=self._common.sourced)
        self.index, self.taken = _leading(index)
        self._bind(connections, sessions, 0, slots)

    def _seat(self, sessions: np.ndarray) -> int:
        """A table with these affinities, at most a quarter full. Returns how many there are."""
        room = LEAST_AFFINITIES
        while room < 4 * len(sessions):
            room *= 2
        self.sessions = zeros(room, AFFINITY)
        remember(sessions, self.sessions)
        return len(sessions)
