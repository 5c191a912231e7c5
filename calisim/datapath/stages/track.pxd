"""The connection table: dense CONNECTION records and an index that leads both directions to one of them.

A slot of the index is tag << 32 | position + 1, 0 where empty; probing is linear. A slot's home is in its tag, so that an
index grows without a look at the records (``widen``). Conntrack's entry of a tuple and the groups', which are often made one
after the other, then share a slot (PAIR). The hash is symmetric, so that an untranslated connection needs one slot; a
translated one has a second for its reply tuple, and where masquerade sticks to ports a third for its source. Slots are never
freed and records only when the door rebuilds the index, so among equal tuples the one confirmed first is met first.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport (
    Core, Foresight, Seat, Taken, Tuple, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, ECHO_REQUEST, SUPERSEDED, TAKEN_WAYS,
    TAKEN_WORDS, TIED, WATCHED)
from calisim.datapath.stages.expiry cimport later
from calisim.datapath.stages.ties cimport look_at

cdef enum:
    AHEAD = 8                                  # records that are asked for before they are written
    FLAGS_SHIFT = 56                           # the tag's highest bit, above every index_mask
    SOURCE_SHIFT = 62                          # below: set of slots that lead to a source's last connection
    PAIR = 0x80000000                          # of a slot: the next record is that of its tuple in the other kind of tracking

cdef extern from "intrinsics.h":
    uint64_t fold(uint64_t a, uint64_t b) nogil
    void prefetch_write(const void* address) nogil
    ctypedef void aside                # of a function that is rarely called


cdef inline uint64_t hash_of(const Tuple* t) noexcept nogil:
    """Equal for a tuple and its inverse (ICMP: the identifier stays, only the type turns): a product has no order.

    The hash is this table's own affair, so it need not be the one that both engines draw by, which costs four times as much.
    The flags change the tag alone: the groups' entry of a tuple lies beside conntrack's.
    """
    cdef uint64_t a = <uint64_t>t.src << 16 | t.sport
    cdef uint64_t b = <uint64_t>t.dst << 16 | (t.sport if t.protocol == PROTOCOL_ICMP else t.dport)
    cdef uint64_t rest = <uint64_t>t.key << 32 | t.protocol
    return <uint64_t>t.flags << FLAGS_SHIFT ^ (~(<uint64_t>1 << SOURCE_SHIFT) & fold(
        fold(a ^ <uint64_t>0x9E3779B97F4A7C15, b ^ <uint64_t>0x9E3779B97F4A7C15) ^ rest, <uint64_t>0xBF58476D1CE4E5B9))


cdef inline uint64_t home(const Core* core, uint64_t hash) noexcept nogil:
    """Where in the index it is looked for first."""
    return hash >> 32 & core.index_mask


cdef inline Seat seat_of(const Core* core, uint64_t hash) noexcept nogil:
    """Of a tuple of this hash, when nothing is known about the index."""
    cdef Seat seat
    seat.hash, seat.at = hash, home(core, hash)
    return seat


cdef inline uint64_t beside(uint64_t hash) noexcept nogil:
    """Hash of a tuple in conntrack of that in the groups' tracking, and the other way round."""
    return hash ^ <uint64_t>CONNECTION_FLAG_TRACKED_BY_FABRIC << FLAGS_SHIFT


cdef inline Tuple inverse(const Tuple* t) noexcept nogil:
    """What an answer looks like."""
    cdef Tuple other = t[0]
    other.src, other.dst = t.dst, t.src
    if t.protocol == PROTOCOL_ICMP:
        other.dport = t.dport ^ ECHO_REQUEST
    else:
        other.sport, other.dport = t.dport, t.sport
    return other


cdef inline Tuple tuple_of(
    uint32_t key, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint8_t protocol, uint16_t flags,
) noexcept nogil:
    """ICMP: identifier and type; protocols without ports have none."""
    cdef Tuple t
    t.key, t.src, t.dst, t.protocol, t.flags = key, src, dst, protocol, flags
    t.sport = t.dport = 0
    if protocol == PROTOCOL_ICMP:
        t.sport, t.dport = sport, ECHO_REQUEST if dport & 0xFF00 == ECHO_REQUEST else 0
    elif protocol == PROTOCOL_TCP or protocol == PROTOCOL_UDP:
        t.sport, t.dport = sport, dport
    return t


