"""Hand-made Intents: a few lines build routers, pods, subnets and filters without a scenario or a control plane.

The route decisions are the textbook's (BIRD's kernel filter for IPIP, Felix' route manager for VXLAN), small enough
to be checked by eye. Addresses are written as text or integers, routers are named by id (1 = the first node), hosts
and pods by name; ``intent.endpoint_ids`` gives their ids. Nothing is validated: odd worlds are wanted.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from calisim.control.intent import (
    Adjacency, Advert, Backend, Block, Endpoint, Fabric, FabricGroup, FabricRoute, FabricSubnet, FilterRule, Frontend, Intent,
    NatRule, Object, Peer, Pool, Route, Router, RoutingInputs, ServicePort, Services,
)
from calisim.errors import Mark
from calisim.quantities import Prefix, network_of, parse_address, parse_prefix
from calisim.vocabulary import AdjacencyKind, Device, DropReason, Encap, EndpointKind, RouterFlag, RpFilter, TargetKind
from calisim.vocabulary.chance import fnv1a_32

Address = str | int
Ports = int | tuple[int, int]
Rules = list[FilterRule] | tuple[FilterRule, ...]
ANYWHERE = Prefix(0, 0)


def address_of(value: Address) -> int:
    return value if isinstance(value, int) else parse_address(value)


def prefix_of(value: str | Prefix) -> Prefix:
    return value if isinstance(value, Prefix) else parse_prefix(value)


def allow(protocol: int | None = None, port: Ports = (0, 65535), prefix: str | None = None, group: int = 0) -> FilterRule:
    """A rule of a security group or a NACL that lets pass; no protocol: all; no prefix or group: everybody."""
    low, high = port if isinstance(port, tuple) else (port, port)
    return FilterRule(protocol, low, high, None if prefix is None else prefix_of(prefix), group)


def deny(protocol: int | None = None, port: Ports = (0, 65535), prefix: str | None = None) -> FilterRule:
    """A NACL rule that stops."""
    return replace(allow(protocol, port, prefix), allow=False)


@dataclass
class Cluster:
    """What the Intent is made from, in the order of the calls; :meth:`build` freezes it."""

    seed: int = 1
    mtu: int = 1500                                     # of a node's eth0 where the node does not say
    fabric: dict[str, object] = field(default_factory=dict)         # decrements_ttl, routes_pods, blocked_protocols, mtu …
    objects: list[Object] = field(default_factory=list)
    subnets: list[FabricSubnet] = field(default_factory=list)
    tables: list[list[FabricRoute]] = field(default_factory=list)
    groups: list[FabricGroup] = field(default_factory=list)
    routers: list[Router] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)
    blocks: list[tuple[Prefix, int, int]] = field(default_factory=list)               # prefix, affine router, pool
    adverts: list[Advert] = field(default_factory=list)
    hosts: list[Endpoint] = field(default_factory=list)
    pods: list[Endpoint] = field(default_factory=list)
    strangers: set[int] = field(default_factory=set)    # addresses that may send tunnels besides the nodes
    outcasts: set[int] = field(default_factory=set)     # nodes whose tunnels nobody accepts
    exempt_hosts: set[int] = field(default_factory=set)
    icmp_ratelimit: int = 0
    services: list[ServicePort] = field(default_factory=list)
    frontends: list[Frontend] = field(default_factory=list)
    kube_proxy: dict[str, object] = field(default_factory=dict)     # pods, by_interface, masquerade_all, node_addresses

    def _object(self, kind: str, name: str) -> int:
        self.objects.append(Object(kind, name, Mark("hand-made", len(self.objects) + 1)))
        return len(self.objects)

    def _named(self, rules: Rules, name: str) -> tuple[FilterRule, ...]:
        return tuple(replace(rule, decided_by=self._object("Rule", f"{name}/{i}")) for i, rule in enumerate(rules))

    def subnet(
        self, prefix: str, *, vpc: int = 1, table: int = 0, gateway: Address = "", mtu: int = 0,
        acl_in: Rules | None = None, acl_out: Rules | None = None,
    ) -> int:
        """A subnet of a VPC; its router has the first address. Returns the subnet's id."""
        net = prefix_of(prefix)
        self.subnets.append(FabricSubnet(
            name=prefix, prefix=net, gateway=address_of(gateway) if gateway else net.network + 1, table=table, place=0,
            acl_in=None if acl_in is None else self._named(acl_in, f"{prefix}/in"),
            acl_out=None if acl_out is None else self._named(acl_out, f"{prefix}/out"),
            vpc=vpc, zone=prefix, mtu=mtu, decided_by=self._object("NetworkAcl", prefix)))
        self._table(table)
        return len(self.subnets)

    def _table(self, table: int) -> list[FabricRoute]:
        while len(self.tables) <= table:
            self.tables.append([])
        return self.tables[table]

    def cloud_route(
        self, prefix: str, target: TargetKind = TargetKind.LOCAL, *, router: int = 0, vpc: int = 1, table: int = 0,
    ) -> None:
        """An entry of a cloud route table; INTERNET goes to the gateway of ``vpc``."""
        gateway = vpc if target is TargetKind.INTERNET else 0
        number = self._object("Route", f"{table}/{prefix}")
        self._table(table).append(FabricRoute(prefix_of(prefix), target, router, gateway, number))

    def group(self, ingress: Rules = (), egress: Rules = ()) -> int:
        """A security group. Returns its id (a rule may name the id of a later one)."""
        name = f"sg-{len(self.groups) + 1}"
        number = self._object("SecurityGroup", name)
        rules_in, rules_out = self._named(ingress, f"{name}/in"), self._named(egress, f"{name}/out")
        self.groups.append(FabricGroup(name, rules_in, rules_out, number))
        return len(self.groups)

    def node(
        self, address: Address, *, subnet: int = 1, recorded: int | None = -1, ipip: Address = 0, vxlan: Address = 0,
        mtu: int = 0, ipip_mtu: int | None = None, vxlan_mtu: int | None = None, pod_mtu: int = 0, check: bool = False,
        calico: bool = True, random_fully: bool = False, down: bool = False, host_action_drop: bool = False,
        more: RouterFlag | None = None, public: Address | None = None, groups: tuple[int, ...] = (),
        rp_filter: RpFilter = RpFilter.STRICT, rp_filter_veth: RpFilter | None = None,
        rp_filter_tunnel: RpFilter | None = None, tunnel_masquerade: bool = True,
    ) -> int:
        """A node. ``recorded``: length of the prefix that Calico holds for it (−1 the subnet's, None unknown);
        ``public``: None no mapping at the gateway, 0 one whose address is not known. Returns the router's id."""
        number, own, link = len(self.routers) + 1, address_of(address), self.subnets[subnet - 1]
        mtu = mtu or self.mtu
        ipip, vxlan = address_of(ipip), address_of(vxlan)
        length = link.prefix.length if recorded == -1 else recorded
        flags = more or RouterFlag(0)
        for wanted, flag in (
            (check, RouterFlag.SOURCE_DEST_CHECK), (calico, RouterFlag.CALICO_FILTER),
            (random_fully, RouterFlag.RANDOM_FULLY), (public is not None, RouterFlag.PUBLIC), (down, RouterFlag.DOWN),
            (host_action_drop, RouterFlag.HOST_ACTION_DROP), (not tunnel_masquerade, RouterFlag.NO_TUNNEL_MASQUERADE),
        ):
            flags |= flag if wanted else RouterFlag(0)
        inputs = RoutingInputs(
            recorded=None if length is None else network_of(own, length), link=link.prefix, gateway=link.gateway, mtu=mtu,
            ipip_mtu=(mtu - 20 if ipip_mtu is None else ipip_mtu) if ipip else 0,
            vxlan_mtu=(mtu - 50 if vxlan_mtu is None else vxlan_mtu) if vxlan else 0, vpc=f"vpc-{link.vpc}")
        self.routers.append(Router(
            id=number, key=fnv1a_32(f"n{number}"), name=f"n{number}", address=own, inputs=inputs, subnet=subnet, zone=link.zone,
            ipip_address=ipip, vxlan_address=vxlan, pod_mtu=pod_mtu or mtu, rp_filter=rp_filter, flags=flags, groups=groups,
            public_address=address_of(public) if public else 0, decided_by=self._object("Node", f"n{number}"),
            rp_filter_veth=rp_filter_veth, rp_filter_tunnel=rp_filter_tunnel))
        return number

    def pool(
        self, prefix: str, *, ipip: str = "Never", vxlan: str = "Never", nat_outgoing: bool = False, disabled: bool = False,
        export: bool = True,
    ) -> int:
        """An IP pool. Returns its index."""
        number = self._object("IPPool", prefix)
        self.pools.append(
            Pool(prefix, prefix_of(prefix), 26, ipip, vxlan, nat_outgoing, disabled, export, decided_by=number))
        return len(self.pools) - 1

    def block(self, prefix: str, owner: int, *, pool: int = 0) -> None:
        """An IPAM block with its affine router, which advertises it and (unless it is a /32) blackholes the rest."""
        self.blocks.append((prefix_of(prefix), owner, pool))
        self.adverts.append(Advert(prefix_of(prefix), owner, pool, self.pools[pool].export))

    def borrow(self, address: Address, user: int, *, pool: int = 0) -> None:
        """One address of somebody else's block that ``user`` has; the others learn a /32 towards him."""
        self.adverts.append(Advert(Prefix(address_of(address), 32), user, pool, self.pools[pool].export, borrowed=True))

    def pod(self, address: Address, node: int, *, mtu: int = 0, name: str = "") -> str:
        """A pod (address 0: IPAM had none for it). Returns its name."""
        name = name or f"default/p{len(self.pods) + 1}"
        mtu, interface = mtu or self.routers[node - 1].pod_mtu, f"cali{len(self.pods):011d}"
        number = self._object("Pod", name)
        self.pods.append(Endpoint(0, EndpointKind.POD, name, address_of(address), node, mtu, interface, number))
        return name

    def host(self, address: Address, *, name: str = "") -> str:
        """A machine that is no node, in a subnet or outside. Returns its name."""
        name = name or f"host/h{len(self.hosts) + 1}"
        number = self._object("Host", name)
        self.hosts.append(Endpoint(0, EndpointKind.HOST, name, address_of(address), 0, 1500, decided_by=number))
        return name

    def service(
        self, address: Address, backends: list[str], *, port: int = 80, target: int = 8080, protocol: int = 6, node_port: int = 0,
        external: Address = "", internal_local: bool = False, external_local: bool = False, affinity: int = 0,
        sources: tuple[str, ...] | None = None,
    ) -> int:
        """A service port on a ClusterIP, with more frontends where asked for; of pods and nodes, by address. Returns its id."""
        number = self._object("Service", f"default/s{len(self.services) + 1}")
        homes = {pod.address: pod.router for pod in self.pods} | {router.address: router.id for router in self.routers}
        behind = tuple(Backend(address_of(one), target, homes.get(address_of(one), 0)) for one in backends)
        name = f"default/s{len(self.services) + 1}:{port}"
        self.services.append(ServicePort(
            name, fnv1a_32(name), protocol, behind, tuple(one for one in behind if one.router), affinity, number))
        own = len(self.services)
        self.frontends.append(Frontend(address_of(address), protocol, port, own, local=internal_local))
        ranges = None if sources is None else tuple(prefix_of(one) for one in sources)
        if external:
            self.frontends.append(Frontend(address_of(external), protocol, port, own, True, external_local, ranges))
        if node_port:
            self.frontends.append(Frontend(0, protocol, node_port, own, True, external_local))
        return own

    def build(self) -> Intent:
        """The Intent as of now; what is added later does not reach it."""
        return Cluster(**{name: copy(value) for name, value in vars(self).items()})._intent()

    def _intent(self) -> Intent:
        endpoints = self._endpoints()
        count = len(self.routers)
        vpcs = max((subnet.vpc for subnet in self.subnets), default=0)
        owned = {endpoint.address: endpoint.id for endpoint in endpoints if endpoint.kind is not EndpointKind.POD}
        fabric = Fabric(
            subnets=tuple(replace(subnet, place=count + 2 * subnet.vpc - 1) for subnet in self.subnets),
            tables=tuple(
                tuple(replace(route, place=count + 2 * route.place if route.place else 0) for route in table)
                for table in self.tables),
            groups=tuple(self.groups),
            owners={a: e for a, e in owned.items() if any(a in subnet.prefix for subnet in self.subnets)},
            **self.fabric)  # type: ignore[arg-type]
        return Intent(
            name="hand-made", seed=self.seed, routers=tuple(self.routers), endpoints=endpoints, pools=tuple(self.pools),
            blocks=tuple(Block(prefix, pool, owner) for prefix, owner, pool in self.blocks),
            adverts=tuple(replace(advert, peer=self._peer(advert.owner)) for advert in self.adverts),
            nat=NatRule(
                tuple(pool.prefix for pool in self.pools if pool.nat_outgoing), tuple(pool.prefix for pool in self.pools),
                frozenset(self.exempt_hosts)),
            fabric=fabric, objects=tuple(self.objects),
            places=(*(r.name for r in self.routers), *(p for v in range(1, vpcs + 1) for p in (f"vpc-{v}", f"igw-{v}"))),
            icmp_ratelimit=self.icmp_ratelimit,
            tunnel_senders=frozenset(r.address for r in self.routers) - self.outcasts | self.strangers,
            services=Services(tuple(self.services), tuple(self.frontends), **self.kube_proxy),  # type: ignore[arg-type]
            remote_route=self._remote_route, own_routes=tuple(self._own_routes(number + 1) for number in range(count)),
            pod_routes=cache(lambda router: self._pod_routes(router, endpoints)))

    def _endpoints(self) -> tuple[Endpoint, ...]:
        nodes = [
            Endpoint(0, EndpointKind.NODE, f"node/{r.name}", r.address, r.id, r.inputs.mtu, "eth0", r.decided_by)
            for r in self.routers]
        return tuple(endpoint._replace(id=i) for i, endpoint in enumerate([*nodes, *self.hosts, *self.pods], 1))

    def _pod_routes(self, number: int, endpoints: tuple[Endpoint, ...]) -> tuple[Route, ...]:
        return tuple(
            Route(Prefix(pod.address, 32), Adjacency(
                AdjacencyKind.LOCAL, Device.VETH, pod.mtu, endpoint=pod.id, decided_by=pod.decided_by), pod.interface)
            for pod in endpoints if pod.kind is EndpointKind.POD and pod.router == number and pod.address)

    def _own_routes(self, number: int) -> tuple[Route, ...]:
        router = self.routers[number - 1]
        inputs, by = router.inputs, router.decided_by
        blackholes = (
            Route(prefix, Adjacency(
                AdjacencyKind.DROP, Device.NONE, 0, reason=DropReason.BLACKHOLE, decided_by=self.pools[pool].decided_by),
                "", protocol="bird")
            for prefix, owner, pool in self.blocks if owner == number and prefix.length < 32)
        attached = Adjacency(AdjacencyKind.ATTACHED, Device.ETHERNET, inputs.mtu, decided_by=by)
        default = Adjacency(AdjacencyKind.REMOTE, Device.ETHERNET, inputs.mtu, inputs.gateway, decided_by=by)
        uplink = Route(inputs.link, attached, "eth0"), Route(ANYWHERE, default, "eth0", inputs.gateway)
        return (*blackholes, *uplink)

    def _peer(self, number: int) -> Peer:
        router = self.routers[number - 1]
        return Peer(router.address, router.vxlan_address, router.inputs.vpc, router.inputs.mesh)

    def _remote_route(self, inputs: RoutingInputs, advert: Advert) -> Route | None:
        pool, peer = self.pools[advert.pool], self.routers[advert.owner - 1]
        near = inputs.recorded is not None and peer.address in inputs.recorded
        by, peer_hop = pool.decided_by, peer.address if peer.address in inputs.link else inputs.gateway
        if pool.vxlan != "Never" and not (pool.vxlan == "CrossSubnet" and near):
            if not inputs.vxlan_mtu:
                return None
            tunnel = Adjacency(
                AdjacencyKind.TUNNEL, Device.VXLAN, inputs.vxlan_mtu, peer.address, Encap.VXLAN, decided_by=by)
            return Route(advert.prefix, tunnel, "vxlan.calico", peer.vxlan_address, "80", onlink=True)
        crosses = pool.ipip == "CrossSubnet" and inputs.recorded is not None and not near
        if inputs.ipip_mtu and (pool.ipip == "Always" or crosses):
            tunnel = Adjacency(
                AdjacencyKind.TUNNEL, Device.IPIP, inputs.ipip_mtu, peer.address, Encap.IPIP, decided_by=by)
            return Route(advert.prefix, tunnel, "tunl0", peer.address, "bird", onlink=True)
        native = Adjacency(AdjacencyKind.REMOTE, Device.ETHERNET, inputs.mtu, peer_hop, decided_by=by)
        return Route(advert.prefix, native, "eth0", peer_hop, "bird")


