"""Pods that are kept as a group are the pods that they would be one by one."""

from __future__ import annotations

import pytest

from calisim.model.entities import Pod, Pods, Replicas

WEB = Pod("web", "shop", "", {"app": "web"})


@pytest.mark.parametrize(("group", "expected"), [
    (Replicas(WEB, ("a", "b"), 5), [("web-0", "a"), ("web-1", "b"), ("web-2", "a"), ("web-3", "b"), ("web-4", "a")]),
    (Replicas(WEB, ("a", "a", "b"), 3, per_node=2), [("web-a-0", "a"), ("web-a-1", "a"), ("web-b-0", "b")]),
    (Replicas(WEB, ("b",), 1, numbered=False), [("web", "b")]),
    (Replicas.of(WEB._replace(node="c")), [("web", "c")]),
], ids=["count", "per node", "one", "alone"])
def test_names_and_nodes_follow_from_the_number(group: Replicas, expected: list[tuple[str, str]]) -> None:
    pods = [WEB._replace(name=name, node=node) for name, node in expected]
    assert list(group) == pods == [group[position] for position in range(len(group))]
    assert list(Pods([group, group]).ids) == [pod.id for pod in (*pods, *pods)] == [pod.id for pod in Pods([group, group])]
