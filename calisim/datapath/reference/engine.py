"""The door of the reference: a wave in, results out, leg by leg."""

from __future__ import annotations

import numpy as np

from ...control.intent import Endpoint, Intent
from ...vocabulary import (
    HEADER, Device, Direction, DropReason, Encap, EndpointKind, HeaderFlag, PacketFlag, ResultFlag, RouterFlag, Stage,
    Verdict,
)
from .. import MAX_HOPS
from ..results import Results
from .fabric import FabricWalker
from .fragments import HEADER_LENGTH, UNIT
from .journal import Journal
from .node import NodeWalker
from .offspring import Offspring
from .police import Flow, Police
from .routes import Routes
from .rows import TIME_EXCEEDED, UNREACHABLE, read
from .state import ReferenceState
from .walk import ICMP, LONGEST, TCP, UDP, Header, JourneyEnds, Onward, Walk, cut, drop, refuse_longer, succeed, undetermined

LEAST_LENGTH = {TCP: 40, UDP: 28, ICMP: 28}
LEAST_PIECE = 21
RESUMED_IN_LEG = (Stage.DECAPSULATE, Stage.CONNTRACK, Stage.FRAGMENT, Stage.FABRIC_OUT)
RESUMED_BY = (Device.ETHERNET, Device.IPIP, Device.VXLAN, Device.LOOPBACK)


