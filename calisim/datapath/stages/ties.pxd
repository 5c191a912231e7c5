"""Trust: what short cuts owe to connections, and how these get it before anybody looks.

A Flow that has been found to hold is *trusted* with the next packets like it: they take its result at once, before anybody walks,
and only the Flow knows of them (Ride). What they would have done to its connections – a packet more, a later expiry – is owed.
Whoever looks at such a connection (TIED) has it paid first (look_at), so that he sees what he would have seen: what packets
before him in the order of the wave (leg by leg, on each leg row by row) have done. Packets after him were trusted too early.
Their rides are taken back (first leg) or recalled (second leg), and each takes its short cut when its turn comes, if it holds.

Connections' times are what could make trust misplaced. So packets are trusted only in waves that begin when all before them are
over and that last less than EVEN: then a connection is alive until its shortest time-out has passed since the wave began.

Those whose time-out never changes (constant), among them the tunnels', which thousands of Flows share, need not be paid for
every look: their packets are added up in any order, and the last one in order (moment) says when they expire.
"""
from libc.stdint cimport uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.expiry cimport HISTORY_LAST, fabric_timeout, later, tcp_timeout, timeout, unacknowledged

cdef extern from "intrinsics.h":
    ctypedef void aside                # of a function that is rarely called
    void prefetch_write(const void* address) nogil

cdef enum:
    EVEN = 10                        # seconds that a wave may last for its packets to be trusted, shorter than all time-outs
    TICK = 28                        # a tick is 2 ** 28 ns
    LINK_NUMBER = 7                  # of a Link, bits from here on: the Flow's number,
    LINK_SLOT = 4                    # three from here on: which of its connections; below: its shard
    FLAGS_AT = 40                    # bit of Key.head where that is
    LEG_AT = 30                      # bits of a moment: the row, the leg,
    WAVE_AT = 36                     # and the wave
    MOST_LINKS = 256                 # to one whose time-out changes: who looks at it has to ask them all


cdef inline uint64_t moment(uint32_t wave, uint32_t leg, uint32_t row) noexcept nogil:
    """Greater for what comes later."""
    return (<uint64_t>wave << WAVE_AT) + (<uint64_t>leg << LEG_AT) + row


cdef inline void mark(Core* core, const Connection* c) noexcept nogil:
    """It has been refreshed by the packet whose turn it is."""
    if c.wave & TIED:
        core.ties[c - core.connections].moment = moment(core.wave, core.leg, core.row)


cdef inline bint constant(const Connection* c) noexcept nogil:
    """Its time-out hangs on nothing but its protocol."""
    return c.flags != 0 or (
        c.protocol != PROTOCOL_TCP and c.protocol != PROTOCOL_UDP and c.protocol != PROTOCOL_ICMP and c.protocol != PROTOCOL_GRE)


cdef inline uint16_t ticks(uint64_t seconds) noexcept nogil:
    """What is sure of a time-out."""
    return <uint16_t>min((seconds - EVEN) * 1000000000 >> TICK, 0xFFFF) - 1


