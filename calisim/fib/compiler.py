"""compile(): Intent → FibImage. Interns decisions to integers; CompileError where a limit of the layout is hit.

The union of all prefixes that anybody asks about cuts the address space into classes. What is true of a class whoever
looks (residents, pool, subnet, owner) stands in its CLASS record; what depends on the looking router is one row per
*FIB group* – the routers whose RoutingInputs and uplink routes are equal – filled by that group's own longest match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from ..control.intent import Adjacency, Advert, FabricGroup, FabricSubnet, FilterRule, Intent, Route, Router, RoutingInputs
from ..errors import CompileError
from ..parts import Parts, collector_paused
from ..quantities import Prefix, format_address
from ..vocabulary import (
    ADJACENCY, ENDPOINT, FABRIC, ROUTER, RULE, SUBNET, TARGET,
    AdjacencyFlag, AdjacencyKind, Device, DropReason, EndpointKind, FabricFlag, RouterFlag, TargetKind,
)
from . import lpm
from .classes import MOST_CELLS, Classes, Facts
from .columns import Columns
from .image import FibImage, freeze
from .police import compile_policy
from .services import cluster_cidrs, compile_services, node_port_addresses

MOST_GROUPS = 64                      # security groups are a bit set


@collector_paused()
def compile(intent: Intent, parts: Parts | None = None) -> FibImage:
    """The tables that the compiled core forwards by. ``parts`` are those of an earlier build: equal tables are taken over."""
    parts = parts or Parts()
    endpoints = parts.of("columns", Columns, intent.endpoints)
    views = parts.each("views", _view, [(router, intent.own_routes(router.id)) for router in intent.routers])
    groups = parts.of("groups", _Groups, intent.routers, views)
    routing = _Routing(intent, groups, parts)
    classes = parts.of("classes", Classes, _facts(intent, routing, endpoints))
    target_rows, targets = _targets(intent, classes.samples)
    policy = parts.of("policy", compile_policy, intent.policy)
    programs = [
        (policy.programs[identity.ingress], policy.programs[identity.egress]) for identity in intent.policy.identities]
    filters = parts.of(
        "filters", _filters, intent.routers, groups.of_router, intent.fabric.groups, intent.fabric.subnets,
        frozenset(router for router, _ in intent.policy.interfaces), intent.policy.cuts)
    arrays = {
        "lpm": classes.table, "classes": classes.records, "residents": classes.residents,
        "rows": routing.rows(classes.samples), "adjacencies": routing.records(),
        "endpoints": parts.of(
            "endpoint records", _endpoints, endpoints, intent.fabric.owners, [subnet.prefix for subnet in intent.fabric.subnets],
            intent.policy.endpoints, programs),
        "target_rows": target_rows, "targets": targets,
        "blocked": np.array([p in intent.fabric.blocked_protocols for p in range(256)], np.uint8), "fabric": _fabric(intent),
        "interfaces": _interfaces(intent), **filters, **policy.arrays, **parts.of("services", compile_services, intent.services),
    }
    return FibImage(
        **{name: freeze(array) for name, array in arrays.items()}, places=len(intent.places), objects=len(intent.objects))


class _Groups:
    """FIB groups: routers that see the same. ``of_router`` each one's, ``holders`` of blackholes (router, decider)."""

    def __init__(self, routers: Sequence[Router], views: Sequence[_View]) -> None:
        self.groups: dict[tuple[RoutingInputs, tuple[_Uplink, ...]], int] = {}
        self.of_router: list[int] = []
        self.holders: dict[Prefix, tuple[int, int]] = {}
        seen: dict[tuple[int, int], int] = {}                      # by identity, which is found faster than by value
        for router, (uplink, dropped) in zip(routers, views, strict=True):
            for prefix, decider in dropped:
                other, _ = self.holders.setdefault(prefix, (router.id, decider))
                if other != router.id:
                    raise CompileError(f"the block {prefix} belongs to {routers[other - 1].name} and to {router.name}")
            key = id(router.inputs), id(uplink)
            if key not in seen:
                seen[key] = self.groups.setdefault((router.inputs, uplink), len(self.groups))
            self.of_router.append(seen[key])
        _refuse_nested(self.holders)


def _view(item: tuple[Router, Sequence[Route]]) -> _View:
    """A router's own routes: those that lead on, and the prefixes that are dropped with their deciders."""
    router, routes = item
    uplink, dropped = [], []
    for route in routes:
        decider = route.adjacency.decided_by
        if route.adjacency.kind is AdjacencyKind.DROP:
            dropped.append((route.prefix, decider))
        else:
            own = decider and decider == router.decided_by
            uplink.append((route.prefix, route.adjacency._replace(decided_by=_OWN) if own else route.adjacency))
    return _shared(tuple(uplink)), tuple(dropped)


@lru_cache(maxsize=1 << 10)
def _shared(uplink: tuple[_Uplink, ...]) -> tuple[_Uplink, ...]:
    return uplink


