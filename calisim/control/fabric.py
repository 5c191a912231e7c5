"""The network between the nodes as the datapath needs it: names resolved to numbers, quotas applied.

Takes the topology's VPCs, gives the Intent's Fabric. A route beyond a table's quota is what AWS would not have
created: it is replaced by TargetKind.QUOTA, unless another route (the default aside) covers it anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from ..errors import Problem, ScenarioError
from ..model.clouds import ANYWHERE
from ..model.entities import AclRule, Host, Node, RouteTable, SecurityGroup, Subnet, TrafficRule, Vpc, VpcRoute
from ..model.nodes import names
from ..model.providers import Provider
from ..model.topology import Topology
from ..parts import Parts
from ..quantities import plural
from ..sequences import Joined, runs
from ..vocabulary import TargetKind
from .intent import Fabric, FabricGroup, FabricRoute, FabricSubnet, FilterRule
from .objects import Objects

MAX_GROUPS = 64      # a router's memberships are one 64-bit set


@dataclass(slots=True)
class Wiring:
    """The Fabric with the numbers that routers need: subnet ids, group ids, places, and what did not fit."""

    fabric: Fabric
    subnets: Mapping[str, int]
    groups: Mapping[tuple[str, str], int]
    places: Sequence[str]
    failures: list[str] = field(default_factory=list)


def wire(topology: Topology, objects: Objects, parts: Parts) -> Wiring:
    """Resolve the topology's network. Raises ScenarioError for more security groups than an interface's set can hold."""
    entities, profile, limits = topology.entities, topology.provider, topology.limits
    groups = _group_ids(topology)
    fabric_groups = tuple(
        _group(vpc, vpc.groups[name], groups, objects) for vpc in entities.vpcs.values() for name in vpc.groups
        if (vpc.name, name) in groups)
    failures: list[str] = []
    named = any(route.via == "node" for vpc in entities.vpcs.values() for table in vpc.tables.values() for route in table.routes)
    routers = {node.name: number for number, node in enumerate(entities.nodes, start=1)} if named else {}
    numbers: dict[tuple[str, str], int] = {}
    tables: list[tuple[FabricRoute, ...]] = []
    before, places = len(entities.nodes), list[str]()
    for vpc in entities.vpcs.values():
        places += [f"vpc/{vpc.name}", f"igw/{vpc.name}"]
        for table in vpc.tables.values():
            numbers[vpc.name, table.name] = len(tables)
            tables.append(_table(topology, vpc, table, routers, before + len(places), objects, failures))
    blocked = profile.blocked_protocols if limits.blocked_protocols is None else frozenset(limits.blocked_protocols)
    owners = parts.of(
        "owners", _owners, parts.each("addresses of nodes", _addresses, runs(entities.nodes)), entities.hosts, entities.subnets)
    fabric = Fabric(
        _subnets(topology, numbers, objects), tuple(tables), fabric_groups, owners, profile.decrements_ttl, profile.routes_pods,
        blocked, limits.mtu or profile.fabric_mtu, limits.internet_mtu or profile.internet_mtu,
        objects.add("Provider", profile.name, limits.mark))
    subnets = {name: number for number, name in enumerate(entities.subnets, start=1)}
    return Wiring(fabric, subnets, groups, Joined([*names(parts, entities.nodes), tuple(places)]), failures)


def _group_ids(topology: Topology) -> dict[tuple[str, str], int]:
    """Ids of (VPC, group); none where the provider filters nothing."""
    if not topology.provider.security_groups:
        return {}
    keys = [(vpc.name, name) for vpc in topology.entities.vpcs.values() for name in vpc.groups]
    if len(keys) > MAX_GROUPS:
        vpc = topology.entities.vpcs[keys[MAX_GROUPS][0]]
        raise ScenarioError([Problem(
            vpc.groups[keys[MAX_GROUPS][1]].mark, "securityGroups",
            f"there are {len(keys)} security groups; the most is {MAX_GROUPS}", "merge groups with equal rules")])
    return {key: number for number, key in enumerate(keys, start=1)}


def _subnets(topology: Topology, tables: Mapping[tuple[str, str], int], objects: Objects) -> tuple[FabricSubnet, ...]:
    entities = topology.entities
    vpcs = {name: number for number, name in enumerate(entities.vpcs, start=1)}
    subnets = []
    for name, subnet in entities.subnets.items():
        number = vpcs[subnet.vpc]
        filtered = subnet.acl and topology.provider.security_groups
        acl = entities.vpcs[subnet.vpc].acls[subnet.acl] if filtered else None
        subnets.append(FabricSubnet(
            name, subnet.prefix, subnet.gateway, tables[subnet.vpc, subnet.table], len(entities.nodes) + 2 * number - 1,
            _acl(acl.name, acl.ingress, objects) if acl else None, _acl(acl.name, acl.egress, objects) if acl else None,
            number, subnet.zone, objects.add("Subnet", name, subnet.mark), _leg_mtu(topology.provider, subnet)))
    return tuple(subnets)


def _leg_mtu(provider: Provider, subnet: Subnet) -> int:
    """What a Linux router sends into a subnet that has an MTU of its own; 0: whatever the fabric carries."""
    return subnet.mtu if provider.decrements_ttl and subnet.mtu != provider.mtu else 0


def _owners(of_nodes: Iterable[Sequence[int]], hosts: Iterable[Host], subnets: Mapping[str, Subnet]) -> dict[int, int]:
    """Addresses of the interfaces inside the VPCs: nodes, and hosts that stand in a subnet."""
    addresses = [*chain.from_iterable(of_nodes)]
    owners = dict(zip(addresses, count(1), strict=False))
    for number, host in enumerate(hosts, start=len(addresses) + 1):
        if any(host.address in subnet.prefix for subnet in subnets.values()):
            owners[host.address] = number
    return owners


def _addresses(nodes: Sequence[Node]) -> tuple[int, ...]:
    return tuple(node.address for node in nodes)


def _table(
    topology: Topology, vpc: Vpc, table: RouteTable, routers: Mapping[str, int], gateway: int, objects: Objects,
    failures: list[str],
) -> tuple[FabricRoute, ...]:
    """Local routes first, then the written ones; both count against the quota, as the VPC's own limit counts them."""
    name = table.name if len(topology.entities.vpcs) == 1 else f"{vpc.name}/{table.name}"
    local = objects.add("Route", f"local in route table {name}", vpc.mark)
    routes = [FabricRoute(prefix, TargetKind.LOCAL, decided_by=local) for prefix in vpc.prefixes]
    room = max(table.quota - len(routes), 0)
    for route in table.routes[:room]:
        target, router, place = _target(route, routers, gateway, topology.provider.internet_gateways)
        decider = objects.add("Route", f"{route.prefix} in route table {name}", route.mark)
        routes.append(FabricRoute(route.prefix, target, router, place, decider))
    if not topology.provider.internet_gateways and not any(route.prefix == ANYWHERE for route in table.routes):
        outside = objects.add("Route", f"default in route table {name}", table.mark)
        routes.append(FabricRoute(ANYWHERE, TargetKind.OUTSIDE, decided_by=outside))
    excess = table.routes[room:]
    covering = [route.prefix for route in routes if route.prefix != ANYWHERE]
    for route in excess:
        if not any(prefix.covers(route.prefix) for prefix in covering):
            decider = objects.add("Route", f"{route.prefix} in route table {name}, over its quota of {table.quota}", route.mark)
            routes.append(FabricRoute(route.prefix, TargetKind.QUOTA, decided_by=decider))
    if excess:
        listed = f"{excess[0].prefix}{f' … {excess[-1].prefix}' if len(excess) > 1 else ''}"
        failures.append(
            f"route table {name}: {plural(len(excess), 'route')} not created ({listed}), for the quota of {table.quota} "
            "is used up; raise spec.limits.routesPerTable, aggregate the routes, or encapsulate across subnets")
    return tuple(routes)


