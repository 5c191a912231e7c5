"""Addresses of tunnel devices and pods: every request of the cluster put to IPAM, in the order in which it would come.

First the tunnel addresses that Node documents fix, then those that calico-node asks for when it starts, then pods
with a fixed address, then all other pods in the order of the scenario.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain, groupby, islice, pairwise
from operator import attrgetter
from typing import NamedTuple

from ..model.entities import Pod, Replicas, Pods
from ..parts import Parts
from ..quantities import Prefix, plural
from ..scenario.resources import UNWRITTEN, IPAMConfiguration, IPPool
from ..selector import parse
from ..sequences import Joined, runs
from ..vocabulary import Encap
from .intent import Block
from .ipam import Assignment, Failure, Ipam
from .undisturbed import Served, serve

CURES = {
    Failure.NO_QUALIFIED_POOL: "enable an IP pool that selects the node (nodeSelector, namespaceSelector, allowedUses)",
    Failure.BLOCK_LIMIT: "raise maxBlocksPerHost of the IPAMConfiguration, or spread the pods over more nodes",
    Failure.NO_FREE_ADDRESS: "add an IP pool, or make the pool larger",
    Failure.STRICT_AFFINITY: "make the pool larger or its blocks smaller (blockSize), or set strictAffinity: false",
    Failure.NOT_IN_POOL: "choose an address of an enabled IP pool",
    Failure.IN_USE: "choose an address that nobody has",
}


class Machine(NamedTuple):
    """A node as IPAM sees it, with the tunnel addresses that its documents fix."""

    name: str
    labels: Mapping[str, str]
    ipip_address: int | None
    vxlan_address: int | None


@dataclass(slots=True)
class Addresses:
    """Who got which address; 0: none. ``failures`` say what was asked for in vain."""

    ipip: Sequence[int]                   # of the nodes' tunnel devices
    vxlan: Sequence[int]
    pods: Sequence[int]                   # in the order of the topology
    blocks: Sequence[Block]               # by router and prefix
    borrowed: dict[Prefix, list[tuple[int, int]]] = field(default_factory=dict)    # of a block: address, router; by address
    failures: list[str] = field(default_factory=list)


def asked(pool: IPPool) -> IPPool:
    """Of a pool what IPAM looks at: how packets travel is nothing to it."""
    return replace(pool, ipip_mode="Never", vxlan_mode="Never", nat_outgoing=False, disable_bgp_export=False, mark=UNWRITTEN)


def allocate(
    parts: Parts, machines: Sequence[Machine], pods: Pods, pools: Sequence[IPPool], tunnels: Sequence[Encap],
    namespaces: Mapping[str, Mapping[str, str]], reservations: Sequence[Prefix], configuration: IPAMConfiguration,
) -> Addresses:
    """Serve every tunnel device and every pod. ``tunnels``: the encapsulation that is on for each pool."""
    enabled = [index for index, pool in enumerate(pools) if not pool.disabled]
    if len(enabled) == 1 and not reservations and not any(parts.each("machines fixed", _are_fixed, runs(machines))):
        index, encap = enabled[0], tunnels[enabled[0]]
        served = serve(
            parts, parts.each("names of machines", _names, runs(machines)), (one.labels for one in machines), pods,
            pools[index], configuration, tunnels=encap is not Encap.NONE)
        if served is not None:
            return _of_all(parts, served, machines, index, pools[index].block_size, encap)
    return _one_by_one(machines, pods, pools, tunnels, namespaces, reservations, configuration)


def _are_fixed(machines: Sequence[Machine]) -> bool:
    return any(one.ipip_address or one.vxlan_address for one in machines)


def _names(machines: Sequence[Machine]) -> tuple[str, ...]:
    return tuple(one.name for one in machines)


def _of_all(parts: Parts, served: Served, machines: Sequence[Machine], pool: int, length: int, encap: Encap) -> Addresses:
    nobody = array("q", [0]) * len(machines)
    starts = list(accumulate(map(len, runs(machines)), initial=0))
    blocks = parts.each("blocks", _blocks, [
        (first, served.networks[first:last]) for first, last in pairwise(starts)], pool, length)
    return Addresses(
        served.networks if encap is Encap.IPIP else nobody, served.networks if encap is Encap.VXLAN else nobody, served.pods,
        Joined(blocks))


def _blocks(item: tuple[int, array[int]], pool: int, length: int) -> tuple[Block, ...]:
    """``item``: how many nodes there are before, and the networks of some."""
    before, networks = item
    return tuple(
        Block(Prefix(network, length), pool, number) for number, network in enumerate(networks, before + 1) if network >= 0)


def _one_by_one(
    machines: Sequence[Machine], pods: Pods, pools: Sequence[IPPool], tunnels: Sequence[Encap],
    namespaces: Mapping[str, Mapping[str, str]], reservations: Sequence[Prefix], configuration: IPAMConfiguration,
) -> Addresses:
    ipam = Ipam(
        pools, reservations=reservations, configuration=configuration,
        host_labels={machine.name: machine.labels for machine in machines}, namespace_labels=namespaces)
    devices = {encap: array("q", [0]) * len(machines) for encap in (Encap.IPIP, Encap.VXLAN)}
    result = Addresses(devices[Encap.IPIP], devices[Encap.VXLAN], (), ())
    unserved: dict[tuple[Failure, str], list[str]] = {}
    wanted = _tunnels(machines, pools, tunnels)
    for request in wanted:
        _fix(request, ipam)
    for request in wanted:
        if not request.address:
            answer = ipam.assign(request.machine.name, use="Tunnel", pools=request.pools)
            if answer.failure is not None:
                unserved.setdefault((answer.failure, answer.message), []).append(f"{request.device} of {request.machine.name}")
                continue
            request.address = answer.addresses[0]
        devices[request.encap][request.number] = request.address
    result.pods = _serve(pods, ipam, unserved)
    affinities = {machine.name: number for number, machine in enumerate(machines, start=1)}
    result.blocks = tuple(sorted(
        (Block(block.prefix, block.pool, affinities[block.affinity]) for block in ipam.blocks.values()),
        key=attrgetter("affinity", "prefix")))
    for address, host in sorted(ipam.borrowed.items()):
        if (lender := ipam.block_of(address)) is not None:
            result.borrowed.setdefault(lender.prefix, []).append((address, affinities[host]))
    for (failure, message), names in unserved.items():
        who = names[0] + (f" and {plural(len(names) - 1, 'other')}" if len(names) > 1 else "")
        result.failures.append(f"no address for {who}: {message}; {CURES[failure]}")
    return result


@dataclass(slots=True, eq=False)
class _Request:
    """One tunnel device that wants an address: the pools it may come from, and the one that a document fixes."""

    number: int
    machine: Machine
    encap: Encap
    device: str
    pools: tuple[str, ...]                # as IPAM is asked: CIDRs
    qualifying: tuple[IPPool, ...]
    wish: int | None
    address: int = 0


def _tunnels(machines: Sequence[Machine], pools: Sequence[IPPool], tunnels: Sequence[Encap]) -> list[_Request]:
    """A device gets an address where some enabled pool with its encapsulation selects the node and allows Tunnel."""
    requests = []
    ordered = sorted(
        ((pool, encap, parse(pool.node_selector)) for pool, encap in zip(pools, tunnels, strict=True)
         if not pool.disabled and "Tunnel" in pool.allowed_uses), key=lambda one: one[0].name)
    for number, machine in enumerate(machines):
        for encap, device, wish in (
            (Encap.IPIP, "tunl0", machine.ipip_address), (Encap.VXLAN, "vxlan.calico", machine.vxlan_address),
        ):
            chosen = tuple(pool for pool, own, selector in ordered if own is encap and selector.matches(machine.labels))
            if chosen:
                names = tuple(str(pool.cidr) for pool in chosen)
                requests.append(_Request(number, machine, encap, device, names, chosen, wish))
    return requests


def _fix(request: _Request, ipam: Ipam) -> None:
    """Give the device the address of its document, if that still lies in a qualifying pool and is free."""
    wish = request.wish
    if wish is not None and any(wish in pool.cidr for pool in request.qualifying):
        answer = ipam.assign_address(request.machine.name, wish)
        request.address = wish if answer.failure is None else 0


def _serve(pods: Pods, ipam: Ipam, unserved: dict[tuple[Failure, str], list[str]]) -> array[int]:
    """Addresses of the pods, those first that are fixed."""
    given: dict[int, array[int]] = {}              # by number of the group

    def fail(pod: Pod, answer: Assignment) -> None:
        if answer.failure is not None:
            unserved.setdefault((answer.failure, answer.message), []).append(f"pod {pod.id}")

    others = []
    for number, group in enumerate(pods.parts):
        if (wanted := group.pattern.address) is None:
            others.append((number, group))
            continue
        given[number] = array("q")
        for pod in group:
            answer = ipam.assign_address(pod.node, wanted)
            given[number].append(wanted if answer.failure is None else 0)
            fail(pod, answer)
    for _, alike in groupby(others, _requests):
        numbers, groups = zip(*alike, strict=True)
        addresses = chain.from_iterable(_rounds(Pods(groups), ipam, fail))
        given |= {number: array("q", islice(addresses, len(group))) for number, group in zip(numbers, groups, strict=True)}
    return array("q", chain.from_iterable(given[number] for number in range(len(pods.parts))))


def _requests(one: tuple[int, Replicas]) -> tuple[object, ...]:
    """What is the same of groups that IPAM may be asked about together: each has as many pods on every node."""
    number, group = one
    return group.nodes, group.pattern.namespace, group.pattern.pools, number if len(group) % len(group.nodes) else -1


def _rounds(pods: Pods, ipam: Ipam, fail: Callable[[Pod, Assignment], None]) -> Iterator[list[int]]:
    """The addresses of such groups, a pod on each node at a time."""
    nodes, pattern = pods.parts[0].nodes, pods.parts[0].pattern
    rounds, rest = divmod(len(pods), len(nodes))

    def refuse(number: int, at: int, answer: Assignment) -> None:
        fail(pods[number * len(nodes) + at], answer)

    yield from ipam.assign_rounds(nodes, rounds, pattern.namespace, pattern.pools, refuse)
    yield from ipam.assign_rounds(
        nodes[:rest], 1, pattern.namespace, pattern.pools, lambda _, at, answer: refuse(rounds, at, answer))
