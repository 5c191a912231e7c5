"""A trace: the journey of one packet and of the answer to it, told stage by stage from the EVENT records of one run.

Nothing is evaluated a second time: sentences, headers and deciders come from EVENT and RESULT rows; what happened
between two interfaces (translation, the way through the cloud) is read from the difference of their headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..control.intent import Intent, Object, ServicePort
from ..datapath.settling import lineage
from ..errors import UsageError
from ..quantities import format_address, parse_address
from ..vocabulary import Device, Direction, Encap, EndpointKind, PacketFlag, Relation, ResultFlag, Stage, Verdict
from ..vocabulary.encaps import encapsulation
from .losses import Header, Loss, loss_of, mtu_towards, named, place_name, service_of
from .policy_walk import Side, Walker

if TYPE_CHECKING:
    from ..datapath.generations import Generation
    from ..datapath.state import State
    from .network import Network
    from .run import Run
    from .sending import Fates

_DEVICES = {
    Device.VETH: "cali…", Device.ETHERNET: "eth0", Device.IPIP: "tunl0", Device.VXLAN: "vxlan.calico", Device.LOOPBACK: "lo"}


@dataclass(frozen=True, slots=True)
class Request:
    """What to trace: one packet of ``size`` bytes (IP total length) from ``a`` to ``b``."""

    a: str
    b: str
    protocol: int | str = "tcp"
    port: int | None = None
    size: int = 1000
    df: bool = True
    ttl: int = 64


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a journey: where, on which interface, what happened, the headers there (outer first). ``crossing``: the
    EVENT that it tells of, as (generation of the journey's family, position among its events); None: it is of something else."""

    where: str
    interface: str
    direction: str
    stage: Stage
    says: str
    headers: tuple[Header, ...] = ()
    decided_by: Object | None = None
    crossing: tuple[int, int] | None = None


@dataclass(frozen=True)
class Journey:
    """One way of a packet. ``loss`` tells why it was dropped; ``cure`` are the commands that put it right; ``told`` says
    which ICMP errors its sender gets; ``policy`` is what the policy of either end says of it (an answer meets none);
    ``fates`` holds the rows of which all this is told."""

    steps: tuple[Step, ...]
    verdict: Verdict
    loss: Loss | None = None
    cure: tuple[str, ...] = ()
    packet: np.void | None = field(default=None, repr=False)
    result: np.void | None = field(default=None, repr=False)
    told: tuple[str, ...] = ()
    policy: tuple[Side, ...] = ()
    fates: Fates | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Trace:
    """The journey there and, if it arrived at somebody who answers, the journey back; ``network`` knows what they meet."""

    request: Journey
    reply: Journey | None
    network: Network = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """How the exchange ends: the answer's fate, else the request's; an answer that says no refuses it."""
        if self.reply is None or self.request.verdict is Verdict.REFUSED:
            return self.request.verdict
        return self.reply.verdict

    @property
    def ways(self) -> tuple[Journey, ...]:
        return (self.request,) if self.reply is None else (self.request, self.reply)

    def run(self) -> Run:
        """Both packets with all their rows, as a run that kept its events."""
        from .sending import kept_run

        return kept_run([(way.fates.family[0].packets, way.fates) for way in self.ways if way.fates is not None])

    def __repr__(self) -> str:
        """One line; the journeys are there to be asked, and printed they are told."""
        ends = ", ".join(way.verdict.name.lower() for way in self.ways)
        return f"<Trace in {self.network.scenario.name}, {self.network.variant}: {ends}>"

    def __str__(self) -> str:
        from .telling import lines

        return "\n".join(lines(self))


def trace(network: Network, request: Request) -> Trace:
    """Send one packet and its answer over a fresh state and tell both journeys."""
    from .sending import answers

    state = network.engine.new_state()
    packets = packet_of(network, request)
    there, outcome = journey(network, packets, None, state)
    there = replace(there, policy=Walker(network).sides_of(packets[0], outcome.results[0]))
    back = answers(network, packets, outcome, generic=True)
    return Trace(there, None if back is None else journey(network, *back, state, asks=False)[0], network)


def packet_of(network: Network, request: Request) -> np.ndarray:
    """The packet of a request, as an array of one."""
    from ..traffic.batch import SYN, TCP, packet, protocol_number
    from ..traffic.endpoints import service_port

    sender = network.endpoint_id(request.a)
    endpoint = network.intent.endpoint(sender)
    protocol = protocol_number(request.protocol)
    port = request.port if request.port is not None else service_port(request.b, network.intent, protocol)
    fields = {"dport": port} if port is not None and protocol in (6, 17) else {}
    source = 0 if endpoint.kind is EndpointKind.NODE else endpoint.address
    destination = _destination(network, request.b)
    if destination == endpoint.address:
        raise UsageError(f"{endpoint.name} is both ends; what it sends to itself never leaves it")
    return packet(
        src=source, dst=destination, protocol=protocol,
        tcp_flags=SYN if protocol == TCP else 0, ttl=request.ttl, length=request.size, df=request.df, ingress=sender, **fields)


