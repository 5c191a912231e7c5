"""TCP of a known connection: one look into the table of transitions, and what it does not know (nf_conntrack_tcp_packet)."""
from libc.stdint cimport uint8_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport *
from calisim.datapath.stages.expiry cimport HISTORY_LAST, later, tcp_timeout, unacknowledged

cdef enum Fate:
    FATE_BELONGS
    FATE_INVALID
    FATE_OPENS             # another connection; the known one is gone

cdef inline void ignore(Connection* c, uint8_t last) noexcept nogil:
    """A packet that may be right where conntrack is wrong: only remembered."""
    c.history = c.history & ~HISTORY_LAST | last
    if last:
        c.history &= ~(CONNECTION_HISTORY_SIMULTANEOUS | CONNECTION_HISTORY_CHALLENGE)
        if c.state == CONNECTION_LAST_ACK:
            c.history |= CONNECTION_HISTORY_CHALLENGE


cdef inline Fate follow_tcp(Connection* c, const Packet* packet, bint reply) noexcept nogil:
    """State, history and expiry after one packet more; the caller counts it if it belongs to the connection."""
    cdef uint8_t kind = TCP_CLASSES[packet.tcp_flags & 63], before = c.state, last = 0
    cdef uint8_t after = TCP_TRANSITIONS[reply][kind][before]
    if kind == TCP_CLASS_ACK and before == CONNECTION_ESTABLISHED:     # nearly all packets: nothing below applies
        c.history = unacknowledged(c, packet.tcp_flags, reply) & ~HISTORY_LAST
        c.expires = later(packet.time, tcp_timeout(c))
        return FATE_BELONGS
    if after == TRANSITION_INVALID:
        return FATE_INVALID
    if not reply and kind == TCP_CLASS_SYN:
        last = CONNECTION_HISTORY_LAST_SYN
    elif not reply and kind == TCP_CLASS_RST:
        last = CONNECTION_HISTORY_LAST_RST
    if after == CONNECTION_SYN_SENT and before != CONNECTION_SYN_SENT:
        if c.history & CONNECTION_HISTORY_CLOSING or (not reply and c.history & CONNECTION_HISTORY_LAST_RST):
            c.expires = 0
            return FATE_OPENS
        after = TRANSITION_IGNORE
    if after == TRANSITION_IGNORE:
        if not reply or kind != TCP_CLASS_SYNACK or not c.history & CONNECTION_HISTORY_LAST_SYN:
            ignore(c, last)
            return FATE_BELONGS
        after, c.history = CONNECTION_SYN_RECV, 0         # it answers a SYN that was ignored
    elif reply and kind == TCP_CLASS_ACK:
        if (before == CONNECTION_LAST_ACK and c.history & CONNECTION_HISTORY_LAST_SYN
                and c.history & CONNECTION_HISTORY_CHALLENGE):
            c.history &= ~CONNECTION_HISTORY_CHALLENGE    # RFC 5961: not about the last FIN
            return FATE_BELONGS
        if before == CONNECTION_SYN_RECV and c.history & CONNECTION_HISTORY_SIMULTANEOUS:
            after = CONNECTION_ESTABLISHED
    elif after == CONNECTION_SYN_SENT2:
        c.history |= CONNECTION_HISTORY_SIMULTANEOUS
    elif after == CONNECTION_FIN_WAIT:
        c.history |= CONNECTION_HISTORY_CLOSING
    c.history = unacknowledged(c, packet.tcp_flags, reply) & ~HISTORY_LAST | last
    c.state = after
    if not c.reply_packets and kind == TCP_CLASS_RST:
        c.expires = 0
    elif c.reply_packets or kind != TCP_CLASS_SYN or before != CONNECTION_SYN_SENT:
        c.expires = later(packet.time, tcp_timeout(c))
    return FATE_BELONGS
