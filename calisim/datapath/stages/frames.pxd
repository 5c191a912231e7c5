"""Frames of packets: out of their endpoints, through a leg, and on to the shards of their next routers."""
from libc.stdint cimport uint32_t
from libc.string cimport memset
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.admit cimport admit
from calisim.datapath.stages.exception cimport complain, hand_on
from calisim.datapath.stages.flows cimport FLOW_SHARD, first_leg, note, retreat, second_leg, seek
from calisim.datapath.stages.glance cimport ask_for_senders, glance, resume
from calisim.datapath.stages.walk cimport walk

cdef extern from "intrinsics.h":
    void prefetch_read(const void* address) nogil

cdef enum:
    CONNECTIONS_A_LEG = 5            # conntrack's, those of the tunnels that end and begin here, and the groups' in and out
    EVENTS_A_LEG = 8                 # interfaces that one packet can cross in one leg, generously
    AHEAD = 16                       # carries that are asked for in time


cdef inline bint walk_frames(Core* core, Batch** batches, uint32_t count, Py_ssize_t left, bint flows_may_grow) noexcept nogil:
    """Frame by frame. False: something lacks room for one more."""
    cdef Carry[FRAME_SIZE] carries
    cdef const Carry* frame
    cdef Py_ssize_t kept, i
    while left:
        if (core.connection_room - core.connection_count < CONNECTIONS_A_LEG * FRAME_SIZE
                or core.index_count > (core.index_mask + 1) // 8 * 5
                or core.affinity_count > (core.affinity_mask + 1) // 2
                or (flows_may_grow and core.flow_room - core.flow_count < FRAME_SIZE)
                or (core.wants_events and core.event_room - core.event_count < EVENTS_A_LEG * FRAME_SIZE)
                or (core.wants_born and core.born_room - core.born_count < FRAME_SIZE)):
            return False
        if core.leg:
            kept = collect(batches, count, carries, &frame)
            left -= kept
            walk_frame(core, frame, kept)
            continue
        left -= admit_frame(core, batches, count, carries, &kept)
        if core.wants_born:
            for i in range(kept):
                place_in(core, core.shard)[0] = carries[i]
        else:
            core.leg = 1
            walk_frame(core, carries, kept)
            core.leg = 0
    return True


cdef inline Carry* place_in(Core* core, uint32_t shard) noexcept nogil:
    """For one more that goes on there; the door has made room for it."""
    cdef Batch* batch = &core.out[shard]
    batch.count += 1
    return &(<Carry*> batch.first)[batch.count - 1]


cdef inline Py_ssize_t collect(Batch** batches, uint32_t count, Carry* merged, const Carry** frame) noexcept nogil:
    """The next packets of all batches in row order, at most a frame: where they lie if one batch has them all, else as copies
    in ``merged``."""
    cdef (const Carry*)[MOST_SHARDS] next_ones
    cdef (const Carry*)[MOST_SHARDS] ends
    cdef uint32_t[MOST_SHARDS] rows
    cdef (Batch*)[MOST_SHARDS] origins
    cdef uint32_t waiting = 0, first, k
    cdef Py_ssize_t kept = 0
    for k in range(count):
        if batches[k].taken < batches[k].count:
            origins[waiting], next_ones[waiting] = batches[k], &(<const Carry*> batches[k].first)[batches[k].taken]
            ends[waiting], rows[waiting] = next_ones[waiting] + (batches[k].count - batches[k].taken), next_ones[waiting].row
            waiting += 1
    frame[0] = merged
    if waiting == 1:
        frame[0] = next_ones[0]
        kept = min(FRAME_SIZE, ends[0] - next_ones[0])
        origins[0].taken += kept
        return kept
    while kept < FRAME_SIZE and waiting:
        first = 0
        for k in range(1, waiting):
            first += (k - first) * (rows[k] < rows[first])         # nobody could predict a branch here
        merged[kept] = next_ones[first][0]
        kept += 1
        next_ones[first] += 1
        prefetch_read(next_ones[first] + AHEAD)        # which one comes next hangs on it: 15 ns a packet without
        if next_ones[first] < ends[first]:
            rows[first] = next_ones[first].row
        else:
            origins[first].taken = origins[first].count
            waiting -= 1
            next_ones[first], ends[first], origins[first], rows[first] = (
                next_ones[waiting], ends[waiting], origins[waiting], rows[waiting])
    for k in range(waiting):                           # once a frame: another shard's lies on the same cache line
        origins[k].taken = origins[k].count - <uint32_t>(ends[k] - next_ones[k])
    return kept