def _destination(network: Network, text: str) -> int:
    from ..traffic.endpoints import resolve_service

    if (addresses := resolve_service(text, network.intent)) is not None:
        if not addresses:
            raise UsageError(f"{text} is headless and has no ready endpoint, so its name has no address")
        return addresses[0]
    try:
        return parse_address(text)
    except ValueError:
        endpoint = network.intent.endpoint(network.endpoint_id(text))
    if not endpoint.address:
        why = "; ".join(network.intent.failures) or "calisim ipam shows the pools and what is used of them"
        raise UsageError(f"{endpoint.name} has no address, so nothing can be sent to it: {why}")
    return endpoint.address


def journey(
    network: Network, packets: np.ndarray, headers: np.ndarray | None, state: State, *, asks: bool = True,
) -> tuple[Journey, Fates]:
    """Forward one packet with events and tell its journey; also what became of it."""
    from .sending import fates

    outcome = fates(network, packets, state, headers, events=True, errors=True, asks=asks)
    packet, result = packets[0], outcome.results[0]
    steps: list[Step] = []
    told = None
    for generation, row in lineage(outcome.family, 0):
        told = _Narrator(network.intent, outcome.family, generation, row, told)
        steps += told.steps()
    assert told is not None
    verdict = Verdict(int(result["verdict"]))
    steps.append(told.end(verdict))
    loss = loss_of(network.intent, told.packet, told.result, told.headers)
    if loss is None:
        return Journey(tuple(steps), verdict, None, (), packet, result, fates=outcome), outcome
    from .cures import cure_of
    from .icmp import errors_told

    commands, errors = cure_of(network, loss, packet).commands, errors_told(network, outcome.family)
    return Journey(tuple(steps), verdict, loss, commands, packet, result, errors, fates=outcome), outcome


