"""``calisim quiz``: breaks, shows symptoms, takes the cure."""

from __future__ import annotations

import json
from pathlib import Path

from calisim.labs.catalogue import load
from tests.labs.working import run


def test_a_quiz_is_healed_by_what_was_broken(tmp_path: Path):
    folder = tmp_path / "quiz"
    begun = run("quiz", str(folder), "--level", "3", "--seed", "5")
    assert begun.exit_code == 0 and "Three things in scenario.yaml changed" in begun.stdout and "  open " in begun.stdout
    assert run("lab", "check", "-C", str(folder)).exit_code == 1
    (folder / "scenario.yaml").write_text(load("quiz-3", 5).solved["heal"])
    healed = run("lab", "check", "-C", str(folder))
    assert healed.exit_code == 0 and "Healed. It was" in healed.stdout
    assert run("lab", "next", "-C", str(folder)).exit_code == 0
    assert "100 of 100 points" in run("lab", "submit", "-C", str(folder)).stdout


def test_the_first_level_tells_reasons_and_the_others_do_not(tmp_path: Path):
    told = {}
    for level in (1, 2):
        folder = str(tmp_path / str(level))
        run("quiz", folder, "--level", str(level), "--seed", "1")
        items = json.loads(run("lab", "check", "-C", folder, "--json").stdout)["items"]
        told[level] = [item["instead"] for item in items if not item["passed"]]
    assert all("dropped (" in one or "refused" in one for one in told[1])
    assert told[2] and not any("dropped" in one or "refused" in one for one in told[2]) and all(" → " in one for one in told[2])


def test_what_holds_from_the_beginning_earns_nothing(tmp_path: Path):
    folder = tmp_path / "quiz"
    run("quiz", str(folder), "--level", "1", "--seed", "1")
    assert json.loads(run("lab", "status", "-C", str(folder), "--json").stdout)["score"] == 0
    assert "0 of 1 stages passed, 100 points to be had" in run("lab", "submit", "-C", str(folder)).stdout
    whole = load("quiz-1", 1).solved["heal"]
    spoilt = whole.replace("ipipMode: CrossSubnet", "ipipMode: Always")
    (folder / "scenario.yaml").write_text(spoilt)
    assert json.loads(run("lab", "status", "-C", str(folder), "--json").stdout)["score"] < 100
    (folder / "scenario.yaml").write_text(whole)
    assert json.loads(run("lab", "status", "-C", str(folder), "--json").stdout)["score"] == 100


def test_hints_follow_the_fault_that_is_still_there(tmp_path: Path):
    folder = str(tmp_path / "quiz")
    run("quiz", folder, "--level", "1", "--seed", "1")
    grades = [json.loads(run("lab", "hint", "-C", folder, "--json").stdout)["grade"] for _ in range(7)]
    assert grades == ["state", "state", "state", "nudge", "where", "change", "last"]


def test_traffic_is_not_the_cure(tmp_path: Path):
    folder = tmp_path / "quiz"
    run("quiz", str(folder), "--seed", "2")
    scenario = folder / "scenario.yaml"
    scenario.write_text(scenario.read_text().replace("size: 8900", "size: 500"))
    refused = run("lab", "check", "-C", str(folder))
    assert refused.exit_code == 2 and "traffic.bulk.size: is 500, but this lab has locked it" in refused.stderr


def test_every_call_without_a_seed_is_another_quiz(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run("quiz").exit_code == 0
    assert len(list(tmp_path.iterdir())) == 2
