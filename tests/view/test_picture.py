"""What a picture holds that a file's page does not: the variant that no file has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import calisim
from calisim.analysis.explain import Request
from calisim.errors import UsageError
from calisim.view.picture import Pictures

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def pictures(name: str, *ids: str, asked: tuple[Request, ...] = ()) -> Pictures:
    return Pictures(calisim.load(SCENARIOS / f"{name}.yaml"), ids or ("as-is",), asked, "fast")


def test_no_command_names_a_variant_that_no_file_has() -> None:
    made = pictures("s11-static-routes-quota").document("as-is", {"down/a-2": True}, needs=False)
    cures = {
        id_: [line for one in made["report"]["journeys"] for line in one["told"][id_]["trace"]["request"]["cure"]]
        for id_ in ("as-is", "changed")}
    assert any("calisim trace" in line and "--set" in line for line in cures["as-is"])
    assert cures["changed"] and not any("calisim" in line for line in cures["changed"])
    assert "--variant changed" not in json.dumps(made)


def test_what_decided_is_said_to_be_switched_here() -> None:
    made = pictures("s05-no-protocol-4").document("calico-cross-subnet", {"ipip/prod/nodes": True}, needs=False)
    text = json.dumps(made)
    assert "s05-no-protocol-4.yaml" in text and made["difference"]["mended"] == 16
    made = pictures("s03-one-node-forgotten").document("as-is", {"check/us-east-1b": True}, needs=False)
    ends = [one["told"]["changed"]["trace"]["request"]["steps"][-1]["decidedBy"] for one in made["report"]["journeys"]]
    assert "(switched here)" in [end["file"] for end in ends if end]


def test_the_name_is_one_that_is_free() -> None:
    scenario = calisim.load(
        SCENARIOS / "s02-check-still-on.yaml", set=["variants=[as-is, {name: changed, set: {seed: 2}}]", "expect=[]"])
    made = Pictures(scenario, ("changed",), (), "fast").document("changed", {"down/a-1": True}, needs=False)
    assert made["pair"] == ["changed", "changed-2"]


def test_packets_that_were_asked_for_come_first_and_have_to_be_known() -> None:
    asked = Request("web-a-1-0", "web-a-2-0", "tcp", 80, 1000)
    nobody = Request("nobody", "web-a-2-0", "tcp", 80, 1000)
    made = pictures("s02-check-still-on", asked=(asked,))
    for choices in ({}, {"check/us-east-1a": False}, {"check/us-east-1a": False, "down/b-1": True}):
        first = made.document("as-is", choices, needs=False)["report"]["journeys"][0]
        assert (first["from"], first["packets"]) == ("web-a-1-0", 0) and len(first["told"]) == 1 + bool(choices)
    with pytest.raises(UsageError, match="nobody"):
        pictures("s02-check-still-on", asked=(nobody,)).document("as-is", {}, needs=False)


class BrokenOff(Exception):
    """As when something newer is wanted."""


def broken_off(made: Pictures, variant: str, choices: dict[str, bool]) -> None:
    """The work on a picture, left in the middle of a variant's traffic."""
    def progress(what: str, packets: int) -> None:
        if what.startswith(f"{variant}: ") and packets:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        made.document("as-is", choices, progress, needs=False)


def test_a_change_that_was_broken_off_leaves_nothing_behind() -> None:
    made, first = pictures("s02-check-still-on"), {"check/us-east-1a": False}
    before = made.document("as-is", first, needs=False)
    broken_off(made, "changed", {"down/b-1": True})
    assert made.document("as-is", first, needs=False) == before


def test_a_packet_that_one_variant_knows_may_be_asked_for_again_and_again() -> None:
    scenario = calisim.load(
        SCENARIOS / "s02-check-still-on.yaml", set=["variants=[as-is, {name: few, set: {pods.web.perNode: 1}}]", "expect=[]"])
    made = Pictures(scenario, ("few", "as-is"), (Request("web-a-1-1", "web-a-2-0", "tcp", 80, 1000),), "fast")
    broken_off(made, "few", {})
    broken_off(made, "few", {})
    told = made.document("as-is", {}, needs=False)["report"]["journeys"][0]["told"]
    assert told["few"] is None and told["as-is"]


def test_needs_are_measured_once(monkeypatch) -> None:
    made = pictures("s02-check-still-on")
    whole = made.document("as-is", {}, needs=True)
    monkeypatch.setattr("calisim.view.picture.measured", lambda *_: pytest.fail("measured again"))
    again = made.document("as-is", {}, needs=False)
    assert again["report"] == whole["report"] == made.document("as-is", {}, needs=True)["report"]
