"""Filters of the network between the nodes: security groups (stateful, per router) and NACLs (per subnet)."""
from libc.stdint cimport uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.lookup cimport class_at
from calisim.datapath.stages.expiry cimport fabric_timeout, later
from calisim.datapath.stages.ties cimport mark, touch
from calisim.datapath.stages.track cimport enter, find_at, inverse, is_original, seat_foreseen, tuple_of
from calisim.datapath.stages.verdict cimport drop


cdef inline bint covers(const Rule* rule, const Wire* wire) noexcept nogil:
    """A rule's protocol and destination port (ICMP: type)."""
    cdef uint32_t port = 0
    if wire.protocol == PROTOCOL_TCP or wire.protocol == PROTOCOL_UDP:
        port = wire.dport
    elif wire.protocol == PROTOCOL_ICMP:
        port = wire.dport >> 8
    return rule.protocol == 256 or (rule.protocol == wire.protocol and rule.low <= port <= rule.high)


cdef inline uint64_t groups_of(const Core* core, const Walk* w, uint32_t address) noexcept nogil:
    """Groups of the node whose interface has the address, else none."""
    cdef uint32_t owner = core.fib.classes[class_at(core, w, address)].interface
    cdef const Endpoint* endpoint = &core.fib.endpoints[owner]
    return core.fib.routers[endpoint.router].groups if owner and endpoint.kind == ENDPOINT_NODE else 0


cdef inline Tuple group_tuple(const Router* router, const Wire* wire) noexcept nogil:
    """The key of the groups' tracking at a router."""
    return tuple_of(
        router.key, wire.src, wire.dst, wire.sport, wire.dport, wire.protocol, CONNECTION_FLAG_TRACKED_BY_FABRIC)


cdef inline void refresh(Core* core, Connection* c, bint original, uint64_t expires) noexcept nogil:
    """One packet more of something that is let through."""
    mark(core, c)
    if original:
        c.packets += 1
    else:
        c.reply_packets += 1
        c.state = CONNECTION_ESTABLISHED
    c.expires = expires


cdef inline bint allowed(Core* core, const Walk* w, const Wire* wire, bint outbound) noexcept nogil:
    """By a rule of the router's security groups: the peer's prefix or group, by membership of the other interface."""
    cdef uint32_t first = w.router.rules_out if outbound else w.router.rules_in
    cdef uint32_t count = w.router.rules_out_count if outbound else w.router.rules_in_count
    cdef uint32_t peer = wire.dst if outbound else wire.src, i
    cdef uint64_t peer_groups = 0
    cdef bint asked = False
    cdef const Rule* rule
    for i in range(first, first + count):
        rule = &core.fib.rules[i]
        if not covers(rule, wire):
            continue
        if rule.group and not asked:
            peer_groups = groups_of(core, w, wire.dst) if outbound else core.fib.routers[w.carry.sender].groups
            asked = True
        if (rule.group & peer_groups) != 0 if rule.group else peer & rule.mask == rule.network:
            return True
    return False


cdef inline bint admitted(Core* core, Walk* w, const Wire* wire, bint outbound) noexcept nogil:
    """Whether the security groups of the router let it pass: its own direction has passed,
    or the other one in an earlier wave (none answers another of its wave), or a rule allows it."""
    cdef Tuple t = group_tuple(w.router, wire), reply
    cdef uint64_t time = w.packet.time, span = fabric_timeout(wire.protocol)
    cdef Seat seat = seat_foreseen(core, &w.glance.out if outbound else &w.glance.into, &t)
    cdef Connection* c = find_at(core, &t, &seat, time)
    cdef bint original = c is not NULL and is_original(c, &t)
    if c is not NULL and (original or c.wave & WAVE_BITS < core.wave):
        touch(core, w, c, not original)
        refresh(core, c, original, later(time, span))
        return True
    unsteady(w)
    if not allowed(core, w, wire, outbound):
        return False
    if c is not NULL:
        refresh(core, c, False, later(time, span))
    else:
        reply = inverse(&t)
        enter(core, &t, &reply, &seat, &seat, w.id, CONNECTION_NEW, time, span)
    return True


cdef inline bint egress(Core* core, Walk* w, const Wire* wire) noexcept nogil:
    """Security groups at the sending interface.      Drops  SG_EGRESS"""
    if w.router.groups and not admitted(core, w, wire, True):
        return drop(core, w, STAGE_FABRIC_OUT, DROP_SG_EGRESS, w.id, w.router.group_detail)
    return True


cdef inline bint ingress(Core* core, Walk* w, const Wire* wire) noexcept nogil:
    """Security groups at the receiving interface.      Drops  SG_INGRESS"""
    if w.router.groups and not admitted(core, w, wire, False):
        return drop(core, w, STAGE_FABRIC_IN, DROP_SG_INGRESS, w.id, w.router.group_detail)
    return True


cdef inline bint acl(
    Core* core, Walk* w, const Wire* wire, const Subnet* subnet, bint inbound,
) noexcept nogil:
    """A NACL: the first rule that matches decides, none denies.      Drops  NACL_IN, NACL_OUT"""
    cdef uint32_t first = subnet.acl_in if inbound else subnet.acl_out
    cdef uint32_t count = subnet.acl_in_count if inbound else subnet.acl_out_count
    cdef uint32_t peer = wire.src if inbound else wire.dst
    cdef uint32_t detail = subnet.detail, i
    if not (subnet.filtered_in if inbound else subnet.filtered_out):
        return True
    for i in range(first, first + count):
        if covers(&core.fib.rules[i], wire) and not core.fib.rules[i].group and (
                peer & core.fib.rules[i].mask == core.fib.rules[i].network):
            if core.fib.rules[i].action:
                return True
            detail = core.fib.rules[i].detail
            break
    if inbound:
        return drop(core, w, STAGE_FABRIC_IN, DROP_NACL_IN, subnet.place, detail)
    return drop(core, w, STAGE_FABRIC, DROP_NACL_OUT, subnet.place, detail)
