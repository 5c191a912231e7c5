"""load(), --set, --apply, variants and steps: what each keeps, replaces and supposes."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from calisim.errors import Mark, ScenarioError, UsageError
from calisim.model.topology import build
from calisim.quantities import parse_prefix
from calisim.scenario import reader
from calisim.scenario.edits import Assigner, parse_assignment
from calisim.scenario.load import load
from calisim.scenario.scenario import Scenario
from calisim.scenario.variants import BUILT_IN

HEAD = """\
apiVersion: calisim/v1
kind: Scenario
metadata: {name: small}
spec:
  vpcs:
    prod:
      cidrs: [10.0.0.0/16]
      subnets: {a: {cidr: 10.0.1.0/24}, b: {cidr: 10.0.2.0/24}}
  nodes:
    - {name: a, count: 2, subnet: a}
    - {name: b, count: 2, subnet: b, labels: {"example.com/rack": r1}}
"""
POOL = """\
---
apiVersion: v1
kind: ipPool
metadata: {cidr: 192.168.0.0/16}
spec: {ipip: {enabled: true}, nat-outgoing: true}
"""
V3_POOL = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: own}
spec: {cidr: 192.168.0.0/16, vxlanMode: Always}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.yaml").write_text(HEAD + POOL)
    (tmp_path / "pool.yaml").write_text(V3_POOL)
    return tmp_path


def written(folder: Path, text: str) -> Scenario:
    (folder / "t.yaml").write_text(text)
    return load(folder / "t.yaml")


def modes(scenario: Scenario) -> list[tuple[str, str, str, bool]]:
    return [(str(pool.cidr), pool.ipip_mode, pool.vxlan_mode, pool.nat_outgoing) for pool in scenario.resources.pools]


def problems(*arguments: object, **options: object) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(*arguments, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_values_know_their_place(folder: Path) -> None:
    scenario = load(folder / "s.yaml")
    group = scenario.spec.nodes[1]
    assert (scenario.name, scenario.path) == ("small", str(folder / "s.yaml"))
    assert group.mark == Mark(scenario.path, 11, 7)
    assert group.mark_of("subnet") == group.mark_of("subnet", 7) == Mark(scenario.path, 11, 35)
    assert group.mark_of("source_dest_check") == group.mark
    assert scenario.spec.vpcs["prod"].subnets["b"].mark_of("cidr").column == 51
    assert scenario.line_of(scenario.resources.pools[0].mark).startswith("apiVersion: v1")


@pytest.mark.parametrize(("assignment", "expected"), [
    ("nodes.*.count=3", [3, 3]), ("nodes.b.count=3", [2, 3]), ("nodes.0.count=3", [3, 2]), ("nodes[1].count=3", [2, 3]),
    ("spec.nodes.a.count=0x10", [16, 2]), ("nodes.a.count=", [None, 2]),
])
def test_set_names_items_by_name_position_or_all(folder: Path, assignment: str, expected: list[int]) -> None:
    assert [group.count for group in load(folder / "s.yaml", set=[assignment]).spec.nodes] == expected


def test_set_makes_sections_that_were_not_written(folder: Path) -> None:
    scenario = load(folder / "s.yaml", set=[
        "settings.natPorts=keep", "limits.packets=7", "vpcs.prod.routeTables.main={routes: [{to: 10.9.0.0/16, via: node/a-1}]}",
        'nodes.b.labels."example.com/rack"=r2', "metadata.name=other", "nodes.a.labels.x=y"])
    assert scenario.spec.settings.nat_ports == "keep" and scenario.spec.limits.packets == 7 and scenario.name == "other"
    assert scenario.spec.vpcs["prod"].route_tables["main"].routes[0].to == parse_prefix("10.9.0.0/16")
    assert [group.labels for group in scenario.spec.nodes] == [{"x": "y"}, {"example.com/rack": "r2"}]
    assert scenario.spec.nodes[1].mark_of("labels", "example.com/rack") == Mark('--set nodes.b.labels."example.com/rack"')


def test_assigning_leaves_the_original_alone() -> None:
    (document,), _ = reader.parse("spec: {nodes: [{name: a, count: 1}]}\n", "f")
    assigner = Assigner(document)
    assigner.assign("nodes.*.count", 2, Mark("x"))
    assert not assigner.problems
    assert assigner.written().value["spec"]["nodes"][0]["count"] == 2
    assert document.value["spec"]["nodes"][0]["count"] == 1
    assert document.marks[("spec", "nodes", 0, "count")] != Mark("x")


@pytest.mark.parametrize(("assignment", "told"), [
    ("nodes.c.count=1", "there is: a, b"), ("nods.a.count=1", "did you mean nodes?"),
    ("settings.natPort=keep", "did you mean natPorts?"),
    ("settings.natPorts=kep", "did you mean keep?"), ("vpcs.prd.cidrs=[10.0.0.0/16]", "did you mean prod?"),
    ("nodes.a.name.x=1", "nothing can be set inside"), ("count", "is not PATH=VALUE"), ("=1", "is not PATH=VALUE"),
    ('nodes."a.count=1', "close the quote"), ('nodes.a".count=1', "close the quote"), ("nodes..count=1", "is not a path"),
    ("nodes[0.count=1", "is not a path"), (".nodes.a.count=1", "is not a path"), ("nodes.a.count.=1", "is not a path"),
    ("spec=1", "is not a path"), ("nodes.a.count=[1", "not YAML"), ("hosts.*.ip=1.1.1.1", "there is nothing here"),
    ("nodes.9.count=1", "there is no 9 here"), ("seed=1\n---\n2", "more than one"),
    ("seed=\udcff", "not UTF-8"), ("pods=no", "a list is expected"),
])
def test_set_rejects(folder: Path, assignment: str, told: str) -> None:
    assert told in problems(folder / "s.yaml", set=[assignment])


def test_apply_replaces_by_name_and_pools_by_cidr(folder: Path) -> None:
    scenario = load(folder / "s.yaml")
    assert modes(scenario) == [("192.168.0.0/16", "Always", "Never", True)]
    assert modes(load(folder / "s.yaml", apply=[str(folder / "pool.yaml")])) == [("192.168.0.0/16", "Never", "Always", False)]
    assert modes(scenario.edited(apply=[str(folder / "pool.yaml")])) == [("192.168.0.0/16", "Never", "Always", False)]


def test_apply_reads_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(V3_POOL.encode())))
    assert modes(load(folder / "s.yaml", apply="-")) == [("192.168.0.0/16", "Never", "Always", False)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"kind: [}")))
    assert "(standard input):1:8" in problems(folder / "s.yaml", apply="-")


def test_a_document_written_twice_counts_as_written_last(folder: Path) -> None:
    scenario = written(folder, HEAD + POOL + "---\n" + V3_POOL)
    assert modes(scenario) == [("192.168.0.0/16", "Never", "Always", False)]
    assert ["described twice" in warning for warning in scenario.warnings] == [True]


def test_edits_of_a_variant_stay_in_the_variant(folder: Path) -> None:
    edited = load(folder / "s.yaml").with_variant("overlay-vxlan").edited(set=["nodes.a.count=7"])
    assert (edited.variant, edited.spec.nodes[0].count, modes(edited)[0][2]) == ("overlay-vxlan", 7, "Always")


@pytest.mark.parametrize("variant", BUILT_IN)
def test_built_in_variants_set_both_modes_of_every_pool(folder: Path, variant: str) -> None:
    expected = {
        "overlay-ipip": ("Always", "Never"), "overlay-vxlan": ("Never", "Always"), "as-is": ("Always", "Never"),
        "calico-cross-subnet": ("CrossSubnet", "Never"), "calico-cross-subnet-vxlan": ("Never", "CrossSubnet"),
        "calico-no-encap": ("Never", "Never")}
    scenario = load(folder / "s.yaml").with_variant(variant)
    assert scenario.variant == variant
    assert modes(scenario) == [("192.168.0.0/16", *expected[variant], True)]


def test_own_variants_set_and_apply(folder: Path) -> None:
    own = "  variants:\n  - overlay-ipip\n  - {name: mine, set: {nodes.*.count: 5}, apply: [pool.yaml]}\n"
    scenario = written(folder, HEAD + own + POOL)
    assert scenario.variant_ids == ("overlay-ipip", "mine")
    mine = scenario.with_variant("mine")
    assert mine.variant == "mine" and [group.count for group in mine.spec.nodes] == [5, 5]
    assert modes(mine) == [("192.168.0.0/16", "Never", "Always", False)]
    assert scenario.spec.nodes[0].count == 2 and modes(scenario)[0][1] == "Always"
    assert scenario.select_variants("all") == (*BUILT_IN, "mine")
    assert scenario.select_variants("mine, as-is,mine") == ("mine", "as-is")
    for wrong in ("mien", ""):
        with pytest.raises(UsageError, match="mine and all"):
            scenario.select_variants(wrong)
    with pytest.raises(UsageError, match="no variant mien"):
        scenario.with_variant("mien")
    with pytest.raises(UsageError, match="variant mine already"):
        mine.with_variant("overlay-ipip")


def test_without_variants_the_three_classic_ones_are_compared(folder: Path) -> None:
    assert load(folder / "s.yaml").variant_ids == ("overlay-ipip", "calico-cross-subnet", "calico-no-encap")


STORY = HEAD + """\
  steps:
    - {title: as shipped, pools: none, set: {nodes.*.sourceDestCheck: true}}
    - {title: check off, set: {nodes.a.sourceDestCheck: false}}
    - title: pool
      apply:
        - pool.yaml
        - {apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: more}, spec: {cidr: 10.99.0.0/16}}
    - {title: v1, apply: [{apiVersion: v1, kind: ipPool, metadata: {cidr: 10.99.0.0/16}, spec: {nat-outgoing: true}}]}
