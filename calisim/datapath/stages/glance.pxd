"""A frame's packets are looked at before their turn: pure lookups are done, the memory of connections is asked for.

Each pass is a short loop without dependencies between packets, so that cache misses overlap; the walks after it find
what they need. Nothing here decides anything.
"""
from libc.stdint cimport uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.chance cimport stir
from calisim.datapath.stages.conntrack cimport has_ports
from calisim.datapath.stages.lookup cimport class_of, may_reside, resident, resolve
from calisim.datapath.stages.flows cimport ask_for_first_leg, ask_for_second_leg, hash_of_key, key_of
from calisim.datapath.stages.track cimport (
    PAIR, answer_to, beside, concerns, hash_of, inverse, record_of, seat_of, source_hash, tuple_of)
from calisim.datapath.stages.translate cimport chance_of, range_for

cdef extern from "intrinsics.h":
    void prefetch_read(const void* address) nogil
    void prefetch_write(const void* address) nogil


cdef inline void resume(const Core* core, Walk* w, const Carry* carry, const Glance* seen) noexcept nogil:
    """A packet whose leg begins."""
    untouched(w)
    w.packet, w.result, w.id, w.router = seen.packet, seen.result, carry.router, seen.router
    w.glance, w.seat = seen, seen.seat
    w.carry = carry[0]                         # the first router's trail goes on from the endpoint
    w.carry.trail.router = carry.router
    if core.leg > 1:
        w.carry.trail.marks = 0
        w.carry.trail.crossings = w.carry.trail.hits[0] = w.carry.trail.hits[1] = 0
        w.carry.trail.absent = 0


cdef inline Seat ask_for(Core* core, uint64_t hash) noexcept nogil:
    cdef Seat seat = seat_of(core, hash)
    prefetch_write(&core.index[seat.at])
    return seat


cdef inline bint ask_for_records(Core* core, Seat* seat) noexcept nogil:
    """Conntrack's and the groups', of any such tuple. True: there are some, alive or not.      Sets  seat: at the first"""
    cdef uint64_t at = seat.at, slot = core.index[at]
    cdef bint found = False
    while slot:
        if concerns(slot, seat.hash):
            prefetch_write(record_of(core, slot))
            if slot & <uint64_t>PAIR:
                prefetch_write(record_of(core, slot) + 1)
            seat.at = seat.at if found else at
            found = True
        at = (at + 1) & core.index_mask
        slot = core.index[at]
    if not found:
        seat.at = at
    return found


cdef inline void ask_for_holder(const Core* core, const Seat* seat) noexcept nogil:
    """Of the port that was drawn, if it is not free as it nearly always is. Where the gap is that says so nobody could predict:
    it is not looked for, and so a holder further on is not found."""
    cdef uint64_t slot, k
    for k in range(2):
        slot = core.index[(seat.at + k) & core.index_mask]
        if concerns(slot, seat.hash):
            prefetch_write(record_of(core, slot))


cdef inline void ask_for_sender(const Core* core, const Waiting* waiting) noexcept nogil:
    """The endpoint that a packet comes from, unless it takes a short cut."""
    cdef uint32_t ingress = core.packets[waiting.row].ingress
    if not waiting.flow and ingress <= core.fib.endpoint_count:
        prefetch_read(&core.fib.endpoints[ingress])
        prefetch_read(&core.fib.endpoints[ingress].kind)


cdef inline void ask_for_senders_router(const Core* core, const Waiting* waiting) noexcept nogil:
    """And what is counted there."""
    cdef uint32_t router, ingress = core.packets[waiting.row].ingress
    if not waiting.flow and ingress <= core.fib.endpoint_count:
        router = core.fib.endpoints[ingress].router
        prefetch_read(&core.fib.routers[router].flags)
        prefetch_write(&core.links[(<size_t>router * DEVICE_COUNT + DEVICE_VETH) * 4])
        prefetch_write(&core.hits[core.fib.endpoints[ingress].detail])


cdef inline void ask_for_translation(Core* core, Glance* g) noexcept nogil:
    """Where the connection that a packet opens will be entered when it is masqueraded, as far as it can be known: with the
    first port of a search, or with its own. What the security groups will ask for lies beside it."""
    cdef const Tuple* original = &g.tuple
    cdef Tuple reply = inverse(original)
    cdef uint32_t low, span
    reply.dst = device_address(g.router, g.route.device)
    if has_ports(original.protocol) and g.router.flags & ROUTER_FLAG_RANDOM_FULLY:
        g.chance, g.drawn = chance_of(core, original), True
        range_for(original, &low, &span)
        answer_to(reply.protocol, &reply.sport, &reply.dport, low + stir(g.chance, 0) % span)
    g.out.seat = ask_for(core, beside(hash_of(&reply)))
    if core.sourced:
        ask_for(core, source_hash(original.key, original.src, original.sport, original.protocol))
    g.out.tuple = inverse(&reply)
    g.out.tuple.flags = CONNECTION_FLAG_TRACKED_BY_FABRIC


cdef inline void foresee(Core* core, const Tuple* outer, Foresight* foreseen) noexcept nogil:
    """A tunnel's packet; conntrack will ask for its tuple, too."""
    foreseen.tuple, foreseen.seat = outer[0], ask_for(core, hash_of(outer))


cdef inline void foresee_same(const Glance* g, Foresight* foreseen) noexcept nogil:
    """The packet is to the groups what it is to conntrack, whose memory is asked for already."""
    foreseen.tuple, foreseen.seat.at, foreseen.seat.hash = g.tuple, g.seat.at, beside(g.seat.hash)
    foreseen.tuple.flags = CONNECTION_FLAG_TRACKED_BY_FABRIC


