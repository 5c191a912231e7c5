"""Riddles: what is fair is packed and healed like any quiz, what is not is told; a forged one is not played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from calisim.errors import CalisimError
from calisim.labs import quiz, riddle
from calisim.labs.catalogue import load
from calisim.labs.lab import edited
from calisim.labs.schema import Fault
from calisim.labs.selftest import selftest
from tests.labs.working import run

SEED = 5
FILE, _, HEALTHY = quiz.healthy(SEED)
FAULTS = {fault.id: fault for fault in FILE.faults}
TICKET = f"author: Ana\nseed: {SEED}\nticket: |\n  Since the review: nothing works.\nnudge: a\nwhere: b\nchange: c\n"


def broken(*names: str) -> str:
    text = HEALTHY
    for name in names:
        text = edited(text, FAULTS[name].edits, name)
    return text


@pytest.mark.parametrize("names", [("no-nat",), ("check-on", "mode-never"), ("acl", "dns-forgotten", "target-port")])
def test_a_fair_riddle_passes_the_selftest(names: tuple[str, ...], tmp_path: Path):
    (tmp_path / "riddle.json").write_text(riddle.pack(TICKET, broken(*names)))
    lab = load(str(tmp_path / "riddle.json"), 99)
    assert selftest(lab).faults == () and lab.seed == SEED
    assert "Since the review: nothing works." in lab.stages[0].goal and "Since the review" in lab.readme


@pytest.mark.parametrize("fault", FILE.faults, ids=lambda fault: fault.id)
def test_every_fault_of_the_quiz_makes_a_fair_riddle(fault: Fault):
    assert riddle.lab_of(riddle.understood(riddle.pack(TICKET, broken(fault.id)), "")).stages[0].blind


@pytest.mark.parametrize(("scenario", "said"), [
    (HEALTHY, "scenario.yaml is healthy"),
    (broken("no-nat") + "# by the way\n", "this change breaks nothing by itself"),
    (broken("no-nat").replace("size: 8900", "size: 80"), "traffic.bulk.size: is 80, but this lab has locked it"),
    (broken("no-nat").replace("size: 8900", "size: 80"), f"or run calisim quiz --level 4 --seed {SEED}"),
    (broken("no-nat", "check-on", "acl", "node-down"), "4 places of scenario.yaml are changed, 3 may be"),
    (broken("no-nat").replace("kind: Service", "kind: Servise", 1), "Servise"),
    ("kind: [", "not YAML"),
    ("", "locked"),
])
def test_what_is_not_fair_is_told(scenario: str, said: str):
    with pytest.raises(CalisimError, match=said.replace("[", ".")):
        riddle.pack(TICKET, scenario)


@pytest.mark.parametrize(("ticket", "said"), [
    (TICKET.replace("nudge: a", "nudge:"), "ticket.yaml:5:7: nudge: nothing is written here yet"),
    (TICKET.replace("where: b", 'where: "\\e[31m"'), "ticket.yaml:6:8: where: holds characters that are no text"),
    (TICKET.replace("change: c", "change: " + "c" * 3000), "ticket.yaml:7:9: change: String should have at most 2000 characters"),
    (TICKET.replace("author: Ana", 'author: "A\\u202En"'), "ticket.yaml:1:9: author: holds characters that are no text"),
    (TICKET.replace(f"seed: {SEED}", "seed: -1"), "ticket.yaml:2:7: seed: "),
    (TICKET.replace("change: c", "because: c"), "because: nobody knows this key"),
    ("- ticket", "nothing is written here yet"),
    ("", "one YAML document is expected"),
])
def test_a_ticket_that_is_not_whole_is_told(ticket: str, said: str):
    with pytest.raises(CalisimError, match=said.replace("[", ".")):
        riddle.pack(ticket, broken("no-nat"))


def forged(**changes: Any) -> str:
    return json.dumps({**json.loads(riddle.pack(TICKET, broken("no-nat"))), **changes})


@pytest.mark.parametrize(("text", "said"), [
    ("{", "no JSON"),
    ("[" * 100_000, "no JSON"),
    ("[]", "is no riddle"),
    (forged(kind="LabProgress"), "is no riddle .kind: "),
    (forged(seed="5"), "is no riddle .seed: "),
    (forged(ticket="\x1b[31m"), "holds characters that are no text"),
    (forged(scenario=HEALTHY), "is healthy"),
    (forged(version=77), "was made for version 77 of the shop"),
    (forged(scenario=broken("no-nat").replace("203.0.113.10", "203.0.113.99")), "this lab has locked it"),
])
def test_a_forged_riddle_is_not_played(text: str, said: str, tmp_path: Path):
    (tmp_path / "riddle.json").write_text(text)
    begun = run("quiz", "--from", str(tmp_path / "riddle.json"), str(tmp_path / "work"))
    assert begun.exit_code == 2 and not (tmp_path / "work").exists() and "Traceback" not in begun.output
    assert said.split(" .")[0] in begun.stderr


def test_riddles_are_the_level_after_the_last():
    from calisim.cli.quiz import AUTHORS

    assert AUTHORS == quiz.AUTHORS == max(quiz.LEVELS) + 1


def test_two_students_and_a_teacher(tmp_path: Path):
    mine, work = tmp_path / "mine", tmp_path / "in" / "work"
    work.parent.mkdir()
    assert run("quiz", "--level", "4", "--seed", str(SEED), "--student", 'A"na: #1', str(mine)).exit_code == 0
    refused = run("quiz", "--pack", str(mine))
    assert refused.exit_code == 2 and "ticket: nothing is written here yet" in refused.stderr
    ticket = (mine / "ticket.yaml").read_text()
    for name in ("ticket", "nudge", "where", "change"):
        ticket = ticket.replace(f"\n{name}: |\n", f"\n{name}: |\n  the {name}: so\n")
    (mine / "ticket.yaml").write_text(ticket)
    (mine / "scenario.yaml").write_text(broken("no-nat"))
    packed = run("quiz", "--pack", str(mine))
    assert packed.exit_code == 0 and "open payments" in packed.stdout and "dropped" not in packed.stdout
    begun = run("quiz", "--from", str(mine / "riddle.json"), str(work), "--student", "Ben")
    assert begun.exit_code == 0 and 'The ticket by A"na: #1:\n\nthe ticket: so\n' in begun.stdout
    assert "the nudge: so" in run("lab", "hint", "-C", str(work)).stdout
    assert "100 points to be had" in run("lab", "status", "-C", str(work)).stdout
    (work / "scenario.yaml").write_text(HEALTHY)
    assert run("lab", "check", "-C", str(work)).exit_code == 0
    graded = run("lab", "grade", str(work.parent), "--json", "--lab", str(mine / "riddle.json"))
    row = json.loads(graded.stdout)["grades"][0]
    assert (row["student"], row["lab"], row["score"]) == ("Ben", "quiz-4", 100)
    (work / "riddle.json").write_text(riddle.pack(TICKET, broken("acl")))
    assert "is another riddle" in run("lab", "check", "-C", str(work)).stderr
    (work / "riddle.json").unlink()
    assert "is gone: copy the riddle" in run("lab", "check", "-C", str(work)).stderr


@pytest.mark.parametrize(("arguments", "said"), [
    (("--pack", "."), "ticket.yaml is not there"),
    (("--pack", ".", "--from", "x"), "one of --from and --pack"),
    (("-o", "x"), "-o names the file that --pack makes"),
    (("--from", "nowhere.json"), "there is no file nowhere.json"),
])
def test_a_wrong_call_is_told(arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    refused = run("quiz", *arguments)
    assert refused.exit_code == 2 and said in refused.stderr