class _Narrator:
    """Tells one packet's events in order. ``headers`` are those of the interface crossed last.

    ``family``: the wave of the journey's packet and what it gave rise to, the ``number``-th generation of which has the packet
    as it is here; ``before`` told of what it was until then: the packet of
    which it is a piece, the piece that made it whole.
    """

    def __init__(self, intent: Intent, family: Sequence[Generation], number: int, row: int, before: _Narrator | None) -> None:
        self.intent, self._number, self._row, self._before = intent, number, row, before
        self._next = family[number + 1:number + 2]
        mine = family[number]
        assert mine.results.events is not None
        self.packet, self.result = mine.packets[row], mine.results.results[row]
        self.events, self._positions = mine.results.events, np.flatnonzero(mine.results.events["row"] == row)
        self.largest = int(mine.headers["largest"][row]) if mine.headers is not None else 0
        self.flags: int = int(self.result["flags"]) | (before.flags if before else 0)
        self.headers: tuple[Header, ...] = before.headers if before else (_sent_header(self.packet),)
        self._place: int = before._place if before else 0

    def steps(self) -> Iterator[Step]:
        """All but the end."""
        sender = self.intent.endpoint(int(self.packet["ingress"])) if self.packet["ingress"] else None
        silent = sender is not None and (sender.kind is EndpointKind.NODE or not len(self._positions))
        if self._before is not None:
            yield self._before.turn(self)
        elif sender is not None and silent:
            where = self.intent.router(sender.router).name if sender.router else sender.name
            yield Step(where, "", "out", Stage.ENDPOINT, f"{sender.name} sends {self.headers[0].length:,} bytes", self.headers)
        for position in self._positions.tolist():
            event = self.events[position]
            now = headers_of(event)
            yield from self._between(event, now)
            yield self._step(event, position, now)
            self.headers, self._place = now, int(event["router"])

    def turn(self, after: _Narrator) -> Step:
        """How this packet went on as another one."""
        stage, place = Stage(int(self.result["stage"])), int(self.result["where"])
        where = place_name(self.intent, place)
        if stage is Stage.ENDPOINT:
            where = self.intent.endpoint(int(self.packet["ingress"])).name
        if stage is Stage.DEFRAGMENT:
            outer = self.headers[0].layer == "outer"
            whole = "the packet around it" if outer else f"the datagram of {after.packet['length']:,} bytes"
            return Step(where, "", "", stage, f"held until all pieces are here; then {whole} is whole again", self.headers)
        born = self._next[0]
        assert born.causes is not None and born.headers is not None
        rows = np.flatnonzero((born.causes["parent"] == self._row) & (born.causes["relation"] == Relation.PIECE))
        wrapped = born.headers["outer_length"][rows]
        sizes = np.where(wrapped, wrapped, born.packets["length"][rows]).tolist()
        follow = f"; from here on piece {rows.tolist().index(after._row) + 1} is told of" if len(sizes) > 1 else ""
        says = f"{self._too_long(stage)}: cut into {_listed(sizes)} bytes{follow}"
        return Step(where, "", "", stage, says, self.headers)

    def _too_long(self, stage: Stage) -> str:
        """Why a packet is cut."""
        inner, size = self.headers[-1], self.headers[0].length
        limit, of_what = 0, ""
        if stage is Stage.ENDPOINT:
            limit, of_what = self.intent.endpoint(int(self.packet["ingress"])).mtu, "its interface"
        elif stage is Stage.FRAGMENT and self.largest:
            return f"it came in pieces of up to {self.largest:,} bytes and leaves in pieces, too"
        elif stage is Stage.FRAGMENT:
            limit, of_what = mtu_towards(self.intent, int(self.result["where"]), int(self.result["dst"])), "the way out"
        elif stage is Stage.ENCAPSULATE:
            size = inner.length + encapsulation(int(self.result["encap"])).overhead
            limit, of_what = self.intent.router(int(self.result["where"])).inputs.mtu, "eth0"
        takes = f"the {limit:,} that {of_what} takes" if 0 < limit < size else (
            "the next link takes" if stage is Stage.FABRIC else "it has learnt that the path takes")
        return f"{size:,} bytes without DF are more than {takes}"

    def _between(self, event: np.void, now: tuple[Header, ...]) -> Iterator[Step]:
        """What no interface shows: the way through the cloud, and address translation."""
        before, after = self.headers[-1], now[-1]
        router = int(event["router"])
        fabric = self._fabric(router)
        arrives = event["device"] == Device.ETHERNET and event["direction"] == Direction.IN
        if arrives and router != self._place:
            yield fabric
        gateway = arrives or not router                # what differs on a node's card differed before the node had it
        where = fabric.where if gateway else self.intent.router(router).name
        for end in ("dst", "src"):                     # PREROUTING comes before POSTROUTING, both ways
            old, new = getattr(before, end), getattr(after, end)
            if old and old != new:
                port = "sport" if end == "src" else "dport"
                service = None if gateway else self._service(before if end == "dst" else after, end, port)
                why = "a node's public address, at the internet gateway" if gateway else self._why_translated(end, service)
                says = (
                    f"the {'source' if end == 'src' else 'destination'} {_tuple(before, end, port)} becomes "
                    f"{_tuple(after, end, port)} ({why})")
                stage = Stage.BALANCE if service and end == "dst" else Stage.TRANSLATE
                yield Step(where, "", "", stage, says, (after,), self.intent.object(service.decided_by) if service else None)

    def _service(self, header: Header, end: str, port: str) -> ServicePort | None:
        """The service port at which that end of a header is, where kube-proxy translated it."""
        wanted = ResultFlag.DNAT if end == "dst" else ResultFlag.UNDNAT
        if not self.flags & wanted:
            return None
        found = self.intent.services.by_address
        address, number = getattr(header, end), getattr(header, port)
        frontend = found.get((address, header.protocol, number)) or found.get((0, header.protocol, number))
        return self.intent.services.ports[frontend.service - 1] if frontend else None

    def _why_translated(self, end: str, service: ServicePort | None) -> str:
        if service is not None:
            return f"kube-proxy: {'an endpoint' if end == 'dst' else 'in the name'} of the service {service.name}"
        return "SNAT, remembered for the answers" if end == "src" else "the translation of the request, undone"

    def _fabric(self, router: int) -> Step:
        intent = self.intent
        source = intent.router(self._place).subnet if self._place else 0
        target = intent.router(router).subnet if router else 0
        names = [intent.fabric.subnets[number - 1].name if number else "the internet" for number in (source, target)]
        if source == target and source:
            says = f"inside subnet {names[0]} the frame goes straight to its owner: no route table, no NACL"
            return Step(names[0], "", "", Stage.FABRIC, says, self.headers)
        place = intent.fabric.subnets[(source or target) - 1].place if source or target else 0
        return Step(
            place_name(intent, place), "", "", Stage.FABRIC, f"the cloud routes it from {names[0]} to {names[1]}", self.headers)

    def _step(self, event: np.void, position: int, now: tuple[Header, ...]) -> Step:
        device, inward = Device(int(event["device"])), event["direction"] == Direction.IN
        return Step(
            where_of(self.intent, event), interface_of(self.intent, event), "in" if inward else "out", Stage(int(event["stage"])),
            self._says(event, device, inward, now), now, self.intent.object(int(event["detail"])), (self._number, position))

    def _says(self, event: np.void, device: Device, inward: bool, now: tuple[Header, ...]) -> str:
        endpoint = self.intent.endpoint(int(event["endpoint"])).name if event["endpoint"] else "it"
        if device is Device.VETH:
            return f"{endpoint} sends {now[-1].length:,} bytes" if inward else f"handed to {endpoint}"
        if device in (Device.IPIP, Device.VXLAN):
            wrapping = encapsulation(int(event["encap"]) or (1 if device is Device.IPIP else 2))
            if inward:
                return f"the {wrapping.title} header comes off"
            return f"the route goes through {wrapping.device}: {wrapping.title} puts {wrapping.overhead} bytes around it"
        if not event["router"]:
            return f"{endpoint} {'receives' if inward else 'sends'} it"
        wrapped = "encapsulated, node to node" if event["encap"] else "not encapsulated"
        return f"arrives {wrapped}" if inward else f"leaves {wrapped}"

    def end(self, verdict: Verdict) -> Step:
        """How the journey ended."""
        intent, result, place = self.intent, self.result, int(self.result["where"])
        stage = Stage(int(result["stage"]))
        where = place_name(intent, place)
        if verdict is Verdict.DROPPED:
            loss = loss_of(intent, self.packet, result, self.headers)
            assert loss is not None
            return Step(where, "", "", stage, loss.sentence, self.headers, loss.object)
        says = {
            Verdict.DELIVERED: f"delivered to {named(intent, int(result['dst']))}",
            Verdict.EXITED: f"leaves the modelled network towards {format_address(int(result['dst']))}",
            Verdict.REFUSED: f"{named(intent, int(result['dst']))} refuses it: nobody listens on {service_of(self.headers[-1])}",
            Verdict.CONTINUED: "held here: it waits 30 s for the rest of its datagram, which never comes",
        }.get(verdict, f"here the model does not know how it goes on (stage {stage.name.lower()}), and does not guess")
        return Step(where, "", "", stage, says, self.headers[-1:])


