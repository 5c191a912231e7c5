"""A lost packet in words: the reason's sentence filled with the facts of this packet.

Facts come from the packet, its RESULT, its last EVENT and the Intent's objects; nothing is evaluated again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..control.intent import Object
from ..quantities import format_address
from ..vocabulary import DropReason, Encap, Stage, Verdict
from ..vocabulary.encaps import encapsulation
from .run import REASONS

if TYPE_CHECKING:
    import numpy as np

    from ..control.intent import Intent

_PORTS = {6: "TCP", 17: "UDP"}


@dataclass(frozen=True, slots=True)
class Header:
    """One IP header as it stood on an interface; ports are 0 where the protocol has none."""

    layer: str                            # inner | outer
    src: int
    dst: int
    protocol: int
    sport: int
    dport: int
    ttl: int
    length: int
    df: bool
    offset: int = 0                       # of a piece, bytes
    more: bool = False                    # pieces follow

    def __str__(self) -> str:
        source, target = format_address(self.src), format_address(self.dst)
        if self.protocol in _PORTS:
            source, target = f"{source}:{self.sport}", f"{target}:{self.dport}"
        piece = f", piece from byte {self.offset:,}{'' if self.more else ' to the end'}" if self.offset or self.more else ""
        size = f"{self.length:,} B{', DF' if self.df else ''}{piece}"
        return f"{protocol_word(self.protocol)} {source} → {target}, TTL {self.ttl}, {size}"


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a packet did not arrive. ``header`` is the one that was looked at (the outer one in the fabric)."""

    reason: DropReason
    stage: Stage
    place: int
    where: str
    sentence: str
    object: Object | None
    header: Header
    encap: Encap
    limit: int = 0


def protocol_word(protocol: int) -> str:
    return {1: "ICMP", 4: "IPIP", 6: "TCP", 17: "UDP"}.get(protocol, f"protocol {protocol}")


def service_of(header: Header) -> str:
    """What a filter would have to let through: ``TCP port 5432``, ``IP protocol 4 (IP-in-IP)``."""
    if header.protocol == 4:
        return "IP protocol 4 (IP-in-IP)"
    if header.protocol in _PORTS:
        return f"{_PORTS[header.protocol]} port {header.dport}"
    return protocol_word(header.protocol)


def named(intent: Intent, address: int) -> str:
    """An address with its owner's name, where it has one."""
    owner = intent.address_owners.get(address)
    name = intent.endpoint(owner).name if owner else intent.service_addresses.get(address)
    return f"{format_address(address)} ({name})" if name else format_address(address)


def place_name(intent: Intent, place: int) -> str:
    return intent.places[place - 1] if place else "outside"


def loss_of(intent: Intent, packet: np.void, result: np.void, headers: tuple[Header, ...]) -> Loss | None:
    """The loss of a packet, None if it was not dropped. ``headers`` as on the last interface, the outer one first."""
    if result["verdict"] != Verdict.DROPPED:
        return None
    reason, stage, place = REASONS[int(result["reason"])], Stage(int(result["stage"])), int(result["where"])
    encap = Encap(int(result["encap"])) if headers[0].layer == "outer" else Encap.NONE
    where, decider = place_name(intent, place), intent.object(int(result["detail"]))
    if stage is Stage.ENDPOINT and packet["ingress"]:
        where = intent.endpoint(int(packet["ingress"])).name
    size, limit = sizes(intent, packet, result, headers[0])
    facts = _Facts(
        src=named(intent, headers[0].src), dst=named(intent, headers[0].dst), where=where, size=f"{size:,}",
        limit=f"{limit:,}", protocol=service_of(headers[0]), what=_what(reason, stage, decider), instance=where)
    sentence = reason.sentence.format_map(facts)
    if reason is DropReason.ADDRESS_UNUSED and stage is Stage.ENDPOINT:
        sentence = f"{where} has no address, so it cannot send: {'; '.join(intent.failures) or 'IPAM gave it none'}"
    if reason is DropReason.MTU_EXCEEDED and size <= limit:      # not the device's MTU
        sentence = f"{size:,} bytes with DF set are more than the path takes, as {where} has learnt from an ICMP 3/4"
        limit = 0
    if reason is DropReason.FABRIC_NO_ROUTE and not any(headers[0].dst in pool.prefix for pool in intent.pools):
        sentence = f"{where} has no route to {named(intent, headers[0].dst)}"
    return Loss(reason, stage, place, where, sentence, decider, headers[0], encap, limit)


