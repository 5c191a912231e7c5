"""What a packet more does to a connection that it only refreshes: how long it lives on, and what of TCP is unacknowledged."""
from libc.stdint cimport uint8_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport ACK, PROTOCOL_GRE, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, PSH, RST, SYN

cdef enum:
    HISTORY_LAST = CONNECTION_HISTORY_LAST_SYN | CONNECTION_HISTORY_LAST_RST


cdef inline uint64_t tcp_timeout(const Connection* c) noexcept nogil:
    """Nanoseconds; the defaults of nf_conntrack as measured."""
    cdef uint64_t seconds = TCP_TIMEOUTS[c.state]
    if c.state == CONNECTION_ESTABLISHED and (not c.reply_packets or c.history & (
            CONNECTION_HISTORY_UNACKNOWLEDGED | CONNECTION_HISTORY_REPLY_UNACKNOWLEDGED)):
        seconds = TCP_UNACKNOWLEDGED_TIMEOUT
    return seconds * 1000000000


cdef inline uint64_t timeout(const Connection* c, uint64_t time) noexcept nogil:
    """Of other protocols, at a packet at this time: UDP (older than two seconds) and GRE live longer when they were answered."""
    cdef bint answered = c.state == CONNECTION_ESTABLISHED
    cdef uint64_t seconds = 600
    if c.protocol == PROTOCOL_UDP:
        seconds = 120 if answered and time > c.created + 2 * <uint64_t>1000000000 else 30
    elif c.protocol == PROTOCOL_GRE:
        seconds = 180 if answered else 30
    elif c.protocol == PROTOCOL_ICMP:
        seconds = 30
    return seconds * 1000000000


cdef inline uint64_t fabric_timeout(uint8_t protocol) noexcept nogil:
    """Nanoseconds; the defaults of security groups' connection tracking."""
    return (432000 if protocol == PROTOCOL_TCP else 180 if protocol == PROTOCOL_UDP else 600) * <uint64_t>1000000000


cdef inline uint64_t later(uint64_t time, uint64_t span) noexcept nogil:
    """Saturating: a hostile time must not wrap into the past."""
    return time + span if time + span >= time else <uint64_t>-1


cdef inline uint8_t unacknowledged(const Connection* c, uint8_t flags, bint reply) noexcept nogil:
    """c.history after one packet more, as to data (PSH) and acknowledgements."""
    cdef uint8_t mine = CONNECTION_HISTORY_REPLY_UNACKNOWLEDGED if reply else CONNECTION_HISTORY_UNACKNOWLEDGED
    cdef uint8_t other = mine ^ CONNECTION_HISTORY_REPLY_UNACKNOWLEDGED ^ CONNECTION_HISTORY_UNACKNOWLEDGED
    cdef uint8_t history = c.history & ~other if flags & ACK else c.history
    return history | mine if flags & (PSH | SYN | RST) == PSH and (not reply or c.reply_packets) else history
