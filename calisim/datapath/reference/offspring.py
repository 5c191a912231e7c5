"""What a wave gives rise to: ICMP errors, pieces and wholes; made here and nowhere else, sent by the caller as another wave.

RFC 1812 §4.3.2 says when no error is due, RFC 792 what it looks like; sources and quotes are as Linux was measured.
"""

from __future__ import annotations

from typing import NamedTuple

from ...control.intent import Intent
from ...vocabulary import BORN, HEADER, PACKET, PacketFlag, Relation, Stage, Verdict
from ...vocabulary.chance import draw
from ..results import Born
from .fabric import FRAG_NEEDED, NET_UNREACHABLE, FabricWalker
from .fragments import HEADER_LENGTH, Key, Piece, cut, largest, merged, piece_of
from .rows import header_row, packet_row, records
from .state import ReferenceState
from .tracking import SECOND
from .walk import ICMP, Complaint, Header, JourneyEnds, Onward, Walk, is_nobody

MILLISECOND = 1_000_000
BURST = 6                              # XRLIM_BURST_FACTOR
SILENCE = 60 * SECOND                  # before the first error (inet_getpeer)
NO_ROUTE_BURST = 5 * SECOND            # ip_rt_error_burst; its cost is a second
LATEST = 2**64 - 1
LONGEST_QUOTE = 548                    # an ICMP error has at most 576 bytes (RFC 1812 §4.3.2.3)
TOS, RT_TOS = 0xC0, 0x1E               # internetwork control, and four bits of what it is about (icmp_send)


class Child(NamedTuple):
    """The records of a born packet."""

    packet: dict[str, int]
    header: dict[str, int]
    cause: dict[str, int]


class Offspring:
    """Collects what the journeys of one wave give rise to, in the order in which they end."""

    def __init__(self, intent: Intent, state: ReferenceState, fabric: FabricWalker) -> None:
        self.intent, self.state, self.fabric = intent, state, fabric
        self._children: list[Child] = []

    def add(self, walk: Walk, end: JourneyEnds) -> None:
        """A journey has just ended."""
        if end.verdict is not Verdict.CONTINUED:
            self._complain(walk, end)
            return
        assert end.onward is not None, "what is CONTINUED goes on somewhere"
        if end.stage is Stage.DEFRAGMENT:
            self._take_up(walk, end.onward)
        else:
            self._cut(walk, end, end.onward)

    def born(self) -> Born:
        return Born(
            records([child.packet for child in self._children], PACKET),
            records([child.header for child in self._children], HEADER),
            records([child.cause for child in self._children], BORN))

    def _bear(
        self, walk: Walk, packet: dict[str, int], header: dict[str, int], relation: Relation, where: int, **cause: int,
    ) -> None:
        self._children.append(Child(
            packet, header, {"parent": walk.row, "where": where, "relation": relation, **cause}))

    # ---- pieces ------------------------------------------------------------------------------------------------

    def _cut(self, walk: Walk, end: JourneyEnds, onward: Onward) -> None:
        """The wire's packet in pieces, where it came in pieces as it came, if that suits."""
        header, limit, as_it_came = walk.wire, end.limit, []
        if header.datagram or not header.is_piece:         # one made by hand stays with its like by its id
            header.datagram = header.datagram or self.state.fragments.new_number()
            header.id = header.id or 1 + draw(self.intent.seed, header.datagram, 0) % 65535
        if end.stage is Stage.FRAGMENT and walk.largest:
            as_it_came = self.state.fragments.came_as(header, walk.time) if end.keeps_pieces else []
            if as_it_came and HEADER_LENGTH + max(payload for _, payload in as_it_came) <= limit:
                header.fragment &= ~PacketFlag.DF                  # ip_fraglist_init, unlike ip_frag_next
            else:
                as_it_came, limit = [], min(limit, walk.largest)
        pieces = as_it_came or cut(header, limit)
        walk.largest = 0
        packet, whole = packet_row(walk), header_row(walk, onward)
        for piece in pieces:
            fragment, length = piece_of(header, piece)
            if walk.outer is None:
                one, more = {**packet, "fragment": fragment, "length": length}, whole
            else:
                is_piece = fragment & ~PacketFlag.DF
                one, more = packet, {**whole, "outer_fragment": fragment, "outer_length": length if is_piece else 0}
            self._bear(walk, one, more, Relation.PIECE, end.where)

    def _take_up(self, walk: Walk, onward: Onward) -> None:
        """One more piece at a router, and the datagram if it was the last one missing."""
        header, fragments = walk.wire, self.state.fragments
        is_outer = walk.outer is not None
        key = Key.of(self.intent.router(onward.resume_at).key, header, is_outer=is_outer)
        pieces = fragments.take(key, Piece(header, packet_row(walk), header_row(walk, onward)), walk.time)
        made = merged(pieces) if pieces else None
        if made is None:
            return
        number = header.datagram or fragments.new_number()
        fragments.remember(number, pieces, walk.time)
        packet = {**pieces[0].packet_row, "ingress": walk.ingress, "time": walk.time}
        row = {**pieces[0].header_row, "resume": onward.resume, "resume_at": onward.resume_at, "device": onward.device}
        row["largest"] = 0 if onward.resume is Stage.DECAPSULATE else largest(pieces)
        if is_outer:
            row |= {"outer_datagram": number, "outer_length": 0, "outer_tos": made.tos, "outer_fragment": made.fragment}
        else:
            packet |= {"length": made.length, "tos": made.tos, "fragment": made.fragment}
            row["datagram"] = number
        self._bear(walk, packet, row, Relation.WHOLE, onward.resume_at)

    # ---- errors --------------------------------------------------------------------------------------------------

    def _complain(self, walk: Walk, end: JourneyEnds) -> None:
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
        packet = {
            "src": source, "dst": quote.src, "dport": complaint.type << 8 | complaint.code, "protocol": ICMP, "ttl": 64,
            "tos": TOS | quote.tos & RT_TOS, "length": 28 + min(quote.length, LONGEST_QUOTE),
            "ingress": end.where if from_router else 0, "time": time}
        header = {
            "place": 0 if from_router else end.where, "mtu": min(complaint.mtu, 0xFFFF),
            "quote_fragment": quote.fragment & (PacketFlag.DF | PacketFlag.MF),
            **{f"quote_{name}": getattr(quote, name) for name in (
                "src", "dst", "sport", "dport", "length", "protocol", "ttl", "tos")}}
        self._bear(
            walk, packet, header, Relation.ERROR, end.where, cause=end.reason, type=complaint.type, code=complaint.code)

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
    """No error about an error or a piece but the first, nor about what came from or went to nobody in particular."""
    about_error = quote.protocol == ICMP and quote.icmp_type not in (0, 8)
    return not about_error and not quote.is_later_piece and not is_nobody(quote.src) and not is_nobody(quote.dst)
