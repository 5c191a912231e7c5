"""FABRIC: the network between the nodes – same-subnet frames, the cloud's router, its gateway, and what comes from outside."""
from libc.stdint cimport uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.deliver cimport to_host, to_router
from calisim.datapath.stages.groups cimport acl
from calisim.datapath.stages.lookup cimport class_at, dead, resident
from calisim.datapath.stages.verdict cimport drop, end, object_to, proceed, unknown

cdef extern from "intrinsics.h":
    ctypedef bint apart                # of a function that is not for all packets


cdef enum:
    VLAN_TAG = 4                               # bytes that a device takes in beyond its MTU


cdef inline void set_wire_source(Walk* w, uint32_t address) noexcept nogil:
    """The gateway translates the header that it sees."""
    if w.carry.encap:
        w.result.outer_src = address
    else:
        w.result.src = address


cdef inline void set_wire_destination(Walk* w, uint32_t address) noexcept nogil:
    if w.carry.encap:
        w.result.outer_dst = address
    else:
        w.result.dst = address


cdef inline void complains(Core* core, Walk* w, uint32_t error, uint8_t ttl, uint32_t mtu) noexcept nogil:
    """A Linux router tells the sender of the loss that follows, AWS is silent. ``ttl``: of the quote."""
    if core.fib.fabric.flags & FABRIC_FLAG_DECREMENTS_TTL:
        object_to(w, error, ttl, mtu)


cdef inline apart too_big(Core* core, Walk* w, const Wire* wire, uint32_t place, uint32_t detail) noexcept nogil:
    """Longer than a cloud takes: lost with DF, else the fragments' fate is unknown.      Drops  FABRIC_MTU"""
    if wire.fragment & PACKET_FLAG_DF:
        return drop(core, w, STAGE_FABRIC, DROP_FABRIC_MTU, place, detail)
    return unknown(core, w, STAGE_FABRIC, place, 0)


cdef inline uint8_t wire_ttl(const Walk* w) noexcept nogil:
    return w.carry.outer_ttl if w.carry.encap else w.result.ttl


cdef inline bint fits_leg(Core* core, Walk* w, const Wire* wire, uint32_t owner, uint32_t place) noexcept nogil:
    """A Linux router's leg may be narrower than the rest; without DF the router cuts.      Drops  FABRIC_MTU"""
    cdef const Endpoint* endpoint = &core.fib.endpoints[owner]
    cdef uint32_t subnet, limit
    if not core.fib.fabric.flags & FABRIC_FLAG_DECREMENTS_TTL:
        return True
    subnet = core.fib.routers[endpoint.router].subnet if endpoint.kind == ENDPOINT_NODE else endpoint.subnet
    limit = core.fib.subnets[subnet].mtu
    if not limit or limit > core.fib.fabric.mtu:
        limit = core.fib.fabric.mtu            # which what has DF was measured by before (age)
    if fits(w, wire.length, limit):
        return True
    if wire.fragment & PACKET_FLAG_DF:
        complains(core, w, ERROR_FRAG_NEEDED, wire_ttl(w) + 1, limit)
        return drop(core, w, STAGE_FABRIC, DROP_FABRIC_MTU, place, core.fib.fabric.detail)
    if endpoint.kind == ENDPOINT_NODE:
        return proceed(core, w, STAGE_FABRIC, place, limit, STAGE_FABRIC_IN, endpoint.router)
    return proceed(core, w, STAGE_FABRIC, place, limit, STAGE_DELIVER, owner)


cdef inline bint to_node(Core* core, Walk* w, uint32_t router, uint32_t place, uint32_t sender) noexcept nogil:
    """The router hands a packet to a node's interface.      Drops  UNREACHABLE"""
    if dead(&core.fib, router):
        complains(core, w, ERROR_HOST_UNREACHABLE, wire_ttl(w), 0)
        return drop(core, w, STAGE_FABRIC, DROP_UNREACHABLE, place, 0)
    return to_router(w, router, sender, True)


cdef inline bint to_owner(
    Core* core, Walk* w, uint32_t owner, const Wire* wire, uint32_t place, uint32_t sender,
) noexcept nogil:
    """A routed packet reaches the interface that has its address.      Drops  UNREACHABLE, NACL_IN (of a host's subnet)"""
    if core.fib.endpoints[owner].kind == ENDPOINT_NODE:
        return to_node(core, w, core.fib.endpoints[owner].router, place, sender)
    if not acl(core, w, wire, &core.fib.subnets[core.fib.endpoints[owner].subnet], True):
        return False
    return to_host(core, w, owner)


