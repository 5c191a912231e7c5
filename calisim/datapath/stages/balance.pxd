"""BALANCE: a service's address becomes that of one of its endpoints, as kube-proxy's chains in the nat table have it; what
nobody serves ends where the filter table stands. Answers and errors are put back here, too.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.chance cimport draw5, stir
from calisim.datapath.stages.lookup cimport class_of
from calisim.datapath.stages.expiry cimport later
from calisim.datapath.stages.track cimport redirected
from calisim.datapath.stages.verdict cimport drop, object_to

cdef extern from "intrinsics.h":
    ctypedef void aside                # of a function that is rarely called

cdef enum:
    CHOICE_OF_ENDPOINT = 1           # << 32: these draws are apart from those of ports


# Endpoints of a service that may be chosen.
cdef struct Asked:
    const Backend* first
    uint32_t count


cdef inline const Frontend* frontend_at(const Tables* fib, uint32_t address, uint8_t protocol, uint16_t port) noexcept nogil:
    """The frontend there, or NULL (:mod:`calisim.fib.services` hashes alike)."""
    cdef uint32_t at = stir(address, <uint64_t>protocol << 16 | port) & fib.frontend_mask
    cdef const Frontend* frontend = &fib.frontends[at]
    while frontend.service:
        if frontend.address == address and frontend.port == port and frontend.protocol == protocol:
            return frontend
        at = (at + 1) & fib.frontend_mask
        frontend = &fib.frontends[at]
    return NULL


cdef inline const Frontend* frontend_of(const Tables* fib, const Walk* w) noexcept nogil:
    """What the packet is addressed to: a service's address, else a node port of this node; NULL neither."""
    cdef uint32_t dst = w.result.dst
    cdef const Frontend* frontend = frontend_at(fib, dst, w.packet.protocol, w.result.dport) if dst else NULL
    if frontend is NULL and own_address(w.router, dst) and fib.classes[class_of(fib, dst)].flags & CLASS_FLAG_NODE_PORTS:
        frontend = frontend_at(fib, 0, w.packet.protocol, w.result.dport)
    return frontend


cdef inline bint in_ranges(const Tables* fib, const Frontend* frontend, uint32_t src) noexcept nogil:
    """Whether loadBalancerSourceRanges, if there are any, have the source."""
    cdef uint32_t i
    if not frontend.flags & FRONTEND_FLAG_RANGED:
        return True
    for i in range(frontend.sources, frontend.sources + frontend.source_count):
        if src & fib.ranges[i].mask == fib.ranges[i].network:
            return True
    return False


cdef inline uint32_t first_from(const Backend* backends, uint32_t count, uint32_t router) noexcept nogil:
    """Position of the first endpoint of this router or a later one."""
    cdef uint32_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) // 2
        if backends[middle].router < router:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline Asked own_of(const Tables* fib, const Service* service, uint32_t router) noexcept nogil:
    """The service's endpoints on this node."""
    cdef const Backend* backends = &fib.backends[service.own]
    cdef uint32_t first = first_from(backends, service.own_count, router)
    cdef uint32_t end = first_from(backends, service.own_count, router + 1)
    cdef Asked asked
    asked.first, asked.count = &backends[first], end - first if end > first else 0
    return asked


cdef inline Asked policy_of(const Tables* fib, Walk* w, const Frontend* frontend, const Service* service) noexcept nogil:
    """Who is asked: chains KUBE-SVC, KUBE-SVL and KUBE-EXT.      Sets  w.marked"""
    cdef uint32_t src = w.result.src
    cdef bint told_apart = frontend.flags & (FRONTEND_FLAG_BY_INTERFACE | FRONTEND_FLAG_BY_SOURCE) != 0, of_pod = False
    cdef Asked everybody
    everybody.first, everybody.count = &fib.backends[service.backends], service.count
    if frontend.flags & FRONTEND_FLAG_BY_INTERFACE:
        of_pod = w.carry.device == DEVICE_VETH
    elif frontend.flags & FRONTEND_FLAG_BY_SOURCE:
        of_pod = fib.classes[class_of(fib, src)].flags & CLASS_FLAG_CLUSTER_CIDR != 0
    if not frontend.flags & FRONTEND_FLAG_EXTERNAL:
        w.marked = frontend.flags & FRONTEND_FLAG_MASQUERADE_ALL or (told_apart and not of_pod)
        return own_of(fib, service, w.id) if frontend.flags & FRONTEND_FLAG_LOCAL else everybody
    if not frontend.flags & FRONTEND_FLAG_LOCAL:
        w.marked = True
        return everybody
    if of_pod:                                 # as if it had gone out and come in again
        return everybody
    if own_address(w.router, src):
        w.marked = True
        return everybody
    return own_of(fib, service, w.id)


cdef inline Affinity* affinity_of(Core* core, uint32_t key, uint32_t service, uint32_t client) noexcept nogil:
    """The client's record, a new one if need be; the door keeps the table from filling up."""
    cdef uint32_t at = stir(stir(<uint64_t>key << 32 | client, service), 0) & core.affinity_mask
    cdef Affinity* record = &core.affinities[at]
    while record.expires:
        if record.key == key and record.service == service and record.client == client:
            return record
        at = (at + 1) & core.affinity_mask
        record = &core.affinities[at]
    record.key, record.service, record.client = key, service, client
    core.affinity_count += 1
    return record


