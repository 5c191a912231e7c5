"""The endpoints of the pods and their objects: columns, of which an Endpoint is made when it is asked for.

A cluster has hundreds of thousands of pods, and nearly all that is known of one is its group's.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import chain, repeat
from typing import NamedTuple

from ..model.entities import NamedPort, Node, Pods
from ..parts import rows
from ..quantities import PROTOCOLS
from ..sequences import Computed, Joined, Turns, go_on
from ..vocabulary import EndpointKind
from .intent import Endpoint, Object


class Station(NamedTuple):
    """A node as services and host endpoints ask about it: router id and addresses, 0 where it has no such device."""

    id: int
    name: str
    address: int
    ipip_address: int
    vxlan_address: int


class Homes:
    """The nodes as their pods know them: ``names`` by router id - 1, and the MTU that each gives its pods."""

    def __init__(self, names: tuple[str, ...], mtus: Iterable[Sequence[int]]) -> None:
        """``mtus`` in runs."""
        self.names, self.mtus = names, array("q", chain.from_iterable(mtus))

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Router ids by name."""
        return {name: number for number, name in enumerate(self.names, start=1)}

    def of(self, nodes: tuple[str, ...]) -> tuple[array[int], array[int]]:
        """Router ids of these nodes, and the MTUs of their pods."""
        if nodes == self.names:
            return array("q", range(1, len(nodes) + 1)), self.mtus
        routers = array("q", map(self.numbers.__getitem__, nodes))
        return routers, array("q", [self.mtus[number - 1] for number in routers])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Homes) and (self.names, self.mtus) == (other.names, other.mtus)

    __hash__ = None  # type: ignore[assignment]


class PodEndpoints(Computed[Endpoint]):
    """Pods as endpoints ``first``, first + 1 …, decided by the objects ``first_object`` …

    ``addresses``, ``routers``, ``mtus`` are columns; ``usual``: whether pods answer of which nothing is said.
    """

    def __init__(
        self, pods: Pods, homes: Homes, addresses: Sequence[int], usual: bool, first: int, first_object: int,
    ) -> None:
        self.pods, self.addresses, self.usual, self.first, self.first_object = pods, addresses, usual, first, first_object
        self._made_of = pods, homes, addresses, usual, first, first_object
        columns: tuple[list[Turns], list[Turns]] = [], []
        turns: dict[int, tuple[array[int], array[int]]] = {}      # by identity of the nodes, which groups may share
        for group in pods.parts:
            if id(group.nodes) not in turns:
                turns[id(group.nodes)] = homes.of(group.nodes)
            routers, mtus = turns[id(group.nodes)]
            own = array("q", [group.pattern.mtu]) if group.pattern.mtu else mtus
            for column, turn in zip(columns, (routers, own), strict=True):
                go_on(column, turn, len(group))
        self.routers, self.mtus = map(Joined, columns)

    @property
    def ids(self) -> range:
        return range(self.first, self.first + len(self))

    @property
    def deciders(self) -> range:
        """Object ids."""
        return range(self.first_object, self.first_object + len(self))

    def __len__(self) -> int:
        return len(self.addresses)

    def at(self, position: int) -> Endpoint:
        pod = self.pods.at(position)
        return Endpoint(
            self.first + position, EndpointKind.POD, pod.id, self.addresses[position], self.routers[position],
            self.mtus[position], "", self.first_object + position, self.usual if pod.answers is None else pod.answers,
            _listening(pod.ports))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PodEndpoints):
            return self._made_of == other._made_of
        return super().__eq__(other)

    __hash__ = None

    def __iter__(self) -> Iterator[Endpoint]:
        answers: list[bool] = []
        ports: list[tuple[tuple[int, int], ...]] = []
        for group in self.pods.parts:
            pattern = group.pattern
            answers += [self.usual if pattern.answers is None else pattern.answers] * len(group)
            ports += [_listening(pattern.ports)] * len(group)
        return rows(
            Endpoint, self.ids, repeat(EndpointKind.POD), self.pods.ids, self.addresses, self.routers, self.mtus, repeat(""),
            self.deciders, answers, ports)


class NodeObjects(Computed[Object]):
    """Where the source/destination check of a node is said decides about the node."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes

    def __len__(self) -> int:
        return len(self.nodes)

    def at(self, position: int) -> Object:
        node = self.nodes[position]
        return Object("Node", node.name, node.check_mark)


class PodObjects(Computed[Object]):
    """What decides about a pod is the pod itself, as its group is written."""

    def __init__(self, pods: Pods) -> None:
        self.pods = pods

    def __len__(self) -> int:
        return len(self.pods)

    def at(self, position: int) -> Object:
        pod = self.pods.at(position)
        return Object("Endpoint", pod.id, pod.mark)

    def __iter__(self) -> Iterator[Object]:
        marks = chain.from_iterable(repeat(group.pattern.mark, len(group)) for group in self.pods.parts)
        return rows(Object, repeat("Endpoint"), self.pods.ids, marks)


@cache
def _listening(ports: tuple[NamedPort, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((PROTOCOLS[port.protocol.lower()], port.port) for port in ports)
