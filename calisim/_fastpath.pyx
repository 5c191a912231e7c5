# cython: embedsignature=False
"""The door of the compiled engine: typed arguments are checked, the GIL is released, frames of 256 packets walk one leg.

What a leg does is written in ``calisim/datapath/stages``; who calls and grows the tables is
:mod:`calisim.datapath.passage`. Nothing in here allocates while the GIL is released.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy, memmove, memset

from calisim._vocabulary cimport *
from calisim.datapath.stages.admit cimport NOT_KNOWN
from calisim.datapath.stages.balance cimport affinity_of
from calisim.datapath.stages.chance cimport stir
from calisim.datapath.stages.deparse cimport Draft, Tunnels as TunnelDevices, pour, push_inner, push_outer, still_own
from calisim.datapath.stages.flows cimport FLOW_SHARD, hash_of_key, set_out as set_packets_out
from calisim.datapath.stages.frames cimport CONNECTIONS_A_LEG, EVENTS_A_LEG, walk_frames
from calisim.datapath.stages.muster cimport (
    MOST_EVEN, extend, furnish, hand_over, is_even, no_span, seek, slice_begins)
from calisim.datapath.stages.noting cimport enter_flow
from calisim.datapath.stages.tolls cimport settle_all
from calisim.datapath.stages.track cimport index_again
from calisim.datapath.stages.ties cimport ask_for_payment, pay_up, rides_of
from calisim.datapath.stages.types cimport (
    FRAME_SIZE, MARK_COUNT, MOST_SHARDS, TIED, WATCHED, WAVE_BITS, Aside, Batch, Carry, Core, Flow, Notice, Origin, Recall, Ride,
    Route, Span, Taken, Tie, Toll, Waiting)
from calisim.datapath.stages.lookup cimport class_of, descend, resident, resolve
from calisim.datapath.stages.police cimport Suspect, judge, suspect

cdef extern from "intrinsics.h":
    ctypedef struct gate_struct "struct gate":
        pass
    void make_gate(gate_struct* gate, int parties)
    void break_gate(gate_struct* gate)
    bint is_broken(gate_struct* gate)
    bint pass_gate(gate_struct* gate) nogil
    void leave_unfinished(gate_struct* gate) nogil
    bint is_unfinished(gate_struct* gate) nogil
    bint CAN_BE_LENT
    void lend(void* memory, size_t size)
    void ask_for_large_pages(void* memory, size_t size)

cdef enum:
    AFTERWARDS = 63                  # a leg that comes after all others
    AHEAD = 4                        # flows whose connections are asked for before their turn: paying takes half the time
    STRETCH = 256                    # slots of an index
    MOST_SPARES = 64
    MOST_SPARE_SIZE = 1 << 26        # bytes of all of them
    LARGE = 1 << 22                  # bytes from which on large pages pay,
    MOST_LARGE_SIZE = 1 << 30        # and of all such spares, written or not

VOCABULARY = VOCABULARY_DIGEST.decode()
FRAME = FRAME_SIZE
CARRY_SIZE = sizeof(Carry)
FLOW_SIZE = sizeof(Flow)
ASIDE_SIZE = sizeof(Aside)
NOTICE_SIZE = sizeof(Notice)
TOLL_SIZE = sizeof(Toll)
TAKEN_SIZE = sizeof(Taken)
TIE_SIZE = sizeof(Tie)
RIDE_SIZE = sizeof(Ride)
WAITING_SIZE = sizeof(Waiting)
EVEN_ROWS = MOST_EVEN
CONNECTION_ROOM = CONNECTIONS_A_LEG * FRAME_SIZE
EVENT_ROOM = EVENTS_A_LEG * FRAME_SIZE
LEAST_AFFINITIES = 4 * FRAME_SIZE    # at most three slots of four are taken after one frame more
INDEX_PER_FLOW = 4
LEAST_INDEX = 64 * FRAME_SIZE        # at most five slots of eight are taken before one frame more, which takes up to 15 a packet
SLOTS_PER_TAKEN = 32                 # of 64 ports, so that few of different ranges displace each other
WAVE_NUMBER = WAVE_BITS              # the bits of CONNECTION.wave that are the number
TIED_BIT = TIED                      # of it: flows refresh the connection
SHARDS = MOST_SHARDS
HOME_NOT_KNOWN = NOT_KNOWN


cdef class Tables:
    """The arrays of a FibImage, checked once and held for as long as packets may need them."""

    cdef Core core
    cdef uint32_t places
    cdef uint32_t objects
    cdef bint sticky                 # masquerade asks which port a source had last
    cdef tuple held

    def __cinit__(
        self, const uint32_t[::1] lpm not None, const Class[::1] classes not None, const uint32_t[::1] residents not None,
        const uint32_t[:, ::1] rows not None, const Adjacency[::1] adjacencies not None, const Router[::1] routers not None,
        const Endpoint[::1] endpoints not None, const Subnet[::1] subnets not None, const uint32_t[:, ::1] target_rows not None,
        const Target[::1] targets not None, const Rule[::1] rules not None, const uint8_t[::1] blocked not None,
        const Fabric[::1] fabric not None, const uint32_t[::1] peers not None, const uint32_t[:, ::1] atoms not None,
        const Tier[::1] tiers not None, const uint32_t[::1] steps not None, const Match[::1] matches not None,
        const Term[::1] terms not None, const Index[::1] indexes not None, const uint32_t[::1] maps not None,
        const uint64_t[::1] bits not None, const uint32_t[:, ::1] interfaces not None, const Guard[::1] guards not None,
        const Frontend[::1] frontends not None, const Service[::1] services not None, const Backend[::1] backends not None,
        const Range[::1] ranges not None, uint32_t places, uint32_t objects,
    ):
        cdef Py_ssize_t router
        if (min(lpm.shape[0], peers.shape[0]) < LPM_ROOT + LPM_BRANCH or blocked.shape[0] != 256 or fabric.shape[0] != 1
                or rows.shape[1] != classes.shape[0] or target_rows.shape[1] != classes.shape[0] or 0 in (
                    classes.shape[0], residents.shape[0], rows.shape[0], adjacencies.shape[0], routers.shape[0],
                    endpoints.shape[0], subnets.shape[0], target_rows.shape[0], targets.shape[0], rules.shape[0],
                    atoms.shape[0], atoms.shape[1], tiers.shape[0], steps.shape[0], matches.shape[0], terms.shape[0],
                    indexes.shape[0], maps.shape[0], bits.shape[0], interfaces.shape[0], guards.shape[0], frontends.shape[0],
                    services.shape[0], backends.shape[0], ranges.shape[0])
                or interfaces.shape[1] != DEVICE_COUNT):
            raise ValueError("the tables of this FIB image do not belong together")
        self.held = (lpm, classes, residents, rows, adjacencies, routers, endpoints, subnets, target_rows, targets, rules,
                     blocked, fabric, peers, atoms, tiers, steps, matches, terms, indexes, maps, bits, interfaces, guards,
                     frontends, services, backends, ranges)
        self.places, self.objects = places, objects
        self.core.fib.lpm, self.core.fib.classes, self.core.fib.residents = &lpm[0], &classes[0], &residents[0]
        self.core.fib.rows, self.core.fib.adjacencies = &rows[0, 0], &adjacencies[0]
        self.core.fib.routers, self.core.fib.endpoints, self.core.fib.subnets = &routers[0], &endpoints[0], &subnets[0]
        self.core.fib.target_rows, self.core.fib.targets, self.core.fib.rules = &target_rows[0, 0], &targets[0], &rules[0]
        self.core.fib.blocked, self.core.fib.fabric = &blocked[0], &fabric[0]
        self.core.fib.begun = stir(0, fabric[0].seed)
        self.core.fib.peers, self.core.fib.atoms, self.core.fib.atom_words = &peers[0], &atoms[0, 0], atoms.shape[1]
        self.core.fib.tiers, self.core.fib.steps, self.core.fib.matches = &tiers[0], &steps[0], &matches[0]
        self.core.fib.terms, self.core.fib.indexes = &terms[0], &indexes[0]
        self.core.fib.maps, self.core.fib.bits = &maps[0], &bits[0]
        self.core.fib.interfaces, self.core.fib.guards = &interfaces[0, 0], &guards[0]
        self.core.fib.frontends, self.core.fib.frontend_mask = &frontends[0], frontends.shape[0] - 1
        self.core.fib.services, self.core.fib.backends, self.core.fib.ranges = &services[0], &backends[0], &ranges[0]
        self.core.fib.place_count = places
        self.core.fib.class_count, self.core.fib.resident_count = classes.shape[0], residents.shape[0]
        self.core.fib.router_count, self.core.fib.endpoint_count = routers.shape[0] - 1, endpoints.shape[0] - 1
        self.core.fib.subnet_count = subnets.shape[0] - 1
        for router in range(1, routers.shape[0]):
            self.sticky |= not routers[router].flags & ROUTER_FLAG_RANDOM_FULLY


cdef class Ledger:
    """What a shard has written down: its arrays, checked once and held until one of them becomes another."""

    cdef Core core
    cdef Py_ssize_t routers, places, objects
    cdef uint32_t shards             # that there must be at least
    cdef tuple held

    def __cinit__(
        self, Connection[::1] connections not None, uint32_t connection_count, uint64_t[::1] index not None,
        uint8_t[::1] ties not None, uint8_t[::1] taken not None,
        Affinity[::1] affinities not None, uint32_t affinity_count, const Pmtu[::1] paths not None,
        uint32_t[:, ::1] ordinals not None, uint64_t[:, :, :, ::1] links not None, uint64_t[:, ::1] drops not None,
        uint64_t[::1] verdicts not None, uint64_t[::1] hits not None, uint8_t[::1] flows not None, uint8_t[::1] asides not None,
        uint8_t[::1] tolls not None, uint64_t[::1] flow_index not None, uint64_t[::1] unsettled not None, uint32_t flow_count,
        uint64_t index_count, const uint8_t[::1] shards not None, uint32_t shard, bint sourced,
        uint64_t[:, :, :, ::1] trial_links not None, uint64_t[:, ::1] trial_drops not None, uint64_t[::1] trial_verdicts not None,
    ):
        cdef Py_ssize_t room = tolls.shape[0] // <Py_ssize_t>sizeof(Toll), slots = taken.shape[0] // <Py_ssize_t>sizeof(Taken)
        cdef Py_ssize_t slices = flows.shape[0] // (max(room, 1) * <Py_ssize_t>sizeof(Flow))
        if (index.shape[0] & (index.shape[0] - 1) or not LEAST_INDEX <= index.shape[0] <= 1 << 31
                or not 0 < connections.shape[0] < 0x7FFFFFFF or connection_count > connections.shape[0]
                or ties.shape[0] != connections.shape[0] * <Py_ssize_t>sizeof(Tie)
                or slots == 0 or slots & (slots - 1) or taken.shape[0] != slots * <Py_ssize_t>sizeof(Taken)):
            raise ValueError("the connection table is not of a size that works")
        if affinities.shape[0] & (affinities.shape[0] - 1) or affinities.shape[0] < LEAST_AFFINITIES:
            raise ValueError("the table of affinities is not of a size that works")
        if (not 0 < room < 0x7FFFFFFF or not 0 < slices <= MOST_SHARDS
                or flows.shape[0] != slices * room * <Py_ssize_t>sizeof(Flow)
                or asides.shape[0] != room * <Py_ssize_t>sizeof(Aside) or tolls.shape[0] != room * <Py_ssize_t>sizeof(Toll)
                or flow_count > room or unsettled.shape[0] % slices or unsettled.shape[0] // slices * 64 < room
                or flow_index.shape[0] & (flow_index.shape[0] - 1) or flow_index.shape[0] < room * INDEX_PER_FLOW):
            raise ValueError("the flow cache is not of a size that works")
        if links.shape[1] != DEVICE_COUNT or links.shape[2] != 2 or links.shape[3] != 2 or ordinals.shape[1] != 2 \
                or drops.shape[1] != DROP_COUNT or verdicts.shape[0] != VERDICT_COUNT \
                or trial_links.shape[0] != links.shape[0] or trial_links.shape[1] != DEVICE_COUNT or trial_links.shape[2] != 2 \
                or trial_links.shape[3] != 2 or trial_drops.shape[0] != drops.shape[0] or trial_drops.shape[1] != DROP_COUNT \
                or trial_verdicts.shape[0] != VERDICT_COUNT:
            raise ValueError("the counters are not of a size that works")
        self.held = (
            connections, index, ties, taken, affinities, paths, ordinals, links, drops, verdicts, hits, flows, asides, tolls,
            flow_index, unsettled, shards, trial_links, trial_drops, trial_verdicts)
        self.routers, self.places, self.objects = links.shape[0], drops.shape[0], hits.shape[0]
        if ordinals.shape[0] != self.routers or shards.shape[0] != self.routers:
            raise ValueError("the counters are not of a size that works")
        self.shards = 1 + max(shard, max(shards))
        self.core.shards, self.core.shard = &shards[0], shard
        self.core.index, self.core.index_mask, self.core.index_count = &index[0], index.shape[0] - 1, index_count
        self.core.connections, self.core.connection_room = &connections[0], connections.shape[0]
        self.core.connection_count, self.core.sourced = connection_count, sourced
        self.core.ties = <Tie*> &ties[0]
        self.core.taken, self.core.taken_mask = <Taken*> &taken[0], slots - 1
        self.core.affinities, self.core.affinity_mask, self.core.affinity_count = (
            &affinities[0], affinities.shape[0] - 1, affinity_count)
        self.core.paths, self.core.path_count = (&paths[0] if paths.shape[0] else NULL), paths.shape[0]
        self.core.ordinals, self.core.links, self.core.drops = &ordinals[0, 0], &links[0, 0, 0, 0], &drops[0, 0]
        self.core.verdicts, self.core.hits = &verdicts[0], &hits[0]
        self.core.flows, self.core.asides, self.core.tolls = <Flow*> &flows[0], <Aside*> &asides[0], <Toll*> &tolls[0]
        self.core.flow_index, self.core.flow_index_mask = &flow_index[0], flow_index.shape[0] - 1
        self.core.unsettled, self.core.unsettled_words, self.core.slices = &unsettled[0], unsettled.shape[0] // slices, slices
        self.core.homes[shard].flows, self.core.homes[shard].asides, self.core.homes[shard].room = (
            self.core.flows, self.core.asides, room)
        self.core.trial_links, self.core.trial_drops, self.core.trial_verdicts = (
            &trial_links[0, 0, 0, 0], &trial_drops[0, 0], &trial_verdicts[0])
        self.core.flow_count, self.core.flow_room = flow_count, room

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """How many there are: connections, affinities, flows, slots of the connections' index."""
        return self.core.connection_count, self.core.affinity_count, self.core.flow_count, self.core.index_count

    def settle(self) -> None:
        """The counters get the packets that took short cuts."""
        with nogil:
            settle_all(&self.core)