class _Facts(dict[str, str]):
    """A fact that is not known is left out."""

    def __missing__(self, key: str) -> str:
        return ""


def _what(reason: DropReason, stage: Stage, decider: Object | None) -> str:
    if reason is DropReason.MTU_EXCEEDED:
        return {Stage.ENDPOINT: "the interface", Stage.ENCAPSULATE: "eth0"}.get(stage, "the outgoing interface")
    if reason is DropReason.FABRIC_MTU:
        return "the cloud's network"
    if reason is DropReason.MALFORMED:
        return "it is shorter than its own headers"
    if reason is DropReason.POLICY_EGRESS and stage is Stage.LOCAL_IN:
        return "FelixConfiguration defaultEndpointToHostAction: Drop"
    if reason in (DropReason.POLICY_EGRESS, DropReason.POLICY_INGRESS) and decider:
        return _policy(decider)
    if reason is DropReason.ROUTE_QUOTA and decider:
        return decider.name
    return f"{decider.kind} {decider.name}" if decider else ""


def _policy(decider: Object) -> str:
    """A rule says so, or the end of a tier, or (the pod's own object) no profile had a word for it."""
    match decider.kind:
        case "PolicyRule":
            return decider.name
        case "Tier":
            return f"the end of tier {decider.name}"
        case _:
            return f"no profile of {decider.name}"


def sizes(intent: Intent, packet: np.void, result: np.void, header: Header) -> tuple[int, int]:
    """Bytes of a packet that is too large, and the MTU that it met (0: not an MTU's fault)."""
    reason, stage = REASONS[int(result["reason"])], Stage(int(result["stage"]))
    if reason is DropReason.FABRIC_MTU:
        internet = place_name(intent, int(result["where"])) in internet_places(intent)
        legs = [
            subnet.mtu for subnet in intent.fabric.subnets
            if subnet.mtu and (header.src in subnet.prefix or header.dst in subnet.prefix)]
        return header.length, intent.fabric.internet_mtu if internet else min([intent.fabric.mtu, *legs])
    if reason is not DropReason.MTU_EXCEEDED:
        return header.length, 0
    if stage is Stage.ENDPOINT:
        return int(packet["length"]), intent.endpoint(int(packet["ingress"])).mtu
    router = int(result["where"])
    if stage is Stage.ENCAPSULATE:
        return int(packet["length"]) + encapsulation(int(result["encap"])).overhead, intent.router(router).inputs.mtu
    return int(packet["length"]), mtu_towards(intent, router, int(result["dst"]))


def mtu_towards(intent: Intent, router: int, dst: int) -> int:
    """The MTU of the interface through which a node's route to an address leaves; 0: it has none."""
    matching = [route for route in intent.routes_of(router) if dst in route.prefix]
    best = max(matching, key=lambda route: route.prefix.length, default=None)
    return best.adjacency.mtu if best else 0


def internet_places(intent: Intent) -> set[str]:
    """Names of the internet gateways: after the routers each VPC has its router, then its gateway."""
    return set(intent.places[len(intent.routers) + 1 :: 2])


def mapping_of(header: Header) -> Mapping[str, object]:
    """A header as JSON shows it."""
    return {
        "layer": header.layer, "src": format_address(header.src), "dst": format_address(header.dst),
        "protocol": header.protocol, "sport": header.sport, "dport": header.dport, "ttl": header.ttl,
        "length": header.length, "df": header.df,
        **({"offset": header.offset, "moreFragments": header.more} if header.offset or header.more else {}),
    }
