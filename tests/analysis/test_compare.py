"""compare: shares, needs that were measured, the story, pairs and the answer."""

from __future__ import annotations

import pytest

from calisim.analysis.compare import compare
from calisim.analysis.story import percent, shares, story
from calisim.errors import UsageError
from calisim.scenario.load import load
from calisim.scenario.variants import CLASSIC

from .conftest import TWO_ZONES


def answer(*set_, variants=(), pairs=False):
    return compare(load(TWO_ZONES, set=set_), variants, pairs=pairs, engine="reference")


@pytest.fixture(scope="module")
def plain():
    return answer(pairs=True)


def needs(report):
    return {need.need: need.lost for need in report.needs}


def test_three_classic_variants_by_default(plain):
    assert tuple(report.id for report in plain.variants) == CLASSIC


def test_encapsulated_and_overhead(plain):
    overlay, cross, bare = plain.variants
    assert (overlay.encapsulated, cross.encapsulated, bare.encapsulated) == (24, 16, 0)
    assert (overlay.overhead, cross.overhead, bare.overhead) == (480, 320, 0)
    assert [report.pod_mtu for report in plain.variants] == [(8981, 8981), (8981, 8981), (9001, 9001)]
    assert [report.tally.success for report in plain.variants] == [36, 36, 20]


def test_needs_of_the_overlay(plain):
    assert needs(plain.variants[0]) == {
        "IP protocol 4 in the security group": 24, "natOutgoing on the pool": 6, "TCP 179 between nodes": None}


def test_needs_of_cross_subnet(plain):
    assert needs(plain.variants[1]) == {
        "source/destination check off": 8, "IP protocol 4 in the security group": 16, "pod CIDR in the security group": 8,
        "natOutgoing on the pool": 6, "TCP 179 between nodes": None}
    check = plain.variants[1].needs[0]
    assert check.example is not None and check.met
    assert (check.example.sender, check.example.receiver) == ("shop/web-a-1-0", "shop/web-a-2-0")
    assert check.example.reason == "SOURCE_CHECK"


def test_vxlan_needs_its_port_and_no_bgp():
    (report,) = answer(variants=("overlay-vxlan",)).variants
    assert needs(report) == {"UDP port 4789 in the security group": 24, "natOutgoing on the pool": 6}


def test_a_need_that_the_scenario_forgot_is_told_as_missing():
    (report,) = answer("nodes.*.sourceDestCheck=true", variants=("calico-cross-subnet",)).variants
    check = report.needs[0]
    assert (check.need, check.lost, check.met) == ("source/destination check off", 8, False)


def test_a_need_met_in_part_is_told_with_what_dies_now():
    (report,) = answer("nodes.b.count=2", "nodes.a.sourceDestCheck=true", variants=("calico-cross-subnet",)).variants
    check = report.needs[0]                                     # 8 packets inside zone a, and 8 inside zone b that arrive
    assert (check.need, check.lost, check.met) == ("source/destination check off", 8, False)
    assert report.tally.sent - report.tally.success == 8
    assert check.example is not None and check.example.reason == "SOURCE_CHECK"


def test_iam_is_a_need_where_felix_turns_the_check_off(tmp_path):
    felix = tmp_path / "felix.yaml"
    felix.write_text(
        "apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\n"
        "metadata: {name: default}\nspec: {awsSrcDstCheck: Disable}\n")
    scenario = load(TWO_ZONES, set=["nodes.*.sourceDestCheck=true"], apply=[str(felix)])
    (report,) = compare(scenario, ("calico-cross-subnet",), engine="reference").variants
    assert needs(report)["IAM permission ec2:ModifyNetworkInterfaceAttribute"] == 8
    assert needs(report)["source/destination check off"] == 8


