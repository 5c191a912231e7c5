"""A packet on its way: its headers, where it is, and how its journey ends.

Stages change a :class:`Walk` and pass it on; the one that ends the journey raises :class:`JourneyEnds`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, NoReturn

import numpy as np

from ...control.intent import Endpoint
from ...vocabulary import Device, DropReason, Encap, PacketFlag, ResultFlag, Stage, Verdict

TCP, UDP, ICMP = 6, 17, 1
LONGEST = 0xFFFF                   # IPv4 total length
ECHO_REQUEST, ECHO_REPLY = 0x0800, 0x0000


class Flow(NamedTuple):
    """What identifies a connection in one direction. ICMP echo: identifier, then type and code; no ports: zeros."""

    src: int
    dst: int
    sport: int
    dport: int
    protocol: int

    @property
    def inverse(self) -> Flow:
        """The flow of the answers: an echo request's is the reply with the same identifier."""
        if self.protocol == ICMP:
            return Flow(self.dst, self.src, self.sport, ECHO_REPLY if self.dport == ECHO_REQUEST else ECHO_REQUEST, ICMP)
        return Flow(self.dst, self.src, self.dport, self.sport, self.protocol)


@dataclass(slots=True)
class Header:
    """An IPv4 header with the ports behind it (ICMP: identifier, type << 8 | code)."""

    src: int
    dst: int
    sport: int
    dport: int
    protocol: int
    ttl: int
    tos: int
    length: int                    # IP total length, bytes; of a piece its own
    fragment: int = 0              # PacketFlag bits, as in the IPv4 header
    id: int = 0
    datagram: int = 0              # number of the packet that was cut; 0: it was not cut here

    @property
    def df(self) -> bool:
        return bool(self.fragment & PacketFlag.DF)

    @property
    def is_piece(self) -> bool:
        return bool(self.fragment & (PacketFlag.MF | PacketFlag.OFFSET))

    @property
    def is_later_piece(self) -> bool:
        return bool(self.fragment & PacketFlag.OFFSET)

    @property
    def flow(self) -> Flow:
        if self.protocol in (TCP, UDP):
            return Flow(self.src, self.dst, self.sport, self.dport, self.protocol)
        if self.protocol == ICMP:
            return Flow(self.src, self.dst, self.sport, ECHO_REQUEST if self.icmp_type == 8 else ECHO_REPLY, ICMP)
        return Flow(self.src, self.dst, 0, 0, self.protocol)

    @property
    def icmp_type(self) -> int:
        return self.dport >> 8

    @property
    def filter_port(self) -> int:
        """What a rule of a security group or a NACL compares: destination port, ICMP type, else 0."""
        if self.protocol in (TCP, UDP):
            return self.dport
        return self.icmp_type if self.protocol == ICMP else 0


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a router would say about a packet that it cannot forward: an ICMP error that quotes the header."""

    type: int
    code: int
    quote: Header
    mtu: int = 0
    delay: int = 0                 # ns until it is said
    source: int = 0                # 0: the kernel of whoever says it chooses


@dataclass(frozen=True, slots=True)
class Onward:
    """Where that goes on which a CONTINUED packet gives rise to: HEADER's fields of that name."""

    resume: Stage = Stage.NONE
    resume_at: int = 0
    device: Device = Device.NONE
    place: int | None = None       # None: as it was


