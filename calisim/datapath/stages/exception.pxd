"""The cold place: ICMP errors about packets that a router could not forward (RFC 792, RFC 1812 §4.3.2; quotes are Linux'),
and what is cut or held.

Stages only flag what they would say (:func:`object_to`); here it becomes a PACKET, its HEADER and a BORN. None is due about
an ICMP error, nor about what came from or went to nobody in particular. The rate limit is :mod:`calisim.datapath.fast`'s.
Of what goes on as something else (:func:`proceed`) the packet as it is now is written down; :mod:`calisim.datapath.fragments`
makes the rest.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.lookup cimport class_of, nobody
from calisim.datapath.stages.expiry cimport later
from calisim.datapath.stages.track cimport translated

cdef enum:
    LONGEST_QUOTE = 548
    RESOLVING_NS = 3100000000        # three ARP requests that nobody answers


cdef inline uint32_t leg_towards(const Tables* fib, uint32_t address) noexcept nogil:
    """The cloud's router sends from the leg through which the answer leaves; 0: it knows no way."""
    cdef const Class* c = &fib.classes[class_of(fib, address)]
    cdef const Endpoint* endpoint = &fib.endpoints[c.interface]
    if c.interface:
        return fib.subnets[fib.routers[endpoint.router].subnet if endpoint.kind == ENDPOINT_NODE else endpoint.subnet].gateway
    return fib.fabric.outside_address if c.host else 0


cdef inline bint broadcast(const Tables* fib, uint32_t where, uint32_t address) noexcept nogil:
    """The broadcast address of one of the speaker's own links: it takes such a packet for its own, and nobody listens."""
    cdef const Router* router
    cdef const Subnet* subnet
    cdef size_t number
    if where <= fib.router_count:
        router = &fib.routers[where]
        return ~router.link_mask > 1 and address == (router.link | ~router.link_mask)
    for number in range(1, fib.subnet_count + 1):
        subnet = &fib.subnets[number]
        if subnet.place == where and ~subnet.mask > 1 and address == (subnet.network | ~subnet.mask):
            return True
    return False


cdef inline void complain(Core* core, const Walk* w) noexcept nogil:
    """Uses w.error and the header that it is about      Sets  a row of each born array; the door has made room"""
    cdef Wire quoted = wire_of(w)
    cdef const Connection* c = w.connection
    cdef uint32_t where = w.result.where, source = w.error_src
    cdef bint place = where > core.fib.router_count
    cdef uint8_t tos = w.carry.outer_tos if w.carry.encap else w.carry.tos
    cdef Packet* packet = &core.born_packets[core.born_count]
    cdef Header* header = &core.born_headers[core.born_count]
    cdef Born* born = &core.born[core.born_count]
    if w.error_inside:                         # a tunnel device speaks of what it was given, and to who sent that
        quoted.src, quoted.dst, quoted.sport, quoted.dport = w.result.src, w.result.dst, w.result.sport, w.result.dport
        quoted.length, quoted.protocol, tos = w.packet.length, w.packet.protocol, w.carry.tos
        quoted.fragment = w.packet.fragment
        if c is not NULL and w.tracking in (TRACK_NEW, TRACK_ORIGINAL) and translated(c):
            quoted.src = c.src
    if w.redirected and (w.result.stage in (STAGE_TTL, STAGE_MTU) or (w.error_inside and w.tracking != TRACK_REPLY)):
        # the error goes with the connection (nf_ct_attach): it speaks of, and for, the address that was asked. An answer at a
        # tunnel is all put back: by that the error finds the endpoint.
        quoted.dst, quoted.dport = w.arrived_dst, w.arrived_dport
        source = quoted.dst
    if quoted.fragment & PACKET_FLAG_OFFSET:
        return
    if quoted.protocol == PROTOCOL_ICMP and not is_echo(quoted.dport):
        return
    if not where or nobody(quoted.src) or nobody(quoted.dst) or broadcast(&core.fib, where, quoted.dst):
        return
    if place:
        source = leg_towards(&core.fib, quoted.src)
        if not source:
            return
    core.born_count += 1
    memset(packet, 0, sizeof(Packet))
    memset(header, 0, sizeof(Header))
    memset(born, 0, sizeof(Born))
    packet.src, packet.dst, packet.dport, packet.protocol = source, quoted.src, w.error, PROTOCOL_ICMP
    packet.ttl, packet.tos, packet.length = 64, 0xC0 | tos & 0x1E, 28 + min(quoted.length, LONGEST_QUOTE)
    packet.ingress = 0 if place else where
    packet.time = later(w.packet.time, RESOLVING_NS) if w.error == ERROR_HOST_UNREACHABLE else w.packet.time
    header.place, header.mtu = where if place else 0, min(w.error_mtu, 0xFFFF)
    header.quote_src, header.quote_dst, header.quote_sport, header.quote_dport = (
        quoted.src, quoted.dst, quoted.sport, quoted.dport)
    header.quote_length, header.quote_fragment = quoted.length, quoted.fragment & (PACKET_FLAG_DF | PACKET_FLAG_MF)
    header.quote_protocol, header.quote_ttl, header.quote_tos = quoted.protocol, w.error_ttl, tos
    born.parent, born.where, born.relation, born.cause = w.carry.row, where, RELATION_ERROR, w.result.reason
    born.type, born.code = w.error >> 8, w.error & 0xFF


