"""The journey of one packet as a ladder: who had it from left to right, time downwards; what is encapsulated runs in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...vocabulary import Encap
from ...vocabulary.encaps import encapsulation
from ..labels import columns, label, wrapped
from ..ladder import Ladder, Leg, Note, Station, Way, header_lines, ladder
from .canvas import BLUE, GREEN, GREY, INK, LETTER, ORANGE, PALE, PURPLE, QUIET, RULE, VERMILION, Picture, heading, sheet, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...analysis.explain import Trace

GAP, EDGE, TOP = 2.55, 1.35, 1.72         # inches: between two lifelines, beside the outermost, above the first row
LINE = 0.155                              # height of a line of small text
NOTE = 38                                 # columns of a note
PIPES = {Encap.IPIP: ORANGE, Encap.VXLAN: PURPLE}
KINDS = {"pod": BLUE, "node": INK, "host": GREEN, "cloud": QUIET, "outside": QUIET}


def picture(trace: Trace) -> Picture:
    made = ladder(trace)
    return Picture(lambda: _Drawing(made).figure, f"{made.title}: {made.verdict}")


class _Drawing:
    """Draws row after row; ``_y`` is how far down the sheet is filled, in inches."""

    def __init__(self, made: Ladder) -> None:
        self._stations = made.stations
        width = max(2 * EDGE + GAP * (len(made.stations) - 1), 7.5, 0.7 + LETTER * 1.62 * columns(made.title))
        height = TOP + sum(0.34 + sum(map(_height, way.rows)) for way in made.ways) + 0.3
        self._left = (width - GAP * (len(made.stations) - 1)) / 2
        self._width, self._y = width, TOP
        self.figure, self._axes = sheet(width, height)
        heading(self.figure, made.title, made.scene)
        colour = BLUE if made.good else VERMILION
        _box(self._axes, 0.4, 0.92, [f"{'✓' if made.good else '✕'} {made.verdict}"], colour, "white", weight="bold", ha="left")
        for number, station in enumerate(made.stations):
            self._lifeline(number, station, height)
        for way in made.ways:
            self._way(way)

    def _x(self, station: int) -> float:
        return self._left + GAP * station

    def _lifeline(self, number: int, station: Station, height: float) -> None:
        x, axes = self._x(number), self._axes
        colour = KINDS[station.kind] if station.reached else GREY
        looks: dict[str, Any] = {"color": RULE, "lw": 2} if station.reached else {"color": GREY, "lw": 1, "ls": (0, (2, 3))}
        axes.plot([x, x], [TOP - 0.16, height - 0.2], zorder=0, **looks)
        name = label(station.name, 32)
        size = min(9.5, 9.5 * (GAP - 0.25) / (LETTER * 1.12 * columns(name)))
        write(axes, x, TOP - 0.5, name, size, weight="bold", color=colour)
        write(axes, x, TOP - 0.31, " ".join(station.lines()[1:]), 7.5, color=QUIET)

    def _way(self, way: Way) -> None:
        y, start = self._y + 0.1, 0.2 + LETTER * (len(way.title) + 1)
        write(self._axes, 0.2, y, way.title, 8.5, color=QUIET, style="italic", ha="left")
        self._axes.plot([start, self._width - 0.2], [y, y], color=RULE, lw=0.8, ls=(0, (1, 2)))
        self._y += 0.34
        for row in way.rows:
            if isinstance(row, Leg):
                self._leg(row)
            else:
                self._note(row)
            self._y += _height(row)

    def _leg(self, leg: Leg) -> None:
        start, end = self._x(leg.start), self._x(leg.end)
        if leg.start == leg.end:                                       # lost on its way out
            end = start + GAP * (0.72 if leg.start < len(self._stations) - 1 else 0.42)
        middle, colour = (start + end) / 2, VERMILION if leg.lost else INK
        top = self._y + (0.26 if leg.wrapping else 0.02)
        lines = _inner(leg)
        arrow = top + LINE * len(lines) + 0.2
        if leg.wrapping:
            self._pipe(leg, min(start, end), max(start, end), arrow)
        _box(self._axes, middle, top + LINE * len(lines) / 2 + 0.06, lines, "white", INK, RULE)
        self._axes.annotate("", (end, arrow), (start, arrow), arrowprops={
            "arrowstyle": "-|>", "color": colour, "lw": 1.8, "shrinkA": 0, "shrinkB": 7 if leg.lost else 1,
            "ls": "--" if leg.lost else "-", "mutation_scale": 14}, zorder=4)
        if leg.lost:
            self._axes.plot([end], [arrow], marker="x", ms=11, mew=3.2, color=VERMILION, zorder=6)
        if leg.says:
            below = arrow + (0.2 if leg.wrapping else 0.09)
            write(self._axes, self._x(leg.through or 0), below, "\n".join(_said(leg)), 7.5, color=QUIET, zorder=3, va="top",
                  bbox={"fc": "white", "ec": "none", "pad": 1})

    def _pipe(self, leg: Leg, left: float, right: float, arrow: float) -> None:
        """The outer packet, from one end of the tunnel to the other."""
        colour, top, bottom = PIPES[leg.wrapping], self._y - 0.02, arrow + 0.13
        _frame(self._axes, left + 0.1, top, right - left - 0.2, bottom - top, colour, 2)
        ends, rest = header_lines(leg.headers[0])
        extra = encapsulation(leg.wrapping).overhead
        text = f"{ends}  ·  {rest} (+{extra})"
        room = right - left - 0.35
        size = min(8.5, 8.5 * room / (LETTER * len(text)))
        write(self._axes, (left + right) / 2, top + 0.15, text, size, weight="bold", zorder=5)

    def _note(self, note: Note) -> None:
        x, y = self._x(note.at), self._y
        if note.kind == "loss":
            self._loss(note, x, y)
        elif note.kind == "note":
            lines = _note_lines(note)
            self._axes.plot([x], [y + 0.06 + LINE * len(lines) / 2], marker="o", ms=4, color=QUIET, zorder=3)
            _box(self._axes, x, y + 0.06 + LINE * len(lines) / 2, lines, PALE[GREY], INK, size=7.5)
        else:
            good = note.kind == "good"
            lines = wrapped(f"{'✓' if good else '?'} {note.says}", NOTE, 3)
            _box(self._axes, x, y + 0.08 + LINE * len(lines) / 2, lines, BLUE if good else QUIET, "white", weight="bold")

    def _loss(self, note: Note, x: float, y: float) -> None:
        lines = _note_lines(note)
        half = 0.5 * LETTER * 0.86 * max(map(len, [*lines, note.title + "   "])) + 0.12
        x = min(max(x, half + 0.15), self._width - half - 0.15)
        height = 0.3 + LINE * len(lines)
        _frame(self._axes, x - half, y + 0.04, 2 * half, height, VERMILION, 6)
        write(self._axes, x, y + 0.19, f"✕ {note.title}", 10, weight="bold", color="#a33f00", zorder=7)
        write(self._axes, x, y + 0.31, "\n".join(lines), 7.5, va="top", linespacing=1.35, zorder=7)


def _inner(leg: Leg) -> list[str]:
    """The packet itself, on as many lines as its leg has room for."""
    ends, rest = header_lines(leg.headers[-1])
    if leg.through is not None or abs(leg.start - leg.end) > 1:
        return [ends, rest]
    first, second = ends.split(" → ")
    return [first, f"→ {second}", rest]


def _said(leg: Leg) -> list[str]:
    return wrapped(leg.says, 78, 2)


def _note_lines(note: Note) -> list[str]:
    wide = 60 if note.kind == "loss" else NOTE
    return [*wrapped(note.says, wide), *(wrapped(note.by, wide, 2) if note.by else [])]


def _height(row: Leg | Note) -> float:
    if isinstance(row, Leg):
        return 0.36 + LINE * len(_inner(row)) + (0.42 if row.wrapping else 0.1) + (LINE * len(_said(row)) if row.says else 0)
    if row.kind == "note":
        return 0.26 + LINE * len(_note_lines(row))
    if row.kind == "loss":
        return 0.5 + LINE * len(_note_lines(row))
    return 0.28 + LINE * len(wrapped(f"? {row.says}", NOTE, 3))


def _box(axes: Axes, x: float, y: float, lines: list[str], fill: str, ink: str, edge: str = "none", size: float = 8, **looks: Any,
         ) -> None:
    write(axes, x, y, "\n".join(lines), size, color=ink, linespacing=1.3, zorder=5,
          bbox={"boxstyle": "round,pad=0.4", "fc": fill, "ec": edge, "lw": 0.8}, **looks)


def _frame(axes: Axes, x: float, y: float, width: float, height: float, colour: str, zorder: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = f"round,pad=0,rounding_size={0.16 if zorder < 5 else 0.08}"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, fc=PALE[colour], ec=colour, lw=1.8, zorder=zorder))
