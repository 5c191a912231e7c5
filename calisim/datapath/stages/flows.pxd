"""The flow cache: a packet like one before it takes the short cut, which only refreshes what that one had refreshed.

A Flow is written when a journey of at most two legs ends in which every step was *steady* (Trail): every connection that was
asked for was there and was only refreshed, or was missed by a packet that was lost before it could open one. The next packet
with the same header finds the same routes, verdicts and translations, for tables do not change and connections' translations
neither. What can change is asked anew, on the leg on which it would be asked: that the connections are alive (of TCP:
ESTABLISHED, an ACK), that what was missed is missing. If not, the packet walks. A Flow that held is trusted with the next
packets until somebody else looks at its connections (stages/ties.pxd). So the cache holds no meaning of its own: with it and
without it all results, connections and counters are the same. The counters get their packets later (stages/tolls.pxd).

A Flow is kept in the shard of its first router; what its second leg touches is of the second router's, perhaps another one.
A journey that is new there leaves a Notice; a packet that has to walk there after all is taken off that shard's counters.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.expiry cimport HISTORY_LAST, fabric_timeout, later, tcp_timeout, timeout, unacknowledged
from calisim.datapath.stages.ties cimport EVEN, FLAGS_AT, TICK, copy_of, distrust, look_at, mark, trust
from calisim.datapath.stages.tolls cimport count_end, enlist
from calisim.datapath.stages.track cimport concerns, hash_of, home, inverse, led_to, same, tuple_of, unwatch

cdef extern from "intrinsics.h":
    ctypedef void built_in
    uint64_t fold(uint64_t a, uint64_t b) nogil
    void prefetch_read(const void* address) nogil
    void prefetch_write(const void* address) nogil

cdef enum:
    FLOW_WIRED = 1                   # it reached the first node's Ethernet
    FLOW_COMPLAINED = 4              # somebody says why it is lost: where that is wanted there is no short cut
    FLOW_ONWARD = 8                  # it has a second leg
    FLOW_SHARD = 4                   # bits from here on: in this shard

cdef enum:
    BEHIND = 24                      # packets between asking for memory and using it: no more than a core can wait for


cdef inline Key key_of(const Packet* packet) noexcept nogil:
    cdef const uint64_t* words = <const uint64_t*> packet
    cdef uint64_t kind = TCP_CLASSES[packet.tcp_flags & 63] | packet.tcp_flags & PSH
    cdef Key key
    kind *= packet.protocol == PROTOCOL_TCP    # computed, not asked for: protocols come at random
    key.ends, key.rest = words[0], words[2] & ~<uint64_t>0xFFFF
    key.head = words[1] & ~(<uint64_t>0xFF << FLAGS_AT) | kind << FLAGS_AT
    return key


cdef inline uint64_t hash_of_key(const Key* key) noexcept nogil:
    return fold(
        fold(key.ends ^ <uint64_t>0x9E3779B97F4A7C15, key.head ^ <uint64_t>0xD1B54A32D192ED03) ^ key.rest,
        <uint64_t>0xBF58476D1CE4E5B9)


cdef inline bint is_key(const Key* a, const Key* b) noexcept nogil:
    return (a.ends ^ b.ends | a.head ^ b.head | a.rest ^ b.rest) == 0


cdef inline bint fit(const Core* core, const Flow* f, const Packet* packet) noexcept nogil:
    """The Flow's journey is one for packets of this length, and for who wants to hear of losses."""
    return f.shortest <= packet.length <= f.longest and not (core.wants_born and f.flags & FLOW_COMPLAINED)


cdef inline bint is_trusted(const Core* core, const Flow* f, const Packet* packet) noexcept nogil:
    """Nothing has to be asked: after the ride before this one its connections are alive, and nobody has done to them what would
    make another journey of it."""
    return core.even & f.trusted[0] & f.trusted[1] & (packet.time >> TICK < f.last.until)


cdef inline void set_out(
    Core* core, Origin* origins, const uint32_t* found, uint32_t first, uint32_t last, bint alone,
) noexcept nogil:
    """Packets of rows from ``first`` to ``last`` whose Flows have been looked for (``found``, see seek): those that are trusted
    are at their end already. ``alone``: there is one shard.      Sets  origins: the others"""
    if alone:
        set_each_out(core, origins, found, first, last, True)          # compiled on its own: it asks less
    else:
        set_each_out(core, origins, found, first, last, False)