cdef class Post:
    """What a shard has for each of the shards, in row order: it is written in one leg and read in the next."""

    cdef Batch[MOST_SHARDS] batches
    cdef void* memory
    cdef size_t size
    cdef Py_ssize_t rows             # of the wave that it is of

    def __dealloc__(self):
        free(self.memory)

    cpdef clear(self, size_t octets, uint32_t shards, uint32_t room, Py_ssize_t rows):
        """Nothing is in it any more; there is room for so many of that size for each shard."""
        cdef size_t each = octets * room
        cdef uint32_t k
        if not 0 < shards <= MOST_SHARDS or not 0 < octets <= sizeof(Notice):
            raise ValueError("a post is for 1 to 16 shards")
        if self.size < shards * each:
            free(self.memory)
            self.size, self.memory = 0, malloc(shards * each)
            if self.memory is NULL:
                raise MemoryError
            self.size = shards * each
        self.rows = rows
        memset(self.batches, 0, sizeof(self.batches))
        for k in range(shards):
            self.batches[k].first, self.batches[k].room = <char*> self.memory + k * each, room

    def make_room(self, size_t octets):
        """For a frame more for each shard, of what is of that size."""
        cdef Post wider = Post()
        cdef uint32_t shards = 0, room = self.batches[0].room, k
        cdef bint lacking = False
        while shards < MOST_SHARDS and self.batches[shards].room:
            lacking |= room - self.batches[shards].count < FRAME_SIZE
            shards += 1
        if not lacking:
            return
        if self.size < shards * octets * room:
            raise ValueError("what is in this post is of another size")
        wider.clear(octets, shards, 2 * room, self.rows)
        for k in range(shards):
            memcpy(wider.batches[k].first, self.batches[k].first, self.batches[k].count * octets)
            self.batches[k].first, self.batches[k].room = wider.batches[k].first, wider.batches[k].room
        self.memory, wider.memory, self.size = wider.memory, self.memory, wider.size

    def count(self, uint32_t shard):
        """How many are for a shard."""
        return self.batches[shard].count if shard < MOST_SHARDS else 0

    @property
    def total(self):
        """How many are for all of them."""
        cdef Py_ssize_t total = 0
        cdef uint32_t k
        for k in range(MOST_SHARDS):
            total += self.batches[k].count
        return total