"""


def test_each_step_keeps_what_went_before(folder: Path) -> None:
    scenario = written(folder, STORY + POOL)
    states = [scenario.after_steps(count) for count in range(5)]
    assert [state.spec.nodes[0].source_dest_check for state in states] == [None, True, False, False, False]
    assert states[4].spec.nodes[1].source_dest_check is True
    bare = [("192.168.0.0/16", "Never", "Never", False), ("10.99.0.0/16", "Never", "Never", False)]
    assert [modes(state) for state in states] == [
        [("192.168.0.0/16", "Always", "Never", True)], bare, bare,
        [("192.168.0.0/16", "Never", "Always", False), ("10.99.0.0/16", "Never", "Never", False)],
        [("192.168.0.0/16", "Never", "Always", False), ("10.99.0.0/16", "Never", "Never", True)]]
    assert [len(state.assumptions) for state in states] == [0, 1, 1, 0, 0]
    assert states[3].resources.pools[1].mark.line == 18
    assert modes(states[1].with_variant("overlay-ipip"))[0][1] == "Always"
    with pytest.raises(UsageError, match="no step 5"):
        scenario.after_steps(5)


def test_no_pool_anywhere_means_calicos_default_pool(folder: Path) -> None:
    scenario = written(folder, HEAD)
    assert modes(scenario) == [("192.168.0.0/16", "Never", "Never", True)]
    assert scenario.resources.pools[0].name == "default-ipv4-ippool"
    assert "default pool" in scenario.assumptions[0]
    inside = written(folder, HEAD.replace("10.0.", "192.168."))
    assert modes(inside)[0][0] == "172.16.0.0/16"


def test_pools_none_without_any_pool_leaves_the_default_range_bare(folder: Path) -> None:
    scenario = written(folder, HEAD + "  steps: [{title: bare, pools: none}]\n").after_steps(1)
    assert modes(scenario) == [("192.168.0.0/16", "Never", "Never", False)]


def test_manifests_join_the_documents(folder: Path) -> None:
    scenario = written(folder, HEAD + "  manifests: [sub/../pool.yaml]\n")
    assert modes(scenario) == [("192.168.0.0/16", "Never", "Always", False)]
    assert scenario.resources.pools[0].mark.file.endswith("pool.yaml")


def test_links_cannot_lead_out_of_the_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "pool.yaml"
    outside.write_text(V3_POOL)
    os.symlink(outside, folder / "link.yaml")
    (folder / "t.yaml").write_text(HEAD + "  manifests: [link.yaml]\n")
    assert "link.yaml is outside the scenario's folder" in problems(folder / "t.yaml")
    os.mkfifo(folder / "pipe.yaml")
    (folder / "t.yaml").write_text(HEAD + "  manifests: [pipe.yaml]\n")
    assert "not a regular file" in problems(folder / "t.yaml")


def test_problems_of_all_files_come_at_once(folder: Path) -> None:
    (folder / "pool.yaml").write_text(V3_POOL.replace("Always", "always"))
    more = "  manifests: [pool.yaml]\n  steps: [{title: x, set: {n: 1}}]\n"
    (folder / "t.yaml").write_text(HEAD.replace("subnet: b,", "subnet: c,") + more)
    told = problems(folder / "t.yaml", set=["seed=-1"])
    for part in ("t.yaml:11:35: spec.nodes[1].subnet", "pool.yaml:4:", "t.yaml:13:", "--set seed: spec.seed"):
        assert part in told


def test_files_that_are_no_files(folder: Path) -> None:
    assert "did you mean" in problems(folder / "ss.yaml")
    assert "is a directory" in problems(folder)
    assert "there is no file" in problems(folder / "s.yaml", apply=["nope"])


def test_escape_sequences_of_a_file_do_not_reach_the_terminal(folder: Path) -> None:
    (folder / "t.yaml").write_text(HEAD + '  provider: "\\e[31m"\n  variants: ["\\e[2J"]\n')
    told = problems(folder / "t.yaml")
    assert "\x1b" not in told and "\\x1b[2J" in told


@pytest.mark.parametrize("text", ["", "5", "count: 3"])
def test_assignments_are_path_equals_value(text: str) -> None:
    assert parse_assignment(text)[2]


POLICIES = "".join(
    f"---\n{{apiVersion: {api}, kind: NetworkPolicy, metadata: {{name: closed, namespace: {space}}}, spec: {spec}}}\n"
    for api, space, spec in (
        ("projectcalico.org/v3", "shop", "{selector: all()}"), ("networking.k8s.io/v1", "shop", "{podSelector: {}}"),
        ("networking.k8s.io/v1", "default", "{podSelector: {}}")))


def deleting(folder: Path, *references: str) -> Scenario:
    listed = ", ".join(references)
    return written(folder, HEAD + f"  variants: [{{name: open, delete: [{listed}]}}]\n" + POOL + POLICIES)


def test_documents_are_deleted_by_kind_and_name(folder: Path) -> None:
    scenario = deleting(folder, "NetworkPolicy.networking.k8s.io/shop/closed", "NetworkPolicy/closed", "ipPool/192.168.0.0/16")
    left = [(one.api_version, one.namespace) for one in scenario.with_variant("open").documents]
    assert left == [("projectcalico.org/v3", "shop")] and len(scenario.documents) == 4


@pytest.mark.parametrize(("reference", "message"), [
    ("NetworkPolicy/shop/closed", "means 2 documents"), ("NetworkPolicy/shop/clsoed", "did you mean NetworkPolicy/shop/closed"),
    ("nonsense", "no document in force is nonsense")])
def test_who_is_to_be_deleted_has_to_be_one(folder: Path, reference: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as caught:
        deleting(folder, reference)
    assert caught.value.problems[0].mark.line == HEAD.count("\n") + 1


def test_of_many_that_are_not_there_the_first_are_told(folder: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        deleting(folder, *(f"NetworkPolicy/nobody-{number}" for number in range(150)))
    assert len(caught.value.problems) == 100


def test_some_nodes_of_a_group_may_be_down(folder: Path) -> None:
    scenario = written(folder, HEAD.replace("count: 2", "count: 2, down: [a-2]", 1) + POOL)
    assert [(node.name, node.down) for node in build(scenario).entities.nodes][:2] == [("a-1", False), ("a-2", True)]
    with pytest.raises(ScenarioError, match=r"group a has no node b-1[\s\S]*its nodes are a-1 … a-2"):
        written(folder, HEAD.replace("count: 2", "count: 2, down: [b-1]", 1) + POOL)
