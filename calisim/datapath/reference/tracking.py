"""Connections and the source ports they get: Linux' conntrack and the cloud's tracking of security groups.

A table belongs to one router. No two live entries share a flow, in whichever direction (Linux keeps both
directions of all connections in one hash). The port search is nf_nat_core.c's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...vocabulary import ConnectionHistory, ConnectionState
from ...vocabulary.chance import draw
from . import tcp
from .walk import ICMP, TCP, UDP, Flow

SECOND = 1_000_000_000
STREAM_AFTER = 2 * SECOND
GRE = 47
FIRST_ROUND, LAST_ROUND = 128, 8           # NF_NAT_MAX_ATTEMPTS, halved while it is at least 16


@dataclass(slots=True, eq=False)
class Connection:
    """An entry: the flow of its first packet and the flow of the answers, after NAT."""

    original: Flow
    reply: Flow
    state: ConnectionState
    created: int
    expires: int
    wave: int                              # number of the wave that made it
    ordinal: int = 0
    packets: int = 1
    reply_packets: int = 0
    history: ConnectionHistory = ConnectionHistory(0)      # of TCP

    @classmethod
    def opened(cls, flow: Flow, state: ConnectionState, time: int, wave: int) -> Connection:
        """By the packet that has the flow: not yet confirmed, nor translated."""
        return cls(flow, flow.inverse, state, time, time + _opening_timeout(flow, state), wave)

    @property
    def is_confirmed(self) -> bool:
        """Whether it is in the table: not so while its first packet is under way through the router."""
        return self.ordinal > 0

    @property
    def translated(self) -> Flow:
        """The original direction as it leaves the router."""
        return self.reply.inverse

    @property
    def is_translated(self) -> bool:
        """Whether its source leaves the router as another one (SNAT)."""
        return (self.translated.src, self.translated.sport) != (self.original.src, self.original.sport)

    @property
    def is_redirected(self) -> bool:
        """Whether its destination does (DNAT)."""
        return (self.translated.dst, self.translated.dport) != (self.original.dst, self.original.dport)

    def changes_destination(self, flow: Flow) -> bool:
        """Of a packet that has one of its flows: an answer goes to who asked, a first packet to a service's endpoint."""
        return self.is_redirected if flow == self.original else self.is_translated

    def refresh(self, state: ConnectionState, expires: int, *, is_reply: bool) -> None:
        """One more packet in one of the directions."""
        self.state, self.expires = state, expires
        self.count(is_reply=is_reply)

    def count(self, *, is_reply: bool) -> None:
        self.packets, self.reply_packets = self.packets + (not is_reply), self.reply_packets + is_reply

    def take(self, tcp_flags: int, time: int, *, is_reply: bool) -> tcp.Effect:
        """One more packet that has one of its flows: whether it belongs to it, and what becomes of it."""
        if self.original.protocol != TCP:
            timeout = self._timeout(time)
            state = ConnectionState.ESTABLISHED if is_reply else self.state
            self.refresh(state, time + timeout * SECOND, is_reply=is_reply)
            return tcp.Effect.REFRESH
        tracker = tcp.TcpTracker(self.state, self.history, answered=self.reply_packets > 0)
        effect = tracker.see(tcp.Segment(tcp_flags, is_reply))
        if effect in (tcp.Effect.INVALID, tcp.Effect.REOPEN):
            self.expires = 0 if effect is tcp.Effect.REOPEN else self.expires
            return effect
        self.state, self.history = tracker.state, tracker.history
        self.expires = {tcp.Effect.END: 0, tcp.Effect.KEEP: self.expires}.get(effect, time + tracker.timeout * SECOND)
        self.count(is_reply=is_reply)
        return effect

    def _timeout(self, time: int) -> int:
        """Of other protocols, at a packet at this time (nf_conntrack_udp_packet, _gre_packet): answered ones live longer."""
        answered = self.state is ConnectionState.ESTABLISHED
        if self.original.protocol == UDP and answered and time > self.created + STREAM_AFTER:
            return 120
        if self.original.protocol == GRE and answered:
            return 180
        return _first_timeout(self.original.protocol)


def is_known(connection: Connection | None) -> bool:
    """What is ESTABLISHED or RELATED, neither opening nor INVALID nor untracked."""
    return connection is not None and connection.is_confirmed


