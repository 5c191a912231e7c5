"""IPAM where no host comes into another's way: what :class:`~.ipam.Ipam` would answer request by request, all at once.

With one pool, nothing fixed or reserved, and for every host a block that is large enough, the hosts touch each other only where
two begin their walk at one block: each claims the first free block of its walk when it first asks, and what it gets after that
are the block's addresses in turn. That is a tenth of the work, and most clusters are like that.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, cycle, groupby, islice
from operator import attrgetter, sub
from typing import NamedTuple

from ..model.entities import Pods
from ..parts import Parts
from ..scenario.resources import IPAMConfiguration, IPPool
from ..selector import parse
from ..sequences import Joined, Turns
from .start_block import start_index

EVERYBODY = parse("all()").root


class Served(NamedTuple):
    """The network of each host's block, in the order of the hosts (-1: nobody asked), and the pods' addresses in theirs. A tunnel
    has the first address of its host's block."""

    networks: array[int]
    pods: Joined[int]


def serve(
    parts: Parts, hosts: Sequence[tuple[str, ...]], labels: Iterable[Mapping[str, str]], pods: Pods, pool: IPPool,
    configuration: IPAMConfiguration, *, tunnels: bool,
) -> Served | None:
    """One address for the tunnel of each host, where there are ``tunnels``, then one for each pod; None if somebody would be
    disturbed.

    ``hosts`` in runs, ``labels`` of every one. The pool is the only one that is enabled.
    """
    if not _for_all(pool, labels, configuration) or any(
            group.pattern.address is not None or group.pattern.pools for group in pods.parts):
        return None
    places = _Places(chain.from_iterable(hosts))
    turns = {id(group.nodes): group.nodes for group in pods.parts}           # groups may share them
    asking = [places.of(nodes) for nodes in ([places.hosts] if tunnels else []) + list(turns.values())]
    everybody = bool(asking) and isinstance(asking[0], range)
    order = range(len(places.hosts)) if everybody else list(dict.fromkeys(chain.from_iterable(asking)))
    count, size = 1 << pool.block_size - pool.cidr.length, 1 << 32 - pool.block_size
    if len(order) > count:
        return None
    claims = parts.onward(
        "claims", _claims, hosts if everybody else [tuple(places.hosts[place] for place in order)], count)
    found = parts.each("networks", _networks, claims, pool.cidr.network, size)
    networks = _joined(found) if everybody else array("q", [-1]) * len(places.hosts)
    for place, network in zip(order, chain.from_iterable(found), strict=True) if not everybody else ():
        networks[place] = network
    behind = _joined(parts.each("behind tunnels", _next, found)) if tunnels and everybody else networks
    addresses, most = _addresses(pods, places, behind)
    return Served(networks, addresses) if most + tunnels <= size else None


def _networks(numbers: array[int], first: int, size: int) -> array[int]:
    return array("q", [first + number * size for number in numbers])


def _next(networks: array[int]) -> array[int]:
    return array("q", [network + 1 for network in networks])


def _joined(columns: Iterable[array[int]]) -> array[int]:
    whole = array("q")
    for column in columns:
        whole += column
    return whole


class _Places:
    """Positions of hosts."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self.hosts = tuple(hosts)

    @cached_property
    def _known(self) -> Mapping[str, int]:
        return {host: place for place, host in enumerate(self.hosts)}

    def of(self, nodes: tuple[str, ...]) -> Sequence[int]:
        return range(len(nodes)) if nodes == self.hosts else list(map(self._known.__getitem__, nodes))


def _for_all(pool: IPPool, labels: Iterable[Mapping[str, str]], configuration: IPAMConfiguration) -> bool:
    """Whether whoever asks may have a block of the pool."""
    selector = parse(pool.node_selector)
    return (
        configuration.auto_allocate_blocks and pool.assignment_mode == "Automatic" and not pool.namespace_selector
        and {"Tunnel", "Workload"} <= {*pool.allowed_uses} and pool.block_size >= pool.cidr.length
        and (selector.root == EVERYBODY or all(map(selector.matches, labels))))


def _claims(hosts: Sequence[tuple[str, ...]], before: Iterable[array[int]], count: int) -> Iterator[array[int]]:
    """The number of each host's block, in the order in which they first ask; ``before`` them others had theirs."""
    claimed = set(chain.from_iterable(before))
    for run in hosts:
        numbers = array("q")
        for host in run:
            number = start_index(host, count)
            while number in claimed:
                number = (number + 1) % count
            claimed.add(number)
            numbers.append(number)
        yield numbers


def _addresses(pods: Pods, places: _Places, first: array[int]) -> tuple[Joined[int], int]:
    """Every pod takes its host's next address, of which ``first`` are the first ones; the most that a host has given."""
    addresses: list[Sequence[int]] = []
    ahead, by_all = first[:], 0                   # the next address of each is that many further on
    for nodes, groups in groupby(pods.parts, attrgetter("nodes")):
        at, many = places.of(nodes), len(nodes)
        if not isinstance(at, range) and len(set(at)) < many:
            taken = array("q")
            for place in chain.from_iterable(islice(cycle(at), len(group)) for group in groups):
                taken.append(ahead[place] + by_all)
                ahead[place] += 1
            addresses.append(taken)
            continue
        everybody = isinstance(at, range) and many == len(ahead)
        turn = ahead[:] if everybody else array("q", map(ahead.__getitem__, at))
        if by_all:
            turn = array("q", [address + by_all for address in turn])
        before, size = turn, 0
        for group in groups:
            size += len(group)
            if rest := size % many:               # the next group begins with the first node again
                addresses.append(Turns(turn, size, 1))
                rounds = size // many
                turn = array("q", [address + rounds + (place < rest) for place, address in enumerate(turn)])
                size = 0
        if size:
            addresses.append(Turns(turn, size, 1))
        if everybody and turn is before:
            by_all += size // many
            continue
        for place, address in zip(at, turn, strict=True):
            ahead[place] = address + size // many - by_all
    return Joined(addresses), by_all + (0 if ahead == first else max(map(sub, ahead, first)))
