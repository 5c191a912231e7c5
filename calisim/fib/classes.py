"""The classes of addresses: a partition of all addresses such that every question has one answer per class.

Takes what is known of addresses whoever looks (:class:`Facts`), gives the CLASS records, the residents behind them, and the
intervals that the table of longest matches is built from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from ..control.intent import Block, NatRule
from ..errors import CompileError
from ..quantities import Prefix, format_address
from ..vocabulary import CLASS, ClassFlag, EndpointKind
from . import lpm
from .columns import Columns
from .lpm import Intervals, distinct
from .routes import MOST_CELLS, Nesting


class Facts(NamedTuple):
    """What classes are made of. Two mappings by address: router of each public one, endpoint of each interface in the VPCs."""

    endpoints: Columns
    tunnels: Sequence[tuple[int, int]]    # address of a tunnel device, its node's endpoint
    blocks: Sequence[Block]
    holders: Mapping[Prefix, tuple[int, int]]     # blackholed prefix → router, decider
    nesting: Nesting                      # what the nodes' routes are about
    routed: Sequence[Prefix]              # and the clouds'
    pools: Sequence[Prefix]
    nat: NatRule
    subnets: Sequence[Prefix]
    senders: frozenset[int]               # of tunnels
    pods: Sequence[Prefix]                # clusterCIDR
    node_ports: Sequence[Prefix]          # where nodes' own addresses have node ports
    public: Mapping[int, int]
    interfaces: Mapping[int, int]


class Classes:
    """``records`` by class, ``residents`` behind them, ``table`` (address → class), ``samples`` (an address of each class)."""

    def __init__(self, facts: Facts) -> None:
        endpoints = facts.endpoints
        owners = _owners(endpoints, facts.tunnels)
        held = _nets([block.prefix for block in facts.blocks])
        blocks = Intervals(_sorted(held))
        strangers = owners[blocks.match(owners[:, 0]) < 0, 0]
        slices = _sorted(held, _singles(strangers))
        are_hosts = (endpoints.kinds == EndpointKind.HOST) & (endpoints.addresses != 0)
        hosts = endpoints.addresses[are_hosts]
        exempt = np.concatenate([_nets(facts.nat.exempt), _singles(facts.nat.hosts)])
        flagged = {
            ClassFlag.POOL: _nets(facts.pools), ClassFlag.MASQUERADE: _nets(facts.nat.sources), ClassFlag.EXEMPT: exempt,
            ClassFlag.SUBNET: _nets(facts.subnets), ClassFlag.TUNNEL_SENDER: _singles(facts.senders),
            ClassFlag.CLUSTER_CIDR: _nets(facts.pods), ClassFlag.NODE_PORTS: _nets(facts.node_ports)}
        prefixes = _sorted(
            facts.nesting.prefixes, facts.routed, facts.holders, slices, _singles(facts.public), _singles(hosts),
            _singles(facts.interfaces), *flagged.values())
        intervals = Intervals(prefixes)
        starts = intervals.starts
        used, first = np.unique(intervals.matches, return_index=True)     # prefixes that still match something
        self.samples = np.concatenate([[0], starts[first[used >= 0]]])       # an address of each class; class 0 has none
        numbers = np.zeros(len(prefixes) + 1, np.int64)
        numbers[used[used >= 0]] = np.arange(1, len(self.samples))
        classes = numbers[intervals.matches]
        self.table = lpm.build(starts, classes)
        self.records = np.zeros(len(self.samples), CLASS)
        for flag, nets in flagged.items():
            self._flag(flag, Intervals(nets).match(self.samples) >= 0)
        outside = ~np.isin(hosts, _values(facts.interfaces, keys=True))
        self._set("interface", _singles(facts.interfaces), _values(facts.interfaces))
        self._set("host", _singles(hosts[outside]), endpoints.ids[are_hosts][outside])
        self._set("public", _singles(facts.public), _values(facts.public))
        self._hold(facts.holders)
        self.residents = self._place(slices, owners)
        self._scatter(endpoints, owners, starts, classes)
        self.records[0] = np.zeros((), CLASS)

    def _flag(self, flag: ClassFlag, where: np.ndarray) -> None:
        self.records["flags"][where] |= np.uint16(flag)

    def _set(self, name: str, prefixes: np.ndarray, values: np.ndarray) -> None:
        """Field ``name`` of every class inside a prefix becomes the prefix's value."""
        found = Intervals(prefixes).match(self.samples)
        self.records[name][found >= 0] = values[found[found >= 0]]

    def _hold(self, holders: Mapping[Prefix, tuple[int, int]]) -> None:
        prefixes = _nets(holders)
        routers = np.array(list(holders.values()), np.int64).reshape(-1, 2)
        for name, column in (("holder", routers[:, 0]), ("holder_detail", routers[:, 1]), ("holder_length", prefixes[:, 1])):
            self._set(name, prefixes, column)

    def _place(self, slices: np.ndarray, owners: np.ndarray) -> np.ndarray:
        """The residents of each slice (a block, or one address outside all blocks), one after the other."""
        networks, sizes = slices[:, 0], 1 << 32 - slices[:, 1]
        if sizes.sum() > MOST_CELLS:
            raise CompileError(
                f"the IPAM blocks hold {sizes.sum():,} addresses, more than the table's {MOST_CELLS:,}: make them smaller")
        offsets = np.concatenate([[1], 1 + np.cumsum(sizes)])       # index 0 is nobody
        residents = np.zeros(offsets[-1], np.uint32)
        intervals = Intervals(slices)
        addresses, ids = owners.T
        home = intervals.match(addresses)
        residents[offsets[home] + addresses - networks[home]] = ids
        self._set("base", slices, networks)
        self._set("residents", slices, offsets[:-1])
        self._flag(ClassFlag.RESIDENTS, intervals.match(self.samples) >= 0)
        return residents

    def _scatter(self, endpoints: Columns, owners: np.ndarray, starts: np.ndarray, classes: np.ndarray) -> None:
        """Mark the classes with pods of other routers than the holder."""
        addresses, ids = owners[endpoints.kinds[owners[:, 1] - 1] == EndpointKind.POD].T
        at = classes[np.searchsorted(starts, addresses, "right") - 1]
        self._flag(ClassFlag.SCATTERED, at[self.records["holder"][at] != endpoints.routers[ids - 1]])


