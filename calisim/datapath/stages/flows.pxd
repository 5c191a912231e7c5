"""The flow cache: a packet like one before it takes the short cut, which only refreshes what that one had refreshed.

A Flow is written when a journey of at most two legs ends in which every step was *steady* (Trail): every connection that was
asked for was there and was only refreshed, or was missed by a packet that was lost before it could open one. The next packet
with the same header finds the same routes, verdicts and translations, for tables do not change and connections' translations
neither. What can change is asked anew each time, on the leg on which it would be asked: that the connections are alive (of
TCP: ESTABLISHED, an ACK), that what was missed is missing. If not, the packet walks. So the cache holds no meaning of its own:
with it and without it all results, connections and counters are the same. The counters get their packets later (settle).

A Flow is kept in the shard of its first router; what its second leg touches is of the second router's, perhaps another one.
A journey that is new there leaves a Notice; a packet that has to walk there after all is taken off that shard's counters.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.admit cimport shortest
from calisim.datapath.stages.tcp cimport HISTORY_LAST, unacknowledged
from calisim.datapath.stages.track cimport concerns, fabric_timeout, home, later, led_to, tcp_timeout, timeout, unwatch

cdef extern from "intrinsics.h":
    uint64_t fold(uint64_t a, uint64_t b) nogil
    void prefetch_read(const void* address) nogil
    void prefetch_write(const void* address) nogil

cdef enum:
    FLOW_WIRED = 1                   # it reached the first node's Ethernet
    FLOW_LISTED = 2                  # in Core.listed
    FLOW_COMPLAINED = 4              # somebody says why it is lost: where that is wanted there is no short cut
    FLOW_ONWARD = 8                  # it has a second leg
    FLOW_SHARD = 4                   # bits from here on: in this shard

cdef enum:
    AHEAD = 16                       # listed flows whose memory is asked for before their turn: adding up takes half the time

cdef enum:
    FLAGS_AT = 40                    # bit of Key.head


cdef inline Key key_of(const Packet* packet) noexcept nogil:
    cdef const uint64_t* words = <const uint64_t*> packet
    cdef uint64_t kind = TCP_CLASSES[packet.tcp_flags & 63] if packet.protocol == PROTOCOL_TCP else 0
    cdef Key key
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


cdef inline void seek(const Core* core, const uint32_t* rows, uint32_t count, uint32_t* numbers) noexcept nogil:
    """Numbers of the Flows of a frame's packets, 0: none. Each pass fetches the memory that the next one reads."""
    cdef const uint64_t* index = core.flow_index
    cdef const Flow* flows = core.flows
    cdef const Packet* packets = core.packets
    cdef Connection* connections = core.connections
    cdef uint64_t mask = core.flow_index_mask, slot, at
    cdef uint64_t[FRAME_SIZE] hashes
    cdef Key[FRAME_SIZE] keys
    cdef const Flow* f
    cdef uint32_t i
    for i in range(count):
        keys[i] = key_of(&packets[rows[i]])
        hashes[i] = hash_of_key(&keys[i])
        prefetch_read(&index[hashes[i] & mask])
        prefetch_write(&core.results[rows[i]])
    for i in range(count):
        at = hashes[i] & mask
        slot = index[at]
        while slot and slot >> 32 != hashes[i] >> 32:
            at = (at + 1) & mask
            slot = index[at]
        numbers[i] = <uint32_t>slot
        if slot:
            prefetch_write(&flows[numbers[i] - 1])
            prefetch_write(&flows[numbers[i] - 1].result)
    for i in range(count):
        if numbers[i]:
            f = &flows[numbers[i] - 1]
            if is_key(&f.key, &keys[i]) and fit(core, f, &packets[rows[i]]):
                prefetch_write(&connections[f.touched[0][0]])      # what is not used is 0: somebody's, near enough
                prefetch_write(&connections[f.touched[0][1]])
                prefetch_write(&connections[f.touched[0][2]])
            else:
                numbers[i] = 0


cdef inline bint nobody_has(const Core* core, uint64_t hash) noexcept nogil:
    """No connection, alive or not, has a tuple of this hash."""
    cdef uint64_t at = home(core, hash), slot = core.index[at]
    while slot:
        if concerns(slot, hash) and led_to(core, slot, hash) is not NULL:
            return False
        at = (at + 1) & core.index_mask
        slot = core.index[at]
    return True


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
    c.packets += not reply
    c.reply_packets += reply


cdef inline bint again(
    Core* core, const Packet* packet, const uint32_t* touched, uint32_t marks, uint64_t absent,
) noexcept nogil:
    """What a leg does to connections, if it still can be done as before: all of it or nothing."""
    cdef uint32_t count = marks & MARK_COUNT, each = marks, k
    cdef Connection* connections = core.connections
    cdef uint64_t time = packet.time
    cdef bint kept = True
    for k in range(count):
        kept &= keeps(&connections[touched[k]], time, each >> MARK_UPKEEP & 7)
        each >>= MARK_NEXT
    if not kept or (absent and not nobody_has(core, absent)):
        return False
    for k in range(count):
        refresh_again(core, &connections[touched[k]], packet, marks & MARK_REPLY != 0, marks >> MARK_UPKEEP & 7)
        marks >>= MARK_NEXT
    return True


