"""A case.json → the Intent of its cluster, and who is who in it.

Addresses, blocks and tunnel addresses are fixed by the case; what follows from them (routes, encapsulation, natOutgoing) comes
from the control plane's own code. Reads nothing but the case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...control.intent import (
    Advert, Block, Endpoint, Fabric, FabricRoute, FabricSubnet, Intent, Peer, Pool, Router, RoutingInputs,
)
from ...control.nat import nat_rule
from ...control.objects import Objects
from ...control.owners import owners
from ...control.routing import PodRoutes, RemoteRoutes, affine, own_routes
from ...errors import Mark
from ...model.providers.linux import PROVIDER
from ...quantities import Prefix, network_of, parse_address, parse_prefix
from ...datapath.deparse import Tunnels
from ...scenario.resources import IPPool
from ...sequences import Joined
from ...vocabulary import Encap, EndpointKind, RouterFlag, RpFilter, TargetKind
from ...vocabulary.chance import fnv1a_32
from ..files import read_json

MAX_BYTES = 16 << 20
ERA = (3, 26)                          # BIRD writes the routes of ipip and unencapsulated pools
SEED = 1
OUTSIDE, ROUTER = "ext", "router"      # names of the namespaces that no section of a case names
DEFAULT_ECHO = 7                       # identifier, where the case does not say
DEAF = 8                               # arp_ignore: the interface answers no ARP request
DEAFENING = ("ipv4/conf/all/arp_ignore", "ipv4/conf/eth0/arp_ignore")


@dataclass(frozen=True)
class Case:
    """One situation: the whole of its case.json, and the Intent made from it."""

    name: str
    content: Mapping[str, Any]
    intent: Intent

    @property
    def packets(self) -> Sequence[Mapping[str, Any]]:
        return self.content["packets"]

    @cached_property
    def addresses(self) -> dict[str, tuple[int, ...]]:
        """Own addresses of each namespace; the first is the one that its packets come from."""
        content, devices = self.content, _devices(self.content)
        found: dict[str, tuple[int, ...]] = {name: (parse_address(pod["ip"]),) for name, pod in content["pods"].items()}
        for name, node in content["nodes"].items():
            tunnel = (parse_address(node["tunnel_ip"]),) if devices else ()
            found[name] = (parse_address(node["ip"]), *tunnel)
        found[ROUTER] = tuple(parse_address(subnet["router"]) for subnet in content["vpc"]["subnets"].values())
        if external := content["vpc"].get("external"):
            found[ROUTER] += (parse_address(external["router"]),)
            found[OUTSIDE] = tuple(map(parse_address, external["hosts"]))
        return found

    @cached_property
    def namespaces(self) -> dict[int, str]:
        """Name of the namespace of each endpoint, by endpoint id."""
        return {endpoint.id: OUTSIDE if endpoint.kind is EndpointKind.HOST else endpoint.name.rpartition("/")[2]
                for endpoint in self.intent.endpoints}

    def sender(self, namespace: str, source: int) -> Endpoint:
        """The endpoint of a namespace: of several with one name (addresses of the outside host) the one with this address."""
        mine = [self.intent.endpoint(number) for number, name in self.namespaces.items() if name == namespace]
        return next((endpoint for endpoint in mine if endpoint.address == source), mine[0])

    def device_mtu(self, sender: Endpoint, destination: int) -> int:
        """MTU of the device by which the packets of an endpoint leave."""
        if sender.kind is not EndpointKind.NODE:
            return sender.mtu
        routes = [route for route in self.intent.routes_of(sender.router) if destination in route.prefix]
        return max(routes, key=lambda route: route.prefix.length).adjacency.mtu

    @property
    def written(self) -> frozenset[int]:
        """Ports and echo identifiers that the case writes."""
        layers = [layer for packet in self.packets for name in ("udp", "tcp", "icmp") if (layer := packet.get(name)) is not None]
        said = {layer[name] for layer in layers for name in ("sport", "dport", "id") if name in layer}
        return frozenset(said | {DEFAULT_ECHO, self.content["vxlan"]["port"]})

    @property
    def silent(self) -> frozenset[int]:
        """Places that send no ICMP errors."""
        return frozenset() if self.content["vpc"]["icmp_from_router"] else frozenset({self.router_place})

    @property
    def router_place(self) -> int:
        return len(self.intent.routers) + 1

    def answers(self, namespace: str) -> bool:
        """Whether the stack of an endpoint answers by itself."""
        return bool(self.content["stack"].get(namespace) == "real")

    @property
    def unmodelled(self) -> str:
        """Kernel settings of the case that the model does not know."""
        said = (f"{name} {setting}" for name, settings in self.content["sysctl"].items() for setting in settings
                if setting not in DEAFENING)
        return ", ".join(said)

    @cached_property
    def tunnels(self) -> Tunnels:
        """What its tunnel devices put on the wire. ``udpcsum`` not said: as `ip link` makes the device, with a checksum."""
        device, nodes = self.content["vxlan"], self.content["nodes"].values()
        return Tunnels(
            self.intent.seed, device["vni"], device["port"], device["udpcsum"] is not False,
            {parse_address(node["ip"]): bytes.fromhex(node["vtep_mac"].replace(":", "")) for node in nodes})


def read(folder: Path) -> Case:
    """The case of a folder. Whatever is wrong with it is raised as it comes: such a case cannot run."""
    path = folder / "case.json"
    content = read_json(path, MAX_BYTES)
    return Case(content.get("name", folder.name), content, intent_of(content, Mark(str(path))))


def intent_of(case: Mapping[str, Any], mark: Mark) -> Intent:
    """All decisions for the cluster of a case."""
    objects = Objects()
    fabric = _fabric(case, objects, mark)
    written = [_written(pool, mark) for pool in case["pools"]]
    pools = [_pool(pool, objects) for pool in written]
    routers = _routers(case, objects, mark)
    endpoints = _endpoints(case, routers, objects, mark)
    blocks = _blocks(case, pools)
    routes_by = owners(ERA, None, None)
    writers = [routes_by.of(pool.ipip, pool.vxlan) for pool in pools]
    peers = [Peer(router.address, router.vxlan_address, router.inputs.vpc, router.inputs.mesh) for router in routers]
    deciders = [pool.decided_by for pool in pools], [subnet.decided_by for subnet in fabric.subnets]
    own = Joined(own_routes(item, writers, *deciders) for item in affine(routers, blocks))
    return Intent(
        name=case.get("name", ""), seed=SEED, routers=routers, endpoints=endpoints, pools=tuple(pools), blocks=blocks,
        adverts=tuple(Advert(block.prefix, block.affinity, block.pool, peer=peers[block.affinity - 1]) for block in blocks),
        nat=nat_rule(written),
        fabric=fabric, objects=tuple(objects.all), places=(*(router.name for router in routers), ROUTER, OUTSIDE),
        tunnel_senders=frozenset(router.address for router in routers),
        remote_route=RemoteRoutes(routes_by, writers, pools).remote_route, own_routes=own,
        pod_routes=PodRoutes(ERA, endpoints).of,
        icmp_ratelimit=case["icmp_ratelimit"])


def _written(pool: Mapping[str, Any], mark: Mark) -> IPPool:
    mode = {"ipip": "ipip_mode", "vxlan": "vxlan_mode"}[pool["mode"]]
    return IPPool(pool["cidr"], parse_prefix(pool["cidr"]), nat_outgoing=pool["nat_outgoing"], mark=mark, **{mode: pool["encap"]})


def _pool(pool: IPPool, objects: Objects) -> Pool:
    return Pool(
        pool.name, pool.cidr, pool.block_size, pool.ipip_mode, pool.vxlan_mode, pool.nat_outgoing, disabled=False, export=True,
        decided_by=objects.add("IPPool", pool.name, pool.mark))


def _devices(case: Mapping[str, Any]) -> frozenset[Encap]:
    """Tunnel devices that every node has."""
    modes = {pool["mode"] for pool in case["pools"] if pool["encap"] != "Never"}
    return frozenset(encap for encap in (Encap.IPIP, Encap.VXLAN) if encap.name.lower() in modes)


def _routers(case: Mapping[str, Any], objects: Objects, mark: Mark) -> tuple[Router, ...]:
    devices, mtu, filters = _devices(case), case["mtu"], case["rp_filter"]
    flags = RouterFlag.RANDOM_FULLY if case["random_fully"] else RouterFlag(0)
    flags |= RouterFlag(0) if case["tunnel_masquerade"] else RouterFlag.NO_TUNNEL_MASQUERADE
    flags |= RouterFlag.SOURCE_DEST_CHECK if case["vpc"]["src_dst_check"] else RouterFlag(0)
    names = list(case["vpc"]["subnets"])
    routers = []
    for number, (name, node) in enumerate(case["nodes"].items(), start=1):
        subnet = case["vpc"]["subnets"][node["subnet"]]
        link, address = parse_prefix(subnet["cidr"]), parse_address(node["ip"])
        tunnel = parse_address(node["tunnel_ip"])
        inputs = RoutingInputs(
            network_of(address, link.length), link, parse_address(subnet["router"]), mtu["fabric"],
            mtu["tunnel"] if Encap.IPIP in devices else 0, mtu["tunnel"] if Encap.VXLAN in devices else 0, "lab", ("mesh",))
        routers.append(Router(
            number, fnv1a_32(name), name, address, inputs, names.index(node["subnet"]) + 1, node["subnet"],
            tunnel if Encap.IPIP in devices else 0, tunnel if Encap.VXLAN in devices else 0, mtu["pod"],
            _rp_filter(filters, "eth0"), flags, (), 0, objects.add("Node", name, mark),
            _rp_filter(filters, "cali"), _rp_filter(filters, "tunnel")))
    return tuple(routers)


def _rp_filter(filters: Mapping[str, int], device: str) -> RpFilter:
    """The larger number counts (Documentation/networking/ip-sysctl)."""
    return RpFilter(max(filters["all"], filters[device]))


def _endpoints(
    case: Mapping[str, Any], routers: Sequence[Router], objects: Objects, mark: Mark,
) -> tuple[Endpoint, ...]:
    endpoints = [
        Endpoint(router.id, EndpointKind.NODE, f"node/{router.name}", router.address, router.id, router.inputs.mtu, "eth0",
                 router.decided_by)
        for router in routers]
    external = case["vpc"].get("external") or {"hosts": [], "mtu": 0}
    for address in external["hosts"]:
        endpoints.append(Endpoint(
            len(endpoints) + 1, EndpointKind.HOST, f"host/{address}", parse_address(address), 0, external["mtu"], "eth0",
            objects.add("Host", address, mark)))
    numbers = {router.name: router.id for router in routers}
    for name, pod in case["pods"].items():
        endpoints.append(Endpoint(
            len(endpoints) + 1, EndpointKind.POD, f"lab/{name}", parse_address(pod["ip"]), numbers[pod["node"]], pod["mtu"],
            f"cali{name}", objects.add("Endpoint", f"lab/{name}", mark)))
    return tuple(endpoints)


def _blocks(case: Mapping[str, Any], pools: Sequence[Pool]) -> tuple[Block, ...]:
    """The block that each node is said to have; the first pool that covers it is its pool."""
    blocks = []
    for number, node in enumerate(case["nodes"].values(), start=1):
        prefix = parse_prefix(node["block"])
        pool = next(index for index, pool in enumerate(pools) if pool.prefix.covers(prefix))
        blocks.append(Block(prefix, pool, number))
    return tuple(blocks)


def _fabric(case: Mapping[str, Any], objects: Objects, mark: Mark) -> Fabric:
    """A Linux router with a leg in each subnet and one to the outside; it knows its own links and nothing of pods."""
    vpc, place = case["vpc"], len(case["nodes"]) + 1
    routes = [(parse_prefix(subnet["cidr"]), TargetKind.LOCAL) for subnet in vpc["subnets"].values()]
    external = vpc.get("external")
    if external:
        routes.append((parse_prefix(external["cidr"]), TargetKind.OUTSIDE))
        if vpc["router_default_route"]:
            routes.append((Prefix(0, 0), TargetKind.OUTSIDE))
    table = tuple(
        FabricRoute(prefix, target, decided_by=objects.add("Route", str(prefix), mark)) for prefix, target in routes)
    subnets = tuple(
        FabricSubnet(name, parse_prefix(subnet["cidr"]), parse_address(subnet["router"]), 0, place, vpc=1, zone=name,
                     decided_by=objects.add("Subnet", name, mark), mtu=subnet["router_mtu"])
        for name, subnet in vpc["subnets"].items())
    heard = {
        parse_address(node["ip"]): number for number, (name, node) in enumerate(case["nodes"].items(), start=1)
        if not _is_deaf(case, name)}
    return Fabric(
        subnets, (table,), (), heard, PROVIDER.decrements_ttl, PROVIDER.routes_pods, mtu=case["mtu"]["fabric"],
        internet_mtu=external["mtu"] if external else case["mtu"]["fabric"],
        outside_address=parse_address(external["router"]) if external else 0,
        decided_by=objects.add("Provider", PROVIDER.name, mark))


def _is_deaf(case: Mapping[str, Any], node: str) -> bool:
    """A node that answers no ARP request: nobody on the link has its address."""
    set_here = case["sysctl"].get(node, {})
    return any(int(set_here.get(setting, 0)) == DEAF for setting in DEAFENING)
