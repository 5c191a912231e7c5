"""What can be switched in a scenario, and that it comes to the same switched here, saved, and run from the saved file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import calisim
from calisim.analysis.network import Network
from calisim.errors import Mark, UsageError
from calisim.scenario.load import load_text
from calisim.view.saving import changed_text
from calisim.view.toggles import MODES, Board

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
HERE = Mark("(switched here)")


def board(path: Path | str, base: str = "as-is") -> Board:
    scenario = calisim.load(path) if isinstance(path, Path) else load_text(path, "small.yaml")
    return Board(scenario, base, Network(scenario, base))


def other(toggle) -> str | bool:
    if toggle.kind != "mode":
        return not toggle.value
    modes = list(MODES)
    return modes[(modes.index(toggle.value) + 2) % len(modes)] if toggle.value else "none"


def everything(made: Board, first: int = 1) -> dict[str, str | bool]:
    """Every toggle switched, and some nodes."""
    choices = {id_: other(toggle) for id_, toggle in made.toggles.items()}
    return choices | {id_: not toggle.value for id_, toggle in list(made.down.items())[::3][:first]}


def fates(scenario, variant: str) -> dict[str, np.ndarray]:
    return Network(scenario, variant).run(keep=True).codes


def assert_saved_is_the_same(made: Board, choices: dict[str, str | bool]) -> None:
    change = made.change(choices, "changed")
    switched = fates(made.scenario.varied(change, HERE), "changed")
    text = changed_text(made.scenario, change)
    saved = load_text(text, made.scenario.path)
    again, before, after = fates(saved, "changed"), fates(made.scenario, "as-is"), fates(saved, "as-is")
    for name, codes in switched.items():
        assert np.array_equal(codes, again[name]), f"{name} fares otherwise from the saved file"
        assert np.array_equal(before[name], after[name]), f"{name} fares otherwise in the file as it stands"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_saved_scenario_gives_what_was_switched(path: Path) -> None:
    made = board(path)
    assert made.toggles and made.down
    choices = everything(made)
    assert made.settled(choices) == choices and len(made.words(choices)) == len(choices)
    assert_saved_is_the_same(made, choices)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_saved_scenario_keeps_every_line(path: Path) -> None:
    made = board(path)
    text = changed_text(made.scenario, made.change(everything(made), "changed"))
    lines = text.splitlines()
    gone = [line for line in path.read_text().splitlines() if line not in lines]
    assert all(line.startswith("  variants: [") for line in gone) and len(gone) <= 1


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_switched_state_has_what_was_chosen(path: Path) -> None:
    made = board(path)
    choices = everything(made)
    switched = made.scenario.varied(made.change(choices, "changed"), HERE)
    seen = Board(switched, "changed", Network(switched, "changed"))
    for id_, value in choices.items():
        if not id_.startswith("policy/"):
            assert {**seen.toggles, **seen.down}[id_].value == value, id_
    assert not any(id_ in seen.toggles for id_ in choices if id_.startswith("policy/"))


SMALL = """\
apiVersion: calisim/v1
kind: Scenario
metadata: {name: small}
spec:
  vpcs:
    prod:
      cidrs: [10.0.0.0/16]
      subnets: {a: {cidr: 10.0.1.0/24, zone: one}, b: {cidr: 10.0.2.0/24, zone: two}}
      securityGroups: {nodes: {ingress: [{from: nodes}], egress: [{protocol: tcp, to: 0.0.0.0/0}]}, unused: {}}
  nodes:
    - {name: a, count: 3, subnet: a, securityGroups: [nodes], sourceDestCheck: true}
    - {name: b, subnet: b, securityGroups: [nodes], sourceDestCheck: false}
    - {name: c, subnet: b, securityGroups: [nodes], sourceDestCheck: true}
  pods: [{name: web, perNode: 1}]
  traffic: [{name: mesh, from: all(), to: all(), port: 80}]
  variants:
    - {name: own, set: {nodes.*.sourceDestCheck: false, settings.rpFilter: loose}}
