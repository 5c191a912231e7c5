"""The routers run by run: the FIB groups that they form, the blocks that they hold, their records and filters.

FIB groups are the routers whose RoutingInputs and uplink routes are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..control.intent import Adjacency, FabricGroup, FabricSubnet, FilterRule, Route, Router, RoutingInputs
from ..errors import CompileError
from ..parts import Parts
from ..quantities import Prefix, format_address
from ..sequences import runs
from ..vocabulary import ROUTER, RULE, SUBNET, AdjacencyKind, Device, RouterFlag
from . import lpm
from .columns import Arrays

MOST_GROUPS = 64                      # security groups are a bit set

Uplink = tuple[Prefix, Adjacency]
Group = tuple[RoutingInputs, tuple[Uplink, ...]]
Memberships = Mapping[tuple[int, ...], tuple[int, ...]]
_WHOLE = np.dtype((np.void, ROUTER.itemsize))              # a record in one piece
OWN = -1                              # decided by the looking router's own object


class View(NamedTuple):
    """Of some routers: the groups that they form, the different sets of security groups that they are in, and as ``columns`` each
    one's group and what they drop themselves (prefixes; router, decider)."""

    groups: list[Group]
    memberships: list[tuple[int, ...]]
    columns: Arrays


def view(item: tuple[Sequence[Router], Sequence[Sequence[Route]]]) -> View:
    """``item``: routers with their own routes."""
    groups: dict[Group, int] = {}
    of_router, held = [], []
    for router, routes in zip(*item, strict=True):
        uplink = []
        for route in routes:
            decider = route.adjacency.decided_by
            if route.adjacency.kind is AdjacencyKind.DROP:
                held.append((*route.prefix, router.id, decider))
            else:
                own = decider and decider == router.decided_by
                uplink.append((route.prefix, route.adjacency._replace(decided_by=OWN) if own else route.adjacency))
        of_router.append(groups.setdefault((router.inputs, _shared(tuple(uplink))), len(groups)))
    rows = np.array(held, np.int64).reshape(-1, 4)
    memberships = list(dict.fromkeys(router.groups for router in item[0]))
    return View(list(groups), memberships, Arrays((np.array(of_router, np.int64), rows[:, :2], rows[:, 2:])))


@lru_cache(maxsize=1 << 10)
def _shared(uplink: tuple[Uplink, ...]) -> tuple[Uplink, ...]:
    return uplink


class Groups:
    """FIB groups: routers that see the same. ``of_router`` each one's; ``held``: blackholed prefixes, and of each in ``holders``
    router and decider."""

    def __init__(self, name_of: Callable[[int], str], views: Sequence[View]) -> None:
        self.groups: dict[Group, int] = {}
        none = np.zeros((0, 2), np.int64)
        of_router = [
            np.array([self.groups.setdefault(group, len(self.groups)) for group in one.groups])[one.columns[0]] for one in views]
        self.of_router = np.concatenate([none[:, 0], *of_router])
        held = np.concatenate([none, *(one.columns[1] for one in views)])
        holders = np.concatenate([none, *(one.columns[2] for one in views)])
        order = np.sort(held[:, 0] << 31 | held[:, 1] << 25 | np.arange(len(held))) & (1 << 25) - 1
        self.held, self.holders = held[order], holders[order]
        self._refuse_twice(name_of)
        self._refuse_nested()

    def _refuse_twice(self, name_of: Callable[[int], str]) -> None:
        again = np.zeros(len(self.held), bool)
        again[1:] = (self.held[1:] == self.held[:-1]).all(axis=1)
        for at in np.flatnonzero(again).tolist():
            (one, _), (other, _) = self.holders[at - 1:at + 1].tolist()
            if one != other:
                raise CompileError(
                    f"the block {Prefix(*self.held[at].tolist())} belongs to {name_of(one)} and to {name_of(other)}")
        if again.any():
            self.held, self.holders = self.held[~again], self.holders[~again]

    def _refuse_nested(self) -> None:
        networks, lengths = self.held.T
        if (networks[:-1] + (1 << 32 - lengths[:-1]) <= networks[1:]).all():
            return
        parents = lpm.Intervals(self.held).parents
        foreign = (parents >= 0) & (self.holders[:, 0] != self.holders[parents, 0])
        for inner in np.flatnonzero(foreign)[:1].tolist():
            one, other = (Prefix(*self.held[at].tolist()) for at in (inner, parents[inner]))
            raise CompileError(f"the block {one} lies inside the block {other} of another node")


