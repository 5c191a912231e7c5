"""A class's grades: sheets that add up, a page in which nobody's name is markup, labs that nobody brings along."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest

from calisim.cli.lab_teaching import SHEETS
from calisim.labs import gradebook
from calisim.labs.catalogue import among
from calisim.labs.grading import Grade, grades
from calisim.labs.progress import Progress
from tests.labs.working import Student, run, truths

HOSTILE = '<script>alert("1")</script>\u202e\x07'


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One who has it all, one in an exam who took a hint, one who spoilt an answer, one whose state was edited."""
    folder = tmp_path_factory.mktemp("class")
    all_done = Student(folder / "a", "1", 3, "--student", "Anna")
    for _ in all_done.lab.stages:
        all_done.solve()
    exam = Student(folder / "b", "1", 3, "--student", HOSTILE, "--exam")
    exam.solve()
    exam.does("hint")
    exam.answer({"route-nobody": "blackhole"})
    exam.does("submit")
    spoilt = Student(folder / "c", "1", 3, "--student", "Cem")
    spoilt.answer({**truths(spoilt.lab, "predict"), "to-cart": "none"})
    assert spoilt.does("check").exit_code == 0 and spoilt.does("next").exit_code == 0
    spoilt.solve()
    spoilt.answer({"route-nobody": "blackhole"})
    edited = Student(folder / "d", "2", 3)
    edited.write(".calisim-lab.json", edited.text(".calisim-lab.json").replace("predict", "explain", 1))
    return folder


@pytest.fixture(scope="module")
def graded(handed_in: Path) -> list[Grade]:
    return list(grades(handed_in, among([])))


def sheet(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(run("lab", "grade", str(folder), "--csv", "--sheet", name).stdout)))


def test_every_sheet_can_be_asked_for():
    assert SHEETS == list(gradebook.NAMES)


def test_the_points_of_the_stages_add_up(graded: list[Grade]):
    for one in graded[:3]:
        assert abs(sum(part.points for part in one.parts) - one.cost - one.score) < 1
        assert round(sum(part.most for part in one.parts)) == 100
    assert [one.score for one in graded] == [100, 7, 23, 0] and [one.cost for one in graded] == [0, 10, 0, 0]


def test_a_stage_tells_what_was_claimed_and_what_was_spent(handed_in: Path):
    rows = {(row["student"], row["stage"]): row for row in sheet(handed_in, "stages")}
    assert (rows["Cem", "routes"]["claimed"], rows["Cem", "routes"]["passed"]) == ("True", "False")
    assert (rows["Anna", "routes"]["claimed"], rows["Anna", "routes"]["passed"]) == ("True", "True")
    assert rows[HOSTILE, "routes"]["hints"] == "1" and rows["Anna", "move"]["points"] == "63.3"


def test_answers_that_many_had_wrong_come_first(handed_in: Path):
    rows = [(row["question"], row["answer"], row["students"], row["of"]) for row in sheet(handed_in, "wrong")]
    assert rows == [("route-nobody", "blackhole", "2", "3"), ("to-cart", "none", "1", "3")]


def test_an_edited_state_is_told_as_such(handed_in: Path):
    assert "was edited (its seal does not fit)" in sheet(handed_in, "summary")[3]["fault"]


def test_a_fault_of_ours_costs_nobody_else_a_grade(handed_in: Path, monkeypatch: pytest.MonkeyPatch):
    from calisim.labs import grading

    def judge(lab: object, progress: Progress, *rest: str) -> Grade:
        assert progress.student != "Anna", "this cannot be"
        return graded_as_ever(lab, progress, *rest)

    graded_as_ever = grading.grade
    monkeypatch.setattr(grading, "grade", judge)
    rows = sheet(handed_in, "summary")
    assert rows[0]["fault"].startswith("calisim could not judge this: AssertionError: this cannot be")
    assert [row["score"] for row in rows] == ["0", "7", "23", "0"]


class Page(HTMLParser):
    """Its tags and attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.told = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.told += data


def test_the_page_shows_everybody_and_runs_nothing(handed_in: Path, tmp_path: Path):
    target = tmp_path / "grades.html"
    assert run("lab", "grade", str(handed_in), "--html", "-o", str(target)).exit_code == 0
    text = target.read_text()
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe", "form"}
    assert not any(name.startswith("on") or name in ("src", "href") for name in page.names)
    assert not re.search(r"https?:|url\(|@import", text) and "\u202e" not in text and "\x07" not in text
    assert '<script>alert("1")</script>\\x202e\\x07' in page.told
    for said in ("4 handed in, 1 of them not to be judged", "claimed, does not hold now", "route-nobody", "Follow it"):
        assert said in page.told


def test_the_page_is_bounded(graded: list[Grade], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gradebook, "MOST_ROWS", 5)
    told = Page(gradebook.page([Grade(f"{number}", "x" * 10_000, fault="no") for number in range(9)])).told
    assert "The first 5 of 9 rows" in told and "x" * 300 + "…" in told and "x" * 301 not in told


@pytest.mark.parametrize("both", [("--csv", "--html"), ("--json", "--csv")])
def test_one_form_at_a_time(handed_in: Path, both: tuple[str, str]):
    refused = run("lab", "grade", str(handed_in), *both)
    assert refused.exit_code == 2 and "one of --csv, --html and --json" in refused.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("name", ["submission.json", "scenario.yaml"])
def test_a_pipe_that_is_handed_in_holds_nobody_up(tmp_path: Path, name: str):
    Student(tmp_path / "a", "1", 3)
    (tmp_path / "a" / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "a" / name)
    (graded,) = [one for one in grades(tmp_path, among([])) if one.fault]
    assert "is not a regular file" in graded.fault


def own(folder: Path) -> Iterator[Student]:
    """A lab of one's own, solved; it lies elsewhere when it is graded."""
    assert run("lab", "new", str(folder / "mine")).exit_code == 0
    student = Student(folder / "work" / "s", str(folder / "mine"))
    for _ in student.lab.stages:
        student.solve()
    yield student
    (folder / "mine").rename(folder / "teachers")


def test_a_lab_that_is_not_named_is_not_read(tmp_path: Path):
    (tmp_path / "work").mkdir()
    for student in own(tmp_path):
        assert student.stage == ""
    rows = sheet(tmp_path / "work", "summary")
    assert rows[0]["score"] == "0" and rows[0]["fault"] == "mine is no lab of calisim's; name its folder or its file with --lab"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "teachers").rename(tmp_path / "elsewhere" / "mine")
    graded = run("lab", "grade", str(tmp_path / "work"), "--json", "--lab", str(tmp_path / "elsewhere" / "mine"))
    assert [one["score"] for one in json.loads(graded.stdout)["grades"]] == [100]
