"""Start: a packet leaves its endpoint. Everything that is wrong with it before any router has seen it is found here."""
from libc.stdint cimport uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.emit cimport emit
from calisim.datapath.stages.fabric cimport fabric, from_outside
from calisim.datapath.stages.lookup cimport neighbour
from calisim.datapath.stages.verdict cimport drop, too_big, unknown


cdef inline uint32_t shortest(uint32_t protocol) noexcept nogil:
    """IPv4 header and the protocol's own."""
    if protocol == PROTOCOL_TCP:
        return 40
    return 28 if protocol == PROTOCOL_UDP or protocol == PROTOCOL_ICMP else 20


cdef inline bint host_sends(Core* core, Walk* w, uint32_t host) noexcept nogil:
    """From inside a subnet directly or through its router, else in through the gateway.      Drops  UNREACHABLE"""
    cdef const Endpoint* endpoint = &core.fib.endpoints[host]
    cdef const Subnet* subnet = &core.fib.subnets[endpoint.subnet]
    cdef uint32_t next_hop = 0
    if w.result.src == 0:
        w.result.src = endpoint.address
    emit(core, w, DEVICE_ETHERNET, DIRECTION_OUT, STAGE_ENDPOINT, host, 0)
    if not endpoint.subnet:
        return from_outside(core, w)
    if w.result.dst & subnet.mask == subnet.network and w.result.dst != subnet.gateway:
        next_hop = w.result.dst
        if not neighbour(&core.fib, endpoint.subnet, next_hop):
            return drop(core, w, STAGE_ENDPOINT, DROP_UNREACHABLE, 0, 0)
    return fabric(core, w, endpoint.subnet, next_hop, 0)


cdef inline bint admit(Core* core, Walk* w) noexcept nogil:
    """The sender's own stack.

    Uses   w.packet    Sets  RESULT's headers, w.carry for leg 1
    Drops  ADDRESS_UNUSED, MALFORMED, ENDPOINT_DOWN, MTU_EXCEEDED, SPOOFED_SOURCE and FABRIC's for hosts
    """
    cdef const Packet* packet = w.packet
    cdef const Endpoint* endpoint = &core.fib.endpoints[packet.ingress if packet.ingress <= core.fib.endpoint_count else 0]
    cdef uint32_t where = endpoint.router
    cdef const Router* router = &core.fib.routers[where]
    if endpoint.kind == ENDPOINT_NONE or (endpoint.kind == ENDPOINT_POD and endpoint.address == 0):
        return drop(core, w, STAGE_ENDPOINT, DROP_ADDRESS_UNUSED, 0, 0)
    if packet.fragment & (PACKET_FLAG_MF | PACKET_FLAG_OFFSET):
        return unknown(core, w, STAGE_DEFRAGMENT, where, 0)
    if packet.protocol == PROTOCOL_ICMP and packet.dport >> 8 != 0 and packet.dport >> 8 != 8:
        return unknown(core, w, STAGE_CONNTRACK, where, 0)
    if packet.length < shortest(packet.protocol):
        return drop(core, w, STAGE_ENDPOINT, DROP_MALFORMED, where, 0)
    if router.flags & ROUTER_FLAG_DOWN:
        return drop(core, w, STAGE_ENDPOINT, DROP_ENDPOINT_DOWN, where, router.detail)
    w.carry.router = w.id = where
    if endpoint.kind == ENDPOINT_HOST:
        return host_sends(core, w, packet.ingress)
    if endpoint.kind == ENDPOINT_NODE:
        w.carry.device = DEVICE_LOOPBACK
        if packet.src and not own_address(router, packet.src):
            return drop(core, w, STAGE_SOURCE_CHECK, DROP_SPOOFED_SOURCE, where, 0)
        return True
    if packet.length > endpoint.mtu:
        return too_big(
            core, w, (packet.fragment & PACKET_FLAG_DF) != 0, STAGE_ENDPOINT, STAGE_FRAGMENT, DROP_MTU_EXCEEDED, where,
            endpoint.detail)
    w.carry.device = DEVICE_VETH
    emit(core, w, DEVICE_VETH, DIRECTION_IN, STAGE_ENDPOINT, packet.ingress, 0)
    return True