cdef inline uint16_t reach_of(const Connection* c) noexcept nogil:
    """Ticks for which it is alive after it has been refreshed, whatever another packet of the same wave does."""
    if c.flags:
        return ticks(fabric_timeout(c.protocol) // 1000000000)
    if c.protocol == PROTOCOL_TCP:
        return ticks(TCP_UNACKNOWLEDGED_TIMEOUT)
    return ticks(600) if constant(c) else ticks(30)


cdef inline uint32_t upkeep_of(const Connection* c) noexcept nogil:
    """The Upkeep of a connection."""
    if c.flags:
        return UPKEEP_GROUPS
    return UPKEEP_TCP if c.protocol == PROTOCOL_TCP else UPKEEP_OTHER


cdef inline void touch(Core* core, Walk* w, const Connection* c, bint reply) noexcept nogil:
    """The packet has refreshed a connection, as the next one would do."""
    cdef Trail* trail = &w.carry.trail
    cdef uint32_t marks = trail.marks, count = marks & MARK_COUNT
    if not trail.steady:
        return
    if count == TOUCHED:
        trail.steady = False
        return
    trail.touched[count] = <uint32_t>(c - core.connections)
    trail.marks = (marks + 1) | ((MARK_REPLY if reply else 0) | upkeep_of(c) << MARK_UPKEEP) << MARK_NEXT * count
    trail.reach = min(trail.reach, reach_of(c))


# ---- what slices of the wave know of a Flow ------------------------------------------------------------------

cdef inline Flow* copy_of(const Home* home, uint32_t number, uint32_t slice) noexcept nogil:
    """A slice's: of the first one it is the Flow itself."""
    return &home.flows[slice * home.room + number - 1]


cdef inline void distrust(const Core* core, const Home* home, uint32_t number, uint32_t leg) noexcept nogil:
    """Nobody takes the Flow on trust until it is found to hold on its ``leg`` (0, 1)."""
    cdef uint32_t slice
    for slice in range(core.slices):
        copy_of(home, number, slice).trusted[leg] = False


cdef inline bint is_ridden(const Core* core, const Home* home, uint32_t number) noexcept nogil:
    """In this wave packets have been trusted with the Flow."""
    cdef uint32_t slice
    for slice in range(core.slices):
        if copy_of(home, number, slice).stamp == core.wave:
            return True
    return False


cdef inline Ride no_rides() noexcept nogil:
    cdef Ride rides
    rides.time = rides.rides = rides.wave = rides.row = rides.until = 0
    return rides


cdef inline void add_up(Ride* rides, const Ride* ride) noexcept nogil:
    """What is owed for the rides of several slices, one after the other: all of them, at the time of the last one."""
    rides.rides += ride.rides
    if ride.wave >= rides.wave:
        rides.time, rides.wave, rides.row = ride.time, ride.wave, ride.row


cdef inline Ride rides_of(const Core* core, const Home* home, uint32_t number, bint before) noexcept nogil:
    """Where the rides of a Flow stand. ``before``: where they stood before this wave."""
    cdef Ride rides = no_rides()
    cdef const Flow* f
    cdef uint32_t slice
    for slice in range(core.slices):
        f = copy_of(home, number, slice)
        add_up(&rides, &core.rides[f.first] if before and f.stamp == core.wave else &f.last)
    return rides


# ---- rides that were taken too early -----------------------------------------------------------------------

cdef inline void recall(Core* core, uint32_t row, uint32_t flow, uint32_t home) noexcept nogil:
    """The row's turn will come: into the heap, for which the door has made room."""
    cdef uint32_t at = core.recall_count, above
    core.recall_count += 1
    while at:
        above = (at - 1) // 2
        if core.recalls[above].row <= row:
            break
        core.recalls[at] = core.recalls[above]
        at = above
    core.recalls[at].row, core.recalls[at].flow, core.recalls[at].home = row, flow, home


cdef inline Recall next_recall(Core* core) noexcept nogil:
    """The lowest row leaves the heap."""
    cdef Recall first = core.recalls[0], last
    cdef uint32_t at = 0, below
    core.recall_count -= 1
    last = core.recalls[core.recall_count]
    while True:
        below = 2 * at + 1
        if below >= core.recall_count:
            break
        if below + 1 < core.recall_count and core.recalls[below + 1].row < core.recalls[below].row:
            below += 1
        if last.row <= core.recalls[below].row:
            break
        core.recalls[at] = core.recalls[below]
        at = below
    core.recalls[at] = last
    return first


cdef inline Ride second_legs(const Aside* more, const Ride* ride) noexcept nogil:
    """Of the rides up to this one, those whose second legs were not taken one by one."""
    cdef Ride rides = ride[0]
    if ride.wave == more.recalled:
        return more.held
    rides.rides -= more.direct
    return rides


cdef inline void take_back(Core* core, uint32_t number) noexcept nogil:
    """Rides after this packet's turn, which is on their first leg."""
    cdef uint32_t slice, row
    cdef Flow* f
    for slice in range(core.slices):
        f = copy_of(&core.homes[core.shard], number, slice)
        while f.last.wave == core.wave and f.last.row > core.row:
            row = f.last.row
            f.last = core.rides[row]
            f.packets -= 1
            f.bytes -= core.packets[row].length
            recall(core, row, number, core.shard)


cdef inline void recall_after(Core* core, Aside* more, uint32_t link, int64_t row) noexcept nogil:
    """The second legs of rides after this row, on whose leg it is."""
    cdef Ride rides = no_rides()
    cdef const Ride* ride
    cdef uint32_t slice, count = 0
    for slice in range(core.slices):
        ride = &copy_of(&core.homes[link & MOST_SHARDS - 1], link >> LINK_NUMBER, slice).last
        while ride.wave == core.wave and ride.row > row:
            recall(core, ride.row, link >> LINK_NUMBER, link & MOST_SHARDS - 1)
            count += 1
            ride = &core.rides[ride.row]
        add_up(&rides, ride)
    if more.recalled != core.wave:
        more.held, more.recalled = second_legs(more, &rides), core.wave
    more.direct += count


cdef inline void answer_calls(Core* core) noexcept nogil:
    """Second legs begin: of these Flows all of this wave are taken one by one."""
    cdef uint32_t i, link
    for i in range(core.called_count):
        link = core.called[i]
        recall_after(core, &core.homes[link & MOST_SHARDS - 1].asides[(link >> LINK_NUMBER) - 1], link, -1)
    core.called_count = 0


cdef inline Ride due(Core* core, uint32_t link) noexcept nogil:
    """The rides that a connection must know of when this packet looks at it."""
    cdef const Home* home = &core.homes[link & MOST_SHARDS - 1]
    cdef Aside* more = &home.asides[(link >> LINK_NUMBER) - 1]
    cdef uint32_t leg = 1 + (link >> LINK_SLOT & 7) // TOUCHED, number = link >> LINK_NUMBER
    cdef Ride rides
    if leg == 1:
        if core.leg <= 1:
            take_back(core, number)
        return rides_of(core, home, number, False)
    if core.leg <= leg and more.recalled != core.wave and is_ridden(core, home, number):
        if core.leg == leg:
            recall_after(core, more, link, core.row)
        else:                                          # another shard may be taking back rides: wait for it
            rides = rides_of(core, home, number, True)
            more.held, more.recalled = second_legs(more, &rides), core.wave
            core.called[core.called_count] = link
            core.called_count += 1
    if more.recalled == core.wave:
        return more.held
    rides = rides_of(core, home, number, False)
    return second_legs(more, &rides)


# ---- paying ------------------------------------------------------------------------------------------------

cdef inline void apply_last(Core* core, Connection* c, Tie* tie, uint64_t at, uint64_t time, uint32_t kind) noexcept nogil:
    """What the last packet of a kind has left behind. ``kind``: 1 with PSH, 2 an answer."""
    if at <= tie.moment:
        return
    tie.moment = at
    if c.flags:
        c.expires = later(time, fabric_timeout(c.protocol))
    elif c.protocol == PROTOCOL_TCP:
        c.history = unacknowledged(c, ACK | (PSH if kind & 1 else 0), kind & 2 != 0) & ~HISTORY_LAST
        c.expires = later(time, tcp_timeout(c))
    else:
        c.expires = later(time, timeout(c, time))


cdef inline aside pay(Core* core, Connection* c, Tie* tie) noexcept nogil:
    """It gets all that is owed to it. Packets of one kind, all of the same direction and with the same flags, leave what the last
    one of them leaves, so that four are enough to do what all have done, in their order."""
    cdef uint64_t[4] moments
    cdef uint64_t[4] times
    cdef uint32_t link = tie.first, leg, place, kind, packets = 0, replies = 0, owed, first, k
    cdef const Flow* f
    cdef Aside* more
    cdef Ride ride
    cdef uint64_t at
    moments[0] = moments[1] = moments[2] = moments[3] = 0
    while link:
        f = &core.homes[link & MOST_SHARDS - 1].flows[(link >> LINK_NUMBER) - 1]
        more = &core.homes[link & MOST_SHARDS - 1].asides[(link >> LINK_NUMBER) - 1]
        leg, place = (link >> LINK_SLOT & 7) // TOUCHED, (link >> LINK_SLOT & 7) % TOUCHED
        kind = 1 if f.key.head >> FLAGS_AT & PSH else 0
        ride = due(core, link)
        owed = ride.rides - more.paid[leg][place]
        if owed:
            more.paid[leg][place] = ride.rides
            if more.marks[leg] >> MARK_NEXT * place & MARK_REPLY:
                kind |= 2
                replies += owed
            else:
                packets += owed
            at = moment(ride.wave, leg + 1, ride.row)
            if at > moments[kind]:
                moments[kind], times[kind] = at, ride.time
        link = more.next[leg][place]
    if c.expires == 0:                                 # somebody else has its place
        return
    c.packets += packets
    c.reply_packets += replies
    for _ in range(4):
        first = 0
        for k in range(1, 4):
            if moments[k] and (not moments[first] or moments[k] < moments[first]):
                first = k
        if not moments[first]:
            return
        apply_last(core, c, tie, moments[first], times[first], first)
        moments[first] = 0


cdef inline void ask_for_payment(const Core* core, uint32_t position) noexcept nogil:
    prefetch_write(&core.ties[position])
    prefetch_write(&core.connections[position])


cdef inline void pay_up(Core* core, uint32_t position) noexcept nogil:
    """Once a wave, if anybody may owe it something."""
    cdef Tie* tie = &core.ties[position]
    if tie.paid < core.lively:
        tie.paid = core.wave
        pay(core, &core.connections[position], tie)


cdef inline aside look_at(Core* core, Connection* c, uint64_t time, bint stirring) noexcept nogil:
    """Before anything is read of a connection that is TIED: as the packet has to find it whose turn it is. ``stirring``: it may
    do more than refresh it, so that its Flows have to be found to hold anew."""
    cdef Tie* tie = &core.ties[c - core.connections]
    cdef uint32_t link = tie.first, leg
    cdef Aside* more
    if constant(c) and core.even:
        if c.expires > later(time, EVEN * <uint64_t>1000000000):
            return                                     # alive, whatever is owed to it
        stirring &= c.expires == 0
    pay_up(core, <uint32_t>(c - core.connections))
    if tie.stirred >= core.lively or not (stirring or not core.even):
        return
    tie.stirred = core.wave
    while link:
        leg = (link >> LINK_SLOT & 7) // TOUCHED
        more = &core.homes[link & MOST_SHARDS - 1].asides[(link >> LINK_NUMBER) - 1]
        distrust(core, &core.homes[link & MOST_SHARDS - 1], link >> LINK_NUMBER, leg)
        link = more.next[leg][(link >> LINK_SLOT & 7) % TOUCHED]


cdef inline bint crowded(const Core* core, const uint32_t* touched, uint32_t count) noexcept nogil:
    """One of these connections has no room for another Flow."""
    cdef uint32_t k
    for k in range(count):
        if core.ties[touched[k]].links >= MOST_LINKS and not constant(&core.connections[touched[k]]):
            return True
    return False


cdef inline void trust(Core* core, uint32_t home, uint32_t number, uint32_t leg) noexcept nogil:
    """A Flow was found to hold on its ``leg`` (0, 1)."""
    cdef Flow* f = &core.homes[home].flows[number - 1]
    cdef Aside* more = &core.homes[home].asides[number - 1]
    cdef uint32_t k, link
    cdef bint calm = True
    cdef Connection* c
    cdef Tie* tie
    if not more.tied[leg] and crowded(core, more.touched[leg], more.marks[leg] & MARK_COUNT):
        return
    for k in range(more.marks[leg] & MARK_COUNT):
        c = &core.connections[more.touched[leg][k]]
        tie = &core.ties[more.touched[leg][k]]
        if not more.tied[leg]:
            link = number << LINK_NUMBER | (leg * TOUCHED + k) << LINK_SLOT | home
            more.next[leg][k], tie.first = tie.first, link
            tie.links += 1
            c.wave |= TIED
        calm &= tie.stirred != core.wave
    more.tied[leg] = True
    f.trusted[leg] = calm
