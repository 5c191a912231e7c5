"""What the pages tell their readers to run: shell and Python blocks, section by section, each section in a folder of its own.

The folder has what the repository has, and the files that the page shows (a block behind ``<!-- file: NAME -->``). A block behind
``<!-- not run: REASON -->`` is for the reader alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>file|not run): (?P<says>.+?) -->\n)?^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE)
TREE = f"""
python() {{ "{sys.executable}" "$@"; }}
calisim() {{ python -m calisim "$@"; }}
"""                                           # calisim of this tree, installed or not


@dataclass(frozen=True)
class Block:
    """A fenced block; ``mark`` and ``says`` are the comment above it, ``""`` where there is none."""

    page: Path
    section: str
    language: str
    text: str
    mark: str
    says: str

    @property
    def script(self) -> str:
        """As bash: Python becomes a here-document."""
        return self.text if self.language == "sh" else f"python - <<'PYTHON'\n{self.text}PYTHON\n"

    @property
    def runs(self) -> bool:
        return self.language in ("sh", "python") and not self.mark


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    headings = [(found.start(), found[1]) for found in SECTION.finditer(text)]
    return [
        Block(page, next((name for at, name in reversed(headings) if at < found.start()), ""), found["language"], found["text"],
              found["mark"] or "", found["says"] or "")
        for found in FENCE.finditer(text)]


def sessions() -> dict[tuple[Path, str], str]:
    """The script of every section that has something to run."""
    scripts: dict[tuple[Path, str], str] = {}
    for page in PAGES:
        for block in blocks(page):
            if block.runs:
                key = (page, block.section)
                scripts[key] = scripts.get(key, "") + block.script
    return scripts


@contextmanager
def folder(page: Path) -> Iterator[Path]:
    """Where the page's commands run."""
    with TemporaryDirectory() as name:
        place = Path(name)
        for entry in ROOT.iterdir():
            if not entry.name.startswith("."):
                (place / entry.name).symlink_to(entry)
        for block in blocks(page):
            if block.mark == "file":
                (place / block.says).write_text(block.text, encoding="utf-8")
        yield place


def bash(script: str, place: Path, columns: int = 100) -> subprocess.CompletedProcess[str]:
    """Run a script with the calisim of this tree."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns), "NO_COLOR": "1"}
    return subprocess.run(
        ["bash", "-c", TREE + script], cwd=place, env=environment,
        capture_output=True, text=True, timeout=300, check=False)