def three_zones(
    *, pods: int = 2, ipip: str = "CrossSubnet", vxlan: str = "Never", nat_outgoing: bool = True, **node: object,
) -> Cluster:
    """Nodes n1, n2 share the first subnet, n3 has the second one; the third has host/near, host/api is outside.

    Pods ``default/p1`` … are spread node by node: n1 has 10.244.1.2 …, n2 10.244.2.2 …, n3 10.244.3.2 …; tunnel
    addresses end in .1.
    """
    cluster = Cluster()
    for third in (1, 2, 3):
        cluster.subnet(f"10.0.{third}.0/24")
    cluster.cloud_route("10.0.0.0/16")
    cluster.cloud_route("0.0.0.0/0", TargetKind.INTERNET)
    cluster.pool("10.244.0.0/16", ipip=ipip, vxlan=vxlan, nat_outgoing=nat_outgoing)
    for number, (address, subnet) in enumerate((("10.0.1.11", 1), ("10.0.1.12", 1), ("10.0.2.13", 2)), 1):
        tunnel = f"10.244.{number}.1"
        cluster.node(
            address, subnet=subnet, ipip=tunnel if ipip != "Never" else 0, vxlan=tunnel if vxlan != "Never" else 0,
            **{"public": 0, "pod_mtu": 1450 if vxlan != "Never" else 1480, **node})  # type: ignore[arg-type]
        cluster.block(f"10.244.{number}.0/26", number)
        for pod in range(pods):
            cluster.pod(f"10.244.{number}.{pod + 2}", number)
    cluster.host("203.0.113.10", name="host/api")
    cluster.host("10.0.3.20", name="host/near")
    return cluster


def behind_linux(*, narrow: int = 0, internet_mtu: int = 1500, **more: Any) -> Cluster:
    """:func:`three_zones` with a Linux router between the subnets and to the outside; its leg into n3's may carry less."""
    cluster = three_zones(**{"public": None, "pod_mtu": 1500, **more})
    cluster.fabric = {
        "decrements_ttl": True, "internet_mtu": internet_mtu, "outside_address": parse_address("203.0.113.1")}
    cluster.tables = [[]]
    cluster.cloud_route("10.0.0.0/16")
    cluster.cloud_route("0.0.0.0/0", TargetKind.OUTSIDE)
    cluster.subnets[1] = replace(cluster.subnets[1], mtu=narrow)
    return cluster
