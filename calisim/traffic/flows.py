"""Traffic sets → waves of packets, and the answers that receivers give.

Takes the scenario's traffic sets and the Intent's endpoints; gives PACKET arrays of at most
2**20 rows, made column by column. Knows nothing of what becomes of a packet, but for the RESULT of a wave
whose answers are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..control.intent import Intent
from ..errors import UsageError
from ..scenario.schema import TrafficSet
from ..vocabulary import PACKET, EndpointKind, PacketFlag, Verdict
from .batch import ACK, ECHO_REPLY, ECHO_REQUEST, FIN, FIRST_SOURCE_PORT, ICMP, PORTS, PSH, RST, SYN, TCP, packet, protocol_number
from .endpoints import Labels, resolve_destinations, resolve_endpoints, service_port
from .owners import AddressOwners

__all__ = ["Flows", "answered", "plan", "reply_wave", "resolve_endpoints"]

LONGEST_WAVE = 2**20                 # rows
LONGEST_CUT = 2**16                  # … of packets that may be cut: all pieces of a wave are held at once
SOURCE_PORTS = 65536 - FIRST_SOURCE_PORT
T = TypeVar("T")
ANSWER_DELAY = 1_000                 # ns between a packet and its answer: nothing expires, the order in time is kept
BARE_SEGMENT = 40                    # bytes of a TCP segment without options and payload


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """Who sends what to whom: every sender to every receiver but itself, senders in order, then receivers.

    ``left_out`` counts packets that cannot be made: nobody can write down the address of a pod that got none.
    (Such a pod does send: what leaves it has no valid source and ends at once, with a reason.)
    """

    senders: np.ndarray              # endpoint ids
    sources: np.ndarray              # addresses; 0: the node's kernel chooses
    receivers: np.ndarray            # endpoint ids, 0: an address that nobody has
    addresses: np.ndarray
    packets_per_pair: int
    left_out: int
    template: np.ndarray             # PACKET of one row: what all packets share
    source_port: int | None          # None: counts up per sender; protocols without ports keep the template's

    @property
    def packets(self) -> int:
        """How many packets :meth:`waves` makes."""
        return int(self._pairs_up_to()[-1]) * self.packets_per_pair

    def waves(self, longest: int = 0) -> Iterator[np.ndarray]:
        """PACKET arrays of at most ``longest`` rows (0: 2**20, 2**16 without DF), one after the other, each only when it is
        asked for; all of a set leave at time 0."""
        longest = longest or (LONGEST_WAVE if self.template["fragment"][0] & PacketFlag.DF else LONGEST_CUT)
        ends, own = self._pairs_up_to(), self._own_position()
        for first in range(0, self.packets, longest):
            rows = np.arange(first, min(first + longest, self.packets), dtype=np.int64)
            pair = rows // self.packets_per_pair
            sender = np.searchsorted(ends, pair, side="right") - 1
            flow = pair - ends[sender]
            receiver = flow + ((own[sender] >= 0) & (flow >= own[sender]))
            yield self._made(sender, receiver, flow)

    def _made(self, sender: np.ndarray, receiver: np.ndarray, flow: np.ndarray) -> np.ndarray:
        wave = np.repeat(self.template, len(sender))
        wave["ingress"], wave["src"], wave["dst"] = self.senders[sender], self.sources[sender], self.addresses[receiver]
        if self.source_port is None:
            wave["sport"] = FIRST_SOURCE_PORT + flow % SOURCE_PORTS
        return wave

    def _pairs_up_to(self) -> np.ndarray:
        """Number of pairs before each sender; the last is that of all."""
        per_sender = len(self.receivers) - (self._own_position() >= 0)
        return np.concatenate([[0], np.cumsum(per_sender, dtype=np.int64)])

    def _own_position(self) -> np.ndarray:
        """Where each sender stands among the receivers; -1: it is none of them."""
        position = np.full(int(max(self.senders.max(initial=0), self.receivers.max(initial=0))) + 1, -1, dtype=np.int64)
        position[self.receivers] = np.arange(len(self.receivers))
        position[0] = -1
        return position[self.senders]


def plan(traffic_set: TrafficSet, intent: Intent, labels: Labels) -> Flows:
    """Who sends what to whom in a traffic set. Raises UsageError that names the set and the side that is wrong."""
    protocol = protocol_number(traffic_set.protocol)
    senders = np.array(_side(traffic_set, "from", lambda text: resolve_endpoints(text, intent, labels)), dtype=np.int64)
    receivers, addresses = _side(traffic_set, "to", lambda text: resolve_destinations(text, intent, labels))
    reachable = addresses != 0
    unreachable = receivers[~reachable]
    impossible = len(senders) * len(unreachable) - int(np.isin(senders, unreachable).sum())
    has_ports = protocol in PORTS
    return Flows(
        senders=senders,
        sources=_sources(senders, intent),
        receivers=receivers[reachable], addresses=addresses[reachable],
        packets_per_pair=traffic_set.packets, left_out=impossible * traffic_set.packets,
        template=_template(traffic_set, protocol, _port(traffic_set, intent, protocol)),
        source_port=None if has_ports and traffic_set.sport is None else traffic_set.sport or 0)


def _sources(senders: np.ndarray, intent: Intent) -> np.ndarray:
    """Source addresses; of many endpoints it is quicker to look at all in a row than at each."""
    many = len(senders) * 8 > len(intent.endpoints)
    asked = intent.endpoints if many else map(intent.endpoint, senders.tolist())
    found = np.array([0 if one.kind is EndpointKind.NODE else one.address for one in asked], dtype=np.int64)
    return found[senders - 1] if many else found


def _side(traffic_set: TrafficSet, side: str, resolve: Callable[[str], T]) -> T:
    text = traffic_set.source if side == "from" else traffic_set.destination
    try:
        return resolve(text)
    except UsageError as error:
        raise UsageError(f"traffic set {traffic_set.name!r}, {side}: {error}") from None


def _port(traffic_set: TrafficSet, intent: Intent, protocol: int) -> int | None:
    """The port as written, else that of the service which is sent to."""
    if traffic_set.port is not None:
        return traffic_set.port
    return _side(traffic_set, "to", lambda text: service_port(text, intent, protocol))


def _template(traffic_set: TrafficSet, protocol: int, port: int | None) -> np.ndarray:
    """TCP packets are segments in the middle of a connection, which Linux picks up; ICMP ones are echo requests."""
    fields = {"length": traffic_set.size, "ttl": traffic_set.ttl, "tos": traffic_set.tos, "df": traffic_set.df}
    if traffic_set.sport is not None:
        fields["sport"] = traffic_set.sport
    if port is not None and protocol != ICMP:
        fields["dport"] = port
    return packet(protocol=protocol, **fields)


def answered(wave: np.ndarray, results: np.ndarray) -> np.ndarray:
    """Which rows get an answer: delivered, and of a kind that a stack answers (no RST, bare ACK or echo reply)."""
    flags, protocol = wave["tcp_flags"], wave["protocol"]
    segment = ((flags & (SYN | FIN | PSH)) != 0) & ((flags & RST) == 0)
    echo = wave["dport"] == ECHO_REQUEST
    asks = np.where(protocol == TCP, segment, np.where(protocol == ICMP, echo, True))
    return (results["verdict"] == Verdict.DELIVERED) & asks


def reply_wave(wave: np.ndarray, results: np.ndarray, intent: Intent) -> np.ndarray:
    """The answers to the delivered packets as the next wave, in the order of :func:`answered` rows.

    The receiver swaps the tuple as it saw it (after NAT): SYN → SYN-ACK, other segments → ACK, echo request →
    reply, anything else → as much back.
    """
    rows = np.flatnonzero(answered(wave, results))
    asked, seen = wave[rows], results[rows]
    answers = np.zeros(len(rows), dtype=PACKET)
    answers["src"], answers["dst"] = seen["dst"], seen["src"]
    echo, tcp = asked["protocol"] == ICMP, asked["protocol"] == TCP
    answers["sport"] = np.where(echo, seen["sport"], seen["dport"])
    answers["dport"] = np.where(echo, ECHO_REPLY, seen["sport"])
    opens = (asked["tcp_flags"] & (SYN | ACK)) == SYN
    answers["tcp_flags"] = np.where(tcp, np.where(opens, SYN | ACK, ACK), 0)
    answers["length"] = np.where(tcp, BARE_SEGMENT, asked["length"])
    answers["ttl"], answers["protocol"] = 64, asked["protocol"]
    answers["fragment"] = asked["fragment"] & PacketFlag.DF
    answers["time"] = asked["time"] + ANSWER_DELAY
    answers["ingress"] = AddressOwners(intent).of(seen["dst"])
    return answers
