"""Intent: what the control plane decided, as plain values. The contract between control and datapath.

Above it nobody knows arrays, below it nobody knows VPCs. It holds decisions, not expanded tables:
:meth:`Intent.routes_of` derives one router's routes when asked. All ids are 1-based; 0 is *none*.

Routers are the nodes, in the order of the topology. Endpoints are the nodes first (endpoint id ==
router id), then the hosts, then the pods. Places are where a packet can end: the routers (same ids), then for
each VPC its router and its internet gateway. Objects are what can have decided a fate: pools, nodes,
security groups and rules, NACL rules, route entries, policies, with file and line; then the nodes and the pods. In between are
ids that stand for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha1
from typing import NamedTuple

from ..errors import Mark
from ..quantities import Prefix, network_of
from ..vocabulary import (
    AdjacencyKind, Device, DropReason, Encap, EndpointKind, RouterFlag, RpFilter, TargetKind,
)
from .policing import Policing


class Object(NamedTuple):
    """Something that decides: ``kind`` is a word of the field (IPPool, Node, SecurityGroup, Route, NetworkAcl …)."""

    kind: str
    name: str
    mark: Mark


class Adjacency(NamedTuple):
    """What a route does with a packet.

    ``next_hop``: REMOTE – the on-link address that gets the frame; TUNNEL – the outer destination;
    else 0 (ATTACHED: the destination itself). ``endpoint`` is set on LOCAL, ``reason`` on DROP.
    ``mtu`` is the output device's, in bytes of IP total length.
    """

    kind: AdjacencyKind
    device: Device
    mtu: int
    next_hop: int = 0
    encap: Encap = Encap.NONE
    endpoint: int = 0
    reason: DropReason = DropReason.NONE
    decided_by: int = 0                   # object id


class Route(NamedTuple):
    """A row of a node's main table as ``ip route`` shows it, with the adjacency it stands for."""

    prefix: Prefix
    adjacency: Adjacency
    interface: str                        # eth0, tunl0, vxlan.calico, cali…; "" for a blackhole
    via: int = 0                          # as printed: for VXLAN the peer's tunnel address
    protocol: str = "kernel"              # bird, 80, kernel, dhcp, ""
    onlink: bool = False
    scope_link: bool = False
    source: int = 0                       # src … of the route
    metric: int = 0


@dataclass(frozen=True, slots=True)
class Pool:
    """An IP pool after conversion to v3 and defaults."""

    name: str
    prefix: Prefix
    block_size: int
    ipip: str                             # Never | Always | CrossSubnet
    vxlan: str
    nat_outgoing: bool
    disabled: bool
    export: bool                          # not disableBGPExport
    node_selector: str = "all()"
    namespace_selector: str = ""
    allowed_uses: tuple[str, ...] = ("Workload", "Tunnel")
    automatic: bool = True
    decided_by: int = 0


@dataclass(frozen=True, slots=True)
class Peer:
    """A node as others know it: the address that Calico recorded, its VTEP, its VPC and its BGP sessions."""

    address: int
    vxlan_address: int
    vpc: str
    mesh: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Advert:
    """A block, or a borrowed or tunnel address, that other nodes learn a route to.

    ``owner`` is the router that has it. ``exported`` is False when nobody learns of it (disableBGPExport
    with BGP-programmed routes). ``tunnel`` addresses of borrowed blocks are adverts of length 32, too.
    """

    prefix: Prefix
    owner: int
    pool: int                             # index in Intent.pools
    exported: bool = True
    borrowed: bool = False
    peer: Peer = Peer(0, 0, "", ())       # the owner, as all that routes to the advert need to know of it


@dataclass(frozen=True, slots=True)
class Block:
    """An IPAM block and its affine router (0 none); :meth:`Intent.allocations` are the addresses of it in use."""

    prefix: Prefix
    pool: int
    affinity: int


@dataclass(frozen=True, slots=True)
class RoutingInputs:
    """All that a node's view of *other* nodes' adverts depends on; equal inputs, equal remote routes."""

    recorded: Prefix | None               # Calico's idea of the node's own subnet
    link: Prefix                          # the interface's prefix
    gateway: int
    mtu: int
    ipip_mtu: int
    vxlan_mtu: int
    vpc: str
    mesh: tuple[str, ...] = ()            # what decides which adverts are learnt at all


