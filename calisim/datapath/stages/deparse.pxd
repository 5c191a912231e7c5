"""DEPARSE: an EVENT as the bytes that tcpdump shows there, headers pushed one before the other as Linux does in an sk_buff.

Payload is never laid out before it is copied: it repeats eight bytes, whose sum is known, so that checksums over the whole
cost the same whatever its length. What no record holds is made up: IPv4 identifications count the rows, a tunnel's depend on
the inner packet and the tunnel, payload is text in TCP and ICMP, else zeros. A quote is made from its HEADER alone.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP
from calisim.datapath.stages.chance cimport draw5

cdef enum:
    PROTOCOL_IPIP = 4
    PROTOCOL_SCTP = 132
    PROTOCOL_EXPERIMENT = 253        # RFC 3692: what a pod's own tunnel carries …
    INSIDE_SRC = 0xC0000201          # … between addresses of RFC 5737, which NAT leaves alone
    INSIDE_DST = 0xC0000202
    IPV4_HEAD = 20
    TCP_HEAD = 20
    UDP_HEAD = 8
    ICMP_HEAD = 8
    VXLAN_HEAD = 8
    ETHERNET_HEAD = 14
    SCTP_HEAD = 16                   # common header and a chunk's
    TCP_WINDOW = 64240
    PUSHED_AT = 104                  # room before the last header: an ICMP error's, sent by VXLAN, has 98 bytes of them
    HEAD_ROOM = 128

cdef extern from *:
    """
    static const char CALISIM_TEXT[8] = {'c', 'a', 'l', 'i', 's', 'i', 'm', ' '};
    static const unsigned char NOBODY[6] = {0};
    """
    const char* CALISIM_TEXT
    const uint8_t* NOBODY

cdef extern from "arpa/inet.h" nogil:
    uint32_t htonl(uint32_t)
    uint32_t ntohl(uint32_t)


# A packet in the making: head[start:end], then the eight bytes of filling again and again, up to length bytes in all. sum: of
# its words, not yet folded.
cdef struct Draft:
    uint8_t head[HEAD_ROOM]
    uint64_t filling
    uint64_t sum
    uint32_t start
    uint32_t end
    uint32_t length


# What a transport header says and sums up.
cdef struct Segment:
    uint32_t src
    uint32_t dst
    uint32_t seq
    uint32_t ack
    uint16_t sport
    uint16_t dport
    uint8_t protocol
    uint8_t tcp_flags
    bint unsummed                    # UDP checksum 0


# What a cluster's tunnel devices put on the wire beside the fields of an EVENT; vteps sorted, their MACs in the same order.
cdef struct Tunnels:
    const uint32_t* vteps
    const uint8_t* macs
    uint32_t vtep_count
    uint64_t seed
    uint32_t vni
    uint16_t port
    bint udp_checksum


cdef inline uint64_t put32(uint8_t* at, uint32_t value) noexcept nogil:
    """Gives the value back, to be summed up."""
    cdef uint32_t word = htonl(value)
    memcpy(at, &word, 4)
    return value


cdef inline uint32_t word_of(const uint8_t* at) noexcept nogil:
    return <uint32_t>at[0] << 8 | at[1]


cdef inline uint32_t fold(uint64_t total) noexcept nogil:
    """To 16 bits; 0 only of nothing but zeros."""
    total = <uint32_t>total + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


cdef inline uint32_t checksum(uint64_t total) noexcept nogil:
    return fold(total) ^ 0xFFFF


cdef inline uint32_t udp_checksum(uint64_t total) noexcept nogil:
    """One that comes to 0 is sent as 0xFFFF, for 0 says "none" (RFC 768)."""
    cdef uint32_t sum_ = checksum(total)
    return sum_ if sum_ else 0xFFFF


cdef inline uint64_t pseudo_header(uint32_t src, uint32_t dst, uint32_t protocol, uint32_t length) noexcept nogil:
    return <uint64_t>src + dst + protocol + length


cdef inline uint64_t sum_of_head(const Draft* d) noexcept nogil:
    """Read again; an odd last byte counts as if a zero followed."""
    cdef uint32_t at = d.start, word
    cdef uint64_t total = 0
    while at < d.end:
        word = 0
        memcpy(&word, &d.head[at], min(4, d.end - at))
        total += ntohl(word)
        at += 4
    return total


cdef inline uint64_t sum_of_filling(const Draft* d) noexcept nogil:
    """Heads are of even length, so that it begins with a word."""
    cdef uint32_t size = d.length - (d.end - d.start)
    cdef uint64_t left = 0, eight = <uint64_t>ntohl(<uint32_t>d.filling) + ntohl(d.filling >> 32)
    memcpy(&left, &d.filling, size & 7)
    return (size >> 3) * eight + ntohl(<uint32_t>left) + ntohl(left >> 32)


cdef inline uint8_t* push(Draft* d, uint32_t size) noexcept nogil:
    """Room for one header more before all others."""
    d.start -= size
    d.length += size
    return &d.head[d.start]


cdef inline void cut(Draft* d, uint32_t offset, uint32_t size) noexcept nogil:
    """Only ``size`` bytes from ``offset`` (even) on remain."""
    cdef uint32_t head = d.end - d.start
    cdef uint32_t turn = 8 * ((offset - head) & 7)
    if offset == 0 and size == d.length:
        return
    if offset < head:
        d.start += offset
    else:
        d.start = d.end
        if turn:
            d.filling = d.filling >> turn | d.filling << (64 - turn)
    d.length = size
    d.end = min(d.end, d.start + size)
    d.sum = sum_of_head(d) + sum_of_filling(d)


cdef inline void push_ipv4(
    Draft* d, uint32_t src, uint32_t dst, uint32_t protocol, uint32_t ttl, uint32_t tos, uint32_t identification,
    uint32_t fragment,
) noexcept nogil:
    cdef uint8_t* h = push(d, IPV4_HEAD)
    cdef uint64_t total = put32(h, 0x45000000 | tos << 16 | (d.length & 0xFFFF))
    total += put32(h + 4, (identification & 0xFFFF) << 16 | fragment)
    total += put32(h + 12, src)
    total += put32(h + 16, dst)
    d.sum += total + put32(h + 8, ttl << 24 | protocol << 16 | checksum(total + (ttl << 24) + (protocol << 16)))


cdef inline uint32_t transport_head(uint8_t protocol, uint32_t size) noexcept nogil:
    """Bytes of a transport header; of what has no room for one none but zeros is known."""
    if protocol == PROTOCOL_TCP:
        return TCP_HEAD
    if protocol in (PROTOCOL_UDP, PROTOCOL_ICMP):
        return UDP_HEAD
    if protocol == PROTOCOL_IPIP and size >= IPV4_HEAD:
        return IPV4_HEAD
    return SCTP_HEAD if protocol == PROTOCOL_SCTP and size >= SCTP_HEAD else 0


cdef inline void transport(Draft* d, const Segment* s, uint32_t size) noexcept nogil:
    """A whole segment of ``size`` bytes, at least its header."""
    cdef uint32_t head = transport_head(s.protocol, size), ports = <uint32_t>s.sport << 16 | s.dport
    cdef uint8_t* h = &d.head[PUSHED_AT]
    d.start, d.end, d.length, d.filling, d.sum = PUSHED_AT, PUSHED_AT + head, max(size, head), 0, 0
    if s.protocol == PROTOCOL_TCP:
        memcpy(&d.filling, CALISIM_TEXT, 8)
        d.sum = put32(h, ports) + put32(h + 4, s.seq) + put32(h + 8, s.ack) + sum_of_filling(d)
        d.sum += put32(h + 12, <uint32_t>(TCP_HEAD << 10 | s.tcp_flags) << 16 | TCP_WINDOW)
        d.sum += put32(h + 16, checksum(d.sum + pseudo_header(s.src, s.dst, PROTOCOL_TCP, d.length)) << 16)
    elif s.protocol == PROTOCOL_UDP:
        size = (d.length & 0xFFFF) << 16
        d.sum = put32(h, ports)
        d.sum += put32(h + 4, size | (0 if s.unsummed else udp_checksum(
            d.sum + size + pseudo_header(s.src, s.dst, PROTOCOL_UDP, d.length))))
    elif s.protocol == PROTOCOL_ICMP:
        memcpy(&d.filling, CALISIM_TEXT, 8)
        put_icmp(d, s.dport, <uint32_t>s.sport << 16 | 1, sum_of_filling(d))
    elif head == IPV4_HEAD:
        d.start, d.length = d.end, d.length - IPV4_HEAD
        push_ipv4(d, INSIDE_SRC, INSIDE_DST, PROTOCOL_EXPERIMENT, 64, 0, 0, 0)
    elif head == SCTP_HEAD:              # one chunk of padding (RFC 4820), checksum 0 as of RFC 9653
        memset(h, 0, 12)
        d.sum = put32(h + 12, <uint32_t>0x84000000 | (d.length - 12 & 0xFFFF))


cdef inline void put_icmp(Draft* d, uint32_t kind, uint32_t rest, uint64_t behind) noexcept nogil:
    """The header for which there is room, before what has the sum ``behind``."""
    cdef uint8_t* h = &d.head[d.start]
    cdef uint64_t total = put32(h + 4, rest) + behind
    d.sum = total + put32(h, kind << 16 | checksum(total + kind))


cdef inline void error(Draft* d, const Event* event, const Header* header, uint32_t size) noexcept nogil:
    """An ICMP error's message of ``size`` bytes: what it quotes (NAT translates that, too), as far as it reaches."""
    cdef Segment about
    memset(&about, 0, sizeof(Segment))
    about.src, about.dst, about.sport, about.dport = header.quote_src, header.quote_dst, header.quote_sport, header.quote_dport
    if event.quote_src:                        # as it is here; of a piece no EVENT says it
        about.src, about.dst, about.sport, about.dport = event.quote_src, event.quote_dst, event.quote_sport, event.quote_dport
    about.protocol = header.quote_protocol
    transport(d, &about, header.quote_length - IPV4_HEAD)
    push_ipv4(
        d, about.src, about.dst, about.protocol, header.quote_ttl, header.quote_tos, 0, header.quote_fragment)
    cut(d, 0, max(size, ICMP_HEAD) - ICMP_HEAD)
    push(d, ICMP_HEAD)
    put_icmp(d, event.dport, header.mtu, d.sum)


