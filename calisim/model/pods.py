"""Pod groups counted out and spread over the nodes; Pod documents join them. No addresses yet but fixed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice
from typing import TYPE_CHECKING

from ..errors import Problem
from ..scenario.faults import problem
from ..selector import parse
from .entities import NamedPort, Node, Pod

if TYPE_CHECKING:
    from ..scenario.resources import Resources
    from ..scenario.schema import PodGroup, Spec, Stack

NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def pods(spec: Spec, resources: Resources, nodes: tuple[Node, ...], problems: list[Problem]) -> tuple[Pod, ...]:
    """Every pod: the scenario's in order of writing, then those of Pod documents.

    ``perNode: 2`` gives NAME-NODE-0 and NAME-NODE-1 on each node, ``count: 3`` NAME-0 to NAME-2 on the nodes in
    turn, neither gives NAME alone; single pods without a node share one turn.
    """
    made: dict[tuple[str, str], Pod] = {}
    turn = cycle(nodes)
    for group in spec.pods:
        places = _places(group, nodes, turn)
        if not places and group.count != 0 and group.per_node != 0:
            problems.append(problem(
                group, "nodes", f"no node is there to run pod {group.namespace}/{group.name}",
                "let the selector choose a node" if group.nodes else "add nodes"))
        for pod in _counted(group, places):
            _add(pod, made, problems)
    _documents(resources, nodes, made, turn, problems)
    return tuple(made.values())


def namespaces(resources: Resources, pods: tuple[Pod, ...]) -> Mapping[str, Mapping[str, str]]:
    """Labels of every namespace that a document or a pod names; its own name is always among them."""
    names = dict.fromkeys([*resources.namespaces, *(pod.namespace for pod in pods)])
    return {name: {NAMESPACE_LABEL: name, **resources.namespaces.get(name, {})} for name in names}


def _places(group: PodGroup, nodes: tuple[Node, ...], turn: Iterator[Node]) -> list[Node]:
    """The nodes that a group may run on, in the order in which it fills them."""
    if group.node is not None:
        return [node for node in nodes if node.name == group.node]
    if group.nodes is not None:
        selector = parse(group.nodes)
        return [node for node in nodes if selector.matches(node.labels)]
    if group.count is None and group.per_node is None:
        return list(islice(turn, 1))
    return list(nodes)


def _counted(group: PodGroup, places: list[Node]) -> Iterator[Pod]:
    names: Iterable[tuple[str, Node]]
    if group.per_node is not None:
        names = ((f"{group.name}-{node.name}-{number}", node) for node in places for number in range(group.per_node))
    elif group.count is not None:
        names = ((f"{group.name}-{number}", node) for number, node in zip(range(group.count), cycle(places), strict=False))
    else:
        names = ((group.name, node) for node in places[:1])
    ports = tuple(NamedPort(port.name, port.protocol, port.port) for port in group.ports)
    pools, labels = tuple(group.pools), group.labels
    for name, node in names:
        yield Pod(
            name, group.namespace, node.name, labels, ports, group.ip, pools, 0, group.name, group.mark, answers(group.stack),
            group.service_account)


def answers(stack: Stack | None) -> bool | None:
    """Whether an endpoint answers by itself; None: as the settings say."""
    return None if stack is None else stack == "answer"


def _add(pod: Pod, made: dict[tuple[str, str], Pod], problems: list[Problem]) -> None:
    key = (pod.namespace, pod.name)
    if key in made:
        problems.append(Problem(
            pod.mark, f"pod {pod.id}", f"there are two pods of this name (the other: {made[key].mark})",
            "give one of them another name or namespace"))
    made[key] = pod


def _documents(
    resources: Resources, nodes: tuple[Node, ...], made: dict[tuple[str, str], Pod], turn: Iterator[Node],
    problems: list[Problem],
) -> None:
    known = {node.name for node in nodes}
    for document in resources.pods:
        name = document.node or next((node.name for node in turn), "")
        if name not in known:
            problems.append(Problem(
                document.mark, f"pod {document.namespace}/{document.name}",
                f"there is no node {name}" if name else "no node is there to run it",
                "name a node of the scenario in spec.nodeName"))
            continue
        ports = tuple(NamedPort(*port) for port in document.ports)
        _add(
            Pod(document.name, document.namespace, name, document.labels, ports, document.address, document.pools,
                mark=document.mark, service_account=document.service_account),
            made, problems)