cdef inline Tuple outer_in(const Carry* carry, const Glance* g) noexcept nogil:
    """To the groups, of what comes in encapsulated."""
    return tuple_of(
        g.router.key, g.result.outer_src, g.result.outer_dst, carry.outer_sport, carry.outer_dport,
        ENCAPSULATIONS[carry.encap].protocol, CONNECTION_FLAG_TRACKED_BY_FABRIC)


cdef inline Tuple outer_out(const Glance* g) noexcept nogil:
    """To the groups, of what goes into a tunnel (of VXLAN without its source port)."""
    return tuple_of(
        g.router.key, g.router.address, g.route.next_hop, 0, ENCAPSULATIONS[g.route.encap].port,
        ENCAPSULATIONS[g.route.encap].protocol, CONNECTION_FLAG_TRACKED_BY_FABRIC)


cdef inline void ask_for_note(Core* core, const Packet* packet) noexcept nogil:
    """Where the journey will be looked for if it ends here, of a packet of a known connection."""
    cdef Key key = key_of(packet)
    prefetch_write(&core.flow_index[hash_of_key(&key) & core.flow_index_mask])


cdef inline void glance(Core* core, const Carry* carries, uint32_t count, Glance* glances) noexcept nogil:
    """Uses the carries of one frame but for short cuts.      Sets  their glances"""
    cdef const Tables* fib = &core.fib
    cdef uint64_t* counters
    cdef const Carry* carry
    cdef const Class* c
    cdef uint32_t i
    cdef Glance* g
    cdef Tuple outer
    cdef uint32_t cuts = 0
    cdef bint known
    for i in range(count):
        if carries[i].flow:
            cuts += 1
            if core.leg > 1:
                ask_for_second_leg(core, &carries[i])
            else:
                prefetch_read(&core.asides[carries[i].flow - 1])
    for i in range(count if core.leg == 1 and cuts else 0):
        if carries[i].flow:
            ask_for_first_leg(core, carries[i].flow)
    if cuts == count:
        return
    for i in range(count):                     # addresses are classified
        g, carry = &glances[i], &carries[i]
        if carry.flow:
            continue
        g.packet, g.result, g.router = &core.packets[carry.row], &core.results[carry.row], &fib.routers[carry.router]
        prefetch_read(g.router)
        prefetch_read(&g.router.groups)
        counters = &core.links[<size_t>carry.router * DEVICE_COUNT * 4]
        prefetch_write(counters)
        prefetch_write(counters + 8)
        prefetch_write(counters + 16)
        prefetch_write(&core.ordinals[carry.router * 2])
        g.dst, g.src = g.result.dst, g.result.src
        g.class_of_dst = class_of(fib, g.dst) if core.leg == 1 else carry.class_of_dst
        g.class_of_src = class_of(fib, g.src) if core.leg == 1 else carry.class_of_src
        prefetch_read(&fib.classes[g.class_of_dst])
        prefetch_read(&fib.classes[g.class_of_src])
        if carry.device == DEVICE_VETH:
            prefetch_read(&fib.endpoints[g.packet.ingress])
    for i in range(count):                     # who has the destination
        g, carry = &glances[i], &carries[i]
        if carry.flow:
            continue
        c = &fib.classes[g.class_of_dst]
        if may_reside(c, carry.router):
            prefetch_read(&fib.residents[c.residents + (g.dst - c.base)])
    for i in range(count):
        g, carry = &glances[i], &carries[i]
        if carry.flow:
            continue
        c = &fib.classes[g.class_of_dst]
        if may_reside(c, carry.router):
            prefetch_read(&fib.endpoints[resident(fib, c, g.dst)])
        g.tuple = tuple_of(
            g.router.key, g.src, g.dst, g.result.sport, g.result.dport, g.packet.protocol, 0)
        g.seat = ask_for(core, hash_of(&g.tuple))
        g.drawn = False
        if carry.encap and carry.device == DEVICE_ETHERNET:
            outer = outer_in(carry, g)
            foresee(core, &outer, &g.into)
    for i in range(count):
        g, carry = &glances[i], &carries[i]
        if carry.flow:
            continue
        resolve(fib, carry.router, g.dst, g.class_of_dst, &g.route)
        if carry.device != DEVICE_VETH and carry.device != DEVICE_LOOPBACK:
            resolve(fib, carry.router, g.src, g.class_of_src, &g.back)
        g.out.tuple.flags, g.out.seat.hash = 0, beside(g.seat.hash)
        known = ask_for_records(core, &g.seat)
        if not known and (
                fib.classes[g.class_of_src].flags & CLASS_FLAG_MASQUERADE
                and not fib.classes[g.class_of_dst].flags & CLASS_FLAG_EXEMPT):
            ask_for_translation(core, g)
        elif g.route.kind == ADJACENCY_TUNNEL:
            outer = outer_out(g)
            foresee(core, &outer, &g.out)
        elif g.route.kind >= ADJACENCY_ATTACHED:
            foresee_same(g, &g.out)
        if known and carry.trail.steady and core.leg <= 2:
            ask_for_note(core, g.packet)
        if carry.device == DEVICE_ETHERNET:
            if carry.encap:
                ask_for_records(core, &g.into.seat)
            else:
                foresee_same(g, &g.into)
    for i in range(count):
        if carries[i].flow or glances[i].out.seat.hash == beside(glances[i].seat.hash):
            continue
        if glances[i].drawn:
            ask_for_holder(core, &glances[i].out.seat)
        else:
            ask_for_records(core, &glances[i].out.seat)
