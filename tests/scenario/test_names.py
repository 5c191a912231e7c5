"""Names are computed from the groups: the same as counting everybody out."""

from __future__ import annotations

import pytest

from calisim.scenario.names import Names, parse_reference
from calisim.scenario.resources import PodResource, Resources
from calisim.scenario.schema import Spec

SPEC = Spec.model_validate({
    "vpcs": {"v": {"cidrs": ["10.0.0.0/16"]}},
    "nodes": [{"name": "a", "count": 3, "subnet": "s"}, {"name": "a-b", "count": 2, "subnet": "s"},
              {"name": "solo", "subnet": "s"}],
    "pods": [{"name": "web", "perNode": 2}, {"name": "web-a", "namespace": "x", "count": 11}, {"name": "one", "namespace": "x"}],
    "hosts": [{"name": "api", "ip": "203.0.113.1"}],
})
NAMES = Names(SPEC, Resources(pods=(PodResource("written", "x", "a-1", {}),)))
NODES = {"a-1", "a-2", "a-3", "a-b-1", "a-b-2", "solo"}
PODS = {("default", f"web-{node}-{n}") for node in NODES for n in range(2)}
PODS |= {("x", f"web-a-{n}") for n in range(11)} | {("x", "one"), ("x", "written")}
NEAR = ["a", "a-0", "a-4", "a-01", "a-b", "a-b-3", "solo-1", "web", "web-a-1-2", "web-a-11", "web-a-1", "web-solo-0",
        "web-a-b-1-1", "one-0", "a-", "-1", "a--1", "a-1000000000000", "web-a-1--1", "one", "a-२"]


def test_nodes_and_pods_exist_exactly_where_counting_out_says_so() -> None:
    candidates = {*NEAR, *NODES, *(name for _, name in PODS)}
    assert {name for name in candidates if NAMES.has_node(name)} == NODES
    for space in ("default", "x", "y"):
        assert {(space, name) for name in candidates if NAMES.has_pod(space, name)} == {one for one in PODS if one[0] == space}


def test_bare_names_have_to_be_unique() -> None:
    assert NAMES.bearers("web-a-1-0") == ["default/web-a-1-0"]
    assert NAMES.bearers("solo") == ["node/solo"]
    twins = Names(SPEC.model_copy(update={"hosts": [SPEC.hosts[0].model_copy(update={"name": "one"})]}), Resources())
    assert "host/one or x/one" in twins.unknown(parse_reference("one"))


@pytest.mark.parametrize(("text", "kind", "name"), [
    ("shop/web-0", "pod", "web-0"), ("node/a-1", "node", "a-1"), ("host/api", "host", "api"), ("svc/shop/web", "svc", "web"),
    ("web-0", "name", "web-0"), ("node/*", "node", "*"), ("host/*", "host", "*"),
    ("10.0.0.1", "address", "10.0.0.1"), (" all() ", "selector", "all()"),
    ("app == 'x'", "selector", "app == 'x'"), ("all()", "selector", "all()"),
])
def test_references(text: str, kind: str, name: str) -> None:
    reference = parse_reference(text)
    assert (reference.kind, reference.name) == (kind, name)
    assert (reference.selector is not None) == (kind == "selector")


@pytest.mark.parametrize(
    "text", ["svc/x", "a/b/c", "10.0.0.256", "2001:db8::1", "app = 'x'", "a/b/c/d", "", "node/", "::", "1.2.3"])
def test_references_rejects(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse_reference(text)


def test_what_could_be_hidden_by_a_fault_is_not_called_unknown() -> None:
    assert NAMES.unknown(parse_reference("node/b-1"))
    assert not Names(SPEC, Resources(), frozenset({"node"})).unknown(parse_reference("node/b-1"))
