"""ENCAPSULATE and DECAPSULATE: the outer header comes and goes (RFC 2003, RFC 7348, RFC 6040 as Linux does it)."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.chance cimport draw4
from calisim.datapath.stages.conntrack cimport tuple_now
from calisim.datapath.stages.emit cimport emit
from calisim.datapath.stages.lookup cimport neighbour, path_mtu
from calisim.datapath.stages.tunnel cimport made, taken
from calisim.datapath.stages.verdict cimport drop, object_to, proceed, unknown


cdef inline uint16_t flow_port(const Core* core, const Walk* w) noexcept nogil:
    """VXLAN's source port: a function of the inner flow, the same for both directions."""
    cdef Tuple t = tuple_now(w)
    if t.protocol == PROTOCOL_ICMP or is_piece(w.packet.fragment):
        t.sport = t.dport = 0                  # Linux' flow hash looks neither at the identifier nor for ports in a fragment
    if t.src > t.dst:
        t.src, t.dst = t.dst, t.src
    if t.sport > t.dport:
        t.sport, t.dport = t.dport, t.sport
    return 32768 + draw4(
        core.fib.begun, t.src, t.dst,
        <uint64_t>t.protocol << 32 | <uint64_t>t.sport << 16 | t.dport) % 28232


cdef inline bint tunnel_link(Core* core, Walk* w, uint32_t* owner) noexcept nogil:
    """The outer header's own way out: somebody on the link, or the gateway (owner 0).      Drops  UNREACHABLE"""
    owner[0] = 0
    if w.result.outer_dst & w.router.link_mask == w.router.link:
        owner[0] = neighbour(core, w, w.router.subnet, w.result.outer_dst)
        if not owner[0]:
            return drop(core, w, STAGE_LOOKUP, DROP_UNREACHABLE, w.id, 0)
    return True


cdef inline bint encapsulate(Core* core, Walk* w, uint32_t* owner) noexcept nogil:
    """The outer header, and its own way out.

    Uses   w.route, inner header    Sets  outer header, encap, ENCAP; owner: who gets it on the link, 0 the gateway
    Drops  MALFORMED, MTU_EXCEEDED, SNAT_PORTS_EXHAUSTED, UNREACHABLE
    """
    cdef const Encapsulation* encap = &ENCAPSULATIONS[w.route.encap]
    cdef uint8_t ecn = w.carry.tos & 3
    cdef uint32_t limit = path_mtu(core, w, w.router.address, w.route.next_hop, w.router.mtu)
    if w.inside is not NULL:
        return unknown(core, w, STAGE_ENCAPSULATE, w.id, 0)
    if not fits(w, w.packet.length + <uint32_t>encap.overhead, 0xFFFF):
        return drop(core, w, STAGE_ENCAPSULATE, DROP_MALFORMED, w.id, 0)
    emit(core, w, w.route.device, DIRECTION_OUT, STAGE_ENCAPSULATE, 0, w.route.detail)
    if core.leg > 1:
        unsteady(w)                            # it may have been wrapped otherwise before
    w.carry.encap = w.result.encap = w.route.encap
    w.result.outer_src, w.result.outer_dst = w.router.address, w.route.next_hop
    w.carry.outer_ttl = encap.outer_ttl if encap.outer_ttl else w.result.ttl
    w.carry.outer_tos = 2 if ecn == 3 else ecn
    w.carry.outer_fragment = w.packet.fragment & PACKET_FLAG_DF if encap.copies_df else 0
    w.carry.outer_length = w.packet.length + encap.overhead
    if core.headers is not NULL:               # another outer header than it may have been sent with
        core.headers[w.carry.row].outer_id = core.headers[w.carry.row].outer_datagram = 0
    w.carry.outer_sport, w.carry.outer_dport = flow_port(core, w) if encap.port else 0, encap.port
    w.result.flags |= RESULT_FLAG_ENCAP
    if not fits(w, w.carry.outer_length, limit) and w.carry.outer_fragment:
        if w.carry.device != DEVICE_LOOPBACK:
            object_to(w, ERROR_FRAG_NEEDED, w.result.ttl, limit - encap.overhead)
            w.error_inside = True
        return drop(core, w, STAGE_ENCAPSULATE, DROP_MTU_EXCEEDED, w.id, w.route.detail)
    if not made(core, w) or not tunnel_link(core, w, owner):
        return False
    if w.carry.outer_length > limit:
        return proceed(core, w, STAGE_ENCAPSULATE, w.id, limit, STAGE_FABRIC_OUT, w.id)
    return True


cdef inline bint decapsulate(Core* core, Walk* w) noexcept nogil:
    """The outer header off; the packet comes in by the tunnel device. It stays on (encap) what is not this router's after all.

    Uses   outer header    Sets  w.carry.device, encap, tos
    Drops  TUNNEL_UNKNOWN_SENDER, SNAT_PORTS_EXHAUSTED, ADDRESS_UNUSED, ECN_ILLEGAL
    """
    cdef uint8_t outer = w.carry.outer_tos & 3, inner = w.carry.tos & 3
    cdef bint ipip = w.carry.encap == ENCAP_IPIP, own
    if not taken(core, w, &own):
        return False
    if not own:
        return True
    if not (w.router.ipip_address if ipip else w.router.vxlan_address):
        return drop(core, w, STAGE_DECAPSULATE, DROP_ADDRESS_UNUSED, w.id, 0)
    if outer == 3:
        if inner == 0:
            return drop(core, w, STAGE_DECAPSULATE, DROP_ECN_ILLEGAL, w.id, 0)
        w.carry.tos |= 3
    elif outer == 1 and inner == 2:
        w.carry.tos = w.carry.tos & 0xFC | 1
    w.carry.encap = 0
    w.carry.device = DEVICE_IPIP if ipip else DEVICE_VXLAN
    emit(core, w, w.carry.device, DIRECTION_IN, STAGE_DECAPSULATE, 0, 0)
    return True
