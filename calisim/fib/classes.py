"""The classes of addresses: a partition of all addresses such that every question has one answer per class.

Takes what is known of addresses whoever looks (:class:`Facts`), gives the CLASS records, the residents behind them, and the
intervals that the table of longest matches is built from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from ..control.intent import NatRule
from ..errors import CompileError
from ..quantities import Prefix, format_address
from ..vocabulary import CLASS, ClassFlag
from . import _loops, lpm
from .columns import Arrays, Columns, apart, singles
from .lpm import Intervals, distinct
from .routers import Groups
from .routes import MOST_CELLS, Nesting


class Facts(NamedTuple):
    """What classes are made of. Arrays are rows of two numbers."""

    endpoints: Columns
    routers: Arrays                       # address of a tunnel device, router; public address, router
    blocks: Arrays                        # network, length
    groups: Groups
    nesting: Nesting                      # what the nodes' routes are about
    routed: Sequence[Prefix]              # and the clouds'
    pools: Sequence[Prefix]
    nat: NatRule
    subnets: Sequence[Prefix]
    senders: frozenset[int]               # of tunnels
    pods: Sequence[Prefix]                # clusterCIDR
    node_ports: Sequence[Prefix]          # where nodes' own addresses have node ports
    interfaces: Arrays                    # address inside the VPCs, endpoint


class Classes:
    """``records`` by class, ``residents`` behind them, ``table`` (address → class), ``samples`` (an address of each class)."""

    def __init__(self, facts: Facts) -> None:
        endpoints, (interfaces,), (tunnels, public) = facts.endpoints, facts.interfaces, facts.routers
        held = _sorted(*facts.blocks)
        blocks = Intervals(held)
        claims = _within(_owners(endpoints, tunnels), blocks, or_single=True)
        strangers = claims[blocks.match_ascending(claims[:, 0]) < 0, 0]
        slices = _sorted(held, _singles(strangers))
        ids_of_hosts, hosts = endpoints.hosts.T
        flagged = {
            ClassFlag.POOL: _nets(facts.pools), ClassFlag.MASQUERADE: _nets(facts.nat.sources),
            ClassFlag.EXEMPT: np.concatenate([_nets(facts.nat.exempt), _singles(facts.nat.hosts)]),
            ClassFlag.SUBNET: _nets(facts.subnets), ClassFlag.TUNNEL_SENDER: _singles(facts.senders),
            ClassFlag.CLUSTER_CIDR: _nets(facts.pods), ClassFlag.NODE_PORTS: _nets(facts.node_ports)}
        self._cut(_sorted(
            facts.nesting.prefixes, _nets(facts.routed), facts.groups.held, slices, _singles(public[:, 0]), _singles(hosts),
            _singles(interfaces[:, 0]), *flagged.values()))
        self._describe(flagged, slices, facts.groups)
        inside = np.sort(interfaces[:, 0])
        outside = inside[np.searchsorted(inside[:-1], hosts)] != hosts if len(inside) else np.ones(len(hosts), bool)
        self.records["interface"][self._of(interfaces[:, 0])] = interfaces[:, 1]
        self.records["host"][self._of(hosts[outside])] = ids_of_hosts[outside]
        self.records["public"][self._of(public[:, 0])] = public[:, 1]
        self._place(_within(claims, self._intervals))

    def _cut(self, prefixes: np.ndarray) -> None:
        """A class for every prefix that is the longest match of some address; class 0 is what matches none."""
        self._keys, self._intervals = _keys(prefixes), Intervals(prefixes)
        starts, matches = self._intervals.starts, self._intervals.matches
        first = np.full(len(prefixes) + 1, -1)                 # interval in which each prefix matches first; −1: in none
        first[matches[::-1]] = np.arange(len(starts))[::-1]
        self._used = np.flatnonzero(first[:-1] >= 0)
        self.samples = np.concatenate([[0], starts[first[self._used]]])
        self._numbers = np.zeros(len(prefixes) + 1, np.int64)
        self._numbers[self._used] = np.arange(1, len(self.samples))
        self._classes = self._numbers[matches]
        self.table = lpm.build(starts, self._classes)
        self.records = np.zeros(len(self.samples), CLASS)

    def _of(self, addresses: np.ndarray) -> np.ndarray:
        """The classes of addresses that are prefixes."""
        return self._numbers[np.searchsorted(self._keys, addresses << 6 | 32)]

    def _describe(self, flagged: Mapping[ClassFlag, np.ndarray], slices: np.ndarray, groups: Groups) -> None:
        """What is known of a prefix holds for all inside it; who holds it and where its residents stand, unless they are said of
        a narrower one. Residents of each slice (a block, or one address outside all blocks) stand one after the other."""
        sizes = 1 << 32 - slices[:, 1]
        if sizes.sum() > MOST_CELLS:
            raise CompileError(
                f"the IPAM blocks hold {sizes.sum():,} addresses, more than the table's {MOST_CELLS:,}: make them smaller")
        offsets = np.concatenate([[0, 1], 1 + np.cumsum(sizes)])       # index 0 is nobody
        self.residents = np.zeros(offsets[-1], np.uint32)
        flags, nearest = np.zeros(len(self._keys), np.int64), np.zeros((2, len(self._keys)), np.int64)
        for flag, nets in {**flagged, ClassFlag.RESIDENTS: slices}.items():
            flags[lpm.within(self._keys, np.sort(_keys(nets)))] |= flag
        for rows, nets in zip(nearest, (slices, groups.held), strict=True):
            rows[lpm.within(self._keys, _keys(nets))] = np.arange(1, len(nets) + 1)
        _loops.inherit(self._intervals.parents, flags, nearest)
        records, (of_slices, of_held) = self.records[1:], nearest[:, self._used]
        records["flags"] = flags[self._used]
        for name, which, values in (
            ("base", of_slices, slices[:, 0]), ("residents", of_slices, offsets[1:-1]),
            ("holder", of_held, groups.holders[:, 0]), ("holder_detail", of_held, groups.holders[:, 1]),
            ("holder_length", of_held, groups.held[:, 1]),
        ):
            records[name] = np.concatenate([[0], values])[which]

    def _place(self, claims: np.ndarray) -> None:
        """Everybody to his place; marks the classes with pods of other routers than the holder. ``claims`` ascend, each in one
        class."""
        addresses, counts, ids, steps, routers = claims.T
        of_claim = lpm.spread(self._intervals.starts, self._classes, addresses)
        places = addresses + self.records["residents"][of_claim] - self.records["base"][of_claim]
        _loops.place(self.residents, places, counts, ids, steps)
        elsewhere = of_claim[(routers != 0) & (routers != self.records["holder"][of_claim])]
        self.records["flags"][elsewhere] |= np.uint16(ClassFlag.SCATTERED)


def _owners(endpoints: Columns, tunnels: np.ndarray) -> np.ndarray:
    """Who has which addresses, as ranges, ascending; CompileError if two have one."""
    claims = np.concatenate([endpoints.claims, np.column_stack([singles(*tunnels.T), np.zeros(len(tunnels), np.int64)])])
    claims = claims[lpm.ascending(claims[:, 0])]
    if (claims[:-1, 0] + claims[:-1, 1] <= claims[1:, 0]).all():
        return claims
    claims = apart(claims)
    claims = claims[np.unique(claims[:, 0] << 31 | claims[:, 2], return_index=True)[1]]
    for at in np.flatnonzero(claims[1:, 0] == claims[:-1, 0])[:1].tolist():
        one, other = (endpoints.endpoints[number - 1].name for number in claims[at:at + 2, 2].tolist())
        raise CompileError(f"{one} and {other} have one address, {format_address(int(claims[at, 0]))}")
    return claims


def _within(claims: np.ndarray, intervals: Intervals, *, or_single: bool = False) -> np.ndarray:
    """Ranges, ascending, each of which lies in one of the intervals (or, ``or_single``, is of one where nothing matches)."""
    several = np.flatnonzero(claims[:, 1] > 1)
    first, last = (lpm.within(intervals.starts, claims[several, 0] + more) for more in (0, claims[several, 1] - 1))
    split = np.zeros(len(claims), bool)
    split[several] = (first != last) | (or_single & (intervals.matches[first] < 0))
    if not split.any():
        return claims
    claims = np.concatenate([claims[~split], apart(claims[split])])
    return claims[lpm.ascending(claims[:, 0])]


def _nets(prefixes: Iterable[tuple[int, int]]) -> np.ndarray:
    """Rows of network and length (or of any two numbers)."""
    return np.fromiter(chain.from_iterable(prefixes), np.int64).reshape(-1, 2)


def _singles(addresses: Iterable[int] | np.ndarray) -> np.ndarray:
    networks = addresses if isinstance(addresses, np.ndarray) else np.sort(np.fromiter(addresses, np.int64))
    return np.column_stack([networks, np.full(len(networks), 32)])


def _keys(nets: np.ndarray) -> np.ndarray:
    """Numbers that are in the order of networks and lengths."""
    return nets[:, 0] << 6 | nets[:, 1]


def _sorted(*nets: np.ndarray) -> np.ndarray:
    """All of them, each once, by network and length."""
    keys = distinct(np.concatenate(list(map(_keys, nets))))
    return np.column_stack([keys >> 6, keys & 63])