cdef inline const uint8_t* mac_of(const Tunnels* tunnels, uint32_t address) noexcept nogil:
    """A VTEP's; zeros of one that nobody knows. The search has no branch to be foretold wrongly: 21 Mpps, not 15."""
    cdef uint32_t at = 0, left = tunnels.vtep_count, half
    while left > 1:
        half = left >> 1
        at += half * (tunnels.vteps[at + half] <= address)
        left -= half
    if left and tunnels.vteps[at] == address:
        return tunnels.macs + 6 * <size_t>at
    return NOBODY


cdef inline void push_vxlan(Draft* d, const Event* event, const Tunnels* tunnels, uint32_t port, bint unsummed) noexcept nogil:
    """Ethernet, VXLAN and UDP."""
    cdef uint8_t* h = push(d, UDP_HEAD + VXLAN_HEAD + ETHERNET_HEAD)
    cdef const uint8_t* receiver = mac_of(tunnels, event.outer_dst)
    cdef const uint8_t* sender = mac_of(tunnels, event.outer_src)
    cdef uint32_t length = (d.length & 0xFFFF) << 16
    memcpy(h + 16, receiver, 6)
    memcpy(h + 22, sender, 6)
    h[28], h[29] = 0x08, 0
    d.sum += 0x0800 + word_of(receiver) + word_of(receiver + 2) + word_of(receiver + 4) + word_of(sender) \
        + word_of(sender + 2) + word_of(sender + 4)
    d.sum += put32(h, <uint32_t>event.outer_sport << 16 | port) + put32(h + 8, 0x08000000) + put32(h + 12, tunnels.vni << 8)
    d.sum += put32(h + 4, length | (0 if unsummed else udp_checksum(
        d.sum + length + pseudo_header(event.outer_src, event.outer_dst, PROTOCOL_UDP, d.length))))


