"""VPCs with their subnets, route tables, security groups and NACLs: the scenario's words as entities.

Names and values have been checked with the scenario; what is added here is the provider's: the subnet's router,
the default route of a VPC with an internet gateway, AWS' default security group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..quantities import PROTOCOLS, Prefix, parse_prefix
from .entities import AclRule, NetworkAcl, RouteTable, SecurityGroup, Subnet, TrafficRule, Vpc, VpcRoute
from .providers import Provider

if TYPE_CHECKING:
    from ..scenario.schema import AclRuleSpec, GroupRule, NetworkAclSpec, Spec, VpcSpec

ANYWHERE = Prefix(0, 0)
DEFAULT_GROUP = "default"


def vpcs(spec: Spec, profile: Provider) -> tuple[dict[str, Vpc], dict[str, Subnet]]:
    """Every VPC by name and every subnet by name (VPC/NAME where two VPCs have a subnet of that name)."""
    made: dict[str, Vpc] = {}
    subnets: dict[str, Subnet] = {}
    names = [name for vpc in spec.vpcs.values() for name in vpc.subnets]
    for name, written in spec.vpcs.items():
        gateway = written.internet_gateway and profile.internet_gateways
        made[name] = Vpc(
            name, tuple(written.cidrs), gateway, _groups(written), _tables(spec, written, gateway, profile),
            {key: _acl(key, acl) for key, acl in written.network_acls.items()}, written.mark)
        for key, subnet in written.subnets.items():
            label = key if names.count(key) == 1 else f"{name}/{key}"
            subnets[label] = Subnet(
                label, name, subnet.zone, subnet.cidr, subnet.cidr.network + profile.gateway, subnet.mtu or profile.mtu,
                subnet.route_table, subnet.network_acl, subnet.mark)
    return made, subnets


def with_default_group(vpc: Vpc, nodes: Iterable[tuple[str, Sequence[str]]]) -> Mapping[str, SecurityGroup]:
    """The VPC's groups and, where a node is in it, AWS' default group: in from its own members, out to everybody.

    ``nodes``: VPC and security groups of each group of them.
    """
    if DEFAULT_GROUP in vpc.groups or not any(name == vpc.name and DEFAULT_GROUP in groups for name, groups in nodes):
        return vpc.groups
    members, everybody = TrafficRule(None, group=DEFAULT_GROUP), TrafficRule(None, prefix=ANYWHERE)
    return {**vpc.groups, DEFAULT_GROUP: SecurityGroup(DEFAULT_GROUP, (members,), (everybody,))}


def protocol_number(name: int | str) -> int | None:
    """``"tcp"`` or ``6`` → 6; ``"all"`` and AWS' ``"-1"`` → None."""
    if name in ("all", "-1"):
        return None
    return PROTOCOLS[name] if isinstance(name, str) and name in PROTOCOLS else int(name)


def ports(value: int | str | None) -> tuple[int, int]:
    """``443`` → (443, 443), ``"1000-2000"`` → (1000, 2000), None → all."""
    if value is None:
        return 0, 65535
    low, _, high = str(value).partition("-")
    return int(low), int(high or low)


def _tables(spec: Spec, written: VpcSpec, gateway: bool, profile: Provider) -> dict[str, RouteTable]:
    """The written tables and always ``main``; the default route is the first entry, as a VPC is set up before its cluster."""
    quota = spec.limits.routes_per_table or profile.routes_per_table
    tables = {}
    for name in dict.fromkeys(["main", *written.route_tables]):
        table = written.route_tables.get(name)
        mark = table.mark if table else written.mark
        routes = []
        for route in table.routes if table else ():
            via, _, target = route.via.partition("/")
            routes.append(VpcRoute(route.to, via, target, route.mark))
        if gateway and (table is None or table.internet) and not any(route.prefix == ANYWHERE for route in routes):
            routes.insert(0, VpcRoute(ANYWHERE, "igw", mark=mark))
        tables[name] = RouteTable(name, tuple(routes), quota, mark)
    return tables


def _groups(written: VpcSpec) -> dict[str, SecurityGroup]:
    known = {*written.security_groups, DEFAULT_GROUP}
    return {
        name: SecurityGroup(
            name, tuple(_group_rule(rule, rule.source, known) for rule in group.ingress),
            tuple(_group_rule(rule, rule.destination, known) for rule in group.egress), group.mark)
        for name, group in written.security_groups.items()}


def _group_rule(written: GroupRule, peer: str | None, known: set[str]) -> TrafficRule:
    protocol, (low, high) = protocol_number(written.protocol), ports(written.port)
    if peer in known:
        return TrafficRule(protocol, low, high, group=peer, mark=written.mark)
    return TrafficRule(protocol, low, high, ANYWHERE if peer is None else parse_prefix(peer), mark=written.mark)


def _acl(name: str, written: NetworkAclSpec) -> NetworkAcl:
    return NetworkAcl(name, _acl_rules(written.ingress), _acl_rules(written.egress), written.mark)


def _acl_rules(rules: Sequence[AclRuleSpec]) -> tuple[AclRule, ...]:
    """By number, which is the order in which they are asked."""
    return tuple(
        AclRule(rule.rule, rule.action == "allow", protocol_number(rule.protocol), rule.cidr, *ports(rule.port), rule.mark)
        for rule in sorted(rules, key=lambda rule: rule.rule))
