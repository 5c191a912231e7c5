"""How a journey becomes a Flow, which later packets take for their short cut (stages/flows.pxd)."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.admit cimport shortest
from calisim.datapath.stages.flows cimport (
    FLOW_COMPLAINED, FLOW_ONWARD, FLOW_SHARD, FLOW_WIRED, hash_of_key, is_key, key_of)
from calisim.datapath.stages.ties cimport distrust, is_ridden
from calisim.datapath.stages.tolls cimport settle

cdef extern from "intrinsics.h":
    void prefetch_write(const void* address) nogil

cdef enum:
    AHEAD = 8                        # Flows that are asked for before they are written


cdef inline bint lasting(const Result* result) noexcept nogil:
    """An end that does not depend on the packet's length."""
    if result.verdict == VERDICT_DROPPED:
        return result.reason not in (DROP_MTU_EXCEEDED, DROP_FABRIC_MTU, DROP_MALFORMED)
    return result.verdict == VERDICT_DELIVERED or result.verdict == VERDICT_EXITED


cdef inline bint ties_stay(const Aside* more, const Trail* first, const Trail* last, uint32_t leg) noexcept nogil:
    """A journey whose last leg is ``leg`` refreshes what the Flow has refreshed."""
    cdef uint32_t k
    cdef bint stay = more.marks[leg - 1] == last.marks and (leg == 1 or more.marks[0] == first.marks)
    for k in range(TOUCHED):
        stay &= more.touched[leg - 1][k] == last.touched[k] and (leg == 1 or more.touched[0][k] == first.touched[k])
    return stay and (leg == 2 or not more.marks[1])


cdef inline uint32_t place_for(
    Core* core, const Key* key, const Trail* first, const Trail* last, uint32_t leg,
) noexcept nogil:
    """Number of a Flow to be written for the key, new or with the connections that it has; 0: there is no room."""
    cdef uint64_t hash = hash_of_key(key), at = hash & core.flow_index_mask
    cdef uint32_t number
    while core.flow_index[at]:
        if core.flow_index[at] >> 32 == hash >> 32:
            number = <uint32_t>core.flow_index[at]
            if not is_key(&core.flows[number - 1].key, key):
                return 0                       # the index knows one of a hash
            if is_ridden(core, &core.homes[core.shard], number) or core.flows[number - 1].busy == core.wave:
                return 0                       # who is under way on it may yet retreat
            settle(core, number)
            distrust(core, &core.homes[core.shard], number, 0)
            if ties_stay(&core.asides[number - 1], first, last, leg):
                return number
            core.flows[number - 1].longest = 0     # it still owes
            break
        at = (at + 1) & core.flow_index_mask
    if core.flow_count == core.flow_room:
        return 0
    prefetch_write(&core.flows[core.flow_count + AHEAD])
    prefetch_write(&core.flows[core.flow_count + AHEAD].result)
    core.flow_count += 1
    core.flow_index[at] = hash >> 32 << 32 | core.flow_count
    return core.flow_count


cdef inline void enter_flow(Core* core, const Notice* notice) noexcept nogil:
    """A journey that ended in another shard."""
    cdef Trail first, last
    cdef uint32_t number
    cdef Flow* f
    cdef Aside* more
    first.marks, first.touched = notice.more.marks[0], notice.more.touched[0]
    last.marks, last.touched = notice.more.marks[1], notice.more.touched[1]
    number = place_for(core, &notice.flow.key, &first, &last, 2)
    if number:
        f, more = &core.flows[number - 1], &core.asides[number - 1]
        f.key, f.longest, f.shortest, f.reach = notice.flow.key, notice.flow.longest, notice.flow.shortest, notice.flow.reach
        f.flags, f.trusted, f.result = notice.flow.flags, notice.flow.trusted, notice.flow.result
        more.touched, more.marks, more.absent = notice.more.touched, notice.more.marks, notice.more.absent
        more.carry, more.result = notice.more.carry, notice.more.result
        core.tolls[number - 1] = notice.toll


cdef inline void note(Core* core, const Walk* w, const Carry* carry, const Result* result) noexcept nogil:
    """A journey has ended: the next packets like this one may take it as their short cut. ``carry``, ``result``: as its second
    leg began, on the second leg."""
    cdef const Packet* packet = w.packet
    cdef const Trail* last = &w.carry.trail
    cdef Batch* notes = &core.notes[last.home]
    cdef Key key = key_of(packet)
    cdef uint32_t number
    cdef Notice* notice
    if (not last.steady or core.leg > 2 or not lasting(w.result) or packet.fragment & ~<uint32_t>PACKET_FLAG_DF):
        return
    if last.home == core.shard:
        number = place_for(core, &key, &carry.trail, last, core.leg)
        if number:
            write_down(core, w, carry, result, &key, &core.flows[number - 1], &core.asides[number - 1], &core.tolls[number - 1])
    elif notes.count < notes.room:
        notice = &(<Notice*> notes.first)[notes.count]
        notes.count += 1
        memset(notice, 0, sizeof(Notice))
        write_down(core, w, carry, result, &key, &notice.flow, &notice.more, &notice.toll)


cdef inline void write_down(
    const Core* core, const Walk* w, const Carry* carry, const Result* result, const Key* key, Flow* f, Aside* more, Toll* toll,
) noexcept nogil:
    """Sets what a Flow says of packets; what it knows of rides stays."""
    cdef const Packet* packet = w.packet
    cdef const Trail* last = &w.carry.trail
    cdef bint wired = w.result.wire != 0
    f.key = key[0]
    f.shortest, f.longest = shortest(packet.protocol, packet.fragment), min(packet.length + <uint32_t>last.slack, 0xFFFF)
    more.absent = last.absent
    more.touched[core.leg - 1], more.marks[core.leg - 1] = last.touched, last.marks
    f.flags = (FLOW_WIRED if wired else 0) | (FLOW_COMPLAINED if w.error else 0)
    f.trusted[0], f.trusted[1] = False, core.leg == 1
    f.reach = last.reach
    f.result = w.result[0]
    f.result.wire -= packet.length if wired else 0
    toll.routers[1] = 0
    toll.hits[core.leg - 1] = last.hits
    toll.routers[core.leg - 1], toll.crossings[core.leg - 1] = last.router, last.crossings
    if core.leg == 2:
        f.flags |= FLOW_ONWARD | core.shard << FLOW_SHARD
        more.touched[0], more.marks[0] = carry.trail.touched, carry.trail.marks
        more.carry, more.result = carry[0], result[0]
        more.carry.flow = 0
        more.carry.outer_length -= packet.length
        more.result.wire -= packet.length if wired else 0
        toll.routers[0], toll.crossings[0] = carry.trail.router, carry.trail.crossings
        toll.hits[0] = carry.trail.hits