cdef inline Connection* record_of(const Core* core, uint64_t slot) noexcept nogil:
    """Where a slot that is not empty leads."""
    return &core.connections[(<uint32_t>slot & ~<uint32_t>PAIR) - 1]


cdef inline bint concerns(uint64_t slot, uint64_t hash) noexcept nogil:
    """By their tags it leads to tuples of this hash, of whichever kind of tracking."""
    return (slot ^ hash) << 1 >> 33 == 0


cdef inline Connection* led_to(const Core* core, uint64_t slot, uint64_t hash) noexcept nogil:
    """The record to which a slot that ``concerns`` it leads for this hash, or NULL."""
    cdef Connection* c = record_of(core, slot)
    if slot >> 32 == hash >> 32:
        return c
    return c + 1 if slot & <uint64_t>PAIR else NULL


cdef inline uint64_t pair(uint32_t first, uint32_t second) noexcept nogil:
    """Of two that lie side by side in memory the compiler makes one load."""
    return <uint64_t>second << 32 | first


cdef inline bint equal(const Tuple* a, const Tuple* b) noexcept nogil:
    return a == b or (
        a.key == b.key and pair(a.src, a.dst) == pair(b.src, b.dst) and a.protocol == b.protocol and a.flags == b.flags
        and a.sport == b.sport and a.dport == b.dport)


cdef inline bint is_original(const Connection* c, const Tuple* t) noexcept nogil:
    return (pair(c.src, c.dst) == pair(t.src, t.dst)
            and (<uint32_t>c.dport << 16 | c.sport) == (<uint32_t>t.dport << 16 | t.sport))


cdef inline bint is_reply(const Connection* c, const Tuple* t) noexcept nogil:
    return (pair(c.reply_src, c.reply_dst) == pair(t.src, t.dst)
            and (<uint32_t>c.reply_dport << 16 | c.reply_sport) == (<uint32_t>t.dport << 16 | t.sport))


cdef inline bint alike(const Connection* c, const Tuple* t) noexcept nogil:
    """The entry has this tuple in either direction, of whichever kind of tracking."""
    return c.key == t.key and c.protocol == t.protocol and (is_original(c, t) or is_reply(c, t))


cdef inline bint same(const Connection* c, const Tuple* t) noexcept nogil:
    """The entry has this tuple in either direction."""
    return c.flags == t.flags and alike(c, t)


cdef inline Connection* find_at(Core* core, const Tuple* t, Seat* seat, uint64_t time) noexcept nogil:
    """The live entry that has this tuple in either direction, or NULL.      Sets  seat: further on, if there is none"""
    cdef uint64_t at = seat.at, slot = core.index[at]
    cdef bint met = False
    cdef Connection* c
    while slot:
        if concerns(slot, seat.hash):
            met = True
            c = led_to(core, slot, seat.hash)
            if c is not NULL and same(c, t):
                if c.wave & TIED:
                    look_at(core, c, time, True)
                if c.expires > time:
                    return c
            if c is NULL and <uint32_t>slot == core.connection_count:
                return NULL                    # the last record is met last of its hash: how far the gap is nobody predicts
        at = (at + 1) & core.index_mask
        slot = core.index[at]
    if not met:
        seat.at = at
    return NULL


cdef inline Connection* find(Core* core, const Tuple* t, uint64_t hash, uint64_t time) noexcept nogil:
    """``find_at`` of a tuple that nobody has looked for yet."""
    cdef Seat seat = seat_of(core, hash)
    return find_at(core, t, &seat, time)


cdef inline Seat seat_foreseen(const Core* core, const Foresight* foreseen, const Tuple* t) noexcept nogil:
    """Of a tuple that probably is the one foreseen, in one kind of tracking or the other."""
    cdef const Tuple* seen = &foreseen.tuple
    cdef Seat seat
    if (not seen.flags or seen.key != t.key or seen.src != t.src or seen.dst != t.dst or seen.protocol != t.protocol
            or seen.sport != t.sport or seen.dport != t.dport):
        return seat_of(core, hash_of(t))
    seat.at, seat.hash = foreseen.seat.at, foreseen.seat.hash if t.flags else beside(foreseen.seat.hash)
    return seat


