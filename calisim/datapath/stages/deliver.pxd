"""DELIVER: the end of a good journey, or the next router."""
from libc.stdint cimport uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport Core, Walk
from calisim.datapath.stages.emit cimport emit
from calisim.datapath.stages.verdict cimport end


cdef inline bint to_router(Walk* w, uint32_t router, uint32_t sender, bint routed) noexcept nogil:
    """The frame arrives at a router: its leg is the next one."""
    w.carry.router, w.carry.sender, w.carry.routed = router, sender, routed
    w.carry.device = DEVICE_ETHERNET
    return True


cdef inline bint to_pod(Core* core, Walk* w) noexcept nogil:
    """Out by the pod's veth."""
    emit(core, w, DEVICE_VETH, DIRECTION_OUT, STAGE_DELIVER, w.route.endpoint, w.route.detail)
    return end(core, w, VERDICT_DELIVERED, STAGE_DELIVER, w.id)


cdef inline bint to_host(Core* core, Walk* w, uint32_t host) noexcept nogil:
    """A machine that is no node of the cluster has it."""
    w.id = 0
    emit(core, w, DEVICE_ETHERNET, DIRECTION_IN, STAGE_DELIVER, host, 0)
    return end(core, w, VERDICT_DELIVERED, STAGE_DELIVER, 0)
