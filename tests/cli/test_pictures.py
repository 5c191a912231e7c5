"""``--svg``, ``--png``, ``--mermaid``, ``--dot``: beside the text or instead of it; mistakes are said before the work."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from calisim.cli.main import cli
from calisim.report.plots import canvas

ROOT = Path(__file__).parents[2]
TWO_ZONES = str(ROOT / "tests" / "cases" / "scenarios" / "two-zones.yaml")
PACKET = ("shop/web-a-1-0", "shop/web-a-2-0")
DRAWN = (("compare", TWO_ZONES), ("run", TWO_ZONES), ("trace", TWO_ZONES, *PACKET), ("map", TWO_ZONES))
needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="no tests of pictures: matplotlib is not installed")


def call(*arguments: str):
    return CliRunner().invoke(cli, list(arguments), prog_name="calisim")


@needs_matplotlib
@pytest.mark.parametrize("line", DRAWN, ids=lambda line: line[0])
def test_files_are_drawn_beside_the_text(line, tmp_path):
    svg, png = tmp_path / "a.svg", tmp_path / "a.png"
    plain, result = call(*line), call(*line, "--svg", str(svg), "--png", str(png))
    assert result.exit_code == plain.exit_code and result.stdout == plain.stdout
    assert svg.read_bytes().startswith(b"<?xml") and png.read_bytes().startswith(b"\x89PNG")
    assert sorted(tmp_path.iterdir()) == [png, svg]


@needs_matplotlib
@pytest.mark.parametrize("line", DRAWN, ids=lambda line: line[0])
def test_standard_output_takes_the_picture_instead_of_the_text(line, tmp_path):
    text = tmp_path / "a.json"
    result = call(*line, "--svg", "-", "--json", "-o", str(text))
    assert result.stdout.startswith("<?xml") and result.stdout.rstrip().endswith("</svg>")
    assert json.loads(text.read_text())["kind"] in ("Comparison", "Run", "Trace", "Map")
    assert call(*line, "--png", "-").stdout_bytes.startswith(b"\x89PNG")


@needs_matplotlib
def test_a_lost_packet_is_drawn_and_the_exit_code_stays(tmp_path):
    svg = tmp_path / "lost.svg"
    scenario = str(ROOT / "scenarios" / "s02-check-still-on.yaml")
    assert call("trace", scenario, "web-a-1-0", "web-a-2-0", "--svg", str(svg)).exit_code == 1
    assert "✕ SOURCE_CHECK" in svg.read_text("utf-8")


@needs_matplotlib
@pytest.mark.parametrize("place", ["-", "a"])
def test_two_pictures_need_two_places_which_is_said_before_anything_is_done(place):
    for one, other in (("--svg", "--png"), ("--png", "--svg")):
        result = call("compare", one, place, other, place, "nowhere.yaml")
        assert result.exit_code == 2 and not result.stdout
        assert f"both write to {'standard output' if place == '-' else place}" in result.stderr


@pytest.mark.parametrize("line", DRAWN, ids=lambda line: line[0])
def test_what_is_missing_is_said_before_anything_is_done(line, tmp_path, monkeypatch):
    monkeypatch.setattr(canvas, "find_spec", lambda name: None)
    result = call(*line, "--png", str(tmp_path / "a.png"))
    assert result.exit_code == 2 and "pip install 'calisim[plots]'" in result.stderr and not result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("line", "start"), [
    (("trace", TWO_ZONES, *PACKET, "--mermaid"), "sequenceDiagram\n"),
    (("trace", TWO_ZONES, *PACKET, "--dot"), "digraph journey {\n"),
    (("map", TWO_ZONES, "--mermaid"), "flowchart LR\n"), (("map", TWO_ZONES, "--dot"), "graph map {\n")])
def test_diagrams_stand_instead_of_the_text(line, start, tmp_path):
    shown = call(*line).stdout
    assert shown.startswith(start)
    assert call(*line, "-o", str(tmp_path / "a")).stdout == "" and (tmp_path / "a").read_text() == shown


def test_an_answer_has_one_form():
    result = call("trace", TWO_ZONES, *PACKET, "--all-blockers", "--mermaid")
    assert result.exit_code == 2 and "no diagram" in result.stderr
    result = call("trace", TWO_ZONES, *PACKET, "--json", "--dot")
    assert result.exit_code == 2 and "--json and --dot exclude each other" in result.stderr