cdef inline void answer_to(uint8_t protocol, uint16_t* sport, uint16_t* dport, uint16_t port) noexcept nogil:
    """Makes an answer's ports those of one to ``port``: ICMP has it in the identifier, other protocols have none."""
    if protocol == PROTOCOL_ICMP:
        sport[0] = port
    elif protocol == PROTOCOL_TCP or protocol == PROTOCOL_UDP:
        dport[0] = port


cdef inline uint16_t port_of(const Tuple* answer) noexcept nogil:
    """Where an answer goes to; ICMP has it in the identifier."""
    return answer.sport if answer.protocol == PROTOCOL_ICMP else answer.dport


cdef inline Taken* taken_from(Core* core, const Tuple* first, uint64_t time) noexcept nogil:
    """Where it is kept which of the 64 ports from the one of this answer on are taken; else a slot for it, others' if need be.

    The words of a range lie side by side, so that none displaces another; those of another range find room further on.
    """
    cdef uint16_t remote = first.dport if first.protocol == PROTOCOL_ICMP else first.sport
    cdef uint64_t at = (port_of(first) >> 6) + fold(
        (<uint64_t>first.src << 24 | <uint64_t>remote << 8 | first.protocol) ^ <uint64_t>0x9E3779B97F4A7C15,
        (<uint64_t>first.dst << 32 | first.key) ^ <uint64_t>0xBF58476D1CE4E5B9)
    cdef Taken* taken
    cdef Taken* spare = NULL
    cdef int _
    for _ in range(TAKEN_WAYS):
        taken = &core.taken[at & core.taken_mask]
        if equal(&taken.first, first):
            return taken
        if spare is NULL and (taken.until <= time or not taken.ports):
            spare = taken
        at += TAKEN_WORDS
    return taken if spare is NULL else spare


cdef inline aside unwatch(Core* core, Connection* c) noexcept nogil:
    """Its expiry changes: whether its port is taken has to be looked up anew."""
    cdef Tuple reply
    cdef uint16_t port
    c.wave &= ~WATCHED
    reply.key, reply.protocol, reply.flags = c.key, c.protocol, c.flags
    reply.src, reply.dst, reply.sport, reply.dport = c.reply_src, c.reply_dst, c.reply_sport, c.reply_dport
    port = port_of(&reply)
    answer_to(reply.protocol, &reply.sport, &reply.dport, port & 0xFFC0)
    taken_from(core, &reply, 0).ports &= ~(<uint64_t>1 << (port & 63))     # perhaps others': they know a port less


cdef inline void point(
    Core* core, const Tuple* t, const Tuple* other, const Seat* seat, uint32_t position,
) noexcept nogil:
    """A slot that leads to a record, perhaps one that led to the record before it already; the door keeps the index from filling
    up. What had one of the tuples is gone for good."""
    cdef uint64_t at = seat.at, hash = seat.hash, slot = core.index[at]
    cdef Connection* c
    while slot:
        if concerns(slot, hash):
            c = led_to(core, slot, hash)
            if c is not NULL and (same(c, t) or same(c, other)):
                if c.wave & TIED:
                    look_at(core, c, 0, True)
                c.expires = 0
                if c.wave & WATCHED:
                    unwatch(core, c)
            if c is NULL and <uint32_t>slot == position and (alike(&core.connections[position - 1], t)
                                                             or alike(&core.connections[position - 1], other)):
                core.index[at] = slot | <uint64_t>PAIR
                return
        at = (at + 1) & core.index_mask
        slot = core.index[at]
    core.index[at] = (hash >> 32) << 32 | (position + 1)
    core.index_count += 1


cdef inline uint16_t translated_port(const Connection* c) noexcept nogil:
    """Port (of ICMP the identifier) that the source leaves with."""
    return c.reply_sport if c.protocol == PROTOCOL_ICMP else c.reply_dport


cdef inline bint translated(const Connection* c) noexcept nogil:
    """SNATed: the answer goes to another address or port than the packet came from."""
    return c.reply_dst != c.src or translated_port(c) != c.sport


