"""Pod groups counted out and spread over the nodes; Pod documents join them. No addresses yet but fixed ones."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, islice
from typing import TYPE_CHECKING

from ..errors import Mark, Problem
from ..selector import SelectorError, parse
from .entities import NamedPort, Node, Pod

if TYPE_CHECKING:
    from ..scenario.resources import Resources
    from ..scenario.schema import PodGroup, Spec

NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def pods(spec: Spec, resources: Resources, nodes: tuple[Node, ...], problems: list[Problem]) -> tuple[Pod, ...]:
    """Every pod: the scenario's in order of writing, then those of Pod documents.

    ``perNode: 2`` gives NAME-NODE-0 and NAME-NODE-1 on each node, ``count: 3`` NAME-0 to NAME-2 on the nodes in
    turn, neither gives NAME alone; single pods without a node share one turn.
    """
    made: dict[tuple[str, str], Pod] = {}
    turn = cycle(nodes) if nodes else None
    for position, group in enumerate(spec.pods):
        path = f"spec.pods[{position}]"
        candidates = _candidates(group, nodes, path, problems)
        single = group.count is None and group.per_node is None and group.node is None and group.nodes is None
        places = list(islice(turn, 1)) if single and turn else candidates
        for pod in _counted(group, places):
            _add(pod, made, path, problems)
    _documents(resources, nodes, made, turn, problems)
    return tuple(made.values())


def namespaces(resources: Resources, pods: tuple[Pod, ...]) -> Mapping[str, Mapping[str, str]]:
    """Labels of every namespace that a document or a pod names; its own name is always among them."""
    names = dict.fromkeys([*resources.namespaces, *(pod.namespace for pod in pods)])
    return {name: {NAMESPACE_LABEL: name, **resources.namespaces.get(name, {})} for name in names}


def _candidates(group: PodGroup, nodes: tuple[Node, ...], path: str, problems: list[Problem]) -> list[Node]:
    if group.node is not None:
        chosen = [node for node in nodes if node.name == group.node]
        if not chosen:
            problems.append(Problem(group.mark_of("node"), f"{path}.node", f"there is no node {group.node}", "name a node of the scenario"))
        return chosen
    if group.nodes is None:
        chosen = list(nodes)
    else:
        try:
            selector = parse(group.nodes)
        except SelectorError as error:
            problems.append(Problem(group.mark_of("nodes"), f"{path}.nodes", str(error)))
            return []
        chosen = [node for node in nodes if selector.matches(node.labels)]
    if not chosen and (group.count != 0 and group.per_node != 0):
        problems.append(Problem(
            group.mark, path, f"no node is there to run pod {group.name}", "let the selector choose a node" if group.nodes else "add nodes"))
    return chosen


def _counted(group: PodGroup, places: list[Node]) -> list[Pod]:
    shared = (group.namespace, group.labels, tuple(NamedPort(port.name, port.protocol, port.port) for port in group.ports))
    if group.per_node is not None:
        names = [(f"{group.name}-{node.name}-{number}", node) for node in places for number in range(group.per_node)]
    elif group.count is not None:
        names = [(f"{group.name}-{number}", node) for number, node in zip(range(group.count), cycle(places), strict=False)]
    else:
        names = [(group.name, node) for node in places[:1]]
    namespace, labels, ports = shared
    asked = tuple(group.pools)
    return [
        Pod(name, namespace, node.name, labels, ports, group.ip, asked, 0, group.name, group.mark) for name, node in names
    ]


def _add(pod: Pod, made: dict[tuple[str, str], Pod], path: str, problems: list[Problem]) -> None:
    key = (pod.namespace, pod.name)
    if key in made:
        problems.append(Problem(
            pod.mark, path, f"pod {pod.id} is there already ({made[key].mark})", "give one of them another name or namespace"))
    made[key] = pod


def _documents(
    resources: Resources, nodes: tuple[Node, ...], made: dict[tuple[str, str], Pod], turn: cycle[Node] | None,
    problems: list[Problem],
) -> None:
    known = {node.name for node in nodes}
    for document in resources.pods:
        where = f"Pod {document.namespace}/{document.name}"
        node = document.node or (next(turn).name if turn else "")
        if node not in known:
            problems.append(Problem(
                document.mark, where, f"there is no node {node}" if node else "no node is there to run it",
                "name a node of the scenario in spec.nodeName"))
            continue
        ports = tuple(NamedPort(*port) for port in document.ports)
        _add(
            Pod(document.name, document.namespace, node, document.labels, ports, document.address, document.pools,
                mark=document.mark),
            made, where, problems)


