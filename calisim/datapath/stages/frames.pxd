"""Frames of packets: out of their endpoints, through a leg, and on to the shards of their next routers."""
from libc.stdint cimport uint32_t
from libc.string cimport memcpy
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.admit cimport admit, start
from calisim.datapath.stages.exception cimport complain, hand_on
from calisim.datapath.stages.flows cimport FLOW_SHARD, first_leg, go_on, retreat, second_leg
from calisim.datapath.stages.glance cimport ask_for_sender, ask_for_senders_router, glance, resume
from calisim.datapath.stages.lookup cimport class_seen
from calisim.datapath.stages.noting cimport note
from calisim.datapath.stages.ties cimport answer_calls, next_recall
from calisim.datapath.stages.walk cimport walk

cdef extern from "intrinsics.h":
    void prefetch_read(const void* address) nogil
    ctypedef void aside                # of a function that is rarely called,
    ctypedef void flat                 # and of one that has all callees built in that are neither laid aside nor apart

cdef enum:
    CONNECTIONS_A_LEG = 5            # conntrack's, those of the tunnels that end and begin here, and the groups' in and out
    EVENTS_A_LEG = 8                 # interfaces that one packet can cross in one leg, generously
    AHEAD = 16                       # carries that are asked for in time


cdef inline bint lacks_room(const Core* core, bint flows_may_grow) noexcept nogil:
    """For one frame more, and for where its packets go on: some may be recalled that nobody has reckoned with."""
    cdef uint32_t k
    for k in range(MOST_SHARDS):
        if core.out[k].room and core.out[k].room - core.out[k].count < FRAME_SIZE:
            return True
    return (core.connection_room - core.connection_count < CONNECTIONS_A_LEG * FRAME_SIZE
            or core.index_count > (core.index_mask + 1) // 8 * 5
            or core.affinity_count > (core.affinity_mask + 1) // 2
            or (flows_may_grow and core.flow_room - core.flow_count < FRAME_SIZE)
            or (core.wants_events and core.event_room - core.event_count < EVENTS_A_LEG * FRAME_SIZE)
            or (core.wants_born and core.born_room - core.born_count < FRAME_SIZE))


cdef inline bint walk_frames(Core* core, Batch** batches, uint32_t count, Py_ssize_t left, bint flows_may_grow) noexcept nogil:
    """Frame by frame. False: something lacks room for one more."""
    cdef bint at_endpoints = core.leg == 0
    cdef Py_ssize_t kept
    if core.leg == 2:
        answer_calls(core)
    while left or core.frame_count or core.recall_count:
        if lacks_room(core, flows_may_grow):
            return False
        if not core.frame_count and left:
            core.frame = core.desk
            if at_endpoints:
                left -= admit_frame(core, first_of(batches), core.desk, &kept)
            else:
                kept = collect(batches, count, core.desk, &core.frame)
                left -= kept
            core.frame_count = kept
        core.leg += at_endpoints and not core.wants_born
        if core.leg:
            walk_frame(core, left)
        else:
            pass_on(core)
        core.leg -= at_endpoints and not core.wants_born
    return True


cdef inline Carry* place_in(Core* core, uint32_t shard) noexcept nogil:
    """For one more that goes on there; the door has made room for it."""
    cdef Batch* batch = &core.out[shard]
    batch.count += 1
    return &(<Carry*> batch.first)[batch.count - 1]


cdef inline void pass_on(Core* core) noexcept nogil:
    """What has left its endpoint begins its first leg when all have."""
    cdef uint32_t i
    for i in range(core.frame_count):
        place_in(core, core.shard)[0] = core.frame[i]
    core.frame_count = 0


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


cdef inline Batch* first_of(Batch** batches) noexcept nogil:
    """The first in which something is left."""
    while batches[0].taken == batches[0].count:
        batches += 1
    return batches[0]


