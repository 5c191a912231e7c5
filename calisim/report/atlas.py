"""What exists, as a picture can hold it: VPC ⊃ subnet ⊃ node ⊃ pod, in as much detail as there is room for.

Takes the map of the journey page; gives what the text, Mermaid, Graphviz and matplotlib forms of ``calisim map`` show alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..quantities import parse_address, parse_prefix, plural
from .labels import label
from .page.map import Map

if TYPE_CHECKING:
    from ..analysis.network import Network

MOST_PODS, MOST_NODES, MOST_SUBNETS, MOST_HOSTS = 48, 96, 60, 12
"""Of each kind at most so many are drawn; of more pods or nodes only the number, of the others the first."""


@dataclass(frozen=True, slots=True)
class Place:
    """A box: a subnet with nodes, a node with pods, a pod or a host. ``says``: lines below its name."""

    name: str
    says: tuple[str, ...]
    inside: tuple[Place, ...] = ()
    down: bool = False
    at: tuple[int, int] | None = None         # of a host: the VPC and the subnet in which it is

    @property
    def lines(self) -> tuple[str, ...]:
        return self.name, *self.says


@dataclass(frozen=True, slots=True)
class Cloud:
    """A VPC. ``gateway``: whether it has one to the internet."""

    name: str
    says: str
    gateway: bool
    subnets: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Atlas:
    """The whole map. ``note`` says what of it is shown by number only or not at all; "" if nothing."""

    title: str
    says: str
    clouds: tuple[Cloud, ...]
    hosts: tuple[Place, ...]
    note: str

    @property
    def world(self) -> bool:
        """Whether something is outside all subnets."""
        return any(host.at is None for host in self.hosts) or any(cloud.gateway for cloud in self.clouds)


def atlas(network: Network) -> Atlas:
    drawn = Map(network).document()
    nodes, hosts = drawn["nodes"], drawn["hosts"]
    pods = sum(map(_pods, nodes))
    some_nodes = len(nodes) <= MOST_NODES
    some_pods = some_nodes and pods <= MOST_PODS
    clouds, missing = _clouds(drawn["vpcs"], nodes, some_nodes, some_pods)
    notes = [] if some_pods else [f"{'pods are' if some_nodes else 'nodes and pods are'} shown by their number"]
    missing += [(len(hosts) - MOST_HOSTS, "host")]
    notes += [f"{plural(count, what)} left out" for count, what in missing if count > 0]
    return Atlas(
        f"{label(network.scenario.name, 60)} · {label(network.variant)}", f"{plural(len(nodes), 'node')}, {plural(pods, 'pod')}",
        clouds, tuple(_host(host, drawn["vpcs"], clouds) for host in hosts[:MOST_HOSTS]), "; ".join(notes))


def _clouds(vpcs: Sequence[dict[str, Any]], nodes: Sequence[dict[str, Any]], some_nodes: bool, some_pods: bool,
            ) -> tuple[tuple[Cloud, ...], list[tuple[int, str]]]:
    """The VPCs, and for how much there is no room."""
    room, clouds = MOST_SUBNETS, []
    for vpc in vpcs[:MOST_SUBNETS]:
        shown = vpc["subnets"][:room]
        room -= len(shown)
        subnets = tuple(
            _subnet(subnet, [nodes[number] for number in subnet["nodes"]], some_nodes, some_pods) for subnet in shown)
        clouds.append(Cloud(f"VPC {label(vpc['name'])}", ", ".join(vpc["cidrs"][:4]), vpc["gateway"], subnets))
    missing = sum(len(vpc["subnets"]) for vpc in vpcs) - (MOST_SUBNETS - room)
    return tuple(clouds), [(len(vpcs) - len(clouds), "VPC"), (missing, "subnet")]


def _subnet(subnet: dict[str, Any], nodes: Sequence[dict[str, Any]], some_nodes: bool, some_pods: bool) -> Place:
    where = " · ".join(filter(None, (subnet["cidr"], label(subnet["zone"], 24))))
    says = [where, f"{plural(len(nodes), 'node')}, {plural(sum(map(_pods, nodes)), 'pod')}"][:1 if some_nodes else 2]
    inside = tuple(_node(node, some_pods) for node in nodes) if some_nodes else ()
    return Place(f"subnet {label(subnet['name'])}", tuple(says), inside)


def _node(node: dict[str, Any], some_pods: bool) -> Place:
    down = bool(node.get("down"))
    says = [node["address"], *(["down"] if down else []), *([] if some_pods else [plural(_pods(node), "pod")])]
    inside = tuple(Place(label(name), ()) for name in node["pods"]) if some_pods else ()
    return Place(f"node {label(node['name'])}", tuple(says), inside, down)


def _host(host: dict[str, Any], vpcs: Sequence[dict[str, Any]], clouds: Sequence[Cloud]) -> Place:
    address = parse_address(host["address"])
    found = next((
        (number, position) for number, cloud in enumerate(clouds) for position in range(len(cloud.subnets))
        if address in parse_prefix(vpcs[number]["subnets"][position]["cidr"])), None)
    within = [] if found is None else [f"in {clouds[found[0]].subnets[found[1]].name}"]
    return Place(label(host["name"]), (host["address"], *within), at=found)


def _pods(node: dict[str, Any]) -> int:
    return node["pods"] if isinstance(node["pods"], int) else len(node["pods"])


def lines(made: Atlas) -> Iterator[str]:
    """The map as text: what is in something is set in."""
    yield f"{made.title}: {made.says}{f' ({made.note})' if made.note else ''}"
    for cloud in made.clouds:
        yield f"{cloud.name}  {cloud.says}{', internet gateway' if cloud.gateway else ''}"
        for subnet in cloud.subnets:
            yield f"  {subnet.name}  {', '.join(subnet.says)}"
            for node in subnet.inside:
                yield f"    {node.name}  {', '.join(node.says)}"
                yield from (f"      {pod.name}" for pod in node.inside)
    yield from (f"{host.name}  {', '.join(host.says)}" for host in made.hosts)
