"""Stacked bars of what became of packets: colours and patterns of fates, the same in all pictures, and their legend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...analysis.run import Outcome, Tally
from ...analysis.story import word_of, wrapped
from ...vocabulary import Encap, Verdict
from .canvas import BLUE, GREEN, GREY, INK, LETTER, ORANGE, PURPLE, SKY, VERMILION, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GOOD = {
    "ok": ("same node", SKY, ""), "native": ("native", BLUE, ""), "SNAT": ("SNAT", GREEN, ".."),
    wrapped(Encap.IPIP): (wrapped(Encap.IPIP), ORANGE, "//"), wrapped(Encap.VXLAN): (wrapped(Encap.VXLAN), PURPLE, "\\\\")}
LOST = [(VERMILION, "xx"), ("#8f3d00", "++"), ("#f0894a", "||"), ("#5c2a0a", "oo"), ("#ffb68a", "--")]
"""Of reasons in the order of the packets that they cost; the least of many share one."""
OTHERS = "other losses"
BRIGHT = (SKY, ORANGE, PURPLE, "#f0894a", "#ffb68a")          # dark letters are read on them
ROW = 0.42              # inches between two bars


class Look(NamedTuple):
    """How a fate is drawn and called."""

    title: str
    colour: str
    hatch: str


def fates(tally: Tally, wanted: str | None = None) -> dict[str, int]:
    """Packets by word of outcome, of one scope or of all."""
    sums: dict[str, int] = {}
    for outcome, amount in tally:
        if wanted is None or outcome.scope == wanted:
            word = _word(outcome)
            sums[word] = sums.get(word, 0) + amount.packets
    return sums


def _word(outcome: Outcome) -> str:
    return f"✕ {word_of(outcome)}" if outcome.verdict is Verdict.DROPPED else word_of(outcome)


def looks(rows: Iterable[Mapping[str, int]]) -> dict[str, Look]:
    """The looks of all fates in these rows, in the order in which they are stacked: good ones, neither, losses."""
    sums: dict[str, int] = {}
    for row in rows:
        for word, packets in row.items():
            sums[word] = sums.get(word, 0) + packets
    lost = sorted((word for word in sums if word.startswith("✕")), key=lambda word: (-sums[word], word))
    neither = sorted(word for word in sums if word not in GOOD and word not in lost)
    found = {word: Look(*GOOD[word]) for word in GOOD if word in sums}
    found.update({word: Look(word, GREY, "**") for word in neither})
    for number, word in enumerate(lost):
        shared = number >= len(LOST) - 1 and len(lost) > len(LOST)
        colour, hatch = LOST[min(number, len(LOST) - 1)]
        found[word] = Look(f"✕ {OTHERS}" if shared else word, colour, hatch)
    return found


def bars(axes: Axes, names: Sequence[str], rows: Sequence[Mapping[str, int]], looked: Mapping[str, Look], width: float) -> None:
    """A bar a row from the top down, each to 100 %: shares that are wide enough say how much they are."""
    for number, row in enumerate(rows):
        total, left = sum(row.values()), 0.0
        for word, look in looked.items():
            share = 100 * row.get(word, 0) / total if total else 0
            if not share:
                continue
            axes.barh(number, share, 0.66, left, color=look.colour, hatch=look.hatch, edgecolor="white", linewidth=0.8)
            text = _percent(share)
            if share / 100 * width > LETTER * (len(text) + 1):
                write(axes, left + share / 2, number, text, 8.5, weight="bold", color=INK if look.colour in BRIGHT else "white",
                      bbox={"fc": look.colour, "ec": "none", "pad": 1.2})
            left += share
        if not total:
            axes.text(1, number, "sends nothing", size=8, color=GREY, va="center")
    axes.set(xlim=(0, 100), ylim=(len(rows) - 0.45, -0.55), yticks=range(len(names)), xlabel="share of packets (%)")
    axes.set_yticklabels(names)
    axes.grid(axis="x", lw=0.6)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)


def _percent(share: float) -> str:
    return ">99 %" if 99 < share < 99.95 else f"{share:.0f} %" if share >= 1 else "<1 %"


def legend(figure: Figure, looked: Mapping[str, Look], left: float, top: float, width: float) -> None:
    """The looks in as many columns as there is room for; ``left`` and ``top`` in inches."""
    across, down = figure.get_size_inches()
    found = dict.fromkeys(looked.values())
    figure.legend(
        _handles(found), [look.title for look in found], loc="upper left", bbox_to_anchor=(left / across, 1 - top / down),
        ncols=columns(looked, width), fontsize=9, handlelength=2, handleheight=1.3, columnspacing=1.4,
        borderpad=0, borderaxespad=0)


def _handles(looked: Iterable[Look]) -> list[Any]:
    from matplotlib.patches import Patch

    return [Patch(facecolor=look.colour, hatch=look.hatch, edgecolor="white") for look in looked]


def columns(looked: Mapping[str, Look], width: float) -> int:
    found = set(looked.values())
    longest = max((len(look.title) for look in found), default=1)
    return max(1, min(len(found), int(width / (0.55 + LETTER * longest))))


def legend_height(looked: Mapping[str, Look], width: float) -> float:
    """In inches."""
    count = len(set(looked.values()))
    return 0.235 * -(-count // columns(looked, width)) + 0.1
