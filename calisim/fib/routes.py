"""Every router's routes, not written out: a row of adjacencies for each FIB group, filled by that group's own longest match.

What a group learns is asked once for each *kind* of advert: of all that ``Intent.remote_route`` looks at, adverts of a kind
differ in nothing but the address it may lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ..control.intent import Adjacency, Advert, Route, RoutingInputs
from ..errors import CompileError
from ..parts import Parts
from ..quantities import Prefix
from ..sequences import runs
from ..vocabulary import ADJACENCY, AdjacencyFlag, AdjacencyKind, DropReason
from . import lpm
from .columns import Arrays
from .routers import OWN, Groups, Uplink

if TYPE_CHECKING:
    from .classes import Classes

MOST_CELLS = 1 << 26                  # of rows, of residents: 256 MB each

RemoteRoute = Callable[[RoutingInputs, Advert], Route | None]
_Template = tuple[int, ...]           # an ADJACENCY, and whether it leads to the peer

_WHOLE = np.dtype((np.void, ADJACENCY.itemsize))           # a record in one piece
_NOTHING = (AdjacencyKind.DROP, 0, 0, DropReason.NO_ROUTE, 0, 0, 0, 0, 0, 0, 0)


class Adverts:
    """Adverts as columns, in their order. ``views``: which of the different VPCs and BGP sessions the peer has."""

    def __init__(self, parts: Parts, adverts: Sequence[Advert]) -> None:
        self.adverts = adverts
        views: dict[tuple[str, tuple[str, ...]], int] = {}
        none = np.zeros((0, 8), np.int64)
        columns = parts.each("columns of adverts", _columns, runs(adverts))
        whole = np.concatenate([none, *(rows for (rows,), _ in columns)])
        self.told = whole[:, 4] != 0
        self.prefixes = whole[:, :2]
        _, _, self.owners, self.pools, _, self.addresses, self.vteps, _ = whole.T.copy()
        self.views = np.concatenate([none[:, 0], *(
            np.array([views.setdefault(one, len(views)) for one in known])[rows[:, 7]] for (rows,), known in columns)])

    def kinds(self, inputs: RoutingInputs) -> np.ndarray:
        """Numbers that differ wherever a router with these inputs may learn anything else than the same."""
        kinds = self.views.copy()
        for asked in (
            _inside(self.addresses, inputs.recorded), _inside(self.addresses, inputs.link), self.addresses == inputs.gateway,
            self.vteps != 0,
        ):
            kinds = kinds << 1 | asked
        return kinds * (self.pools.max(initial=0) + 1) + self.pools

    def learnt(self, remote_route: RemoteRoute, inputs: RoutingInputs) -> tuple[np.ndarray, list[_Template | None]]:
        """Of each advert which of the templates a router with these inputs learns; None: nothing."""
        different, numbers = lpm.numbered(np.where(self.told, self.kinds(inputs), -1))
        some = np.zeros(len(different), np.int64)
        some[numbers] = np.arange(len(numbers))                    # an advert of each kind
        return numbers, [
            _learnt(self.adverts[at], remote_route, inputs) if self.told[at] else None for at in some.tolist()]


def _columns(adverts: Sequence[Advert]) -> tuple[Arrays, list[tuple[str, tuple[str, ...]]]]:
    """Rows, of which the last column is a position in the list."""
    views: dict[tuple[str, tuple[str, ...]], int] = {}
    rows = [
        (*one.prefix, one.owner, one.pool, one.exported, one.peer.address, one.peer.vxlan_address,
         views.setdefault((one.peer.vpc, one.peer.mesh), len(views)))
        for one in adverts]
    return Arrays((np.array(rows, np.int64).reshape(-1, 8),)), list(views)


def _inside(addresses: np.ndarray, prefix: Prefix | None) -> np.ndarray:
    return np.zeros(len(addresses), bool) if prefix is None else (addresses & prefix.mask) == prefix.network


def _learnt(advert: Advert, remote_route: RemoteRoute, inputs: RoutingInputs) -> _Template | None:
    """In a kind either all peers have the gateway's address or none: the next hop tells whether it is the peer."""
    route = remote_route(inputs, advert)
    return None if route is None else _template(route.adjacency, to_peer=route.adjacency.next_hop == advert.peer.address)


def _template(adjacency: Adjacency, *, to_peer: bool) -> _Template:
    """An adjacency without owner, fallback and length, and without its next hop where that is the peer."""
    own = adjacency.decided_by == OWN
    return (
        adjacency.kind, adjacency.encap, adjacency.device, adjacency.reason, 0 if to_peer else adjacency.next_hop, adjacency.mtu,
        0 if own else adjacency.decided_by, 0, 0, 0, AdjacencyFlag.OWN_DECIDER if own else 0, to_peer)


