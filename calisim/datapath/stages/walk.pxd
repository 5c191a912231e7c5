"""One leg: a packet at one router, from its interface to the next one's. The order of the stages is written here."""
from libc.stdint cimport uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.conntrack cimport conntrack, tuple_now
from calisim.datapath.stages.deliver cimport to_pod
from calisim.datapath.stages.emit cimport emit
from calisim.datapath.stages.encapsulate cimport decapsulate, encapsulate
from calisim.datapath.stages.fabric cimport fabric
from calisim.datapath.stages.groups cimport acl, egress, ingress
from calisim.datapath.stages.lookup cimport answers, lookup, resolve
from calisim.datapath.stages.source_check cimport source_check
from calisim.datapath.stages.track cimport hash_of
from calisim.datapath.stages.translate cimport translate
from calisim.datapath.stages.verdict cimport drop, end, object_to, too_big, unknown


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


cdef inline bint choose_source(Core* core, Walk* w) noexcept nogil:
    """Hook OUTPUT without a bound source: the route's device decides.      Drops  as LOOKUP"""
    cdef Tuple t
    if not lookup(core, w, w.result.dst):
        return False
    w.result.src = device_address(w.router, w.route.device)
    t = tuple_now(w)
    w.hash = hash_of(&t)
    return True


cdef inline bint pods_policy(Core* core, Walk* w) noexcept nogil:
    """Felix: a workload opens neither IP-in-IP nor VXLAN, unless told to.      Drops  ENCAP_FROM_POD"""
    cdef const Encapsulation* vxlan = &ENCAPSULATIONS[ENCAP_VXLAN]
    if not w.router.flags & ROUTER_FLAG_CALICO_FILTER or w.connection is not NULL:
        return True
    if ((w.packet.protocol == ENCAPSULATIONS[ENCAP_IPIP].protocol and not w.router.flags & ROUTER_FLAG_PODS_SEND_IPIP)
            or (w.packet.protocol == vxlan.protocol and w.result.dport == vxlan.port
                and not w.router.flags & ROUTER_FLAG_PODS_SEND_VXLAN)):
        return drop(core, w, STAGE_POLICY, DROP_ENCAP_FROM_POD, w.id, 0)
    return True


cdef inline bint local_in(Core* core, Walk* w) noexcept nogil:
    """Addressed to the node itself.

    Drops  ENCAP_FROM_POD, POLICY_EGRESS (defaultEndpointToHostAction), SNAT_PORTS_EXHAUSTED
    """
    if w.carry.device == DEVICE_VETH and not pods_policy(core, w):
        return False
    if w.carry.device == DEVICE_VETH and w.router.flags & ROUTER_FLAG_HOST_ACTION_DROP and w.connection is NULL:
        return drop(core, w, STAGE_LOCAL_IN, DROP_POLICY_EGRESS, w.id, w.router.detail)
    if w.inside is not NULL:
        return unknown(core, w, STAGE_DECAPSULATE, w.id, 0)
    return translate(core, w) and end(core, w, VERDICT_DELIVERED, STAGE_DELIVER, w.id)


cdef inline bint ttl_and_mtu(Core* core, Walk* w) noexcept nogil:
    """Both before NAT, as measured.      Drops  TTL_EXCEEDED, MTU_EXCEEDED"""
    if w.carry.device != DEVICE_LOOPBACK:
        if w.result.ttl <= 1:
            object_to(w, ERROR_TTL_EXCEEDED, w.result.ttl, 0)
            return drop(core, w, STAGE_TTL, DROP_TTL_EXCEEDED, w.id, 0)
        w.result.ttl -= 1
    if w.packet.length > w.route.mtu:
        if w.carry.device != DEVICE_LOOPBACK:          # of its own packets its own stack learns without an error
            object_to(w, ERROR_FRAG_NEEDED, w.result.ttl + 1, w.route.mtu)
        return too_big(
            core, w, (w.packet.fragment & PACKET_FLAG_DF) != 0, STAGE_MTU, STAGE_FRAGMENT, DROP_MTU_EXCEEDED, w.id,
            w.route.detail)
    return True


cdef inline bint fabric_out(Core* core, Walk* w) noexcept nogil:
    """The frame leaves by the router's interface.      Sets  RESULT.wire      Drops  SOURCE_CHECK, SG_EGRESS"""
    cdef Wire wire = wire_of(w)
    emit(core, w, DEVICE_ETHERNET, DIRECTION_OUT, STAGE_FABRIC_OUT, 0, w.route.detail)
    if w.result.wire == 0:
        w.result.wire = wire.length
    if w.router.flags & ROUTER_FLAG_SOURCE_DEST_CHECK and wire.src != w.router.address:
        return drop(core, w, STAGE_FABRIC_OUT, DROP_SOURCE_CHECK, w.id, w.router.detail)
    return egress(core, w, &wire)


