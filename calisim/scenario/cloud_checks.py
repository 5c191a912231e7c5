"""Facts of the ground that the cluster stands on: VPCs, subnets, groups, tables, and nodes' addresses in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from ..errors import Problem
from ..quantities import Prefix, format_address, parse_prefix, plural
from .faults import fact_and_cure, nearest, problem
from .names import Names, numbered
from .scalars import EVERY_PROTOCOL
from .schema import AclRuleSpec, GroupRule, NodeGroup, RouteTableSpec, Section, Spec, SubnetSpec, VpcSpec

DEFAULT_GROUP = "default"         # AWS' own, in every VPC
AWS_RESERVED_FIRST, AWS_RESERVED_LAST = 4, 1   # AWS docs, "Subnet CIDR blocks": network, router, DNS, future; broadcast
_AWS_SHORTEST, _AWS_LONGEST = 16, 28           # AWS docs, "VPC CIDR blocks" and "Subnet CIDR blocks"


def check_cloud(spec: Spec, names: Names, lost_subnets: Collection[str]) -> Iterator[Problem]:
    """All problems of the VPCs and of the nodes' places in them."""
    yield from _vpc_overlaps(spec)
    for name, vpc in spec.vpcs.items():
        for faults in (_subnets(name, vpc), _sizes(spec, vpc), _routes(name, vpc, names), _groups(name, vpc), _acls(vpc)):
            yield from faults
    yield from _nodes(spec, lost_subnets)
    yield from _public_addresses(spec)


def _vpc_overlaps(spec: Spec) -> Iterator[Problem]:
    """calisim tells hosts apart by their address, so two VPCs cannot share a range."""
    seen: list[tuple[Prefix, str]] = []
    for name, vpc in spec.vpcs.items():
        for position, cidr in enumerate(vpc.cidrs):
            other = next((f"{one} of {owner}" for one, owner in seen if one.overlaps(cidr)), None)
            if other:
                yield problem(vpc, "cidrs", f"{cidr} of {name} overlaps {other}", "give each VPC a range of its own", position)
            seen.append((cidr, name))


def _subnets(vpc_name: str, vpc: VpcSpec) -> Iterator[Problem]:
    ordered = sorted(vpc.subnets.items(), key=lambda item: item[1].cidr)
    widest: tuple[str, SubnetSpec] | None = None
    for name, subnet in ordered:
        if not any(cidr.covers(subnet.cidr) for cidr in vpc.cidrs):
            yield problem(subnet, "cidr", f"{subnet.cidr} is in no CIDR of VPC {vpc_name}",
                          f"choose one inside {', '.join(map(str, vpc.cidrs))}")
        if widest and widest[1].cidr.overlaps(subnet.cidr):
            yield problem(subnet, "cidr", f"{subnet.cidr} overlaps subnet {widest[0]} ({widest[1].cidr})",
                          "subnets share no address")
        if widest is None or subnet.cidr.last > widest[1].cidr.last:
            widest = name, subnet
        if subnet.route_table not in ("main", *vpc.route_tables):
            yield problem(subnet, "route_table", f"VPC {vpc_name} has no route table {subnet.route_table}",
                          nearest(subnet.route_table, ["main", *vpc.route_tables]))
        if subnet.network_acl and subnet.network_acl not in vpc.network_acls:
            yield problem(subnet, "network_acl", f"VPC {vpc_name} has no NACL {subnet.network_acl}",
                          nearest(subnet.network_acl, vpc.network_acls))


def _sizes(spec: Spec, vpc: VpcSpec) -> Iterator[Problem]:
    if spec.provider != "aws":
        return
    hint = f"AWS allows /{_AWS_SHORTEST} to /{_AWS_LONGEST}"
    for position, cidr in enumerate(vpc.cidrs):
        if not _AWS_SHORTEST <= cidr.length <= _AWS_LONGEST:
            yield problem(vpc, "cidrs", f"{cidr} is no size of a VPC", hint, position)
    for subnet in vpc.subnets.values():
        if not _AWS_SHORTEST <= subnet.cidr.length <= _AWS_LONGEST:
            yield problem(subnet, "cidr", f"{subnet.cidr} is no size of a subnet", hint)


