"""Start: a packet leaves its endpoint. Everything that is wrong with it before any router has seen it is found here."""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.emit cimport emit
from calisim.datapath.stages.fabric cimport fabric, from_outside, from_place, set_wire_source
from calisim.datapath.stages.deliver cimport to_host, to_router
from calisim.datapath.stages.groups cimport acl
from calisim.datapath.stages.lookup cimport neighbour, path_mtu
from calisim.datapath.stages.verdict cimport drop, end, proceed, unknown

cdef extern from "intrinsics.h":
    ctypedef bint apart                # of a function that is not for all packets,
    ctypedef int seldom "dead_end"     # and of one that hardly any come to


cdef enum:
    NOT_KNOWN = 255                  # no shard


cdef inline void start(Core* core, Walk* w, Py_ssize_t row) noexcept nogil:
    """A packet that has seen nothing yet."""
    cdef const Packet* packet = &core.packets[row]
    cdef Result* result = &core.results[row]
    untouched(w)
    w.id = 0
    memset(&w.carry.trail, 0, sizeof(Trail))   # not the whole carry: what string instructions clear cannot be read for a while
    memset(result, 0, sizeof(Result))
    w.packet, w.result, w.carry.row, w.carry.tos = packet, result, row, packet.tos
    w.carry.flow = w.carry.router = w.carry.sender = w.carry.class_of_dst = w.carry.class_of_src = w.carry.outer_length = 0
    w.carry.outer_sport = w.carry.outer_dport = w.carry.outer_fragment = 0
    w.carry.device = w.carry.encap = w.carry.outer_ttl = w.carry.outer_tos = w.carry.routed = 0
    w.carry.trail.steady, w.carry.trail.slack, w.carry.trail.reach, w.carry.trail.home = core.caching, 0xFFFF, 0xFFFF, core.shard
    result.src, result.dst, result.sport, result.dport = packet.src, packet.dst, packet.sport, packet.dport
    result.ttl = packet.ttl


cdef inline uint32_t shortest(uint32_t protocol, uint32_t fragment) noexcept nogil:
    """IPv4 header and the protocol's own, which only a first piece has."""
    if fragment & PACKET_FLAG_OFFSET:
        return 21
    if protocol == PROTOCOL_TCP:
        return 40
    return 28 if protocol == PROTOCOL_UDP or protocol == PROTOCOL_ICMP else 20


cdef inline apart host_sends(Core* core, Walk* w, uint32_t host) noexcept nogil:
    """From inside a subnet directly or through its router, else in through the gateway.      Drops  UNREACHABLE"""
    cdef const Endpoint* endpoint = &core.fib.endpoints[host]
    cdef const Subnet* subnet = &core.fib.subnets[endpoint.subnet]
    cdef uint32_t owner = 0
    cdef Wire wire = wire_of(w)
    if wire.src == 0:
        set_wire_source(w, endpoint.address)
    emit(core, w, DEVICE_ETHERNET, DIRECTION_OUT, STAGE_ENDPOINT, host, 0)
    if not endpoint.subnet:
        return from_outside(core, w)
    if wire.dst & subnet.mask == subnet.network and wire.dst != subnet.gateway:
        owner = neighbour(core, w, endpoint.subnet, wire.dst)
        if not owner:
            return drop(core, w, STAGE_ENDPOINT, DROP_UNREACHABLE, 0, 0)
    wire = wire_of(w)
    return fabric(core, w, &wire, endpoint.subnet, owner, 0)


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
        w.carry.outer_length = w.packet.length + ENCAPSULATIONS[header.encap].overhead
        if is_piece(header.outer_fragment):
            w.carry.outer_length = header.outer_length
        w.carry.outer_dport = ENCAPSULATIONS[header.encap].port
        w.carry.outer_sport = header.outer_sport if w.carry.outer_dport else 0
        w.result.flags |= RESULT_FLAG_ENCAP
    return True


cdef inline apart is_understood(const Core* core, const Walk* w) noexcept nogil:
    """An ICMP packet that is an echo, or an error that quotes neither a later piece nor another error."""
    cdef const Header* header
    if is_echo(w.packet.dport):
        return True
    if core.headers is NULL or not is_error(w.packet):
        return False
    header = &core.headers[w.carry.row]
    if header.quote_length < 20 or header.quote_fragment & PACKET_FLAG_OFFSET:
        return False
    return header.quote_protocol != PROTOCOL_ICMP or is_echo(header.quote_dport)


cdef inline bint no_piece(uint32_t length, uint32_t fragment) noexcept nogil:
    """A piece that is empty, that ends in the middle of 8 bytes, or beyond the longest packet."""
    if not is_piece(fragment):
        return False
    return length < 21 or (fragment & PACKET_FLAG_MF and length - 20 & 7) or length + (fragment & PACKET_FLAG_OFFSET) * 8 > 0xFFFF