cdef struct Spare:
    void* memory
    size_t size

# Memory that nobody has, the oldest first.
cdef struct Store:
    Spare[MOST_SPARES] spares
    uint32_t count
    size_t size
    size_t most                      # of its size

cdef Store small                     # as it is,
cdef Store large                     # lent to the kernel, which may take it
small.most, large.most = MOST_SPARE_SIZE, MOST_LARGE_SIZE


cdef Store* store_for(size_t size):
    return &large if size >= LARGE else &small


cdef Spare take_spare(Store* store, uint32_t which):
    """It is nobody's any more."""
    cdef Spare taken = store.spares[which]
    store.count -= 1
    store.size -= taken.size
    memmove(&store.spares[which], &store.spares[which + 1], (store.count - which) * sizeof(Spare))
    return taken


cdef class Sheet:
    """Memory for what somebody keeps as long as he likes, ``blank`` or with whatever is in it. What has been given up is kept for
    who asks next, as far as it is not too much: memory that is new to the process costs more than writing to it, 6 ns for a
    result, 24 for a translated connection's two records."""

    cdef Spare own
    cdef size_t octets

    def __cinit__(self, size_t octets, bint blank = False):
        cdef Store* store = store_for(octets)
        cdef uint32_t k
        self.octets = octets
        for k in range(store.count):
            if octets <= store.spares[k].size <= 2 * octets:
                self.own = take_spare(store, k)
                if blank:
                    memset(self.own.memory, 0, octets)
                return
        self.own.memory = calloc(max(octets, 1), 1) if blank else malloc(max(octets, 1))
        if self.own.memory is NULL:
            raise MemoryError
        self.own.size = octets
        if store is &large:
            ask_for_large_pages(self.own.memory, octets)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.own.memory, self.octets, False, flags)

    def __dealloc__(self):
        cdef Store* store = store_for(self.own.size)
        if not 0 < self.own.size <= store.most or (store is &large and not CAN_BE_LENT):
            free(self.own.memory)
            return
        while store.count == MOST_SPARES or store.size + self.own.size > store.most:
            free(take_spare(store, 0).memory)
        store.spares[store.count] = self.own
        store.count += 1
        store.size += self.own.size
        if store is &large:
            lend(self.own.memory, self.own.size)