cdef inline void enlist(Core* core, uint32_t number, uint32_t length) noexcept nogil:
    """A packet more for the counters, when somebody looks at them."""
    cdef Flow* f = &core.flows[number - 1]
    if not f.flags & FLOW_LISTED:
        f.flags |= FLOW_LISTED
        core.listed[core.listed_count] = number
        core.listed_count += 1
    f.packets += 1
    f.bytes += length


cdef inline bint first_leg(Core* core, const Carry* carry, Carry* onward, bint* goes_on) noexcept nogil:
    """The short cut's, and RESULT as a whole. False: the packet has to walk.      Sets  onward, if there is a second leg"""
    cdef Flow* f = &core.flows[carry.flow - 1]
    cdef const Packet* packet = &core.packets[carry.row]
    cdef Result* result = &core.results[carry.row]
    goes_on[0] = f.flags & FLOW_ONWARD != 0
    if not fit(core, f, packet):               # since it was looked up it may have become another journey
        return False
    if not again(core, packet, f.touched[0], f.marks[0], 0 if goes_on[0] else f.absent):
        return False
    result[0] = f.result
    result.wire += packet.length if f.flags & FLOW_WIRED else 0
    enlist(core, carry.flow, packet.length)
    f.wave = core.wave
    if goes_on[0]:
        onward.row, onward.flow, onward.trail.home = carry.row, carry.flow, core.shard
        onward.trail.touched, onward.trail.marks, onward.trail.absent = f.touched[1], f.marks[1], f.absent
    return True


cdef inline bint second_leg(Core* core, const Carry* carry) noexcept nogil:
    """False: the packet has to walk."""
    return again(core, &core.packets[carry.row], carry.trail.touched, carry.trail.marks, carry.trail.absent)


cdef inline void ask_for_second_leg(const Core* core, const Carry* carry) noexcept nogil:
    cdef uint32_t k
    for k in range(TOUCHED):
        prefetch_write(&core.connections[carry.trail.touched[k]])


cdef inline void count(
    Core* core, const Flow* f, const Aside* aside, uint32_t leg, int64_t packets, int64_t octets,
) noexcept nogil:
    """Into the counters: what packets of a Flow met on one of its legs (0, 1)."""
    cdef uint32_t crossings = aside.crossings[leg], router, k
    cdef uint64_t* link
    while crossings:
        router = 0 if crossings & 1 else aside.routers[leg]
        link = &core.links[(<size_t>router * DEVICE_COUNT * 2 + (crossings >> 2 & 31)) * 2]
        link[0] += packets
        link[1] += octets + (packets * ENCAPSULATIONS[f.result.encap].overhead if crossings & 2 else 0)
        crossings >>= 8
    for k in range(HITS):
        if aside.hits[leg][k]:
            core.hits[aside.hits[leg][k]] += packets


cdef inline void count_end(Core* core, const Flow* f, const Aside* aside, int64_t packets, int64_t octets) noexcept nogil:
    """Into the counters: what packets of a Flow met on the last of its legs, and their end."""
    count(core, f, aside, f.flags & FLOW_ONWARD != 0, packets, octets)
    core.verdicts[f.result.verdict] += packets
    if f.result.verdict == VERDICT_DROPPED:
        core.drops[<size_t>f.result.where * DROP_COUNT + f.result.reason] += packets


cdef inline void settle(Core* core, Flow* f, const Aside* aside) noexcept nogil:
    """Into the counters: all packets that took the short cut since."""
    if f.flags & FLOW_ONWARD:
        count(core, f, aside, 0, f.packets, f.bytes)
    count_end(core, f, aside, f.packets, f.bytes)
    f.packets = 0
    f.bytes = 0


