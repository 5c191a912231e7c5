"""What will bite, found without sending a packet: facts of the scenario and of what the control plane made of it.

One function a topic, each giving findings with a code, a severity, a place and a cure. *error*: something that was
asked for cannot work; *warning*: it depends on the traffic; *fact*: worth knowing when reading results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..control.intent import Intent, Router
from ..errors import Mark
from ..quantities import network_of, plural
from ..vocabulary import Encap, EndpointKind, RouterFlag, RpFilter
from ..vocabulary.encaps import encapsulation

if TYPE_CHECKING:
    from .network import Network

SEVERITIES = ("error", "warning", "fact")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know. ``code`` is stable, ``mark`` is where to look, ``cure`` what to do about it."""

    code: str
    severity: str
    message: str
    cure: str
    mark: Mark


def lint(network: Network) -> list[Finding]:
    """All findings, errors first, then in the order of the file."""
    found = [finding for topic in _TOPICS for finding in topic(network)]
    unique = list(dict.fromkeys(found))
    return sorted(unique, key=lambda one: (SEVERITIES.index(one.severity), one.mark.file, one.mark.line))


def _mark(intent: Intent, number: int) -> Mark:
    """Where the object of that number was written."""
    one = intent.object(number)
    return one.mark if one else Mark("(scenario)")


def _named(routers: list[Router]) -> str:
    """``a-1, a-2, a-3 and 9 more``."""
    names = ", ".join(router.name for router in routers[:3])
    return names if len(routers) <= 3 else f"{names} and {len(routers) - 3:,} more"


def _near(mine: Router, other: Router) -> bool:
    """Whether CrossSubnet on ``mine`` takes ``other`` for a neighbour: by the sender's own recorded prefix."""
    return mine.inputs.recorded is not None and other.address in mine.inputs.recorded


def _encapsulations(intent: Intent) -> set[Encap]:
    """Encapsulations that some pool may ask for."""
    found = {Encap.IPIP for pool in intent.pools if pool.ipip != "Never" and not pool.disabled}
    return found | {Encap.VXLAN for pool in intent.pools if pool.vxlan != "Never" and not pool.disabled}


def _native_possible(intent: Intent) -> bool:
    """Whether some pool lets pods of two nodes talk without an outer header."""
    return any(
        not pool.disabled and "Always" not in (pool.ipip, pool.vxlan) for pool in intent.pools)


def _checks_on(network: Network) -> Iterator[Finding]:
    """Pod addresses on an interface that may only use its own."""
    intent = network.intent
    if not _native_possible(intent):
        return
    by_subnet: dict[int, list[Router]] = {}
    for router in intent.routers:
        by_subnet.setdefault(router.subnet, []).append(router)
    checked = [
        router for routers in by_subnet.values() if len(routers) > 1 for router in routers
        if router.flags & RouterFlag.SOURCE_DEST_CHECK]
    if checked:
        yield Finding(
            "CHECK_ON", "error",
            f"the source/destination check is on for {_named(checked)}, and pods of one subnet talk without encapsulation: "
            "their packets carry addresses that the instance does not own",
            "aws ec2 modify-instance-attribute --no-source-dest-check on each, or awsSrcDstCheck: Disable, or ipipMode: Always",
            _mark(intent, checked[0].decided_by))


def _tunnels_filtered(network: Network) -> Iterator[Finding]:
    """Security groups that do not let the outer header in."""
    intent = network.intent
    for encap in sorted(_encapsulations(intent)):
        wrapping = encapsulation(encap)
        closed = [
            router for router in intent.routers
            if router.groups and not _lets_in(intent, router, wrapping.protocol, wrapping.port)]
        if closed and len(intent.routers) > 1:
            group = intent.fabric.groups[closed[0].groups[0] - 1]
            yield Finding(
                f"NO_{wrapping.title}", "error",
                f"no rule lets {wrapping.requirement} from other nodes into {_named(closed)} (security group {group.name}); "
                f"the cloud sees only the {wrapping.title} header",
                f"allow {wrapping.requirement} from the nodes' group", _mark(intent, group.decided_by))


