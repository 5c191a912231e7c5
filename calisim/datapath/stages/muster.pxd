"""How a wave sets off: in slices of rows, each one thread's, wherever packets start.

What is asked of a Flow while it does hangs on nobody else's packets: so each slice but the first, which has the Flows themselves,
has copies of them, counts its rides there, and touches no cache line that another one writes to. Who asks for a Flow's rides
adds them up (stages/ties.pxd). Packets that are not trusted wait for the shard of their first router, slice by slice in row
order.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport MOST_SHARDS, Batch, Core, Origin, Packet, Span, Waiting
from calisim.datapath.stages.admit cimport home_of
from calisim.datapath.stages.flows cimport set_out, turn_back, wait
from calisim.datapath.stages.ties cimport EVEN, LEG_AT, TICK

cdef enum:
    MOST_EVEN = 1 << LEG_AT          # packets of a wave that short cuts can be trusted with
    STRIDE = 2048                    # packets that are looked at, and stay in the second cache until they set out


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


cdef inline void extend(Span* span, const Span* other) noexcept nogil:
    span.earliest = min(span.earliest, other.earliest)
    span.latest = max(span.latest, other.latest)


cdef inline bint is_even(const Span* span, uint32_t size, uint64_t since) noexcept nogil:
    """Packets of a wave may be trusted (stages/ties.pxd): it begins when all others are over (``since``) and is short."""
    return (size <= MOST_EVEN and span.earliest >= since and span.latest < <uint64_t>1 << 31 + TICK
            and span.latest - span.earliest <= EVEN * <uint64_t>1000000000)


cdef inline void furnish(Origin* origins, Core** cores, uint32_t shards, uint32_t slice, const Batch* waiting) noexcept nogil:
    """Sets  origins: what a slice finds of all shards"""
    cdef Origin* origin
    cdef uint32_t k
    for k in range(shards):
        origin = &origins[k]
        origin.index, origin.mask = cores[k].flow_index, cores[k].flow_index_mask
        origin.flows = cores[k].flows + <size_t>slice * cores[k].flow_room
        origin.originals = cores[k].flows if slice else NULL
        origin.unsettled = cores[k].unsettled + <size_t>slice * cores[k].unsettled_words
        origin.waiting, origin.left = <Waiting*> waiting[k].first, 0


cdef inline Span set_out_hopefully(
    Core* core, Origin* origins, const uint8_t* homes, uint32_t first, uint32_t last, uint32_t size, uint64_t since,
) noexcept nogil:
    """Packets of a slice are trusted as if the wave was even, until one shows that it is not: for what other slices show nobody
    waits. Returns the span of what has been seen.      Sets  core.even: none did; origins"""
    cdef Span span = span_of(core.packets, 0, 1), part = span_of(core.packets, size - 1, size)
    cdef uint32_t begin = first, end
    core.even = core.caching
    extend(&span, &part)
    while begin < last:
        end = min(begin + STRIDE, last)
        part = span_of(core.packets, begin, end)
        extend(&span, &part)
        if core.even and not is_even(&span, size, since):
            core.even = False
            turn_back(core, origins, homes, first, begin)
        if core.even:
            set_out(core, origins, homes, begin, end)
        begin = end
    return span


cdef inline void stay(Core* core, Origin* origins, const uint8_t* homes, uint32_t first, uint32_t last) noexcept nogil:
    """The wave is not even: all packets of a slice wait.      Sets  core.even, origins"""
    cdef int64_t row
    if core.even:
        turn_back(core, origins, homes, first, last)
    core.even = False
    if core.caching:
        set_out(core, origins, homes, first, last)
    else:
        for row in range(first, last):
            wait(&origins[home_of(core, homes, <uint32_t>row)], <uint32_t>row, 0)


cdef inline bint hand_over(const Origin* origins, uint32_t shards, Batch* waiting) noexcept nogil:
    """Some have to wait.      Sets  waiting, of each shard: those that start there"""
    cdef uint32_t k, left = 0
    for k in range(shards):
        waiting[k].count = origins[k].left
        left |= origins[k].left
    return left > 0
