"""From the crossings that the model knows to every interface of the laboratory: what one packet looks like, hop by hop.

The model has an EVENT for each crossing of a node's or a host's interface. The laboratory has more of them: the pod's end of its
veth, the ports of the bridge that is a subnet, the legs of the router. Which of them a crossing stands for is written
in one place, :data:`STANDS_FOR`; each of them must show the very bytes of that crossing, so none can hide a change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...control.intent import FabricSubnet
from ...quantities import format_address, parse_prefix
from ...report.frames import aged
from ...vocabulary import Device, Direction, DropReason, Stage, Verdict
from ...wire import icmp, ipv4
from ...wire.dissect import dissect
from .case import OUTSIDE, ROUTER, Case

IN, OUT = "in", "out"
VLAN_TAG = 4                                       # bytes that a device takes in beyond its MTU
FRAG_NEEDED = icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED

# What the model's crossings stand for, in the order in which a packet meets the interfaces: (namespace, device, direction).
# {node} {pod} {subnet} are names; a packet that the router forwards crosses "to router" and "from router" between
# the two nodes, or a node and the outside.
STANDS_FOR: dict[str, tuple[tuple[str, str, str], ...]] = {
    "pod sends": (("{pod}", "eth0", OUT), ("{node}", "cali{pod}", IN)),
    "pod receives": (("{node}", "cali{pod}", OUT), ("{pod}", "eth0", IN)),
    "ipip sends": (("{node}", "tunl0", OUT),),
    "ipip receives": (("{node}", "tunl0", IN),),
    "vxlan sends": (("{node}", "vxlan.calico", OUT),),
    "vxlan receives": (("{node}", "vxlan.calico", IN),),
    "node sends": (("{node}", "eth0", OUT), ("sub-{subnet}", "p-{node}", IN)),
    "before router": (("sub-{subnet}", "p-router", OUT),),
    "to router": (("sub-{subnet}", "p-router", OUT), (ROUTER, "eth-{subnet}", IN)),
    "from router": ((ROUTER, "eth-{subnet}", OUT), ("sub-{subnet}", "p-router", IN)),
    "node receives": (("sub-{subnet}", "p-{node}", OUT), ("{node}", "eth0", IN)),
    "outside sends": ((OUTSIDE, "eth0", OUT), (ROUTER, "eth-x", IN)),
    "outside receives": ((ROUTER, "eth-x", OUT), (OUTSIDE, "eth0", IN)),
}
_TUNNELS = {Device.IPIP: "ipip", Device.VXLAN: "vxlan"}


@dataclass(frozen=True, slots=True)
class Hop:
    """One packet on one interface. ``kind``: self, the packet; error, an ICMP error about it; reply, an answer to it."""

    kind: str
    namespace: str
    device: str
    direction: str
    data: bytes

    @property
    def interface(self) -> tuple[str, str, str, str]:
        return self.kind, self.namespace, self.device, self.direction


class Route:
    """The hops of one packet, from its EVENT records, its bytes at each of them, and its RESULT. ``from_router``: the router
    itself sends it, as these bytes."""

    def __init__(
        self, case: Case, events: np.ndarray, result: np.void, frames: Sequence[bytes], kind: str = "self", *,
        from_router: bytes | None = None,
    ) -> None:
        self._case, self._events, self._result, self._frames = case, events, result, frames
        self._kind, self._from_router = kind, from_router

    def hops(self) -> list[Hop]:
        return [
            Hop(self._kind_of(data), namespace, device, direction, data) for what, names, data in self._crossings()
            for namespace, device, direction in _named(what, names)]

    def _kind_of(self, data: bytes) -> str:
        """Of a reply or an error in pieces only the first shows what it is: the golden files call the others self."""
        return "self" if innermost(data).offset else self._kind

    def _crossings(self) -> Iterator[tuple[str, dict[str, str], bytes]]:
        """Names of :data:`STANDS_FOR` with what fills them, and the bytes there."""
        if self._from_router is not None:
            yield from self._out_of_router(self._from_router)
        for position, (event, data) in enumerate(zip(self._events, self._frames, strict=True)):
            device, out = Device(int(event["device"])), event["direction"] == Direction.OUT
            names = self._names(event)
            if device is Device.VETH:
                yield ("pod receives" if out else "pod sends"), names, data
            elif device in _TUNNELS:
                yield f"{_TUNNELS[device]} {'sends' if out else 'receives'}", names, data
            elif not out:
                yield ("node receives" if event["router"] else "outside receives"), names, data
            else:
                yield ("node sends" if event["router"] else "outside sends"), names, data
                yield from self._through_router(position, names)

    def _names(self, event: np.void) -> dict[str, str]:
        names = {}
        if event["router"]:
            router = self._case.intent.router(int(event["router"]))
            names = {"node": router.name, "subnet": self._subnet(router.id).name}
        if event["endpoint"]:
            names["pod"] = self._case.namespaces[int(event["endpoint"])]
        return names

    def _subnet(self, router: int) -> FabricSubnet:
        return self._case.intent.fabric.subnets[self._case.intent.router(router).subnet - 1]

    def _through_router(self, position: int, names: dict[str, str]) -> Iterator[tuple[str, dict[str, str], bytes]]:
        """From a sender's interface to the next one, as far as the packet gets: the router changes the TTL of the wire."""
        here, data = self._events[position], self._frames[position]
        arrives = position + 1 < len(self._events)
        if arrives and here["router"] and ipv4.parse(data)[0].ttl == ipv4.parse(self._frames[position + 1])[0].ttl:
            return                                 # straight over the bridge
        if not arrives and not self._reaches_router():
            return
        if here["router"]:
            yield ("to router" if self._is_taken_in(here, data) else "before router"), names, data
        if arrives and self._events[position + 1]["router"]:
            yield "from router", self._names(self._events[position + 1]), self._frames[position + 1]
        elif not arrives:
            yield from self._gone(aged(data))

    def _is_taken_in(self, event: np.void, data: bytes) -> bool:
        """Whether the router's leg takes a frame of this length."""
        return len(data) <= self._subnet(int(event["router"])).mtu + VLAN_TAG

    def _out_of_router(self, data: bytes) -> Iterator[tuple[str, dict[str, str], bytes]]:
        """What the router itself sends leaves by one of its legs."""
        if not len(self._events):
            yield from self._gone(data)
        elif self._events[0]["router"]:
            yield "from router", self._names(self._events[0]), self._frames[0]

    def _gone(self, data: bytes) -> Iterator[tuple[str, dict[str, str], bytes]]:
        """The router sends it, but no endpoint of the model gets it."""
        if self._leaves_by_default():
            yield "outside receives", {}, data
        elif self._result["reason"] == DropReason.DEST_CHECK:
            yield "from router", {"subnet": self._subnet(int(self._result["where"])).name}, data

    def _leaves_by_default(self) -> bool:
        """Whether the router hands the packet to its default gateway, the outside host, though that has not the address."""
        vpc, result = self._case.content["vpc"], self._result
        nobodys = result["verdict"] == Verdict.EXITED or result["reason"] == DropReason.FABRIC_NO_ROUTE
        return bool(
            nobodys and vpc["router_default_route"] and vpc.get("external")
            and int(result["dst"]) not in parse_prefix(vpc["external"]["cidr"]))

    def _reaches_router(self) -> bool:
        """Whether a packet that ends behind its sender's interface gets to the router; not past the check at its own port."""
        result, router = self._result, int(self._events[-1]["router"])
        if result["stage"] == Stage.FABRIC:
            return True
        return bool(
            result["reason"] == DropReason.DEST_CHECK
            and not (router and self._subnet(router) is self._subnet(int(result["where"]))))


