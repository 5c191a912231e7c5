"""A capture file → waves of packets, as the senders of the scenario would send them.

A packet's sender is the endpoint that owns its source address. Of what nodes have encapsulated the inner packet is taken: it
goes through the scenario's own tunnels. Fragments and ICMP errors are sent as what they are. Packets keep the order of the
file; one that answers another of its own wave starts the next wave. What cannot be sent is counted by reason, with the first
of its kind. Reads as a stream: memory holds one block of packets and one wave, however long the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import BinaryIO

import numpy as np

from ..control.intent import Intent
from ..quantities import format_address
from ..vocabulary import HEADER, PACKET, PacketFlag
from ..wire import capture, ethernet, icmp, ipv4, linktypes, tcp, udp, vxlan
from ..wire.frame import CaptureError, Frame
from ..wire.octets import MalformedPacket
from .batch import ECHO_REPLY, ECHO_REQUEST, ICMP, IPIP, TCP, UDP
from .owners import AddressOwners

BLOCK = 16_384                       # packets that are decoded together
LONGEST_WAVE = 65_536                # packets
HEAD = 60 + icmp.SIZE + 60 + 8       # bytes of a packet that are looked at: an ICMP error with the longest IPv4 headers
LATEST = 2**62                       # nanoseconds since 1970: the year 2116; time-outs have room behind it
NEEDED = {TCP: 14, UDP: 8, ICMP: 6}  # bytes of the transport header that hold what PACKET wants

MALFORMED, NOT_IPV4, FRAGMENT = "malformed", "not IPv4", "fragment of a tunnel's packet"
NOBODY, OTHER_ICMP = "sender unknown", "ICMP other than echo, unreachable and time exceeded"
PIECE = int(PacketFlag.MF | PacketFlag.OFFSET)


@dataclass(slots=True)
class LeftOut:
    """Packets that were not sent for one reason; ``example`` tells of the first, packet ``number`` of the file."""

    number: int
    example: str
    packets: int = 0


class _TunnelFragment(Exception):
    """A fragment of what a node has encapsulated."""


class Replay:
    """The packets of a capture in waves, once; afterwards (and in between) the account of what was read.

    ``read`` packets in the file so far, ``sent`` of them, in ``waves_sent`` waves; ``left_out`` by reason; ``opened`` came in
    a node's tunnel; ``reordered`` were stamped earlier than one before them and take its time; ``error`` says where and
    why reading ended early.
    """

    def __init__(self, stream: BinaryIO, intent: Intent, name: str = "replay") -> None:
        self.name = name
        self.read = self.sent = self.waves_sent = self.opened = self.reordered = 0
        self.left_out: dict[str, LeftOut] = {}
        self.error: CaptureError | None = None
        self._stream = stream
        self._owners = AddressOwners(intent)
        self._routers = {subnet.gateway: subnet.place for subnet in intent.fabric.subnets}
        self._nodes = frozenset(router.address.to_bytes(4, "big") for router in intent.routers)
        self._clock = 0

    def waves(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """PACKET arrays of at most 65,536 rows, with a HEADER each where a fragment or an ICMP error is among them. A file that
        breaks off ends the waves and is told in ``error``."""
        frames = self._frames()
        pending, more = np.empty(0, PACKET), np.empty(0, HEADER)
        while block := list(islice(frames, BLOCK)):
            packets, headers = self._decoded(block)
            rows, more = np.concatenate([pending, packets]), np.concatenate([more, headers])
            starts = _starts(_as_answers(rows, more))
            for start, end in pairwise(starts):
                yield self._counted(rows[start:end], more[start:end])
            pending, more = rows[starts[-1]:], more[starts[-1]:]
        if len(pending):
            yield self._counted(pending, more)

    def _counted(self, wave: np.ndarray, headers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        self.sent += len(wave)
        self.waves_sent += 1
        return wave, headers if headers.view(np.uint8).any() else None

    def _leave_out(self, reason: str, number: int, example: str, packets: int = 1) -> None:
        left = self.left_out.setdefault(reason, LeftOut(number, example))
        left.packets += packets
        if number < left.number:                                        # blocks are looked at twice
            left.number, left.example = number, example

    # --- frames → IPv4 packets

    def _frames(self) -> Iterator[tuple[int, int, int, int, bytes]]:
        """(number, time, bytes kept, bytes there were, head) of every IPv4 packet."""
        frames = capture.read(self._stream)
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                return
            except CaptureError as error:
                self.error = error
                return
            self.read += 1
            try:
                packet = self._packet(frame)
            except _TunnelFragment:
                self._leave_out(FRAGMENT, frame.number, "what is in the tunnel cannot be read from a part of it")
                continue
            except MalformedPacket as fault:
                self._leave_out(MALFORMED, frame.number, fault.reason)
                continue
            if packet is None:
                self._leave_out(NOT_IPV4, frame.number, "ARP, IPv6 or another protocol than IPv4")
                continue
            kept = len(packet)
            yield frame.number, frame.time, kept, kept + max(frame.length - len(frame.data), 0), bytes(packet[:HEAD])

    def _packet(self, frame: Frame) -> memoryview | None:
        if not 0 <= frame.time < LATEST:
            raise MalformedPacket(f"a time of {frame.time} ns, which is not between 1970 and 2116")
        inside = linktypes.unwrap(frame)
        return None if inside is None else self._untunnelled(inside.packet)

    def _untunnelled(self, packet: memoryview) -> memoryview | None:
        """The packet inside of what a node has encapsulated, None if that is not IPv4; every other packet as it is."""
        if len(packet) < ipv4.SIZE or packet[9] not in (IPIP, UDP) or packet[12:16] not in self._nodes:
            return packet
        outer, payload = ipv4.parse(packet, cut=True)
        if outer.is_fragment:
            raise _TunnelFragment
        if outer.protocol == UDP:
            datagram, tunnel = udp.parse(payload, cut=True)
            if datagram.dport != vxlan.PORT:
                return packet
            _, framed = vxlan.parse(tunnel)
            header, payload = ethernet.parse(framed)
            if header.ethertype != ethernet.IPV4:
                return None
        self.opened += 1
        return payload

    # --- IPv4 packets → PACKET, a block at a time

    def _decoded(self, block: list[tuple[int, int, int, int, bytes]]) -> tuple[np.ndarray, np.ndarray]:
        """The rows of a block that can be sent, PACKETs and HEADERs."""
        numbers, times, kept, there = (np.array(column, np.int64) for column in zip(*(row[:4] for row in block), strict=True))
        heads = np.frombuffer(b"".join(row[4].ljust(HEAD, b"\0") for row in block), np.uint8).reshape(-1, HEAD)
        packets, headers, faults = _fields(heads, kept, there)
        packets["ingress"] = self._owners.of(packets["src"])
        for row in np.flatnonzero((headers["quote_length"] != 0) & (packets["ingress"] == 0)).tolist():
            headers["place"][row] = self._routers.get(int(packets["src"][row]), 0)
        sendable = np.ones(len(packets), bool)
        for reason, wrong, example in (*faults, *self._refused(packets, headers)):
            rows = np.flatnonzero(wrong & sendable)
            if len(rows):
                self._leave_out(reason, int(numbers[rows[0]]), example.format(_described(packets[rows[0]])), len(rows))
                sendable[rows] = False
        packets, headers = packets[sendable], headers[sendable]
        packets["time"] = np.maximum.accumulate(np.maximum(times[sendable], self._clock))
        self.reordered += int((packets["time"] > times[sendable].astype(np.uint64)).sum())
        self._clock = int(packets["time"][-1]) if len(packets) else self._clock
        return packets, headers

    def _refused(self, packets: np.ndarray, headers: np.ndarray) -> tuple[tuple[str, np.ndarray, str], ...]:
        """Packets that nobody of the scenario sends, and such as the model does not know."""
        message = (packets["protocol"] == ICMP) & (packets["fragment"] & PacketFlag.OFFSET == 0)
        echo = (packets["dport"] == ECHO_REQUEST) | (packets["dport"] == ECHO_REPLY)
        return (
            (NOBODY, (packets["ingress"] == 0) & (headers["place"] == 0), "{}: nobody in the scenario has the source address"),
            (OTHER_ICMP, message & ~echo & (headers["quote_length"] == 0), "{}"),
        )


def _described(packet: np.void) -> str:
    return f"{format_address(int(packet['src']))} > {format_address(int(packet['dst']))}"


def _fields(
    heads: np.ndarray, kept: np.ndarray, there: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, np.ndarray, str]]]:
    """PACKETs and HEADERs of IPv4 heads (padded with zeros), without sender and time; and what is wrong with which of them."""
    rows = np.arange(len(heads))
    size = (heads[:, 0] & 15).astype(np.int64) * 4
    start = np.clip(size, 20, 60)

    def word(at: np.ndarray | int) -> np.ndarray:
        return heads[rows, at].astype(np.uint16) << 8 | heads[rows, at + 1]

    packets = np.zeros(len(heads), PACKET)
    packets["tos"], packets["ttl"], packets["protocol"] = heads[:, 1], heads[:, 8], heads[:, 9]
    packets["length"], fragment = word(2), word(6)
    packets["fragment"] = fragment & (PacketFlag.DF | PacketFlag.MF | PacketFlag.OFFSET)
    first = packets["fragment"] & PacketFlag.OFFSET == 0                # a later fragment begins in the middle
    packets["src"], packets["dst"] = (heads[:, at:at + 4].copy().view(">u4")[:, 0] for at in (12, 16))
    tcp_, udp_, icmp_ = (first & (packets["protocol"] == number) for number in (TCP, UDP, ICMP))
    packets["sport"] = np.where(icmp_, word(start + 4), np.where(tcp_ | udp_, word(start), 0))
    packets["dport"] = np.where(icmp_, word(start), np.where(tcp_ | udp_, word(start + 2), 0))
    packets["tcp_flags"] = np.where(tcp_, heads[rows, start + 13], 0)
    echo = icmp_ & ((packets["dport"] == ECHO_REQUEST) | (packets["dport"] == ECHO_REPLY))
    packets["sport"][icmp_ & ~echo] = 0
    headers = np.zeros(len(heads), HEADER)
    piece = fragment & PIECE != 0
    headers["id"] = np.where(piece, word(4), 0)

    length = packets["length"].astype(np.int64)
    room = length - size                                                # bytes of the transport layer
    own = heads[rows, start + 12].astype(np.int64) >> 4 << 2            # TCP's data offset
    datagram = word(start + 4)
    needed = np.select([tcp_, udp_, icmp_], [NEEDED[TCP], NEEDED[UDP], NEEDED[ICMP]], 0)
    for row in np.flatnonzero(icmp_ & np.isin(packets["dport"] >> 8, (icmp.UNREACHABLE, icmp.TIME_EXCEEDED))).tolist():
        _quote(headers[row:row + 1], heads[row, :kept[row]].tobytes()[start[row]:])
    return packets, headers, [
        (MALFORMED, (heads[:, 0] >> 4 != 4) | (kept < 20), "no IPv4 header"),
        (MALFORMED, (size < 20) | (kept < size), "an IPv4 header cut short"),
        (MALFORMED, (length < size) | (length > there), "{}: a total length that is not the packet's"),
        (MALFORMED, kept - size < np.minimum(needed, np.maximum(room, 0)), "{}: the ports were not captured"),
        (MALFORMED, tcp_ & (room >= tcp.SIZE) & ((own < tcp.SIZE) | (own > room)), "{}: no TCP header"),
        (MALFORMED, udp_ & (room >= NEEDED[UDP]) & ((datagram < 8) | (~piece & (datagram > room))), "{}: no UDP length"),
    ]


def _quote(header: np.ndarray, message: bytes) -> None:
    """What an ICMP error quotes; nothing where that is no packet, a later fragment or ICMP other than echo: then it is none."""
    try:
        said, quote = icmp.parse(message)
        about, body = ipv4.parse(quote, cut=True)
    except MalformedPacket:
        return
    sport, dport = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")
    if about.protocol == ICMP:
        sport, dport = int.from_bytes(body[4:6], "big"), sport
    if about.offset or len(body) < 8 or (about.protocol == ICMP and dport not in (ECHO_REQUEST, ECHO_REPLY)):
        return
    ports = (sport, dport) if about.protocol in NEEDED else (0, 0)
    header["mtu"] = said.mtu
    for name, value in (
        ("src", about.src), ("dst", about.dst), ("sport", ports[0]), ("dport", ports[1]), ("length", about.length),
        ("fragment", about.fragment), ("protocol", about.protocol), ("ttl", about.ttl), ("tos", about.tos),
    ):
        header[f"quote_{name}"] = value


# --- waves

def _as_answers(packets: np.ndarray, headers: np.ndarray) -> np.ndarray:
    """The packets, ICMP errors as if they were the answer to what they quote: that is how they find its connection."""
    errors = np.flatnonzero(headers["quote_length"])
    if not len(errors):
        return packets
    packets, quoted = packets.copy(), headers[errors]
    echo = quoted["quote_protocol"] == ICMP
    for name, value in (
        ("src", quoted["quote_dst"]), ("dst", quoted["quote_src"]), ("protocol", quoted["quote_protocol"]),
        ("sport", np.where(echo, quoted["quote_sport"], quoted["quote_dport"])),
        ("dport", np.where(echo, ECHO_REQUEST + ECHO_REPLY - quoted["quote_dport"], quoted["quote_sport"])),
    ):
        packets[name][errors] = value
    return packets


def _starts(packets: np.ndarray) -> list[int]:
    """Where the waves start: a packet that answers one of its own wave is the first of the next."""
    answered = _last_answered(packets)
    starts = [0]
    for row in np.flatnonzero(answered >= 0).tolist():
        while row - starts[-1] > LONGEST_WAVE:
            starts.append(starts[-1] + LONGEST_WAVE)
        if answered[row] >= starts[-1] and row > starts[-1]:
            starts.append(row)
    while len(packets) - starts[-1] > LONGEST_WAVE:
        starts.append(starts[-1] + LONGEST_WAVE)
    return starts


def _last_answered(packets: np.ndarray) -> np.ndarray:
    """For every packet the row of the last one before it with the inverted tuple, -1 where there is none."""
    addresses, ports, back = _flow(packets)
    order = np.lexsort((ports, addresses))                              # stable: a flow's packets in their order
    back, addresses, ports = back[order], addresses[order], ports[order]
    same = np.zeros(len(packets), bool)                                 # as the one before it: flow …
    same[1:] = (addresses[1:] == addresses[:-1]) & (ports[1:] == ports[:-1])
    turned = same.copy()
    turned[1:] &= back[1:] != back[:-1]                                 # … but not direction
    before = np.full(len(packets), -1, np.int64)
    before[1:][turned[1:]] = order[:-1][turned[1:]]
    known = np.where(turned | ~same, np.arange(len(packets)), 0)        # others: as the one before it in the flow
    answered = np.empty(len(packets), np.int64)
    answered[order] = before[np.maximum.accumulate(known)]
    return answered


def _flow(packets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both directions' common name in two columns, and which direction it is. An echo's: who asks, whom, identifier."""
    src, dst, sport, dport = (packets[name].astype(np.uint64) for name in ("src", "dst", "sport", "dport"))
    protocol = packets["protocol"].astype(np.uint64)
    echo = protocol == ICMP
    back = np.where(echo, dport == ECHO_REPLY, (src > dst) | ((src == dst) & (sport > dport)))
    back &= packets["fragment"] & PacketFlag.OFFSET == 0                # a later fragment shows no ports: it answers nothing
    dport = np.where(echo, sport, dport)
    one, other = np.where(back, dst, src), np.where(back, src, dst)
    low, high = np.where(back, dport, sport), np.where(back, sport, dport)
    return one << np.uint64(32) | other, low << np.uint64(32) | high << np.uint64(16) | protocol, back
