"""What the documentation shows can be done as shown: commands run, links lead somewhere, generated parts are current."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import click
import pytest

import calisim
from calisim.cli.main import cli
from docs.pages import PAGES, ROOT, Block, bash, blocks, folder, sessions

# Exit 1 (a check said no) is an answer; 2 (wrong call), 127 (no such command) and a traceback (also 1) are not.
PRELUDE = """
fine() { [ "$1" -le 1 ] || { echo "exit $1: $2" >&2; exit 3; }; }
"""


SERVES = "calisim view"


def statements(script: str) -> list[str]:
    """Lines of a script, those of a here-document and continued ones joined to their first."""
    joined: list[str] = []
    end = ""
    for line in script.splitlines():
        if end or (joined and joined[-1].endswith("\\")):
            joined[-1] += "\n" + line
            end = "" if line == end else end
            continue
        joined.append(line)
        here = re.search(r"<<\s*-?'?(\w+)'?", line)
        end = here[1] if here else ""
    return [one for one in joined if one.strip()]


def named(value: object) -> str:
    return value.stem if isinstance(value, Path) else str(value)


def played(page: Path, section: str) -> subprocess.CompletedProcess[str]:
    """A section's commands, each of them asked how it ended; what serves until it is interrupted goes first."""
    told = statements(sessions()[page, section])
    ending = [one for one in told if not one.startswith(SERVES)]
    script = "\n".join(f"{one}\nfine $? {shlex.quote(one.splitlines()[0])}" for one in ending)
    with folder(page) as place:
        for one in told:
            if one.startswith(SERVES):
                assert_serves(one, place)
        return bash(PRELUDE + script, place)


def assert_serves(command: str, place: Path) -> None:
    """It gives its address, answers there, and ends well when it is told to."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
    running = subprocess.Popen(
        [sys.executable, "-m", *shlex.split(command, comments=True)], cwd=place, env={**environment, "PYTHONPATH": str(ROOT)},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert running.stdout is not None
        with urllib.request.urlopen(running.stdout.readline().strip(), timeout=60) as answer:
            assert answer.status == 200 and b"<title>" in answer.read()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 0 and "Traceback" not in said


@pytest.fixture(scope="module")
def playing(request: pytest.FixtureRequest) -> Iterator[Mapping[tuple[Path, str], Future[subprocess.CompletedProcess[str]]]]:
    """All sections that are asked for, side by side on all processors."""
    wanted = [item.callspec.params for item in request.session.items if "playing" in getattr(item, "fixturenames", ())]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {(one["page"], one["section"]): pool.submit(played, one["page"], one["section"]) for one in wanted}


@pytest.mark.parametrize(("page", "section"), sessions(), ids=named)
def test_what_a_section_tells_to_run_runs(
    page: Path, section: str, playing: Mapping[tuple[Path, str], Future[subprocess.CompletedProcess[str]]],
) -> None:
    if re.search(r"--(svg|png) |calisim\.plot\(", sessions()[page, section]):
        pytest.importorskip("matplotlib", reason="this draws a picture: matplotlib is not installed")
    done = playing[page, section].result()
    assert done.returncode == 0 and "Traceback" not in done.stderr, f"{page.name}: {section}\n{done.stdout}{done.stderr}"


def test_a_section_that_fails_is_seen(tmp_path: Path) -> None:
    assert bash(PRELUDE + "calisim run nowhere.yaml\nfine $? run", tmp_path).returncode == 3
    assert statements("a <<EOF\nb\nEOF\nc \\\n  d\n\ne") == ["a <<EOF\nb\nEOF", "c \\\n  d", "e"]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_is_in_a_block_that_runs_or_says_why_not(page: Path) -> None:
    """Shell is always ``sh``; nothing to run hides in an indented block or in one without a language."""
    shown = blocks(page)
    languages = {block.language for block in shown if not block.language.startswith("{")}
    assert languages <= {"sh", "python", "yaml", "text", "mermaid"}
    assert all(len(block.says) > 10 for block in shown if block.mark == "not run")
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"\n\n    \S.*", prose) == []


def test_the_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    told = re.findall(r"^\.\. (?:auto|py:)\w+:: calisim\.(?:\w+\.)*(\w+)", page, re.MULTILINE)
    assert {name for name in calisim.__all__ if name[0] != "_"} <= set(told)


def unrun() -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.mark == "not run"]


def test_what_is_not_run_is_at_least_there() -> None:
    """make's targets, and calisim's commands with their options."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    lines = [line.split("#")[0].split() for block in unrun() for line in block.text.splitlines()]
    for words in lines:
        if words and words[0] == "make":
            assert words[1] in targets, words
        if words and words[0] == "calisim" and words[1] in cli.list_commands(click.Context(cli)):
            command = cli.get_command(click.Context(cli), words[1])
            assert command is not None
            known = {name for one in command.params for name in one.opts}
            assert {word for word in words if word.startswith("-")} <= known, words


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("module", ["docs.generate", "docs.notebook"])
def test_generated_parts_are_current(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--check"], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run python -m {module}\n{done.stderr}"