cdef inline void hand_on(Core* core, const Walk* w) noexcept nogil:
    """A packet that was CONTINUED: what is to be cut or held, as it is now.

    Uses   w.limit, w.resume, w.resume_at
    Sets   a row of each born array; BORN's type and code are the limit, its cause says of what came in pieces: 1 cut anew,
           2 as they came (what came by a device has no room there for a tunnel's header)
    """
    cdef Packet* packet = &core.born_packets[core.born_count]
    cdef Header* header = &core.born_headers[core.born_count]
    cdef Born* born = &core.born[core.born_count]
    cdef uint32_t limit = min(w.limit, 0xFFFF)
    core.born_count += 1
    packet[0] = w.packet[0]
    packet.src, packet.dst, packet.sport, packet.dport = w.result.src, w.result.dst, w.result.sport, w.result.dport
    packet.ttl, packet.tos = w.result.ttl, w.carry.tos
    if core.headers is NULL:
        memset(header, 0, sizeof(Header))
    else:
        header[0] = core.headers[w.carry.row]
    header.resume, header.resume_at, header.device = w.resume, w.resume_at, 0
    if w.resume and w.resume != STAGE_FABRIC_IN and w.resume != STAGE_DELIVER:
        header.device = w.carry.device
    if w.resume == STAGE_DELIVER and not w.resume_at:
        header.place = w.result.where
    header.encap = w.carry.encap
    header.outer_src = header.outer_dst = header.outer_sport = header.outer_fragment = 0
    header.outer_ttl = header.outer_tos = header.outer_length = 0
    if w.carry.encap:
        header.outer_src, header.outer_dst, header.outer_sport = w.result.outer_src, w.result.outer_dst, w.carry.outer_sport
        header.outer_ttl, header.outer_tos, header.outer_fragment = w.carry.outer_ttl, w.carry.outer_tos, w.carry.outer_fragment
        if is_piece(w.carry.outer_fragment):
            header.outer_length = w.carry.outer_length
    else:
        header.outer_id = header.outer_datagram = 0
    born.parent, born.where, born.cause = w.carry.row, w.result.where, 0
    if w.result.stage == STAGE_FRAGMENT and header.largest:
        born.cause = 1 if w.route.kind == ADJACENCY_TUNNEL and w.carry.device != DEVICE_LOOPBACK else 2
    born.relation = RELATION_WHOLE if w.result.stage == STAGE_DEFRAGMENT else RELATION_PIECE
    born.type, born.code = limit >> 8, limit & 0xFF