def _target(route: VpcRoute, routers: Mapping[str, int], gateway: int, gateways: bool) -> tuple[TargetKind, int, int]:
    if route.via == "node":
        return TargetKind.NODE, routers[route.target], 0
    if route.via == "igw":
        return (TargetKind.INTERNET, 0, gateway) if gateways else (TargetKind.OUTSIDE, 0, 0)
    return (TargetKind.NAT if route.via == "nat" else TargetKind.BLACKHOLE), 0, 0


def _group(vpc: Vpc, group: SecurityGroup, ids: Mapping[tuple[str, str], int], objects: Objects) -> FabricGroup:
    decider = objects.add("SecurityGroup", group.name, group.mark)

    def rules(written: Sequence[TrafficRule], side: str) -> tuple[FilterRule, ...]:
        return tuple(
            FilterRule(
                rule.protocol, rule.low, rule.high, rule.prefix, ids[vpc.name, rule.group] if rule.group else 0,
                decided_by=objects.add("SecurityGroupRule", f"{group.name} {side} {number}", rule.mark))
            for number, rule in enumerate(written, start=1) if rule.group is None or (vpc.name, rule.group) in ids)

    return FabricGroup(group.name, rules(group.ingress, "ingress"), rules(group.egress, "egress"), decider)


def _acl(name: str, rules: Sequence[AclRule], objects: Objects) -> tuple[FilterRule, ...]:
    return tuple(
        FilterRule(
            rule.protocol, rule.low, rule.high, rule.prefix, allow=rule.allow,
            decided_by=objects.add("NetworkAclRule", f"{name} rule {rule.number}", rule.mark))
        for rule in rules)