cdef inline bint age(Core* core, Walk* w, const Wire* wire, uint32_t place) noexcept nogil:
    """A Linux router is a hop, the AWS fabric is none.      Drops  TTL_EXCEEDED, FABRIC_MTU"""
    if not core.fib.fabric.flags & FABRIC_FLAG_DECREMENTS_TTL:
        return True
    if wire_ttl(w) <= 1:
        complains(core, w, ERROR_TTL_EXCEEDED, wire_ttl(w), 0)
        return drop(core, w, STAGE_FABRIC, DROP_TTL_EXCEEDED, place, 0)
    if not fits(w, wire.length, core.fib.fabric.mtu) and wire.fragment & PACKET_FLAG_DF:
        complains(core, w, ERROR_FRAG_NEEDED, wire_ttl(w), core.fib.fabric.mtu)
        return drop(core, w, STAGE_FABRIC, DROP_FABRIC_MTU, place, core.fib.fabric.detail)
    if w.carry.encap:
        w.carry.outer_ttl -= 1
    else:
        w.result.ttl -= 1
    w.result.hops += 1
    return True


cdef inline apart deliver_anyhow(Core* core, Walk* w, const Wire* wire, uint32_t place, uint32_t sender) noexcept nogil:
    """Provider plain: whoever has the address gets it, pods included.      Drops  FABRIC_NO_OWNER"""
    cdef const Class* c = &core.fib.classes[class_at(core, w, wire.dst)]
    cdef uint32_t owner = resident(&core.fib, c, wire.dst)
    if owner:
        if core.fib.endpoints[owner].kind == ENDPOINT_HOST:
            return to_host(core, w, owner)
        return to_router(w, core.fib.endpoints[owner].router, sender, False)
    if c.flags & (CLASS_FLAG_SUBNET | CLASS_FLAG_POOL):
        return drop(core, w, STAGE_FABRIC, DROP_FABRIC_NO_OWNER, place, 0)
    return end(core, w, VERDICT_EXITED, STAGE_FABRIC, place)


cdef inline bint is_private(uint32_t address) noexcept nogil:
    """RFC 1918, RFC 6598, RFC 3927: the internet has no route to these."""
    return (address >> 24 == 10 or address >> 20 == 0xAC1 or address >> 16 == 0xC0A8
            or address >> 22 == 0x191 or address >> 16 == 0xA9FE)


cdef inline bint leads_outside(
    Core* core, Walk* w, const Wire* wire, const Class* c, const Target* target, uint32_t place,
) noexcept nogil:
    """A default route is none for what nobody outside can know: pods, subnets, private addresses.      Drops  FABRIC_NO_ROUTE"""
    if not c.host and not c.public and (
            c.flags & (CLASS_FLAG_SUBNET | CLASS_FLAG_POOL) or (target.kind == TARGET_INTERNET and is_private(wire.dst))):
        complains(core, w, ERROR_NET_UNREACHABLE, wire_ttl(w) + 1, 0)
        return drop(core, w, STAGE_FABRIC, DROP_FABRIC_NO_ROUTE, place, target.detail)
    return True


cdef inline bint outside(
    Core* core, Walk* w, const Wire* wire, const Class* c, const Target* target, uint32_t place,
) noexcept nogil:
    """Beyond the gateway: a host, a public address of ours, or the rest of the world."""
    cdef uint32_t limit = min(core.fib.fabric.mtu, core.fib.fabric.internet_mtu)
    if c.public and not c.host:
        set_wire_destination(w, core.fib.routers[c.public].address)
        return to_router(w, c.public, 0, True)
    if target.kind == TARGET_OUTSIDE and not fits(w, wire.length, limit) and not wire.fragment & PACKET_FLAG_DF:
        return proceed(core, w, STAGE_FABRIC, place, limit, STAGE_DELIVER, c.host)
    return to_host(core, w, c.host) if c.host else end(core, w, VERDICT_EXITED, STAGE_FABRIC, place)