@dataclass(frozen=True, slots=True)
class Router:
    """A node as the datapath sees it."""

    id: int
    key: int                              # stable: depends on the name only
    name: str
    address: int
    inputs: RoutingInputs
    subnet: int                           # fabric subnet id
    zone: str
    ipip_address: int                     # 0: no such device
    vxlan_address: int
    pod_mtu: int
    rp_filter: RpFilter                   # of eth0, and of the devices below that say nothing of their own
    flags: RouterFlag
    groups: tuple[int, ...]               # fabric group ids
    public_address: int                   # 0: none, or not known (RouterFlag.PUBLIC tells)
    decided_by: int = 0                   # Node object (its mark is where the check is said)
    rp_filter_veth: RpFilter | None = None
    rp_filter_tunnel: RpFilter | None = None

    def rp_filter_of(self, device: Device) -> RpFilter:
        """The filter on packets that come in by this device (the kernel takes the stricter number of the device's and all's)."""
        own = {Device.VETH: self.rp_filter_veth, Device.ETHERNET: None}.get(device, self.rp_filter_tunnel)
        return self.rp_filter if own is None else own


class Endpoint(NamedTuple):
    """A thing with an address. ``router`` is 0 for hosts; ``mtu`` is its own interface's, in bytes."""

    id: int
    kind: EndpointKind
    name: str                             # namespace/pod, node/name, host/name
    address: int                          # 0: it got none (IPAM exhausted)
    router: int
    mtu: int
    link: str = ""                        # what its interface is called; "" of a pod: as Calico's CNI plugin does
    decided_by: int = 0
    answers: bool = False                 # its stack speaks: echo replies, RST, port unreachable …
    ports: tuple[tuple[int, int], ...] = ()   # (protocol, port) on which it listens; (): on all

    @property
    def interface(self) -> str:
        """The name of its interface; of a pod the host's end of the veth."""
        if self.link or self.kind is not EndpointKind.POD:
            return self.link
        return "cali" + sha1(self.name.replace("/", ".", 1).encode(), usedforsecurity=False).hexdigest()[:11]


@dataclass(frozen=True, slots=True)
class NatRule:
    """natOutgoing: masquerade what comes from ``sources`` and goes to none of ``exempt`` (nor ``hosts``)."""

    sources: tuple[Prefix, ...]
    exempt: tuple[Prefix, ...]
    hosts: frozenset[int] = frozenset()   # exempt too, under natOutgoingExclusions: IPPoolsAndHostIPs

    def matches(self, src: int, dst: int) -> bool:
        """Whether a new connection with this source and (post-DNAT) destination is masqueraded."""
        return (
            any(src in prefix for prefix in self.sources)
            and not any(dst in prefix for prefix in self.exempt)
            and dst not in self.hosts
        )


@dataclass(frozen=True, slots=True)
class FilterRule:
    """A security-group rule (allow only) or a NACL rule, with names resolved. ``protocol`` None = all."""

    protocol: int | None
    low: int
    high: int
    prefix: Prefix | None = None
    group: int = 0                        # fabric group id; membership of the *sending interface*
    allow: bool = True
    decided_by: int = 0

    def matches(self, protocol: int, port: int, peer: int, peer_groups: tuple[int, ...]) -> bool:
        """``port`` is the destination port, for ICMP the type, for other protocols 0."""
        if self.protocol is not None and (protocol != self.protocol or not self.low <= port <= self.high):
            return False
        return self.group in peer_groups if self.group else self.prefix is None or peer in self.prefix


@dataclass(frozen=True, slots=True)
class FabricGroup:
    """A security group (id = position + 1, at most 64)."""

    name: str
    ingress: tuple[FilterRule, ...]
    egress: tuple[FilterRule, ...]
    decided_by: int = 0


@dataclass(frozen=True, slots=True)
class FabricRoute:
    """An entry of a cloud route table; ``router`` for NODE, ``place`` for INTERNET."""

    prefix: Prefix
    target: TargetKind
    router: int = 0
    place: int = 0
    decided_by: int = 0


