"""What if one thing were different? Edits of a topology, each a function from a frozen topology to another.

:mod:`calisim.analysis.needs` takes one thing away with them, :mod:`calisim.analysis.cures` puts one thing right;
both then really send the packets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..model.entities import AclRule, NetworkAcl, Node, RouteTable, SecurityGroup, TrafficRule, Vpc
from ..quantities import Prefix
from ..sequences import Joined, runs

if TYPE_CHECKING:
    from ..model.topology import Topology

Edit = Callable[["Topology"], "Topology"]


def source_dest_check(on: bool, names: Collection[str] | None = None) -> Edit:
    """The check of the named nodes (None: of all), whoever set it."""
    return on_nodes(names, lambda node: replace(node, source_dest_check=on))


def on_nodes(names: Collection[str] | None, change: Callable[[Node], Node]) -> Edit:
    """A change of the named nodes (None: of all)."""

    def edit(topology: Topology) -> Topology:
        nodes = Joined(_changed(run, names, change) for run in runs(topology.entities.nodes))
        return replace(topology, entities=replace(topology.entities, nodes=nodes))

    return edit


def _changed(nodes: Sequence[Node], names: Collection[str] | None, change: Callable[[Node], Node]) -> Sequence[Node]:
    """The run itself where nobody in it is named."""
    if names is not None and not any(node.name in names for node in nodes):
        return nodes
    return tuple(change(node) if names is None or node.name in names else node for node in nodes)


def felix(**values: Any) -> Edit:
    """Fields of the FelixConfiguration."""

    def edit(topology: Topology) -> Topology:
        resources = topology.resources
        return replace(topology, resources=replace(resources, felix=replace(resources.felix, **values)))

    return edit


def pools(**values: Any) -> Edit:
    """Fields of every IP pool."""

    def edit(topology: Topology) -> Topology:
        changed = tuple(replace(pool, **values) for pool in topology.resources.pools)
        return replace(topology, resources=replace(topology.resources, pools=changed))

    return edit


def cross_subnet(topology: Topology) -> Topology:
    """Encapsulate between subnets: pools without encapsulation get ipipMode CrossSubnet, the others stay."""
    changed = tuple(
        pool if pool.ipip_mode != "Never" or pool.vxlan_mode != "Never" else replace(pool, ipip_mode="CrossSubnet")
        for pool in topology.resources.pools)
    return replace(topology, resources=replace(topology.resources, pools=changed))


def vxlan_for_ipip(topology: Topology) -> Topology:
    """The same modes with VXLAN in place of IP-in-IP."""
    changed = tuple(
        pool if pool.ipip_mode == "Never" else replace(pool, ipip_mode="Never", vxlan_mode=pool.ipip_mode)
        for pool in topology.resources.pools)
    return replace(topology, resources=replace(topology.resources, pools=changed))


def settings(**values: Any) -> Edit:
    """Fields of the scenario's settings (rp_filter, filter …)."""

    def edit(topology: Topology) -> Topology:
        return replace(topology, settings=topology.settings.model_copy(update=values))

    return edit


def group_rules(change: Callable[[SecurityGroup, Vpc], SecurityGroup]) -> Edit:
    """A change of every security group."""
    return _vpcs(lambda vpc: replace(vpc, groups={name: change(group, vpc) for name, group in vpc.groups.items()}))


def without_protocol(protocol: int, port: int, present: Iterable[int], *, egress: bool = False) -> Edit:
    """Rules as before, only that this protocol (and port, if not 0) is not let in – nor out, if ``egress``.

    A rule for all protocols becomes one rule for each of those that are ``present`` in the traffic.
    """
    others = sorted(set(present) - {protocol})

    def kept(rules: tuple[TrafficRule, ...]) -> tuple[TrafficRule, ...]:
        return tuple(left for rule in rules for left in _except_for(rule, protocol, port, others))

    def change(group: SecurityGroup, _: Vpc) -> SecurityGroup:
        return replace(group, ingress=kept(group.ingress), egress=kept(group.egress) if egress else group.egress)

    return group_rules(change)


