"""The door of the reference: a wave in, results out, leg by leg."""

from __future__ import annotations

import numpy as np

from ...control.intent import Endpoint, Intent
from ...vocabulary import (
    HEADER, Device, Direction, DropReason, Encap, EndpointKind, HeaderFlag, PacketFlag, ResultFlag, RouterFlag, Stage,
)
from ...vocabulary.encaps import encapsulation
from .. import MAX_HOPS
from ..results import Results
from .fabric import FabricWalker
from .journal import Journal
from .node import NodeWalker
from .offspring import Offspring
from .routes import Routes
from .state import ReferenceState
from .walk import ICMP, TCP, UDP, Header, JourneyEnds, Walk, drop, exceeds, undetermined

LEAST_LENGTH = {TCP: 40, UDP: 28, ICMP: 28}
UNREACHABLE, TIME_EXCEEDED = 3, 11         # ICMP types
LONGEST = 0xFFFF                   # IPv4 total length


class ReferenceEngine:
    """Plain Python over the Intent: slow, obvious, and right where the compiled core is in doubt."""

    def __init__(self, intent: Intent) -> None:
        self.intent = intent
        self._routes = Routes(intent)

    def new_state(self) -> ReferenceState:
        return ReferenceState(self.intent)

    def forward(
        self, wave: np.ndarray, state: ReferenceState, headers: np.ndarray | None = None, *, events: bool = False,
        offspring: bool = False, threads: int = 1,
    ) -> Results:
        """Every packet to its end; ``threads`` has no meaning here. The wave is not changed."""
        headers = np.zeros(len(wave), HEADER) if headers is None else headers
        journal = Journal(self.intent, state, len(wave), events=events)
        fabric = FabricWalker(self.intent, state, journal)
        node = NodeWalker(self.intent, state, journal, self._routes, fabric)
        state.waves += 1
        state.latest = max(state.latest, int(wave["time"].max(initial=0)))
        young = Offspring(self.intent, state, fabric)
        under_way = self._started(wave, headers, state, fabric, journal, young)
        while under_way:
            under_way = [walk for walk in under_way if self._goes_on(walk, node, journal, young)]
        journal.teach()
        return Results(journal.results, journal.events(), young.born() if offspring else None)

    def _started(
        self, wave: np.ndarray, headers: np.ndarray, state: ReferenceState, fabric: FabricWalker, journal: Journal,
        young: Offspring,
    ) -> list[Walk]:
        under_way = []
        for row, (record, header) in enumerate(zip(wave, headers, strict=True)):
            walk = self._walk(row, record)
            _wrap(walk, header)
            _quote(walk, header)
            try:
                self._start(walk, header, fabric, journal, state)
                under_way.append(walk)
            except JourneyEnds as end:
                journal.finish(walk, end)
                young.add(walk, end)
        return under_way

    def _walk(self, row: int, record: np.void) -> Walk:
        number, fragment = int(record["ingress"]), int(record["fragment"])
        fields = {name: int(record[name]) for name in ("src", "dst", "sport", "dport", "protocol", "ttl", "tos", "length")}
        known = 0 < number <= len(self.intent.endpoints)
        return Walk(
            row=row, time=int(record["time"]), sender=self.intent.endpoint(number) if known else None,
            inner=Header(**fields, df=bool(fragment & PacketFlag.DF)), tcp_flags=int(record["tcp_flags"]), fragment=fragment)

    def _start(
        self, walk: Walk, header: np.void, fabric: FabricWalker, journal: Journal, state: ReferenceState,
    ) -> None:
        """From the sender to its first router: what its own stack refuses never gets there."""
        if header["place"]:
            self._start_at_place(walk, header, fabric)
            return
        sender = walk.sender
        if sender is None or (sender.kind is EndpointKind.POD and not sender.address):
            drop(DropReason.ADDRESS_UNUSED, 0, stage=Stage.ENDPOINT)
        self._refuse(walk, header, sender.router)
        if sender.kind is EndpointKind.HOST:
            self._start_host(walk, sender, fabric, journal)
            return
        router = self.intent.router(sender.router)
        if router.flags & RouterFlag.DOWN:
            drop(DropReason.ENDPOINT_DOWN, router.id, router.decided_by, stage=Stage.ENDPOINT)
        walk.router, walk.device = router.id, Device.LOOPBACK
        if sender.kind is EndpointKind.NODE:
            is_error = walk.inner.protocol == ICMP and walk.inner.icmp_type in (UNREACHABLE, TIME_EXCEEDED)
            if walk.wire.src and not is_error and walk.wire.src not in self.intent.local_addresses(router.id):
                drop(DropReason.SPOOFED_SOURCE, router.id)
        else:
            limit = sender.mtu
            if not header["flags"] & HeaderFlag.FRAME:
                limit = state.path_mtu(sender.address, walk.wire.dst, limit, walk.time)
            exceeds(
                walk.wire, limit, DropReason.MTU_EXCEEDED, router.id, sender.decided_by,
                stage=Stage.ENDPOINT, unless_df=Stage.FRAGMENT)
            walk.device = Device.VETH
            journal.cross(walk, router.id, Device.VETH, Direction.IN, Stage.ENDPOINT, endpoint=sender.id)

    def _start_at_place(self, walk: Walk, header: np.void, fabric: FabricWalker) -> None:
        """The cloud's router itself sends: an ICMP error."""
        place = int(header["place"])
        if not len(self.intent.routers) < place <= len(self.intent.places):
            drop(DropReason.ADDRESS_UNUSED, 0, stage=Stage.ENDPOINT)
        self._refuse(walk, header, place)
        fabric.from_place(walk, place)

    def _refuse(self, walk: Walk, header: np.void, where: int) -> None:
        """What is not modelled, and what no stack would send."""
        inner, pieces = walk.inner, PacketFlag.MF | PacketFlag.OFFSET
        if walk.fragment & pieces or (walk.outer is not None and int(header["outer_fragment"]) & pieces):
            undetermined(Stage.DEFRAGMENT, where)
        if inner.protocol == ICMP and inner.icmp_type not in (0, 8) and walk.quote is None:
            undetermined(Stage.CONNTRACK, where)
        unknown_wrapping = walk.outer is None and header["encap"] != Encap.NONE
        if unknown_wrapping or inner.length < LEAST_LENGTH.get(inner.protocol, 20) or walk.wire.length > LONGEST:
            drop(DropReason.MALFORMED, where, stage=Stage.ENDPOINT)

    def _start_host(self, walk: Walk, host: Endpoint, fabric: FabricWalker, journal: Journal) -> None:
        walk.wire.src = walk.wire.src or host.address
        journal.cross(walk, 0, Device.ETHERNET, Direction.OUT, Stage.ENDPOINT, endpoint=host.id)
        fabric.from_host(walk, host)

    def _goes_on(self, walk: Walk, node: NodeWalker, journal: Journal, young: Offspring) -> bool:
        """One leg; False when the journey ended with it."""
        walk.legs += 1
        walk.hops += 1
        try:
            if walk.legs > MAX_HOPS:
                drop(DropReason.FORWARDING_LOOP, walk.router)
            node.leg(walk)
        except JourneyEnds as end:
            journal.finish(walk, end)
            young.add(walk, end)
            return False
        return True


