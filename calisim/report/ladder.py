"""A trace as a ladder: stations from left to right, and downwards in time the legs between them and what happens at one.

Made of the steps of the journeys, for all pictures of one packet alike (matplotlib, Mermaid, Graphviz). Knows nothing of drawing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..analysis.losses import protocol_word
from ..analysis.stations import crossed, stations
from ..analysis.telling import decider
from ..quantities import format_address, plural
from ..vocabulary import Device, Encap, EndpointKind, Verdict
from ..vocabulary.encaps import encapsulation
from .labels import label

if TYPE_CHECKING:
    from ..analysis.explain import Journey, Step, Trace
    from ..analysis.losses import Header
    from ..control.intent import Intent

_CLOUD = {"vpc": "VPC router", "subnet": "subnet", "igw": "internet gateway", "nat": "NAT gateway"}
MOST_ROWS = 24          # of one way; of a packet that runs in a circle the middle is left out
_WORDS = {
    Verdict.DELIVERED: "delivered", Verdict.EXITED: "left the modelled network", Verdict.REFUSED: "refused",
    Verdict.UNDETERMINED: "undetermined", Verdict.CONTINUED: "held"}


@dataclass(frozen=True, slots=True)
class Station:
    """A column. ``kind``: pod, node, host, cloud or outside; ``reached``: not one that the packet was only meant for."""

    name: str
    kind: str
    address: str = ""
    reached: bool = True

    def lines(self) -> list[str]:
        return [line for line in (self.name, self.address, "" if self.reached else "(never reached)") if line]


@dataclass(frozen=True, slots=True)
class Leg:
    """A packet on its way between two stations (positions), through the cloud's if any. ``lost``: it does not arrive there;
    a leg that ends where it starts is lost on its way out."""

    start: int
    end: int
    headers: tuple[Header, ...]
    through: int | None = None
    says: str = ""                    # of what it goes through
    lost: bool = False

    @property
    def wrapping(self) -> Encap:
        return wrapping_of(self.headers)


@dataclass(frozen=True, slots=True)
class Note:
    """What happens at a station. ``kind``: note, good (the end of a journey), loss, or doubt (neither good nor lost)."""

    at: int
    says: str
    kind: str = "note"
    title: str = ""                   # of a loss: its reason
    by: str = ""                      # who decided


Row = Leg | Note


@dataclass(frozen=True)
class Way:
    """One journey."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Ladder:
    """The whole picture. ``title`` names the packet, ``scene`` the scenario and the variant, ``verdict`` how it ends."""

    title: str
    scene: str
    verdict: str
    good: bool
    stations: tuple[Station, ...]
    ways: tuple[Way, ...] = field(default=())


def ladder(trace: Trace) -> Ladder:
    network, intent = trace.network, trace.network.intent
    made = _Columns(intent)
    ways = []
    for name, journey in zip(("request", "reply"), trace.ways, strict=False):
        rows = tuple(_Legs(made, journey, stations(intent, journey)).rows())
        ways.append(Way(name, bounded(rows)))
        if name == "request" and not journey.verdict.success:
            made.meant(journey)
    ends = [f"{way.title} {_end(journey)}" for way, journey in zip(ways, trace.ways, strict=True)]
    return Ladder(
        _title(intent, trace.request), f"{label(network.scenario.name, 60)} · {label(network.variant)}", ", ".join(ends),
        trace.verdict.success, tuple(made.columns.values()), tuple(ways))


def header_lines(header: Header) -> tuple[str, str]:
    """Protocol and ends (of an outer header without ports); the rest."""
    source, target, word = format_address(header.src), format_address(header.dst), protocol_word(header.protocol)
    if header.layer == "outer":
        word = encapsulation(wrapping_of((header,))).title
    elif header.sport or header.dport:
        source, target = f"{source}:{header.sport}", f"{target}:{header.dport}"
    piece = f" · piece from byte {header.offset:,}" if header.offset or header.more else ""
    return f"{word} {source} → {target}", f"TTL {header.ttl} · {header.length:,} B{' · DF' if header.df else ''}{piece}"


def wrapping_of(headers: tuple[Header, ...]) -> Encap:
    """What is around a packet with these headers."""
    if headers[0].layer != "outer":
        return Encap.NONE
    return next(encap for encap in Encap if encap and encapsulation(encap).protocol == headers[0].protocol)


def _end(journey: Journey) -> str:
    return f"lost: {journey.loss.reason.name}" if journey.loss else _WORDS[journey.verdict]


def _title(intent: Intent, journey: Journey) -> str:
    packet = journey.packet
    assert packet is not None
    sender = intent.endpoint(int(packet["ingress"])).name if packet["ingress"] else format_address(int(packet["src"]))
    protocol = int(packet["protocol"])
    port = f" port {int(packet['dport'])}" if protocol in (6, 17) else ""
    return f"{label(sender)} → {label(_owner(intent, int(packet['dst'])))}, {protocol_word(protocol)}{port}"


def _owner(intent: Intent, address: int) -> str:
    owner = intent.address_owners.get(address)
    return intent.endpoint(owner).name if owner else intent.service_addresses.get(address) or format_address(address)


