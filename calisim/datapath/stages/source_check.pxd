"""SOURCE_CHECK: martians, Calico's anti-spoofing, rp_filter."""
from libc.stdint cimport uint8_t, uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport Core, Route, Walk, own_address
from calisim.datapath.stages.lookup cimport class_at, resolve
from calisim.datapath.stages.verdict cimport drop


cdef inline bint source_check(Core* core, Walk* w) noexcept nogil:
    """May a packet with this source come in by this device?

    Uses   w.result.src, w.result.dst, w.carry.device, the sending pod
    Drops  MARTIAN, SPOOFED_SOURCE, RPF
    """
    cdef uint32_t src = w.result.src, top = w.result.src >> 24, dst = w.result.dst
    cdef uint8_t rp_filter = w.router.rp_filter
    cdef Route veth
    cdef const Route* back = &w.glance.back
    if top >> 4 == 0xE or src == <uint32_t>0xFFFFFFFF or src == 0 or top == 127 or dst == 0 or dst >> 24 == 127:
        return drop(core, w, STAGE_SOURCE_CHECK, DROP_MARTIAN, w.id, 0)
    if w.carry.device == DEVICE_VETH and w.router.flags & ROUTER_FLAG_CALICO_FILTER:
        if src != core.fib.endpoints[w.packet.ingress].address:
            return drop(core, w, STAGE_SOURCE_CHECK, DROP_SPOOFED_SOURCE, w.id, 0)
        return True
    if own_address(w.router, src):
        return drop(core, w, STAGE_SOURCE_CHECK, DROP_MARTIAN, w.id, 0)
    if w.carry.device != DEVICE_ETHERNET:
        rp_filter = w.router.rp_filter_veth if w.carry.device == DEVICE_VETH else w.router.rp_filter_tunnel
    if rp_filter == RP_FILTER_OFF:
        return True
    if w.carry.device == DEVICE_VETH:
        resolve(&core.fib, w.id, src, class_at(core, w, src), &veth)
        back = &veth
    if back.kind != ADJACENCY_DROP:
        if rp_filter == RP_FILTER_LOOSE and w.carry.device != DEVICE_VETH:      # which has no address: as strict
            return True
        if back.device == w.carry.device and (back.device != DEVICE_VETH or back.endpoint == w.packet.ingress):
            return True
    return drop(core, w, STAGE_SOURCE_CHECK, DROP_RPF, w.id, 0)
