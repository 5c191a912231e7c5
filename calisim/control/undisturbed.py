"""IPAM where no host comes into another's way: what :class:`~.ipam.Ipam` would answer request by request, all at once.

With one pool, nothing fixed or reserved, and for every host a block that is large enough, the hosts touch each other only where
two begin their walk at one block: each claims the first free block of its walk when it first asks, and what it gets after that
are the block's addresses in turn. That is a tenth of the work, and most clusters are like that.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, cycle, groupby, islice
from operator import attrgetter
from typing import NamedTuple

from ..model.entities import Pods
from ..quantities import Prefix
from ..scenario.resources import IPAMConfiguration, IPPool
from ..selector import parse
from .start_block import start_index


class Served(NamedTuple):
    """Each host's block and its tunnel's address (none where nobody asked), the pods' addresses in their order."""

    blocks: dict[str, Prefix]
    tunnels: dict[str, int]
    pods: array[int]


def serve(
    labels: Mapping[str, Mapping[str, str]], tunnelled: Sequence[str], pods: Pods, pool: IPPool, configuration: IPAMConfiguration,
) -> Served | None:
    """One address for each of the hosts ``tunnelled``, then one for each pod; None if somebody would be disturbed.

    ``labels`` of every host. The pool is the only one that is enabled.
    """
    if not _for_all(pool, labels, configuration) or any(
            group.pattern.address is not None or group.pattern.pools for group in pods.parts):
        return None
    turns = {id(group.nodes): group.nodes for group in pods.parts}           # groups may share them
    first = _claims(dict.fromkeys(chain(tunnelled, *turns.values())), pool)
    if first is None:
        return None
    ahead = dict(first)
    for host in tunnelled:
        ahead[host] += 1
    addresses = _addresses(pods, ahead)
    size = 1 << 32 - pool.block_size
    if any(ahead[host] - network > size for host, network in first.items()):
        return None
    blocks = {host: Prefix(network, pool.block_size) for host, network in first.items()}
    return Served(blocks, {host: first[host] for host in tunnelled}, addresses)


def _for_all(pool: IPPool, labels: Mapping[str, Mapping[str, str]], configuration: IPAMConfiguration) -> bool:
    """Whether whoever asks may have a block of the pool."""
    selector = parse(pool.node_selector)
    return (
        configuration.auto_allocate_blocks and pool.assignment_mode == "Automatic" and not pool.namespace_selector
        and {"Tunnel", "Workload"} <= {*pool.allowed_uses} and pool.block_size >= pool.cidr.length
        and all(selector.matches(own) for own in labels.values()))


def _claims(hosts: Iterable[str], pool: IPPool) -> dict[str, int] | None:
    """The network of each host's block, in the order in which they first ask; None if there are not enough blocks."""
    count, size = 1 << pool.block_size - pool.cidr.length, 1 << 32 - pool.block_size
    claimed: dict[int, str] = {}
    for host in hosts:
        if len(claimed) == count:
            return None
        number = start_index(host, count)
        while number in claimed:
            number = (number + 1) % count
        claimed[number] = host
    return {host: pool.cidr.network + number * size for number, host in claimed.items()}


def _addresses(pods: Pods, ahead: dict[str, int]) -> array[int]:
    """Every pod takes its host's next address; ``ahead`` are those, before and after."""
    addresses = array("q")
    for nodes, groups in groupby(pods.parts, attrgetter("nodes")):
        if len(set(nodes)) < len(nodes):
            for node in chain.from_iterable(islice(cycle(nodes), len(group)) for group in groups):
                addresses.append(ahead[node])
                ahead[node] += 1
            continue
        turn = array("q", map(ahead.__getitem__, nodes))
        for group in groups:
            rounds, rest = divmod(len(group), len(nodes))
            for _ in range(rounds):
                addresses += turn
                turn = array("q", [address + 1 for address in turn])
            addresses += turn[:rest]
            turn[:rest] = array("q", [address + 1 for address in turn[:rest]])
        ahead.update(zip(nodes, turn, strict=True))
    return addresses