def _listed(sizes: Sequence[int]) -> str:
    """``3 pieces of 1,476, 1,476 and 88``; of many the middle ones are alike and left out."""
    words = [f"{size:,}" for size in sizes]
    if len(words) > 4:
        words = [words[0], "…", words[-1]]
    pieces = f"{len(sizes)} pieces of" if len(sizes) > 1 else "a piece of"
    return f"{pieces} {', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else f"{pieces} {words[0]}"


def where_of(intent: Intent, event: np.void) -> str:
    """The node of an EVENT, or the host outside."""
    if event["router"]:
        return intent.router(int(event["router"])).name
    return intent.endpoint(int(event["endpoint"])).name if event["endpoint"] else "outside"


def interface_of(intent: Intent, event: np.void) -> str:
    """The interface that was crossed; a pod's veth has the name that Calico gives it."""
    device = Device(int(event["device"]))
    if device is Device.VETH and event["endpoint"]:
        return intent.endpoint(int(event["endpoint"])).interface or _DEVICES[device]
    return _DEVICES.get(device, "")


def headers_of(event: np.void) -> tuple[Header, ...]:
    """The headers of an EVENT, the outer one first."""
    inner = Header(
        "inner", int(event["src"]), int(event["dst"]), int(event["protocol"]), int(event["sport"]), int(event["dport"]),
        int(event["ttl"]), int(event["length"]), *_fragment(event["fragment"]))
    if event["encap"] == Encap.NONE or not event["outer_src"]:
        return (inner,)
    wrapping = encapsulation(int(event["encap"]))
    outer = Header(
        "outer", int(event["outer_src"]), int(event["outer_dst"]), wrapping.protocol, int(event["outer_sport"]), wrapping.port,
        int(event["outer_ttl"]), int(event["outer_length"]), *_fragment(event["outer_fragment"]))
    return outer, inner


def _fragment(word: int) -> tuple[bool, int, bool]:
    """DF, the offset in bytes, and whether more pieces follow."""
    return bool(word & PacketFlag.DF), 8 * int(word & PacketFlag.OFFSET), bool(word & PacketFlag.MF)


def _sent_header(packet: np.void) -> Header:
    return Header(
        "inner", int(packet["src"]), int(packet["dst"]), int(packet["protocol"]), int(packet["sport"]), int(packet["dport"]),
        int(packet["ttl"]), int(packet["length"]), *_fragment(packet["fragment"]))


def _tuple(header: Header, end: str, port: str) -> str:
    address = format_address(getattr(header, end))
    return f"{address}:{getattr(header, port)}" if header.protocol in (6, 17) else address