cdef inline bint onward(Core* core, Walk* w) noexcept nogil:
    """From SOURCE_CHECK or OUTPUT to the interface that it leaves by."""
    cdef uint32_t next_hop
    if w.carry.device == DEVICE_LOOPBACK:
        if w.result.src == 0 and not choose_source(core, w):
            return False
    elif not source_check(core, w):
        return False
    if core.headers is not NULL and is_error(w.packet):
        w.quote = &core.headers[w.carry.row]
    if not conntrack(core, w) or not lookup(core, w, w.result.dst):
        return False
    if (w.quote is not NULL and w.tracking == TRACK_INVALID and w.router.flags & ROUTER_FLAG_CALICO_FILTER
            and w.carry.device != DEVICE_LOOPBACK and (w.route.kind != ADJACENCY_LOCAL or w.route.endpoint)):
        return drop(core, w, STAGE_CONNTRACK, DROP_CT_INVALID, w.id, 0)
    if w.route.kind == ADJACENCY_LOCAL and not w.route.endpoint:
        return local_in(core, w)
    if not ttl_and_mtu(core, w) or (w.carry.device == DEVICE_VETH and not pods_policy(core, w)) or not translate(core, w):
        return False
    if w.route.kind == ADJACENCY_LOCAL:
        return to_pod(core, w)
    next_hop = w.route.next_hop if w.route.kind == ADJACENCY_REMOTE else w.result.dst
    if w.route.kind == ADJACENCY_TUNNEL:
        if not encapsulate(core, w, &next_hop):
            return False
    elif w.route.kind == ADJACENCY_REMOTE and next_hop == core.fib.subnets[w.router.subnet].gateway:
        next_hop = 0
    elif not answers(&core.fib, w.router.subnet, next_hop):
        if w.carry.device != DEVICE_LOOPBACK:
            object_to(w, ERROR_HOST_UNREACHABLE, w.result.ttl, 0)
        return drop(core, w, STAGE_LOOKUP, DROP_UNREACHABLE, w.id, 0)
    return fabric_out(core, w) and fabric(core, w, w.router.subnet, next_hop, w.id)


cdef inline bint passing(Core* core, Walk* w) noexcept nogil:
    """An encapsulated packet that is not for this router is to it an ordinary one: the outer header is the packet's."""
    cdef Wrapped inside
    cdef Packet packet = w.packet[0]
    cdef Result* result = w.result
    cdef Result outer = result[0]
    cdef Glance glance
    cdef Tuple t
    cdef bint goes_on
    inside.packet, inside.result, inside.encap, inside.tos = w.packet, result, w.carry.encap, w.carry.tos
    packet.protocol, packet.tcp_flags = ENCAPSULATIONS[inside.encap].protocol, 0
    packet.length, packet.fragment = packet.length + ENCAPSULATIONS[inside.encap].overhead, w.carry.outer_fragment
    outer.src, outer.dst, outer.ttl = result.outer_src, result.outer_dst, w.carry.outer_ttl
    outer.sport, outer.dport = w.carry.outer_sport, ENCAPSULATIONS[inside.encap].port
    w.inside, w.packet, w.result, w.glance, w.carry.encap, w.carry.tos = &inside, &packet, &outer, &glance, 0, w.carry.outer_tos
    glance.dst = outer.dst
    resolve(&core.fib, w.id, outer.dst, &glance.route)
    resolve(&core.fib, w.id, outer.src, &glance.back)
    t = tuple_now(w)
    w.hash = glance.hash = hash_of(&t)
    goes_on = onward(core, w)
    outer.outer_src, outer.outer_dst = outer.src, outer.dst
    w.carry.outer_ttl, w.carry.outer_sport, w.carry.encap, w.carry.tos = outer.ttl, outer.sport, inside.encap, inside.tos
    outer.src, outer.dst, outer.sport, outer.dport, outer.ttl = result.src, result.dst, result.sport, result.dport, result.ttl
    result[0] = outer
    w.packet, w.result, w.inside = inside.packet, result, NULL
    return goes_on


cdef inline bint walk(Core* core, Walk* w) noexcept nogil:
    """All stages of one router. True: the packet is on its way to the next one, ``w.carry`` says which."""
    w.result.hops += 1
    if core.leg > MAX_HOPS:
        return drop(core, w, STAGE_LOOKUP, DROP_FORWARDING_LOOP, w.id, 0)
    if w.carry.device == DEVICE_ETHERNET:
        if w.router.flags & ROUTER_FLAG_DOWN:
            return drop(core, w, STAGE_FABRIC_IN, DROP_ENDPOINT_DOWN, w.id, w.router.detail)
        if not fabric_in(core, w):
            return False
        if w.carry.encap and own_address(w.router, w.result.outer_dst) and not decapsulate(core, w):
            return False
    return passing(core, w) if w.carry.encap else onward(core, w)
