"""The page's document holds the documents of ``compare --json`` and ``trace --json`` as they are, and maps that add up."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import calisim
from calisim.cli.main import cli
from calisim.report.page.document import document

ROOT = Path(__file__).parents[3]
SCENARIOS = (
    "tests/cases/scenarios/two-zones.yaml", "scenarios/s02-check-still-on.yaml", "scenarios/s06-first-packet-direction.yaml")


def printed(*arguments: str) -> dict:
    result = CliRunner().invoke(cli, [*arguments, "--json"], prog_name="calisim")
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module", params=SCENARIOS)
def made(request) -> dict:
    scenario = calisim.load(ROOT / request.param)
    return document(scenario, scenario.variant_ids)


def test_its_comparison_is_that_of_compare(made):
    assert made["comparison"] == printed("compare", made["scenario"]["file"])


def test_its_journeys_are_those_that_their_commands_print(made):
    for journey in made["journeys"]:
        for variant, told in journey["told"].items():
            assert told["trace"] == printed(*shlex.split(journey["commands"][variant])[1:])
            assert len(told["request"]) == len(told["trace"]["request"]["steps"])


def test_classes_hold_every_packet(made):
    assert len(made["journeys"]) == made["classes"]
    assert sum(one["packets"] for one in made["journeys"]) == made["comparison"]["variants"][0]["packets"]["sent"]


@pytest.mark.parametrize("level", ["byNode", "bySubnet"])
def test_flows_add_up_to_the_comparison(made, level):
    for variant, compared in zip(made["variants"], made["comparison"]["variants"], strict=True):
        for scope, sums in compared["scopes"].items():
            rows = [row for row in variant[level] if variant["outcomes"][row[3]]["scope"] == scope]
            assert sum(row[4] for row in rows) == sums["sent"]
            assert [sum(row[column] for row in rows) for column in (5, 6)] == [sums["bytes"]["inner"], sums["bytes"]["wire"]]
        lost = {}
        for row in variant[level]:
            if reason := variant["outcomes"][row[3]]["reason"]:
                lost[reason] = lost.get(reason, 0) + row[4]
        assert lost == compared["packets"]["dropped"]


def test_sums_of_nodes_are_those_of_their_flows(made):
    for variant in made["variants"]:
        for place, (sent, lost, received) in enumerate(variant["nodes"]):
            rows = [row for row in variant["byNode"] if row[0] == place]
            arrived = [row for row in variant["byNode"] if variant["outcomes"][row[3]]["verdict"] in ("delivered", "exited")]
            assert sent == sum(row[4] for row in rows)
            assert lost == sent - sum(row[4] for row in arrived if row[0] == place)
            assert received == sum(row[4] for row in arrived if row[1] == place)


def test_each_node_and_pod_is_on_the_map_once(made):
    for map_ in made["maps"]:
        placed = [node for vpc in map_["vpcs"] for subnet in vpc["subnets"] for node in subnet["nodes"]]
        assert sorted(placed) == list(range(len(map_["nodes"])))
        pods = [pod for node in map_["nodes"] for pod in node["pods"]]
        assert len(pods) == len(set(pods)) > 0


def test_boxes_of_journeys_are_on_the_map(made):
    for variant in made["variants"]:
        map_ = made["maps"][variant["map"]]
        known = {"outside"} | {f"node/{node['name']}" for node in map_["nodes"]} | {host["name"] for host in map_["hosts"]}
        known |= {pod for node in map_["nodes"] for pod in node["pods"]}
        for vpc in map_["vpcs"]:
            known |= {f"vpc/{vpc['name']}", f"igw/{vpc['name']}"} | {f"subnet/{subnet['name']}" for subnet in vpc["subnets"]}
        for journey in made["journeys"]:
            told = journey["told"][variant["id"]]
            assert {*told["request"], *(told["reply"] or ())} <= known


def test_where_packets_die_is_said():
    scenario = calisim.load(ROOT / "scenarios/s02-check-still-on.yaml")
    (variant,) = document(scenario, ["as-is"])["variants"]
    lost = [row for row in variant["bySubnet"] if variant["outcomes"][row[3]]["reason"] == "SOURCE_CHECK"]
    assert lost and {row[2] for row in lost} == {"sender"}