@dataclass(frozen=True, slots=True)
class FabricSubnet:
    """A subnet (id = position + 1): its router's address, its route table (index) and its NACL rules in order."""

    name: str
    prefix: Prefix
    gateway: int
    table: int
    place: int                            # the VPC router's place id
    acl_in: tuple[FilterRule, ...] | None = None     # None: everything passes
    acl_out: tuple[FilterRule, ...] | None = None
    vpc: int = 0                          # 1-based
    zone: str = ""
    decided_by: int = 0
    mtu: int = 0                          # of a Linux router's leg; 0: Fabric.mtu


@dataclass(frozen=True, slots=True)
class Fabric:
    """The network between the nodes, as a provider runs it."""

    subnets: tuple[FabricSubnet, ...]
    tables: tuple[tuple[FabricRoute, ...], ...]
    groups: tuple[FabricGroup, ...]
    owners: Mapping[int, int]             # address of an interface inside the VPCs → endpoint id
    decrements_ttl: bool = False          # a Linux router does, the AWS fabric does not
    routes_pods: bool = False             # provider plain: delivers to whoever has the address
    blocked_protocols: frozenset[int] = frozenset()
    mtu: int = 9001
    internet_mtu: int = 1500
    decided_by: int = 0
    outside_address: int = 0              # of a Linux router's leg to the outside; 0: not known