cdef inline bint sound(Core* core, Walk* w, bint known_encap, uint32_t where) noexcept nogil:
    """What is not modelled ends here, and what no stack would send.      Drops  MALFORMED"""
    cdef const Packet* packet = w.packet
    cdef Wire wire = wire_of(w)
    if packet.protocol == PROTOCOL_ICMP and not packet.fragment & PACKET_FLAG_OFFSET and not is_understood(core, w):
        return unknown(core, w, STAGE_CONNTRACK, where, 0)
    if (not known_encap or packet.length < shortest(packet.protocol, packet.fragment) or wire.length > 0xFFFF
            or no_piece(packet.length, packet.fragment) or no_piece(wire.length, w.carry.outer_fragment)):
        return drop(core, w, STAGE_ENDPOINT, DROP_MALFORMED, where, 0)
    return True


cdef inline apart place_sends(Core* core, Walk* w, bint known_encap, uint32_t place) noexcept nogil:
    """The cloud's router itself: an ICMP error.      Drops  ADDRESS_UNUSED and FABRIC's"""
    if place <= core.fib.router_count or place > core.fib.place_count:
        return drop(core, w, STAGE_ENDPOINT, DROP_ADDRESS_UNUSED, 0, 0)
    return sound(core, w, known_encap, place) and from_place(core, w, place)


cdef inline bint can_resume(const Core* core, const Packet* packet, const Header* header) noexcept nogil:
    """Whether there is a place of that kind where a packet can go on."""
    cdef uint32_t stage = header.resume, at = header.resume_at
    cdef const Endpoint* pod = &core.fib.endpoints[packet.ingress if packet.ingress <= core.fib.endpoint_count else 0]
    if stage == STAGE_DELIVER:
        if at == 0:
            return core.fib.router_count < header.place <= core.fib.place_count
        return at <= core.fib.endpoint_count and core.fib.endpoints[at].kind == ENDPOINT_HOST
    if not 1 <= at <= core.fib.router_count:
        return False
    if stage == STAGE_FABRIC_IN:
        return True
    if stage == STAGE_FABRIC_OUT and not header.encap:
        return False
    if stage != STAGE_DECAPSULATE and stage != STAGE_CONNTRACK and stage != STAGE_FRAGMENT and stage != STAGE_FABRIC_OUT:
        return False
    if header.device == DEVICE_VETH:
        return pod.kind == ENDPOINT_POD and pod.router == at
    return DEVICE_VETH < header.device <= DEVICE_LOOPBACK


cdef inline apart go_on(Core* core, Walk* w, bint known_encap) noexcept nogil:
    """A piece or a whole goes on in the middle of the way.      Drops  ADDRESS_UNUSED, MALFORMED, ENDPOINT_DOWN, NACL_IN"""
    cdef const Header* header = &core.headers[w.carry.row]
    cdef uint32_t at = header.resume_at
    cdef Wire wire = wire_of(w)
    if not can_resume(core, w.packet, header):
        return drop(core, w, STAGE_ENDPOINT, DROP_ADDRESS_UNUSED, 0, 0)
    if header.resume == STAGE_DELIVER:
        if not sound(core, w, known_encap, 0):
            return False
        if not at:
            return end(core, w, VERDICT_EXITED, STAGE_FABRIC, header.place)
        if core.fib.endpoints[at].subnet and not acl(core, w, &wire, &core.fib.subnets[core.fib.endpoints[at].subnet], True):
            return False
        return to_host(core, w, at)
    if not sound(core, w, known_encap, at):
        return False
    if core.fib.routers[at].flags & ROUTER_FLAG_DOWN:
        return drop(core, w, header.resume, DROP_ENDPOINT_DOWN, at, core.fib.routers[at].detail)
    if header.resume == STAGE_FABRIC_IN:
        w.result.flags |= RESULT_FLAG_ROUTED
        return to_router(w, at, 0, True)
    w.carry.router, w.carry.device = at, header.device
    return True


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
    if core.headers is not NULL and core.headers[w.carry.row].resume:
        return go_on(core, w, known_encap)
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
        limit = path_mtu(core, w, endpoint.address, wire.dst, limit)
    if not fits(w, wire.length, limit):
        if wire.fragment & PACKET_FLAG_DF:
            return drop(core, w, STAGE_ENDPOINT, DROP_MTU_EXCEEDED, where, endpoint.detail)
        return proceed(core, w, STAGE_ENDPOINT, where, limit, 0, 0)
    w.carry.device = DEVICE_VETH
    emit(core, w, DEVICE_VETH, DIRECTION_IN, STAGE_ENDPOINT, packet.ingress, 0)
    return True


cdef inline uint8_t home_of(const Core* core, const uint8_t* homes, uint32_t row) noexcept nogil:
    """The shard of a packet's first router: by its endpoint (``homes``; NULL: there is one shard), and where that does not tell
    by having it admitted on trial."""
    cdef uint32_t ingress = core.packets[row].ingress
    cdef uint8_t home
    if homes is NULL:
        return 0
    home = homes[ingress if ingress <= core.fib.endpoint_count else 0]
    return home if home != NOT_KNOWN and core.headers is NULL else <uint8_t>home_on_trial(core, row)


cdef inline seldom home_on_trial(const Core* core, uint32_t row) noexcept nogil:
    cdef Core trial = core[0]
    cdef Walk w
    trial.links, trial.drops, trial.verdicts = core.trial_links, core.trial_drops, core.trial_verdicts
    trial.wants_events = trial.caching = False
    start(&trial, &w, row)
    return trial.shards[w.carry.router] if admit(&trial, &w) else 0
