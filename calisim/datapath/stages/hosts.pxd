"""Guards (HostEndpoints) of a node's interfaces: the chains of Felix in the raw, mangle and filter tables.

Only routers with ROUTER_FLAG_GUARDED come here; known connections were accepted before.
"""
from libc.stdint cimport uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport Core, Route, Walk, TRACK_INVALID, TRACK_NOT
from calisim.datapath.stages.lookup cimport class_of, nobody, resolve
from calisim.datapath.stages.police cimport Suspect, sentence, suspect
from calisim.datapath.stages.verdict cimport drop

cdef extern from "intrinsics.h":
    ctypedef bint apart                # of a function that is not for all packets


cdef inline const Guard* guard_of(const Core* core, const Walk* w, uint32_t device) noexcept nogil:
    """Guard 0 has no programs."""
    return &core.fib.guards[core.fib.interfaces[<size_t>w.id * DEVICE_COUNT + device]]


cdef inline bint ask_guard(
    Core* core, Walk* w, const Guard* guard, uint32_t program, uint32_t failsafe, bint outbound, bint* accepts,
) noexcept nogil:
    """One program of a guard, after its failsafes.

    Sets   accepts: the program allows the packet; a hit      Drops  CT_INVALID, POLICY_INGRESS, POLICY_EGRESS
    """
    cdef uint32_t decider, said
    cdef Suspect s
    accepts[0] = False
    if not program:
        return True
    if w.tracking == TRACK_INVALID:
        return drop(core, w, STAGE_CONNTRACK, DROP_CT_INVALID, w.id, 0)
    suspect(&s, w.packet, w.result.src, w.result.dst, w.result.sport, w.result.dport)
    if failsafe and sentence(&core.fib, failsafe, 0, &s, &decider) == POLICY_ACTION_ALLOW:
        core.hits[decider] += decider != 0
        return True
    said = sentence(&core.fib, program, guard.detail, &s, &decider)
    core.hits[decider] += decider != 0
    if said == POLICY_ACTION_DENY:
        return drop(core, w, STAGE_POLICY, DROP_POLICY_EGRESS if outbound else DROP_POLICY_INGRESS, w.id, decider)
    accepts[0] = said == POLICY_ACTION_ALLOW
    return True


cdef inline bint between_nodes(const Core* core, const Walk* w, uint32_t peer) noexcept nogil:
    """A tunnel of this node's to or from another one."""
    cdef const Encapsulation* vxlan = &ENCAPSULATIONS[ENCAP_VXLAN]
    if w.packet.protocol == ENCAPSULATIONS[ENCAP_IPIP].protocol:
        if not w.router.ipip_address:
            return False
    elif w.packet.protocol != vxlan.protocol or w.result.dport != vxlan.port or not w.router.vxlan_address:
        return False
    return core.fib.classes[class_of(&core.fib, peer)].flags & CLASS_FLAG_TUNNEL_SENDER != 0


cdef inline apart untracked(Core* core, Walk* w) noexcept nogil:
    """The raw table, before conntrack.      Sets  w.accepted and, with it, w.tracking      Drops  POLICY_*"""
    cdef const Guard* guard = guard_of(core, w, w.carry.device)
    cdef Route route
    w.tracking = TRACK_NOT                     # nothing is INVALID yet
    if w.carry.device != DEVICE_LOOPBACK:
        if w.carry.device == DEVICE_VETH:
            return True
        return ask_guard(core, w, guard, guard.untracked_ingress, guard.failsafe_untracked_in, False, &w.accepted)
    resolve(&core.fib, w.id, w.result.dst, class_of(&core.fib, w.result.dst), &route)
    if route.kind == ADJACENCY_DROP or (route.device != DEVICE_LOOPBACK and nobody(w.result.dst)):
        return True
    guard = guard_of(core, w, route.device)
    return ask_guard(core, w, guard, guard.untracked_egress, guard.failsafe_untracked_out, True, &w.accepted)


cdef inline apart pre_dnat(Core* core, Walk* w) noexcept nogil:
    """The mangle table, before services are asked.      Sets  w.accepted      Drops  CT_INVALID, POLICY_INGRESS"""
    cdef const Guard* guard = guard_of(core, w, w.carry.device)
    if w.carry.device == DEVICE_LOOPBACK or w.tracking == TRACK_NOT or w.connection is not NULL:
        return True
    return ask_guard(core, w, guard, guard.pre_dnat, guard.failsafe_in, False, &w.accepted)


cdef inline apart host_in(Core* core, Walk* w) noexcept nogil:
    """INPUT, and before it OUTPUT of what the node says to itself.      Drops  CT_INVALID, POLICY_*"""
    cdef const Guard* guard = guard_of(core, w, w.carry.device)
    cdef bint ignored
    if w.accepted or w.carry.device == DEVICE_VETH or w.connection is not NULL:
        return True
    if w.carry.device == DEVICE_LOOPBACK:
        if not between_nodes(core, w, w.result.dst) and not ask_guard(
                core, w, guard, guard.egress, guard.failsafe_out, True, &ignored):
            return False
        if not ask_guard(core, w, guard, guard.pre_dnat, guard.failsafe_in, False, &w.accepted):
            return False
    if w.accepted or between_nodes(core, w, w.result.src):
        return True
    return ask_guard(core, w, guard, guard.ingress, guard.failsafe_in, False, &ignored)


cdef inline bint keeps_to_itself(const Walk* w) noexcept nogil:
    """A pod's packet to its own address, not through a service, never leaves it."""
    return w.carry.device == DEVICE_VETH and w.route.endpoint == w.packet.ingress and not w.redirected


cdef inline apart forward_in(Core* core, Walk* w) noexcept nogil:
    """FORWARD, before the pods' chains.      Drops  POLICY_INGRESS"""
    cdef const Guard* guard = guard_of(core, w, w.carry.device)
    cdef bint ignored
    if w.accepted or w.carry.device == DEVICE_LOOPBACK or w.connection is not NULL or keeps_to_itself(w):
        return True
    return ask_guard(core, w, guard, guard.forward_ingress, 0, False, &ignored)


cdef inline apart host_out(Core* core, Walk* w) noexcept nogil:
    """FORWARD, behind the pods' chains, and OUTPUT.      Drops  CT_INVALID, POLICY_EGRESS"""
    cdef const Guard* guard = guard_of(core, w, w.route.device)
    cdef bint ignored
    if w.connection is not NULL or keeps_to_itself(w):
        return True
    if w.carry.device != DEVICE_LOOPBACK:
        return ask_guard(core, w, guard, guard.forward_egress, 0, True, &ignored)
    if w.accepted or w.route.device == DEVICE_VETH or between_nodes(core, w, w.result.dst):
        return True
    return ask_guard(core, w, guard, guard.egress, guard.failsafe_out, True, &ignored)
