"""The network between the nodes as the datapath needs it: names resolved to numbers, quotas applied.

Takes the topology's VPCs, gives the Intent's Fabric. A route beyond a table's quota is what AWS would not have
created: it is replaced by TargetKind.QUOTA, unless another route (the default aside) covers it anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import Problem, ScenarioError
from ..model.clouds import ANYWHERE
from ..model.entities import AclRule, RouteTable, SecurityGroup, TrafficRule, Vpc, VpcRoute
from ..model.topology import Topology
from ..quantities import plural
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
    places: tuple[str, ...]
    failures: list[str] = field(default_factory=list)


def wire(topology: Topology, objects: Objects) -> Wiring:
    """Resolve the topology's network. Raises ScenarioError for routes to unknown nodes and too many groups."""
    entities, profile, limits = topology.entities, topology.provider, topology.limits
    problems: list[Problem] = []
    failures: list[str] = []
    places = [node.name for node in entities.nodes]
    for name in entities.vpcs:
        places += [f"vpc/{name}", f"igw/{name}"]
    groups = {(vpc.name, name): 0 for vpc in entities.vpcs.values() for name in vpc.groups} if profile.security_groups else {}
    groups = {key: number for number, key in enumerate(groups, start=1)}
    fabric_groups = tuple(
        _group(vpc, group, groups, objects) for vpc in entities.vpcs.values() for group in vpc.groups.values()
        if (vpc.name, group.name) in groups)
    if len(fabric_groups) > MAX_GROUPS:
        problems.append(Problem(
            next(iter(entities.vpcs.values())).mark, "spec.vpcs", f"there are {len(fabric_groups)} security groups; the most is {MAX_GROUPS}",
            "merge groups with equal rules"))
    routers = {node.name: number for number, node in enumerate(entities.nodes, start=1)}
    tables: dict[tuple[str, str], int] = {}
    fabric_tables = []
    for number, vpc in enumerate(entities.vpcs.values()):
        for table in vpc.tables.values():
            tables[vpc.name, table.name] = len(fabric_tables)
            gateway = len(routers) + 2 * number + 2
            fabric_tables.append(_table(topology, vpc, table, routers, gateway, objects, failures, problems))
    subnets = {name: number for number, name in enumerate(entities.subnets, start=1)}
    vpc_numbers = {name: number for number, name in enumerate(entities.vpcs, start=1)}
    fabric_subnets = []
    for name, subnet in entities.subnets.items():
        acl = entities.vpcs[subnet.vpc].acls.get(subnet.acl) if subnet.acl and profile.security_groups else None
        number = vpc_numbers[subnet.vpc]
        fabric_subnets.append(FabricSubnet(
            name, subnet.prefix, subnet.gateway, tables[subnet.vpc, subnet.table], len(routers) + 2 * number - 1,
            _acl(acl.name, acl.ingress, objects) if acl else None, _acl(acl.name, acl.egress, objects) if acl else None,
            number, subnet.zone, objects.add("Subnet", name, subnet.mark)))
    if problems:
        raise ScenarioError(problems)
    blocked = profile.blocked_protocols if limits.blocked_protocols is None else frozenset(limits.blocked_protocols)
    return Wiring(
        Fabric(
            tuple(fabric_subnets), tuple(fabric_tables), fabric_groups, _owners(topology), profile.decrements_ttl, profile.routes_pods,
            blocked, limits.mtu or profile.fabric_mtu, limits.internet_mtu or profile.internet_mtu,
            objects.add("Provider", profile.name, limits.mark)),
        subnets, groups, tuple(places), failures)


def _owners(topology: Topology) -> dict[int, int]:
    """Addresses of the interfaces inside the VPCs: nodes, and hosts that stand in a subnet."""
    entities = topology.entities
    owners = {node.address: number for number, node in enumerate(entities.nodes, start=1)}
    prefixes = [subnet.prefix for subnet in entities.subnets.values()]
    for number, host in enumerate(entities.hosts, start=len(entities.nodes) + 1):
        if any(host.address in prefix for prefix in prefixes):
            owners[host.address] = number
    return owners


def _table(
    topology: Topology, vpc: Vpc, table: RouteTable, routers: Mapping[str, int], gateway: int, objects: Objects,
    failures: list[str], problems: list[Problem],
) -> tuple[FabricRoute, ...]:
    """Local routes first, then the written ones; both count against the quota, as the VPC's own limit counts them."""
    name = table.name if len(topology.entities.vpcs) == 1 else f"{vpc.name}/{table.name}"
    local = objects.add("Route", f"local in route table {name}", vpc.mark)
    routes = [FabricRoute(prefix, TargetKind.LOCAL, decided_by=local) for prefix in vpc.prefixes]
    room = max(table.quota - len(routes), 0)
    fitting, excess = table.routes[:room], table.routes[room:]
    for route in fitting:
        target, router, place = _target(route, routers, gateway, problems)
        routes.append(FabricRoute(route.prefix, target, router, place, objects.add("Route", f"{route.prefix} in route table {name}", route.mark)))
    if not topology.provider.internet_gateways and not any(route.prefix == ANYWHERE for route in table.routes):
        outside = objects.add("Route", f"default in route table {name}", table.mark)
        routes.append(FabricRoute(ANYWHERE, TargetKind.OUTSIDE, decided_by=outside))
    kept = list(routes)
    for route in excess:
        _target(route, routers, gateway, problems)
        if not any(other.prefix.length and other.prefix.covers(route.prefix) for other in kept):
            decider = objects.add("Route", f"{route.prefix} in route table {name} (over the quota of {table.quota})", route.mark)
            routes.append(FabricRoute(route.prefix, TargetKind.QUOTA, decided_by=decider))
    if excess:
        first, last = excess[0].prefix, excess[-1].prefix
        failures.append(
            f"route table {name}: {plural(len(excess), 'route')} ({first}{f' to {last}' if len(excess) > 1 else ''}) not created: "
            f"the quota of {plural(table.quota, 'route')} is used up; raise spec.limits.routesPerTable, aggregate, or encapsulate")
    return tuple(routes)


def _target(
    route: VpcRoute, routers: Mapping[str, int], gateway: int, problems: list[Problem],
) -> tuple[TargetKind, int, int]:
    if route.via == "node":
        if route.target not in routers:
            problems.append(Problem(route.mark, "via", f"there is no node {route.target}", "name a node of the scenario"))
        return TargetKind.NODE, routers.get(route.target, 0), 0
    if route.via == "igw":
        return TargetKind.INTERNET, 0, gateway
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