cdef inline bint internet(
    Core* core, Walk* w, const Wire* wire, const Class* c, const Target* target, uint32_t sender,
) noexcept nogil:
    """The internet gateway.      Drops  FABRIC_NO_ROUTE, IGW_NO_PUBLIC_ADDRESS, FABRIC_MTU      Sets  the wire's source"""
    cdef const Router* router = &core.fib.routers[sender]
    cdef uint32_t owner
    if router.address != wire.src:             # it sends in another's name
        owner = core.fib.classes[class_at(core, w, wire.src)].interface
        router = &core.fib.routers[owner if owner <= core.fib.router_count else 0]
    if not leads_outside(core, w, wire, c, target, target.place):
        return False
    if not router.flags & ROUTER_FLAG_PUBLIC or router.address != wire.src:
        return drop(core, w, STAGE_FABRIC, DROP_IGW_NO_PUBLIC_ADDRESS, target.place, target.detail)
    if not fits(w, wire.length, core.fib.fabric.internet_mtu):
        return too_big(core, w, wire, target.place, target.detail)
    if router.public_address:
        set_wire_source(w, router.public_address)
    return outside(core, w, wire, c, target, target.place)


cdef inline bint routed(Core* core, Walk* w, const Wire* wire, const Subnet* subnet, uint32_t sender) noexcept nogil:
    """The cloud's router and the route table of the sender's subnet.

    Uses   the wire's header    Sets  ROUTED, next leg
    Drops  FABRIC_MTU, TTL_EXCEEDED, NACL_OUT, FABRIC_NO_ROUTE, ROUTE_QUOTA, FABRIC_NO_OWNER and the gateway's
    """
    cdef uint32_t place = subnet.place, number, owner
    cdef const Target* target
    if (core.fib.fabric.flags & FABRIC_FLAG_DECREMENTS_TTL and subnet.mtu
            and not fits(w, wire.length, <uint32_t>subnet.mtu + VLAN_TAG)):     # what its leg takes in (is_skb_forwardable)
        return drop(core, w, STAGE_FABRIC, DROP_FABRIC_MTU, place, core.fib.fabric.detail)
    w.result.flags |= RESULT_FLAG_ROUTED
    number = class_at(core, w, wire.dst)
    target = &core.fib.targets[core.fib.target_rows[<size_t>subnet.table * core.fib.class_count + number]]
    if target.kind == TARGET_NONE and core.fib.fabric.flags & FABRIC_FLAG_DECREMENTS_TTL and wire_ttl(w) <= 1:
        complains(core, w, ERROR_NET_UNREACHABLE, wire_ttl(w), 0)          # Linux looks for a route first
        return drop(core, w, STAGE_FABRIC, DROP_FABRIC_NO_ROUTE, place, target.detail)
    if not age(core, w, wire, place) or not acl(core, w, wire, subnet, False):
        return False
    if target.kind == TARGET_LOCAL:
        owner = core.fib.classes[number].interface
        if not owner:
            complains(core, w, ERROR_HOST_UNREACHABLE, wire_ttl(w), 0)
            return drop(core, w, STAGE_FABRIC, DROP_FABRIC_NO_OWNER, place, target.detail)
        return fits_leg(core, w, wire, owner, place) and to_owner(core, w, owner, wire, place, sender)
    if target.kind == TARGET_NODE:
        return fits_leg(core, w, wire, target.router, place) and to_node(core, w, target.router, place, sender)
    if target.kind == TARGET_INTERNET:
        return internet(core, w, wire, &core.fib.classes[number], target, sender)
    if target.kind == TARGET_OUTSIDE:
        if not fits(w, wire.length, core.fib.fabric.internet_mtu) and wire.fragment & PACKET_FLAG_DF:
            complains(core, w, ERROR_FRAG_NEEDED, wire_ttl(w) + 1, core.fib.fabric.internet_mtu)
            return drop(core, w, STAGE_FABRIC, DROP_FABRIC_MTU, place, target.detail)
        return (leads_outside(core, w, wire, &core.fib.classes[number], target, place)
                and outside(core, w, wire, &core.fib.classes[number], target, place))
    if target.kind == TARGET_NAT:
        return unknown(core, w, STAGE_FABRIC, place, target.detail)
    if target.kind == TARGET_QUOTA:
        return drop(core, w, STAGE_FABRIC, DROP_ROUTE_QUOTA, place, target.detail)
    if target.kind == TARGET_NONE:
        complains(core, w, ERROR_NET_UNREACHABLE, wire_ttl(w) + 1, 0)
    return drop(core, w, STAGE_FABRIC, DROP_FABRIC_NO_ROUTE, place, target.detail)


