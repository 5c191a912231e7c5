"""Pod groups counted out and spread over the nodes; Pod documents join them. No addresses yet but fixed ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, cycle, islice, repeat
from operator import itemgetter
from typing import TYPE_CHECKING

from ..errors import Problem
from ..parts import Parts, rows
from ..scenario.faults import problem
from ..selector import parse
from .entities import NamedPort, Node, Pod

if TYPE_CHECKING:
    from ..scenario.resources import Resources
    from ..scenario.schema import PodGroup, Spec, Stack

NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def pods(
    spec: Spec, resources: Resources, nodes: tuple[Node, ...], problems: list[Problem], parts: Parts,
) -> tuple[Pod, ...]:
    """Every pod: the scenario's in order of writing, then those of Pod documents.

    ``perNode: 2`` gives NAME-NODE-0 and NAME-NODE-1 on each node, ``count: 3`` NAME-0 to NAME-2 on the nodes in
    turn, neither gives NAME alone; single pods without a node share one turn.
    """
    names = [node.name for node in nodes]
    turn = cycle(names)
    groups = []
    for number, group in enumerate(spec.pods):
        places = _places(group, nodes, names, turn)
        if not places and group.count != 0 and group.per_node != 0:
            problems.append(problem(
                group, "nodes", f"no node is there to run pod {group.namespace}/{group.name}",
                "let the selector choose a node" if group.nodes else "add nodes"))
        ports = tuple(NamedPort(port.name, port.protocol, port.port) for port in group.ports)
        alike = (
            group.labels, ports, group.ip, tuple(group.pools), 0, group.name, group.mark, answers(group.stack),
            group.service_account)
        groups.append(parts.of(
            ("pods", number), _counted, group.name, group.namespace, group.count, group.per_node, places, alike))
    groups.append(tuple(_documents(resources, names, turn, problems)))
    made = parts.of("pods", _together, *groups)
    if resources.pods or _may_clash(spec.pods):
        problems += parts.of("twins", _twins, made)
    return made


def _together(*groups: tuple[Pod, ...]) -> tuple[Pod, ...]:
    return tuple(chain.from_iterable(groups))


def _may_clash(groups: Sequence[PodGroup]) -> bool:
    """Whether pods of two groups could have one name: names go on with a hyphen after the group's."""
    names = {(group.namespace, group.name) for group in groups}
    return len(names) < len(groups) or any(
        (namespace, name[:position]) in names
        for namespace, name in names for position, letter in enumerate(name) if letter == "-")


def _twins(pods: tuple[Pod, ...]) -> list[Problem]:
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


def namespaces(documents: Mapping[str, Mapping[str, str]], pods: tuple[Pod, ...]) -> Mapping[str, Mapping[str, str]]:
    """Labels of every namespace that a document or a pod names; its own name is always among them."""
    names = dict.fromkeys(chain(documents, map(itemgetter(1), pods)))
    return {name: {NAMESPACE_LABEL: name, **documents.get(name, {})} for name in names}


def _places(group: PodGroup, nodes: tuple[Node, ...], names: list[str], turn: Iterator[str]) -> list[str]:
    """The nodes that a group may run on, in the order in which it fills them."""
    if group.node is not None:
        return [name for name in names if name == group.node]
    if group.nodes is not None:
        selector = parse(group.nodes)
        return [node.name for node in nodes if selector.matches(node.labels)]
    if group.count is None and group.per_node is None:
        return list(islice(turn, 1))
    return names


def _counted(
    name: str, namespace: str, count: int | None, per_node: int | None, places: list[str], alike: tuple[object, ...],
) -> tuple[Pod, ...]:
    """The pods of a group; ``alike``: what they have in common."""
    names, nodes = [name] * len(places[:1]), places[:1]
    if per_node is not None:
        nodes = [node for node in places for _ in range(per_node)]
        names = [f"{name}-{node}-{number}" for node in places for number in range(per_node)]
    elif count is not None:
        nodes = list(islice(cycle(places), count))
        names = [f"{name}-{number}" for number in range(len(nodes))]
    return tuple(rows(Pod, names, repeat(namespace), nodes, *map(repeat, alike)))


def answers(stack: Stack | None) -> bool | None:
    """Whether an endpoint answers by itself; None: as the settings say."""
    return None if stack is None else stack == "answer"


def _documents(resources: Resources, names: list[str], turn: Iterator[str], problems: list[Problem]) -> Iterator[Pod]:
    known = set(names)
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