class Filters:
    """The tables ``routers`` and ``subnets``, with the ``rules`` that security groups and NACLs give them.

    ``known``: out of the first, rows of the address of a tunnel device and its router, and of public address and router.
    """

    def __init__(
        self, parts: Parts, routers: Sequence[Router], views: Sequence[View], groups: Groups,
        security_groups: Sequence[FabricGroup], subnets: Sequence[FabricSubnet], guarded: frozenset[int], cuts: bool,
    ) -> None:
        rules = _Rules(len(security_groups))
        memberships = {
            numbers: rules.of_member([security_groups[number - 1] for number in numbers], numbers)
            for numbers in dict.fromkeys(numbers for one in views for numbers in one.memberships)}
        records = parts.each("router records", _records, runs(routers), memberships, len(subnets), guarded, cuts)
        nobody = np.zeros(1, ROUTER)
        self.routers = np.concatenate([some.view(_WHOLE) for some in (nobody, *(some for some, in records))]).view(ROUTER)
        self.routers["group"][1:] = groups.of_router
        if len(lpm.distinct(self.routers["key"][1:])) < len(routers):
            raise CompileError("two nodes' names have one 32-bit hash (FNV-1a): rename one of them")
        self.subnets = _subnets(subnets, rules)
        self.rules = rules.records()
        tunnels = [self._pairs(name, self.routers[name] != 0) for name in ("ipip_address", "vxlan_address")]
        tunnelled = np.concatenate(tunnels)
        known = (self.routers["public_address"] != 0) & (self.routers["flags"] & RouterFlag.PUBLIC != 0)
        public = self._pairs("public_address", known)
        self.known = Arrays((tunnelled, public))
        for at in np.flatnonzero(public[1:, 0] == public[:-1, 0])[:1].tolist():
            (address, one), (_, other) = public[at:at + 2].tolist()
            raise CompileError(
                f"{routers[one - 1].name} and {routers[other - 1].name} have one public address, {format_address(address)}")

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return {"routers": self.routers, "subnets": self.subnets, "rules": self.rules}

    def _pairs(self, name: str, where: np.ndarray) -> np.ndarray:
        """Rows of an address and its router's id, by address."""
        ids = np.flatnonzero(where)
        rows = np.sort(self.routers[name][ids].astype(np.int64) << 31 | ids)
        return np.column_stack([rows >> 31, rows & (1 << 31) - 1])


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

    def of_member(self, groups: Sequence[FabricGroup], numbers: Sequence[int]) -> tuple[int, ...]:
        """What stands in the record of a router in these security groups: runs of rules, the set, the first one's decider."""
        return (
            *self.run(tuple(rule for group in groups for rule in group.ingress)),
            *self.run(tuple(rule for group in groups for rule in group.egress)),
            sum(1 << number - 1 for number in set(numbers)), groups[0].decided_by if groups else 0)

    def records(self) -> np.ndarray:
        return np.array(self._rules, RULE)


def _records(
    routers: Sequence[Router], memberships: Memberships, subnets: int, guarded: frozenset[int], cuts: bool,
) -> Arrays:
    """ROUTER records, but for their FIB groups."""
    rows: list[tuple[int, ...]] = []
    alike: dict[tuple[object, ...], tuple[int, ...]] = {}          # by what the settings say
    for router in routers:
        if not 1 <= router.subnet <= subnets:
            raise CompileError(f"{router.name} is in no subnet of the fabric")
        *own, decider = memberships[router.groups]
        said = router.flags, router.id in guarded, router.rp_filter, router.rp_filter_veth, router.rp_filter_tunnel
        if said not in alike:
            alike[said] = (
                _flags(router, router.id in guarded, cuts),
                *(router.rp_filter_of(device) for device in (Device.ETHERNET, Device.VETH, Device.IPIP)))
        flags, *rp_filters = alike[said]
        inputs = router.inputs
        rows.append((
            router.address, router.key, 0, router.subnet, router.ipip_address, router.vxlan_address, router.public_address,
            inputs.link.network, inputs.link.mask, inputs.mtu, router.decided_by, *own, flags, decider, *rp_filters))
    return Arrays((np.array(rows, ROUTER),))


def _flags(router: Router, guarded: bool, cuts: bool) -> RouterFlag:
    flags = router.flags
    if flags & RouterFlag.CALICO_FILTER:
        flags |= RouterFlag.GUARDED if guarded else RouterFlag(0)
        flags |= RouterFlag.CUTS if cuts else RouterFlag(0)
    return flags


def _subnets(subnets: Sequence[FabricSubnet], rules: _Rules) -> np.ndarray:
    rows: list[tuple[int, ...]] = [(0,) * len(SUBNET.names or ())]
    for subnet in subnets:
        rows.append((
            subnet.prefix.network, subnet.prefix.mask, subnet.gateway, subnet.table, subnet.place, subnet.decided_by,
            *rules.run(subnet.acl_in or ()), *rules.run(subnet.acl_out or ()),
            subnet.acl_in is not None, subnet.acl_out is not None,
            min(subnet.mtu, 0xFFFF)))
    return np.array(rows, SUBNET)
