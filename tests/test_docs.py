"""What the documentation shows can be done as shown: commands run, links lead somewhere, generated pages are current."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

# Set up an environment of their own, take minutes, or run these very tests.
NOT_HERE = ("make", ".ci/run", "git", "pip", "python -m venv", "apt-get", "source", ". .venv")


def commands() -> list[tuple[str, str]]:
    """(page, command) of every shell block; a here-document belongs to its command."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            prompt = any(line.startswith("$ ") for line in block.splitlines())
            for line in statements(block):
                if prompt and not line.startswith("$ "):
                    continue                          # output
                command = re.sub(r"\s+#.*$", "", line.removeprefix("$ "), flags=re.MULTILINE).strip()
                if command and not command.startswith(("#", *NOT_HERE)):
                    found.append((page.name, command))
    return found


def needs_matplotlib(wanted: object) -> None:
    if wanted:
        pytest.importorskip("matplotlib", reason="this draws a picture: matplotlib is not installed")


def statements(block: str) -> list[str]:
    """Lines of a block, those of a here-document and continued ones joined to their first."""
    joined: list[str] = []
    end = ""
    for line in block.splitlines():
        if end or (joined and joined[-1].endswith("\\")):
            joined[-1] += "\n" + line
            end = "" if line == end else end
            continue
        joined.append(line)
        here = re.search(r"<<\s*-?'?(\w+)'?", line)
        end = here[1] if here else ""
    return joined


@pytest.mark.parametrize(("page", "command"), commands(), ids=lambda value: value.splitlines()[0][:60])
def test_command_runs(page: str, command: str) -> None:
    """With the calisim of this tree, installed or not; exit 1 (a check said no) is allowed, 2 (wrong call) is not."""
    if command.startswith("calisim view"):
        return assert_serves(command)
    needs_matplotlib(re.search("--(svg|png) ", command))
    this_calisim = f'calisim() {{ "{sys.executable}" -m calisim "$@"; }}'
    done = subprocess.run(
        ["bash", "-c", f"{this_calisim}\n{command}"], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, 1), f"{page}: {shlex.quote(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr


def assert_serves(command: str) -> None:
    """A command that runs until it is told to end: it gives its address, answers there, and ends well."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
    running = subprocess.Popen(
        [sys.executable, "-m", *shlex.split(command)], cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert running.stdout is not None
        with urllib.request.urlopen(running.stdout.readline().strip(), timeout=60) as answer:
            assert answer.status == 200 and b"<title>" in answer.read()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 0 and "Traceback" not in said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_readme_shows_commands() -> None:
    assert any(page == "README.md" for page, _ in commands())


@pytest.mark.parametrize("script", ["reasons.py", "outputs.py", "notebook.py"])
def test_generated_pages_are_current(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / script), "--check"], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run python docs/{script}\n{done.stderr}"


@pytest.mark.parametrize("page", ["README.md", "docs/plots.md"])
def test_python_of_a_page_runs(page: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        needs_matplotlib("calisim.plot(" in block)
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
