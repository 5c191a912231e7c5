"""TRANSLATE: natOutgoing and tunnel masquerade, null bindings, and Linux' search for a free port; confirms the connection."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.balance cimport put_back
from calisim.datapath.stages.chance cimport draw4, stir
from calisim.datapath.stages.conntrack cimport has_ports, tuple_here
from calisim.datapath.stages.lookup cimport class_at
from calisim.datapath.stages.expiry cimport later, tcp_timeout, timeout
from calisim.datapath.stages.ties cimport look_at
from calisim.datapath.stages.track cimport (
    answer_to, beside, enter, equal, find_at, hash_of, inverse, is_reply, record_of, redirected, seat_of, source_slot, taken_from,
    translated, translated_port)
from calisim.datapath.stages.verdict cimport drop

cdef extern from "intrinsics.h":
    ctypedef bint apart                # of a function that is not for all packets
    int lowest_bit(uint64_t word) nogil


cdef inline uint32_t masquerade_to(const Core* core, const Walk* w) noexcept nogil:
    """New source address, or 0: the packet keeps its own."""
    cdef uint32_t src = w.result.src, address = device_address(w.router, w.route.device)
    if for_node(&w.route):
        # to the node itself: what came in by a device never passes POSTROUTING, what is its own does, by lo
        return address if w.marked and w.carry.device == DEVICE_LOOPBACK else 0
    if w.marked:
        return address
    if (core.fib.classes[class_at(core, w, src)].flags & CLASS_FLAG_MASQUERADE
            and not core.fib.classes[class_at(core, w, w.result.dst)].flags & CLASS_FLAG_EXEMPT):
        return address
    if w.route.kind != ADJACENCY_TUNNEL or src == address or w.router.flags & ROUTER_FLAG_NO_TUNNEL_MASQUERADE:
        return 0
    if w.carry.device == DEVICE_LOOPBACK or own_address(w.router, src):
        return address
    return 0


cdef inline bint is_free(Core* core, const Tuple* reply, Seat* seat, uint64_t time) noexcept nogil:
    """No live entry has the tuple in either direction.      Sets  its seat"""
    seat[0] = seat_of(core, hash_of(reply))
    return find_at(core, reply, seat, time) is NULL


cdef inline apart sticky(Core* core, const Tuple* original, Tuple* reply, Seat* back, uint64_t time) noexcept nogil:
    """The port that the source's last translated connection got, if it can be had again."""
    cdef uint64_t* slot = source_slot(core, original.key, original.src, original.sport, original.protocol)
    cdef Connection* c
    if not <uint32_t>slot[0]:
        slot[0] = 0                            # nothing there: give the slot back
        core.index_count -= 1
        return False
    c = record_of(core, slot[0])
    if c.wave & TIED:
        look_at(core, c, time, True)
    if c.expires <= time or c.reply_dst != reply.dst:
        return False
    answer_to(reply.protocol, &reply.sport, &reply.dport, translated_port(c))
    return is_free(core, reply, back, time)


cdef inline bint first_free(
    Core* core, Tuple* reply, Seat* back, uint32_t port, uint32_t count, uint64_t time,
) noexcept nogil:
    """Whether one of ``count`` ports from ``port`` on is free, all within the same 64; the first one is in ``reply`` then.

    A range that is full is full for all who come: only what is not known of it yet is looked up, two cache misses a port.
    """
    cdef uint64_t asked = <uint64_t>-1 >> (64 - count) << (port & 63)
    cdef Tuple first
    cdef Taken* taken
    cdef Connection* c
    answer_to(reply.protocol, &reply.sport, &reply.dport, port & 0xFFC0)
    first, taken = reply[0], taken_from(core, reply, time)
    if taken.until <= time or not equal(&taken.first, &first):
        taken.first, taken.ports, taken.until = first, 0, <uint64_t>-1
    asked &= ~taken.ports
    while asked:
        answer_to(reply.protocol, &reply.sport, &reply.dport, (port & 0xFFC0) + lowest_bit(asked))
        back[0] = seat_of(core, hash_of(reply))
        c = find_at(core, reply, back, time)
        if c is NULL:
            return True
        if is_reply(c, reply):                     # not to be watched otherwise
            c.wave |= WATCHED
            taken.ports |= asked & (~asked + 1)
            taken.until = min(taken.until, c.expires)
        asked &= asked - 1
    return False


cdef inline void range_for(const Tuple* original, uint32_t* low, uint32_t* span) noexcept nogil:
    """The class of the source port."""
    low[0], span[0] = 1024, 64512
    if original.protocol == PROTOCOL_ICMP:
        low[0], span[0] = 0, 65536
    elif original.sport < 512:
        low[0], span[0] = 1, 511
    elif original.sport < 1024:
        low[0], span[0] = 600, 424


cdef inline uint64_t chance_of(const Core* core, const Tuple* original) noexcept nogil:
    """What a search for its port draws from."""
    return draw4(
        core.fib.begun, original.key, <uint64_t>original.src << 32 | original.dst,
        <uint64_t>original.sport << 32 | <uint64_t>original.dport << 16 | original.protocol)