cdef inline Py_ssize_t admit_frame(Core* core, Batch** batches, uint32_t count, Carry* onward, Py_ssize_t* kept) noexcept nogil:
    """Packets leave their endpoints. Returns how many.      Sets  onward, kept: the carries of those that get to a router"""
    cdef uint32_t[FRAME_SIZE] numbers
    cdef const uint32_t* rows
    cdef Batch* batch = batches[0]
    cdef Py_ssize_t size, i
    cdef uint32_t k
    cdef Walk w
    for k in range(1, count):
        if batch.taken == batch.count:             # each has rows after those of the one before
            batch = batches[k]
    rows = &(<const uint32_t*> batch.first)[batch.taken]
    size = min(FRAME_SIZE, batch.count - batch.taken)
    batch.taken += size
    kept[0] = 0
    if core.caching:
        seek(core, rows, size, numbers)
    else:
        memset(numbers, 0, sizeof(numbers))
    ask_for_senders(core, rows, size, numbers)
    for i in range(size):
        if numbers[i]:
            onward[kept[0]].row, onward[kept[0]].flow = rows[i], numbers[i]
            kept[0] += 1
            continue
        start(core, &w, rows[i])
        if admit(core, &w):
            onward[kept[0]] = w.carry
            onward[kept[0]].trail = w.trail
            kept[0] += 1
        elif core.wants_born:
            beget(core, &w)
    return size


cdef inline void walk_frame(Core* core, const Carry* carries, Py_ssize_t count) noexcept nogil:
    """One leg of packets, at a router each, in their order."""
    cdef Glance[FRAME_SIZE] glances
    cdef const Flow* f
    cdef Carry* onward
    cdef Py_ssize_t i
    cdef bint goes_on
    glance(core, carries, count, glances)
    for i in range(count):
        if not carries[i].flow:
            walk_on(core, &carries[i], &glances[i])
        elif core.leg == 1:
            f = &core.flows[carries[i].flow - 1]
            onward = &(<Carry*> core.out[f.flags >> FLOW_SHARD].first)[core.out[f.flags >> FLOW_SHARD].count]
            if not first_leg(core, &carries[i], onward, &goes_on):
                walk_after_all(core, &carries[i])
            elif goes_on:
                core.out[f.flags >> FLOW_SHARD].count += 1
        elif not second_leg(core, &carries[i]):
            walk_after_all(core, &carries[i])


cdef inline void walk_on(Core* core, const Carry* carry, const Glance* seen) noexcept nogil:
    """One leg of one packet."""
    cdef Result before
    cdef Carry* onward
    cdef Walk w
    if core.leg == 2 and carry.trail.steady:
        before = core.results[carry.row]
    resume(core, &w, carry)
    w.glance = seen
    w.seat = seen.seat
    if walk(core, &w):
        onward = place_in(core, core.shards[w.carry.router])
        onward[0] = w.carry
        onward.trail = w.trail
        return
    if w.trail.steady:
        note(core, &w, carry, &before)
    if core.wants_born:
        beget(core, &w)


cdef inline void walk_after_all(Core* core, const Carry* cut) noexcept nogil:
    """As ``walk_on``, of a packet whose short cut has come to its end."""
    cdef Carry carry
    cdef Glance seen
    cdef Walk w
    if core.leg == 1:
        start(core, &w, cut.row)
        if not admit(core, &w):
            if core.wants_born:
                beget(core, &w)
            return
        carry = w.carry
        carry.trail = w.trail
    else:
        retreat(core, cut, &carry)
    glance(core, &carry, 1, &seen)
    walk_on(core, &carry, &seen)


cdef inline void beget(Core* core, const Walk* w) noexcept nogil:
    """What a journey that has ended gives rise to."""
    if w.result.verdict == VERDICT_CONTINUED:
        hand_on(core, w)
    elif w.error and w.result.verdict == VERDICT_DROPPED:
        complain(core, w)


cdef inline void start(Core* core, Walk* w, Py_ssize_t row) noexcept nogil:
    """A packet that has seen nothing yet."""
    cdef const Packet* packet = &core.packets[row]
    cdef Result* result = &core.results[row]
    memset(w, 0, sizeof(Walk))
    memset(result, 0, sizeof(Result))
    w.packet, w.result, w.carry.row, w.carry.tos = packet, result, row, packet.tos
    w.trail.steady, w.trail.slack, w.trail.home = core.caching, 0xFFFF, core.shard
    result.src, result.dst, result.sport, result.dport = packet.src, packet.dst, packet.sport, packet.dport
    result.ttl = packet.ttl