def _owners(endpoints: Columns, tunnels: Sequence[tuple[int, int]]) -> np.ndarray:
    """Who has each address: rows of address and endpoint, by address; CompileError if two have one."""
    own = np.flatnonzero(endpoints.addresses)
    devices = _nets(tunnels)
    claims = distinct(np.concatenate([endpoints.addresses[own] << 31 | endpoints.ids[own], devices[:, 0] << 31 | devices[:, 1]]))
    claims = np.column_stack([claims >> 31, claims & (1 << 31) - 1])
    for position in np.flatnonzero(claims[1:, 0] == claims[:-1, 0])[:1].tolist():
        (address, first), (_, second) = claims[position:position + 2].tolist()
        one, other = (endpoints.endpoints[number - 1].name for number in (first, second))
        raise CompileError(f"{one} and {other} have one address, {format_address(address)}")
    return claims


def _nets(prefixes: Iterable[tuple[int, int]]) -> np.ndarray:
    """Rows of network and length (or of any two numbers)."""
    return np.fromiter(chain.from_iterable(prefixes), np.int64).reshape(-1, 2)


def _singles(addresses: Iterable[int]) -> np.ndarray:
    networks = np.array(list(addresses), np.int64)
    return np.column_stack([networks, np.full(len(networks), 32)])


def _values(mapping: Mapping[int, int], *, keys: bool = False) -> np.ndarray:
    return np.array(list(mapping if keys else mapping.values()), np.int64)


def _sorted(*nets: Iterable[Prefix] | np.ndarray) -> np.ndarray:
    """All of them, each once, by network and length."""
    rows = np.concatenate([one if isinstance(one, np.ndarray) else _nets(one) for one in nets])
    keys = distinct(rows[:, 0] << 6 | rows[:, 1])
    return np.column_stack([keys >> 6, keys & 63])