cdef inline Py_ssize_t admit_frame(Core* core, Batch* batch, Carry* onward, Py_ssize_t* kept) noexcept nogil:
    """Packets leave their endpoints. Returns how many.      Sets  onward, kept: the carries of those that get to a router"""
    cdef const Waiting* waiting = &(<const Waiting*> batch.first)[batch.taken]
    cdef Py_ssize_t size = min(FRAME_SIZE, batch.count - batch.taken), i
    cdef Py_ssize_t others = batch.count - batch.taken - size      # in later frames
    cdef Walk w
    for i in range(size if batch.taken == 0 else 0):
        ask_for_sender(core, &waiting[i])
    batch.taken += size
    kept[0] = 0
    for i in range(size):
        ask_for_senders_router(core, &waiting[i])
    for i in range(size):
        if i < others:                         # of the next frame: all at once a core waits for
            ask_for_sender(core, &waiting[size + i])
        if waiting[i].flow:
            onward[kept[0]].row, onward[kept[0]].flow = waiting[i].row, waiting[i].flow
            kept[0] += 1
            continue
        start(core, &w, waiting[i].row)
        if admit(core, &w):
            onward[kept[0]] = w.carry
            kept[0] += 1
        elif core.wants_born:
            beget(core, &w)
    return size


cdef inline void walk_frame(Core* core, Py_ssize_t left) noexcept nogil:
    """One leg of packets, at a router each, in their order: at most so many as a frame has, of the frame and of those that are
    recalled. ``left``: how many are in later frames."""
    cdef Glance[FRAME_SIZE] glances
    cdef const Carry* carries = core.frame
    cdef uint32_t done = 0, turns = 0
    glance(core, carries, core.frame_count, glances)
    while turns < FRAME_SIZE and (done < core.frame_count or (core.recall_count and not left)):
        turns += 1
        if core.recall_count and (done == core.frame_count or core.recalls[0].row < carries[done].row):
            take_turn(core)
            continue
        core.row = carries[done].row
        if carries[done].flow:
            cut_short(core, &carries[done])
        else:
            walk_on(core, &carries[done], &glances[done])
        done += 1
    core.frame += done
    core.frame_count -= done


cdef inline void take_turn(Core* core) noexcept nogil:
    """A packet that was trusted too early."""
    cdef Recall recalled = next_recall(core)
    cdef Carry carry
    core.row = carry.row = recalled.row
    carry.flow = recalled.flow
    if core.leg > 1:
        go_on(&core.homes[recalled.home].asides[recalled.flow - 1], recalled.row, recalled.flow, recalled.home, &carry)
    cut_short(core, &carry)


cdef inline void cut_short(Core* core, const Carry* carry) noexcept nogil:
    """One leg of a short cut."""
    cdef Batch* out
    cdef bint goes_on
    if core.leg > 1:
        if not second_leg(core, carry):
            walk_after_all(core, carry)
        return
    out = &core.out[core.flows[carry.flow - 1].flags >> FLOW_SHARD]
    if not first_leg(core, carry, &(<Carry*> out.first)[out.count], &goes_on):
        walk_after_all(core, carry)
    elif goes_on:
        out.count += 1


cdef inline flat walk_on(Core* core, const Carry* carry, const Glance* seen) noexcept nogil:
    """One leg of one packet."""
    cdef Result before
    cdef Walk w
    if core.leg == 2 and carry.trail.steady:
        memcpy(&before, &core.results[carry.row], sizeof(Result))       # of an assignment gcc makes one for each field
    resume(core, &w, carry, seen)
    if walk(core, &w):
        w.carry.class_of_dst, w.carry.class_of_src = class_seen(core, seen, w.result.dst), class_seen(core, seen, w.result.src)
        place_in(core, core.shards[w.carry.router])[0] = w.carry
        return
    if w.carry.trail.steady:
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
    else:
        retreat(core, cut, &carry)
    glance(core, &carry, 1, &seen)
    walk_on(core, &carry, &seen)


cdef inline aside beget(Core* core, const Walk* w) noexcept nogil:
    """What a journey that has ended gives rise to."""
    if w.result.verdict == VERDICT_CONTINUED:
        hand_on(core, w)
    elif w.error and w.result.verdict == VERDICT_DROPPED:
        complain(core, w)
