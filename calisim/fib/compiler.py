"""compile(): Intent → FibImage. Interns decisions to integers; CompileError where a limit of the layout is hit.

The union of all prefixes that anybody asks about cuts the address space into classes. What is true of a class whoever
looks (residents, pool, subnet, owner) stands in its CLASS record; what depends on the looking router is one row per
*FIB group* – the routers whose RoutingInputs and uplink routes are equal – filled by that group's own longest match.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..control.intent import FabricGroup, FabricSubnet, FilterRule, Intent, Router
from ..errors import CompileError
from ..parts import Parts, collector_paused
from ..quantities import Prefix, format_address
from ..vocabulary import (
    ENDPOINT, FABRIC, ROUTER, RULE, SUBNET, TARGET, Device, EndpointKind, FabricFlag, RouterFlag, TargetKind,
)
from . import lpm
from .classes import Classes, Facts
from .columns import Columns
from .image import FibImage, freeze
from .police import compile_policy
from .routes import MOST_CELLS, Adverts, Groups, Nesting, Routing, uplink_prefixes, view
from .services import cluster_cidrs, compile_services, node_port_addresses

MOST_GROUPS = 64                      # security groups are a bit set


@collector_paused()
def compile(intent: Intent, parts: Parts | None = None) -> FibImage:
    """The tables that the compiled core forwards by. ``parts`` are those of an earlier build: equal tables are taken over."""
    parts = parts or Parts()
    endpoints = parts.of("columns", Columns, intent.endpoints)
    views = parts.each("views", view, list(zip(intent.routers, intent.own_routes, strict=True)))
    groups = parts.of("groups", Groups, intent.routers, views)
    adverts = parts.of("adverts of all", Adverts, intent.adverts)
    nesting = parts.of("nesting", Nesting, tuple(uplink_prefixes(groups)), adverts)
    classes = parts.of("classes", Classes, _facts(intent, groups, nesting, endpoints))
    routing = parts.of("routing", Routing, groups, adverts, nesting, intent.remote_route, classes)
    target_rows, targets = _targets(intent, classes.samples)
    policy = parts.of("policy", compile_policy, intent.policy)
    programs = [
        (policy.programs[identity.ingress], policy.programs[identity.egress]) for identity in intent.policy.identities]
    filters = parts.of(
        "filters", _filters, intent.routers, groups.of_router, intent.fabric.groups, intent.fabric.subnets,
        frozenset(router for router, _ in intent.policy.interfaces), intent.policy.cuts)
    arrays = {
        "lpm": classes.table, "classes": classes.records, "residents": classes.residents,
        "rows": routing.rows, "adjacencies": routing.records,
        "endpoints": parts.of(
            "endpoint records", _endpoints, endpoints, intent.fabric.owners, [subnet.prefix for subnet in intent.fabric.subnets],
            intent.policy.endpoints, programs),
        "target_rows": target_rows, "targets": targets,
        "blocked": np.array([p in intent.fabric.blocked_protocols for p in range(256)], np.uint8), "fabric": _fabric(intent),
        "interfaces": _interfaces(intent), **filters, **policy.arrays, **parts.of("services", compile_services, intent.services),
    }
    return FibImage(
        **{name: freeze(array) for name, array in arrays.items()}, places=len(intent.places), objects=len(intent.objects))


def _facts(intent: Intent, groups: Groups, nesting: Nesting, endpoints: Columns) -> Facts:
    fabric = intent.fabric
    tunnels = [(a, router.id) for router in intent.routers for a in (router.ipip_address, router.vxlan_address) if a]
    return Facts(
        endpoints, tunnels, intent.blocks, groups.holders, nesting, [route.prefix for table in fabric.tables for route in table],
        [pool.prefix for pool in intent.pools if not pool.disabled], intent.nat, [subnet.prefix for subnet in fabric.subnets],
        intent.tunnel_senders, cluster_cidrs(intent.services), node_port_addresses(intent.services), _public(intent),
        fabric.owners)


def _public(intent: Intent) -> dict[int, int]:
    """Router of each public address that is known."""
    public: dict[int, int] = {}
    for router in intent.routers:
        if router.public_address and router.flags & RouterFlag.PUBLIC:
            other = public.setdefault(router.public_address, router.id)
            if other != router.id:
                raise CompileError(
                    f"{intent.router(other).name} and {router.name} have one public address, "
                    f"{format_address(router.public_address)}")
    return public


def _filters(
    routers: Sequence[Router], of_router: Sequence[int], groups: Sequence[FabricGroup], subnets: Sequence[FabricSubnet],
    guarded: frozenset[int], cuts: bool,
) -> dict[str, np.ndarray]:
    """Routers and subnets, with the rules that security groups and NACLs give them."""
    rules = _Rules(len(groups))
    of_routers = _routers(routers, of_router, groups, len(subnets), guarded, cuts, rules)
    return {"routers": of_routers, "subnets": _subnets(subnets, rules), "rules": rules.records()}


class _Rules:
    """The rule table: runs of rules, equal runs once."""

    def __init__(self, groups: int) -> None:
        self._rules: list[tuple[int, ...]] = [(0,) * 8]
        self._runs: dict[tuple[FilterRule, ...], int] = {}
        if groups > MOST_GROUPS:
            raise CompileError(
                f"{groups} security groups, and the packet core knows {MOST_GROUPS}: merge groups with equal rules")

    def run(self, rules: tuple[FilterRule, ...]) -> tuple[int, int]:
        """Where these rules stand: index of the first, count."""
        if rules not in self._runs:
            self._runs[rules] = len(self._rules)
            self._rules += [
                (prefix.network, prefix.mask, 256 if rule.protocol is None else rule.protocol, rule.low, rule.high, rule.allow,
                 1 << rule.group - 1 if rule.group else 0, rule.decided_by)
                for rule in rules for prefix in [rule.prefix or Prefix(0, 0)]]
        return self._runs[rules], len(rules)

    def records(self) -> np.ndarray:
        return np.array(self._rules, RULE)


def _routers(
    routers: Sequence[Router], of_router: Sequence[int], groups: Sequence[FabricGroup], subnets: int, guarded: frozenset[int],
    cuts: bool, rules: _Rules,
) -> np.ndarray:
    rows: list[tuple[int, ...]] = [(0,) * len(ROUTER.names or ())]
    runs: dict[tuple[int, ...], tuple[int, ...]] = {}              # by membership
    filters: dict[tuple[object, ...], tuple[int, ...]] = {}        # by what the settings say
    for router, group in zip(routers, of_router, strict=True):
        if not 1 <= router.subnet <= subnets:
            raise CompileError(f"{router.name} is in no subnet of the fabric")
        if router.groups not in runs:
            mine = [groups[number - 1] for number in router.groups]
            runs[router.groups] = (
                *rules.run(tuple(rule for g in mine for rule in g.ingress)),
                *rules.run(tuple(rule for g in mine for rule in g.egress)),
                sum(1 << number - 1 for number in set(router.groups)), mine[0].decided_by if mine else 0)
        *own, decider = runs[router.groups]
        said = router.flags, router.id in guarded, router.rp_filter, router.rp_filter_veth, router.rp_filter_tunnel
        if said not in filters:
            filters[said] = (
                _flags(router, router.id in guarded, cuts),
                *(router.rp_filter_of(device) for device in (Device.ETHERNET, Device.VETH, Device.IPIP)))
        flags, *rp_filters = filters[said]
        inputs = router.inputs
        rows.append((
            router.address, router.key, group, router.subnet, router.ipip_address, router.vxlan_address, router.public_address,
            inputs.link.network, inputs.link.mask, inputs.mtu, router.decided_by, *own, flags, decider, *rp_filters))
    keys = {router.key for router in routers}
    if len(keys) < len(routers):
        raise CompileError("two nodes' names have one 32-bit hash (FNV-1a): rename one of them")
    return np.array(rows, ROUTER)


def _flags(router: Router, guarded: bool, cuts: bool) -> RouterFlag:
    flags = router.flags
    if flags & RouterFlag.CALICO_FILTER:
        flags |= RouterFlag.GUARDED if guarded else RouterFlag(0)
        flags |= RouterFlag.CUTS if cuts else RouterFlag(0)
    return flags


def _interfaces(intent: Intent) -> np.ndarray:
    """Router × device → guard; without any guard a row that nobody reads."""
    table = np.zeros((len(intent.routers) + 1 if intent.policy.interfaces else 1, len(Device)), np.uint32)
    for (router, device), guard in intent.policy.interfaces.items():
        table[router, device] = guard
    return table


def _endpoints(
    endpoints: Columns, interfaces: Mapping[int, int], subnets: list[Prefix], identities: Sequence[int],
    programs: list[tuple[int, int]],
) -> np.ndarray:
    """``interfaces``: endpoints by address inside the VPCs; ``programs`` of each identity."""
    table = np.zeros(len(endpoints.ids) + 1, ENDPOINT)
    rows = table[1:]
    for name, column in (
        ("address", endpoints.addresses), ("router", endpoints.routers), ("mtu", endpoints.mtus),
        ("detail", endpoints.deciders), ("kind", endpoints.kinds),
    ):
        rows[name] = column
    routed = (endpoints.kinds == EndpointKind.POD) & (endpoints.addresses != 0)
    rows["route_detail"][routed] = endpoints.deciders[routed]
    inside = np.array([number for address, number in interfaces.items() if endpoints.addresses[number - 1] == address], np.int64)
    rows["subnet"][inside - 1] = lpm.Intervals(subnets).match(endpoints.addresses[inside - 1]) + 1
    if identities:
        rows["ingress"], rows["egress"] = np.array([(0, 0), *programs])[np.array(identities)].T
    return table


def _subnets(subnets: Sequence[FabricSubnet], rules: _Rules) -> np.ndarray:
    rows: list[tuple[int, ...]] = [(0,) * len(SUBNET.names or ())]
    for subnet in subnets:
        rows.append((
            subnet.prefix.network, subnet.prefix.mask, subnet.gateway, subnet.table, subnet.place, subnet.decided_by,
            *rules.run(subnet.acl_in or ()), *rules.run(subnet.acl_out or ()),
            subnet.acl_in is not None, subnet.acl_out is not None,
            min(subnet.mtu, 0xFFFF)))
    return np.array(rows, SUBNET)


def _targets(intent: Intent, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cloud route table × class → target; the targets."""
    targets: dict[tuple[int, ...], int] = {(TargetKind.NONE, 0, 0, 0): 0}
    rows = np.zeros((max(len(intent.fabric.tables), 1), len(samples)), np.uint32)
    if rows.size > MOST_CELLS:
        raise CompileError(f"{len(rows):,} route tables over {len(samples):,} prefixes do not fit ({MOST_CELLS:,} cells)")
    for number, table in enumerate(intent.fabric.tables):
        table = tuple(sorted(table, key=lambda route: route.prefix))
        numbers = [targets.setdefault((r.target, r.router, r.place, r.decided_by), len(targets)) for r in table]
        rows[number] = np.array([*numbers, 0], np.uint32)[lpm.Intervals([r.prefix for r in table]).match(samples)]
    return rows, np.array(list(targets), TARGET)


def _fabric(intent: Intent) -> np.ndarray:
    fabric = intent.fabric
    routes = [route for table in fabric.tables for route in table]
    flags = FabricFlag(0)
    flags |= FabricFlag.DECREMENTS_TTL if fabric.decrements_ttl else FabricFlag(0)
    flags |= FabricFlag.ROUTES_PODS if fabric.routes_pods else FabricFlag(0)
    flags |= FabricFlag.OUTSIDE if any(route.target is TargetKind.OUTSIDE for route in routes) else FabricFlag(0)
    leads_out = [any(route.target is TargetKind.OUTSIDE for route in table) for table in fabric.tables]
    gateways = [route.place for route in routes if route.target is TargetKind.INTERNET]
    gateway = next(iter(gateways + [subnet.place for subnet in fabric.subnets if leads_out[subnet.table]]), 0)
    return np.array([(
        intent.seed & (1 << 64) - 1, fabric.mtu, fabric.internet_mtu, gateway, flags, fabric.decided_by, fabric.outside_address,
        intent.icmp_ratelimit)], FABRIC)