def _lets_in(intent: Intent, router: Router, protocol: int, port: int) -> bool:
    """Whether some other node's outer header may enter; every other node is asked until one may."""
    rules = [rule for number in router.groups for rule in intent.fabric.groups[number - 1].ingress]
    peers = {(peer.groups, peer.subnet): peer for peer in intent.routers if peer.id != router.id}
    return not peers or any(
        rule.matches(protocol, port, peer.address, peer.groups) for rule in rules for peer in peers.values())


def _no_nat(network: Network) -> Iterator[Finding]:
    for pool in network.topology.resources.pools:
        if not pool.nat_outgoing and not pool.disabled:
            yield Finding(
                "NAT_OFF", "warning",
                f"natOutgoing is off for {pool.cidr}: pods keep their own addresses towards nodes and the outside, "
                "where nobody has a route back",
                f"calicoctl patch ippool {pool.name} -p '{{\"spec\": {{\"natOutgoing\": true}}}}'", pool.mark)


def _slash32(network: Network) -> Iterator[Finding]:
    intent = network.intent
    crossing = any("CrossSubnet" in (pool.ipip, pool.vxlan) for pool in intent.pools)
    narrow = [router for router in intent.routers if router.inputs.recorded is not None and router.inputs.recorded.length == 32]
    if crossing and narrow:
        yield Finding(
            "SLASH_32", "warning",
            f"Calico holds {_named(narrow)} with a /32, so CrossSubnet takes every other node for another subnet "
            "and always encapsulates",
            "record the address with the subnet's prefix length (Node spec.bgp.ipv4Address)",
            _mark(intent, narrow[0].decided_by))
    unknown = [router for router in intent.routers if router.inputs.recorded is None]
    if crossing and unknown:
        yield Finding(
            "NO_RECORDED_ADDRESS", "warning",
            f"Calico does not know an address of {_named(unknown)}, so nothing is encapsulated there",
            "give the Node document a spec.bgp.ipv4Address",
            _mark(intent, unknown[0].decided_by))


def _overlaps(network: Network) -> Iterator[Finding]:
    entities = network.topology.entities
    for pool in network.topology.resources.pools:
        for subnet in entities.subnets.values():
            if pool.cidr.overlaps(subnet.prefix):
                yield Finding(
                    "POOL_OVERLAPS_SUBNET", "error",
                    f"IP pool {pool.cidr} overlaps subnet {subnet.name} ({subnet.prefix}): addresses of pods and of machines "
                    "collide, and packets to the subnet count as pod traffic (no natOutgoing)",
                    "move the pool to a range outside the VPC", pool.mark)


def _mtus(network: Network) -> Iterator[Finding]:
    intent = network.intent
    felix = network.topology.resources.felix
    encaps = _encapsulations(intent)
    for encap in sorted(encaps):
        wrapping = encapsulation(encap)
        tight = [
            router for router in intent.routers
            if _device_mtu(router, encap) + wrapping.overhead > router.inputs.mtu and _device_mtu(router, encap)]
        if tight:
            room = min(router.inputs.mtu for router in tight) - wrapping.overhead
            yield Finding(
                "MTU_TOO_LARGE", "error",
                f"{wrapping.device} of {_named(tight)} takes packets of {_device_mtu(tight[0], encap):,} bytes, but with "
                f"{wrapping.overhead} bytes around them they exceed eth0 ({tight[0].inputs.mtu:,} bytes)",
                f"set {'ipipMTU' if encap is Encap.IPIP else 'vxlanMTU'} to at most {room:,}", felix.mark)
    mtus = {router.inputs.mtu for router in intent.routers}
    if len(mtus) > 1:
        yield Finding(
            "MTU_MIXED", "warning",
            f"nodes have links of different MTU ({', '.join(f'{mtu:,}' for mtu in sorted(mtus))} bytes): large packets pass "
            "between some nodes only", "give all nodes one MTU, or set the pods' to the smallest", Mark(network.scenario.path))


def _device_mtu(router: Router, encap: Encap) -> int:
    return router.inputs.ipip_mtu if encap is Encap.IPIP else router.inputs.vxlan_mtu


