"""Start: a packet leaves its endpoint. Everything that is wrong with it before any router has seen it is found here."""
from libc.stdint cimport uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.emit cimport emit
from calisim.datapath.stages.fabric cimport fabric, from_outside, from_place, set_wire_source
from calisim.datapath.stages.lookup cimport answers, path_mtu
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
    cdef Wire wire = wire_of(w)
    if wire.src == 0:
        set_wire_source(w, endpoint.address)
    emit(core, w, DEVICE_ETHERNET, DIRECTION_OUT, STAGE_ENDPOINT, host, 0)
    if not endpoint.subnet:
        return from_outside(core, w)
    if wire.dst & subnet.mask == subnet.network and wire.dst != subnet.gateway:
        next_hop = wire.dst
        if not answers(&core.fib, endpoint.subnet, next_hop):
            return drop(core, w, STAGE_ENDPOINT, DROP_UNREACHABLE, 0, 0)
    return fabric(core, w, endpoint.subnet, next_hop, 0)


cdef inline bint wrap(Core* core, Walk* w) noexcept nogil:
    """The outer header of a packet that is sent encapsulated.      Sets  outer header, encap, ENCAP      False: no such encap"""
    cdef const Header* header = &core.headers[w.carry.row]
    if header.encap >= ENCAP_COUNT:
        return False
    if header.encap:
        w.carry.encap = w.result.encap = header.encap
        w.result.outer_src, w.result.outer_dst = header.outer_src, header.outer_dst
        w.carry.outer_ttl, w.carry.outer_tos = header.outer_ttl, header.outer_tos
        w.carry.outer_fragment = header.outer_fragment & (PACKET_FLAG_DF | PACKET_FLAG_MF | PACKET_FLAG_OFFSET)
        w.carry.outer_sport = header.outer_sport if ENCAPSULATIONS[header.encap].port else 0
        w.result.flags |= RESULT_FLAG_ENCAP
    return True


cdef inline bint is_understood(const Core* core, const Walk* w) noexcept nogil:
    """An ICMP packet that is an echo, or an error that quotes neither a later piece nor another error."""
    cdef const Header* header
    if w.packet.dport >> 8 == 0 or w.packet.dport >> 8 == 8:
        return True
    if core.headers is NULL or not is_error(w.packet):
        return False
    header = &core.headers[w.carry.row]
    if header.quote_length < 20 or header.quote_fragment & PACKET_FLAG_OFFSET:
        return False
    return header.quote_protocol != PROTOCOL_ICMP or header.quote_dport >> 8 == 0 or header.quote_dport >> 8 == 8


cdef inline bint sound(Core* core, Walk* w, bint known_encap, uint32_t where) noexcept nogil:
    """What is not modelled ends here, and what no stack would send.      Drops  MALFORMED"""
    cdef const Packet* packet = w.packet
    cdef Wire wire = wire_of(w)
    if (packet.fragment | w.carry.outer_fragment) & (PACKET_FLAG_MF | PACKET_FLAG_OFFSET):
        return unknown(core, w, STAGE_DEFRAGMENT, where, 0)
    if packet.protocol == PROTOCOL_ICMP and not is_understood(core, w):
        return unknown(core, w, STAGE_CONNTRACK, where, 0)
    if not known_encap or packet.length < shortest(packet.protocol) or wire.length > 0xFFFF:
        return drop(core, w, STAGE_ENDPOINT, DROP_MALFORMED, where, 0)
    return True


cdef inline bint place_sends(Core* core, Walk* w, bint known_encap, uint32_t place) noexcept nogil:
    """The cloud's router itself: an ICMP error.      Drops  ADDRESS_UNUSED and FABRIC's"""
    if place <= core.fib.router_count or place > core.fib.place_count:
        return drop(core, w, STAGE_ENDPOINT, DROP_ADDRESS_UNUSED, 0, 0)
    return sound(core, w, known_encap, place) and from_place(core, w, place)


cdef inline bint admit(Core* core, Walk* w) noexcept nogil:
    """The sender's own stack.

    Uses   w.packet    Sets  RESULT's headers, w.carry for leg 1
    Drops  ADDRESS_UNUSED, MALFORMED, ENDPOINT_DOWN, MTU_EXCEEDED, SPOOFED_SOURCE and FABRIC's for hosts
    """
    cdef const Packet* packet = w.packet
    cdef const Endpoint* endpoint = &core.fib.endpoints[packet.ingress if packet.ingress <= core.fib.endpoint_count else 0]
    cdef uint32_t where = endpoint.router
    cdef const Router* router = &core.fib.routers[where]
    cdef uint32_t limit = endpoint.mtu
    cdef bint known_encap = core.headers is NULL or wrap(core, w)
    cdef Wire wire = wire_of(w)
    if core.headers is not NULL and core.headers[w.carry.row].place:
        return place_sends(core, w, known_encap, core.headers[w.carry.row].place)
    if endpoint.kind == ENDPOINT_NONE or (endpoint.kind == ENDPOINT_POD and endpoint.address == 0):
        return drop(core, w, STAGE_ENDPOINT, DROP_ADDRESS_UNUSED, 0, 0)
    if not sound(core, w, known_encap, where):
        return False
    if router.flags & ROUTER_FLAG_DOWN:
        return drop(core, w, STAGE_ENDPOINT, DROP_ENDPOINT_DOWN, where, router.detail)
    w.carry.router = w.id = where
    if endpoint.kind == ENDPOINT_HOST:
        return host_sends(core, w, packet.ingress)
    if endpoint.kind == ENDPOINT_NODE:
        w.carry.device = DEVICE_LOOPBACK
        if wire.src and not own_address(router, wire.src) and not is_error(packet):       # a service may speak
            return drop(core, w, STAGE_SOURCE_CHECK, DROP_SPOOFED_SOURCE, where, 0)
        return True
    if core.headers is NULL or not core.headers[w.carry.row].flags & HEADER_FLAG_FRAME:
        limit = path_mtu(core, endpoint.address, wire.dst, limit, packet.time)
    if wire.length > limit:
        return too_big(core, w, wire.df, STAGE_ENDPOINT, STAGE_FRAGMENT, DROP_MTU_EXCEEDED, where, endpoint.detail)
    w.carry.device = DEVICE_VETH
    emit(core, w, DEVICE_VETH, DIRECTION_IN, STAGE_ENDPOINT, packet.ingress, 0)
    return True
