"""One leg: a packet at one router, from its interface to the next one's. The order of the stages is written here."""
from libc.stdint cimport uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.balance cimport balance, served
from calisim.datapath.stages.conntrack cimport conntrack, tuple_now
from calisim.datapath.stages.deliver cimport to_pod
from calisim.datapath.stages.emit cimport emit
from calisim.datapath.stages.encapsulate cimport decapsulate, encapsulate, tunnel_link
from calisim.datapath.stages.fabric cimport fabric
from calisim.datapath.stages.groups cimport acl, egress, ingress
from calisim.datapath.stages.hosts cimport forward_in, host_in, host_out, pre_dnat, untracked
from calisim.datapath.stages.lookup cimport class_of, lookup, neighbour, resolve
from calisim.datapath.stages.police cimport police
from calisim.datapath.stages.source_check cimport source_check
from calisim.datapath.stages.track cimport hash_of, seat_of
from calisim.datapath.stages.translate cimport translate
from calisim.datapath.stages.verdict cimport drop, end, object_to, proceed, unknown

cdef extern from "intrinsics.h":
    ctypedef bint apart                # of a function that is not for all packets


cdef inline bint fabric_in(Core* core, Walk* w) noexcept nogil:
    """The frame arrives at the router's interface.      Drops  NACL_IN, SG_INGRESS, DEST_CHECK"""
    cdef Wire wire = wire_of(w)
    if w.carry.routed and not acl(core, w, &wire, &core.fib.subnets[w.router.subnet], True):
        return False
    if not ingress(core, w, &wire):
        return False
    if w.router.flags & ROUTER_FLAG_SOURCE_DEST_CHECK and wire.dst != w.router.address:
        return drop(core, w, STAGE_FABRIC_IN, DROP_DEST_CHECK, w.id, w.router.detail)
    emit(core, w, DEVICE_ETHERNET, DIRECTION_IN, STAGE_FABRIC_IN, 0, 0)
    return True


cdef inline apart choose_source(Core* core, Walk* w) noexcept nogil:
    """Hook OUTPUT without a bound source: the route's device decides.      Drops  as LOOKUP"""
    cdef Tuple t
    if not lookup(core, w, w.result.dst):
        return False
    w.result.src = device_address(w.router, w.route.device)
    t = tuple_now(w)
    w.seat = seat_of(core, hash_of(&t))
    return True


cdef inline apart local_in(Core* core, Walk* w) noexcept nogil:
    """Addressed to the node itself.

    Drops  as POLICY, POLICY_EGRESS (defaultEndpointToHostAction), as BALANCE, SNAT_PORTS_EXHAUSTED
    """
    if w.router.flags & ROUTER_FLAG_GUARDED and not host_in(core, w):
        return False
    if not police(core, w):
        return False
    if w.carry.device == DEVICE_VETH and w.router.flags & ROUTER_FLAG_HOST_ACTION_DROP and w.connection is NULL:
        return drop(core, w, STAGE_LOCAL_IN, DROP_POLICY_EGRESS, w.id, w.router.detail)
    if not served(core, w, False):
        return False
    if w.inside is not NULL:
        return unknown(core, w, STAGE_DECAPSULATE, w.id, 0)
    return translate(core, w) and end(core, w, VERDICT_DELIVERED, STAGE_DELIVER, w.id)


cdef inline uint32_t came_in_pieces(const Core* core, const Walk* w) noexcept nogil:
    """Length of the largest piece of what was made whole here, else 0."""
    return core.headers[w.carry.row].largest if core.headers is not NULL else 0


cdef inline bint ttl_and_mtu(Core* core, Walk* w) noexcept nogil:
    """Both before NAT, as measured; what came in pieces goes by the largest.      Drops  TTL_EXCEEDED, MTU_EXCEEDED"""
    cdef uint32_t largest = came_in_pieces(core, w)
    if w.carry.device != DEVICE_LOOPBACK:
        if w.result.ttl <= 1:
            object_to(w, ERROR_TTL_EXCEEDED, w.result.ttl, 0)
            return drop(core, w, STAGE_TTL, DROP_TTL_EXCEEDED, w.id, 0)
        w.result.ttl -= 1
    if not fits(w, largest if largest else w.packet.length, w.route.mtu) and w.packet.fragment & PACKET_FLAG_DF:
        if w.carry.device != DEVICE_LOOPBACK:          # of its own packets its own stack learns without an error
            object_to(w, ERROR_FRAG_NEEDED, w.result.ttl + 1, w.route.mtu)
        return drop(core, w, STAGE_MTU, DROP_MTU_EXCEEDED, w.id, w.route.detail)
    return True


