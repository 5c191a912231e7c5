"""compile(): Intent → FibImage. Interns decisions to integers; CompileError where a limit of the layout is hit.

The union of all prefixes that anybody asks about cuts the address space into classes. What is true of a class whoever
looks (residents, pool, subnet, owner) stands in its CLASS record; what depends on the looking router is one row per
*FIB group* – the routers whose RoutingInputs and uplink routes are equal – filled by that group's own longest match.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from ..control.intent import Block, Intent
from ..errors import CompileError
from ..parts import Parts, collector_paused
from ..quantities import Prefix
from ..sequences import Turns, runs
from ..vocabulary import (
    FABRIC, TARGET, Device, FabricFlag, TargetKind,
)
from . import lpm
from .classes import Classes, Facts
from .columns import Arrays, Columns, constant_runs, pairs
from .image import FibImage, freeze
from .police import compile_policy
from .routers import Filters, Groups, view
from .routes import MOST_CELLS, Adverts, Nesting, Routing, uplink_prefixes
from .services import cluster_cidrs, compile_services, node_port_addresses


@collector_paused()
def compile(intent: Intent, parts: Parts | None = None) -> FibImage:
    """The tables that the compiled core forwards by. ``parts`` are those of an earlier build: equal tables are taken over."""
    parts = parts or Parts()
    endpoints = parts.of("columns", partial(Columns, parts), intent.endpoints)
    views = parts.each("views", view, list(zip(runs(intent.routers), runs(intent.own_routes), strict=True)))
    groups = parts.of("groups", partial(Groups, lambda number: intent.router(number).name), views)
    adverts = parts.of("adverts as columns", partial(Adverts, parts), intent.adverts)
    nesting = parts.of("nesting", Nesting, tuple(uplink_prefixes(groups)), adverts)
    filters = parts.of(
        "filters", partial(Filters, parts), intent.routers, views, groups, intent.fabric.groups, intent.fabric.subnets,
        frozenset(router for router, _ in intent.policy.interfaces), intent.policy.cuts)
    interfaces = parts.of("interfaces", _rows, intent.fabric.owners)
    classes = parts.of("classes", Classes, _facts(intent, endpoints, filters, groups, nesting, interfaces, parts))
    routing = parts.of("routing", Routing, groups, adverts, nesting, intent.remote_route, classes)
    target_rows, targets = _targets(intent, classes.samples)
    policy = parts.of("policy", partial(compile_policy, parts=parts), intent.policy)
    programs = [
        (policy.programs[identity.ingress], policy.programs[identity.egress]) for identity in intent.policy.identities]
    arrays = {
        "lpm": classes.table, "classes": classes.records, "residents": classes.residents,
        "rows": routing.rows, "adjacencies": routing.records,
        "endpoints": parts.of(
            "endpoint records", _endpoints, endpoints, interfaces, [subnet.prefix for subnet in intent.fabric.subnets],
            intent.policy.endpoints, programs),
        "target_rows": target_rows, "targets": targets,
        "blocked": np.array([p in intent.fabric.blocked_protocols for p in range(256)], np.uint8), "fabric": _fabric(intent),
        "interfaces": _interfaces(intent), **filters.arrays, **policy.arrays,
        **parts.of("services", compile_services, intent.services),
    }
    return FibImage(
        **{name: freeze(array) for name, array in arrays.items()}, places=len(intent.places), objects=len(intent.objects))


def _facts(
    intent: Intent, endpoints: Columns, filters: Filters, groups: Groups, nesting: Nesting, interfaces: Arrays, parts: Parts,
) -> Facts:
    fabric = intent.fabric
    blocks = parts.of("blocks as rows", _together, parts.each("prefixes of blocks", _prefixes, runs(intent.blocks)))
    return Facts(
        endpoints, filters.known, blocks, groups, nesting, [route.prefix for table in fabric.tables for route in table],
        [pool.prefix for pool in intent.pools if not pool.disabled], intent.nat, [subnet.prefix for subnet in fabric.subnets],
        intent.tunnel_senders, cluster_cidrs(intent.services), node_port_addresses(intent.services), interfaces)


def _rows(written: Mapping[int, int] | Iterable[Sequence[tuple[int, int]]]) -> Arrays:
    return Arrays((pairs(written),))


def _prefixes(blocks: Sequence[Block]) -> Arrays:
    return _rows([[block.prefix for block in blocks]])


def _together(rows: Sequence[Arrays]) -> Arrays:
    return Arrays((np.concatenate([np.zeros((0, 2), np.int64), *(some for some, in rows)]),))


def _interfaces(intent: Intent) -> np.ndarray:
    """Router × device → guard; without any guard a row that nobody reads."""
    table = np.zeros((len(intent.routers) + 1 if intent.policy.interfaces else 1, len(Device)), np.uint32)
    for (router, device), guard in intent.policy.interfaces.items():
        table[router, device] = guard
    return table


def _endpoints(
    endpoints: Columns, interfaces: Arrays, subnets: list[Prefix], identities: Sequence[int], programs: list[tuple[int, int]],
) -> np.ndarray:
    """``interfaces``: address inside the VPCs, endpoint; ``programs`` of each identity."""
    edges, who = constant_runs(identities if len(identities) else Turns(array("q", [0]), len(endpoints.endpoints)))
    ingress, egress = (np.array([0, *(program[side] for program in programs)], np.uint32)[who] for side in (0, 1))
    table = endpoints.records(edges, ingress, egress)
    addresses, ids = interfaces[0].T
    inside = ids[table["address"][ids] == addresses]
    table["subnet"][inside] = lpm.Intervals(subnets).match(table["address"][inside]) + 1
    return table


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
