"""CONNTRACK: which connection a packet belongs to; answers get their destination back before they are routed."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.expiry cimport later, timeout
from calisim.datapath.stages.ties cimport mark, touch
from calisim.datapath.stages.track cimport (
    answer_to, find, find_at, hash_of, inverse, is_original, pair, redirected, translated, tuple_of, unwatch)
from calisim.datapath.stages.tcp cimport follow_tcp, Fate, FATE_BELONGS, FATE_INVALID, FATE_OPENS
from calisim.datapath.stages.verdict cimport drop

cdef extern from "intrinsics.h":
    ctypedef bint apart                # of a function that is not for all packets


cdef inline Tuple tuple_now(const Walk* w) noexcept nogil:
    """The packet's tuple at this router (inner header)."""
    return tuple_of(
        w.router.key, w.result.src, w.result.dst, w.result.sport, w.result.dport, w.packet.protocol, 0)


cdef inline const Tuple* tuple_here(const Walk* w, Tuple* made) noexcept nogil:
    """``tuple_now``, which nearly always is what it was before the packet's turn; else it is ``made``."""
    cdef const Tuple* seen = &w.glance.tuple
    cdef const Result* result = w.result
    if (pair(seen.src, seen.dst) == pair(result.src, result.dst)
            and pair(seen.sport, seen.dport) == pair(result.sport, result.dport)):
        return seen
    made[0] = tuple_now(w)
    return made


cdef inline bint opens(const Packet* packet) noexcept nogil:
    """Whether a packet without a connection may open one (else it is INVALID)."""
    if packet.protocol == PROTOCOL_TCP:
        return TCP_TRANSITIONS[0][TCP_CLASSES[packet.tcp_flags & 63]][CONNECTION_NONE] != TRANSITION_INVALID
    return packet.protocol != PROTOCOL_ICMP or packet.dport & 0xFF00 == ECHO_REQUEST


cdef inline bint has_ports(uint8_t protocol) noexcept nogil:
    """Or an identifier that is translated like one."""
    return protocol == PROTOCOL_TCP or protocol == PROTOCOL_UDP or protocol == PROTOCOL_ICMP


cdef inline void count(Connection* c, bint reply) noexcept nogil:
    """One packet more."""
    if reply:
        c.reply_packets += 1
    else:
        c.packets += 1


cdef inline void renew(Core* core, Connection* c, uint64_t time, bint reply) noexcept nogil:
    """State, expiry and counters after one packet more, of any protocol but TCP."""
    if c.wave & WATCHED:
        unwatch(core, c)
    c.expires = later(time, timeout(c, time))
    mark(core, c)
    if reply:
        c.state = CONNECTION_ESTABLISHED
    count(c, reply)


cdef inline Fate advance(Core* core, Connection* c, const Packet* packet, bint reply) noexcept nogil:
    """State, expiry and counters after one packet more, if it belongs to the connection."""
    cdef Fate fate = FATE_BELONGS
    if c.protocol != PROTOCOL_TCP:
        renew(core, c, packet.time, reply)
        return fate
    if c.wave & WATCHED:
        unwatch(core, c)
    fate = follow_tcp(c, packet, reply)
    if fate == FATE_BELONGS:
        count(c, reply)
    return fate


cdef inline bint follows_suit(const Connection* c, const Packet* packet) noexcept nogil:
    """The packet refreshes the connection and leaves it as it is to all that decides about packets."""
    return c.protocol != PROTOCOL_TCP or (
        c.state == CONNECTION_ESTABLISHED and TCP_CLASSES[packet.tcp_flags & 63] == TCP_CLASS_ACK)


cdef inline void miss(Walk* w, uint64_t hash) noexcept nogil:
    """No live connection has the tuple."""
    if w.carry.trail.absent or not hash:
        unsteady(w)
    w.carry.trail.absent = hash


cdef inline apart relate(Core* core, Walk* w) noexcept nogil:
    """The connection that an ICMP error is about (RELATED), by its quote; it is not changed.

    Uses   w.quote    Sets  w.tracking, w.connection; in the answers' direction the destination and the quoted source (UNNAT)
    """
    cdef Header* quote = w.quote
    cdef Tuple t = tuple_of(
        w.router.key, quote.quote_src, quote.quote_dst, quote.quote_sport, quote.quote_dport, quote.quote_protocol, 0)
    cdef Connection* c
    t = inverse(&t)
    c = find(core, &t, hash_of(&t), w.packet.time)
    w.connection, w.tracking = c, TRACK_INVALID
    if c is NULL:
        return True
    w.tracking = TRACK_ORIGINAL if is_original(c, &t) else TRACK_REPLY
    if core.leg == 1:
        w.result.connection = c.ordinal
    if w.tracking == TRACK_REPLY and translated(c):
        w.result.dst = quote.quote_src = c.src
        if has_ports(c.protocol):
            quote.quote_sport = c.sport
        w.result.flags |= RESULT_FLAG_UNNAT
    return True


cdef inline bint conntrack(Core* core, Walk* w) noexcept nogil:
    """The live connection, or NEW, or INVALID.

    Uses   the tuple, w.seat    Sets  w.tracking, w.connection; of answers the destination (UNNAT); on leg 1 RESULT.connection
    Drops  CT_INVALID
    """
    cdef Tuple made
    cdef const Tuple* t
    cdef Connection* c
    cdef Fate fate = FATE_INVALID
    if w.quote is not NULL:
        unsteady(w)
        return relate(core, w)
    t = tuple_here(w, &made)
    c = find_at(core, t, &w.seat, w.packet.time)
    if c is not NULL:
        w.tracking = TRACK_ORIGINAL if is_original(c, t) else TRACK_REPLY
        if follows_suit(c, w.packet):
            touch(core, w, c, w.tracking == TRACK_REPLY)
        else:
            unsteady(w)
        fate = advance(core, c, w.packet, w.tracking == TRACK_REPLY)
    elif opens(w.packet):
        fate = FATE_OPENS
        miss(w, w.seat.hash)
    else:
        unsteady(w)
    w.connection = c if fate == FATE_BELONGS else NULL
    if fate != FATE_BELONGS:
        w.tracking = TRACK_NEW if fate == FATE_OPENS else TRACK_INVALID
        if fate == FATE_INVALID and w.router.flags & ROUTER_FLAG_CALICO_FILTER:
            return drop(core, w, STAGE_CONNTRACK, DROP_CT_INVALID, w.id, 0)
        return True
    if core.leg == 1:
        w.result.connection = c.ordinal
    if w.tracking == TRACK_REPLY and translated(c):
        if redirected(c):
            w.redirected, w.arrived_dst, w.arrived_dport = True, w.result.dst, w.result.dport
        w.result.dst = c.src
        answer_to(c.protocol, &w.result.sport, &w.result.dport, c.sport)
        w.result.flags |= RESULT_FLAG_UNNAT
    return True