cdef class Desk:
    """What a shard has in hand during a wave: packets whose turn has not come."""

    cdef Carry[FRAME_SIZE] carries
    cdef const Carry* frame
    cdef uint32_t frame_count
    cdef uint32_t called_count
    cdef Recall* recalls
    cdef uint32_t* called
    cdef uint32_t* found             # of a slice, see stages/muster.pxd
    cdef uint32_t recall_count
    cdef uint32_t room
    cdef readonly bint calls         # some second legs of packets that were trusted have to be taken one by one

    def __dealloc__(self):
        free(self.recalls)
        free(self.called)
        free(self.found)

    cdef int clear(self, uint32_t rows) except -1:
        """For a wave of so many packets."""
        self.frame_count = self.called_count = self.recall_count = 0
        self.calls = False
        if self.room < rows:
            free(self.recalls)
            free(self.called)
            free(self.found)
            self.found = <uint32_t*> malloc(rows * sizeof(uint32_t))
            self.recalls, self.called = <Recall*> malloc(rows * sizeof(Recall)), <uint32_t*> malloc(rows * sizeof(uint32_t))
            self.room = rows if self.recalls is not NULL and self.called is not NULL and self.found is not NULL else 0
            if self.room < rows:
                raise MemoryError
        return 0


cdef class Wave:
    """The arrays of a wave, checked once, by their sizes: packets, what they come to, headers (None: all packets are plain)."""

    cdef Py_buffer[3] held           # as bytes: numpy describes a record's layout anew to whoever asks, which takes a microsecond
    cdef const Packet* packets
    cdef Result* results
    cdef Header* headers
    cdef readonly uint32_t size

    def __cinit__(self, packets not None, results not None, headers):
        cdef Py_ssize_t size = self._hold(0, packets, PyBUF_SIMPLE, sizeof(Packet))
        if (size != self._hold(1, results, PyBUF_WRITABLE, sizeof(Result)) or size > 0xFFFFFFFF
                or (headers is not None and size != self._hold(2, headers, PyBUF_WRITABLE, sizeof(Header)))):
            raise ValueError("the arrays do not belong to one wave")
        self.packets, self.results, self.headers = (
            <const Packet*> self.held[0].buf, <Result*> self.held[1].buf, <Header*> self.held[2].buf)
        self.size = <uint32_t>size

    cdef Py_ssize_t _hold(self, int which, array, int flags, Py_ssize_t each) except -1:
        PyObject_GetBuffer(array, &self.held[which], flags)
        return self.held[which].len // each if self.held[which].len % each == 0 else 1 << 33

    def __dealloc__(self):
        for which in range(3):
            PyBuffer_Release(&self.held[which])


