"""LOOKUP: own addresses, then one walk down the shared 16-10-6 table, then the row of the router's FIB group."""
from libc.stdint cimport uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport Core, Glance, Route, Tables, Walk, for_node, own_address, unsteady
from calisim.datapath.stages.verdict cimport drop


cdef inline uint32_t descend(const uint32_t* table, uint32_t address) noexcept nogil:
    """Root, branch: nothing is decided between them that could be mispredicted. Then a leaf, where the top bit says so."""
    cdef uint32_t cell = table[table[address >> LPM_ROOT_SHIFT] + (address >> LPM_BRANCH_SHIFT) % LPM_BRANCH]
    return table[(cell & 0x7FFFFFFF) + address % LPM_LEAF] if cell >> 31 else cell


cdef inline uint32_t class_of(const Tables* fib, uint32_t address) noexcept nogil:
    """The cell of the address space's partition that everything is known by but policy."""
    return descend(fib.lpm, address)


cdef inline uint32_t class_seen(const Core* core, const Glance* seen, uint32_t address) noexcept nogil:
    """``class_of``; of addresses that a packet had before its turn it is known already."""
    if address == seen.dst:
        return seen.class_of_dst
    return seen.class_of_src if address == seen.src else class_of(&core.fib, address)


cdef inline uint32_t class_at(const Core* core, const Walk* w, uint32_t address) noexcept nogil:
    """The same where a packet's turn may not have come yet."""
    return class_of(&core.fib, address) if w.glance is NULL else class_seen(core, w.glance, address)


cdef inline uint32_t resident(const Tables* fib, const Class* c, uint32_t address) noexcept nogil:
    """Endpoint that has the address (of class ``c``), 0 nobody."""
    cdef uint32_t at = c.residents + (address - c.base)
    return fib.residents[at] if c.flags & CLASS_FLAG_RESIDENTS and at < fib.resident_count else 0


cdef inline uint32_t path_mtu(const Core* core, Walk* w, uint32_t src, uint32_t dst, uint32_t mtu) noexcept nogil:
    """The most that whoever has ``src`` sends to ``dst`` in one piece, ``mtu`` by its interface."""
    cdef uint64_t wanted = <uint64_t>src << 32 | dst
    cdef uint32_t low = 0, high = core.path_count, middle
    cdef const Pmtu* path
    while low < high:
        middle = (low + high) // 2
        path = &core.paths[middle]
        if (<uint64_t>path.src << 32 | path.dst) < wanted:
            low = middle + 1
        else:
            high = middle
    if low < core.path_count:
        path = &core.paths[low]
        if path.src == src and path.dst == dst:
            if path.expires > w.packet.time:
                return min(mtu, path.mtu)
            unsteady(w)                        # the next packet may be of an earlier time
    return mtu


cdef inline bint dead(const Tables* fib, uint32_t endpoint) noexcept nogil:
    """A node that is down and for which nobody answers ARP requests (AWS does, a plain link does not)."""
    if not fib.fabric.flags & FABRIC_FLAG_DECREMENTS_TTL or fib.endpoints[endpoint].kind != ENDPOINT_NODE:
        return False
    return fib.routers[fib.endpoints[endpoint].router].flags & ROUTER_FLAG_DOWN != 0


cdef inline uint32_t neighbour(const Core* core, const Walk* w, uint32_t subnet, uint32_t address) noexcept nogil:
    """Endpoint that answers an ARP request for the address on the subnet's link, 0 nobody."""
    cdef uint32_t owner
    if address & core.fib.subnets[subnet].mask != core.fib.subnets[subnet].network:
        return 0
    owner = core.fib.classes[class_at(core, w, address)].interface
    return 0 if dead(&core.fib, owner) else owner


cdef inline bint may_reside(const Class* c, uint32_t id) noexcept nogil:
    """Whether addresses of the class can be those of a router's own pods: only then it is asked whom they belong to."""
    return c.flags & CLASS_FLAG_RESIDENTS and (c.holder == id or c.flags & CLASS_FLAG_SCATTERED)


cdef inline void resolve(const Tables* fib, uint32_t id, uint32_t address, uint32_t number, Route* route) noexcept nogil:
    """The route that router ``id`` has to an address of class ``number``: longest match over what it has and what it learnt."""
    cdef const Router* router = &fib.routers[id]
    cdef const Adjacency* adjacency
    cdef const Class* c = &fib.classes[number]
    cdef uint32_t endpoint
    route.endpoint = 0
    if own_address(router, address):
        route.kind, route.device, route.encap, route.reason = ADJACENCY_LOCAL, DEVICE_LOOPBACK, 0, 0
        route.next_hop, route.mtu, route.detail = 0, 0, router.detail
        return
    endpoint = resident(fib, c, address) if may_reside(c, id) else 0
    if endpoint and fib.endpoints[endpoint].router == id and fib.endpoints[endpoint].kind == ENDPOINT_POD:
        route.kind, route.device, route.encap, route.reason = ADJACENCY_LOCAL, DEVICE_VETH, 0, 0
        route.next_hop, route.mtu, route.detail = 0, fib.endpoints[endpoint].mtu, fib.endpoints[endpoint].detail
        route.endpoint = endpoint
        return
    adjacency = &fib.adjacencies[fib.rows[<size_t>router.group * fib.class_count + number]]
    if adjacency.owner == id:                  # its own advert, which the shared row holds for the others
        adjacency = &fib.adjacencies[adjacency.fallback]
    if c.holder == id and adjacency.length <= c.holder_length:
        route.kind, route.device, route.encap, route.reason = ADJACENCY_DROP, 0, 0, DROP_BLACKHOLE
        route.next_hop, route.mtu, route.detail = 0, 0, c.holder_detail
        return
    route.kind, route.device, route.encap, route.reason = adjacency.kind, adjacency.device, adjacency.encap, adjacency.reason
    route.next_hop, route.mtu = adjacency.next_hop, adjacency.mtu
    route.detail = router.detail if adjacency.flags & ADJACENCY_FLAG_OWN_DECIDER else adjacency.detail


cdef inline bint nobody(uint32_t address) noexcept nogil:
    """Multicast, limited broadcast, 0.0.0.0 and 127/8 are no destination of a route."""
    return address >> 28 == 0xE or address == <uint32_t>0xFFFFFFFF or address == 0 or address >> 24 == 127


cdef inline bint lookup(Core* core, Walk* w, uint32_t address) noexcept nogil:
    """What the router does with a packet to ``address``.

    Uses   w.id          Sets  w.route; on the first leg the decider in w.result.detail
    Drops  NO_ROUTE, BLACKHOLE
    """
    cdef Route* route = &w.route
    if address == w.glance.dst:
        w.route = w.glance.route
    else:                                      # translated back
        resolve(&core.fib, w.id, address, class_at(core, w, address), route)
    if for_node(route):
        pass
    elif nobody(address):
        return drop(core, w, STAGE_LOOKUP, DROP_NO_ROUTE, w.id, 0)
    elif route.kind == ADJACENCY_DROP:
        return drop(core, w, STAGE_LOOKUP, route.reason, w.id, route.detail)
    if core.leg == 1:
        w.result.detail = route.detail
    return True