def bounded(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Its beginning and its end."""
    if len(rows) <= MOST_ROWS:
        return rows
    half = MOST_ROWS // 2
    at = rows[half - 1]
    left = Note(at.at if isinstance(at, Note) else at.end, f"… {plural(len(rows) - 2 * half, 'more row')} like these …")
    return *rows[:half], left, *rows[-half:]


class _Columns:
    """Stations by name, in the order in which they are met."""

    def __init__(self, intent: Intent) -> None:
        self._intent = intent
        self._nodes = {f"node/{router.name}": router for router in intent.routers}
        self._ranges = {f"subnet/{subnet.name}": str(subnet.prefix) for subnet in intent.fabric.subnets}
        self.columns: dict[str, Station] = {}

    def __call__(self, name: str, reached: bool = True) -> int:
        if name not in self.columns:
            self.columns[name] = replace(self._station(name), reached=reached)
        return list(self.columns).index(name)

    def meant(self, journey: Journey) -> None:
        """For whom a packet was that did not arrive."""
        assert journey.packet is not None and journey.result is not None
        self(_owner(self._intent, int(journey.result["dst"]) or int(journey.packet["dst"])), reached=False)

    def _station(self, name: str) -> Station:
        kind, _, rest = name.partition("/")
        if name in self._nodes:
            router = self._nodes[name]
            zone = f" · {label(router.zone, 20)}" if router.zone else ""
            return Station(f"node {label(rest)}", "node", f"{format_address(router.address)}{zone}")
        if kind in _CLOUD and name not in self._intent.endpoint_ids:
            return Station(f"{_CLOUD[kind]} {label(rest, 24)}", "cloud", self._ranges.get(name, ""))
        found = self._intent.endpoint_ids.get(name)
        if found is None:
            return Station(label(name), "outside")
        endpoint = self._intent.endpoint(found)
        address = format_address(endpoint.address) if endpoint.address else ""
        return Station(label(name), "host" if endpoint.kind is EndpointKind.HOST else "pod", address)


class _Legs:
    """The rows of one journey. A packet is at one station until a step is told of another; ``_out`` are the headers with which
    it has left an interface, whose leg begins with the next step."""

    def __init__(self, columns: _Columns, journey: Journey, places: Sequence[str]) -> None:
        self._columns, self._journey, self._places = columns, journey, places
        self._here = columns(places[0])
        self._headers: tuple[Header, ...] = ()
        self._out = False
        self._held: Leg | None = None            # into the cloud: what comes out of it like this is one leg with it

    def rows(self) -> Iterator[Row]:
        *steps, last = self._journey.steps
        for step, place in zip(steps, self._places, strict=False):
            yield from self._step(step, place)
        yield from self._last(last)

    def _step(self, step: Step, place: str) -> Iterator[Row]:
        event = crossed(step, self._journey)
        device = Device(int(event["device"])) if event is not None else None
        wire = device in (Device.VETH, Device.ETHERNET)
        self._headers = step.headers or self._headers
        there = self._columns(place)
        if device is Device.VETH:                # two stations at once: the pod and its node
            node = self._columns(f"node/{step.where}")
            yield from self._to(node if step.direction == "in" else there, node)
            return
        yield from self._to(there)
        if self._held is not None and not wire and self._held.end == there:
            self._held = replace(self._held, says=step.says)
        elif not wire:
            yield from self._passed()
            yield Note(there, self._says(step), by=decider(step.decided_by).strip(" []"))
        self._out = device is Device.ETHERNET and step.direction == "out"

    def _to(self, there: int, *before: int) -> Iterator[Row]:
        for station in (*before, there):
            if station != self._here:
                yield from self._leg(station, self._headers)

    def _leg(self, there: int, headers: tuple[Header, ...], lost: bool = False) -> Iterator[Row]:
        leg, held = Leg(self._here, there, headers, lost=lost), self._held
        if held is not None and held.end == leg.start and held.headers == headers and held.start != there:
            self._held = None
            yield replace(leg, start=held.start, through=held.end, says=held.says)
        else:
            yield from self._passed()
            if list(self._columns.columns.values())[there].kind == "cloud" and not lost:
                self._held = leg
            else:
                yield leg
        self._here = there

    def _passed(self) -> Iterator[Row]:
        """A leg into the cloud that is told by itself."""
        held, self._held = self._held, None
        if held is not None:
            yield replace(held, says="")
            if held.says:
                yield Note(held.end, held.says)

    def _last(self, step: Step) -> Iterator[Row]:
        journey, verdict = self._journey, self._journey.verdict
        there = self._columns(self._places[-1]) if verdict not in (Verdict.DELIVERED, Verdict.REFUSED) else self._here
        if there != self._here or self._out:
            yield from self._leg(there, self._headers or step.headers, lost=verdict is Verdict.DROPPED)
        yield from self._passed()
        if journey.loss is not None:
            yield Note(there, journey.loss.sentence, "loss", journey.loss.reason.name, decider(journey.loss.object).strip(" []"))
        else:
            yield Note(there, _WORDS[verdict] if verdict.success else step.says, "good" if verdict.success else "doubt")

    @staticmethod
    def _says(step: Step) -> str:
        return step.says if not step.interface or step.interface in step.says else f"{step.interface}: {step.says}"
