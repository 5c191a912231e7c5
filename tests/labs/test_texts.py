"""What a lab's text and its questions tell to run can be run, in the student's folder; the documentation names what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from calisim.labs import session
from calisim.labs.facts import FACTS
from calisim.labs.lab import Lab, folders, load
from tests.labs.working import run

DOCS = Path(__file__).resolve().parents[2] / "docs" / "labs.md"
PLACEHOLDER = re.compile(r"\b(?:NODE|OTHER|FROM|POD|NAME)\b")
TRIED_ELSEWHERE = ("calisim lab ", "calisim quiz")


def commands(lab: Lab) -> list[str]:
    """Behind ``see`` of the questions, and on lines of their own in the text."""
    told = [one.see for stage in lab.stages for one in stage.questions]
    told += re.findall(r"^ {4}(calisim .+?)(?: {2,}.*)?$", lab.readme, re.MULTILINE)
    told += re.findall(r"`(calisim [^`]+)`", lab.readme)
    return sorted({one for one in told if not PLACEHOLDER.search(one) and not one.startswith(TRIED_ELSEWHERE)})


@pytest.mark.parametrize("folder", folders())
def test_commands_of_a_lab_run(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lab = load(folder, 2)
    for name, text in session.begin(lab)[1].items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    told = commands(lab)
    assert len(told) >= 5
    for one in told:
        words = shlex.split(one, comments=True)
        if words == ["calisim", "trace"]:             # named, not told to be run
            continue
        done = run(*words[1:])
        assert done.exit_code in (0, 1), f"{one}: {done.output}"


@pytest.mark.parametrize("folder", folders())
def test_a_text_says_what_it_must(folder: str):
    lab = load(folder)
    assert f"*{lab.file.minutes} minutes" in lab.readme
    for heading in ("## The cast", "## What the simulator leaves out", "## On a real cluster"):
        assert heading in lab.readme
    assert re.findall(r"^## Stage (\d)", lab.readme, re.MULTILINE) == [str(n + 1) for n in range(len(lab.stages))]
    known = {name.partition("-")[2] for name in folders()}
    assert set(lab.file.needs) <= known


def test_the_documentation_names_every_fact_and_lab():
    text = DOCS.read_text()
    assert {name for name in FACTS if f"`{name}`" not in text} == set()
    assert {folder for folder in folders() if load(folder).file.title not in text} == set()
