"""The classes of addresses: a partition of all addresses such that every question has one answer per class.

Takes what is known of addresses whoever looks (:class:`Facts`), gives the CLASS records, the residents behind them, and the
intervals that the table of longest matches is built from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        prefixes = _sorted(
            facts.nesting.prefixes, _nets(facts.routed), facts.groups.held, slices, _singles(public[:, 0]), _singles(hosts),
            _singles(interfaces[:, 0]), *flagged.values())
        intervals = Intervals(prefixes)
        self._starts = starts = intervals.starts
        first = np.full(len(prefixes) + 1, -1)                 # interval in which each prefix matches first; −1: in none
        first[intervals.matches[::-1]] = np.arange(len(starts))[::-1]
        used = np.flatnonzero(first[:-1] >= 0)                 # prefixes that still match something
        self._first = np.concatenate([[0], first[used]])
        self.samples = starts[self._first]                     # an address of each class
        self.samples[0] = 0                                    # class 0 has none
        numbers = np.zeros(len(prefixes) + 1, np.int64)
        numbers[used] = np.arange(1, len(self.samples))
        self._classes = numbers[intervals.matches]
        self.table = lpm.build(starts, self._classes)
        self.records = np.zeros(len(self.samples), CLASS)
        for flag, nets in flagged.items():
            self._flag(flag, self._found(nets) >= 0)
        inside = np.sort(interfaces[:, 0])
        outside = inside[np.searchsorted(inside[:-1], hosts)] != hosts if len(inside) else np.ones(len(hosts), bool)
        self._set(_singles(interfaces[:, 0]), interface=interfaces[:, 1])
        self._set(_singles(hosts[outside]), host=ids_of_hosts[outside])
        self._set(_singles(public[:, 0]), public=public[:, 1])
        holders, deciders = facts.groups.holders.T
        self._set(facts.groups.held, holder=holders, holder_detail=deciders, holder_length=facts.groups.held[:, 1])
        self.residents = np.zeros(self._reserve(slices), np.uint32)
        self._place(_within(claims, intervals))
        self.records[0] = np.zeros((), CLASS)

    def _found(self, nets: np.ndarray) -> np.ndarray:
        """Of each class which of the prefixes it lies in; where these are single addresses, each is a class of its own."""
        if (nets[:, 1] == 32).all():
            found = np.full(len(self._starts), -1)
            found[np.searchsorted(self._starts, nets[:, 0])] = np.arange(len(nets))
        else:
            found = Intervals(nets).match_ascending(self._starts)
        return found[self._first]

    def _flag(self, flag: ClassFlag, where: np.ndarray) -> None:
        self.records["flags"][where] |= np.uint16(flag)

    def _set(self, prefixes: np.ndarray, **columns: np.ndarray) -> np.ndarray:
        """Fields of every class inside a prefix become the prefix's values. Returns where that is."""
        found = self._found(prefixes)
        where = found >= 0
        for name, values in columns.items():
            self.records[name][where] = values[found[where]]
        return where

    def _reserve(self, slices: np.ndarray) -> int:
        """Room for the residents of each slice (a block, or one address outside all blocks), one after the other; how much."""
        networks, sizes = slices[:, 0], 1 << 32 - slices[:, 1]
        if sizes.sum() > MOST_CELLS:
            raise CompileError(
                f"the IPAM blocks hold {sizes.sum():,} addresses, more than the table's {MOST_CELLS:,}: make them smaller")
        offsets = np.concatenate([[1], 1 + np.cumsum(sizes)])       # index 0 is nobody
        self._flag(ClassFlag.RESIDENTS, self._set(slices, base=networks, residents=offsets[:-1]))
        return int(offsets[-1])

    def _place(self, claims: np.ndarray) -> None:
        """Everybody to his place; marks the classes with pods of other routers than the holder. ``claims`` ascend, each in one
        class."""
        addresses, counts, ids, steps, routers = claims.T
        of_claim = lpm.spread(self._starts, self._classes, addresses)
        places = addresses + self.records["residents"][of_claim] - self.records["base"][of_claim]
        _loops.place(self.residents, places, counts, ids, steps)
        self._flag(ClassFlag.SCATTERED, of_claim[(routers != 0) & (routers != self.records["holder"][of_claim])])


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


def _sorted(*nets: np.ndarray) -> np.ndarray:
    """All of them, each once, by network and length."""
    rows = np.concatenate(nets)
    keys = distinct(rows[:, 0] << 6 | rows[:, 1])
    return np.column_stack([keys >> 6, keys & 63])