class ConnectionTable:
    """All connections of one router, found by either flow; ``by_source`` remembers who was translated last."""

    def __init__(self) -> None:
        self._entries: dict[Flow, Connection] = {}
        self._by_source: dict[tuple[int, int, int], Connection] = {}
        self._count = 0

    def find(self, flow: Flow, time: int) -> Connection | None:
        """The live connection that has this flow in one of its directions."""
        entry = self._entries.get(flow)
        return entry if entry is not None and entry.expires > time else None

    def enter(self, connection: Connection) -> None:
        """Confirm a connection; expired ones that have one of its flows go for good."""
        for flow in (connection.original, connection.reply):
            if (stale := self._entries.get(flow)) is not None:
                del self._entries[stale.original]
                self._entries.pop(stale.reply, None)
                stale.expires = 0
        self._count += 1
        connection.ordinal = self._count
        self._entries[connection.reply] = connection
        self._entries[connection.original] = connection
        if connection.is_translated:
            flow = connection.original
            self._by_source[flow.protocol, flow.src, flow.sport] = connection

    def last_translated(self, flow: Flow) -> Connection | None:
        """The connection from the same source and port that was translated last."""
        return self._by_source.get((flow.protocol, flow.src, flow.sport))

    def __iter__(self) -> Iterator[Connection]:
        """Every connection once."""
        return (entry for flow, entry in self._entries.items() if flow == entry.original)


def opening_state(flow: Flow, tcp_flags: int) -> ConnectionState:
    """State of the connection that a packet without one opens; NONE: it is INVALID (nf_conntrack_proto_tcp, _icmp)."""
    if flow.protocol == TCP:
        return tcp.opening(tcp_flags)
    return ConnectionState.NONE if flow.protocol == ICMP and not flow.dport else ConnectionState.NEW


def _opening_timeout(flow: Flow, state: ConnectionState) -> int:
    """Nanoseconds that a connection lives if nothing follows its first packet (nf_conntrack_*_timeout)."""
    if flow.protocol == TCP:
        return tcp.TcpTracker(state, ConnectionHistory(0), answered=False).timeout * SECOND
    return _first_timeout(flow.protocol) * SECOND


def _first_timeout(protocol: int) -> int:
    return 30 if protocol in (UDP, ICMP, GRE) else 600


def group_timeout(protocol: int) -> int:
    """Nanoseconds after which AWS forgets a tracked flow (VPC guide, security group connection tracking)."""
    return {TCP: 432_000, UDP: 180}.get(protocol, 600) * SECOND


def port_range(flow: Flow) -> tuple[int, int]:
    """Lowest port and number of ports of the class in which a clash is resolved."""
    if flow.protocol == ICMP:
        return 0, 65536
    if flow.sport < 512:
        return 1, 511
    return (600, 424) if flow.sport < 1024 else (1024, 64512)


@dataclass(frozen=True, slots=True)
class PortChooser:
    """Finds the source port under which a new connection may leave a router."""

    table: ConnectionTable
    seed: int
    key: int                               # of the router
    time: int

    def confirm(self, connection: Connection, masquerade: int = 0, *, random_fully: bool = False) -> bool:
        """Enter a connection under a source port that keeps its answers apart from all others; False: there is none."""
        if masquerade:
            translated = self.masquerade(connection.translated, masquerade, random_fully=random_fully)
        else:
            translated = self.bind(connection.translated)
        if translated is None:
            return False
        connection.reply = translated.inverse
        self.table.enter(connection)
        return True

    def masquerade(self, flow: Flow, address: int, *, random_fully: bool) -> Flow | None:
        """``flow`` with its new source address and port; None: no port is free."""
        wanted = flow._replace(src=address)
        if flow.protocol not in (TCP, UDP, ICMP):
            return wanted if self._free(wanted) else None
        if not random_fully:
            sticky = self._sticky(wanted, flow)
            if sticky is not None and self._free(sticky):
                return sticky
            if self._free(wanted):
                return wanted
        return self._search(wanted, flow)

    def bind(self, flow: Flow) -> Flow | None:
        """``flow`` as it is, with another source port only if somebody's answers look like its own (null binding)."""
        if self._free(flow):
            return flow
        return self._search(flow, flow) if flow.protocol in (TCP, UDP, ICMP) else None

    def _free(self, translated: Flow) -> bool:
        return self.table.find(translated.inverse, self.time) is None

    def _sticky(self, wanted: Flow, flow: Flow) -> Flow | None:
        """The mapping sticks to (source, source port): another destination gets the port of the last one."""
        last = self.table.last_translated(flow)
        if last is None or last.expires <= self.time or last.translated.src != wanted.src:
            return None
        return wanted._replace(sport=last.translated.sport)

    def _search(self, wanted: Flow, flow: Flow) -> Flow | None:
        """nf_nat_l4proto_unique_tuple: ever shorter runs of ports, each from a random start."""
        low, size = port_range(flow)
        attempts, round_number = min(FIRST_ROUND, size), 0
        while True:
            start = draw(
                self.seed, self.key, flow.src << 32 | flow.dst, flow.sport << 32 | flow.dport << 16 | flow.protocol,
                round_number)
            for step in range(attempts):
                candidate = wanted._replace(sport=low + (start % size + step) % size)
                if self._free(candidate):
                    return candidate
            if attempts >= size or attempts <= LAST_ROUND:
                return None
            attempts, round_number = attempts // 2, round_number + 1
