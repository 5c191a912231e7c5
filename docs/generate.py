"""Puts into the pages what something else knows: what commands print, and tables of the schema, the vocabulary and the options.

    python -m docs.generate            # write
    python -m docs.generate --check    # exit 1 if a page shows something else than what would be written

The block behind ``<!-- output of: COMMAND -->`` is what COMMAND prints; what is between ``<!-- KIND of: WHAT -->`` and
``<!-- end -->`` is made by :mod:`docs.tables`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from . import tables
from .pages import PAGES, ROOT, bash, folder

OUTPUT = re.compile(r"(<!-- output of: (.+?) -->\n```(?:text|mermaid)\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)
TABLE = re.compile(r"(<!-- (?!output)(\w+) of: (.+?) -->\n)(.*?)(^<!-- end -->$)", re.DOTALL | re.MULTILINE)


def output(page: Path, command: str) -> str:
    """What a command prints on a terminal of 110 columns, without trailing blanks."""
    with folder(page) as place:
        done = bash(command, place, columns=110)
    if done.returncode > 1:
        raise SystemExit(f"{page.name}: {command}: {done.stderr}")
    return "".join(line.rstrip() + "\n" for line in done.stdout.rstrip().splitlines())


def filled(page: Path) -> str:
    """The page as it should be."""
    text = page.read_text(encoding="utf-8")
    text = TABLE.sub(lambda found: f"{found[1]}\n{tables.KINDS[found[2]](found[3])}\n{found[5]}", text)
    return OUTPUT.sub(lambda found: f"{found[1]}{output(page, found[2])}{found[4]}", text)


def main() -> int:
    stale = {page: text for page in PAGES if (text := filled(page)) != page.read_text(encoding="utf-8")}
    for page, text in stale.items():
        if "--check" in sys.argv[1:]:
            print(f"{page.relative_to(ROOT)} is not what python -m docs.generate writes", file=sys.stderr)
        else:
            page.write_text(text, encoding="utf-8")
    return int(bool(stale) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