@dataclass(frozen=True, slots=True)
class Backend:
    """An endpoint of a service port; ``router`` is the node that runs it, 0 where no node is known to."""

    address: int
    port: int
    router: int = 0


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a service (id = position + 1): who may get its connections.

    ``backends`` serve the whole cluster, in kube-proxy's order; of ``own`` each node takes its own ones under a traffic
    policy Local. ``affinity`` is sessionAffinity ClientIP's time-out in ns, 0 without. ``key`` depends on the name only.
    """

    name: str                             # namespace/name:port
    key: int
    protocol: int
    backends: tuple[Backend, ...]
    own: tuple[Backend, ...]
    affinity: int = 0
    decided_by: int = 0


@dataclass(frozen=True, slots=True)
class Frontend:
    """Where a service port (TCP or UDP) is found: on an address, or (address 0: a node port) on every node's own ones.

    ``external``: node port, external IP or load balancer; ``local``: the traffic policy that holds here is Local;
    ``sources``: loadBalancerSourceRanges.
    """

    address: int
    protocol: int
    port: int
    service: int                          # ServicePort id
    external: bool = False
    local: bool = False
    sources: tuple[Prefix, ...] | None = None


@dataclass(frozen=True, slots=True)
class ServiceName:
    """What ``svc/NAMESPACE/NAME`` stands for: its ClusterIP, or the pods of a headless one; its (name, protocol, port)s."""

    addresses: tuple[int, ...]
    ports: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Services:
    """What kube-proxy programs on every node, the same on all of them. Of one address, protocol and port there is one frontend.

    How it tells the pods' traffic from other traffic (detectLocalMode): ``pods`` – by source (clusterCIDR) –, or
    ``by_interface`` – what comes in from a pod's veth –, or not at all.
    """

    ports: tuple[ServicePort, ...] = ()
    frontends: tuple[Frontend, ...] = ()
    pods: tuple[Prefix, ...] | None = None
    by_interface: bool = False
    masquerade_all: bool = False
    node_addresses: tuple[Prefix, ...] | None = None     # nodePortAddresses; None: all

    @cached_property
    def by_address(self) -> dict[tuple[int, int, int], Frontend]:
        """Frontends by address (0: node ports), protocol and port."""
        return {(frontend.address, frontend.protocol, frontend.port): frontend for frontend in self.frontends}


@dataclass(frozen=True)
class Intent:
    """All decisions for one cluster and one variant."""

    name: str
    seed: int
    routers: Sequence[Router]
    endpoints: Sequence[Endpoint]         # made when they are asked for
    pools: tuple[Pool, ...]
    blocks: Sequence[Block]               # by router
    adverts: Sequence[Advert]
    nat: NatRule
    fabric: Fabric
    objects: Sequence[Object]             # id = position + 1
    places: Sequence[str]                 # id = position + 1
    tunnel_senders: frozenset[int]        # addresses that may send tunnels to any node
    # Its adjacency depends on the advert's pool, on the VPC and the sessions of the peer, on whether that is on the link, inside
    # the recorded prefix, has a VTEP; it leads to the peer's address or to one that is the same for all adverts.
    remote_route: Callable[[RoutingInputs, Advert], Route | None]
    own_routes: Sequence[tuple[Route, ...]]              # of each router: its link's, blackholes of its blocks
    pod_routes: Callable[[int], tuple[Route, ...]]       # to its pods that have an address; decided by the pod's own object
    assumptions: tuple[str, ...] = ()
    icmp_ratelimit: int = 0               # net.ipv4.icmp_ratelimit, ms; 0: none (the kernel's default is 1000)
    failures: tuple[str, ...] = ()        # outcomes to report: pods without address, routes over quota
    warnings: tuple[str, ...] = field(default=())
    services: Services = Services()
    service_names: Mapping[str, ServiceName] = field(default_factory=dict)       # svc/NAMESPACE/NAME → what it stands for
    policy: Policing = Policing()         # of pods; Endpoint ids and addresses lead to identities

    def router(self, router: int) -> Router:
        return self._routers[router - 1]

    @cached_property
    def _routers(self) -> tuple[Router, ...]:
        return tuple(self.routers)

    def endpoint(self, endpoint: int) -> Endpoint:
        return self.endpoints[endpoint - 1]

    def object(self, number: int) -> Object | None:
        return self.objects[number - 1] if number else None

    def routes_of(self, router: int) -> tuple[Route, ...]:
        """The main table of one node: what it has itself, then what it learnt of the others."""
        inputs = self.router(router).inputs
        learnt = (self.remote_route(inputs, advert) for advert in self.adverts if advert.owner != router and advert.exported)
        return self.local_routes(router) + tuple(route for route in learnt if route is not None)

    def local_routes(self, router: int) -> tuple[Route, ...]:
        """What a node has without hearing of others."""
        return self.own_routes[router - 1] + self.pod_routes(router)

    @cached_property
    def endpoint_ids(self) -> dict[str, int]:
        """Endpoint ids by name."""
        return {endpoint.name: endpoint.id for endpoint in self.endpoints}

    @cached_property
    def service_addresses(self) -> dict[int, str]:
        """Services (``svc/NAMESPACE/NAME``) by the addresses under which they are found, the nodes' own ones aside."""
        ports = self.services.ports
        return {
            frontend.address: f"svc/{ports[frontend.service - 1].name.rpartition(':')[0]}"
            for frontend in self.services.frontends if frontend.address}

    @cached_property
    def address_owners(self) -> dict[int, int]:
        """Endpoint ids by address (a node's tunnel addresses included)."""
        owners = {endpoint.address: endpoint.id for endpoint in self.endpoints if endpoint.address}
        for router in self.routers:
            for address in (router.ipip_address, router.vxlan_address):
                if address:
                    owners[address] = router.id
        return owners

    @cached_property
    def allocations(self) -> Mapping[Prefix, Mapping[int, int]]:
        """Who has which ordinal of each block: endpoint ids (a node has its tunnel addresses)."""
        found: dict[Prefix, dict[int, int]] = {block.prefix: {} for block in self.blocks}
        lengths = sorted({prefix.length for prefix in found}, reverse=True)
        held = {one.address: one.id for one in self.endpoints if one.kind is EndpointKind.POD and one.address}
        held |= {address: one.id for one in self.routers for address in (one.ipip_address, one.vxlan_address) if address}
        for address, endpoint in sorted(held.items()):
            home = next((one for length in lengths if (one := network_of(address, length)) in found), None)
            if home is not None:
                found[home][address - home.network] = endpoint
        return found

    def local_addresses(self, router: int) -> frozenset[int]:
        """Addresses of the node itself: its interface's and its tunnel devices'."""
        node = self.router(router)
        return frozenset(address for address in (node.address, node.ipip_address, node.vxlan_address) if address)