def test_story(two_zones):
    first, second = story(two_zones, engine="reference")
    assert (first.number, first.title) == (1, "check on")
    assert {scope: shares(cell) for scope, cell in first.cells.items()} == {
        "same-node": "ok", "same-subnet": "SOURCE_CHECK", "other-subnet": "IPIP +20 B", "external": "SNAT"}
    assert shares(second.cells["same-subnet"]) == "native"


def test_mixed_outcomes_are_shares():
    assert shares({"native": 3, "SOURCE_CHECK": 1}) == "75 % native, 25 % SOURCE_CHECK"
    assert shares({}) == "–"
    assert [percent(*pair) for pair in ((0, 5), (1, 1000), (999, 1000), (5, 5))] == ["0 %", "<1 %", ">99 %", "100 %"]


def test_answer_says_cross_subnet_with_its_numbers(plain):
    assert plain.answer.startswith("Cross-subnet: both deliver all of 36 packets")
    assert "encapsulates 16 of them instead of 24" in plain.answer and "saves 160 bytes" in plain.answer
    assert "source/destination check off (forget it and 8 packets die)" in plain.answer
    assert "16 × FABRIC_NO_ROUTE" in plain.answer
    assert "mesh (30 × 1,000 B)" in plain.assumptions[0]


def test_answer_says_overlay_where_the_check_is_on():
    text = answer("nodes.*.sourceDestCheck=true").answer
    assert text.startswith(
        "Overlay: overlay-ipip delivers 36 of 36 packets, calico-cross-subnet only 28 (8 × SOURCE_CHECK; missing:")


def test_answer_says_overlay_where_nothing_is_saved():
    text = answer("nodes.a.count=1", "nodes.b.count=1").answer
    assert text.startswith("Overlay: calico-cross-subnet saves nothing here")


def test_pairs_that_differ(plain):
    assert plain.differing == 24 and len(plain.pairs) == 24
    first = plain.pairs[0]
    assert (first.sender, first.receiver, first.traffic) == ("shop/web-a-1-0", "shop/web-a-2-0", "mesh")
    assert first.outcomes == {"overlay-ipip": "IPIP +20 B", "calico-cross-subnet": "native", "calico-no-encap": "native"}


def test_nothing_to_compare_is_told():
    with pytest.raises(UsageError, match="sends nothing"):
        answer("traffic=[]", "expect=[]")


LINUX = """
apiVersion: calisim/v1
kind: Scenario
metadata: {name: one-router}
spec:
  provider: linux
  vpcs: {lan: {cidrs: [10.0.0.0/16], internetGateway: true, subnets: {a: {cidr: 10.0.1.0/24}}}}
  nodes: [{name: a, subnet: a}]
  pods: [{name: web, count: 3}]
  hosts: [{name: api, ip: 203.0.113.10}]
  traffic: [{name: mesh, from: all(), to: all()}, {name: out, from: all(), to: host/api, packets: 2}]
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods}
spec: {cidr: 192.168.0.0/16, ipipMode: CrossSubnet, natOutgoing: true}
"""


@pytest.mark.parametrize("met", [True, False])
def test_answers_that_die_are_a_need_where_all_requests_arrive(tmp_path, met):
    path = tmp_path / "linux.yaml"
    path.write_text(LINUX if met else LINUX.replace("natOutgoing: true", "natOutgoing: false"))
    comparison = compare(load(path), ("calico-cross-subnet",), engine="reference")
    (report,) = comparison.variants
    need = next(need for need in report.needs if need.need == "natOutgoing on the pool")
    assert (need.lost, need.met, need.answers, need.victims) == (6, met, True, "6 answers")
    assert need.example is not None and need.example.reason == "FABRIC_NO_ROUTE" and "answers that die" in need.note
    assert ("forget it and 6 answers die" if met else "6 answers die already") in comparison.answer


def test_requests_that_die_are_counted_alone(plain):
    need = next(need for need in plain.variants[0].needs if need.need == "natOutgoing on the pool")
    assert (need.lost, need.answers, need.note) == (6, False, "")