cdef inline bint redirected(const Connection* c) noexcept nogil:
    """DNATed: the answer comes from another address or port than the packet went to (ICMP has a type there)."""
    return c.reply_src != c.dst or (c.reply_sport != c.dport and c.protocol != PROTOCOL_ICMP)


cdef inline uint64_t source_hash(uint32_t key, uint32_t src, uint16_t sport, uint8_t protocol) noexcept nogil:
    return <uint64_t>1 << SOURCE_SHIFT | fold(
        (<uint64_t>src << 16 | sport) ^ <uint64_t>0x94D049BB133111EB,
        (<uint64_t>protocol << 32 | key) ^ <uint64_t>0xBF58476D1CE4E5B9)


cdef inline uint64_t* source_slot(Core* core, uint32_t key, uint32_t src, uint16_t sport, uint8_t protocol) noexcept nogil:
    """Slot of the translated connection of this source and port that was confirmed last, or the empty one where it would be."""
    cdef uint64_t hash = source_hash(key, src, sport, protocol)
    cdef uint64_t at = home(core, hash)
    cdef Connection* c
    while core.index[at]:
        if core.index[at] >> 32 == hash >> 32:
            c = record_of(core, core.index[at])
            if c.key == key and c.src == src and c.sport == sport and c.protocol == protocol and translated(c) and not c.flags:
                return &core.index[at]
        at = (at + 1) & core.index_mask
    core.index[at] = (hash >> 32) << 32            # the caller fills in the position
    core.index_count += 1
    return &core.index[at]


cdef inline void index_entry(
    Core* core, uint32_t position, const Tuple* original, const Tuple* reply, const Seat* there, const Seat* back,
) noexcept nogil:
    """Both directions of a record, and if need be its source. SUPERSEDED: a later one has taken over the source."""
    cdef Connection* c = &core.connections[position]
    cdef uint64_t* slot
    cdef uint64_t expires = c.expires
    point(core, original, reply, there, position)
    if back.hash != there.hash:
        point(core, reply, original, back, position)
    if core.sourced and translated(c) and not c.flags and not c.wave & SUPERSEDED:
        slot = source_slot(core, c.key, c.src, c.sport, c.protocol)
        if <uint32_t>slot[0]:
            record_of(core, slot[0]).wave |= SUPERSEDED
        slot[0] = slot[0] >> 32 << 32 | (position + 1)
    c.expires = expires


cdef inline void index_again(Core* core, uint32_t position) noexcept nogil:
    """``index_entry`` of what stands in the record."""
    cdef const Connection* c = &core.connections[position]
    cdef Tuple original, reply
    cdef Seat there, back
    original.key = reply.key = c.key
    original.protocol = reply.protocol = c.protocol
    original.flags = reply.flags = c.flags
    original.src, original.dst, original.sport, original.dport = c.src, c.dst, c.sport, c.dport
    reply.src, reply.dst, reply.sport, reply.dport = c.reply_src, c.reply_dst, c.reply_sport, c.reply_dport
    there, back = seat_of(core, hash_of(&original)), seat_of(core, hash_of(&reply))
    index_entry(core, position, &original, &reply, &there, &back)


cdef inline Connection* enter(
    Core* core, const Tuple* original, const Tuple* reply, const Seat* there, const Seat* back, uint32_t router, uint8_t state,
    uint64_t time, uint64_t span,
) noexcept nogil:
    """A new entry; the door has made room for it. ``there``, ``back``: of the tuples."""
    cdef uint32_t position = core.connection_count
    cdef Connection* c = &core.connections[position]
    cdef uint32_t* ordinal = &core.ordinals[router * 2 + (original.flags != 0)]
    prefetch_write(c + AHEAD)
    core.connection_count += 1
    ordinal[0] += 1
    c.key, c.ordinal = original.key, ordinal[0]
    c.src, c.dst, c.sport, c.dport = original.src, original.dst, original.sport, original.dport
    c.reply_src, c.reply_dst, c.reply_sport, c.reply_dport = reply.src, reply.dst, reply.sport, reply.dport
    c.created, c.expires, c.packets, c.reply_packets = time, later(time, span), 1, 0
    c.protocol, c.state, c.flags, c.history, c.wave = original.protocol, state, original.flags, 0, core.wave
    index_entry(core, position, original, reply, there, back)
    return c