cdef inline built_in set_each_out(
    Core* core, Origin* origins, const uint32_t* found, uint32_t first, uint32_t last, bint alone,
) noexcept nogil:
    cdef int64_t size = <int64_t>last - first, i
    for i in range(min(size, BEHIND)):
        ask_for(core, origins, found[i], first + <uint32_t>i, alone)
    for i in range(size - BEHIND):
        ask_for(core, origins, found[i + BEHIND], first + <uint32_t>i + BEHIND, alone)
        go(core, origins, found[i], first + <uint32_t>i, alone)
    for i in range(max(0, size - BEHIND), size):
        go(core, origins, found[i], first + <uint32_t>i, alone)


cdef inline built_in ask_for(
    const Core* core, const Origin* origins, uint32_t found, uint32_t row, bint alone,
) noexcept nogil:
    """For the memory that a packet's turn takes, and for the packet that comes then: where there is none nothing happens."""
    cdef const Flow* f = &origins[0 if alone else found & MOST_SHARDS - 1].flows[<int64_t>(found // MOST_SHARDS) - 1]
    prefetch_read(&core.packets[row + BEHIND])
    prefetch_write(f)
    prefetch_write(&f.result)
    prefetch_write(&core.results[row])


cdef inline built_in go(Core* core, Origin* origins, uint32_t found, uint32_t row, bint alone) noexcept nogil:
    """A packet takes the short cut, if it is trusted with it; else it waits."""
    cdef Origin* origin = &origins[0 if alone else found & MOST_SHARDS - 1]
    cdef uint32_t number = found // MOST_SHARDS
    cdef const Packet* packet = &core.packets[row]
    cdef Key key
    cdef Flow* f
    if number:
        key = key_of(packet)
        f = &origin.flows[number - 1]
        if not alone and origin.originals is not NULL and not f.trusted[0] & f.trusted[1]:
            take_over(f, &origin.originals[number - 1])
        if not is_key(&f.key, &key) or not fit(core, f, packet):
            number = 0
        elif is_trusted(core, f, packet):
            ride(core, origin, f, number, row)
            return
    wait(origin, row, number)


cdef inline void wait(Origin* origin, uint32_t row, uint32_t flow) noexcept nogil:
    """A packet for whom somebody has to ask. ``flow``: 0, if it is none's."""
    origin.waiting[origin.left].row, origin.waiting[origin.left].flow = row, flow
    origin.left += 1


cdef inline void take_over(Flow* f, const Flow* original) noexcept nogil:
    """What a Flow says of packets; nobody changes it while a wave sets off. A slice's copy is not trusted when it has changed."""
    f.key, f.longest, f.shortest, f.flags, f.reach = (
        original.key, original.longest, original.shortest, original.flags, original.reach)
    f.trusted, f.result = original.trusted, original.result


cdef inline void ride(Core* core, const Origin* origin, Flow* f, uint32_t number, uint32_t row) noexcept nogil:
    """A packet takes the short cut on trust: RESULT, and what is owed for it. Where the ride before it stood is now in this one's
    row."""
    cdef const Packet* packet = &core.packets[row]
    cdef Result* result = &core.results[row]
    memcpy(&core.rides[row], &f.last, sizeof(Ride))        # of an assignment gcc makes one for each field
    f.last.time, f.last.wave, f.last.row = packet.time, core.wave, row
    f.last.until = <uint32_t>(packet.time >> TICK) + f.reach
    f.last.rides += 1
    f.first = f.first if f.stamp == core.wave else row
    f.stamp = core.wave
    memcpy(result, &f.result, sizeof(Result))
    result.wire = f.result.wire + packet.length * (f.flags & FLOW_WIRED)
    enlist(origin.unsettled, f, number, packet.length)


cdef inline Tuple missed(const Core* core, uint32_t home_shard, uint32_t number, uint32_t leg) noexcept nogil:
    """What no connection had when the packet whose turn it is came to its last leg: until its end nothing has translated it."""
    cdef const Result* end = &core.homes[home_shard].flows[number - 1].result
    cdef uint32_t router = core.homes[home_shard].tolls[number - 1].routers[leg]
    return tuple_of(
        core.fib.routers[router].key, end.src, end.dst, end.sport, end.dport, core.packets[core.row].protocol, 0)


cdef inline bint nobody_has(Core* core, const Tuple* t, uint64_t hash, uint64_t time, bint* calm) noexcept nogil:
    """No live connection has the tuple, and the first that had it, if there is one, is gone for good.

    Sets  calm: False where a packet of this wave for which it is earlier may find one alive
    """
    cdef uint64_t at = home(core, hash), slot = core.index[at]
    cdef bint first = True
    cdef Connection* c
    if hash_of(t) != hash:
        return False
    while slot:
        c = led_to(core, slot, hash) if concerns(slot, hash) else NULL
        if c is not NULL and same(c, t):
            if first and c.expires:
                return False                   # who asks for the tuple may find it, and does not come to a place further on
            first = False
            if c.wave & TIED and c.expires:
                look_at(core, c, time, False)
            if c.expires > time:
                return False
            if c.expires and later(c.expires, EVEN * <uint64_t>1000000000) > time:
                calm[0] = False
        at = (at + 1) & core.index_mask
        slot = core.index[at]
    return True


cdef inline uint32_t new_place(Core* core, const Tuple* t, uint64_t hash) noexcept nogil:
    """Of a connection that is dead from the beginning: its position."""
    cdef uint32_t position = core.connection_count
    cdef Connection* c = &core.connections[position]
    cdef Tuple reply = inverse(t)
    cdef uint64_t at = home(core, hash)
    memset(c, 0, sizeof(Connection))
    c.key, c.src, c.dst, c.sport, c.dport, c.protocol = t.key, t.src, t.dst, t.sport, t.dport, t.protocol
    c.reply_src, c.reply_dst, c.reply_sport, c.reply_dport = reply.src, reply.dst, reply.sport, reply.dport
    c.wave = core.wave
    while core.index[at]:
        at = (at + 1) & core.index_mask
    core.index[at] = hash >> 32 << 32 | (position + 1)
    core.index_count += 1
    core.connection_count += 1
    return position


cdef inline bint keep_place(Core* core, uint32_t home_shard, uint32_t number, uint32_t leg) noexcept nogil:
    """Of what a Flow has missed there is a place among the connections, gone for good, so that the Flow is told who asks for the
    tuple: nobody enters it without. False: the Flow has no room for it."""
    cdef Aside* more = &core.homes[home_shard].asides[number - 1]
    cdef uint32_t count = more.marks[leg] & MARK_COUNT
    cdef uint64_t hash = more.absent, at = home(core, hash)
    cdef Connection* c = NULL
    cdef Tuple t = missed(core, home_shard, number, leg)
    if count == TOUCHED:
        return False
    while core.index[at]:
        c = led_to(core, core.index[at], hash) if concerns(core.index[at], hash) else NULL
        if c is not NULL and same(c, &t):
            break
        at = (at + 1) & core.index_mask
    more.touched[leg][count] = <uint32_t>(c - core.connections) if core.index[at] else new_place(core, &t, hash)
    more.marks[leg] += 1
    more.marks[leg] |= UPKEEP_ABSENT << MARK_UPKEEP + MARK_NEXT * count
    return True


cdef inline bint keeps_place(uint32_t marks) noexcept nogil:
    """The last one that a leg has touched is such a place."""
    cdef uint32_t count = marks & MARK_COUNT
    return count and marks >> MARK_UPKEEP + MARK_NEXT * (count - 1) & 7 == UPKEEP_ABSENT


cdef inline void found_to_hold(
    Core* core, uint32_t home_shard, uint32_t number, uint32_t leg, uint64_t absent, bint calm,
) noexcept nogil:
    """The next packets of a Flow may be trusted with it on this leg (0, 1), if nobody in the wave may undo what it rests on:
    ``calm``."""
    cdef Flow* f = &core.homes[home_shard].flows[number - 1]
    if not calm:
        distrust(core, &core.homes[home_shard], number, leg)
    elif not f.trusted[leg] and (not absent or keeps_place(core.homes[home_shard].asides[number - 1].marks[leg])
                                 or keep_place(core, home_shard, number, leg)):
        trust(core, home_shard, number, leg)


cdef inline bint keeps(const Connection* c, uint64_t time, uint32_t upkeep) noexcept nogil:
    """Alive, and still one that a packet only refreshes."""
    return (c.expires > time) & ((c.state == CONNECTION_ESTABLISHED) | (upkeep != UPKEEP_TCP))


cdef inline void refresh_again(
    Core* core, Connection* c, const Packet* packet, bint reply, uint32_t upkeep,
) noexcept nogil:
    """One packet more of something that keeps: what conntrack and the groups do with it, and nothing else. (Its state is what
    the packet has made it that the flow was noted of.)

    Directions are computed with, not asked for: one mispredicted branch costs as much as all of this.
    """
    cdef uint64_t span
    if upkeep == UPKEEP_TCP:
        c.history = unacknowledged(c, packet.tcp_flags, reply) & ~HISTORY_LAST
        span = tcp_timeout(c)
    elif upkeep == UPKEEP_OTHER:
        span = timeout(c, packet.time)
    else:
        span = fabric_timeout(c.protocol)
    if c.wave & WATCHED:
        unwatch(core, c)
    c.expires = later(packet.time, span)
    mark(core, c)
    c.packets += not reply
    c.reply_packets += reply


cdef inline bint again(
    Core* core, const Packet* packet, const uint32_t* touched, uint32_t marks, uint64_t absent, uint32_t home_shard,
    uint32_t number, uint32_t leg,
) noexcept nogil:
    """What a leg (0, 1) of a Flow does to connections, if it still can be done as before: all of it or nothing."""
    cdef uint32_t count = (marks & MARK_COUNT) - keeps_place(marks), each = marks, k
    cdef Connection* connections = core.connections
    cdef uint64_t time = packet.time
    cdef bint kept = True, calm = True
    cdef Tuple t
    for k in range(count):
        if connections[touched[k]].wave & TIED:
            look_at(core, &connections[touched[k]], time, False)
        kept &= keeps(&connections[touched[k]], time, each >> MARK_UPKEEP & 7)
        each >>= MARK_NEXT
    if kept and absent:
        t = missed(core, home_shard, number, leg)
        kept = nobody_has(core, &t, absent, time, &calm)
    if not kept:
        return False
    for k in range(count):
        refresh_again(core, &connections[touched[k]], packet, marks & MARK_REPLY != 0, marks >> MARK_UPKEEP & 7)
        marks >>= MARK_NEXT
    found_to_hold(core, home_shard, number, leg, absent, calm)
    return True


cdef inline bint first_leg(Core* core, const Carry* carry, Carry* onward, bint* goes_on) noexcept nogil:
    """The short cut's, and RESULT as a whole. False: the packet has to walk.      Sets  onward, if there is a second leg"""
    cdef Flow* f = &core.flows[carry.flow - 1]
    cdef const Aside* more = &core.asides[carry.flow - 1]
    cdef const Packet* packet = &core.packets[carry.row]
    cdef Result* result = &core.results[carry.row]
    cdef uint32_t slice
    goes_on[0] = f.flags & FLOW_ONWARD != 0
    if not fit(core, f, packet):               # since it was looked up it may have become another journey
        return False
    if not again(
            core, packet, more.touched[0], more.marks[0], 0 if goes_on[0] else more.absent, core.shard, carry.flow, 0):
        return False
    result[0] = f.result
    result.wire += packet.length if f.flags & FLOW_WIRED else 0
    enlist(core.unsettled, f, carry.flow, packet.length)
    f.busy = core.wave
    for slice in range(core.slices):
        copy_of(&core.homes[core.shard], carry.flow, slice).last.until = (
            <uint32_t>(packet.time >> TICK) + f.reach if core.even else 0)
    if goes_on[0]:
        go_on(more, carry.row, carry.flow, core.shard, onward)
    return True


cdef inline void go_on(const Aside* more, uint32_t row, uint32_t flow, uint32_t home_shard, Carry* onward) noexcept nogil:
    """The second leg of a short cut that is not taken on trust."""
    onward.row, onward.flow, onward.trail.home = row, flow, home_shard
    onward.trail.touched, onward.trail.marks, onward.trail.absent = more.touched[1], more.marks[1], more.absent


cdef inline bint second_leg(Core* core, const Carry* carry) noexcept nogil:
    """False: the packet has to walk."""
    return again(
        core, &core.packets[carry.row], carry.trail.touched, carry.trail.marks, carry.trail.absent, carry.trail.home, carry.flow,
        1)


cdef inline void ask_for_first_leg(const Core* core, uint32_t flow) noexcept nogil:
    cdef const Aside* more = &core.asides[flow - 1]
    cdef uint32_t k
    for k in range(TOUCHED):
        prefetch_write(&core.connections[more.touched[0][k]])


cdef inline void ask_for_second_leg(const Core* core, const Carry* carry) noexcept nogil:
    cdef uint32_t k
    for k in range(TOUCHED):
        prefetch_write(&core.connections[carry.trail.touched[k]])


cdef inline void retreat(Core* core, const Carry* cut, Carry* carry) noexcept nogil:
    """The second leg has to be walked after all: the packet as it is after the first one.      Sets  carry, RESULT

    The Flow is one for nobody any more, so that the next packet walks and can note its journey anew.
    """
    cdef Flow* f = &core.homes[cut.trail.home].flows[cut.flow - 1]
    cdef const Aside* more = &core.homes[cut.trail.home].asides[cut.flow - 1]
    cdef uint32_t row = cut.row, length = core.packets[row].length
    count_end(core, f, &core.homes[cut.trail.home].tolls[cut.flow - 1], -1, -<int64_t>length)     # its own shard has counted it
    carry[0], core.results[row] = more.carry, more.result
    carry.row = row
    carry.outer_length += length
    if f.flags & FLOW_WIRED:
        core.results[row].wire += length
    f.longest = 0
    distrust(core, &core.homes[cut.trail.home], cut.flow, 1)
