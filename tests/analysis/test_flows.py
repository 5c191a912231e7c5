"""Flows are the tallies by place; classes hold every packet once, with one that fares as the class does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import calisim
from calisim.analysis import flows as module
from calisim.analysis.classes import classes
from calisim.analysis.compare import compare
from calisim.analysis.flows import Flows
from calisim.analysis.network import Network

ROOT = Path(__file__).parents[2]
SCENARIO = ROOT / "scenarios" / "three-az.yaml"


def watched(variant: str, **edit) -> tuple[Flows, calisim.Run]:
    network = Network(calisim.load(SCENARIO, **edit), variant)
    flows = Flows(network)
    return flows, network.run("mesh", keep=False, watch=flows)


@pytest.mark.parametrize("level", ["by_node", "by_subnet"])
@pytest.mark.parametrize("variant", ["calico-cross-subnet", "calico-no-encap"])
def test_flows_add_up_to_the_tally(variant, level):
    flows, run = watched(variant)
    sums: dict = {}
    for flow in getattr(flows, level)():
        before = sums.get(flow.outcome, (0, 0, 0))
        sums[flow.outcome] = tuple(map(sum, zip(before, (flow.packets, flow.sent, flow.wire), strict=True)))
    assert sums == {outcome: (amount.packets, amount.inner, amount.wire) for outcome, amount in run.tally}


def test_flows_know_who_and_where():
    flows, _ = watched("calico-no-encap")
    lost = [flow for flow in flows.by_node() if flow.outcome.reason]
    assert {flow.end for flow in lost} == {"igw/prod"}                       # the default route takes them there
    assert sum(flow.packets for flow in lost if flows.places[flow.sender] == "node/a-1") == 10 * 80
    assert {flows.places[flow.receiver][5] for flow in lost if flows.places[flow.sender] == "node/a-1"} == {"b", "c"}


def test_too_many_flows_are_kept_by_subnet_only(monkeypatch):
    whole, _ = watched("calico-cross-subnet")
    monkeypatch.setattr(module, "MOST_FLOWS", 20)
    flows, _ = watched("calico-cross-subnet")
    assert flows.by_node() is None and flows.of_nodes() is None
    assert flows.by_subnet() == whole.by_subnet()


def test_sums_of_nodes():
    flows, run = watched("calico-no-encap")
    sent, lost, received = np.sum(flows.of_nodes(), axis=0)
    assert (sent, lost, received) == (run.sent.sent, run.sent.sent - run.sent.success, run.sent.success)


def test_classes_partition_the_packets():
    compared = compare(calisim.load(SCENARIO), ["overlay-ipip", "calico-no-encap"])
    found, count = classes(compared.variants, 100)
    assert len(found) == count and sum(one.packets for one in found) == 42_936
    assert len({one.outcomes for one in found}) == count
    assert [one.lost for one in found] == sorted((one.lost for one in found), reverse=True)
    few, same = classes(compared.variants, 1)
    assert few == found[:1] and same == count


def test_a_class_is_told_by_one_of_its_packets():
    compared = compare(calisim.load(SCENARIO), ["calico-cross-subnet"])
    network = compared.variants[0].network
    for one in classes(compared.variants, 100)[0]:
        told = network.trace(one.example.a, one.example.b, one.example.port, size=one.example.size)
        assert told.request.verdict is one.outcomes[0].verdict