def _addressless(network: Network) -> Iterator[Finding]:
    intent = network.intent
    without = [endpoint for endpoint in intent.endpoints if endpoint.kind is EndpointKind.POD and not endpoint.address]
    if without:
        yield Finding(
            "POD_WITHOUT_ADDRESS", "error", f"{plural(len(without), 'pod')} got no address, {without[0].name} first",
            "calisim ipam shows what is used; a larger pool, smaller blocks, or strictAffinity: false",
            _mark(intent, without[0].decided_by))


def _outcomes(network: Network) -> Iterator[Finding]:
    """Outcomes of the control plane that nobody wants: routes over quota, addresses that ran out."""
    for failure in network.intent.failures:
        message, _, cure = failure.rpartition("; ")
        code = "ROUTE_QUOTA" if "route" in failure else "IPAM"
        yield Finding(code, "error", message or cure, cure if message else "", Mark(network.scenario.path))


def _unlike_masks(network: Network) -> Iterator[Finding]:
    """One node takes the other for a neighbour, not the other way round: packets go native, answers tunnelled."""
    intent = network.intent
    if not any("CrossSubnet" in (pool.ipip, pool.vxlan) for pool in intent.pools):
        return
    views: dict[tuple[object, object], Router] = {}
    for router in intent.routers:
        views.setdefault((router.inputs.recorded, router.subnet), router)
    kinds = list(views.values())[:500]
    for mine in kinds:
        for other in kinds:
            if mine.id < other.id and _near(mine, other) != _near(other, mine):
                strict = RpFilter.STRICT in (mine.rp_filter, other.rp_filter)
                drops = ", and strict rp_filter drops what comes in by the wrong device" if strict else ""
                yield Finding(
                    "MASKS_DIFFER", "error" if strict else "warning",
                    f"{mine.name} ({mine.inputs.recorded}) and {other.name} ({other.inputs.recorded}) disagree on being "
                    f"neighbours: one encapsulates, the other does not{drops}",
                    "record one prefix length for all nodes of a subnet", _mark(intent, mine.decided_by))
                return


def _unmodelled(network: Network) -> Iterator[Finding]:
    for warning in (*network.scenario.warnings, *network.intent.warnings):
        place, text = _split(warning)
        yield Finding("NOT_MODELLED" if "model" in text else "NOTICE", "warning", text, "", place or Mark(network.scenario.path))


def _split(warning: str) -> tuple[Mark | None, str]:
    """``FILE:LINE:COLUMN: text`` → the place and the text."""
    parts = warning.split(": ", 1)
    place = parts[0].rsplit(":", 2)
    if len(parts) == 2 and len(place) == 3 and place[1].isdecimal() and place[2].isdecimal():
        return Mark(place[0], int(place[1]), int(place[2])), parts[1]
    return None, warning


def _facts(network: Network) -> Iterator[Finding]:
    intent, path = network.intent, Mark(network.scenario.path)
    for assumption in (*network.scenario.assumptions, *intent.assumptions):
        yield Finding("ASSUMPTION", "fact", assumption, "", path)
    if not network.scenario.spec.traffic:
        yield Finding(
            "NO_TRAFFIC", "fact", "the scenario sends nothing, so run and compare have nothing to tell", "add spec.traffic", path)
    wide = [
        router for router in intent.routers if router.inputs.recorded is not None and router.inputs.recorded.length != 32
        and router.inputs.recorded != network_of(router.address, router.inputs.link.length)]
    if wide:
        yield Finding(
            "MASK_NOT_THE_LINKS", "fact",
            f"Calico holds {_named(wide)} with {wide[0].inputs.recorded}, the interface has {wide[0].inputs.link}; CrossSubnet "
            "goes by the former", "", _mark(intent, wide[0].decided_by))


_TOPICS: tuple[Callable[[Network], Iterator[Finding]], ...] = (
    _checks_on, _tunnels_filtered, _no_nat, _slash32, _overlaps, _mtus, _addressless, _outcomes, _unlike_masks, _unmodelled,
    _facts,
)
