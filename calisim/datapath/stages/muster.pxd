"""How a wave sets off: in slices of rows, each one thread's, wherever packets start.

What is asked of a Flow while it does hangs on nobody else's packets: so each slice but the first, which has the Flows themselves,
has copies of them, counts its rides there, and touches no cache line that another one writes to. Who asks for a Flow's rides
adds them up (stages/ties.pxd). Packets that are not trusted wait for the shard of their first router, slice by slice in row
order.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport MOST_SHARDS, Batch, Core, Flow, Origin, Packet, Span, Waiting
from calisim.datapath.stages.admit cimport home_of
from calisim.datapath.stages.flows cimport set_out, wait
from calisim.datapath.stages.ties cimport EVEN, LEG_AT, TICK

cdef enum:
    MOST_EVEN = 1 << LEG_AT          # packets of a wave that short cuts can be trusted with


cdef inline uint32_t slice_begins(uint32_t size, uint32_t slice, uint32_t slices) noexcept nogil:
    """The first row of a slice."""
    return <uint32_t>(<uint64_t>size * slice // slices)


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


cdef inline Span span_of_all(Core** cores, uint32_t slices) noexcept nogil:
    """Of all slices."""
    cdef Span span = cores[0].span
    cdef uint32_t k
    for k in range(1, slices):
        span.earliest = min(span.earliest, cores[k].span.earliest)
        span.latest = max(span.latest, cores[k].span.latest)
    return span


cdef inline bint is_even(const Span* span, uint32_t size, uint64_t since) noexcept nogil:
    """Packets of a wave may be trusted (stages/ties.pxd): it begins when all others are over (``since``) and is short."""
    return (size <= MOST_EVEN and span.earliest >= since and span.latest < <uint64_t>1 << 31 + TICK
            and span.latest - span.earliest <= EVEN * <uint64_t>1000000000)


cdef inline uint32_t muster(
    Core** cores, uint32_t shards, Core* core, const uint8_t* homes, uint32_t slice, uint32_t first, uint32_t last,
    Batch* waiting,
) noexcept nogil:
    """Of a slice, from ``first`` to ``last``, packets that short cuts are trusted with are at their end. Returns how many
    others there are.      Sets  waiting, of each shard: these"""
    cdef Origin[MOST_SHARDS] origins
    cdef Origin* origin
    cdef uint32_t k, row, left = 0
    for k in range(shards):
        origin = &origins[k]
        origin.index, origin.mask = cores[k].flow_index, cores[k].flow_index_mask
        origin.flows = cores[k].flows + <size_t>slice * cores[k].flow_room
        origin.originals = cores[k].flows if slice else NULL
        origin.unsettled = cores[k].unsettled + <size_t>slice * cores[k].unsettled_words
        origin.waiting, origin.left = <Waiting*> waiting[k].first, 0
    if core.caching:
        set_out(core, origins, homes, first, last)
    else:
        for row in range(first, last):
            wait(&origins[home_of(core, homes, row)], row, 0)
    for k in range(shards):
        waiting[k].count = origins[k].left
        left += origins[k].left
    return left
