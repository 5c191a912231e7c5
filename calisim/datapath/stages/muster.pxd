"""How a wave sets off: in slices of rows, each one thread's, wherever packets start.

A slice's packets look for their Flows. When all have done so, and it is known whether the wave is even, those that are trusted
with theirs are at their end. Others wait for the shard of their first router, slice by slice in row order.

What a packet asks of its Flow, and what is owed for it, hangs on no packet of another slice. So each slice has copies of the
Flows that it has met, but for the first, which has the Flows themselves, and no two threads write to one cache line. Who wants
to know of a Flow's rides adds them up (stages/ties.pxd).

Both go through packets in two steps, BEHIND packets apart, the first of which asks for the memory that the second reads: so
memory is asked for all the time, and never more at once than a core can wait for.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport MOST_SHARDS, Batch, Core, Key, Origin, Packet, Span, Waiting
from calisim.datapath.stages.admit cimport home_of
from calisim.datapath.stages.flows cimport BEHIND, hash_of_key, key_of
from calisim.datapath.stages.ties cimport EVEN, LEG_AT, TICK

cdef extern from "intrinsics.h":
    ctypedef void built_in
    void prefetch_read(const void* address) nogil

cdef enum:
    MOST_EVEN = 1 << LEG_AT          # packets of a wave that short cuts can be trusted with
    IN_FLIGHT = 32                   # packets whose Flows are being looked for, at most


# What is kept of packets whose Flows are being looked for, by the last bits of their rows.
cdef struct Search:
    uint64_t[IN_FLIGHT] hashes
    uint8_t[IN_FLIGHT] homes


cdef inline uint32_t slice_begins(uint32_t size, uint32_t slice, uint32_t slices) noexcept nogil:
    """The first row of a slice."""
    return <uint32_t>(<uint64_t>size * slice // slices)


cdef inline Span no_span() noexcept nogil:
    """Of no packet."""
    cdef Span span
    span.earliest, span.latest = ~<uint64_t>0, 0
    return span


cdef inline void extend(Span* span, uint64_t earliest, uint64_t latest) noexcept nogil:
    span.earliest = earliest if earliest < span.earliest else span.earliest
    span.latest = latest if latest > span.latest else span.latest


cdef inline bint is_even(const Span* span, uint32_t size, uint64_t since) noexcept nogil:
    """Packets of a wave may be trusted (stages/ties.pxd): it begins when all others are over (``since``) and is short."""
    return (size <= MOST_EVEN and span.earliest >= since and span.latest < <uint64_t>1 << 31 + TICK
            and span.latest - span.earliest <= EVEN * <uint64_t>1000000000)


cdef inline bint furnish(Origin* origins, Core** cores, uint32_t shards, uint32_t slice, const Batch* waiting) noexcept nogil:
    """There are Flows to be looked for.      Sets  origins: what a slice finds of all shards"""
    cdef Origin* origin
    cdef uint32_t flows = 0, k
    for k in range(shards):
        origin = &origins[k]
        origin.index, origin.mask = cores[k].flow_index, cores[k].flow_index_mask
        origin.flows = cores[k].flows + <size_t>slice * cores[k].flow_room
        origin.originals = cores[k].flows if slice else NULL
        origin.unsettled = cores[k].unsettled + <size_t>slice * cores[k].unsettled_words
        origin.waiting, origin.left = <Waiting*> waiting[k].first, 0
        flows |= cores[k].flow_count
    return flows > 0


cdef inline Span seek(
    const Core* core, const Origin* origins, const uint8_t* homes, uint32_t first, uint32_t last, bint flows, uint32_t* found,
) noexcept nogil:
    """Packets of a slice, from ``first`` to ``last``, look for their Flows. Returns their span. ``homes``: see home_of;
    ``flows``: whether there are any.

    Sets  found, of each: the number of its Flow, 0 where there is none, and in the lowest bits the shard where it starts
    """
    cdef Span span = no_span()
    cdef uint32_t row
    if not (core.caching and flows):
        for row in range(first, last):
            extend(&span, core.packets[row].time, core.packets[row].time)
            found[row - first] = home_of(core, homes, row)
    elif homes is NULL:
        seek_flows(core, origins, NULL, first, last, found, &span)      # compiled on its own: it asks less
    else:
        seek_flows(core, origins, homes, first, last, found, &span)
    return span


cdef inline built_in seek_flows(
    const Core* core, const Origin* origins, const uint8_t* homes, uint32_t first, uint32_t last, uint32_t* found, Span* span,
) noexcept nogil:
    cdef Search search
    cdef int64_t size = <int64_t>last - first, i
    for i in range(min(size, BEHIND)):
        ask_for_slot(core, origins, homes, &search, span, <uint32_t>i, first + <uint32_t>i)
    for i in range(size - BEHIND):
        ask_for_slot(core, origins, homes, &search, span, <uint32_t>i + BEHIND, first + <uint32_t>i + BEHIND)
        found[i] = find(origins, &search, <uint32_t>i)
    for i in range(max(0, size - BEHIND), size):
        found[i] = find(origins, &search, <uint32_t>i)


cdef inline built_in ask_for_slot(
    const Core* core, const Origin* origins, const uint8_t* homes, Search* search, Span* span, uint32_t place, uint32_t row,
) noexcept nogil:
    """Where a packet's Flow is found, and the packet that comes then: where there is none nothing happens."""
    cdef const Packet* packet = &core.packets[row]
    cdef Key key = key_of(packet)
    cdef uint64_t hash = hash_of_key(&key)
    cdef uint8_t home = home_of(core, homes, row)
    prefetch_read(packet + BEHIND)
    prefetch_read(&origins[home].index[hash & origins[home].mask])
    extend(span, packet.time, packet.time)
    search.hashes[place & IN_FLIGHT - 1] = hash
    search.homes[place & IN_FLIGHT - 1] = home


cdef inline uint32_t find(const Origin* origins, const Search* search, uint32_t place) noexcept nogil:
    cdef uint64_t hash = search.hashes[place & IN_FLIGHT - 1]
    cdef uint8_t home = search.homes[place & IN_FLIGHT - 1]
    cdef const uint64_t* index = origins[home].index
    cdef uint64_t at = hash & origins[home].mask, slot = index[at]
    while slot and slot >> 32 != hash >> 32:
        at = (at + 1) & origins[home].mask
        slot = index[at]
    return <uint32_t>slot * MOST_SHARDS + home


cdef inline bint hand_over(const Origin* origins, uint32_t shards, Batch* waiting) noexcept nogil:
    """Some have to wait.      Sets  waiting, of each shard: those that start there"""
    cdef uint32_t k, left = 0
    for k in range(shards):
        waiting[k].count = origins[k].left
        left |= origins[k].left
    return left > 0
