"""A session follows its file and what is switched; what it shows is what the command line says of the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from calisim.errors import ScenarioError, UsageError
from calisim.view.picture import Pictures
from calisim.view.session import Session

from tests.view.conftest import until

CHECKS = {f"check/us-east-1{zone}": False for zone in "abc"}


def lost(picture: dict, variant: str) -> int:
    packets = next(one for one in picture["report"]["comparison"]["variants"] if one["id"] == variant)["packets"]
    return packets["sent"] - packets["delivered"] - packets["exited"]


def switched(session: Session, choices: dict, base: str | None = None) -> tuple[dict, dict]:
    session.switch(choices, base)
    count = len(session.state()["changes"])
    return until(session, lambda state, picture: len(state["changes"]) == count and bool(picture["pair"]) == bool(count)
                 and picture["whole"] and (not count or picture["pair"][0] == state["base"]))


def test_a_switch_shows_before_and_now(session: Session) -> None:
    before = json.loads(session.picture)
    assert before["difference"] is None and before["pair"] is None and lost(before, "as-is") == 24
    state, picture = switched(session, CHECKS)
    assert picture["pair"] == ["as-is", "changed"] and lost(picture, "as-is") == 24 and lost(picture, "changed") == 0
    assert picture["difference"]["mended"] == 24 and "24 packets that were lost arrive now" in picture["difference"]["sentence"]
    assert [one["id"] for one in picture["report"]["variants"]] == ["as-is", "changed"]
    assert state["changes"][0] == ("source/destination check us-east-1a", "on", "off")
    assert all("changed" not in journey["commands"] for journey in picture["report"]["journeys"])


def test_undo_redo_and_reset(session: Session) -> None:
    switched(session, CHECKS)
    switched(session, {"mode/default-ipv4-ippool": "ipip"})
    assert session.state()["undo"] == 2
    session.undo()
    assert [one[0] for one in session.state()["changes"]] == [f"source/destination check us-east-1{zone}" for zone in "abc"]
    session.undo()
    assert not session.state()["changes"] and session.state()["redo"] == 2
    session.redo()
    session.reset()
    state, picture = until(session, lambda state, picture: not state["changes"] and picture["pair"] is None)
    assert state["redo"] == 0 and state["undo"] == 2 and picture["difference"] is None
    switched(session, {"check/us-east-1a": True})                  # as the file has it: nothing to undo
    assert session.state()["undo"] == 2


def test_changes_start_from_another_variant(session: Session) -> None:
    state, picture = switched(session, {"down/a-1": True}, "check-off")
    assert picture["pair"] == ["check-off", "changed"] and state["down"] == ["a-1"]
    assert picture["difference"]["lost"] == lost(picture, "changed") == 42


def test_a_variant_to_start_from_lies_beside_what_is_shown(session: Session) -> None:
    session.switch({}, "overlay-ipip")
    state, picture = until(session, lambda state, picture: picture["pair"] is not None)
    assert picture["pair"] == ["as-is", "overlay-ipip"] and picture["difference"] is None and not state["changes"]
    session.undo()
    until(session, lambda state, picture: state["base"] == "as-is" and picture["pair"] is None)


@pytest.mark.parametrize("choices", [CHECKS, {"ipip/prod/nodes": False}, {"mode/default-ipv4-ippool": "none", "down/b-2": True}])
def test_saved_file_says_the_same_to_calisim_run(session: Session, scenario: Path, choices: dict) -> None:
    original = scenario.read_bytes()
    _, picture = switched(session, choices)
    saved = session.save()
    assert saved == str(scenario.with_name("s02-check-still-on-changed.yaml")) and session.state()["saved"] == saved
    done = subprocess.run(
        [sys.executable, "-m", "calisim", "run", saved, "--variant", "changed", "--json"], capture_output=True, text=True,
        check=True)
    told = next(one for one in picture["report"]["comparison"]["variants"] if one["id"] == "changed")
    ran = json.loads(done.stdout)
    assert ran["packets"] == told["packets"] and ran["scopes"] == told["scopes"]
    assert scenario.read_bytes() == original


def test_nothing_switched_is_nothing_to_save(session: Session) -> None:
    with pytest.raises(UsageError, match="nothing is switched"):
        session.save()


def test_a_saved_file_is_run_again_and_switches_stay(session: Session, scenario: Path) -> None:
    switched(session, {"check/us-east-1a": False})
    scenario.write_text(scenario.read_text().replace("perNode: 2", "perNode: 1"))
    state, picture = until(
        session, lambda _, picture: "web-a-1-1" not in json.dumps(picture["report"]["maps"]) and picture["whole"])
    assert picture["pair"] == ["as-is", "changed"] and len(state["changes"]) == 1
    assert (lost(picture, "as-is"), lost(picture, "changed")) == (6, 4)


def test_a_switch_that_the_file_has_taken_over_is_none_any_more(session: Session, scenario: Path) -> None:
    switched(session, CHECKS)
    changed = scenario.read_text().replace("securityGroups: [nodes]}", "securityGroups: [nodes], sourceDestCheck: false}")
    scenario.write_text(changed)
    state, picture = until(session, lambda state, picture: not state["changes"] and picture["pair"] is None)
    assert lost(picture, "as-is") == 0


def test_faulty_file_keeps_the_picture_and_says_what_is_wrong(session: Session, scenario: Path) -> None:
    until(session, lambda _, picture: picture["whole"])            # the needs follow
    good, before = scenario.read_text(), session.picture
    scenario.write_text(good.replace("172.20.64.0/19", "172.20.300.0/19"))
    state, _ = until(session, lambda state, _: state["faults"])
    fault = state["faults"][0]
    line = next(number for number, text in enumerate(scenario.read_text().splitlines(), 1) if "172.20.300.0" in text)
    assert fault["where"].startswith(f"{scenario}:{line}:") and fault["text"] and fault["hint"]
    assert json.loads(session.picture)["report"] == json.loads(before)["report"]
    _, picture = switched(session, CHECKS)                       # the last good version goes on
    assert lost(picture, "changed") == 0 and session.state()["faults"]
    scenario.write_text(good)
    until(session, lambda state, _: not state["faults"])
    scenario.unlink()
    state, _ = until(session, lambda state, _: state["faults"])
    assert "there is no file" in state["faults"][0]["message"]
    scenario.write_text(good)
    until(session, lambda state, _: not state["faults"])


def test_a_switch_is_drawn_though_the_file_becomes_faulty_at_once(session: Session, scenario: Path) -> None:
    until(session, lambda _, picture: picture["whole"])
    with session._changes:                                         # the worker sees both when it gets the lock
        scenario.write_text("spec: [")
        session.switch(CHECKS)
    state, picture = until(session, lambda state, picture: state["faults"] and picture["pair"])
    assert lost(picture, "changed") == 0 and len(state["changes"]) == 3


def test_a_variant_that_is_chosen_while_the_file_is_read_stays(session: Session, scenario: Path, monkeypatch) -> None:
    until(session, lambda _, picture: picture["whole"])
    made = Pictures.board

    def board(self: Pictures, base: str) -> object:
        monkeypatch.undo()
        session.switch({}, "overlay-ipip")
        return made(self, base)

    monkeypatch.setattr(Pictures, "board", board)
    scenario.write_text(scenario.read_text().replace("perNode: 2", "perNode: 1"))
    state, picture = until(session, lambda state, picture: picture["pair"] and picture["whole"])
    assert picture["pair"] == ["as-is", "overlay-ipip"] and state["base"] == "overlay-ipip" and state["undo"] == 1


def test_files_that_the_scenario_names_are_followed(tmp_path: Path) -> None:
    pool = tmp_path / "pool.yaml"
    source = tmp_path / "s.yaml"
    text = (Path(__file__).parents[2] / "scenarios" / "s02-check-still-on.yaml").read_text()
    head, _, document = text.partition("\n---\n")
    source.write_text(head.replace("spec:\n", "spec:\n  manifests: [pool.yaml]\n", 1))
    pool.write_text(document)
    session = Session(str(source), lambda loaded: ("as-is",))
    session.open()
    session.start()
    try:
        pool.write_text(document.replace("CrossSubnet", "Always"))
        until(session, lambda _, picture: lost(picture, "as-is") == 0)
        pool.unlink()
        until(session, lambda state, _: state["faults"])
        pool.write_text(document)
        until(session, lambda state, picture: not state["faults"] and lost(picture, "as-is") == 24)
    finally:
        session.stop()


def test_a_variant_that_goes_away_is_told(scenario: Path) -> None:
    session = Session(str(scenario), lambda loaded: loaded.select_variants("check-off"))
    session.open()
    session.start()
    try:
        scenario.write_text(scenario.read_text().replace("check-off", "other"))
        state, _ = until(session, lambda state, _: state["faults"])
        assert "no variant check-off" in state["faults"][0]["message"]
    finally:
        session.stop()


def test_what_is_wrong_from_the_start_is_raised(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError):
        Session(str(tmp_path / "none.yaml"), lambda loaded: ("as-is",)).open()
