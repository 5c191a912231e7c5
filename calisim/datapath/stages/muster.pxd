"""How a wave sets off in shards. Each looks through a slice of the wave: where packets start, and whether they have a Flow there.
Then it takes from all slices those that start at its routers, and those that are trusted with their Flows are at their end.

Both go through packets in two steps, BEHIND packets apart, the first of which asks for the memory that the second reads: so
memory is asked for all the time, and never more at once than a core can wait for. The wave's times, which have to be known before
anybody is trusted, come with the search.

Of the results that a cache line holds several shards write some, and what two cores write they have to take from each other, for
each packet anew. So every other shard begins with the last packet: they meet but once.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport Batch, Core, Key, Packet, Result, Span, Waiting, Walk
from calisim.datapath.stages.admit cimport admit
from calisim.datapath.stages.flows cimport BEHIND, hash_of_key, key_of, set_out
from calisim.datapath.stages.frames cimport start
from calisim.datapath.stages.ties cimport EVEN, LEG_AT, TICK

cdef extern from "intrinsics.h":
    ctypedef void built_in
    void prefetch_read(const void* address) nogil

cdef enum:
    MOST_EVEN = 1 << LEG_AT          # packets of a wave that short cuts can be trusted with
    NOT_KNOWN = 255                  # no shard
    IN_FLIGHT = 32                   # packets whose Flows are being looked for, at most


# What is kept of packets whose Flows are being looked for, by the last bits of their rows, and the times of all.
cdef struct Search:
    uint64_t[IN_FLIGHT] hashes
    uint8_t[IN_FLIGHT] homes
    Span span


cdef inline Span span_of(const Packet* packets, uint32_t first, uint32_t last) noexcept nogil:
    """Times of the packets from ``first`` to ``last``; of none what any other has."""
    cdef Span span
    cdef uint64_t time
    cdef uint32_t row
    span.earliest, span.latest = ~<uint64_t>0, 0
    for row in range(first, last):
        time = packets[row].time
        span.earliest = time if time < span.earliest else span.earliest
        span.latest = time if time > span.latest else span.latest
    return span


cdef inline Span span_of_all(Core** cores, uint32_t shards) noexcept nogil:
    """Of the slices of all shards."""
    cdef Span span = cores[0].span
    cdef uint32_t k
    for k in range(1, shards):
        span.earliest = min(span.earliest, cores[k].span.earliest)
        span.latest = max(span.latest, cores[k].span.latest)
    return span


cdef inline bint is_even(const Span* span, uint32_t size, uint64_t since) noexcept nogil:
    """Packets of a wave may be trusted (stages/ties.pxd): it begins when all others are over (``since``) and is short."""
    return (size <= MOST_EVEN and span.earliest >= since and span.latest < <uint64_t>1 << 31 + TICK
            and span.latest - span.earliest <= EVEN * <uint64_t>1000000000)


cdef inline void seek(
    Core* core, Core** cores, uint32_t shards, const uint8_t* homes, uint32_t size, Batch* slice,
) noexcept nogil:
    """In which shard packets of a slice of the wave start, and their Flows there.      Sets  slice, of each shard; core.span"""
    if shards == 1:
        seek_all(core, cores, 1, homes, 0, size, slice)             # compiled on its own: it asks less
    else:
        seek_all(
            core, cores, shards, homes, <int64_t>size * core.shard // shards, <int64_t>size * (core.shard + 1) // shards, slice)


cdef inline built_in seek_all(
    Core* core, Core** cores, uint32_t shards, const uint8_t* homes, int64_t first, int64_t last, Batch* slice,
) noexcept nogil:
    """Of the packets from row ``first`` to ``last``."""
    cdef Search search
    cdef int64_t row
    search.span.earliest, search.span.latest = ~<uint64_t>0, 0
    for row in range(first, min(first + BEHIND, last)):
        ask_for_slot(core, cores, shards, homes, &search, row)
    for row in range(first, last - BEHIND):
        ask_for_slot(core, cores, shards, homes, &search, row + BEHIND)
        find(cores, shards, &search, row, slice)
    for row in range(max(first, last - BEHIND), last):
        find(cores, shards, &search, row, slice)
    core.span = search.span


cdef inline built_in ask_for_slot(
    const Core* core, Core** cores, uint32_t shards, const uint8_t* homes, Search* search, uint32_t row,
) noexcept nogil:
    """Where a packet's Flow is found, and the packet that comes then: where there is none nothing happens."""
    cdef const Packet* packet = &core.packets[row]
    cdef Key key = key_of(packet)
    cdef uint64_t hash = hash_of_key(&key), time = packet.time
    cdef uint32_t place = row & IN_FLIGHT - 1, home = 0
    prefetch_read(packet + BEHIND)
    search.span.earliest = time if time < search.span.earliest else search.span.earliest
    search.span.latest = time if time > search.span.latest else search.span.latest
    if shards > 1:
        home = search.homes[place] = home_of(core, shards, homes, row)
    prefetch_read(&cores[home].flow_index[hash & cores[home].flow_index_mask])
    search.hashes[place] = hash