cdef inline apart search_on(
    Core* core, uint64_t chance, const Tuple* original, Tuple* reply, Seat* back, uint64_t time,
) noexcept nogil:
    """From the first port on: rounds of 128, 64 … 8 tries from a random offset, inside the class of the source port."""
    cdef uint32_t attempts = 128, turn = 0, low, span, port, left, count
    range_for(original, &low, &span)
    port = low + stir(chance, 0) % span
    while True:
        left = attempts
        while left:
            count = min(left, 64 - port % 64, low + span - port)
            if first_free(core, reply, back, port, count, time):
                return True
            left -= count
            port = port + count if port + count < low + span else low
        attempts >>= 1
        if attempts < 8:
            return False
        turn += 1
        port = low + stir(chance, turn) % span


cdef inline bint search(
    Core* core, const Glance* seen, const Tuple* original, Tuple* reply, Seat* back, uint64_t time,
) noexcept nogil:
    """nf_nat_l4proto_unique_tuple: the first port is nearly always free."""
    cdef uint32_t low, span
    cdef uint64_t chance
    if not has_ports(original.protocol):
        return is_free(core, reply, back, time)
    if seen.drawn and reply.dst == seen.out.tuple.src and equal(original, &seen.tuple):
        chance, back[0] = seen.chance, seen.out.seat
        back.hash = beside(back.hash)
        answer_to(reply.protocol, &reply.sport, &reply.dport, seen.out.tuple.sport)
    else:
        range_for(original, &low, &span)
        chance = chance_of(core, original)
        answer_to(reply.protocol, &reply.sport, &reply.dport, low + stir(chance, 0) % span)
        back[0] = seat_of(core, hash_of(reply))
    return find_at(core, reply, back, time) is NULL or search_on(core, chance, original, reply, back, time)


cdef inline bint bind(Core* core, Walk* w, const Tuple* original, Tuple* reply, Seat* back) noexcept nogil:
    """The reply tuple of a new connection: masqueraded, or as it is unless somebody has that tuple already."""
    cdef uint64_t time = w.packet.time
    cdef uint32_t address = masquerade_to(core, w)
    cdef Tuple own
    reply[0] = inverse(original)
    if not address and not w.redirected:       # conntrack has looked for it: its inverse has the same hash
        back[0] = w.seat
        return find_at(core, reply, back, time) is NULL or search(core, w.glance, original, reply, back, time)
    if address:
        reply.dst = address
        own = reply[0]
        if w.router.flags & ROUTER_FLAG_RANDOM_FULLY:
            return search(core, w.glance, original, reply, back, time)
        if sticky(core, original, reply, back, time):
            return True
        reply[0] = own
    return is_free(core, reply, back, time) or search(core, w.glance, original, reply, back, time)


cdef inline apart translate_error(Walk* w) noexcept nogil:
    """An ICMP error in the direction of its connection's first packet leaves as that did, the other way it comes from whom that
    was sent to; its quote is as it came in."""
    cdef const Connection* c = w.connection
    if w.tracking == TRACK_REPLY and redirected(c):
        put_back(w)
    if w.tracking != TRACK_ORIGINAL or not translated(c):
        return True
    w.result.src = w.quote.quote_dst = c.reply_dst
    answer_to(c.protocol, &w.quote.quote_sport, &w.quote.quote_dport, translated_port(c))
    w.result.flags |= RESULT_FLAG_SNAT
    return True


cdef inline Connection* confirm(
    Core* core, const Walk* w, const Tuple* original, const Tuple* reply, const Seat* there, const Seat* back,
) noexcept nogil:
    """The entry of a connection that the packet opens. ``there``, ``back``: of the tuples."""
    cdef uint8_t state = CONNECTION_NEW
    cdef Connection* c
    if original.protocol == PROTOCOL_TCP:
        state = TCP_TRANSITIONS[0][TCP_CLASSES[w.packet.tcp_flags & 63]][CONNECTION_NONE]
    c = enter(core, original, reply, there, back, w.id, state, w.packet.time, 0)
    c.expires = later(w.packet.time, tcp_timeout(c) if c.protocol == PROTOCOL_TCP else timeout(c, w.packet.time))
    return c


cdef inline bint translate(Core* core, Walk* w) noexcept nogil:
    """Source translation, and the connection's entry.

    Uses   w.tracking, w.connection, w.route, w.marked, w.arrived_*
    Sets   src, sport (SNAT; of answers from a service's endpoint UNDNAT); on leg 1 RESULT.connection, NEW
    Drops  SNAT_PORTS_EXHAUSTED
    """
    cdef Tuple made, reply
    cdef const Tuple* original
    cdef Connection* c = w.connection
    cdef Seat back
    if w.quote is not NULL:
        return translate_error(w)
    if w.tracking == TRACK_NEW:
        unsteady(w)
        original = tuple_here(w, &made)
        if not bind(core, w, original, &reply, &back):
            return drop(core, w, STAGE_TRANSLATE, DROP_SNAT_PORTS_EXHAUSTED, w.id, 0)
        if w.redirected:
            made = original[0]
            made.dst, made.dport = w.arrived_dst, w.arrived_dport
            original = &made
        w.connection = c = confirm(core, w, original, &reply, &w.seat, &back)      # what was not found is the original again
        if core.leg == 1:
            w.result.connection = c.ordinal
            w.result.flags |= RESULT_FLAG_NEW
    elif w.tracking != TRACK_ORIGINAL:
        if w.tracking == TRACK_REPLY and redirected(c):
            put_back(w)
        return True
    if translated(c):
        w.result.src = c.reply_dst
        if has_ports(c.protocol):
            w.result.sport = translated_port(c)
        w.result.flags |= RESULT_FLAG_SNAT
    return True