def _wrap(walk: Walk, header: np.void) -> None:
    """The outer header that a packet is sent with, if it is sent encapsulated in a way that is known."""
    code = int(header["encap"])
    walk.sent_encapsulated = code != Encap.NONE
    if code == Encap.NONE or code not in list(Encap):
        return
    layout = encapsulation(code)
    walk.outer = walk.last_outer = Header(
        src=int(header["outer_src"]), dst=int(header["outer_dst"]), protocol=layout.protocol,
        sport=int(header["outer_sport"]) if layout.port else 0, dport=layout.port, ttl=int(header["outer_ttl"]),
        tos=int(header["outer_tos"]), length=walk.inner.length + layout.overhead,
        df=bool(header["outer_fragment"] & PacketFlag.DF))
    walk.encap = walk.last_encap = Encap(code)
    walk.flags |= ResultFlag.ENCAP


def _quote(walk: Walk, header: np.void) -> None:
    """The header that an ICMP error is about; an error that quotes none, a piece or another error is not understood."""
    if walk.inner.protocol != ICMP or walk.inner.icmp_type not in (UNREACHABLE, TIME_EXCEEDED) or header["quote_length"] < 20:
        return
    fields = {name: int(header[f"quote_{name}"]) for name in (
        "src", "dst", "sport", "dport", "protocol", "ttl", "tos", "length")}
    quote = Header(**fields, df=bool(header["quote_fragment"] & PacketFlag.DF))
    understood = quote.protocol != ICMP or quote.icmp_type in (0, 8)
    if understood and not header["quote_fragment"] & PacketFlag.OFFSET:
        walk.quote, walk.told_mtu = quote, int(header["mtu"])