cdef inline built_in find(Core** cores, uint32_t shards, const Search* search, uint32_t row, Batch* slice) noexcept nogil:
    """The number of a packet's Flow, 0 where there is none."""
    cdef uint32_t place = row & IN_FLIGHT - 1, home = search.homes[place] if shards > 1 else 0
    cdef const uint64_t* index = cores[home].flow_index
    cdef uint64_t hash = search.hashes[place], mask = cores[home].flow_index_mask, at = hash & mask, slot = index[at]
    cdef Waiting* found = &(<Waiting*> slice[home].first)[slice[home].count]
    while slot and slot >> 32 != hash >> 32:
        at = (at + 1) & mask
        slot = index[at]
    slice[home].count += 1
    found.row, found.flow = row, <uint32_t>slot


cdef inline uint8_t home_of(const Core* core, uint32_t shards, const uint8_t* homes, uint32_t row) noexcept nogil:
    """The shard of a packet's first router: by its endpoint (``homes``), and where that does not tell by having it admitted on
    trial."""
    cdef uint32_t ingress = core.packets[row].ingress
    cdef uint8_t home = homes[ingress if ingress <= core.fib.endpoint_count else 0]
    return home if home < shards and core.headers is NULL else home_on_trial(core, row)


cdef inline uint8_t home_on_trial(const Core* core, uint32_t row) noexcept nogil:
    cdef Core trial = core[0]
    cdef Walk w
    trial.links, trial.drops, trial.verdicts = core.trial_links, core.trial_drops, core.trial_verdicts
    trial.wants_events = trial.caching = False
    start(&trial, &w, row)
    return trial.shards[w.carry.router] if admit(&trial, &w) else 0


cdef inline void muster(Core* core, Batch** slices, uint32_t shards, bint backwards, Batch* waiting) noexcept nogil:
    """Of a shard's packets those that short cuts are trusted with are at their end, all others in ``waiting``."""
    cdef Waiting* first = <Waiting*> waiting.first
    cdef Waiting* last = first + waiting.room
    cdef const Waiting* rows
    cdef uint32_t k, i, count
    for k in range(shards):
        if backwards:
            rows, count = <const Waiting*> slices[shards - 1 - k][core.shard].first, slices[shards - 1 - k][core.shard].count
            last -= set_out(core, rows + count - 1, count, -1, last - 1)
            waiting.first, waiting.count = last, <uint32_t>(first + waiting.room - last)
            continue
        rows, count = <const Waiting*> slices[k][core.shard].first, slices[k][core.shard].count
        if core.caching and core.flow_count:
            waiting.count += set_out(core, rows, count, 1, first + waiting.count)
        else:
            for i in range(count):
                first[waiting.count].row, first[waiting.count].flow = rows[i].row, 0
                waiting.count += 1
