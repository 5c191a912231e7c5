"""A frame's packets are looked at before their turn: pure lookups are done, the memory of connections is asked for.

Each pass is a short loop without dependencies between packets, so that cache misses overlap; the walks after it find
what they need. Nothing here decides anything.
"""
from libc.stdint cimport uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.conntrack cimport tuple_now
from calisim.datapath.stages.lookup cimport resolve
from calisim.datapath.stages.groups cimport group_tuple
from calisim.datapath.stages.track cimport hash_of

cdef extern from "intrinsics.h":
    void prefetch_read(const void* address) nogil
    void prefetch_write(const void* address) nogil


cdef inline void resume(Core* core, Walk* w, const Carry* carry) noexcept nogil:
    """A packet at its next router."""
    w.carry = carry[0]
    w.packet, w.result = &core.packets[carry.row], &core.results[carry.row]
    w.id = carry.router
    w.router = &core.fib.routers[carry.router]
    w.connection = NULL
    w.inside = NULL
    w.quote = NULL
    w.error = 0
    w.error_inside = False


cdef inline void ask_for(Core* core, uint64_t hash) noexcept nogil:
    prefetch_read(&core.index[hash & core.index_mask])


cdef inline void ask_for_record(Core* core, uint64_t hash) noexcept nogil:
    cdef uint64_t at = hash & core.index_mask, slot = core.index[at]
    while slot and slot >> 32 != hash >> 32:
        at = (at + 1) & core.index_mask
        slot = core.index[at]
    if slot:
        prefetch_write(&core.connections[<uint32_t>slot - 1])


cdef inline void ask_for_senders(Core* core, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """The endpoints that a frame of new packets comes from."""
    cdef Py_ssize_t i
    for i in range(first, last):
        if core.packets[i].ingress <= core.fib.endpoint_count:
            prefetch_read(&core.fib.endpoints[core.packets[i].ingress])


cdef inline void foresee(Core* core, Walk* w, bint outbound, Foresight* foreseen) noexcept nogil:
    """The tuple that the security groups will ask for, as far as it can be known (without NAT)."""
    cdef Wire wire
    if outbound and w.route.kind == ADJACENCY_TUNNEL:
        wire.src, wire.dst = w.router.address, w.route.next_hop
        wire.sport, wire.dport, wire.protocol = 0, ENCAPSULATIONS[w.route.encap].port, ENCAPSULATIONS[w.route.encap].protocol
    else:
        if outbound:
            w.carry.encap = 0
        wire = wire_of(w)
    foreseen.tuple = group_tuple(w.router, &wire)
    foreseen.hash = hash_of(&foreseen.tuple)
    ask_for(core, foreseen.hash)


cdef inline void glance(Core* core, const Carry* carries, uint32_t count, Glance* glances) noexcept nogil:
    """Uses the carries of one frame.      Sets  their glances"""
    cdef uint64_t* counters
    cdef uint32_t i
    cdef Glance* g
    cdef Tuple t
    cdef Walk w
    for i in range(count):
        g = &glances[i]
        g.dst = core.results[carries[i].row].dst
        resolve(&core.fib, carries[i].router, g.dst, &g.route)
        counters = &core.links[<size_t>carries[i].router * DEVICE_COUNT * 4]
        prefetch_write(counters)
        prefetch_write(counters + 8)
        prefetch_write(counters + 16)
        if carries[i].device == DEVICE_VETH:
            prefetch_read(&core.fib.endpoints[core.packets[carries[i].row].ingress])
    for i in range(count):
        if carries[i].device != DEVICE_VETH and carries[i].device != DEVICE_LOOPBACK:
            resolve(&core.fib, carries[i].router, core.results[carries[i].row].src, &glances[i].back)
    for i in range(count):
        resume(core, &w, &carries[i])
        t = tuple_now(&w)
        glances[i].hash = hash_of(&t)
        ask_for(core, glances[i].hash)
        glances[i].into.hash = glances[i].out.hash = glances[i].hash
        glances[i].into.tuple = glances[i].out.tuple = t
        if w.router.groups:
            w.route = glances[i].route
            if w.carry.device == DEVICE_ETHERNET:
                foresee(core, &w, False, &glances[i].into)
            if w.route.kind >= ADJACENCY_ATTACHED:
                foresee(core, &w, True, &glances[i].out)
    for i in range(count):
        ask_for_record(core, glances[i].hash)
        ask_for_record(core, glances[i].into.hash)
        ask_for_record(core, glances[i].out.hash)
