"""How a wave sets off in shards. Each tells of a slice of the wave where its packets start, and takes from all slices those that
start at its routers.

Of the results that a cache line holds several shards write some, and what two cores write they have to take from each other, for
each packet anew. So a shard writes what short cuts on trust come to where only it writes, in its own order, and then brings all
shards' results of its slice to their rows.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport Batch, Core, Packet, Result, Span, Waiting, Walk
from calisim.datapath.stages.admit cimport admit
from calisim.datapath.stages.flows cimport set_out
from calisim.datapath.stages.frames cimport start
from calisim.datapath.stages.ties cimport EVEN, LEG_AT, TICK

cdef extern from "intrinsics.h":
    void prefetch_write(const void* address) nogil

cdef enum:
    MOST_EVEN = 1 << LEG_AT          # packets of a wave that short cuts can be trusted with
    NOT_KNOWN = 255                  # no shard
    AHEAD = 16                       # results whose rows are asked for in time


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


cdef inline void tell_apart(
    Core* own, uint32_t shards, const uint8_t* homes, uint32_t size, Batch* rows,
) noexcept nogil:
    """In which shard packets of a slice of the wave start, that of their first router: by their endpoints (``homes``), and where
    these do not tell by having them admitted on trial.      Sets  rows, of each shard; own.span"""
    cdef uint32_t first = <uint32_t>(<uint64_t>size * own.shard // shards), ingress, home, row
    cdef uint32_t last = <uint32_t>(<uint64_t>size * (own.shard + 1) // shards)
    cdef Core core
    cdef Walk w
    own.span = span_of(own.packets, first, last)
    if shards == 1:
        for row in range(first, last):
            (<uint32_t*> rows.first)[row] = row
        rows.count = last
        return
    core = own[0]
    core.links, core.drops, core.verdicts = core.trial_links, core.trial_drops, core.trial_verdicts
    core.wants_events = core.caching = False
    for row in range(first, last):
        ingress = core.packets[row].ingress
        home = homes[ingress if ingress <= core.fib.endpoint_count else 0] if core.headers is NULL else NOT_KNOWN
        if home >= shards:
            start(&core, &w, row)
            home = core.shards[w.carry.router] if admit(&core, &w) else 0
        (<uint32_t*> rows[home].first)[rows[home].count] = row
        rows[home].count += 1


cdef inline void muster(Core* core, Batch** slices, uint32_t shards, Batch* waiting, Result* results) noexcept nogil:
    """Of a shard's packets those that short cuts are trusted with are at their end, all others in ``waiting``. ``results``: where
    to, one after the other; NULL: to their rows."""
    cdef const uint32_t* rows
    cdef Batch* slice
    cdef uint32_t k, i
    for k in range(shards):
        slice = &slices[k][core.shard]
        rows = <const uint32_t*> slice.first
        if core.caching:
            set_out(core, rows, slice.count, results, <Waiting*> waiting.first, &waiting.count)
        else:
            for i in range(slice.count):
                (<Waiting*> waiting.first)[waiting.count].row, (<Waiting*> waiting.first)[waiting.count].flow = rows[i], 0
                waiting.count += 1
        if results is not NULL:
            results += slice.count


cdef inline void bring_home(
    Result* results, Batch** slices, uint32_t slice, uint32_t shards, Core** cores,
) noexcept nogil:
    """Results of a slice to their rows, of all shards. Of packets that are waiting nothing that makes sense: they write theirs
    later."""
    cdef const uint32_t* rows
    cdef const Result* own
    cdef uint32_t shard, count, k, i
    for shard in range(shards):
        own, rows, count = cores[shard].brought, <const uint32_t*> slices[slice][shard].first, slices[slice][shard].count
        for k in range(slice):
            own += slices[k][shard].count
        for i in range(count):
            prefetch_write(&results[rows[min(i + AHEAD, count - 1)]])
            results[rows[i]] = own[i]
