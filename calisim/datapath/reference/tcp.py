"""The life of a TCP connection as Linux' conntrack sees it from the middle (nf_conntrack_tcp_packet)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from ...vocabulary import ConnectionHistory, ConnectionState
from ...vocabulary.tcp import (
    TCP_CLASSES, TCP_TIMEOUTS, TCP_TRANSITIONS, TCP_UNACKNOWLEDGED_TIMEOUT, TcpClass, Transition,
)

PSH, ACK = 8, 16
LAST = ConnectionHistory.LAST_SYN | ConnectionHistory.LAST_RST


class Effect(Enum):
    """What a segment does to the connection's entry."""

    INVALID = auto()     # nothing: it does not belong to it
    REOPEN = auto()      # ends it, and opens another one
    END = auto()         # ends it, as its last segment
    KEEP = auto()        # belongs to it and leaves its time-out alone
    REFRESH = auto()


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP packet as conntrack sees it: flags and direction."""

    flags: int
    is_reply: bool
    kind: TcpClass = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", TcpClass(TCP_CLASSES[self.flags & 63]))

    def after(self, state: ConnectionState) -> int:
        """A ConnectionState, or a Transition."""
        return TCP_TRANSITIONS[self.is_reply][self.kind][state]

    @property
    def trace(self) -> ConnectionHistory:
        """What it leaves behind as the last segment."""
        if self.is_reply:
            return ConnectionHistory(0)
        return {TcpClass.SYN: ConnectionHistory.LAST_SYN, TcpClass.RST: ConnectionHistory.LAST_RST}.get(
            self.kind, ConnectionHistory(0))


@dataclass(slots=True)
class TcpTracker:
    """State and memory of one connection; ``answered``: whether a packet of the reply direction has belonged to it."""

    state: ConnectionState
    history: ConnectionHistory
    answered: bool

    def see(self, segment: Segment) -> Effect:
        """One more segment."""
        after = segment.after(self.state)
        if after == Transition.INVALID:
            return Effect.INVALID
        if after == ConnectionState.SYN_SENT and self.state in (ConnectionState.TIME_WAIT, ConnectionState.CLOSE):
            if self._was_closed_by(segment):
                return Effect.REOPEN
            after = int(Transition.IGNORE)
        if after == Transition.IGNORE:
            if not self._answers_an_ignored_syn(segment):
                return self._ignore(segment)
            self.history, after = ConnectionHistory(0), int(ConnectionState.SYN_RECV)
        if self._is_challenge(segment):
            self.history &= ~ConnectionHistory.CHALLENGE
            return Effect.KEEP
        return self._enter(ConnectionState(after), segment)

    @property
    def timeout(self) -> int:
        """Seconds of silence that the connection survives."""
        if self.state is not ConnectionState.ESTABLISHED:
            return TCP_TIMEOUTS[self.state]
        waiting = self.history & (ConnectionHistory.UNACKNOWLEDGED | ConnectionHistory.REPLY_UNACKNOWLEDGED)
        return TCP_UNACKNOWLEDGED_TIMEOUT if waiting or not self.answered else TCP_TIMEOUTS[self.state]

    def _was_closed_by(self, segment: Segment) -> bool:
        """By an orderly end, or by an RST of who now opens again."""
        return bool(self.history & ConnectionHistory.CLOSING) or (
            bool(self.history & ConnectionHistory.LAST_RST) and not segment.is_reply)

    def _answers_an_ignored_syn(self, segment: Segment) -> bool:
        return segment.is_reply and segment.kind is TcpClass.SYNACK and bool(self.history & ConnectionHistory.LAST_SYN)

    def _ignore(self, segment: Segment) -> Effect:
        self.history = self.history & ~LAST | segment.trace
        if segment.trace is ConnectionHistory.LAST_SYN:
            self.history &= ~(ConnectionHistory.SIMULTANEOUS | ConnectionHistory.CHALLENGE)
            if self.state is ConnectionState.LAST_ACK:
                self.history |= ConnectionHistory.CHALLENGE
        return Effect.KEEP

    def _is_challenge(self, segment: Segment) -> bool:
        """An ACK that does not acknowledge the last FIN: it answers a SYN (RFC 5961)."""
        expected = ConnectionHistory.LAST_SYN | ConnectionHistory.CHALLENGE
        return (self.state is ConnectionState.LAST_ACK and segment.is_reply and segment.kind is TcpClass.ACK
                and self.history & expected == expected)

    def _enter(self, after: ConnectionState, segment: Segment) -> Effect:
        before = self.state
        if after is ConnectionState.SYN_SENT2:
            self.history |= ConnectionHistory.SIMULTANEOUS
        if (after is ConnectionState.SYN_RECV and segment.is_reply and segment.kind is TcpClass.ACK
                and self.history & ConnectionHistory.SIMULTANEOUS):
            after = ConnectionState.ESTABLISHED
        if after is ConnectionState.FIN_WAIT and before is not after:
            self.history |= ConnectionHistory.CLOSING
        self.state, self.history = after, self.history & ~LAST | segment.trace
        self._count_data(segment)
        if not self.answered and segment.kind is TcpClass.RST:
            return Effect.END
        resent = segment.kind is TcpClass.SYN and before is ConnectionState.SYN_SENT
        return Effect.KEEP if resent and not self.answered else Effect.REFRESH

    def _count_data(self, segment: Segment) -> None:
        """Data waits for an ACK of the other side; without sequence numbers, PSH says that there is some."""
        mine, other = ConnectionHistory.UNACKNOWLEDGED, ConnectionHistory.REPLY_UNACKNOWLEDGED
        if segment.is_reply:
            mine, other = other, mine
        known = self.answered or not segment.is_reply
        if segment.flags & PSH and segment.kind in (TcpClass.ACK, TcpClass.FIN) and known:
            self.history |= mine
        if segment.flags & ACK:
            self.history &= ~other


def opening(flags: int) -> ConnectionState:
    """State of the connection that a segment without one opens; NONE: it is INVALID."""
    after = Segment(flags, is_reply=False).after(ConnectionState.NONE)
    return ConnectionState.NONE if after == Transition.INVALID else ConnectionState(after)