"""


@pytest.mark.parametrize("base", ["overlay-ipip", "overlay-vxlan", "calico-cross-subnet", "calico-no-encap", "own"])
def test_changes_start_from_any_variant(base: str) -> None:
    made = board(SMALL, base)
    choices = made.settled({"check/one": True, "down/a-2": True, "nat/default-ipv4-ippool": False})
    change = made.change(choices, "changed")
    switched = made.scenario.varied(change, HERE)
    before = made.scenario.with_variant(base)
    assert [pool.ipip_mode for pool in switched.resources.pools] == [pool.ipip_mode for pool in before.resources.pools]
    assert [pool.nat_outgoing for pool in switched.resources.pools] == [False]
    assert switched.spec.settings.rp_filter == before.spec.settings.rp_filter
    assert_saved_is_the_same(made, choices)


def test_default_pool_stays_what_it_was_supposed_to_be() -> None:
    made = board(SMALL)
    assert made.toggles["nat/default-ipv4-ippool"].value is True
    assert_saved_is_the_same(made, {"mode/default-ipv4-ippool": "ipip"})


def test_check_is_switched_by_zone() -> None:
    made = board(SMALL)
    assert (made.toggles["check/one"].value, made.toggles["check/two"].value) == (True, None)
    assert made.toggles["check/two"].note == "on for 1 of 2 nodes"
    assert made.change({"check/two": False}, "x").set == {"nodes.b.sourceDestCheck": False, "nodes.c.sourceDestCheck": False}
    assert made.change({"check/one": False, "check/two": False}, "x").set == {"nodes.*.sourceDestCheck": False}


def test_nodes_go_down_one_by_one_and_as_a_group() -> None:
    made = board(SMALL)
    assert made.change({"down/a-2": True}, "x").set == {"nodes.a.down": ["a-2"]}
    assert made.change({f"down/a-{n}": True for n in (1, 2, 3)} | {"down/b": True}, "x").set == {
        "nodes.a.down": True, "nodes.b.down": True}


def test_protocol_4_is_taken_out_of_a_rule_for_all_and_put_in_where_it_lacks() -> None:
    made = board(SMALL)
    assert [id_ for id_ in made.toggles if id_.startswith("ipip/")] == ["ipip/prod/nodes"]
    assert made.toggles["ipip/prod/nodes"].value is False              # nothing but TCP goes out
    assert made.change({"ipip/prod/nodes": True}, "x").set == {
        "vpcs.prod.securityGroups.nodes.egress": [{"protocol": "tcp", "to": "0.0.0.0/0"}, {"protocol": 4, "to": "10.0.0.0/16"}]}
    assert made.change({"ipip/prod/nodes": False}, "x").set == {
        "vpcs.prod.securityGroups.nodes.ingress": [{"protocol": name, "from": "nodes"} for name in ("tcp", "udp", "icmp")]}


def test_check_that_felix_or_nobody_sets_is_not_offered() -> None:
    felix = "---\n{apiVersion: projectcalico.org/v3, kind: FelixConfiguration, metadata: {name: default}, "
    felix += "spec: {awsSrcDstCheck: Disable}}\n"
    for text in (SMALL + felix, SMALL.replace("spec:\n", "spec:\n  provider: linux\n", 1)):
        assert not any(id_.startswith("check/") for id_ in board(text).toggles)


def test_policies_of_one_name_are_told_apart() -> None:
    policies = "".join(
        f"---\n{{apiVersion: {api}, kind: NetworkPolicy, metadata: {{name: shut}}, spec: {spec}}}\n"
        for api, spec in (("projectcalico.org/v3", "{selector: all()}"), ("networking.k8s.io/v1", "{podSelector: {}}")))
    made = board(SMALL + policies)
    ids = [id_ for id_ in made.toggles if id_.startswith("policy/")]
    assert ids == ["policy/NetworkPolicy.projectcalico.org/shut", "policy/NetworkPolicy.networking.k8s.io/shut"]
    switched = made.scenario.varied(made.change({ids[0]: False}, "x"), HERE)
    assert [one.api_version for one in switched.documents] == ["networking.k8s.io/v1"]


def test_what_a_scenario_does_not_have_cannot_be_switched() -> None:
    made = board(SMALL)
    for wrong in ({"check/three": True}, {"mode/default-ipv4-ippool": "gre"}, {"check/one": "yes"}, {"down/nobody": True}):
        with pytest.raises(UsageError):
            made.check(wrong)
    assert made.settled({"check/three": True, "check/one": True}) == {}
