"""State of the compiled engine: connections and counters as numpy arrays – the only thing that forwarding changes.

Connections carry the key of their router and ordinals are kept by key, so that a state can be carried on to the image of a
network to which nodes have been added (:meth:`State.fit`). Rooms grow here, never in the compiled code.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .._fastpath import (
    CARRY_SIZE, CONNECTION_ROOM, CONNECTIONS_PER_TAKEN, FRAME, LEAST_AFFINITIES, LEAST_INDEX, TAKEN_SIZE, WAVE_NUMBER, Ledger,
    reindex, remember, widen,
)
from ..fib.image import FibImage
from ..vocabulary import AFFINITY, CONNECTION, PMTU, ConnectionFlag, Device, DropReason, Verdict
from .flows import MOST, FlowCache
from .fragments import Fragments
from .lines import zeros

_FIRST_ROOM = 8 * FRAME                    # a power of two, and no less than one frame of one leg may take up
_GROWTH = 4                                # of room for records: what nobody has written yet takes no memory
_MOST_UNSETTLED = 1 << 30                  # packets; a flow counts its own in 31 bits
_LEAST_PATH_MTU = 552                      # net.ipv4.route.min_pmtu
_PATH_LIFETIME = 600_000_000_000           # net.ipv4.route.mtu_expires, ns


class State:
    """Connections (the first ones of ``records``, with an ``index`` over them), ordinals, the flow cache, and the counters.
    How many there are of each the ``ledger`` knows, through which the compiled code sees all of it.

    ``links``: uint64[routers + 1, devices, 2 directions, (packets, bytes)]; ``drops``: uint64[places + 1, reasons];
    ``verdicts``: uint64[verdicts]; ``hits``: uint64[objects + 1], of the last image.
    """

    def __init__(self, image: FibImage) -> None:
        self.keys = image.routers["key"]
        self._links = np.zeros((len(self.keys), len(Device), 2, 2), np.uint64)
        self._drops = np.zeros((image.places + 1, len(DropReason)), np.uint64)
        self._verdicts = np.zeros(len(Verdict), np.uint64)
        self._hits = np.zeros(image.objects + 1, np.uint64)
        self._image = image
        self.ordinals = np.zeros((len(self.keys), 2), np.uint32)      # the last one given: by conntrack, by the groups
        self._furnish(_FIRST_ROOM)
        self.index = zeros(LEAST_INDEX, np.dtype(np.uint64))          # over the connections, open addressing
        self.sessions = zeros(LEAST_AFFINITIES, AFFINITY)             # an open-addressing table
        self.icmp_tokens: dict[tuple[int, int], tuple[int, int]] = {}  # (router key, or place after the last), to whom
        self._known_paths: dict[tuple[int, int], tuple[int, int]] = {}      # source, destination: MTU, until when
        self.paths = np.zeros(0, PMTU)                                # the same as the compiled code reads it
        self.fragments = Fragments()
        self.flows = FlowCache()
        self._carries = np.empty(0, np.uint8)
        self.wave = 0                                                 # number of the last wave
        self.latest = 0                                               # the latest packet time seen
        self._unsettled = 0                                           # packets of waves since all flows were settled, at most
        self._untidy = _FIRST_ROOM                                    # connections from which on it pays to look for dead ones
        self._bind(0, 0, 0, 0)

    def _bind(self, connections: int, sessions: int, flows: int, slots: int) -> None:
        """A ledger over the arrays as they are now, with these numbers of records in them. No flow may be listed."""
        self.ledger = Ledger(
            self.records, connections, self.index, self.taken, self.sessions, sessions, self.paths, self.ordinals, self._links,
            self._drops, self._verdicts, self._hits, self.flows.records, self.flows.asides, self.flows.index, self.flows.listed,
            flows, slots)

    @property
    def links(self) -> np.ndarray:
        self.ledger.settle()
        return self._links

    @property
    def drops(self) -> np.ndarray:
        self.ledger.settle()
        return self._drops

    @property
    def verdicts(self) -> np.ndarray:
        self.ledger.settle()
        return self._verdicts

    @property
    def hits(self) -> np.ndarray:
        self.ledger.settle()
        return self._hits

    def connections(self) -> np.ndarray:
        """What is alive at the latest packet time seen, sorted by router key, kind (conntrack first) and ordinal."""
        records = self.records[:self.ledger.counts[0]]
        alive = records[records["expires"] > self.latest].copy()
        alive["wave"] &= WAVE_NUMBER
        return alive[np.lexsort((alive["ordinal"], alive["flags"] & ConnectionFlag.TRACKED_BY_FABRIC, alive["key"]))]

    def affinities(self) -> np.ndarray:
        """AFFINITY records that hold at the latest packet time seen, sorted by router key, service and client."""
        alive = self.sessions[self.sessions["expires"] > self.latest]
        return alive[np.lexsort((alive["client"], alive["service"], alive["key"]))]

    def path_mtus(self) -> np.ndarray:
        """PMTU records that hold at the latest packet time seen."""
        return self.paths[self.paths["expires"] > self.latest]

    def learn(self, lessons: Iterable[tuple[int, int, int, int]]) -> None:
        """Source, destination, MTU and time of what frag-needed errors quote (ip_rt_update_pmtu): never more than is known."""
        for src, dst, told, time in lessons:
            expires = min(time + _PATH_LIFETIME, 2**64 - 1)
            mtu, until = self._known_paths.get((src, dst), (0, 0))
            if until <= time:
                self._known_paths[src, dst] = max(told, _LEAST_PATH_MTU), expires
                continue
            told = min(mtu, _LEAST_PATH_MTU) if told < _LEAST_PATH_MTU else told
            if told < mtu or (told == mtu and until <= time + _PATH_LIFETIME // 2):
                self._known_paths[src, dst] = told, expires
        self.paths = np.array([(*path, *known) for path, known in sorted(self._known_paths.items())], PMTU)
        self._forget_flows()

    def may_complain(self, where: int, receiver: int, time: int, span: int, *, no_route: bool) -> bool:
        """Whether one more ICMP error may be sent at ``time``: one each ``span`` ns, six after a silence; for want of a route
        one each second, five after a silence."""
        speaker = int(self.keys[where]) if where < len(self.keys) else len(self.keys) - 1 - where
        held, last = self.icmp_tokens.get((speaker, receiver), (60_000_000_000, time))
        held += max(0, time - last)
        cost = 1_000_000_000 if no_route else 0
        held = min(held, 5 * cost) if no_route else held
        allowed = held >= cost
        if allowed:
            held = min(held - cost, 6 * span)
            allowed = held >= span
            held -= span * allowed
        self.icmp_tokens[speaker, receiver] = held, max(last, time)
        return allowed

    def tidy(self, earliest: int, packets: int) -> None:
        """Before a wave of so many packets: forget connections that had expired at ``earliest`` where they take up much of the
        table. Afterwards the others stand elsewhere, so that flows are forgotten with them."""
        self._unsettled += packets
        if self._unsettled > _MOST_UNSETTLED:
            self.ledger.settle()
            self._unsettled = packets
        connections = self.ledger.counts[0]
        if connections < self._untidy:
            return
        alive = self.records[:connections]["expires"] > earliest
        count = int(np.count_nonzero(alive))
        if count <= connections - connections // 4:
            kept = self.records[:connections][alive]
            self._furnish(len(self.records))
            self.records[:count], self.index = kept, zeros(len(self.index), np.dtype(np.uint64))
            self._forget_flows(count, reindex(self.records, count, self.index))
            connections = count
        self._untidy = connections + connections // 4 + _FIRST_ROOM

    def grow(self, earliest: int) -> None:
        """Make room for one frame more of whatever lacks it. Connections stay where they are."""
        connections, sessions, flows, slots = self.ledger.counts
        self.ledger.settle()
        if len(self.records) - connections < CONNECTION_ROOM:
            known = self.records.view(np.uint8)[:connections * CONNECTION.itemsize]
            self._furnish(_GROWTH * len(self.records))     # what searches knew is looked up anew
            self.records.view(np.uint8)[:len(known)] = known
        if slots > len(self.index) // 8 * 5:
            wider = zeros(2 * len(self.index), np.dtype(np.uint64))
            widen(self.index, wider)
            self.index = wider
        if sessions > len(self.sessions) // 2:
            sessions = self._grow_sessions(earliest)
        if self.flows.room - flows < FRAME and self.flows.room < MOST:
            self.flows = self.flows.grown(flows)
        self._bind(connections, sessions, flows, slots)

    def _furnish(self, room: int) -> None:
        """Empty tables for that many connections; ``taken``: which ports searches have found taken."""
        self.records = zeros(room, CONNECTION)
        self.taken = zeros(room // CONNECTIONS_PER_TAKEN * TAKEN_SIZE, np.dtype(np.uint8))

    def _grow_sessions(self, earliest: int) -> int:
        """Room for more affinities; those that had expired at ``earliest`` are forgotten. Returns how many are left."""
        alive = self.sessions[self.sessions["expires"] > earliest]
        room = LEAST_AFFINITIES
        while room < 4 * len(alive):
            room *= 2
        self.sessions = zeros(room, AFFINITY)
        remember(alive, self.sessions)
        return len(alive)

    def _forget_flows(self, connections: int | None = None, slots: int = 0) -> None:
        """What they rest on has changed. ``connections``, ``slots``: how many there are, if that has changed, too."""
        self.ledger.settle()
        known, sessions, _, taken = self.ledger.counts
        self.flows = FlowCache(self.flows.room)
        self._bind(*((known, sessions, 0, taken) if connections is None else (connections, sessions, 0, slots)))

    def carries_of(self, packets: int) -> np.ndarray:
        """Room for what packets take along from leg to leg, the same for wave after wave: fresh memory costs more than a leg."""
        if len(self._carries) < packets * CARRY_SIZE:
            self._carries = np.empty(packets * CARRY_SIZE, np.uint8)
        return self._carries

    def fit(self, image: FibImage) -> None:
        """Take on the routers and places of another image: what is kept by router follows its key, new routers begin at 0.
        Objects are numbered anew by each image."""
        if image is self._image:
            return
        self.ledger.settle()
        self._image, self._hits = image, np.zeros(image.objects + 1, np.uint64)
        keys = image.routers["key"]
        if not np.array_equal(keys, self.keys):
            known = {key: number for number, key in enumerate(self.keys.tolist())}
            origin = np.array([known.get(key, -1) for key in keys.tolist()])
            for name in ("_links", "ordinals"):
                old = getattr(self, name)
                new = np.zeros((len(keys), *old.shape[1:]), old.dtype)
                new[origin >= 0] = old[origin[origin >= 0]]
                setattr(self, name, new)
            drops = np.zeros((image.places + 1, self._drops.shape[1]), np.uint64)
            drops[:len(keys)][origin >= 0] = self._drops[origin[origin >= 0]]
            others = min(len(self._drops) - len(self.keys), len(drops) - len(keys))     # VPC routers and gateways stand last
            drops[len(keys):len(keys) + others] = self._drops[len(self.keys):len(self.keys) + others]
            self.keys, self._drops = keys, drops
        self._forget_flows()