cdef inline bint fabric(
    Core* core, Walk* w, const Wire* wire, uint32_t from_subnet, uint32_t owner, uint32_t sender,
) noexcept nogil:
    """A frame leaves an interface. ``owner``: of the next hop's address on the subnet's link, 0: the gateway.

    Drops  FABRIC_PROTOCOL, FABRIC_MTU, ADDRESS_UNUSED and the router's
    """
    cdef const Subnet* subnet = &core.fib.subnets[from_subnet]
    cdef uint32_t flags = core.fib.fabric.flags & (FABRIC_FLAG_DECREMENTS_TTL | FABRIC_FLAG_ROUTES_PODS)
    if core.fib.blocked[wire.protocol]:
        return drop(core, w, STAGE_FABRIC, DROP_FABRIC_PROTOCOL, subnet.place, core.fib.fabric.detail)
    # a Linux router looks at the TTL first (age)
    if (owner or flags != FABRIC_FLAG_DECREMENTS_TTL) and not fits(w, wire.length, core.fib.fabric.mtu):
        return too_big(core, w, wire, subnet.place, core.fib.fabric.detail)
    if owner:
        if core.fib.endpoints[owner].kind == ENDPOINT_NODE:
            return to_router(w, core.fib.endpoints[owner].router, sender, False)
        if wire.dst != core.fib.endpoints[owner].address:
            return drop(core, w, STAGE_FABRIC, DROP_ADDRESS_UNUSED, subnet.place, 0)
        return to_host(core, w, owner)
    if core.fib.fabric.flags & FABRIC_FLAG_ROUTES_PODS:
        return deliver_anyhow(core, w, wire, subnet.place, sender)
    return routed(core, w, wire, subnet, sender)


cdef inline apart from_outside(Core* core, Walk* w) noexcept nogil:
    """A host outside the VPCs sends.      Drops  FABRIC_NO_ROUTE, TTL_EXCEEDED, NACL_IN, FABRIC_NO_OWNER"""
    cdef Wire wire = wire_of(w)
    cdef const Class* c = &core.fib.classes[class_at(core, w, wire.dst)]
    cdef uint32_t place = core.fib.fabric.gateway_place, owner = c.interface
    cdef const Router* router = &core.fib.routers[owner if owner <= core.fib.router_count else 0]
    if core.fib.fabric.flags & FABRIC_FLAG_ROUTES_PODS:
        return deliver_anyhow(core, w, &wire, 0, 0)
    if c.public:
        owner = c.public
    elif not owner or not (core.fib.fabric.flags & FABRIC_FLAG_OUTSIDE
                           or (router.flags & ROUTER_FLAG_PUBLIC and not router.public_address)):
        if not c.flags & CLASS_FLAG_SUBNET:
            complains(core, w, ERROR_NET_UNREACHABLE, wire_ttl(w), 0)
        elif wire_ttl(w) > 1:                      # it is asked for on the link, in vain
            complains(core, w, ERROR_HOST_UNREACHABLE, wire_ttl(w) - 1, 0)
        return drop(core, w, STAGE_FABRIC, DROP_FABRIC_NO_ROUTE, place, 0)
    w.result.flags |= RESULT_FLAG_ROUTED
    if not age(core, w, &wire, place):
        return False
    if c.public:
        set_wire_destination(w, core.fib.routers[c.public].address)
        return fits_leg(core, w, &wire, c.public, place) and to_node(core, w, c.public, place, 0)
    return fits_leg(core, w, &wire, owner, place) and to_owner(core, w, owner, &wire, place, 0)


cdef inline apart from_place(Core* core, Walk* w, uint32_t place) noexcept nogil:
    """The router itself sends: neither aged nor filtered on its way out.      Drops  FABRIC_NO_ROUTE, UNREACHABLE, NACL_IN"""
    cdef Wire wire = wire_of(w)
    cdef const Class* c = &core.fib.classes[class_at(core, w, wire.dst)]
    w.result.flags |= RESULT_FLAG_ROUTED
    if c.interface:
        return to_owner(core, w, c.interface, &wire, place, 0)
    if c.host:
        return to_host(core, w, c.host)
    return drop(core, w, STAGE_FABRIC, DROP_FABRIC_NO_ROUTE, place, 0)
