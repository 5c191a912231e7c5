"""TAB offers names of the scenario on the line, through click's own protocol; what is wrong there stays silent."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from calisim.cli.main import cli
from calisim.scenario.variants import BUILT_IN
from tests.labs.working import run

TWO_ZONES = str(Path(__file__).parents[1] / "cases" / "scenarios" / "two-zones.yaml")
OWN = "variants=[overlay-ipip, {name: mine, set: {seed: 7}}]"


def offered(*line: str) -> list[str]:
    """What bash is given for the last word of the line."""
    *before, word = line
    return [item.value for item in BashComplete(cli, {}, "calisim", "_CALISIM_COMPLETE").get_completions(before, word)]


def test_nodes():
    assert offered("routes", TWO_ZONES, "a-") == ["a-1", "a-2"]
    assert offered("routes", TWO_ZONES, "--set", "nodes.a.count=3", "a-") == ["a-1", "a-2", "a-3"]


@pytest.mark.parametrize("before", [(), ("shop/web-a-1-0",)])
def test_endpoints(before):
    assert offered("trace", TWO_ZONES, *before, "shop/web-a") == [
        "shop/web-a-1-0", "shop/web-a-1-1", "shop/web-a-2-0", "shop/web-a-2-1"]
    assert offered("trace", TWO_ZONES, *before, "node/a") == ["node/a-1", "node/a-2"]
    assert offered("trace", TWO_ZONES, *before, "web-a-1") == ["web-a-1-0", "web-a-1-1"]
    assert {name.partition("/")[0] for name in offered("trace", TWO_ZONES, *before, "")} == {"shop", "node", "host"}


@pytest.mark.parametrize("command", ["report", "view"])
def test_packets_and_variants_of_a_page(command):
    assert offered(command, TWO_ZONES, "--packet", "shop/web-a-1-") == ["shop/web-a-1-0", "shop/web-a-1-1"]
    assert offered(command, TWO_ZONES, "--packet", "shop/web-a-1-0", "node/b-1") == ["node/b-1"]
    assert offered(command, TWO_ZONES, "--variants", "as-is,overlay-v") == ["as-is,overlay-vxlan"]


@pytest.mark.parametrize("command", ["run", "trace", "routes", "ipam", "capture", "map", "view"])
def test_variants(command):
    assert offered(command, TWO_ZONES, "--variant", "calico-n") == ["calico-no-encap"]
    assert offered(command, TWO_ZONES, *(() if command == "view" else ("--set", OWN)), "--variant", "m") == (
        [] if command == "view" else ["mine"])
    assert offered(command, "--variant", "") == list(BUILT_IN)


def test_lists_of_variants():
    assert offered("compare", TWO_ZONES, "--set", OWN, "--variants", "as-is,") == [
        *(f"as-is,{name}" for name in (*BUILT_IN, "mine", "all") if name != "as-is")]
    assert offered("compare", "nowhere.yaml", "--variants", "a") == ["as-is", "all"]


@pytest.mark.parametrize("command", ["run", "capture"])
def test_traffic_sets(command):
    assert offered(command, TWO_ZONES, "--traffic", "m") == ["mesh"]


def test_labs():
    assert offered("lab", "start", "02") == ["02-fabric-drops"]
    assert offered("lab", "selftest", "follow") == ["follow-one-packet"]
    assert {"check", "hint", "next", "restore"} <= set(offered("lab", ""))


def test_stages_of_the_lab_in_whose_folder_one_is(tmp_path):
    folder = str(tmp_path / "lab")
    assert run("lab", "start", "1", folder).exit_code == 0
    assert offered("lab", "restore", "-C", folder, "--stage", "") == ["predict", "routes", "journey", "move", "explain"]
    assert offered("lab", "restore", "-C", str(tmp_path), "--stage", "") == []


@pytest.mark.parametrize("line", [
    ("routes", "nowhere.yaml", ""), ("trace", __file__, ""), ("run", TWO_ZONES, "--set", "nonsense", "--traffic", ""),
    ("routes", TWO_ZONES, "--apply", "-", ""), ("run", "--traffic", "")])
def test_mishaps_are_silent(line, capsys):
    assert offered(*line) == []
    assert capsys.readouterr() == ("", "")
