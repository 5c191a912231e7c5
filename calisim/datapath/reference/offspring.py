"""The ICMP errors that a wave gives rise to: new packets, made here and nowhere else, sent by the caller as another wave.

RFC 1812 §4.3.2 says when no error is due, RFC 792 what it looks like; sources and quotes are as Linux was measured.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...control.intent import Intent
from ...vocabulary import BORN, HEADER, PACKET, PacketFlag, Relation
from ..results import Born
from .fabric import FabricWalker
from .state import ReferenceState
from .walk import ICMP, Complaint, Header, JourneyEnds, Walk, is_nobody

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
BURST = 6                              # XRLIM_BURST_FACTOR
SILENCE = 60 * SECOND                  # before the first error (inet_getpeer)
NO_ROUTE_BURST = 5 * SECOND            # ip_rt_error_burst; its cost is a second
LATEST = 2**64 - 1
LONGEST_QUOTE = 548                    # an ICMP error has at most 576 bytes (RFC 1812 §4.3.2.3)
FRAG_NEEDED, NET_UNREACHABLE = (3, 4), (3, 0)
TOS, RT_TOS = 0xC0, 0x1E               # internetwork control, and four bits of what it is about (icmp_send)


class Offspring:
    """Collects the errors of one wave in the order in which their causes happen."""

    def __init__(self, intent: Intent, state: ReferenceState, fabric: FabricWalker) -> None:
        self.intent, self.state, self.fabric = intent, state, fabric
        self._packets: list[Mapping[str, int]] = []
        self._headers: list[Mapping[str, int]] = []
        self._causes: list[Mapping[str, int]] = []

    def add(self, walk: Walk, end: JourneyEnds) -> None:
        """The error about a packet whose journey has just ended, if one is due."""
        complaint = end.complaint
        if complaint is None or not end.where or not _is_due(complaint.quote):
            return
        if self._is_broadcast(end.where, complaint.quote.dst):
            return
        quote, from_router = complaint.quote, end.where <= len(self.intent.routers)
        source = complaint.source if from_router else self._leg_towards(quote.src)
        if not from_router and not source:
            return                                       # the cloud's router knows no way back
        time = min(walk.time + complaint.delay, LATEST)
        if not self._allowed(complaint, end.where, time):
            return
        self._packets.append({
            "src": source, "dst": quote.src, "dport": complaint.type << 8 | complaint.code, "protocol": ICMP, "ttl": 64,
            "tos": TOS | quote.tos & RT_TOS, "length": 28 + min(quote.length, LONGEST_QUOTE),
            "ingress": end.where if from_router else 0, "time": time})
        self._headers.append({
            "place": 0 if from_router else end.where, "mtu": min(complaint.mtu, 0xFFFF),
            "quote_fragment": PacketFlag.DF if quote.df else 0,
            **{f"quote_{name}": getattr(quote, name) for name in (
                "src", "dst", "sport", "dport", "length", "protocol", "ttl", "tos")}})
        self._causes.append({
            "parent": walk.row, "where": end.where, "relation": Relation.ERROR, "cause": end.reason, "type": complaint.type,
            "code": complaint.code})

    def born(self) -> Born:
        return Born(*(_records(rows, dtype) for rows, dtype in (
            (self._packets, PACKET), (self._headers, HEADER), (self._causes, BORN))))

    def _is_broadcast(self, where: int, address: int) -> bool:
        """The broadcast address of one of the speaker's own links: it takes such a packet for its own, and nobody listens."""
        routers = self.intent.routers
        links = [self.intent.router(where).inputs.link] if where <= len(routers) else [
            subnet.prefix for subnet in self.intent.fabric.subnets if subnet.place == where]
        return any(link.length < 31 and address == link.last for link in links)

    def _leg_towards(self, address: int) -> int:
        """The cloud's router sends from the address that it has on the leg through which the answer leaves."""
        number = self.intent.fabric.owners.get(address, 0)
        if number:
            return self.fabric.leg_of(self.intent.endpoint(number)).gateway
        return self.intent.fabric.outside_address if self.fabric.outside_host(address) is not None else 0

    def _allowed(self, complaint: Complaint, where: int, time: int) -> bool:
        """What silence has earned pays for errors (inet_peer): a second for want of a route (ip_error), and then
        net.ipv4.icmp_ratelimit for any; frag-needed is free."""
        if (complaint.type, complaint.code) == FRAG_NEEDED:
            return True
        span, routers = self.intent.icmp_ratelimit * MILLISECOND, len(self.intent.routers)
        peer = self.intent.router(where).key if where <= routers else routers - where, complaint.quote.src
        credit, last = self.state.icmp_credit.get(peer, (SILENCE, time))
        credit, last = credit + max(time - last, 0), max(time, last)
        if (complaint.type, complaint.code) == NET_UNREACHABLE:
            credit = min(credit, NO_ROUTE_BURST)
            if credit < SECOND:
                self.state.icmp_credit[peer] = credit, last
                return False
            credit -= SECOND
        credit = min(credit, BURST * span)
        allowed = credit >= span
        self.state.icmp_credit[peer] = credit - span if allowed else credit, last
        return allowed


def _is_due(quote: Header) -> bool:
    """No error about an error, nor about what came from or went to nobody in particular."""
    about_error = quote.protocol == ICMP and quote.icmp_type not in (0, 8)
    return not about_error and not is_nobody(quote.src) and not is_nobody(quote.dst)


def _records(rows: list[Mapping[str, int]], dtype: np.dtype) -> np.ndarray:
    made = np.zeros(len(rows), dtype)
    for record, row in zip(made, rows, strict=True):
        for name, value in row.items():
            record[name] = value
    return made
