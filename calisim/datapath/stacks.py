"""What endpoints' own stacks say to what they get, where the scenario lets them (``stack: answer``).

Takes delivered packets with their RESULTs, gives the answers as the next wave: a reply to an echo request; port unreachable for
UDP and RST for TCP to a port on which nobody listens; SYN-ACK and ACK from one that is open (RFC 792, RFC 1122 §3.2.2 and
§4.1.3.1, RFC 9293 §3.10.7). What an application would say to a datagram is none of a stack's business.
"""

from __future__ import annotations

import numpy as np

from ..control.intent import Intent
from ..vocabulary import BORN, HEADER, PACKET, PacketFlag, Relation, Verdict
from ..wire import icmp, ipv4, tcp
from ..wire.tcp import Flag
from .results import Born
from .settling import with_path

DELAY = 1_000                                # ns between a packet and its answer
TTL = 64                                     # net.ipv4.ip_default_ttl
ERROR_TOS, RT_TOS = 0xC0, 0x1E               # icmp_send
ERROR_HEAD = ipv4.SIZE + icmp.SIZE
PORT_UNREACHABLE = icmp.UNREACHABLE << 8 | icmp.PORT_UNREACHABLE
ECHO_REQUEST, ECHO_REPLY = icmp.ECHO << 8, icmp.ECHO_REPLY << 8


class Stacks:
    """The stacks of one cluster that answer; false where there is none."""

    def __init__(self, intent: Intent) -> None:
        answering = {one.address: one for one in intent.endpoints if one.answers and one.address}
        self._addresses = np.array(sorted(answering), np.uint32)
        self._ids = np.array([answering[address].id for address in self._addresses.tolist()], np.uint32)
        self._choosy = np.array([address for address, one in answering.items() if one.ports], np.uint32)
        self._open = np.array(
            [_port(address, protocol, port) for address, one in answering.items() for protocol, port in one.ports], np.uint64)

    def __bool__(self) -> bool:
        return bool(len(self._addresses))

    def hear(self, packets: np.ndarray, results: np.ndarray) -> np.ndarray:
        """Which packets were delivered, whole, to a stack that answers."""
        whole = packets["fragment"] & int(PacketFlag.MF | PacketFlag.OFFSET) == 0
        return whole & (results["verdict"] == Verdict.DELIVERED) & np.isin(results["dst"], self._addresses)

    def answers(self, packets: np.ndarray, results: np.ndarray) -> tuple[np.ndarray, Born]:
        """The RESULT rows, REFUSED where a stack said no, and what the stacks say: in the order of the rows, ``parent``
        is each one's."""
        heard = self.hear(packets, results)
        protocol, flags, kind = packets["protocol"], packets["tcp_flags"], packets["dport"]
        closed = heard & np.isin(results["dst"], self._choosy)
        closed &= ~np.isin(_port(results["dst"], protocol, results["dport"]), self._open)
        segment = heard & (protocol == ipv4.TCP) & (flags & Flag.RST == 0)
        opens = flags & (Flag.SYN | Flag.ACK) == Flag.SYN
        carries = (flags & Flag.SYN == 0) & (flags & (Flag.FIN | Flag.PSH) != 0)
        unreachable = closed & (protocol == ipv4.UDP)
        echo = heard & (protocol == ipv4.ICMP) & (kind == ECHO_REQUEST)
        rows = np.flatnonzero(unreachable | echo | (segment & (closed | opens | carries)))
        refused = unreachable | (segment & closed)
        fates = results.copy()
        fates["verdict"][refused] = Verdict.REFUSED
        return with_path(fates), self._said(packets[rows], results[rows], rows, closed[rows], unreachable[rows], echo[rows])

    def _said(
        self, asked: np.ndarray, seen: np.ndarray, rows: np.ndarray, closed: np.ndarray, unreachable: np.ndarray,
        echo: np.ndarray,
    ) -> Born:
        said, headers, causes = np.zeros(len(rows), PACKET), np.zeros(len(rows), HEADER), np.zeros(len(rows), BORN)
        said["src"], said["dst"], said["time"] = seen["dst"], seen["src"], asked["time"] + DELAY
        said["ingress"] = self._ids[np.searchsorted(self._addresses, seen["dst"])]
        said["protocol"] = np.where(unreachable, ipv4.ICMP, asked["protocol"])
        said["ttl"], said["tos"] = TTL, np.where(unreachable, ERROR_TOS | asked["tos"] & RT_TOS, asked["tos"])
        tcp_ = ~unreachable & ~echo
        said["sport"] = np.where(unreachable, 0, np.where(echo, seen["sport"], seen["dport"]))
        said["dport"] = np.where(unreachable, PORT_UNREACHABLE, np.where(echo, ECHO_REPLY, seen["sport"]))
        said["tcp_flags"] = np.where(tcp_, _flags(asked["tcp_flags"], closed), 0)
        quoted = np.minimum(asked["length"], icmp.LONGEST_ERROR - ERROR_HEAD)
        said["length"] = np.where(unreachable, ERROR_HEAD + quoted, np.where(echo, asked["length"], ipv4.SIZE + tcp.SIZE))
        said["fragment"] = np.where(tcp_, int(PacketFlag.DF), 0)
        for name, value in (
            ("src", seen["src"]), ("dst", seen["dst"]), ("sport", seen["sport"]), ("dport", seen["dport"]),
            ("length", asked["length"]), ("fragment", asked["fragment"]), ("protocol", asked["protocol"]),
            ("ttl", seen["ttl"]), ("tos", asked["tos"]),
        ):
            headers[f"quote_{name}"] = np.where(unreachable, value, 0)
        causes["parent"], causes["where"], causes["relation"] = rows, seen["where"], Relation.REPLY
        causes["type"], causes["code"] = (np.where(unreachable, value, 0) for value in (icmp.UNREACHABLE, icmp.PORT_UNREACHABLE))
        return Born(said, headers, causes)


def _flags(asked: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Of a stack's answer to a segment (RFC 9293 §3.10.7.1, §3.10.7.2)."""
    reset = np.where(asked & Flag.ACK, Flag.RST, Flag.RST | Flag.ACK)
    return np.where(closed, reset, np.where(asked & Flag.SYN, Flag.SYN | Flag.ACK, Flag.ACK))


def _port(address: np.ndarray | int, protocol: np.ndarray | int, port: np.ndarray | int) -> np.ndarray:
    address, protocol, port = (np.asarray(value, np.uint64) for value in (address, protocol, port))
    return address << np.uint64(24) | protocol << np.uint64(16) | port
