"""VPCs with their subnets, route tables, security groups and NACLs, as the scenario wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..errors import Mark, Problem
from ..quantities import Prefix, parse_prefix
from .entities import NOWHERE, AclRule, NetworkAcl, Node, RouteTable, SecurityGroup, Subnet, TrafficRule, Vpc, VpcRoute
from .providers import Provider

if TYPE_CHECKING:
    from ..scenario.schema import AclRuleSpec, GroupRule, NetworkAclSpec, RouteSpec, Spec, SubnetSpec, VpcSpec

ANYWHERE = Prefix(0, 0)
DEFAULT_GROUP = "default"
PROTOCOLS = {"icmp": 1, "ipip": 4, "ip-in-ip": 4, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "sctp": 132}


def vpcs(
    spec: Spec, profile: Provider, problems: list[Problem], warnings: list[str],
) -> tuple[dict[str, Vpc], dict[str, Subnet]]:
    """Every VPC by name and every subnet by name (VPC/NAME where two VPCs have a subnet of that name)."""
    made: dict[str, Vpc] = {}
    subnets: dict[str, Subnet] = {}
    names = [name for vpc in spec.vpcs.values() for name in vpc.subnets]
    for name, written in spec.vpcs.items():
        path = f"spec.vpcs.{name}"
        gateway = written.internet_gateway and profile.internet_gateways
        if written.internet_gateway and not gateway:
            warnings.append(
                f"{written.mark_of('internetGateway')}: provider {profile.name} has no internet gateways; "
                "its own leg to the outside takes the place")
        made[name] = Vpc(
            name, tuple(written.cidrs), gateway, _groups(written, path, problems), _tables(spec, written, gateway, profile, problems, path),
            {key: _acl(key, acl, f"{path}.networkAcls.{key}", problems) for key, acl in written.network_acls.items()}, written.mark)
        for key, subnet in written.subnets.items():
            label = key if names.count(key) == 1 else f"{name}/{key}"
            subnets[label] = _subnet(label, name, subnet, made[name], profile, f"{path}.subnets.{key}", problems)
    return made, subnets


def with_default_group(vpc: Vpc, nodes: Iterable[Node]) -> Mapping[str, SecurityGroup]:
    """The VPC's groups and, where a node is in it, AWS' default group: in from its own members, out to everybody."""
    if DEFAULT_GROUP in vpc.groups or not any(node.vpc == vpc.name and DEFAULT_GROUP in node.groups for node in nodes):
        return vpc.groups
    default = SecurityGroup(
        DEFAULT_GROUP, (TrafficRule(None, group=DEFAULT_GROUP),), (TrafficRule(None, prefix=ANYWHERE),), NOWHERE)
    return {**vpc.groups, DEFAULT_GROUP: default}


def protocol_number(name: int | str) -> int | None:
    """``"tcp"``, ``6`` or ``"6"`` → 6; ``"all"`` → None. Raises ValueError."""
    text = str(name).lower()
    if text in ("all", "-1"):
        return None
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    if text.isdecimal() and int(text) <= 255:
        return int(text)
    raise ValueError(f"{name} is no protocol; write {', '.join(PROTOCOLS)}, all, or a number from 0 to 255")


def ports(value: int | str | None) -> tuple[int, int]:
    """``443`` → (443, 443), ``"1000-2000"`` → (1000, 2000), None → all. Raises ValueError."""
    if value is None:
        return 0, 65535
    low, dash, high = str(value).partition("-")
    if low.isdecimal() and (high.isdecimal() if dash else not high):
        bounds = int(low), int(high or low)
        if bounds[0] <= bounds[1] <= 65535:
            return bounds
    raise ValueError(f"{value} is neither a port (0 to 65535) nor a range such as 1000-2000")


def _subnet(
    label: str, vpc: str, written: SubnetSpec, owner: Vpc, profile: Provider, path: str, problems: list[Problem],
) -> Subnet:
    if not any(prefix.covers(written.cidr) for prefix in owner.prefixes):
        problems.append(Problem(
            written.mark_of("cidr"), f"{path}.cidr", f"{written.cidr} lies in no CIDR of VPC {vpc}",
            f"choose one inside {', '.join(map(str, owner.prefixes))}"))
    for kind, name, known in (("routeTable", written.route_table, owner.tables), ("networkAcl", written.network_acl, owner.acls)):
        if name and name not in known:
            problems.append(Problem(
                written.mark_of(kind), f"{path}.{kind}", f"VPC {vpc} has no {kind} called {name}",
                f"there is {', '.join(known) or 'none'}"))
    return Subnet(
        label, vpc, written.zone, written.cidr, written.cidr.network + profile.gateway, written.mtu or profile.mtu,
        written.route_table, written.network_acl, written.mark)


def _tables(
    spec: Spec, written: VpcSpec, gateway: bool, profile: Provider, problems: list[Problem], path: str,
) -> dict[str, RouteTable]:
    quota = spec.limits.routes_per_table or profile.routes_per_table
    tables = {}
    for name in dict.fromkeys(["main", *written.route_tables]):
        table = written.route_tables.get(name)
        routes = [_route(route, f"{path}.routeTables.{name}", problems) for route in (table.routes if table else [])]
        mark = table.mark if table else written.mark
        if gateway and (table is None or table.internet) and not any(route.prefix == ANYWHERE for route in routes):
            routes.insert(0, VpcRoute(ANYWHERE, "igw", mark=mark))
        tables[name] = RouteTable(name, tuple(routes), quota, mark)
    return tables


def _route(written: RouteSpec, path: str, problems: list[Problem]) -> VpcRoute:
    via, _, target = written.via.partition("/")
    if via not in ("node", "nat", "igw", "blackhole") or bool(target) != (via in ("node", "nat")):
        problems.append(Problem(
            written.mark_of("via"), path, f"{written.via} is no target of a route", "write node/NAME, igw, nat/NAME or blackhole"))
    return VpcRoute(written.to, via, target, written.mark)


def _groups(written: VpcSpec, path: str, problems: list[Problem]) -> dict[str, SecurityGroup]:
    known = {*written.security_groups, DEFAULT_GROUP}
    groups = {}
    for name, group in written.security_groups.items():
        where = f"{path}.securityGroups.{name}"
        groups[name] = SecurityGroup(
            name,
            tuple(_group_rule(rule, rule.source, known, f"{where}.ingress[{i}]", problems) for i, rule in enumerate(group.ingress)),
            tuple(_group_rule(rule, rule.destination, known, f"{where}.egress[{i}]", problems) for i, rule in enumerate(group.egress)),
            group.mark)
    return groups


def _group_rule(written: GroupRule, peer: str | None, known: set[str], path: str, problems: list[Problem]) -> TrafficRule:
    protocol, low, high = _match(written.protocol, written.port, written.mark, path, problems)
    if peer is None:
        return TrafficRule(protocol, low, high, ANYWHERE, mark=written.mark)
    if peer in known:
        return TrafficRule(protocol, low, high, group=peer, mark=written.mark)
    try:
        return TrafficRule(protocol, low, high, parse_prefix(peer), mark=written.mark)
    except ValueError:
        problems.append(Problem(
            written.mark, path, f"{peer} is neither a prefix nor a security group of this VPC", f"groups: {', '.join(sorted(known))}"))
        return TrafficRule(protocol, low, high, ANYWHERE, mark=written.mark)


def _acl(name: str, written: NetworkAclSpec, path: str, problems: list[Problem]) -> NetworkAcl:
    return NetworkAcl(
        name, *(_acl_rules(rules, f"{path}.{side}", problems) for side, rules in (("ingress", written.ingress), ("egress", written.egress))),
        written.mark)


def _acl_rules(rules: list[AclRuleSpec], path: str, problems: list[Problem]) -> tuple[AclRule, ...]:
    made: dict[int, AclRule] = {}
    for position, rule in enumerate(rules):
        protocol, low, high = _match(rule.protocol, rule.port, rule.mark, f"{path}[{position}]", problems)
        if rule.rule in made:
            problems.append(Problem(
                rule.mark_of("rule"), f"{path}[{position}].rule", f"rule {rule.rule} is there twice", "give each rule its own number"))
        made[rule.rule] = AclRule(rule.rule, rule.action == "allow", protocol, rule.cidr, low, high, rule.mark)
    return tuple(made[number] for number in sorted(made))


def _match(
    protocol: int | str, port: int | str | None, mark: Mark, path: str, problems: list[Problem],
) -> tuple[int | None, int, int]:
    try:
        return protocol_number(protocol), *ports(port)
    except ValueError as error:
        problems.append(Problem(mark, path, str(error)))
        return None, 0, 65535
