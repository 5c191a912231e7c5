"""Pictures: the same answer gives the same bytes, whatever the user's settings; names are text and nothing else."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest

from calisim.errors import UsageError
from calisim.report.plots import canvas
from tests.report.diagrams import NAMES

ROOT = Path(__file__).parents[3]
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: bytes) -> list[str]:
    """What is written in a drawing."""
    return [" ".join("".join(one.itertext()).split()) for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def inches(png: bytes) -> tuple[float, float]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width / canvas.DPI, height / canvas.DPI


def outside(picture: canvas.Picture) -> list[str]:
    """Texts that stick out of the sheet."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    figure, found = picture.figure, []
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        canvas.draw()
    renderer, frame = canvas.get_renderer(), figure.bbox
    for text in figure.findobj(Text):
        box = text.get_window_extent(renderer)
        if text.get_visible() and text.get_text().strip() and not (
                frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1):
            found.append(text.get_text())
    return found


def sheet_of(name: str) -> canvas.Picture:
    def draw():
        figure, axes = canvas.sheet(5, 2)
        canvas.heading(figure, name, name)
        canvas.write(axes, 1, 1, canvas.clean(name), 9)
        return figure

    return canvas.Picture(draw, name)


def test_without_matplotlib_the_cure_is_said(monkeypatch):
    monkeypatch.setattr(canvas, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'calisim\[plots\]'"):
        canvas.require()


def test_matplotlib_is_imported_to_draw_and_never_before():
    names = ["canvas", "comparison", "fates", "journey", "outcomes", "picture", "topology"]
    code = "import sys; sys.modules['matplotlib'] = None; " + "; ".join(f"import calisim.report.plots.{name}" for name in names)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="no tests of pictures: matplotlib is not installed")


@needs_matplotlib
def test_settings_of_the_user_change_nothing_and_stay_as_they_were():
    import matplotlib

    before = sheet_of("a").svg(), sheet_of("a").png()
    theirs = {"font.size": 30, "text.color": "red", "svg.fonttype": "path", "savefig.dpi": 20, "lines.linewidth": 9}
    with matplotlib.rc_context(theirs):
        assert (sheet_of("a").svg(), sheet_of("a").png()) == before
        assert matplotlib.rcParams["font.size"] == 30
    assert matplotlib.rcParams["svg.hashsalt"] != "calisim"


@needs_matplotlib
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_are_text(name):
    svg = sheet_of(name[:300]).svg()
    root = ElementTree.fromstring(svg)
    assert {element.tag.removeprefix(SVG) for element in root.iter() if element.tag.startswith(SVG)} <= {
        "svg", "metadata", "defs", "style", "g", "path", "text", "tspan", "title", "use"}
    assert " ".join(canvas.clean(name[:300]).split()) in texts(svg)
    assert sheet_of(name[:300]).png()