cdef class Gate:
    """Where so many threads meet."""

    cdef gate_struct meeting
    cdef uint32_t parties
    cdef Span[MOST_SHARDS] spans         # of the slices of a wave: who comes late finds them though another wave has begun

    def __cinit__(self, uint32_t parties):
        self.parties = parties
        make_gate(&self.meeting, parties)

    def meet(self):
        """False: one of them cannot come."""
        cdef bint met
        with nogil:
            met = pass_gate(&self.meeting)
        return met

    def give_up(self):
        """The others need not wait."""
        break_gate(&self.meeting)

    @property
    def given_up(self):
        return bool(is_broken(&self.meeting))


def typed_rows(
    Event[::1] events not None, Packet[::1] born_packets not None, Header[::1] born_headers not None, Born[::1] born not None,
):
    """The same arrays, checked, for step: numpy describes a record's layout anew to whoever asks for it."""
    return events, born_packets, born_headers, born


def earliest(Wave wave not None):
    """Time of a wave that is not empty."""
    cdef Span span = no_span()
    cdef uint32_t row
    with nogil:
        for row in range(wave.size):
            extend(&span, wave.packets[row].time, 0)
    return span.earliest


def set_off(
    Tables tables not None, list ledgers not None, list mine not None, list waitings not None, list desks not None,
    Wave wave not None, const uint8_t[::1] homes not None, uint8_t[::1] rides not None, uint32_t number, uint64_t since,
    bint caching, bint wants_born, Gate gate,
):
    """How a wave sets off (stages/muster.pxd). With a ``gate`` as many threads as meet there do a slice of it each, and have
    shards in turn: ``mine`` are this one's."""
    cdef (Core*)[MOST_SHARDS] cores
    cdef uint32_t[MOST_SHARDS] own
    cdef uint32_t shards = len(ledgers), count = len(mine), slices = gate.parties if gate is not None else 1
    cdef uint32_t size = wave.size, k, first, last
    cdef gate_struct* meeting = &gate.meeting if gate is not None else NULL
    cdef bint even = False, met = True, unfinished = False, flows
    cdef Origin[MOST_SHARDS] origins
    cdef const uint8_t* known
    cdef uint32_t* found
    cdef Batch* waiting
    cdef Core* core
    cdef Ledger ledger
    cdef Desk desk
    cdef Span span
    if (size == 0 or not 0 < shards == len(waitings) == len(desks) <= MOST_SHARDS or not 0 < slices <= shards
            or (shards > 1 and homes.shape[0] != tables.core.fib.endpoint_count + 1)
            or rides.shape[0] < (size * <Py_ssize_t>sizeof(Ride) if caching and size <= MOST_EVEN else 0)):
        raise ValueError("results and buffers do not fit the wave")
    if not mine or mine != list(range(mine[0], shards, slices)) or mine[0] >= slices:
        raise ValueError("the shards of a thread are some of all, one after the other")
    for k in range(shards):
        ledger = ledgers[k]
        if (ledger.core.shard != k or ledger.shards > shards or ledger.core.slices < slices
                or ledger.routers != tables.core.fib.router_count + 1 or ledger.places != tables.places + 1):
            raise ValueError("this state belongs to another network")
        cores[k] = &ledger.core
    first, last = slice_begins(size, mine[0], slices), slice_begins(size, mine[0] + 1, slices)
    for k in range(count):
        own[k] = mine[k]
        (<Post?> waitings[own[k]]).clear(sizeof(Waiting), shards, last - first if k == 0 else 0, size)
        desk = desks[own[k]]
        desk.clear(size)
        core = cores[own[k]]
        core.fib, core.packets, core.results, core.headers = tables.core.fib, wave.packets, wave.results, wave.headers
        core.wave, core.caching, core.wants_born = number, caching and core.headers is NULL, wants_born
    core, waiting, known = cores[own[0]], (<Post> waitings[own[0]]).batches, &homes[0] if shards > 1 else NULL
    core.rides, found = <Ride*> &rides[0] if core.caching and size <= MOST_EVEN else NULL, (<Desk> desks[own[0]]).found
    flows = furnish(origins, cores, shards, own[0], waiting)
    with nogil:
        span = seek(core, origins, known, first, last, flows, found)
        if meeting is not NULL:
            gate.spans[own[0]] = span
            met = pass_gate(meeting)
            for k in range(slices if met else 0):
                extend(&span, gate.spans[k].earliest, gate.spans[k].latest)
        if met:
            even = core.even = core.caching and is_even(&span, size, since)
            set_packets_out(core, origins, found, first, last, shards == 1)
            unfinished = hand_over(origins, shards, waiting)
            if meeting is not NULL:
                if unfinished:
                    leave_unfinished(meeting)
                met = pass_gate(meeting)
                unfinished = is_unfinished(meeting)        # not by what the others have left: that may be another wave's by now
    return (span.earliest, span.latest, even, unfinished) if met else None


