"""Pod groups counted out and spread over the nodes; Pod documents join them. No addresses yet but fixed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from operator import itemgetter
from typing import TYPE_CHECKING

from ..errors import Problem
from ..parts import Parts
from ..scenario.faults import problem
from ..selector import parse
from ..sequences import Joined
from . import nodes as nodes_
from .entities import NamedPort, Node, Pod, Pods, Replicas

if TYPE_CHECKING:
    from ..scenario.resources import Resources
    from ..scenario.scalars import Stack
from ..scenario.schema import PodGroup, Spec

NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def pods(
    spec: Spec, resources: Resources, nodes: Joined[Node], problems: list[Problem], parts: Parts,
) -> Pods:
    """Every pod: the scenario's in order of writing, then those of Pod documents.

    ``perNode: 2`` gives NAME-NODE-0 and NAME-NODE-1 on each node, ``count: 3`` NAME-0 to NAME-2 on the nodes in
    turn, neither gives NAME alone; single pods without a node share one turn.
    """
    names = nodes_.all_names(parts, nodes)
    turn = cycle(names)
    groups = []
    for group in spec.pods:
        places = _places(group, nodes, names, turn)
        if not places and group.count != 0 and group.per_node != 0:
            problems.append(problem(
                group, "nodes", f"no node is there to run pod {group.namespace}/{group.name}",
                "let the selector choose a node" if group.nodes else "add nodes"))
        ports = tuple(NamedPort(port.name, port.protocol, port.port) for port in group.ports)
        pattern = Pod(
            group.name, group.namespace, "", group.labels, ports, group.ip, tuple(group.pools), 0, group.name, group.mark,
            answers(group.stack), group.service_account)
        groups.append(_counted(pattern, group.count, group.per_node, places))
    groups += [Replicas.of(pod) for pod in _documents(resources, names, turn, problems)]
    made = Pods(groups)
    if resources.pods or _may_clash(spec.pods):
        problems += parts.of("twins", _twins, made)
    return made


def _may_clash(groups: Sequence[PodGroup]) -> bool:
    """Whether pods of two groups could have one name: names go on with a hyphen after the group's."""
    names = {(group.namespace, group.name) for group in groups}
    return len(names) < len(groups) or any(
        (namespace, name[:position]) in names
        for namespace, name in names for position, letter in enumerate(name) if letter == "-")


def _twins(pods: Pods) -> list[Problem]:
    """Pods of one namespace that have one name."""
    problems: list[Problem] = []
    if len(set(map(itemgetter(0, 1), pods))) == len(pods):
        return problems
    made: dict[tuple[str, str], Pod] = {}
    for pod in pods:
        first = made.setdefault((pod.namespace, pod.name), pod)
        if first is not pod:
            problems.append(Problem(
                pod.mark, f"pod {pod.id}", f"there are two pods of this name (the other: {first.mark})",
                "give one of them another name or namespace"))
    return problems


def namespaces(documents: Mapping[str, Mapping[str, str]], pods: Pods) -> Mapping[str, Mapping[str, str]]:
    """Labels of every namespace that a document or a pod names; its own name is always among them."""
    names = dict.fromkeys([*documents, *(group.pattern.namespace for group in pods.parts)])
    return {name: {NAMESPACE_LABEL: name, **documents.get(name, {})} for name in names}


def _places(group: PodGroup, nodes: Iterable[Node], names: tuple[str, ...], turn: Iterator[str]) -> tuple[str, ...]:
    """The nodes that a group may run on, in the order in which it fills them."""
    if group.node is not None:
        return tuple(name for name in names if name == group.node)
    if group.nodes is not None:
        selector = parse(group.nodes)
        return tuple(node.name for node in nodes if selector.matches(node.labels))
    if group.count is None and group.per_node is None:
        return tuple(islice(turn, 1))
    return names


def _counted(pattern: Pod, count: int | None, per_node: int | None, places: tuple[str, ...]) -> Replicas:
    """The pods of a group."""
    if per_node is not None:
        nodes = places if per_node == 1 else tuple(node for node in places for _ in range(per_node))
        return Replicas(pattern, nodes, len(nodes), per_node)
    if count is not None:
        return Replicas(pattern, places[:count], count if places else 0)
    return Replicas(pattern, places[:1], len(places[:1]), numbered=False)


def answers(stack: Stack | None) -> bool | None:
    """Whether an endpoint answers by itself; None: as the settings say."""
    return None if stack is None else stack == "answer"


def _documents(resources: Resources, names: tuple[str, ...], turn: Iterator[str], problems: list[Problem]) -> Iterator[Pod]:
    known = set(names) if resources.pods else set()
    for document in resources.pods:
        name = document.node or next(turn, "")
        if name not in known:
            problems.append(Problem(
                document.mark, f"pod {document.namespace}/{document.name}",
                f"there is no node {name}" if name else "no node is there to run it",
                "name a node of the scenario in spec.nodeName"))
            continue
        ports = tuple(NamedPort(*port) for port in document.ports)
        yield Pod(
            document.name, document.namespace, name, document.labels, ports, document.address, document.pools,
            mark=document.mark, service_account=document.service_account)
