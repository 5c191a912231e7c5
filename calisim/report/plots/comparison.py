"""``compare`` as a picture: a row for each variant – what became of the packets, what was wrapped, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...quantities import plural
from ..labels import columns, label, wrapped
from ..text import share
from . import fates
from .canvas import LETTER, QUIET, Picture, heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...analysis.compare import Comparison, VariantReport

MOST_VARIANTS = 40
WIDE, NARROW, AIR = 5.2, 1.75, 0.35          # inches: the bars of fates, a panel of one number, between them
TOP, CAPTION = 1.15, 0.19
PERCENT = "% of packets"


class Panel(NamedTuple):
    """One number of each variant."""

    title: str
    unit: str
    value: Callable[[VariantReport], float]
    text: Callable[[VariantReport], str]


def picture(comparison: Comparison) -> Picture:
    return Picture(lambda: _draw(comparison), f"{comparison.scenario.name}: variants compared")


def _panels(reports: Sequence[VariantReport]) -> list[Panel]:
    found = [
        Panel("Encapsulated", PERCENT, lambda report: 100 * report.encapsulated / max(report.tally.sent, 1),
              lambda report: f"{share(report.encapsulated, report.tally.sent)} %"),
        Panel("Outer headers", "bytes", lambda report: report.overhead,
              lambda report: f"{_short(report.overhead)} · {share(report.overhead, report.tally.total().crossing)} %"),
        Panel("Translated (SNAT)", "packets", _translated, lambda report: f"{int(_translated(report)):,}")]
    return [panel for panel in found if any(panel.value(report) for report in reports)]


def _translated(report: VariantReport) -> float:
    return report.tally.total(lambda outcome: outcome.snat).packets


def _short(count: int) -> str:
    """``576 kB`` (SI: 1 kB is 1,000 bytes)."""
    for size, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:,} B"


def _name(report: VariantReport) -> str:
    low, high = report.pod_mtu
    return f"{label(report.id, 34)}\npod MTU {low:,}{'' if low == high else f'–{high:,}'} B"


def _draw(comparison: Comparison) -> Figure:
    from matplotlib.figure import Figure

    reports = comparison.variants[:MOST_VARIANTS]
    panels = _panels(reports)
    rows = [fates.fates(report.tally) for report in reports]
    looked, names = fates.looks(rows), [_name(report) for report in reports]
    left = 0.45 + LETTER * max(columns(line) for name in names for line in name.split("\n"))
    width = left + WIDE + len(panels) * (NARROW + AIR) + 0.35
    caption = [*wrapped(comparison.answer, int((width - 0.7) / LETTER), 8), *_left_out(comparison)]
    body = max(len(reports), 2) * fates.ROW * 1.12
    height = TOP + body + 0.65 + fates.legend_height(looked, width - 0.7) + CAPTION * len(caption) + 0.35
    figure = Figure(figsize=(width, height), facecolor="white")
    heading(figure, label(comparison.scenario.name, 60), _scene(reports))
    at = [left / width, 1 - (TOP + body) / height, WIDE / width, body / height]
    axes = figure.add_axes((at[0], at[1], at[2], at[3]))
    axes.set_title("What became of the packets", pad=8)
    fates.bars(axes, names, rows, looked, WIDE)
    for number, panel in enumerate(panels):
        start = (left + WIDE + AIR + number * (NARROW + AIR)) / width
        _panel(figure.add_axes((start, at[1], NARROW / width, at[3]), sharey=axes), panel, reports)
    top = TOP + body + 0.65
    fates.legend(figure, looked, 0.35, top, width - 0.7)
    below = top + fates.legend_height(looked, width - 0.7) + 0.12
    figure.text(0.35 / width, 1 - below / height, "\n".join(caption), size=9, color=QUIET, va="top", linespacing=1.35)
    return figure


def _scene(reports: Sequence[VariantReport]) -> str:
    sent = {report.tally.sent for report in reports}
    return f"the same {plural(sent.pop(), 'packet') if len(sent) == 1 else 'traffic'} through each variant"


def _left_out(comparison: Comparison) -> list[str]:
    more = len(comparison.variants) - MOST_VARIANTS
    return [f"… and {more:,} more variants, which the table shows"] if more > 0 else []


def _panel(axes: Axes, panel: Panel, reports: Sequence[VariantReport]) -> None:
    values = [panel.value(report) for report in reports]
    top = max(values) if panel.unit != PERCENT else 100
    axes.barh(range(len(values)), values, 0.3, color="#b8c1cf")
    for number, report in enumerate(reports):
        axes.text(top / 50, number - 0.3, panel.text(report), size=8.5, va="center", color="#1c2330")
    axes.set_title(panel.title, pad=8)
    axes.set(xlim=(0, top), xlabel=panel.unit)
    axes.set_xticks([])
    axes.tick_params(left=False, labelleft=False)
    axes.spines["bottom"].set_visible(False)