def _routes(vpc_name: str, vpc: VpcSpec, names: Names) -> Iterator[Problem]:
    for table in vpc.route_tables.values():
        yield from _targets(vpc_name, vpc, table, names)
        seen: dict[Prefix, int] = {}
        for route in table.routes:
            if route.to in seen:
                yield problem(route, "to", f"{route.to} has a route already (line {seen[route.to]})", "keep one of the two")
            seen.setdefault(route.to, route.mark.line)


def _targets(vpc_name: str, vpc: VpcSpec, table: RouteTableSpec, names: Names) -> Iterator[Problem]:
    for route in table.routes:
        kind, _, name = route.via.partition("/")
        if kind not in ("node", "nat", "igw", "blackhole") or bool(name) != (kind in ("node", "nat")):
            yield problem(route, "via", f"{route.via!r} is no target of a route", "write node/NAME, nat/NAME, igw or blackhole")
        elif kind == "node" and "node" not in names.unsure and not names.has_node(name):
            yield problem(route, "via", f"there is no node {name}", names.nearest_node(name))
        elif kind == "igw" and not vpc.internet_gateway:
            yield problem(route, "via", f"VPC {vpc_name} has no internet gateway", "say internetGateway: true")


def _groups(vpc_name: str, vpc: VpcSpec) -> Iterator[Problem]:
    known = [*vpc.security_groups, DEFAULT_GROUP]
    for group in vpc.security_groups.values():
        for rule in group.ingress:
            yield from _rule(rule, "source", "destination", "an ingress rule says from:, not to:", known, vpc_name)
        for rule in group.egress:
            yield from _rule(rule, "destination", "source", "an egress rule says to:, not from:", known, vpc_name)


def _rule(rule: GroupRule, field: str, other: str, sentence: str, known: list[str], vpc_name: str) -> Iterator[Problem]:
    if getattr(rule, other) is not None:
        yield problem(rule, other, sentence, "0.0.0.0/0 is everybody")
    yield from _port_without_protocol(rule)
    peer = getattr(rule, field)
    if peer is None or peer in known:
        return
    try:
        parse_prefix(peer)
    except ValueError as error:
        if any(letter in peer for letter in "/:") or peer[:1].isdigit():
            yield problem(rule, field, *fact_and_cure(str(error)))
        else:
            yield problem(rule, field, f"VPC {vpc_name} has no security group {peer}", nearest(peer, known))


def _port_without_protocol(rule: GroupRule | AclRuleSpec) -> Iterator[Problem]:
    if rule.port is not None and rule.protocol in EVERY_PROTOCOL:
        yield problem(rule, "port", "a port says nothing where every protocol is meant", "add protocol: tcp or udp")


def _acls(vpc: VpcSpec) -> Iterator[Problem]:
    for acl in vpc.network_acls.values():
        for rules in (acl.ingress, acl.egress):
            seen: set[int] = set()
            for rule in rules:
                yield from _port_without_protocol(rule)
                if rule.rule in seen:
                    yield problem(rule, "rule", f"rule {rule.rule} is there twice", "the number is the order; give each its own")
                seen.add(rule.rule)


def _nodes(spec: Spec, lost_subnets: Collection[str]) -> Iterator[Problem]:
    subnets = _subnets_by_name(spec)
    taken: dict[int, str] = {host.ip: f"host {host.name}" for host in spec.hosts}
    yield from _twice(((host.ip, host, f"host {host.name}") for host in spec.hosts), "ip")
    used: dict[str, int] = {}
    for group in spec.nodes:
        found = subnets.get(group.subnet)
        if found is None:
            if group.subnet not in lost_subnets:
                yield problem(group, "subnet", f"there is no subnet {group.subnet}", nearest(group.subnet, subnets))
            continue
        vpc_name, subnet = found
        vpc = spec.vpcs[vpc_name]
        for position, name in enumerate(group.security_groups):
            if name not in vpc.security_groups and name != DEFAULT_GROUP:
                yield problem(group, "security_groups", f"VPC {vpc_name} has no security group {name}",
                              nearest(name, vpc.security_groups), position)
        yield from _fixed_addresses(spec, group, subnet.cidr, taken)
        yield from _down(group)
        count = 1 if group.count is None else group.count
        room = _room(spec, subnet.cidr)
        before = used.get(group.subnet, 0)
        used[group.subnet] = before + count
        if before <= room < before + count:
            yield problem(
                group, "count" if group.count is not None else "subnet", f"subnet {group.subnet} ({subnet.cidr}) has room for "
                f"{plural(room, 'node')}, not for {before + count:,}", "use a larger subnet or fewer nodes")