def pay_all(list ledgers not None, uint32_t wave):
    """Between waves: all connections get what is owed to them. ``wave``: the last one."""
    cdef (Core*)[MOST_SHARDS] cores
    cdef Ledger ledger
    cdef Aside* more
    cdef Core* core
    cdef uint32_t count = len(ledgers), shard, home, number, leg, k
    if not 0 < count <= MOST_SHARDS:
        raise ValueError("a state has 1 to 16 shards")
    for shard in range(count):
        ledger = ledgers[shard]
        if not ledger.shards <= count or ledger.core.shard != shard:
            raise ValueError("the shards do not belong together")
        cores[shard] = &ledger.core
        ledger.core.wave, ledger.core.lively, ledger.core.leg = wave, wave, AFTERWARDS
        for home in range(count):
            ledger.core.homes[home].flows = (<Ledger?> ledgers[home]).core.flows
            ledger.core.homes[home].room = (<Ledger> ledgers[home]).core.flow_room
            ledger.core.homes[home].asides = (<Ledger> ledgers[home]).core.asides
    with nogil:
        for home in range(count):
            for number in range(cores[home].flow_count):
                if number + AHEAD < cores[home].flow_count:
                    more = &cores[home].asides[number + AHEAD]
                    for leg in range(2):
                        core = cores[cores[home].flows[number + AHEAD].flags >> FLOW_SHARD if leg else home]
                        for k in range(more.marks[leg] & MARK_COUNT):
                            ask_for_payment(core, more.touched[leg][k])
                if not rides_of(cores[home], &cores[home].homes[home], number + 1, False).wave:
                    continue
                more = &cores[home].asides[number]
                for leg in range(2):
                    core = cores[cores[home].flows[number].flags >> FLOW_SHARD if leg else home]
                    for k in range(more.marks[leg] & MARK_COUNT):
                        pay_up(core, more.touched[leg][k])


def step(
    Tables tables not None, list ledgers not None, uint32_t shard, Wave wave not None, list posts not None, Post out not None,
    Post notes not None, Desk desk not None, uint8_t[::1] rides not None, Event[::1] events not None, uint64_t event_count,
    bint wants_events, Packet[::1] born_packets not None, Header[::1] born_headers not None, Born[::1] born not None,
    uint64_t born_count, uint32_t number, uint32_t lively, uint32_t leg, bint even, bint flows_may_grow,
):
    """A shard's part of a leg, until nothing is left of it or until something lacks room: connections, affinities, events,
    offspring. Leg 0 and leg 1 are one where nobody asks for offspring, whose order would tell."""
    cdef Ledger ledger = ledgers[shard], other
    cdef Core* core = &ledger.core
    cdef (Batch*)[MOST_SHARDS] batches
    cdef Py_ssize_t left = 0
    cdef uint32_t count = len(posts), k
    cdef bint done
    if (not ledger.shards <= len(ledgers) == count <= MOST_SHARDS or core.shard != shard
            or desk.room < wave.size
            or rides.shape[0] < (wave.size * <Py_ssize_t>sizeof(Ride) if even else 0)):
        raise ValueError("results and buffers do not fit the wave")
    if (ledger.routers != tables.core.fib.router_count + 1 or ledger.places != tables.places + 1
            or ledger.objects != tables.objects + 1 or (tables.sticky and not core.sourced)):
        raise ValueError("this state belongs to another network")
    if (event_count > <uint64_t>events.shape[0] or born_count > <uint64_t>born.shape[0]
            or born_packets.shape[0] != born.shape[0] or born_headers.shape[0] != born.shape[0]):
        raise ValueError("the buffers of events and offspring are not of a size that works")
    for k in range(count):
        other = ledgers[k]
        core.homes[k].flows, core.homes[k].room, core.homes[k].asides, core.homes[k].tolls = (
            other.core.flows, other.core.flow_room, other.core.asides, other.core.tolls)
        batches[k] = &(<Post?> posts[k]).batches[shard]
        left += batches[k].count - batches[k].taken
        if (<Post> posts[k]).rows != wave.size or posts[k] is out:
            raise ValueError("what has been sent is of another wave")
        if not out.batches[k].room:
            raise ValueError("there is no room for what is sent on")
    if left == 0 and not desk.frame_count and not desk.recall_count and not desk.called_count:
        return True, event_count, born_count
    core.fib = tables.core.fib
    core.packets, core.results, core.headers = wave.packets, wave.results, wave.headers
    core.events, core.event_count, core.event_room = (&events[0] if events.shape[0] else NULL), event_count, events.shape[0]
    core.wave, core.lively = number, lively
    core.wants_events, core.leg, core.wants_born = wants_events, leg, born.shape[0] > 0
    if core.wants_born:
        core.born_packets, core.born_headers, core.born = &born_packets[0], &born_headers[0], &born[0]
    core.born_count, core.born_room = born_count, born.shape[0]
    core.caching = not wants_events and core.headers is NULL
    core.even, core.rides = even and core.caching, <Ride*> &rides[0] if even else NULL
    core.desk, core.frame, core.frame_count = desk.carries, desk.frame, desk.frame_count
    core.recalls, core.recall_count, core.called, core.called_count = (
        desk.recalls, desk.recall_count, desk.called, desk.called_count)
    core.out, core.notes = out.batches, notes.batches
    with nogil:
        done = walk_frames(core, batches, count, left, flows_may_grow)
    out.batches, notes.batches = core.out, core.notes
    desk.frame, desk.frame_count, desk.recall_count, desk.called_count = (
        core.frame, core.frame_count, core.recall_count, core.called_count)
    desk.calls = desk.calls or desk.called_count > 0
    return done, core.event_count, core.born_count


