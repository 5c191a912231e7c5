"""A trace: the journey of one packet and of the answer to it, told stage by stage from the EVENT records of one run.

Nothing is evaluated a second time: sentences, headers and deciders come from EVENT and RESULT rows; what happened
between two interfaces (translation, the way through the cloud) is read from the difference of their headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..control.intent import Intent, Object
from ..errors import UsageError
from ..quantities import format_address, parse_address
from ..vocabulary import Device, Direction, Encap, EndpointKind, PacketFlag, ResultFlag, Stage, Verdict
from ..vocabulary.encaps import encapsulation
from .losses import Header, Loss, loss_of, named, place_name
from .policy_walk import Side, Walker

if TYPE_CHECKING:
    import numpy as np

    from ..datapath.state import State
    from .network import Network

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
    """One stage of a journey: where, on which interface, what happened, the headers there (outer first)."""

    where: str
    interface: str
    direction: str
    stage: Stage
    says: str
    headers: tuple[Header, ...] = ()
    decided_by: Object | None = None


@dataclass(frozen=True)
class Journey:
    """One way of a packet. ``loss`` tells why it was dropped; ``cure`` are the commands that put it right; ``told`` says
    which ICMP errors its sender gets; ``policy`` is what the policy of either end says of it (an answer meets none)."""

    steps: tuple[Step, ...]
    verdict: Verdict
    loss: Loss | None = None
    cure: tuple[str, ...] = ()
    packet: np.void | None = field(default=None, repr=False)
    result: np.void | None = field(default=None, repr=False)
    told: tuple[str, ...] = ()
    policy: tuple[Side, ...] = ()

    @property
    def last_header(self) -> Header | None:
        return next((step.headers[-1] for step in reversed(self.steps) if step.headers), None)


@dataclass(frozen=True)
class Trace:
    """The journey there and, if it arrived at somebody who answers, the journey back."""

    request: Journey
    reply: Journey | None

    @property
    def verdict(self) -> Verdict:
        """How the exchange ends: the answer's fate, else the request's."""
        return self.reply.verdict if self.reply is not None else self.request.verdict

    def __str__(self) -> str:
        from .telling import lines

        return "\n".join(lines(self))


def trace(network: Network, request: Request) -> Trace:
    """Send one packet and its answer over a fresh state and tell both journeys."""
    from ..traffic.flows import reply_wave

    state = network.engine.new_state()
    packets = packet_of(network, request)
    there, results = journey(network, packets, state)
    there = replace(there, policy=Walker(network).sides_of(packets[0], results[0]))
    back = reply_wave(packets, results, network.intent)
    return Trace(there, journey(network, back, state)[0] if len(back) else None)


def packet_of(network: Network, request: Request) -> np.ndarray:
    """The packet of a request, as an array of one."""
    from ..traffic.batch import SYN, TCP, packet, protocol_number

    sender = network.endpoint_id(request.a)
    endpoint = network.intent.endpoint(sender)
    protocol = protocol_number(request.protocol)
    fields = {"dport": request.port} if request.port is not None and protocol in (6, 17) else {}
    source = 0 if endpoint.kind is EndpointKind.NODE else endpoint.address
    destination = _destination(network, request.b)
    if destination == endpoint.address:
        raise UsageError(f"{endpoint.name} is both ends; what it sends to itself never leaves it")
    return packet(
        src=source, dst=destination, protocol=protocol,
        tcp_flags=SYN if protocol == TCP else 0, ttl=request.ttl, length=request.size, df=request.df, ingress=sender, **fields)


def _destination(network: Network, text: str) -> int:
    try:
        return parse_address(text)
    except ValueError:
        endpoint = network.intent.endpoint(network.endpoint_id(text))
    if not endpoint.address:
        why = "; ".join(network.intent.failures) or "calisim ipam shows the pools and what is used of them"
        raise UsageError(f"{endpoint.name} has no address, so nothing can be sent to it: {why}")
    return endpoint.address


def journey(network: Network, packets: np.ndarray, state: State) -> tuple[Journey, np.ndarray]:
    """Forward one packet with events and tell its journey; also the RESULT row."""
    outcome = network.engine.forward(packets, state, events=True, offspring=True)
    assert outcome.events is not None and outcome.born is not None
    packet, result = packets[0], outcome.results[0]
    told = _Narrator(network.intent, packet, result, outcome.events)
    steps = tuple(told.steps())
    loss = loss_of(network.intent, packet, result, told.headers)
    if loss is not None:
        from .cures import cure_of
        from .icmp import errors_told

        commands, errors = cure_of(network, loss, packet).commands, errors_told(network, outcome.born, state)
        return Journey(steps, Verdict.DROPPED, loss, commands, packet, result, errors), outcome.results
    return Journey(steps, Verdict(int(result["verdict"])), None, (), packet, result), outcome.results


class _Narrator:
    """Tells one packet's events in order. ``headers`` are those of the interface crossed last."""

    def __init__(self, intent: Intent, packet: np.void, result: np.void, events: np.ndarray) -> None:
        self.intent, self.packet, self.result, self.events = intent, packet, result, events
        self.headers: tuple[Header, ...] = (_sent_header(intent, packet),)
        self._place = 0

    def steps(self) -> Iterator[Step]:
        sender = self.intent.endpoint(int(self.packet["ingress"])) if self.packet["ingress"] else None
        if sender is not None and (sender.kind is EndpointKind.NODE or not len(self.events)):
            where = self.intent.router(sender.router).name if sender.router else sender.name
            yield Step(where, "", "out", Stage.ENDPOINT, f"{sender.name} sends {self.headers[0].length:,} bytes", self.headers)
        for event in self.events:
            now = headers_of(event)
            yield from self._between(event, now)
            yield self._step(event, now)
            self.headers, self._place = now, int(event["router"])
        yield self._end()

    def _between(self, event: np.void, now: tuple[Header, ...]) -> Iterator[Step]:
        """What no interface shows: the way through the cloud, and address translation."""
        before, after = self.headers[-1], now[-1]
        router = int(event["router"])
        if event["device"] == Device.ETHERNET and event["direction"] == Direction.IN and router != self._place:
            yield self._fabric(router)
        where = self.intent.router(router).name if router else "outside"
        for end in ("src", "dst"):
            old, new = getattr(before, end), getattr(after, end)
            if old and old != new:
                port = "sport" if end == "src" else "dport"
                says = (
                    f"the {'source' if end == 'src' else 'destination'} {_tuple(before, end, port)} becomes "
                    f"{_tuple(after, end, port)} ({self._why_translated(end)})")
                yield Step(where, "", "", Stage.TRANSLATE, says, (after,))

    def _why_translated(self, end: str) -> str:
        if self.result["flags"] & ResultFlag.UNNAT and end == "dst":
            return "the translation of the request, undone"
        return "SNAT, remembered for the answers" if end == "src" else "the gateway's public address stands for the node's"

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

    def _step(self, event: np.void, now: tuple[Header, ...]) -> Step:
        device, inward = Device(int(event["device"])), event["direction"] == Direction.IN
        return Step(
            where_of(self.intent, event), interface_of(self.intent, event), "in" if inward else "out", Stage(int(event["stage"])),
            self._says(event, device, inward, now), now, self.intent.object(int(event["detail"])))

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

    def _end(self) -> Step:
        intent, result = self.intent, self.result
        verdict, place = Verdict(int(result["verdict"])), int(result["where"])
        stage = Stage(int(result["stage"]))
        where = place_name(intent, place)
        if verdict is Verdict.DROPPED:
            loss = loss_of(intent, self.packet, result, self.headers)
            assert loss is not None
            return Step(where, "", "", stage, loss.sentence, self.headers, loss.object)
        says = {
            Verdict.DELIVERED: f"delivered to {named(intent, int(result['dst']))}",
            Verdict.EXITED: f"leaves the modelled network towards {format_address(int(result['dst']))}",
            Verdict.REFUSED: "the endpoint's own stack refuses it",
        }.get(verdict, f"here the model does not know how it goes on (stage {stage.name.lower()}), and does not guess")
        return Step(where, "", "", stage, says, self.headers[-1:])


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
        int(event["ttl"]), int(event["length"]), bool(event["fragment"] & PacketFlag.DF))
    if event["encap"] == Encap.NONE or not event["outer_src"]:
        return (inner,)
    wrapping = encapsulation(int(event["encap"]))
    outer = Header(
        "outer", int(event["outer_src"]), int(event["outer_dst"]), wrapping.protocol, int(event["outer_sport"]), wrapping.port,
        int(event["outer_ttl"]), int(event["outer_length"]), bool(event["outer_fragment"] & PacketFlag.DF))
    return outer, inner


def _sent_header(intent: Intent, packet: np.void) -> Header:
    return Header(
        "inner", int(packet["src"]), int(packet["dst"]), int(packet["protocol"]), int(packet["sport"]), int(packet["dport"]),
        int(packet["ttl"]), int(packet["length"]), bool(packet["fragment"] & PacketFlag.DF))


def _tuple(header: Header, end: str, port: str) -> str:
    address = format_address(getattr(header, end))
    return f"{address}:{getattr(header, port)}" if header.protocol in (6, 17) else address