class Nesting:
    """All prefixes that some router has a route to, uplinks first: which lies in which, whatever the routes."""

    def __init__(self, uplinks: Sequence[Prefix], adverts: Adverts) -> None:
        self.uplinks = {prefix: number for number, prefix in enumerate(uplinks)}
        above = np.array(uplinks, np.int64).reshape(-1, 2)
        self.prefixes = np.concatenate([above, adverts.prefixes])
        self.intervals = lpm.Intervals(self.prefixes)
        self.parents = self.intervals.parents
        depths, parents = np.zeros(len(self.prefixes), np.int64), self.parents
        while (inner := parents >= 0).any():
            depths += inner
            parents = np.where(inner, self.parents[parents], -1)
        self.levels = [np.flatnonzero(depths == depth) for depth in range(depths.max(initial=-1) + 1)]      # parents first
        none = np.zeros(len(above), np.int64)
        self.owners = np.concatenate([none, adverts.owners, [0]])                      # the last one, index −1, is *no route*
        self.targets, who = lpm.numbered(np.concatenate([none, adverts.owners << 32 | adverts.addresses]))
        self.ends, self.end_of = lpm.numbered(self.prefixes[:, 1] * len(self.targets) + who)       # length and target


class Routing:
    """``rows`` (FIB group × class → adjacency) and ``records``, the adjacencies."""

    def __init__(
        self, groups: Groups, adverts: Adverts, nesting: Nesting, remote_route: RemoteRoute, classes: Classes,
    ) -> None:
        samples = classes.samples
        if len(groups.groups) * len(samples) > MOST_CELLS:
            raise CompileError(
                f"{len(groups.groups):,} different views of {len(samples):,} prefixes do not fit the table of routes "
                f"({MOST_CELLS:,} cells): give the nodes of one subnet the same prefix and MTU")
        self.adverts, self.nesting, self.remote_route = adverts, nesting, remote_route
        self._records = [np.array([_NOTHING], ADJACENCY)]
        self._count = 1
        self.rows = np.zeros((max(len(groups.groups), 1), len(samples)), np.uint32)
        matches = nesting.intervals.match(samples)
        for (inputs, uplink), number in groups.groups.items():
            self.rows[number] = self._numbers(inputs, uplink)[matches]
        self.records = np.concatenate([some.view(_WHOLE) for some in self._records]).view(ADJACENCY)

    def _numbers(self, inputs: RoutingInputs, uplink: tuple[Uplink, ...]) -> np.ndarray:
        """The adjacency of what each prefix matches in this group's own table: where it is not there, what lies around it."""
        nesting, templates, chosen = self.nesting, *self._templates(inputs, uplink)
        nearest = np.full(len(chosen) + 1, -1)                     # the group's own route to a prefix or around it
        around = np.full(len(chosen) + 1, -1)                      # the one around that
        numbers = np.zeros(len(chosen) + 1, np.int64)
        for level in nesting.levels:
            here = chosen[level] > 0
            outer = nearest[nesting.parents[level]]
            nearest[level] = np.where(here, level, outer)
            routes, behind = level[here], outer[here]
            around[routes] = behind
            owners = nesting.owners[routes]
            while (same := (owners > 0) & (nesting.owners[behind] == owners)).any():       # for the owner it is not there
                behind = np.where(same, around[behind], behind)
            fallbacks = np.where(owners > 0, numbers[behind], 0)
            numbers[routes] = self._add(fallbacks, chosen[routes], nesting.end_of[routes], templates)
        return numbers[nearest]

    def _templates(self, inputs: RoutingInputs, uplink: tuple[Uplink, ...]) -> tuple[list[_Template], np.ndarray]:
        """The different templates of a group in an order of their own, and which of them (from 1) each prefix has."""
        kinds, learnt = self.adverts.learnt(self.remote_route, inputs)
        own = {prefix: _template(adjacency, to_peer=False) for prefix, adjacency in reversed(uplink)}
        templates = sorted({*own.values(), *(one for one in learnt if one is not None)})
        number = {template: at for at, template in enumerate(templates, start=1)}
        above = np.zeros(len(self.nesting.uplinks), np.int64)
        for prefix, template in own.items():
            above[self.nesting.uplinks[prefix]] = number[template]
        of_kind = np.array([0 if one is None else number[one] for one in learnt], np.int64)
        return templates, np.concatenate([above, of_kind[kinds]])

    def _add(self, fallbacks: np.ndarray, chosen: np.ndarray, ends: np.ndarray, templates: Sequence[_Template]) -> np.ndarray:
        """Numbers of adjacencies, equal ones once; their order depends on nothing but what they are."""
        nesting, many = self.nesting, len(self.nesting.ends)
        keys, of_route = lpm.numbered((fallbacks * (len(templates) + 1) + chosen) * many + ends)
        whole, end = np.divmod(keys, max(many, 1))
        fallback, template = np.divmod(whole, len(templates) + 1)
        lengths, target = np.divmod(nesting.ends[end], max(len(nesting.targets), 1))
        owners, addresses = nesting.targets[target] >> 32, nesting.targets[target] & 0xFFFFFFFF
        records = np.array([one[:-1] for one in templates], ADJACENCY).take(template - 1)
        to_peer = np.array([one[-1] for one in templates], np.uint32)
        records["next_hop"] += to_peer[template - 1] * addresses.astype(np.uint32)
        records["owner"], records["fallback"], records["length"] = owners, fallback, lengths
        self._records.append(records)
        self._count += len(keys)
        return self._count - len(keys) + of_route


def uplink_prefixes(groups: Groups) -> Iterator[Prefix]:
    """Each once."""
    yield from dict.fromkeys(prefix for prefix, _ in chain.from_iterable(uplink for _, uplink in groups.groups))
