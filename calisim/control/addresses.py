"""Addresses of tunnel devices and pods: every request of the cluster put to IPAM, in the order in which it would come.

First the tunnel addresses that Node documents fix, then those that calico-node asks for when it starts, then pods
with a fixed address, then all other pods in the order of the scenario.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..model.entities import Node, Pod
from ..model.topology import Topology
from ..quantities import plural
from ..scenario.resources import IPPool
from ..selector import parse
from ..vocabulary import Encap
from .encapsulation import tunnel_of
from .ipam import Assignment, Failure, Ipam

CURES = {
    Failure.NO_QUALIFIED_POOL: "enable an IP pool that selects the node (nodeSelector, namespaceSelector, allowedUses)",
    Failure.BLOCK_LIMIT: "raise maxBlocksPerHost of the IPAMConfiguration, or spread the pods over more nodes",
    Failure.NO_FREE_ADDRESS: "add an IP pool, or make the pool larger",
    Failure.STRICT_AFFINITY: "make the pool larger or its blocks smaller (blockSize), or set strictAffinity: false",
    Failure.NOT_IN_POOL: "choose an address of an enabled IP pool",
    Failure.IN_USE: "choose an address that nobody has",
}


@dataclass(slots=True)
class Addresses:
    """Who got which address; 0 or absence: none. ``failures`` say what was asked for in vain."""

    ipam: Ipam
    ipip: dict[str, int] = field(default_factory=dict)         # by node name
    vxlan: dict[str, int] = field(default_factory=dict)
    pods: list[int] = field(default_factory=list)              # in the order of the topology
    failures: list[str] = field(default_factory=list)


def allocate(topology: Topology, pools: Sequence[IPPool], enabled: Mapping[Encap, bool]) -> Addresses:
    """Serve every tunnel device and every pod; handles in IPAM are endpoint ids (a node's for its tunnel addresses)."""
    entities, resources = topology.entities, topology.resources
    ipam = Ipam(
        pools, reservations=resources.reservations, configuration=resources.ipam,
        host_labels={node.name: node.labels for node in entities.nodes}, namespace_labels=entities.namespaces)
    result = Addresses(ipam)
    unserved: dict[tuple[Failure, str], list[str]] = {}
    wanted = _tunnels(entities.nodes, pools, enabled)
    for request in wanted:
        _fix(request, ipam)
    for request in wanted:
        if not request.address:
            answer = ipam.assign(request.node.name, use="Tunnel", pools=request.pools, handles=(request.handle,))
            if answer.failure is not None:
                unserved.setdefault((answer.failure, answer.message), []).append(f"{request.device} of {request.node.name}")
                continue
            request.address = answer.addresses[0]
        (result.ipip if request.encap is Encap.IPIP else result.vxlan)[request.node.name] = request.address
    _pods(topology, result, unserved)
    for (failure, message), names in unserved.items():
        who = names[0] + (f" and {plural(len(names) - 1, 'other')}" if len(names) > 1 else "")
        result.failures.append(f"no address for {who}: {message}; {CURES[failure]}")
    return result


@dataclass(slots=True, eq=False)
class _Request:
    """One tunnel device that wants an address: the pools it may come from, and the one that a document fixes."""

    node: Node
    encap: Encap
    device: str
    handle: int
    pools: tuple[str, ...]                # as IPAM is asked: CIDRs
    qualifying: tuple[IPPool, ...]
    wish: int | None
    address: int = 0


def _tunnels(nodes: Sequence[Node], pools: Sequence[IPPool], enabled: Mapping[Encap, bool]) -> list[_Request]:
    """A device gets an address where some enabled pool with its encapsulation selects the node and allows Tunnel."""
    requests = []
    ordered = sorted((pool for pool in pools if not pool.disabled and "Tunnel" in pool.allowed_uses), key=lambda pool: pool.name)
    for handle, node in enumerate(nodes, start=1):
        for encap, device, wish in ((Encap.IPIP, "tunl0", node.ipip_address), (Encap.VXLAN, "vxlan.calico", node.vxlan_address)):
            chosen = tuple(
                pool for pool in ordered
                if enabled[encap] and tunnel_of(pool.ipip_mode, pool.vxlan_mode)[0] is encap
                and parse(pool.node_selector).matches(node.labels))
            if chosen:
                names = tuple(str(pool.cidr) for pool in chosen)
                requests.append(_Request(node, encap, device, handle, names, chosen, wish))
    return requests


def _fix(request: _Request, ipam: Ipam) -> None:
    """Give the device the address of its document, if that still lies in a qualifying pool and is free."""
    wish = request.wish
    if wish is not None and any(wish in pool.cidr for pool in request.qualifying):
        answer = ipam.assign_address(request.node.name, wish, request.handle)
        request.address = wish if answer.failure is None else 0


def _pods(topology: Topology, result: Addresses, unserved: dict[tuple[Failure, str], list[str]]) -> None:
    pods, ipam = topology.entities.pods, result.ipam
    first = len(topology.entities.nodes) + len(topology.entities.hosts) + 1
    result.pods = [0] * len(pods)

    def fail(pod: Pod, answer: Assignment) -> None:
        if answer.failure is not None:
            unserved.setdefault((answer.failure, answer.message), []).append(f"pod {pod.id}")

    for position, pod in enumerate(pods):
        if pod.address is not None:
            answer = ipam.assign_address(pod.node, pod.address, first + position)
            result.pods[position] = pod.address if answer.failure is None else 0
            fail(pod, answer)
    for position, pod in enumerate(pods):
        if pod.address is None:
            given = ipam.assign_next(pod.node, pod.namespace, pod.pools, first + position)
            if isinstance(given, int):
                result.pods[position] = given
            else:
                fail(pod, given)