def enter(Ledger ledger not None, list posts not None, bint flows_may_grow):
    """Journeys that began in this shard and have ended in others. False: the flow cache lacks room."""
    cdef Core* core = &ledger.core
    cdef Batch* batch
    cdef Post post
    for post in posts:
        batch = &post.batches[core.shard]
        while batch.taken < batch.count:
            if flows_may_grow and core.flow_count == core.flow_room:
                return False
            enter_flow(core, &(<Notice*> batch.first)[batch.taken])
            batch.taken += 1
    return True


def reindex(Connection[::1] connections not None, uint32_t count, uint64_t[::1] index not None, bint sourced):
    """Enter the first ``count`` records into an empty index, in their order. Gives how many slots they take. ``sourced``: by
    their sources, too; of each the records then tell which is the last."""
    cdef Core core
    cdef uint32_t i
    if (index.shape[0] & (index.shape[0] - 1) or index.shape[0] <= count * <Py_ssize_t>3
            or not 0 <= count <= connections.shape[0]):
        raise ValueError("the index does not fit the connection table")
    if count == 0:
        return 0
    core.index, core.index_mask, core.index_count, core.connections = &index[0], index.shape[0] - 1, 0, &connections[0]
    core.sourced = sourced
    with nogil:
        for i in range(count):
            connections[i].wave &= ~(WATCHED | TIED)       # what searches knew goes with the old index, and flows are forgotten
            if connections[i].packets or connections[i].reply_packets:     # else a flow had kept the place
                index_again(&core, i)
    return core.index_count


def widen(const uint64_t[::1] index not None, uint64_t[::1] wider not None):
    """Enter the slots of an index, some of them empty, into an empty one. From an empty slot on all go in the order in which
    they came, as far as their homes are the same; reading and writing run along the memory. Empty slots are left out
    beforehand, a stretch at a time: nobody could predict a branch about them."""
    cdef uint64_t mask = index.shape[0] - 1, more = wider.shape[0] - 1, at, first = 0, i = 0, j, end
    cdef uint64_t[STRETCH] slots
    cdef uint32_t count, k
    if index.shape[0] & mask or wider.shape[0] & more or not 0 < index.shape[0] <= wider.shape[0]:
        raise ValueError("the wider index does not fit the other one")
    with nogil:
        while index[first] and first < mask:
            first += 1
        while i < mask:
            count, end = 0, min(i + STRETCH, mask)
            for j in range(i, end):
                slots[count] = index[(first + 1 + j) & mask]
                count += slots[count] != 0
            for k in range(count):
                at = slots[k] >> 32 & more
                while wider[at]:
                    at = (at + 1) & more
                wider[at] = slots[k]
            i = end


def reflow(const uint8_t[::1] flows not None, uint32_t count, uint64_t[::1] flow_index not None):
    """Enter the first ``count`` flows into an empty index."""
    cdef const Flow* f = <const Flow*> &flows[0]
    cdef uint64_t mask = flow_index.shape[0] - 1, hash, at
    cdef uint32_t i
    if (flow_index.shape[0] & mask or <uint64_t>flow_index.shape[0] < <uint64_t>count * INDEX_PER_FLOW
            or flows.shape[0] < count * <Py_ssize_t>sizeof(Flow)):
        raise ValueError("the index does not fit the flow cache")
    with nogil:
        for i in range(count):
            hash = hash_of_key(&f[i].key)
            at = hash & mask
            while flow_index[at]:
                at = (at + 1) & mask
            flow_index[at] = hash >> 32 << 32 | (i + 1)


def remember(const Affinity[::1] known not None, Affinity[::1] room not None):
    """Enter records, all of different clients, into an empty table."""
    cdef Core core
    cdef Affinity* record
    cdef Py_ssize_t i
    if room.shape[0] & (room.shape[0] - 1) or known.shape[0] >= room.shape[0]:
        raise ValueError("the affinities do not fit the table")
    core.affinities, core.affinity_mask, core.affinity_count = &room[0], room.shape[0] - 1, 0
    with nogil:
        for i in range(known.shape[0]):
            record = affinity_of(&core, known[i].key, known[i].service, known[i].client)
            record[0] = known[i]