class ReferenceEngine:
    """Plain Python over the Intent: slow, obvious, and right where the compiled core is in doubt."""

    def __init__(self, intent: Intent) -> None:
        self.intent = intent
        self._routes = Routes(intent)

    def new_state(self) -> ReferenceState:
        return ReferenceState(self.intent)

    def judge(self, packets: np.ndarray) -> np.ndarray:
        """What the sides' programs say (:meth:`.engine.Engine.judge`)."""
        police, said = Police(self.intent.policy), np.ones((len(packets), 2), bool)
        for row, packet in enumerate(packets):
            src, dst, protocol, sport, dport = (int(packet[name]) for name in ("src", "dst", "protocol", "sport", "dport"))
            flow = Flow(src, dst, protocol, sport, dport, (dport >> 8, dport & 0xFF))
            said[row] = police.egress(flow).allowed, police.ingress(flow).allowed
        return said

    def forward(
        self, wave: np.ndarray, state: ReferenceState, headers: np.ndarray | None = None, *, events: bool = False,
        offspring: bool = False, threads: int = 1,
    ) -> Results:
        """Every packet to its end; ``threads`` has no meaning here. The wave is not changed."""
        headers = np.zeros(len(wave), HEADER) if headers is None else headers
        journal = Journal(self.intent, state, len(wave), events=events)
        fabric = FabricWalker(self.intent, state, journal)
        node = NodeWalker(self.intent, state, journal, self._routes, fabric)
        state.fit(self.intent)
        state.waves += 1
        state.latest = max(state.latest, int(wave["time"].max(initial=0)))
        if len(wave):
            state.fragments.forget(int(wave["time"].min()))
        young = Offspring(self.intent, state, fabric)
        under_way = self._started(wave, headers, state, fabric, journal, young)
        while under_way:
            under_way = [walk for walk in under_way if self._goes_on(walk, node, journal, young)]
        journal.teach()
        born = young.born()
        return Results(journal.results, journal.events(), born if offspring else None)

    def _started(
        self, wave: np.ndarray, headers: np.ndarray, state: ReferenceState, fabric: FabricWalker, journal: Journal,
        young: Offspring,
    ) -> list[Walk]:
        under_way = []
        for row, (record, header) in enumerate(zip(wave, headers, strict=True)):
            number = int(record["ingress"])
            known = 0 < number <= len(self.intent.endpoints)
            walk = read(row, record, header, self.intent.endpoint(number) if known else None)
            try:
                self._start(walk, header, fabric, journal, state)
                under_way.append(walk)
            except JourneyEnds as end:
                journal.finish(walk, end)
                young.add(walk, end)
        return under_way

    def _start(
        self, walk: Walk, header: np.void, fabric: FabricWalker, journal: Journal, state: ReferenceState,
    ) -> None:
        """From the sender to its first router: what its own stack refuses never gets there."""
        if header["resume"]:
            self._resume(walk, header, fabric)
            return
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
            if walk.wire.src and not _is_error(walk.inner) and walk.wire.src not in self.intent.local_addresses(router.id):
                drop(DropReason.SPOOFED_SOURCE, router.id)
        else:
            limit = sender.mtu
            if not header["flags"] & HeaderFlag.FRAME:
                limit = state.path_mtu(sender.address, walk.wire.dst, limit, walk.time)
            refuse_longer(
                walk.wire, limit, DropReason.MTU_EXCEEDED, router.id, sender.decided_by, stage=Stage.ENDPOINT)
            if walk.wire.length > limit:
                cut(Stage.ENDPOINT, router.id, limit, Onward())
            walk.device = Device.VETH
            journal.cross(walk, router.id, Device.VETH, Direction.IN, Stage.ENDPOINT, endpoint=sender.id)

    def _start_at_place(self, walk: Walk, header: np.void, fabric: FabricWalker) -> None:
        """The cloud's router itself sends: an ICMP error."""
        place = int(header["place"])
        if not self._is_beyond_routers(place):
            drop(DropReason.ADDRESS_UNUSED, 0, stage=Stage.ENDPOINT)
        self._refuse(walk, header, place)
        fabric.from_place(walk, place)

    def _is_beyond_routers(self, place: int) -> bool:
        return len(self.intent.routers) < place <= len(self.intent.places)

    def _refuse(self, walk: Walk, header: np.void, where: int) -> None:
        """What is not modelled, and what no stack would send."""
        inner = walk.inner
        unknown = inner.protocol == ICMP and inner.icmp_type not in (0, 8) and walk.quoted is None
        if unknown and not inner.is_later_piece:
            undetermined(Stage.CONNTRACK, where)
        unknown_wrapping = walk.outer is None and header["encap"] != Encap.NONE
        least = HEADER_LENGTH if inner.is_later_piece else LEAST_LENGTH.get(inner.protocol, HEADER_LENGTH)
        odd = inner.length < least or _is_odd_piece(inner) or (walk.outer is not None and _is_odd_piece(walk.outer))
        if unknown_wrapping or odd or walk.wire.length > LONGEST:
            drop(DropReason.MALFORMED, where, stage=Stage.ENDPOINT)

    def _resume(self, walk: Walk, header: np.void, fabric: FabricWalker) -> None:
        """What was cut or made whole goes on where that happened."""
        stage, at, place = int(header["resume"]), int(header["resume_at"]), int(header["place"])
        if stage == Stage.DELIVER:
            self._resume_delivery(walk, header, fabric, at, place)
            return
        in_leg = stage in RESUMED_IN_LEG
        possible = (in_leg or stage == Stage.FABRIC_IN) and 0 < at <= len(self.intent.routers)
        if not possible or (in_leg and not _came_in(walk, header, at)) or (stage == Stage.FABRIC_OUT and not header["encap"]):
            drop(DropReason.ADDRESS_UNUSED, 0, stage=Stage.ENDPOINT)
        router = self.intent.router(at)
        self._refuse(walk, header, router.id)
        if router.flags & RouterFlag.DOWN:
            drop(DropReason.ENDPOINT_DOWN, router.id, router.decided_by, stage=Stage(stage))
        walk.router = router.id
        if in_leg:
            walk.resume, walk.device = Stage(stage), Device(int(header["device"]))
        else:
            walk.device, walk.crossed = Device.ETHERNET, True
            walk.flags |= ResultFlag.ROUTED

    def _resume_delivery(self, walk: Walk, header: np.void, fabric: FabricWalker, at: int, place: int) -> None:
        host = self.intent.endpoint(at) if 0 < at <= len(self.intent.endpoints) else None
        possible = host.kind is EndpointKind.HOST if host else not at and self._is_beyond_routers(place)
        if not possible:
            drop(DropReason.ADDRESS_UNUSED, 0, stage=Stage.ENDPOINT)
        self._refuse(walk, header, 0)
        if host is None:
            succeed(Verdict.EXITED, Stage.FABRIC, place)
        fabric.to_host(walk, host)

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


def _came_in(walk: Walk, header: np.void, router: int) -> bool:
    """Whether the packet can have come into the router by that device."""
    if header["device"] != Device.VETH:
        return bool(header["device"] in RESUMED_BY)
    sender = walk.sender
    return sender is not None and sender.kind is EndpointKind.POD and sender.router == router


def _is_odd_piece(header: Header) -> bool:
    """A piece of nothing, one that no other can follow, or one that ends beyond the longest packet there is."""
    if not header.is_piece:
        return False
    payload, offset = header.length - HEADER_LENGTH, header.fragment & PacketFlag.OFFSET
    uneven = bool(header.fragment & PacketFlag.MF and payload % UNIT)
    return uneven or header.length < LEAST_PIECE or HEADER_LENGTH + offset * UNIT + payload > LONGEST


def _is_error(header: Header) -> bool:
    """An ICMP error, which may come from a service's address; a later piece says nothing."""
    return header.protocol == ICMP and header.icmp_type in (UNREACHABLE, TIME_EXCEEDED) and not header.is_later_piece
