"""A node's main routing table: its own link and pods, and what it learns of the blocks of others.

BIRD's routes follow its kernel filter (:mod:`.owners`), Felix' its route managers (felix/calc/l3_route_resolver.go,
felix/dataplane/linux: route_mgr, vxlan_mgr, ipip_mgr, noencap_mgr). A node decides alone, with its own recorded prefix.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from operator import attrgetter

from ..quantities import Prefix
from ..sequences import runs
from ..vocabulary import AdjacencyKind, Device, DropReason, Encap, EndpointKind
from ..vocabulary.encaps import encapsulation
from .encapsulation import encapsulate
from .intent import Adjacency, Advert, Block, Endpoint, Peer, Pool, Route, Router, RoutingInputs
from .owners import KernelFilter, Owners, kernel_filter

ETHERNET = "eth0"
TUNL0 = encapsulation(Encap.IPIP).device
VXLAN_CALICO = encapsulation(Encap.VXLAN).device
FELIX_PROTOCOL = "80"
WORKLOAD_METRIC_ERA = (3, 32)      # from here on Felix gives workload routes its ipv4NormalRoutePriority
WORKLOAD_METRIC = 1024
DHCP_METRIC = 100


@dataclass(frozen=True)
class RemoteRoutes:
    """What nodes learn of each other's adverts; ``writers`` of each pool's routes: ``bird``, ``felix`` or "" (:mod:`.owners`)."""

    owners: Owners
    writers: Sequence[str]
    pools: Sequence[Pool]

    @cached_property
    def _filters(self) -> dict[tuple[int, Prefix | None], KernelFilter]:
        """By pool and recorded prefix: the question comes with each advert."""
        return {}

    def remote_route(self, inputs: RoutingInputs, advert: Advert) -> Route | None:
        """The route of a node with these inputs to an advert of another, or None where nobody tells it one."""
        pool, peer = self.pools[advert.pool], advert.peer
        owner = self.writers[advert.pool]
        if owner == "bird":
            return self._bird(inputs, advert, pool, peer) if inputs.mesh and inputs.mesh == peer.mesh else None
        return self._felix(inputs, advert, pool, peer) if owner == "felix" else None

    def _bird(self, inputs: RoutingInputs, advert: Advert, pool: Pool, peer: Peer) -> Route:
        key = advert.pool, inputs.recorded
        rule = self._filters.get(key)
        if rule is None:
            rule = self._filters[key] = kernel_filter(pool.ipip, pool.vxlan, self.owners, inputs.recorded)
        if inputs.ipip_mtu and rule.tunnel_to(peer.address):
            adjacency = _tunnel(Encap.IPIP, inputs.ipip_mtu, peer, pool)
            return Route(advert.prefix, adjacency, TUNL0, peer.address, "bird", onlink=True)
        # BIRD resolves the BGP next hop: on the link it is the peer, else whatever the route to the peer goes through
        via = peer.address if _on_link(inputs, peer) else inputs.gateway
        return Route(advert.prefix, _native(inputs, via, pool), ETHERNET, via, "bird")

    def _felix(self, inputs: RoutingInputs, advert: Advert, pool: Pool, peer: Peer) -> Route | None:
        encap = encapsulate(pool.ipip, pool.vxlan, inputs.recorded, peer.address)
        if encap is Encap.NONE:
            if not _on_link(inputs, peer):
                return None                       # the kernel refuses a next hop that is on no link
            return Route(advert.prefix, _native(inputs, peer.address, pool), ETHERNET, peer.address, FELIX_PROTOCOL)
        if encap is Encap.IPIP:
            if not inputs.ipip_mtu:
                return None
            return Route(
                advert.prefix, _tunnel(encap, inputs.ipip_mtu, peer, pool), TUNL0, peer.address, FELIX_PROTOCOL, onlink=True)
        if not inputs.vxlan_mtu or not peer.vxlan_address:
            return None
        adjacency = _tunnel(encap, inputs.vxlan_mtu, peer, pool)
        if advert.prefix == Prefix(peer.vxlan_address, 32):      # its own next hop: directly on the device
            return Route(advert.prefix, adjacency, VXLAN_CALICO, protocol="", scope_link=True)
        return Route(advert.prefix, adjacency, VXLAN_CALICO, peer.vxlan_address, "", onlink=True)


def affine(routers: Sequence[Router], blocks: Sequence[Block]) -> list[tuple[Sequence[Router], Sequence[Block]]]:
    """Routers, run by run, with their blocks; ``blocks`` are by router."""
    blocks = tuple(blocks)
    found: list[tuple[Sequence[Router], Sequence[Block]]] = []
    first = 0
    for run in runs(routers):
        last = bisect_right(blocks, run[-1].id, first, key=attrgetter("affinity"))
        found.append((run, blocks[first:last]))
        first = last
    return found


def own_routes(
    item: tuple[Sequence[Router], Sequence[Block]], writers: Sequence[str], pool_objects: Sequence[int],
    subnet_objects: Sequence[int],
) -> tuple[tuple[Route, ...], ...]:
    """Default, link, blackholes of each router's blocks. ``writers`` of each pool's routes; object ids of pools, of subnets."""
    routers, blocks = item
    owned = {number: tuple(some) for number, some in groupby(blocks, attrgetter("affinity"))}
    return tuple(
        (*_link(router, subnet_objects[router.subnet - 1]), *_blackholes(owned.get(router.id, ()), writers, pool_objects))
        for router in routers)


def _link(router: Router, decider: int) -> tuple[Route, ...]:
    inputs = router.inputs
    attached, gateway = _towards_link(inputs.mtu, inputs.gateway, decider)
    return (
        Route(Prefix(0, 0), gateway, ETHERNET, inputs.gateway, "dhcp", source=router.address, metric=DHCP_METRIC),
        Route(inputs.link, attached, ETHERNET, scope_link=True, source=router.address),
        Route(
            Prefix(inputs.gateway, 32), attached, ETHERNET, protocol="dhcp", scope_link=True, source=router.address,
            metric=DHCP_METRIC),
    )


def _blackholes(blocks: Sequence[Block], writers: Sequence[str], pool_objects: Sequence[int]) -> list[Route]:
    """One for each own block of more than one address; a /32 would hide its pod."""
    routes = []
    for block in blocks:
        writer = writers[block.pool]
        if writer and block.prefix.length < 32:
            drop = Adjacency(
                AdjacencyKind.DROP, Device.NONE, 0, reason=DropReason.BLACKHOLE, decided_by=pool_objects[block.pool])
            routes.append(Route(block.prefix, drop, "", protocol="bird" if writer == "bird" else FELIX_PROTOCOL))
    return routes


@lru_cache(maxsize=1024)
def _towards_link(mtu: int, gateway: int, decider: int) -> tuple[Adjacency, Adjacency]:
    """To the link itself, and to its gateway: all nodes of a subnet share them."""
    return (
        Adjacency(AdjacencyKind.ATTACHED, Device.ETHERNET, mtu, decided_by=decider),
        Adjacency(AdjacencyKind.REMOTE, Device.ETHERNET, mtu, gateway, decided_by=decider))


@dataclass(frozen=True)
class PodRoutes:
    """A node's routes to its pods."""

    era: tuple[int, int]
    endpoints: Sequence[Endpoint]

    @cached_property
    def _residents(self) -> Mapping[int, Sequence[Endpoint]]:
        """Pods with an address, by router."""
        pods: dict[int, list[Endpoint]] = {}
        for endpoint in self.endpoints:
            if endpoint.kind is EndpointKind.POD and endpoint.address:
                pods.setdefault(endpoint.router, []).append(endpoint)
        return pods

    def of(self, number: int) -> tuple[Route, ...]:
        return tuple(self._workload(pod) for pod in self._residents.get(number, ()))

    def _workload(self, pod: Endpoint) -> Route:
        local = Adjacency(AdjacencyKind.LOCAL, Device.VETH, pod.mtu, endpoint=pod.id, decided_by=pod.decided_by)
        metric = WORKLOAD_METRIC if self.era >= WORKLOAD_METRIC_ERA else 0
        return Route(Prefix(pod.address, 32), local, pod.interface, protocol="", scope_link=True, metric=metric)


def export_allowed(pool: Pool, owners: Owners, *, inside_own_block: bool) -> bool:
    """Whether other nodes can learn an advert of this pool.

    BIRD exports a whole block of any pool, a single (borrowed) address of enabled pools only, and nothing of a pool
    with disableBGPExport. What Felix programs does not depend on BGP.
    """
    if owners.of(pool.ipip, pool.vxlan) != "bird":
        return True
    return pool.export and (inside_own_block or not pool.disabled)


def _on_link(inputs: RoutingInputs, peer: Peer) -> bool:
    return inputs.vpc == peer.vpc and peer.address in inputs.link


def _native(inputs: RoutingInputs, via: int, pool: Pool) -> Adjacency:
    return Adjacency(AdjacencyKind.REMOTE, Device.ETHERNET, inputs.mtu, via, decided_by=pool.decided_by)


def _tunnel(encap: Encap, mtu: int, peer: Peer, pool: Pool) -> Adjacency:
    device = Device.IPIP if encap is Encap.IPIP else Device.VXLAN
    return Adjacency(AdjacencyKind.TUNNEL, device, mtu, peer.address, encap, decided_by=pool.decided_by)


