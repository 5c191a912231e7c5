"""The endpoints of the pods and their objects: columns, of which an Endpoint is made when it is asked for.

A cluster has hundreds of thousands of pods, and nearly all that is known of one is its group's.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, repeat

from ..model.entities import NamedPort, Pods
from ..parts import rows
from ..quantities import PROTOCOLS
from ..sequences import Computed, Joined
from ..vocabulary import EndpointKind
from .intent import Endpoint, Object

Homes = Mapping[str, tuple[int, int]]


class PodEndpoints(Computed[Endpoint]):
    """Pods as endpoints ``first``, first + 1 …, decided by the objects ``first_object`` …

    ``homes``: router id and MTU of the pods of each node. ``addresses``, ``routers``, ``mtus`` are columns; ``usual``: whether
    pods answer of which nothing is said.
    """

    def __init__(
        self, pods: Pods, homes: Homes, addresses: array[int], usual: bool, first: int, first_object: int,
    ) -> None:
        self.pods, self.addresses, self.usual, self.first, self.first_object = pods, addresses, usual, first, first_object
        self._made_of = pods, homes, addresses, usual, first, first_object
        self.routers, self.mtus = array("q"), array("q")
        turns: dict[int, tuple[array[int], array[int]]] = {}      # by identity of the nodes, which groups may share
        for group in pods.parts:
            if id(group.nodes) not in turns:
                turns[id(group.nodes)] = (
                    array("q", [homes[node][0] for node in group.nodes]), array("q", [homes[node][1] for node in group.nodes]))
            routers, mtus = turns[id(group.nodes)]
            rounds, rest = divmod(len(group), len(group.nodes))
            self.routers += routers * rounds + routers[:rest]
            self.mtus += array("q", [group.pattern.mtu]) * len(group) if group.pattern.mtu else mtus * rounds + mtus[:rest]

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


def addresses_of(endpoints: Sequence[Endpoint]) -> array[int]:
    """The addresses of all of them, 0 of who has none."""
    column = array("q")
    for part in endpoints.parts if isinstance(endpoints, Joined) else (endpoints,):
        column += part.addresses if isinstance(part, PodEndpoints) else array("q", [one.address for one in part])
    return column


@cache
def _listening(ports: tuple[NamedPort, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((PROTOCOLS[port.protocol.lower()], port.port) for port in ports)
