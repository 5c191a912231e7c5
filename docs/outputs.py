"""Puts real output into the pages: the block after ``<!-- output of: COMMAND -->`` becomes what COMMAND prints.

    python docs/outputs.py            # write
    python docs/outputs.py --check    # exit 1 if a page shows something else than the command prints now
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- output of: (.+?) -->\n```(?:text|mermaid)\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)
COLUMNS = "110"
THIS_CALISIM = f'calisim() {{ "{sys.executable}" -m calisim "$@"; }}'          # of this tree, installed or not


def output(command: str) -> str:
    """What a command prints on a terminal of that width, without trailing blanks."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": COLUMNS, "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-c", f"{THIS_CALISIM}\n{command}"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(f"{command}: {done.stderr}")
    return "".join(line.rstrip() + "\n" for line in done.stdout.rstrip().splitlines())


def filled(text: str) -> str:
    """The page with current outputs."""
    return BLOCK.sub(lambda found: f"{found[1]}{output(found[2])}{found[4]}", text)


def main() -> int:
    stale = [page for page in PAGES if filled(page.read_text()) != page.read_text()]
    if "--check" in sys.argv[1:]:
        for page in stale:
            print(f"{page.relative_to(ROOT)} shows other output than its commands print", file=sys.stderr)
        return int(bool(stale))
    for page in stale:
        page.write_text(filled(page.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
