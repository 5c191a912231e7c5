"""What all pictures share: the palette, the style that no user's settings change, and the finished Picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ..labels import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, RULE = "#1c2330", "#566072", "#d5dae3"
BLUE, SKY, GREEN, VERMILION, ORANGE, PURPLE, GREY = "#0072b2", "#56b4e9", "#009e73", "#d55e00", "#e69f00", "#cc79a7", "#8a93a1"
PALE = {VERMILION: "#fbe7dc", ORANGE: "#fdf1d4", PURPLE: "#f8e6f1", GREY: "#f0f2f5"}
STYLE: dict[str, Any] = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9, "text.color": INK, "text.parse_math": False,
    "axes.edgecolor": QUIET, "axes.labelcolor": QUIET, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlelocation": "left", "axes.titlesize": 10, "axes.titleweight": "bold", "axes.axisbelow": True,
    "xtick.color": QUIET, "ytick.color": INK, "grid.color": RULE, "hatch.linewidth": 0.8, "legend.frameon": False,
    "svg.fonttype": "none", "svg.hashsalt": "calisim"}          # text stays text; the same answer gives the same ids
DPI = 144
LETTER = 0.076          # inches that a letter of 9 points takes, seldom more


class Picture:
    """A drawing. In a notebook it shows itself; ``figure`` is matplotlib's, for who wants to change something."""

    def __init__(self, draw: Callable[[], Figure], title: str) -> None:
        require()
        self.title = clean(title)
        with _style():
            self.figure = draw()

    def __repr__(self) -> str:
        return f"<Picture of {self.title}>"

    def svg(self) -> bytes:
        return self._saved("svg", {"Date": None, "Creator": "calisim", "Title": self.title})

    def png(self) -> bytes:
        return self._saved("png", {"Software": None, "Title": self.title})

    def _saved(self, form: str, metadata: dict[str, str | None]) -> bytes:
        stream = BytesIO()
        with _style():
            self.figure.savefig(stream, format=form, dpi=DPI, metadata=metadata)
        return stream.getvalue()

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """With the size at which a notebook shows it: sharp where a screen has more than 96 dots an inch."""
        width, height = self.figure.get_size_inches()
        return self.png(), {"width": round(96 * width), "height": round(96 * height)}


def require() -> None:
    """Say what is missing before a long run, not after it."""
    if find_spec("matplotlib") is None:
        raise UsageError("pictures are drawn by matplotlib, which is not installed: pip install 'calisim[plots]'")


@contextmanager
def _style() -> Iterator[None]:
    """matplotlib's defaults and :data:`STYLE`, whatever the user's settings are."""
    import warnings

    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")      # a name in a script that the font does not have
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty sheet, measured in inches from the upper left corner."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def write(axes: Axes, x: float, y: float, text: str, size: float, **looks: Any) -> None:
    """Text around a point."""
    axes.text(x, y, text, **{"size": size, "ha": "center", "va": "center", **looks})


def heading(figure: Figure, title: str, scene: str, left: float = 0.35) -> None:
    """The title and below it what is shown, in the upper left corner."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - 0.3 / height, clean(title), size=14, weight="bold", va="center")
    figure.text(left / width, 1 - 0.58 / height, clean(scene), size=9.5, color=QUIET, va="center")
