"""An interface is crossed: link counters always, an EVENT if somebody wants them."""
from libc.stdint cimport uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport Core, Walk, is_error, unsteady


cdef extern from *:
    bint unlikely(bint condition) nogil        # Cython's own: what follows is compiled apart

cdef extern from "intrinsics.h":
    ctypedef void aside                # of a function that is rarely called,
    ctypedef void built_in             # and of one whose arguments are constants wherever it is called


# A crossing of Trail.crossings: device << 3 | direction << 2 | encapsulated << 1 | at no router, and a bit that is always set.
cdef enum:
    CROSSING = 128


cdef inline built_in emit(
    Core* core, Walk* w, uint32_t device, uint32_t direction, uint32_t stage, uint32_t endpoint, uint32_t detail,
) noexcept nogil:
    """Uses the headers as they are now, w.id."""
    cdef uint64_t* link = &core.links[((<size_t>w.id * DEVICE_COUNT + device) * 2 + direction) * 2]
    cdef uint32_t crossed = w.carry.trail.crossings
    link[0] += 1
    link[1] += w.carry.outer_length if w.carry.encap else w.packet.length
    if crossed >> 24:
        unsteady(w)
    w.carry.trail.crossings = (
        crossed << 8 | (CROSSING | device << 3 | direction << 2) | (w.carry.encap != 0) << 1 | (w.id == 0))
    if unlikely(core.wants_events):
        record(core, w, device, direction, stage, endpoint, detail)


cdef inline aside record(
    Core* core, Walk* w, uint32_t device, uint32_t direction, uint32_t stage, uint32_t endpoint, uint32_t detail,
) noexcept nogil:
    """The EVENT row; the door has made room for it."""
    cdef Event* event = &core.events[core.event_count]
    cdef const Packet* packet = w.inside.packet if w.inside is not NULL else w.packet
    cdef const Result* result = w.inside.result if w.inside is not NULL else w.result
    core.event_count += 1
    event.row, event.router, event.endpoint, event.detail = w.carry.row, w.id, endpoint, detail
    event.src, event.dst, event.sport, event.dport = result.src, result.dst, result.sport, result.dport
    event.length, event.fragment = packet.length, packet.fragment
    event.protocol, event.tcp_flags, event.ttl, event.tos = packet.protocol, packet.tcp_flags, result.ttl, w.carry.tos
    event.quote_src = event.quote_dst = event.quote_sport = event.quote_dport = 0
    if core.headers is not NULL and is_error(packet):
        event.quote_src, event.quote_dst = core.headers[w.carry.row].quote_src, core.headers[w.carry.row].quote_dst
        event.quote_sport, event.quote_dport = core.headers[w.carry.row].quote_sport, core.headers[w.carry.row].quote_dport
    event.device, event.direction, event.stage, event.time = device, direction, stage, w.packet.time
    event.encap = w.carry.encap
    if w.inside is not NULL:
        event.encap, event.tos = w.inside.encap, w.inside.tos
        event.outer_src, event.outer_dst, event.outer_sport = w.result.src, w.result.dst, w.result.sport
        event.outer_length, event.outer_fragment = w.packet.length, w.packet.fragment
        event.outer_ttl, event.outer_tos = w.result.ttl, w.carry.tos
    elif event.encap:
        event.outer_src, event.outer_dst = w.result.outer_src, w.result.outer_dst
        event.outer_length, event.outer_fragment = w.carry.outer_length, w.carry.outer_fragment
        event.outer_sport = w.carry.outer_sport
        event.outer_ttl, event.outer_tos = w.carry.outer_ttl, w.carry.outer_tos
    else:
        event.outer_src = event.outer_dst = 0
        event.outer_length = event.outer_fragment = event.outer_sport = 0
        event.outer_ttl = event.outer_tos = 0