def lookup(Tables tables not None, const uint32_t[::1] addresses not None, uint32_t[::1] classes not None):
    """Class of each address (the shared LPM alone)."""
    cdef const uint32_t* table = tables.core.fib.lpm
    cdef Py_ssize_t whole = addresses.shape[0] & -4, i
    if addresses.shape[0] != classes.shape[0]:
        raise ValueError("addresses and classes differ in length")
    with nogil:
        for i in range(0, whole, 4):                   # four at a time take a seventh less
            classes[i], classes[i + 1] = descend(table, addresses[i]), descend(table, addresses[i + 1])
            classes[i + 2], classes[i + 3] = descend(table, addresses[i + 2]), descend(table, addresses[i + 3])
        for i in range(whole, addresses.shape[0]):
            classes[i] = descend(table, addresses[i])


def police(
    Tables tables not None, const Packet[::1] packets not None, uint8_t[::1] reasons not None, uint32_t[::1] deciders not None,
):
    """What policy says of packets that open connections from pod to pod (the stage alone)."""
    cdef const Core* core = &tables.core
    cdef const Packet* packet
    cdef uint32_t receivers[FRAME_SIZE]
    cdef Suspect suspects[FRAME_SIZE]
    cdef Suspect* s
    cdef Py_ssize_t first = 0, end, i
    if reasons.shape[0] != packets.shape[0] or deciders.shape[0] != packets.shape[0]:
        raise ValueError("packets and verdicts differ in length")
    with nogil:
        while first < packets.shape[0]:
            end = min(first + FRAME_SIZE, packets.shape[0])
            for i in range(first, end):                # apart from judging, so that its cache misses overlap
                packet, s = &packets[i], &suspects[i - first]
                receivers[i - first] = resident(&core.fib, &core.fib.classes[class_of(&core.fib, packet.dst)], packet.dst)
                suspect(s, packet, packet.src, packet.dst, packet.sport, packet.dport)
            for i in range(first, end):
                packet, s = &packets[i], &suspects[i - first]
                reasons[i] = DROP_NONE
                if packet.ingress <= core.fib.endpoint_count and not judge(&core.fib, packet.ingress, False, s, &deciders[i]):
                    reasons[i] = DROP_POLICY_EGRESS
                elif not judge(&core.fib, receivers[i - first], True, s, &deciders[i]):
                    reasons[i] = DROP_POLICY_INGRESS
            first = end


def adjacency(Tables tables not None, uint32_t router, uint32_t address):
    """(kind, device, encap, reason, next_hop, mtu, detail, endpoint) of one router's route to an address."""
    cdef Route route
    if not 1 <= router <= tables.core.fib.router_count:
        raise ValueError(f"there is no router {router}")
    resolve(&tables.core.fib, router, address, class_of(&tables.core.fib, address), &route)
    return route.kind, route.device, route.encap, route.reason, route.next_hop, route.mtu, route.detail, route.endpoint


def deparse(
    const Event[::1] events not None, const uint64_t[::1] which not None, const Header[::1] headers not None,
    const uint32_t[:, ::1] numbers not None, const uint16_t[::1] wholes not None, const uint32_t[::1] vteps not None,
    const uint8_t[:, ::1] macs not None, uint64_t seed, uint32_t vni, uint16_t port, bint udp_checksum,
    const uint64_t[::1] offsets not None, uint8_t[::1] octets not None,
):
    """The first bytes of events ``which``, as many as there is room for between the offsets; True if all could be made."""
    cdef TunnelDevices tunnels
    cdef Draft draft
    cdef const Event* event
    cdef const Header* header
    cdef Py_ssize_t i
    cdef uint64_t size
    cdef bint made = True
    if offsets.shape[0] != which.shape[0] + 1 or macs.shape[0] != vteps.shape[0] or macs.shape[1] != 6 or numbers.shape[1] != 2:
        raise ValueError("the arrays of a deparser do not belong together")
    tunnels.vteps, tunnels.macs = (&vteps[0] if vteps.shape[0] else NULL), (&macs[0, 0] if vteps.shape[0] else NULL)
    tunnels.vtep_count, tunnels.seed, tunnels.vni, tunnels.port, tunnels.udp_checksum = (
        vteps.shape[0], seed, vni, port, udp_checksum)
    with nogil:
        for i in range(which.shape[0]):
            made = which[i] < <uint64_t>events.shape[0]
            if not made:
                break
            event = &events[which[i]]
            size = event.outer_length if event.encap else event.length
            made = (
                event.encap < ENCAP_COUNT and event.length >= 20 and size >= 20
                and not (headers.shape[0] and event.row >= headers.shape[0])
                and not (numbers.shape[0] and event.row >= numbers.shape[0])
                and not (wholes.shape[0] and event.row >= wholes.shape[0])
                and offsets[i] <= offsets[i + 1] <= <uint64_t>octets.shape[0] and offsets[i + 1] - offsets[i] <= size)
            if not made:
                break
            if offsets[i] == offsets[i + 1]:
                continue
            header = &headers[event.row] if headers.shape[0] else NULL
            push_inner(
                &draft, event, header, numbers[event.row, 0] if numbers.shape[0] else 0,
                numbers[event.row, 1] if numbers.shape[0] else 0, wholes[event.row] if wholes.shape[0] else 0)
            if event.encap:
                push_outer(
                    &draft, event, header if header is not NULL and header.encap and still_own(&events[0], which[i]) else NULL,
                    &tunnels)
            pour(&draft, &octets[offsets[i]], offsets[i + 1] - offsets[i])
    return made