class _Routing:
    """Every router's routes, not written out: a row of adjacencies for each group."""

    def __init__(self, intent: Intent, groups: _Groups, parts: Parts) -> None:
        self.intent, self.groups, self.holders, self.parts = intent, groups.groups, groups.holders, parts
        self._adjacencies: dict[tuple[int, _Record], int] = {(0, _NOTHING): 0}        # by fallback and record

    @property
    def prefixes(self) -> Iterable[Prefix]:
        """All that routes are about."""
        yield from self.holders
        yield from (advert.prefix for advert in self.intent.adverts if advert.exported)
        for _, uplink in self.groups:
            yield from (prefix for prefix, _ in uplink)

    def rows(self, samples: np.ndarray) -> np.ndarray:
        """FIB group × class → adjacency; ``samples`` are an address of each class."""
        if len(self.groups) * len(samples) > MOST_CELLS:
            raise CompileError(
                f"{len(self.groups):,} different views of {len(samples):,} prefixes do not fit the table of routes "
                f"({MOST_CELLS:,} cells): give the nodes of one subnet the same prefix and MTU")
        rows = np.zeros((max(len(self.groups), 1), len(samples)), np.uint32)
        for (inputs, uplink), number in self.groups.items():
            rows[number] = self._row(number, inputs, uplink, samples)
        return rows

    def _row(self, number: int, inputs: RoutingInputs, uplink: tuple[_Uplink, ...], samples: np.ndarray) -> np.ndarray:
        learnt = self.parts.each(("learnt", number), _learn, self.intent.adverts, self.intent.remote_route, inputs)
        routes = [_record(prefix, adjacency, 0) for prefix, adjacency in uplink] + [one for one in learnt if one is not None]
        nets = np.array([prefix for prefix, _, _ in routes], np.int64).reshape(-1, 2)
        intervals = lpm.Intervals(nets)
        parents = intervals.parents.tolist()
        numbers = [0] * (len(routes) + 1)                          # the last one, index −1, is *no route*
        known = self._adjacencies
        for index in np.lexsort((-np.arange(len(nets)), *nets.T)).tolist():          # by length: parents first
            _, record, owner = routes[index]
            parent = parents[index]
            while owner and parent >= 0 and routes[parent][2] == owner:
                parent = parents[parent]
            numbers[index] = known.setdefault((numbers[parent] if owner else 0, record), len(known))
        return np.array(numbers, np.uint32)[intervals.match(samples)]

    def records(self) -> np.ndarray:
        records = np.array([record for _, record in self._adjacencies], ADJACENCY)
        records["fallback"] = [fallback for fallback, _ in self._adjacencies]
        return records


def _learn(
    advert: Advert, remote_route: Callable[[RoutingInputs, Advert], Route | None], inputs: RoutingInputs,
) -> _Recorded | None:
    """What a router with these inputs learns of an advert."""
    learnt = remote_route(inputs, advert) if advert.exported else None
    return None if learnt is None else _record(learnt.prefix, learnt.adjacency, advert.owner)


def _record(prefix: Prefix, adjacency: Adjacency, owner: int) -> _Recorded:
    """A route as (prefix, adjacency without its fallback, owner)."""
    flags = AdjacencyFlag.OWN_DECIDER if adjacency.decided_by == _OWN else 0
    return prefix, (
        adjacency.kind, adjacency.encap, adjacency.device, adjacency.reason, adjacency.next_hop, adjacency.mtu,
        0 if flags else adjacency.decided_by, owner, 0, prefix.length, flags), owner


_Uplink = tuple[Prefix, Adjacency]
_View = tuple[tuple[_Uplink, ...], tuple[tuple[Prefix, int], ...]]
_Record = tuple[int, ...]
_Recorded = tuple[Prefix, _Record, int]
_OWN = -1                             # decided by the looking router's own object
_NOTHING = (AdjacencyKind.DROP, 0, 0, DropReason.NO_ROUTE, 0, 0, 0, 0, 0, 0, 0)


def _refuse_nested(holders: Mapping[Prefix, tuple[int, int]]) -> None:
    prefixes = list(holders)
    for inner, outer in enumerate(lpm.Intervals(prefixes).parents.tolist()):
        if outer >= 0 and holders[prefixes[inner]][0] != holders[prefixes[outer]][0]:
            raise CompileError(f"the block {prefixes[inner]} lies inside the block {prefixes[outer]} of another node")


def _facts(intent: Intent, routing: _Routing, endpoints: Columns) -> Facts:
    fabric = intent.fabric
    tunnels = [(a, router.id) for router in intent.routers for a in (router.ipip_address, router.vxlan_address) if a]
    return Facts(
        endpoints, tunnels, intent.blocks, routing.holders,
        [*routing.prefixes, *(route.prefix for table in fabric.tables for route in table)],
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