@dataclass(slots=True)
class Walk:
    """One row of a wave."""

    row: int
    time: int
    ingress: int
    sender: Endpoint | None
    sent: np.void                  # its HEADER
    inner: Header
    tcp_flags: int
    largest: int = 0               # of the pieces in which it came, bytes; 0: it came whole
    quoted: Header | None = None   # by an ICMP error
    told_mtu: int = 0              # by a frag-needed
    sent_encapsulated: bool = False
    # the next leg
    router: int = 0                # 0: no leg to come
    device: Device = Device.NONE   # by which the packet comes in; LOOPBACK: the node's own (hook OUTPUT)
    resume: Stage = Stage.NONE     # where in the leg it goes on; NONE: at its beginning
    outer: Header | None = None
    encap: Encap = Encap.NONE      # of outer
    crossed: bool = False          # came through the cloud's router, not straight over the subnet
    peer_groups: tuple[int, ...] = ()
    arrived: tuple[int, int] = (0, 0)    # destination and its port as they came to the router
    untracked: bool = False        # by a host endpoint's policy: conntrack and NAT leave it alone
    accepted: bool = False         # before its filter policy, which is then not asked
    is_reply: bool = False         # direction in the connection that the router knows
    # what the RESULT tells
    legs: int = 0
    hops: int = 0
    wire_length: int = 0
    flags: ResultFlag = ResultFlag(0)
    connection: int = 0
    decider: int = 0               # of the first leg's adjacency
    last_outer: Header | None = None
    last_encap: Encap = Encap.NONE

    @property
    def wire(self) -> Header:
        """The header that the network between the nodes sees."""
        return self.outer or self.inner

    @property
    def quote(self) -> Header | None:
        """What the ICMP error that a router has before it quotes; None: it has none, or one inside a tunnel's packet."""
        return self.quoted if self.outer is None else None

    def complaint(self, kind: tuple[int, int], header: Header, *, mtu: int = 0, delay: int = 0) -> Complaint | None:
        """An ICMP error of the node that it is at. Of its own packets a node's stack learns without one."""
        return None if self.device is Device.LOOPBACK else Complaint(*kind, replace(header), mtu, delay)


class JourneyEnds(Exception):
    """How, where and why a packet's journey ends."""

    def __init__(
        self, verdict: Verdict, stage: Stage, where: int, reason: DropReason = DropReason.NONE, detail: int = 0,
        complaint: Complaint | None = None, onward: Onward | None = None, limit: int = 0, keeps_pieces: bool = False,
    ) -> None:
        super().__init__(verdict, stage, where, reason, detail)
        self.verdict, self.stage, self.where, self.reason, self.detail = verdict, stage, where, reason, detail
        self.complaint, self.onward, self.limit, self.keeps_pieces = complaint, onward, limit, keeps_pieces


def drop(
    reason: DropReason, where: int, detail: int = 0, *, stage: Stage | None = None, complaint: Complaint | None = None,
) -> NoReturn:
    """DROPPED at the stage that usually decides this reason, or at ``stage``."""
    raise JourneyEnds(Verdict.DROPPED, reason.stage if stage is None else stage, where, reason, detail, complaint)


def undetermined(stage: Stage, where: int, detail: int = 0) -> NoReturn:
    """Nobody measured what happens next, so nothing is claimed."""
    raise JourneyEnds(Verdict.UNDETERMINED, stage, where, detail=detail)


def succeed(verdict: Verdict, stage: Stage, where: int) -> NoReturn:
    """DELIVERED or EXITED; the RESULT's detail is then the first leg's decider."""
    raise JourneyEnds(verdict, stage, where)


def hold(stage: Stage, router: int, device: Device) -> NoReturn:
    """The router keeps a piece until the packet is whole, which then goes on at ``stage``."""
    raise JourneyEnds(Verdict.CONTINUED, Stage.DEFRAGMENT, router, onward=Onward(stage, router, device))


def cut(stage: Stage, where: int, limit: int, onward: Onward, *, keeps_pieces: bool = False) -> NoReturn:
    """The wire's packet is cut into pieces of at most ``limit`` bytes; where it had been cut before, if it may keep that."""
    raise JourneyEnds(Verdict.CONTINUED, stage, where, onward=onward, limit=limit, keeps_pieces=keeps_pieces)


def is_this_host(address: int) -> bool:
    """0.0.0.0 and 127.0.0.0/8 (RFC 1122 §3.2.1.3); the rest of 0/8 is forwarded since Linux 5.3 (measured)."""
    return address == 0 or address >> 24 == 127


def is_nobody(address: int) -> bool:
    """Multicast, limited broadcast and what never leaves a host: no destination of a route."""
    return address >> 28 == 0xE or address == 0xFFFFFFFF or is_this_host(address)


def refuse_longer(
    header: Header, limit: int, reason: DropReason, where: int, detail: int, *, stage: Stage,
    complaint: Complaint | None = None,
) -> None:
    """Ends the journey of what is longer than ``limit`` and must not be cut."""
    if header.df and header.length > limit:
        drop(reason, where, detail, stage=stage, complaint=complaint)
