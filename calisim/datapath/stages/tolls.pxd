"""What short cuts owe to the counters. A Flow counts its own packets; the counters get them when somebody looks at them."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport HITS, Core, Flow, Toll

cdef extern from "intrinsics.h":
    int lowest_bit(uint64_t word) nogil
    void prefetch_read(const void* address) nogil
    void prefetch_write(const void* address) nogil

cdef enum:
    HANDFUL = 64                     # flows that are settled together: the memory of each is asked for before its turn


cdef inline void enlist(uint64_t* unsettled, Flow* f, uint32_t number, uint32_t length) noexcept nogil:
    """A packet more for the counters."""
    unsettled[number - 1 >> 6] |= <uint64_t>1 << (number - 1 & 63)
    f.packets += 1
    f.bytes += length


cdef inline void count(
    Core* core, const Flow* f, const Toll* toll, uint32_t leg, int64_t packets, int64_t octets,
) noexcept nogil:
    """Into the counters: what packets of a Flow met on one of its legs (0, 1)."""
    cdef uint32_t crossings = toll.crossings[leg], router, k
    cdef uint64_t* link
    while crossings:
        router = 0 if crossings & 1 else toll.routers[leg]
        link = &core.links[(<size_t>router * DEVICE_COUNT * 2 + (crossings >> 2 & 31)) * 2]
        link[0] += packets
        link[1] += octets + (packets * ENCAPSULATIONS[f.result.encap].overhead if crossings & 2 else 0)
        crossings >>= 8
    for k in range(HITS):
        if toll.hits[leg][k]:
            core.hits[toll.hits[leg][k]] += packets


cdef inline void count_end(Core* core, const Flow* f, const Toll* toll, int64_t packets, int64_t octets) noexcept nogil:
    """Into the counters: what packets of a Flow met on the last of its legs, and their end."""
    count(core, f, toll, toll.routers[1] != 0, packets, octets)
    core.verdicts[f.result.verdict] += packets
    if f.result.verdict == VERDICT_DROPPED:
        core.drops[<size_t>f.result.where * DROP_COUNT + f.result.reason] += packets


cdef inline void settle(Core* core, uint32_t number) noexcept nogil:
    """Into the counters: all packets that took the short cut since."""
    cdef const Toll* toll = &core.tolls[number - 1]
    cdef Flow* f
    cdef int64_t packets = 0, octets = 0
    cdef uint32_t slice
    for slice in range(core.slices):
        f = &core.flows[<size_t>slice * core.flow_room + number - 1]
        packets += f.packets
        octets += f.bytes
        f.packets, f.bytes = 0, 0
    f = &core.flows[number - 1]
    if toll.routers[1]:
        count(core, f, toll, 0, packets, octets)
    count_end(core, f, toll, packets, octets)


cdef inline void settle_all(Core* core) noexcept nogil:
    """Of all Flows, in the order in which they lie."""
    cdef uint32_t[HANDFUL] numbers
    cdef uint32_t count = 0, word, slice
    cdef uint64_t bits
    for word in range((core.flow_count + 63) // 64):
        bits = 0
        for slice in range(core.slices):
            bits |= core.unsettled[slice * core.unsettled_words + word]
            core.unsettled[slice * core.unsettled_words + word] = 0
        while bits:
            numbers[count] = 64 * word + lowest_bit(bits)
            for slice in range(core.slices):
                prefetch_write(&core.flows[<size_t>slice * core.flow_room + numbers[count]].result)
            prefetch_read(&core.tolls[numbers[count]])
            bits &= bits - 1
            numbers[count] += 1
            count += 1
            if count == HANDFUL:
                settle_some(core, numbers, count)
                count = 0
    settle_some(core, numbers, count)


cdef inline void settle_some(Core* core, const uint32_t* numbers, uint32_t count) noexcept nogil:
    """Of a handful of Flows."""
    cdef uint32_t i, leg
    cdef size_t router
    for i in range(count):
        for leg in range(2):
            router = core.tolls[numbers[i] - 1].routers[leg]
            prefetch_write(&core.links[router * DEVICE_COUNT * 4])
            prefetch_write(&core.links[router * DEVICE_COUNT * 4 + 8])
            prefetch_write(&core.links[router * DEVICE_COUNT * 4 + 16])
    for i in range(count):
        settle(core, numbers[i])