def _down(group: NodeGroup) -> Iterator[Problem]:
    """Names of nodes that are down have to be the group's own."""
    for position, name in enumerate([] if isinstance(group.down, bool) else group.down):
        base, number = numbered(name)
        if name != group.name if group.count is None else base != group.name or not 1 <= number <= group.count:
            members = [group.name] if group.count is None else [f"{group.name}-{one}" for one in (1, group.count) if group.count]
            yield problem(group, "down", f"group {group.name} has no node {name}",
                          f"its nodes are {' … '.join(dict.fromkeys(members)) or 'none'}", position)


def _subnets_by_name(spec: Spec) -> dict[str, tuple[str, SubnetSpec]]:
    """Subnets by name; where two VPCs have one of the same name, by VPC/NAME."""
    every = Counter(name for vpc in spec.vpcs.values() for name in vpc.subnets)
    return {name if every[name] == 1 else f"{vpc_name}/{name}": (vpc_name, subnet)
            for vpc_name, vpc in spec.vpcs.items() for name, subnet in vpc.subnets.items()}


def _room(spec: Spec, cidr: Prefix) -> int:
    return max(cidr.size - _reserved(spec)[0] - _reserved(spec)[1], 0)


def _reserved(spec: Spec) -> tuple[int, int]:
    """How many addresses at the start and at the end of a subnet no node can have."""
    return (AWS_RESERVED_FIRST, AWS_RESERVED_LAST) if spec.provider == "aws" else (2, 1)


def _fixed_addresses(spec: Spec, group: NodeGroup, cidr: Prefix, taken: dict[int, str]) -> Iterator[Problem]:
    if group.address is not None and group.count is not None:
        yield problem(group, "address", "one address cannot belong to a counted group", "write firstAddress, or leave out count")
        return
    if group.address is not None and group.first_address is not None:
        yield problem(group, "first_address", "address and firstAddress exclude each other", "keep one of the two")
        return
    field = "address" if group.address is not None else "first_address"
    start = getattr(group, field)
    if start is None:
        return
    count = 1 if group.count is None else group.count
    first, last = _reserved(spec)
    low, high = cidr.network + first, cidr.last - last
    for address in (start, start + max(count - 1, 0)):
        if not low <= address <= high:
            what = "is reserved in" if address in cidr else "is outside"
            yield problem(group, field, f"{_shown(address)} {what} subnet {group.subnet} ({cidr})",
                          f"nodes can have {_shown(low)} to {_shown(high)}")
            return
    for number in range(count):
        owner = taken.setdefault(start + number, f"node {group.name}{f'-{number + 1}' if group.count is not None else ''}")
        if owner.startswith("host ") or owner.split(" ")[1] not in (group.name, f"{group.name}-{number + 1}"):
            yield problem(group, field, f"{_shown(start + number)} belongs to {owner} already", "give each its own")
            return


def _shown(address: int) -> str:
    return format_address(address & 0xFFFFFFFF)


def _public_addresses(spec: Spec) -> Iterator[Problem]:
    fixed = [(group.public_ip, group, f"node {group.name}") for group in spec.nodes
             if isinstance(group.public_ip, int) and not isinstance(group.public_ip, bool)]
    for _, group, _ in fixed:
        if group.count is not None and group.count > 1:
            yield problem(group, "public_ip", "one public address cannot belong to several nodes", "say publicIP: true")
    yield from _twice(fixed, "public_ip")


def _twice(owners: Iterable[tuple[int, Section, str]], field: str) -> Iterator[Problem]:
    seen: dict[int, str] = {}
    for address, section, name in owners:
        if address in seen:
            yield problem(section, field, f"{_shown(address)} belongs to {seen[address]} already", "give each its own")
        seen.setdefault(address, name)
