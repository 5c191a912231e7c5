"""Graphviz text, judged by Graphviz; where it is not installed these tests skip."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import calisim
from calisim.report import dot
from calisim.report.atlas import atlas
from calisim.report.labels import clean
from calisim.report.ladder import Leg, header_lines, ladder
from tests.report.diagrams import JOURNEYS, MAPS, NAMES

ROOT = Path(__file__).parents[2]
DOT = shutil.which("dot")
needs_graphviz = pytest.mark.skipif(DOT is None, reason="no Graphviz tests: there is no dot")


def drawn(text: str) -> dict:
    """Nodes and edges as Graphviz understood them."""
    done = subprocess.run([DOT, "-Tjson"], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)


def words(found: dict) -> list[str]:
    """The lines of a label as they are drawn."""
    return [one["text"] for one in found.get("_ldraw_", ()) if one["op"] == "T"]


@needs_graphviz
@pytest.mark.parametrize(("name", "variant", "request_"), JOURNEYS)
def test_a_journey_has_its_stations_and_legs(name, variant, request_):
    trace = calisim.load(ROOT / "scenarios" / f"{name}.yaml").build(variant).trace(*request_)
    made, found = ladder(trace), drawn(dot.journey(trace))
    nodes = {one["name"]: one for one in found["objects"]}
    assert [words(nodes[f"s{number}"]) for number in range(len(made.stations))] == [station.lines() for station in made.stations]
    legs = [row for way in made.ways for row in way.rows if isinstance(row, Leg)]
    labelled = [words(edge) for edge in found["edges"] if len(words(edge)) > 1]
    assert sorted(labelled, key=lambda lines: int(lines[0].partition(".")[0])) == [
        [f"{number}. {lines[0]}", *lines[1:]]
        for number, lines in enumerate(([line for header in leg.headers for line in header_lines(header)] for leg in legs), 1)]
    pipes = {words(edge)[0].partition(".")[0] for edge in found["edges"] if ":" in edge.get("color", "")}
    assert pipes == {str(number) for number, leg in enumerate(legs, 1) if leg.wrapping}
    ends = [words(one) for name, one in nodes.items() if name.startswith("end_")]
    assert ends[0][0] == (f"✕ {trace.request.loss.reason.name}" if trace.request.loss else "✓ delivered")


@needs_graphviz
@pytest.mark.parametrize(("path", "edits"), MAPS)
def test_a_map_has_its_boxes(path, edits):
    network = calisim.load(ROOT / path, set=edits).build()
    made, found = atlas(network), drawn(dot.topology(network))
    names = [one["name"] for one in found["objects"]]
    boxes = {one["name"].removeprefix("cluster_"): words(one) for one in found["objects"]}
    for number, cloud in enumerate(made.clouds):
        assert boxes[f"v{number}"] == [cloud.name, cloud.says]
        for position, subnet in enumerate(cloud.subnets):
            assert boxes[f"v{number}s{position}"] == [*subnet.lines]
            for place, node in enumerate(subnet.inside):
                assert boxes[f"v{number}s{position}_{place}"] == [*node.lines]
                assert (f"cluster_v{number}s{position}_{place}" in names) == bool(node.inside)
    assert [boxes[f"h{number}"] for number in range(len(made.hosts))] == [[*host.lines] for host in made.hosts]
    assert made.note == "" or made.note in words(found)


@needs_graphviz
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.text(), st.sampled_from(NAMES)), min_size=1, max_size=20))
def test_no_name_gets_out_of_its_text(names):
    """What is drawn is what was meant: no escape, entity or end of the string is read in it."""
    names = [name for name in names if clean(name).strip()] or ["a"]
    nodes = "".join(f"  n{number} [label={dot.quoted('.', name[:200])}];\n" for number, name in enumerate(names))
    found = drawn(f"digraph g {{\n{nodes}}}")
    assert [words(one)[1:] for one in found["objects"]] == [[clean(name[:200])] for name in names]