def _named(what: str, names: dict[str, str]) -> list[tuple[str, str, str]]:
    return [
        (namespace.format(**names), device.format(**names), direction) for namespace, device, direction in STANDS_FOR[what]]


def fate(case: Case, hops: Sequence[Hop], filtered: Collection[str]) -> dict[str, object]:
    """How the packet ended and which ICMP errors it caused, in the golden files' words. ``filtered``: nodes at which reverse
    path filtering dropped something."""
    errors = _errors(case, hops)
    mine = [hop for hop in hops if hop.kind == "self"]
    return _end(case, mine, filtered) | ({"icmp_errors": errors} if errors else {})


def _end(case: Case, mine: Sequence[Hop], filtered: Collection[str]) -> dict[str, object]:
    """It was delivered if it came to where it is for and was not dropped for its way there: what the stack then makes of it,
    for example of pieces that wait for others in vain, is not looked at."""
    if not mine:
        return {"end": "not sent"}
    arrived = [hop for hop in mine if hop.direction == IN and _is_addressed(hop, case)]
    if arrived and arrived[-1].namespace not in filtered:
        last = arrived[-1]
        pieces = sum(hop.namespace == last.namespace for hop in arrived)
        return {"end": "delivered", "ns": last.namespace, "dev": last.device, "pieces": pieces}
    last = mine[-1]
    return {"end": "lost", "last_seen": {"ns": last.namespace, "dev": last.device, "dir": last.direction}}


def _is_addressed(hop: Hop, case: Case) -> bool:
    """Whether this is where the packet is for, and no tunnel's header is around it."""
    header = innermost(hop.data)
    return header.dst in case.addresses.get(hop.namespace, ()) and header == ipv4.parse(hop.data)[0]


def innermost(data: bytes) -> ipv4.Ipv4:
    """The innermost header that is no quotation."""
    return [layer.header for layer in dissect(data).layers if isinstance(layer.header, ipv4.Ipv4) and not layer.quoted][-1]


def _errors(case: Case, hops: Sequence[Hop]) -> list[dict[str, object]]:
    """Each error once for every pair of addresses that it had on its way, and whom it reached with them."""
    found: dict[tuple[object, ...], dict[str, object]] = {}
    reached: dict[tuple[int, int, int | None], str] = {}
    for hop in hops:
        if hop.kind != "error":
            continue
        ip, message = _message(hop.data)
        ends = ip.src, ip.dst, ip.length
        if hop.direction == OUT:
            told: dict[str, object] = {
                "type": message.type, "code": message.code, "src": format_address(ip.src), "dst": format_address(ip.dst),
                "len": ip.length}
            if (message.type, message.code) == FRAG_NEEDED:
                told["mtu"] = message.mtu
            found.setdefault((message.type, message.code, *ends), told)
        elif ip.dst in case.addresses.get(hop.namespace, ()):
            reached[ends] = hop.namespace
    return [
        told | ({"reached": reached[key[2:]]} if key[2:] in reached else {})      # type: ignore[index]
        for key, told in found.items()]


def _message(data: bytes) -> tuple[ipv4.Ipv4, icmp.Icmp]:
    """The innermost header that is no quotation, and the error."""
    return innermost(data), next(layer.header for layer in dissect(data).layers if isinstance(layer.header, icmp.Icmp))
