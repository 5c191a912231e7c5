"""Tables, state and a packet's walk, as the stages see them: pointers that the door has checked."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from calisim._vocabulary cimport *


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


# Everything a leg works with: tables, wave, and state with the room that is left in it.
cdef struct Core:
    Tables fib
    const Packet* packets
    Header* headers                  # NULL: all packets are plain; what an ICMP error quotes is translated in it
    Result* results
    # connections: dense records, an open-addressing index of tag << 32 | position + 1
    uint64_t* index
    uint64_t index_mask
    Connection* connections
    uint32_t connection_count
    uint32_t connection_room
    Taken* taken                     # a cache: what is not there is looked up
    uint64_t taken_mask
    uint32_t* ordinals               # [router][conntrack, fabric]: the last one given
    Affinity* affinities             # open addressing, expires 0: empty
    uint32_t affinity_mask
    uint32_t affinity_count
    const Pmtu* paths                # what stacks have learnt of paths, sorted
    uint32_t path_count
    # counters
    uint64_t* links                  # [router][device][direction][packets, bytes]
    uint64_t* drops                  # [place][reason]
    uint64_t* verdicts
    uint64_t* hits                   # [object]
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
    bint wants_born
    uint32_t leg
    uint32_t wave                    # number of the wave, from 1


# What a packet takes along from leg to leg (addresses, ports and TTL are in its RESULT).
cdef struct Carry:
    uint32_t row
    uint32_t router                  # where the next leg is
    uint32_t sender                  # router that sent the frame, 0 none
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


# A tuple that the groups will probably ask for.
cdef struct Foresight:
    Tuple tuple
    uint64_t hash


# What is known of a packet before its turn: the FIB does not change within a leg, so that lookups of a whole frame
# overlap their cache misses; for connections only the memory is fetched, since the order of packets counts there.
cdef struct Glance:
    Route route                      # to the destination
    Route back                       # to the source (not for what comes in by VETH or OUTPUT)
    Foresight into                   # at the interface that it comes in by, and at the one that it leaves by (without NAT)
    Foresight out
    uint32_t dst
    uint32_t class_of_dst
    uint32_t class_of_src            # not for what comes in by VETH or OUTPUT
    uint64_t hash                    # of the conntrack tuple


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
    TAKEN_WAYS = 4                   # places where a Taken may be
    TAKEN_WORDS = 1024               # Takens of a whole range
    SUPERSEDED = 0x40000000          # bit of Connection.wave: another translated one of this source was confirmed later
    WATCHED = 0x20000000             # likewise: a Taken relies on its expiry; who changes that calls unwatch


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
    uint64_t hash                    # of the conntrack tuple
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
