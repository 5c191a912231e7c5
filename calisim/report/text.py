"""Tables and paragraphs for people: as wide as the terminal, coloured only there, plain in a pipe or a file.

Every column header carries its unit. rich is imported when something is shown, never before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

PIPE_WIDTH = 120        # columns where there is no terminal and COLUMNS does not say
NARROWEST = 60
STANDARD = 80
ROOMY = 100             # from here on tables have air between their columns


def console(file: IO[str] | None = None) -> Console:
    """A console for standard output, or for a file (never coloured)."""
    from rich.console import Console

    stream = sys.stdout if file is None else file
    terminal = file is None and stream.isatty()
    width = None
    if not terminal:
        columns = os.environ.get("COLUMNS", "")
        width = max(int(columns), NARROWEST) if columns.isdecimal() and int(columns) else PIPE_WIDTH
    colours: Any = "auto" if terminal else None
    return Console(file=stream, width=width, highlight=False, emoji=False, color_system=colours)


def show(parts: Iterable[RenderableType], file: IO[str] | None = None) -> None:
    """Print parts, an empty line between them; without a terminal no line ends in blanks."""
    out = console(file)
    with out.capture() if not out.is_terminal else nullcontext() as captured:
        for position, part in enumerate(parts):
            if position:
                out.print()
            out.print(part)
    if captured is not None:
        out.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def width() -> int:
    """Columns that a report may use."""
    return console().width


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table. A column whose header starts with ``#`` holds numbers and is set to the right, one with ``!`` is never folded."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False,
        header_style="bold", padding=(0, 1) if width() >= ROOMY else 0)
    for column in columns:
        kind = column[0] if column[:1] in ("#", "!") else ""
        header = column.removeprefix(kind)
        made.add_column(
            header.replace(" (", "\n(") if kind == "#" else header, justify="right" if kind == "#" else "left", overflow="fold",
            no_wrap=bool(kind), vertical="top")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def paragraph(text: str, style: str = "") -> Any:
    """A paragraph, wrapped at words."""
    from rich.text import Text

    return Text(text, style=style, overflow="fold")


def number(value: int) -> str:
    """``39,600``; a dash for nothing at all would hide a zero, so zero is 0."""
    return f"{value:,}"


def share(part: int, whole: int) -> str:
    """A share in percent with one decimal, without the sign (the header has it); a few of many are never 0.0."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    return "<0.1" if 0 < percent < 0.05 else f"{percent:.1f}"
