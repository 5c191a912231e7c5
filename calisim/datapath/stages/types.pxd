"""Tables, state and a packet's walk, as the stages see them: pointers that the door has checked."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from calisim._vocabulary cimport *


cdef enum:
    PROTOCOL_ICMP = 1
    PROTOCOL_GRE = 47
    PROTOCOL_TCP = 6
    PROTOCOL_UDP = 17
    ECHO_REQUEST = 0x0800            # type << 8; a reply is 0
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    MAX_HOPS = 32
    FRAME_SIZE = 256
    TOUCHED = 3                      # on one leg: conntrack's, its of the tunnel, the groups'
    MARK_COUNT = 3                   # of Trail.marks: the bits that say how many; then, for each,
    MARK_REPLY = 4                   # that it was touched in the answers' direction,
    MARK_UPKEEP = 3                  # from this bit on its Upkeep;
    MARK_NEXT = 4                    # bits further on, the next one's
    HITS = 2
    TAKEN_WAYS = 4                   # places where a Taken may be
    TAKEN_WORDS = 1024               # Takens of a whole range
    SUPERSEDED = 0x40000000          # bit of Connection.wave: another translated one of this source was confirmed later
    WATCHED = 0x20000000             # likewise: a Taken may rely on its expiry; who changes that calls unwatch
    TIED = 0x10000000                # likewise: Flows refresh it on trust; who reads or changes it calls look_at
    WAVE_BITS = TIED - 1             # of Connection.wave: its number
    MOST_SHARDS = 16                 # a Flow has four bits for one


# Kinds of connections by what a packet more does to them: conntrack's of TCP, its others, the groups', and a place kept for one
# that there must not be.
cdef enum Upkeep:
    UPKEEP_TCP, UPKEEP_OTHER, UPKEEP_GROUPS, UPKEEP_ABSENT


# A FibImage.
cdef struct Tables:
    const uint32_t* lpm
    const Class* classes
    const uint32_t* residents
    const uint32_t* rows
    const Adjacency* adjacencies
    const Router* routers
    const Endpoint* endpoints
    const Subnet* subnets
    const uint32_t* target_rows
    const Target* targets
    const Rule* rules
    const uint8_t* blocked
    const Fabric* fabric
    const uint32_t* peers            # of policy
    const uint32_t* atoms
    const Tier* tiers
    const uint32_t* steps
    const Match* matches
    const Term* terms
    const Index* indexes
    const uint32_t* maps
    const uint64_t* bits
    const uint32_t* interfaces       # [router][device]: guard, read where ROUTER_FLAG_GUARDED is set
    const Guard* guards
    const Frontend* frontends        # of services
    const Service* services
    const Backend* backends
    const Range* ranges
    uint32_t frontend_mask           # 0: there is no service
    uint32_t atom_words              # of one peer
    uint32_t class_count
    uint32_t resident_count
    uint32_t router_count            # the highest id
    uint32_t subnet_count
    uint32_t endpoint_count
    uint32_t place_count             # the highest id
    uint64_t begun                   # stir(0, the seed): what draws begin with


# A direction of a connection at a router: the key of conntrack and of the groups' tracking.
cdef struct Tuple:
    uint32_t key
    uint32_t src
    uint32_t dst
    uint16_t sport
    uint16_t dport
    uint8_t protocol
    uint16_t flags                   # ConnectionFlag


# What searches for a port have learnt: which of 64 neighbours are taken, each by the answers of a live connection.
cdef struct Taken:
    Tuple first                      # of answers to the lowest of the ports
    uint64_t ports                   # a bit each
    uint64_t until                   # none of these connections expires earlier


# What a packet has done so far to connections and counters, as long as that is *steady*: what the next one of its flow would do.
cdef struct Trail:
    uint64_t absent                  # hash of the tuple that no live connection had, 0: none was missed
    uint32_t[TOUCHED] touched        # positions of the connections that it has refreshed on this leg, in order
    uint32_t[HITS] hits              # objects of policy that decided about it
    uint32_t crossings               # of interfaces, a byte each (see stages/emit.pxd), the last one lowest
    uint32_t router                  # where the leg is
    uint16_t slack                   # bytes that it could have been longer
    uint16_t marks                   # how many are touched (MARK_COUNT), and for each of these MARK_REPLY and its Upkeep
    uint16_t reach                   # ticks for which all that it has refreshed lives on at least
    uint8_t steady
    uint8_t home                     # shard in which the packet started: it keeps the Flow


# What a packet takes along from leg to leg (addresses, ports and TTL are in its RESULT).
cdef struct Carry:
    uint32_t row
    uint32_t flow                    # it takes the short cut of that Flow, 0: it walks
    Trail trail                      # of this leg, the first one's from the start on; of a short cut what the second leg touches
    uint32_t router                  # where the next leg is
    uint32_t sender                  # router that sent the frame, 0 none
    uint32_t class_of_dst            # from the second leg on, of the addresses in RESULT
    uint32_t class_of_src
    uint32_t outer_length
    uint16_t outer_sport
    uint16_t outer_dport
    uint16_t outer_fragment
    uint8_t device                   # it comes in by; LOOPBACK: hook OUTPUT
    uint8_t encap
    uint8_t tos
    uint8_t outer_ttl
    uint8_t outer_tos
    uint8_t routed                   # on this crossing


# What LOOKUP found: an adjacency as this router sees it.
cdef struct Route:
    uint32_t kind
    uint32_t encap
    uint32_t device
    uint32_t reason
    uint32_t next_hop
    uint32_t mtu
    uint32_t detail
    uint32_t endpoint                # LOCAL: the pod, 0 the router itself


# Where in the index a tuple is looked for: none of the slots from its home up to ``at`` concerns it.
cdef struct Seat:
    uint64_t hash
    uint64_t at


# A tuple that the groups will probably ask for, of a tunnel conntrack, too.
cdef struct Foresight:
    Tuple tuple
    Seat seat


# What is known of a packet before its turn: the FIB does not change within a leg, so that lookups of a whole frame
# overlap their cache misses; for connections only the memory is fetched, since the order of packets counts there.
cdef struct Glance:
    const Packet* packet
    Result* result
    const Router* router
    Route route                      # to the destination
    Route back                       # to the source (not for what comes in by VETH or OUTPUT)
    Foresight into                   # at the interface that it comes in by (of ETHERNET), and at the one that it leaves by
    Foresight out                    # (without NAT); flags 0: nothing is foreseen
    uint32_t dst
    uint32_t src
    uint32_t class_of_dst
    uint32_t class_of_src
    Tuple tuple                      # conntrack's, of the packet as it is before its turn
    Seat seat                        # of that
    uint64_t chance                  # that a search for a port draws from for it, where it is ``drawn``
    bint drawn                       # ``out`` is what the first port of that search comes to


# ICMP type << 8 | code
cdef enum:
    ERROR_NET_UNREACHABLE = 0x0300
    ERROR_HOST_UNREACHABLE = 0x0301
    ERROR_PORT_UNREACHABLE = 0x0303
    ERROR_FRAG_NEEDED = 0x0304
    ERROR_TTL_EXCEEDED = 0x0B00


cdef enum Tracking:
    TRACK_NEW, TRACK_ORIGINAL, TRACK_REPLY, TRACK_INVALID, TRACK_NOT


# What becomes of a packet to a service that gets no endpoint.
cdef enum Refusal:
    REFUSAL_NONE, REFUSAL_REJECTED, REFUSAL_DROPPED, REFUSAL_FIREWALL


# The header that the network between the nodes sees: the outer one if there is one.
cdef struct Wire:
    uint32_t src
    uint32_t dst
    uint16_t sport
    uint16_t dport
    uint32_t length
    uint16_t fragment                # PacketFlag bits
    uint8_t protocol


# What is inside a packet that this router takes for one of the outer protocol, since it only passes it on.
cdef struct Wrapped:
    const Packet* packet
    const Result* result
    uint8_t encap
    uint8_t tos


# What of a PACKET a journey depends on but for its length, as it lies in memory.
cdef struct Key:
    uint64_t ends                    # addresses
    uint64_t head                    # ports, protocol, class of the TCP flags, TTL, TOS
    uint64_t rest                    # PacketFlag bits, ingress


# Where a Flow's short cuts on trust stand.
cdef struct Ride:
    uint64_t time                    # of the last one's packet
    uint32_t rides                   # how many there have been
    uint32_t wave                    # of the last one
    uint32_t row
    uint32_t until                   # tick from which on nobody can be sure that its connections are alive


# The journey of packets that are alike but for their length, time and payload: two cache lines, all that a short cut on trust
# needs. In a slice's copy of it what is from ``last`` to ``first``, ``bytes`` and ``packets`` are the slice's own.
cdef struct Flow:
    Key key
    uint16_t longest                 # lengths for which it holds: from shortest on
    uint8_t shortest
    uint8_t flags
    uint8_t[2] trusted               # by leg: nobody but Flows has touched its connections since it was found to hold
    uint16_t reach                   # ticks for which its connections live on at least, whatever comes
    Ride last
    uint32_t stamp                   # the last wave in which it was trusted with packets, and
    uint32_t first                   # the row of the first of them
    Result result                    # as it ends; wire: what is wrapped around a packet, under FLOW_WIRED
    int64_t bytes                    # of the packets that took the short cut and that the counters do not have yet
    int32_t packets
    uint32_t busy                    # the last wave in which one took it without being trusted


# What is seldom asked of a Flow: what it does to connections, and for going on afoot. ``[2]``: by leg.
cdef struct Aside:
    uint32_t[2][TOUCHED] touched     # as of Trail
    uint32_t[2][TOUCHED] next        # of each of these the next Link to it
    uint32_t[2][TOUCHED] paid        # rides that it knows of
    uint16_t[2] marks
    uint8_t[2] tied                  # whether there are Links
    uint64_t absent                  # on the last leg
    Ride held                        # of wave ``recalled``: the rides whose second legs are owed; others are taken one by one
    uint32_t recalled
    uint32_t direct                  # rides of all waves whose second legs were taken one by one
    Carry carry                      # as the second leg begins; outer_length: without the packet's
    Result result


# What a Flow's packets meet that is counted, by leg: half a cache line.
cdef struct Toll:
    uint32_t[2] routers              # 0: it has no such leg
    uint32_t[2] crossings            # as of Trail
    uint32_t[2][HITS] hits


# What a connection has to do with Flows. A Link is number << 7 | (leg - 1) * TOUCHED + place << 4 | shard, of a Flow, 0: none.
cdef struct Tie:
    uint64_t moment                  # of the last packet that refreshed it, see stages/ties.pxd
    uint32_t first                   # Link to who refreshes it on trust
    uint32_t paid                    # the last wave in which it was told of all that is owed to it
    uint32_t stirred                 # the last wave in which it was looked at by one that does not only refresh it
    uint32_t links                   # to it


# A packet before its first leg, and its Flow, 0: it walks.
cdef struct Waiting:
    uint32_t row
    uint32_t flow


# What a slice of the wave finds of a shard's flow cache, and what it leaves to the shard.
cdef struct Origin:
    const uint64_t* index
    uint64_t mask
    Flow* flows                      # the slice's copies
    const Flow* originals            # NULL: they are the Flows themselves
    uint64_t* unsettled
    Waiting* waiting
    uint64_t left                    # of these
    uint64_t unused                  # a cache line is full: where the next one lies is computed faster


# A packet that was trusted too early.
cdef struct Recall:
    uint32_t row
    uint32_t flow
    uint32_t home                    # shard that has the Flow


# A journey that begins in another shard: its Flow is written there when the leg is over.
cdef struct Notice:
    Flow flow
    Aside more
    Toll toll


# What a shard has for a shard, in row order: rows of packets to start, Carries, or Notices.
cdef struct Batch:
    void* first
    uint32_t count
    uint32_t room
    uint32_t taken                   # by who gets it


# A shard's flow cache: what belongs to second legs is written where these are.
cdef struct Home:
    Flow* flows                      # [slice][number - 1], see stages/muster.pxd
    size_t room                      # of a slice
    Aside* asides
    const Toll* tolls


# Packet times.
cdef struct Span:
    uint64_t earliest
    uint64_t latest


# Everything a shard's leg works with: tables, wave, and its part of the state with the room that is left in it.
cdef struct Core:
    Tables fib
    const Packet* packets
    Header* headers                  # NULL: all packets are plain; what an ICMP error quotes is translated in it
    Result* results
    # connections: dense records, an open-addressing index of tag << 32 | position + 1
    uint64_t* index
    uint64_t index_mask
    uint64_t index_count             # slots that are taken
    Connection* connections
    uint32_t connection_count
    uint32_t connection_room
    Tie* ties                        # of each connection
    bint sourced                     # the index leads to translated ones by their sources, too
    Taken* taken                     # a cache: what is not there is looked up
    uint64_t taken_mask
    uint32_t* ordinals               # [router][conntrack, fabric]: the last one given; of all shards
    Affinity* affinities             # open addressing, expires 0: empty
    uint32_t affinity_mask
    uint32_t affinity_count
    const Pmtu* paths                # what stacks have learnt of paths, sorted
    uint32_t path_count
    # the flow cache
    Flow* flows                      # by number - 1, behind them the copies of other slices than the first one
    Aside* asides
    Toll* tolls
    uint64_t* flow_index             # open addressing, tag << 32 | number
    uint64_t flow_index_mask
    uint64_t* unsettled              # [slice], a bit for each that has packets which the counters do not have yet
    uint32_t unsettled_words         # of a slice
    uint32_t slices                  # of flows
    uint32_t flow_count
    uint32_t flow_room
    bint caching                     # packets are plain and nobody wants events
    bint even                        # their times are in order as far as trust needs it (EVEN)
    uint32_t lively                  # the last wave in which short cuts were taken
    Home[MOST_SHARDS] homes          # all shards' flows
    Ride* rides                      # [row]: its Flow's, before this packet was trusted with it
    Recall* recalls                  # a heap by row
    uint32_t recall_count
    uint32_t* called                 # Links whose Flows' rides of this wave are to be recalled when the second leg begins
    uint32_t called_count
    Carry* desk                      # room for a frame
    const Carry* frame               # what is left of one
    uint32_t frame_count
    Batch[MOST_SHARDS] notes         # Notices for the others
    # where packets go to
    const uint8_t* shards            # [router]
    uint32_t shard                   # this one
    Batch[MOST_SHARDS] out           # Carries
    # counters
    uint64_t* links                  # [router][device][direction][packets, bytes]
    uint64_t* drops                  # [place][reason]
    uint64_t* verdicts
    uint64_t* hits                   # [object]
    uint64_t* trial_links            # for packets that are admitted on trial: nobody reads them
    uint64_t* trial_drops
    uint64_t* trial_verdicts
    # events, if wanted
    Event* events
    uint64_t event_count
    uint64_t event_room
    bint wants_events
    # offspring, if wanted
    Packet* born_packets
    Header* born_headers
    Born* born
    uint64_t born_count
    uint64_t born_room
    bint wants_born
    uint32_t leg
    uint32_t row                     # of the packet whose turn it is
    uint32_t wave                    # number of the wave, from 1


# A packet at one router. ``carry`` is a copy: the next leg's is written when this one has ended well.
cdef struct Walk:
    const Packet* packet
    Result* result
    Carry carry
    uint32_t id                      # the router's; 0 outside
    const Router* router
    const Glance* glance
    Route route
    Tracking tracking
    Connection* connection           # of ORIGINAL and REPLY, of NEW once it is confirmed
    Header* quote                    # of an ICMP error, else NULL
    bint accepted                    # by a guard's untracked or preDNAT policy: its filter policy is not asked
    Seat seat                        # of the conntrack tuple
    const Wrapped* inside            # NULL: the packet is what it is
    uint32_t error                   # the ICMP error that the router would send if the packet ends here, 0 none
    uint32_t error_mtu
    uint8_t error_ttl                # in the quote
    uint32_t error_src               # 0: its kernel chooses
    bint error_inside                # about the inner packet, although it is encapsulated already
    Refusal refusal
    const Frontend* frontend         # that refuses it
    bint marked                      # to be masqueraded (KUBE-MARK-MASQ)
    bint redirected                  # of a service: it came in to another destination, arrived_*
    uint32_t arrived_dst
    uint16_t arrived_dport
    uint32_t limit                   # CONTINUED: the longest piece, 0 where it is held as one itself
    uint32_t resume                  # the Stage at which its offspring goes on
    uint32_t resume_at


cdef inline Wire wire_of(const Walk* w) noexcept nogil:
    """The packet as the network sees it now."""
    cdef Wire wire
    cdef const Encapsulation* encap
    if w.carry.encap:
        encap = &ENCAPSULATIONS[w.carry.encap]
        wire.src, wire.dst = w.result.outer_src, w.result.outer_dst
        wire.sport, wire.dport = w.carry.outer_sport, w.carry.outer_dport
        wire.length, wire.fragment = w.carry.outer_length, w.carry.outer_fragment
        wire.protocol = encap.protocol
    else:
        wire.src, wire.dst = w.result.src, w.result.dst
        wire.sport, wire.dport = w.result.sport, w.result.dport
        wire.length, wire.fragment = w.packet.length, w.packet.fragment
        wire.protocol = w.packet.protocol
    return wire


cdef inline bint own_address(const Router* router, uint32_t address) noexcept nogil:
    """One of the router's own (address 0 is nobody's)."""
    return address != 0 and (address == router.address or address == router.ipip_address or address == router.vxlan_address)


cdef inline uint32_t device_address(const Router* router, uint32_t device) noexcept nogil:
    """Address that the kernel takes for what leaves by a device."""
    if device == DEVICE_IPIP and router.ipip_address:
        return router.ipip_address
    if device == DEVICE_VXLAN and router.vxlan_address:
        return router.vxlan_address
    return router.address


cdef inline bint is_piece(uint32_t fragment) noexcept nogil:
    """By its PacketFlag bits: MF or an offset."""
    return fragment & (PACKET_FLAG_MF | PACKET_FLAG_OFFSET) != 0


cdef inline bint is_echo(uint32_t dport) noexcept nogil:
    """Of ICMP: a request or a reply."""
    return dport >> 8 == 0 or dport >> 8 == 8


cdef inline bint for_node(const Route* route) noexcept nogil:
    """The packet is for the router itself."""
    return route.kind == ADJACENCY_LOCAL and not route.endpoint


cdef inline bint is_error(const Packet* packet) noexcept nogil:
    """ICMP unreachable or time exceeded; a later piece says nothing."""
    return (packet.protocol == PROTOCOL_ICMP and (packet.dport >> 8 == 3 or packet.dport >> 8 == 11)
            and not packet.fragment & PACKET_FLAG_OFFSET)


cdef inline bint fits(Walk* w, uint32_t length, uint32_t limit) noexcept nogil:
    """Whether a packet that is ``length`` long there passes an MTU.      Sets  w.carry.trail.slack"""
    if length > limit:
        return False
    if limit - length < w.carry.trail.slack:
        w.carry.trail.slack = limit - length
    return True


cdef inline void untouched(Walk* w) noexcept nogil:
    """Nothing has happened yet on its leg."""
    w.glance = NULL
    w.connection = NULL
    w.quote = NULL
    w.inside = NULL
    w.error = w.error_src = 0
    w.error_inside = w.marked = w.redirected = False
    w.refusal = REFUSAL_NONE


cdef inline void unsteady(Walk* w) noexcept nogil:
    """Of what follows nobody knows whether the next packet would meet the same."""
    w.carry.trail.steady = False