cdef inline void push_inner(
    Draft* d, const Event* event, const Header* header, uint32_t seq, uint32_t ack, uint32_t whole,
) noexcept nogil:
    """The IPv4 packet that is sent, or its piece of a datagram of ``whole`` bytes."""
    cdef uint32_t offset = (event.fragment & PACKET_FLAG_OFFSET) * 8, size = event.length - IPV4_HEAD
    cdef uint32_t all_of_it = max(whole, IPV4_HEAD + offset + size) - IPV4_HEAD
    cdef uint32_t identification = header.id if header is not NULL and header.id else event.row + 1
    cdef Segment s
    if (event.protocol == PROTOCOL_ICMP and event.dport >> 8 in (3, 11)
            and header is not NULL and header.quote_length >= IPV4_HEAD):
        error(d, event, header, all_of_it)
    else:
        s.src, s.dst, s.sport, s.dport, s.seq, s.ack = event.src, event.dst, event.sport, event.dport, seq, ack
        s.protocol, s.tcp_flags = event.protocol, event.tcp_flags
        s.unsummed = header is not NULL and header.flags & HEADER_FLAG_NO_CHECKSUM
        transport(d, &s, all_of_it)
    cut(d, offset, size)
    push_ipv4(d, event.src, event.dst, event.protocol, event.ttl, event.tos, identification, event.fragment)