cdef inline const Backend* drawn(const Core* core, const Walk* w, const Service* service, const Asked* asked) noexcept nogil:
    """Any of them alike: what 1/n, 1/(n − 1), … of the chained rules come to."""
    return &asked.first[draw5(
        core.fib.fabric.seed, w.router.key, <uint64_t>w.result.src << 32 | w.result.dst,
        <uint64_t>w.result.sport << 32 | <uint64_t>w.result.dport << 16 | w.packet.protocol,
        <uint64_t>CHOICE_OF_ENDPOINT << 32 | service.key) % asked.count]


cdef inline const Backend* choose(Core* core, const Walk* w, const Service* service, const Asked* asked) noexcept nogil:
    """The endpoint that the client had before, if it may still have it, else one by chance.      Sets  the client's affinity"""
    cdef const Backend* chosen = NULL
    cdef Affinity* known
    cdef uint32_t i
    if not service.affinity:
        return drawn(core, w, service, asked)
    known = affinity_of(core, w.router.key, service.key, w.result.src)
    if known.expires > w.packet.time:
        for i in range(asked.count):
            if asked.first[i].address == known.address and asked.first[i].port == known.port:
                chosen = &asked.first[i]
                break
    if chosen is NULL:
        chosen = drawn(core, w, service, asked)
    known.address, known.port, known.expires = chosen.address, chosen.port, later(w.packet.time, service.affinity)
    return chosen


cdef inline void redirect(Walk* w, uint32_t address, uint16_t port) noexcept nogil:
    """The packet goes to the endpoint.      Sets  dst, dport (DNAT), w.arrived_*"""
    if w.result.dst != address or w.result.dport != port:
        w.redirected, w.arrived_dst, w.arrived_dport = True, w.result.dst, w.result.dport
        w.result.dst, w.result.dport = address, port
        w.result.flags |= RESULT_FLAG_DNAT


cdef inline aside open_service(Core* core, Walk* w, const Frontend* frontend) noexcept nogil:
    """The packet that opens a connection to a service.      Sets  dst, dport (DNAT), w.marked; w.refusal"""
    cdef const Service* service = &core.fib.services[frontend.service]
    cdef const Backend* chosen
    cdef Asked asked
    w.frontend = frontend
    if not in_ranges(&core.fib, frontend, w.result.src):
        w.refusal = REFUSAL_FIREWALL
        return
    if not service.count:
        w.refusal = REFUSAL_REJECTED
        return
    asked = policy_of(&core.fib, w, frontend, service)
    if not asked.count:
        w.refusal, w.marked = REFUSAL_DROPPED, False
        return
    chosen = choose(core, w, service, &asked)
    if chosen.address == w.result.src:         # hairpin
        w.marked = True
    redirect(w, chosen.address, chosen.port)


cdef inline aside redirect_error(Walk* w) noexcept nogil:
    """An error about an answer, from whom the answer went to: to the endpoint, quoting the answer as that made it."""
    cdef const Connection* c = w.connection
    w.result.dst = w.quote.quote_src = c.reply_src
    w.quote.quote_sport = c.reply_sport
    w.result.flags |= RESULT_FLAG_DNAT


cdef inline void balance(Core* core, Walk* w) noexcept nogil:
    """A service's address becomes an endpoint's: of a connection's first packet by choice, of its others as of the first.

    Uses   w.tracking, w.connection; TCP and UDP    Sets  dst, dport (DNAT), w.marked, w.refusal; affinity
    """
    cdef const Frontend* frontend
    if w.tracking == TRACK_NEW:
        if core.fib.frontend_mask and (w.packet.protocol == PROTOCOL_TCP or w.packet.protocol == PROTOCOL_UDP):
            frontend = frontend_of(&core.fib, w)
            if frontend is not NULL:
                unsteady(w)
                open_service(core, w, frontend)
    elif w.tracking == TRACK_ORIGINAL and redirected(w.connection):
        if w.quote is not NULL:
            redirect_error(w)
        else:
            redirect(w, w.connection.reply_src, w.connection.reply_sport)


cdef inline bint served(Core* core, Walk* w, bint forwarded) noexcept nogil:
    """The filter table, hooks INPUT, FORWARD (``forwarded``) and OUTPUT.

    Uses   w.refusal    Drops  POLICY_INGRESS (firewall), NO_ENDPOINTS
    """
    cdef bint own = w.carry.device == DEVICE_LOOPBACK
    if w.refusal == REFUSAL_NONE:
        return True
    if forwarded and own and w.refusal != REFUSAL_FIREWALL and w.frontend.flags & FRONTEND_FLAG_EXTERNAL:
        return True                            # KUBE-EXTERNAL-SERVICES is not in OUTPUT
    if w.refusal == REFUSAL_REJECTED and not own:
        object_to(w, ERROR_PORT_UNREACHABLE, w.result.ttl, 0)
        if not forwarded:
            w.error_src = w.result.dst
    return drop(
        core, w, STAGE_BALANCE, DROP_POLICY_INGRESS if w.refusal == REFUSAL_FIREWALL else DROP_NO_ENDPOINTS, w.id,
        core.fib.services[w.frontend.service].detail)


cdef inline void put_back(Walk* w) noexcept nogil:
    """An answer, or an error about a packet of the original direction, comes from whom that was sent to.

    Uses   w.connection (redirected)    Sets  src, sport (UNDNAT); of an error src and what it quotes
    """
    cdef const Connection* c = w.connection
    w.result.src = c.dst
    if w.quote is not NULL:
        w.quote.quote_dst, w.quote.quote_dport = c.dst, c.dport
    else:
        w.result.sport = c.dport
    w.result.flags |= RESULT_FLAG_UNDNAT