cdef inline void ask_for_settling(const Core* core, uint32_t at) noexcept nogil:
    """The memory that ``settle`` needs of flows further down the list, and of the counters of those that are there already."""
    cdef const Aside* aside
    cdef uint32_t leg
    if at + AHEAD < core.listed_count:
        prefetch_write(&core.flows[core.listed[at + AHEAD] - 1].result)
        prefetch_read(&core.asides[core.listed[at + AHEAD] - 1].routers)
    if at + AHEAD // 2 < core.listed_count:
        aside = &core.asides[core.listed[at + AHEAD // 2] - 1]
        for leg in range(2):
            prefetch_write(&core.links[<size_t>aside.routers[leg] * DEVICE_COUNT * 4])
            prefetch_write(&core.links[<size_t>aside.routers[leg] * DEVICE_COUNT * 4 + 8])
            prefetch_write(&core.links[<size_t>aside.routers[leg] * DEVICE_COUNT * 4 + 16])


cdef inline void retreat(Core* core, const Carry* cut, Carry* carry) noexcept nogil:
    """The second leg has to be walked after all: the packet as it is after the first one.      Sets  carry, RESULT

    The Flow is one for nobody any more, so that the next packet walks and can note its journey anew.
    """
    cdef Flow* f = &core.homes[cut.trail.home].flows[cut.flow - 1]
    cdef const Aside* aside = &core.homes[cut.trail.home].asides[cut.flow - 1]
    cdef uint32_t row = cut.row, length = core.packets[row].length
    count_end(core, f, aside, -1, -<int64_t>length)     # its own shard has counted it
    carry[0], core.results[row] = aside.carry, aside.result
    carry.row = row
    carry.outer_length += length
    if f.flags & FLOW_WIRED:
        core.results[row].wire += length
    f.longest = 0


cdef inline bint lasting(const Result* result) noexcept nogil:
    """An end that does not depend on the packet's length."""
    if result.verdict == VERDICT_DROPPED:
        return result.reason not in (DROP_MTU_EXCEEDED, DROP_FABRIC_MTU, DROP_MALFORMED)
    return result.verdict == VERDICT_DELIVERED or result.verdict == VERDICT_EXITED


cdef inline uint32_t place_for(Core* core, const Key* key) noexcept nogil:
    """Number of the key's Flow, which is taken anew, or of another one, which is indexed; 0: there is no room."""
    cdef uint64_t hash = hash_of_key(key), at = hash & core.flow_index_mask
    cdef uint32_t number
    while core.flow_index[at]:
        if core.flow_index[at] >> 32 == hash >> 32:
            number = <uint32_t>core.flow_index[at]
            if not is_key(&core.flows[number - 1].key, key):
                return 0                       # the index knows one of a hash
            if core.flows[number - 1].wave == core.wave:
                return 0                       # who is under way on it may yet retreat
            settle(core, &core.flows[number - 1], &core.asides[number - 1])
            return number
        at = (at + 1) & core.flow_index_mask
    if core.flow_count == core.flow_room:
        return 0
    core.flow_count += 1
    core.flow_index[at] = hash >> 32 << 32 | core.flow_count
    core.flows[core.flow_count - 1].flags = 0
    return core.flow_count


cdef inline void enter_flow(Core* core, const Notice* notice) noexcept nogil:
    """A journey that ended in another shard."""
    cdef uint32_t number = place_for(core, &notice.flow.key)
    cdef uint8_t listed
    if number:
        listed = core.flows[number - 1].flags & FLOW_LISTED
        core.flows[number - 1], core.asides[number - 1] = notice.flow, notice.more
        core.flows[number - 1].flags |= listed


cdef inline void note(Core* core, const Walk* w, const Carry* carry, const Result* result) noexcept nogil:
    """A journey has ended: the next packets like this one may take it as their short cut. ``carry``, ``result``: as its second
    leg began, on the second leg."""
    cdef const Packet* packet = w.packet
    cdef const Trail* last = &w.trail
    cdef Batch* notes = &core.notes[last.home]
    cdef Key key = key_of(packet)
    cdef uint32_t number
    cdef Notice* notice
    if (not last.steady or core.leg > 2 or not lasting(w.result) or packet.fragment & ~<uint32_t>PACKET_FLAG_DF):
        return
    if last.home == core.shard:
        number = place_for(core, &key)
        if number:
            write_down(core, w, carry, result, &key, &core.flows[number - 1], &core.asides[number - 1])
    elif notes.count < notes.room:
        notice = &(<Notice*> notes.first)[notes.count]
        notes.count += 1
        memset(notice, 0, sizeof(Notice))
        write_down(core, w, carry, result, &key, &notice.flow, &notice.more)


cdef inline void write_down(
    const Core* core, const Walk* w, const Carry* carry, const Result* result, const Key* key, Flow* f, Aside* aside,
) noexcept nogil:
    """Sets a Flow but for FLOW_LISTED."""
    cdef const Packet* packet = w.packet
    cdef const Trail* last = &w.trail
    cdef bint wired = w.result.wire != 0
    f.key = key[0]
    f.shortest, f.longest = shortest(packet.protocol, packet.fragment), min(packet.length + <uint32_t>last.slack, 0xFFFF)
    f.absent = last.absent
    f.touched[core.leg - 1], f.marks[core.leg - 1] = last.touched, last.marks
    f.flags &= FLOW_LISTED
    f.flags |= (FLOW_WIRED if wired else 0) | (FLOW_COMPLAINED if w.error else 0)
    f.result = w.result[0]
    f.result.wire -= packet.length if wired else 0
    f.packets = f.wave = 0
    f.bytes = 0
    aside.hits[core.leg - 1] = last.hits
    aside.routers[core.leg - 1], aside.crossings[core.leg - 1] = last.router, last.crossings
    if core.leg == 2:
        f.flags |= FLOW_ONWARD | core.shard << FLOW_SHARD
        f.touched[0], f.marks[0] = carry.trail.touched, carry.trail.marks
        aside.carry, aside.result = carry[0], result[0]
        aside.carry.flow = 0
        aside.carry.outer_length -= packet.length
        aside.result.wire -= packet.length if wired else 0
        aside.routers[0], aside.crossings[0] = carry.trail.router, carry.trail.crossings
        aside.hits[0] = carry.trail.hits