cdef inline bint fabric_out(Core* core, Walk* w, const Wire* wire) noexcept nogil:
    """The frame leaves by the router's interface.      Sets  RESULT.wire      Drops  SOURCE_CHECK, SG_EGRESS"""
    emit(core, w, DEVICE_ETHERNET, DIRECTION_OUT, STAGE_FABRIC_OUT, 0, w.route.detail)
    if w.result.wire == 0:
        w.result.wire = wire.length
    if w.router.flags & ROUTER_FLAG_SOURCE_DEST_CHECK and wire.src != w.router.address:
        return drop(core, w, STAGE_FABRIC_OUT, DROP_SOURCE_CHECK, w.id, w.router.detail)
    return egress(core, w, wire)


cdef inline bint policed(Core* core, Walk* w) noexcept nogil:
    """POLICY of what is forwarded, or leaves the node.      Drops  as POLICY, and as guards do"""
    if not w.router.flags & ROUTER_FLAG_GUARDED:
        return police(core, w)
    return forward_in(core, w) and police(core, w) and host_out(core, w)


cdef inline bint tracked(Core* core, Walk* w) noexcept nogil:
    """From CONNTRACK to FRAGMENT, of whole packets.      Drops  CT_INVALID of ICMP errors, and the stages'"""
    if core.headers is not NULL and is_error(w.packet):
        w.quote = &core.headers[w.carry.row]
    w.accepted = False
    if w.router.flags & ROUTER_FLAG_GUARDED:
        unsteady(w)                            # its programs are not followed
    if w.router.flags & ROUTER_FLAG_GUARDED and not untracked(core, w):
        return False
    if not w.accepted and not conntrack(core, w):
        return False
    if w.router.flags & ROUTER_FLAG_GUARDED and not pre_dnat(core, w):
        return False
    balance(core, w)
    if not lookup(core, w, w.result.dst):
        return False
    if (w.quote is not NULL and w.tracking == TRACK_INVALID and w.router.flags & ROUTER_FLAG_CALICO_FILTER
            and w.carry.device != DEVICE_LOOPBACK and not for_node(&w.route)):
        return drop(core, w, STAGE_CONNTRACK, DROP_CT_INVALID, w.id, 0)
    if for_node(&w.route):
        return local_in(core, w)
    if not ttl_and_mtu(core, w) or not policed(core, w) or not served(core, w, True) or not translate(core, w):
        return False
    if w.packet.length > w.route.mtu or came_in_pieces(core, w):       # else its length was measured above
        return proceed(core, w, STAGE_FRAGMENT, w.id, w.route.mtu, STAGE_FRAGMENT, w.id)
    return True


cdef inline apart look_again(Core* core, Walk* w, bint outbound) noexcept nogil:
    """The route of what was cut here. ``outbound``: into a tunnel.      Sets  w.route      Drops  as LOOKUP"""
    if not lookup(core, w, w.result.dst):
        return False
    if w.route.kind != ADJACENCY_TUNNEL if outbound else for_node(&w.route):
        return drop(core, w, STAGE_LOOKUP, DROP_NO_ROUTE, w.id, 0)
    return True


cdef inline bint onward(Core* core, Walk* w, uint32_t start) noexcept nogil:
    """From SOURCE_CHECK or OUTPUT, or a later stage where it resumes, to the interface that it leaves by."""
    cdef uint32_t next_hop, owner = 0
    cdef Wire wire
    if start < STAGE_CONNTRACK:
        if w.carry.device == DEVICE_LOOPBACK:
            if w.result.src == 0 and not choose_source(core, w):
                return False
        elif not source_check(core, w):
            return False
        if is_piece(w.packet.fragment):
            return proceed(core, w, STAGE_DEFRAGMENT, w.id, 0, STAGE_CONNTRACK, w.id)
    if start < STAGE_FRAGMENT:
        if not tracked(core, w):
            return False
    elif not look_again(core, w, False):
        return False
    if w.route.kind == ADJACENCY_LOCAL:
        return to_pod(core, w)
    next_hop = w.route.next_hop if w.route.kind == ADJACENCY_REMOTE else w.result.dst
    if w.route.kind == ADJACENCY_TUNNEL:
        if not encapsulate(core, w, &owner):
            return False
    elif w.route.kind != ADJACENCY_REMOTE or next_hop != core.fib.subnets[w.router.subnet].gateway:
        owner = neighbour(core, w, w.router.subnet, next_hop)
        if not owner:
            if w.carry.device != DEVICE_LOOPBACK:
                object_to(w, ERROR_HOST_UNREACHABLE, w.result.ttl, 0)
            return drop(core, w, STAGE_LOOKUP, DROP_UNREACHABLE, w.id, 0)
    wire = wire_of(w)
    return fabric_out(core, w, &wire) and fabric(core, w, &wire, w.router.subnet, owner, w.id)


