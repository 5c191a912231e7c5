"""A class's grades as sheets – who has what, stage by stage, item by item, which answers many had wrong – and as one HTML page.

The page asks nobody and runs nothing; whatever students wrote is shown as text, cut where it is long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

from .claims import plain
from .grading import Grade, Part
from .session import Item

Cell = str | int | float | bool
MOST_ROWS = 20_000                 # of one sheet on the page
_WIDEST = 300                      # characters of a cell on the page


@dataclass(frozen=True, slots=True)
class Sheet:
    title: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]


def _summary(grades: Sequence[Grade]) -> list[list[Cell]]:
    return [[*_who(one), one.score, one.passed, len(one.parts), one.hints, one.claimed, one.exam, one.fault] for one in grades]


def _stages(grades: Sequence[Grade]) -> list[list[Cell]]:
    return [[*_who(one), part.stage.id, round(part.points, 1), round(part.most, 1),
             part.passed, part.claimed, part.attempts, part.hints] for one in grades for part in one.parts]


def _items(grades: Sequence[Grade], wanted: Callable[[Item], bool]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for one in grades:
        if one.fault:
            rows.append([*_who(one), "fault", "", False, one.fault, ""])
        chosen = (item for item in one.items if wanted(item))
        rows += ([*_who(one), item.kind, item.id, item.passed, item.says.strip(), item.instead] for item in chosen)
    return rows


def _wrong(grades: Sequence[Grade]) -> list[list[Cell]]:
    """Per lab and question the answers that were wrong, the most common first; ``of``: how many answered the question."""
    answered = [(one.lab, item) for one in grades for item in one.items if item.given and item.kind != "check"]
    of = Counter((lab, item.id) for lab, item in answered)
    wrong = Counter((lab, item.id, plain(item.given)) for lab, item in answered if not item.right)
    says = {(lab, item.id): item.says.strip() for lab, item in answered}
    ranked = sorted(wrong.items(), key=lambda found: (-found[1], found[0]))
    return [[lab, id, given, count, of[lab, id], says[lab, id]] for (lab, id, given), count in ranked]


_WHO = ("file", "student", "lab", "seed")
_ITEM = (*_WHO, "kind", "id", "passed", "says", "instead")
_SHEETS: dict[str, tuple[str, tuple[str, ...], Callable[[Sequence[Grade]], list[list[Cell]]]]] = {
    "summary": ("Everybody", (*_WHO, "score", "passed", "stages", "hints", "claimed", "exam", "fault"), _summary),
    "stages": ("Stage by stage", (*_WHO, "stage", "points", "most", "passed", "claimed", "attempts", "hints"), _stages),
    "wrong": ("Wrong answers, the most common first", ("lab", "question", "answer", "students", "of", "says"), _wrong),
    "failed": ("What failed", _ITEM, lambda grades: _items(grades, lambda item: not item.passed)),
    "all": ("All questions and checks", _ITEM, lambda grades: _items(grades, lambda item: True)),
}
NAMES = tuple(_SHEETS)


def sheet(name: str, grades: Sequence[Grade]) -> Sheet:
    """One of ``NAMES``."""
    title, columns, rows = _SHEETS[name]
    return Sheet(title, columns, rows(grades))


def tame(value: Cell) -> str:
    """One line in which no letter obeys: what students wrote may hold control characters and such that turn the line round."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in " ".join(str(value).split()))


def _who(one: Grade) -> tuple[Cell, ...]:
    return one.file, one.student, one.lab, one.seed


# The page -------------------------------------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --bad: #b3261e; --good: #1a6e3c }
@media (prefers-color-scheme: dark) { :root { --bad: #ff9a90; --good: #7fd6a0 } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 78rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line) }
td { overflow-wrap: anywhere; min-width: 8em } td.number, td.flag { min-width: 0 }
td.number { text-align: right; white-space: nowrap }
.bad { color: var(--bad); font-weight: 600 } .good { color: var(--good) } .open { opacity: .7 }
summary { cursor: pointer; font-weight: 600; margin: 1rem 0 .5rem }
@media print { details > summary { display: none } }
"""


def page(grades: Sequence[Grade]) -> str:
    """All sheets as one HTML document."""
    judged = [one for one in grades if not one.fault]
    scores = [one.score for one in judged]
    said = f"{len(grades)} handed in, {len(grades) - len(judged)} of them not to be judged."
    if scores:
        said += f" Points: median {median(scores):g}, from {min(scores)} to {max(scores)}."
    labs = dict.fromkeys(one.lab for one in judged)
    body = [f"<h1>Lab grades</h1><p>{said}</p>", _table(sheet("summary", grades)), *(_matrix(lab, judged) for lab in labs)]
    body.append(_table(sheet("wrong", grades)))
    body += (_folded(sheet(name, grades)) for name in ("failed", "all"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Lab grades</title><style>{_STYLE}</style></head>\n"
        "<body><main>\n" + "\n".join(body) + "\n</main></body></html>\n")


def _matrix(lab: str, grades: Sequence[Grade]) -> str:
    """A lab's students and stages: points, and how they came about."""
    mine = [one for one in grades if one.lab == lab]
    rows = [[_shown(one.student or one.file), *(_stage(part) for part in one.parts), f'<td class="number">{one.score}</td>']
            for one in mine[:MOST_ROWS]]
    rows = [[f'<th scope="row">{row[0]}</th>', *row[1:]] for row in rows]
    titles = ["student", *(part.stage.title for part in mine[0].parts), "points"]
    title = f"{lab}: stage by stage"
    return f"<h2>{_shown(title)}</h2>{_drawn(title, titles, rows)}{_left_out(len(mine))}"


def _stage(part: Part) -> str:
    fallen = ("bad", "claimed, does not hold now") if part.claimed else ("open", "open")
    style, word = ("good", "passed") if part.passed else fallen
    spent = [_count(part.attempts, "check"), _count(part.hints, "hint")]
    told = ", ".join(filter(None, [f"{round(part.points, 1):g} of {round(part.most, 1):g}", *spent]))
    return f'<td><span class="{style}">{word}</span><br>{told}</td>'


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}" if number else ""


def _folded(one: Sheet) -> str:
    return f"<details><summary>{_shown(one.title)} ({len(one.rows)})</summary>{_rows(one)}</details>"


def _table(one: Sheet) -> str:
    return f"<h2>{_shown(one.title)}</h2>{_rows(one)}"


def _rows(one: Sheet) -> str:
    if not one.rows:
        return "<p>Nothing.</p>"
    rows = (list(map(_cell, row, one.columns)) for row in one.rows[:MOST_ROWS])
    return _drawn(one.title, one.columns, rows) + _left_out(len(one.rows))


def _left_out(rows: int) -> str:
    return f"<p>The first {MOST_ROWS:,} of {rows:,} rows; --csv has them all.</p>" if rows > MOST_ROWS else ""


def _drawn(title: str, columns: Iterable[str], rows: Iterable[list[str]]) -> str:
    head = "".join(f'<th scope="col">{_shown(column)}</th>' for column in columns)
    lines = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" aria-label="{_shown(title)}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table></div>")


def _cell(value: Cell, column: str) -> str:
    if isinstance(value, bool):
        return f'<td class="flag">{"yes" if value else "no"}</td>'
    style = ' class="bad"' if column == "fault" else "" if isinstance(value, str) else ' class="number"'
    return f"<td{style}>{_shown(value)}</td>"


def _shown(value: Cell) -> str:
    """As text: nothing in it is markup, turns the line round, or fills the page."""
    text = tame(value)
    return escape(text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…")