def without_addresses(holes: Collection[Prefix]) -> Edit:
    """Ingress rules that match by address and know nothing of these prefixes; membership becomes the VPC's own CIDRs."""

    def change(group: SecurityGroup, vpc: Vpc) -> SecurityGroup:
        return replace(group, ingress=tuple(
            replace(rule, group=None, prefix=prefix) for rule in group.ingress for whole in _addresses(rule, vpc)
            for prefix in minus(whole, holes)))

    return group_rules(change)


def open_groups(protocol: int | None, port: int, prefixes: Collection[Prefix] = (Prefix(0, 0),)) -> Edit:
    """One more rule in every group and direction: this protocol (and port, if not 0) from and to these prefixes."""
    low, high = (port, port) if port else (0, 65535)
    rules = tuple(TrafficRule(protocol, low, high, prefix) for prefix in prefixes)
    return group_rules(lambda group, _: replace(group, ingress=(*group.ingress, *rules), egress=(*group.egress, *rules)))


def allow(group: str, rule: TrafficRule, *, ingress: bool) -> Edit:
    """One more rule in the groups of that name."""

    def change(old: SecurityGroup, _: Vpc) -> SecurityGroup:
        if old.name != group:
            return old
        return replace(old, ingress=(*old.ingress, rule)) if ingress else replace(old, egress=(*old.egress, rule))

    return group_rules(change)


def open_acls(*, ingress: bool) -> Edit:
    """NACLs that let everything pass in one direction (rule number 0 comes before all others)."""
    first = AclRule(0, True, None, Prefix(0, 0))

    def change(acl: NetworkAcl) -> NetworkAcl:
        return replace(acl, ingress=(first, *acl.ingress)) if ingress else replace(acl, egress=(first, *acl.egress))

    return _vpcs(lambda vpc: replace(vpc, acls={name: change(acl) for name, acl in vpc.acls.items()}))


def without_node_routes(topology: Topology) -> Topology:
    """Cloud route tables without entries that point to nodes."""

    def change(table: RouteTable) -> RouteTable:
        return replace(table, routes=tuple(route for route in table.routes if route.via != "node"))

    return _vpcs(lambda vpc: replace(vpc, tables={name: change(table) for name, table in vpc.tables.items()}))(topology)


def route_quota(quota: int) -> Edit:
    """Cloud route tables with another quota."""
    return _vpcs(lambda vpc: replace(
        vpc, tables={name: replace(table, quota=quota) for name, table in vpc.tables.items()}))


def minus(whole: Prefix, holes: Collection[Prefix]) -> list[Prefix]:
    """The addresses of a prefix that lie in none of the holes, as prefixes."""
    if not any(whole.overlaps(hole) for hole in holes):
        return [whole]
    if any(hole.covers(whole) for hole in holes):
        return []
    half = whole.length + 1
    parts = Prefix(whole.network, half), Prefix(whole.network | 1 << (32 - half), half)
    return [piece for part in parts for piece in minus(part, holes)]


def _vpcs(change: Callable[[Vpc], Vpc]) -> Edit:
    def edit(topology: Topology) -> Topology:
        vpcs = {name: change(vpc) for name, vpc in topology.entities.vpcs.items()}
        return replace(topology, entities=replace(topology.entities, vpcs=vpcs))

    return edit


def _except_for(rule: TrafficRule, protocol: int, port: int, others: Iterable[int]) -> Iterator[TrafficRule]:
    if rule.protocol not in (None, protocol):
        yield rule
        return
    if rule.protocol is None:
        for other in others:
            yield replace(rule, protocol=other, low=0, high=65535)
        rule = replace(rule, protocol=protocol, low=0, high=65535)
    if port and rule.low < port:
        yield replace(rule, high=min(rule.high, port - 1))
    if port and rule.high > port:
        yield replace(rule, low=max(rule.low, port + 1))


def _addresses(rule: TrafficRule, vpc: Vpc) -> tuple[Prefix, ...]:
    if rule.group is not None:
        return vpc.prefixes
    return (rule.prefix or Prefix(0, 0),)