cdef inline apart outbound(Core* core, Walk* w) noexcept nogil:
    """An outer piece that was cut here resumes at FABRIC_OUT.      Drops  as LOOKUP, UNREACHABLE"""
    cdef uint32_t owner
    cdef Wire wire
    if not look_again(core, w, True) or not tunnel_link(core, w, &owner):
        return False
    wire = wire_of(w)
    return fabric_out(core, w, &wire) and fabric(core, w, &wire, w.router.subnet, owner, w.id)


cdef inline apart passing(Core* core, Walk* w, uint32_t start) noexcept nogil:
    """An encapsulated packet that is not for this router is to it an ordinary one: the outer header is the packet's."""
    cdef Wrapped inside
    cdef Packet packet = w.packet[0]
    cdef Result* result = w.result
    cdef Result outer = result[0]
    cdef Glance glance
    cdef bint goes_on
    inside.packet, inside.result, inside.encap, inside.tos = w.packet, result, w.carry.encap, w.carry.tos
    packet.protocol, packet.tcp_flags = ENCAPSULATIONS[inside.encap].protocol, 0
    packet.length, packet.fragment = w.carry.outer_length, w.carry.outer_fragment
    outer.src, outer.dst, outer.ttl = result.outer_src, result.outer_dst, w.carry.outer_ttl
    outer.sport, outer.dport = w.carry.outer_sport, w.carry.outer_dport
    unsteady(w)
    w.inside, w.packet, w.result, w.glance, w.carry.encap, w.carry.tos = &inside, &packet, &outer, &glance, 0, w.carry.outer_tos
    glance.into.tuple.flags = glance.out.tuple.flags = 0       # foresees nothing
    glance.dst, glance.class_of_dst = outer.dst, class_of(&core.fib, outer.dst)
    glance.src, glance.class_of_src = outer.src, class_of(&core.fib, outer.src)
    resolve(&core.fib, w.id, outer.dst, glance.class_of_dst, &glance.route)
    resolve(&core.fib, w.id, outer.src, glance.class_of_src, &glance.back)
    glance.tuple = tuple_now(w)
    w.seat = glance.seat = seat_of(core, hash_of(&glance.tuple))
    glance.drawn = False
    goes_on = onward(core, w, start)
    outer.outer_src, outer.outer_dst = outer.src, outer.dst
    w.carry.outer_ttl, w.carry.encap, w.carry.tos = outer.ttl, inside.encap, inside.tos
    w.carry.outer_sport, w.carry.outer_dport = outer.sport, outer.dport
    outer.src, outer.dst, outer.sport, outer.dport, outer.ttl = result.src, result.dst, result.sport, result.dport, result.ttl
    result[0] = outer
    w.packet, w.result, w.inside = inside.packet, result, NULL
    return goes_on


cdef inline bint walk(Core* core, Walk* w) noexcept nogil:
    """All stages of one router. True: the packet is on its way to the next one, ``w.carry`` says which."""
    cdef uint32_t start = STAGE_NONE
    if core.headers is not NULL and core.leg == 1:
        start = core.headers[w.carry.row].resume
    w.result.hops += 1
    if core.leg > MAX_HOPS:
        return drop(core, w, STAGE_LOOKUP, DROP_FORWARDING_LOOP, w.id, 0)
    if start == STAGE_FABRIC_OUT:
        return outbound(core, w)
    if w.carry.device == DEVICE_ETHERNET and start <= STAGE_FABRIC_IN:
        if w.router.flags & ROUTER_FLAG_DOWN:
            return drop(core, w, STAGE_FABRIC_IN, DROP_ENDPOINT_DOWN, w.id, w.router.detail)
        if not fabric_in(core, w):
            return False
        if w.carry.encap and is_piece(w.carry.outer_fragment) and own_address(w.router, w.result.outer_dst):
            return proceed(core, w, STAGE_DEFRAGMENT, w.id, 0, STAGE_DECAPSULATE, w.id)
    if (w.carry.encap and w.carry.device == DEVICE_ETHERNET and start <= STAGE_DECAPSULATE
            and own_address(w.router, w.result.outer_dst) and not decapsulate(core, w)):
        return False
    return passing(core, w, start) if w.carry.encap else onward(core, w, start)