cdef inline void push_outer(Draft* d, const Event* event, const Header* own, const Tunnels* tunnels) noexcept nogil:
    """The outer header, or of its packet the piece that the EVENT is about. ``own``: the sender's, NULL a tunnel device's."""
    cdef const Encapsulation* encap = &ENCAPSULATIONS[event.encap]
    cdef uint32_t identification, inner
    memcpy(&inner, &d.head[d.start + 4], 4)          # its identification and fragment word
    if event.encap == ENCAP_VXLAN:
        push_vxlan(
            d, event, tunnels, encap.port if own is not NULL else tunnels.port,
            own.flags & HEADER_FLAG_NO_OUTER_CHECKSUM if own is not NULL else not tunnels.udp_checksum)
    cut(d, (event.outer_fragment & PACKET_FLAG_OFFSET) * 8, event.outer_length - IPV4_HEAD)
    if own is not NULL:
        identification = own.outer_id if own.outer_id else event.row + 1
    else:
        identification = draw5(
            tunnels.seed, event.time, ntohl(inner), <uint64_t>event.src << 32 | event.dst,
            <uint64_t>event.outer_src << 32 | event.outer_dst) & 0xFFFF
    push_ipv4(
        d, event.outer_src, event.outer_dst, encap.protocol, event.outer_ttl, event.outer_tos, identification,
        event.outer_fragment)


cdef inline bint still_own(const Event* events, uint64_t position) noexcept nogil:
    """Of a packet that was sent encapsulated: has nobody taken its outer header off yet?"""
    cdef uint32_t row = events[position].row
    while events[position].encap:
        if position == 0 or events[position - 1].row != row:
            return True
        position -= 1
    return False


cdef inline void pour(const Draft* d, uint8_t* out, uint32_t size) noexcept nogil:
    """The first ``size`` bytes."""
    cdef uint32_t at = min(d.end - d.start, size)
    memcpy(out, &d.head[d.start], at)
    while size - at >= 8:
        memcpy(out + at, &d.filling, 8)
        at += 8
    memcpy(out + at, &d.filling, size - at)
