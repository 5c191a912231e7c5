"""Mermaid text: read by a strict grammar of the lines that are written, and every label comes back as it was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import calisim
from calisim.report import mermaid
from calisim.report.atlas import atlas
from calisim.report.labels import clean
from calisim.report.ladder import Leg, header_lines, ladder
from tests.report.diagrams import JOURNEYS, MAPS, NAMES

ROOT = Path(__file__).parents[2]
TEXT = r"(?:[\w ._/,()\[\]{}+\-·→✓✕…?!*=@]|(?<=\d):|#\d+;|<br/>)+"   # no quote ; < > % | ` or # but in a code or a line break
LINES = (
    r"sequenceDiagram", rf"    acc(?:Title|Descr): {TEXT}", rf"    participant (?P<new>s\d+) as (?P<label>{TEXT})",
    rf" {{4,8}}(?P<sender>s\d+)--?(?P<head>>>|x)(?P<receiver>s\d+): (?P<message>{TEXT})",
    rf" {{4,8}}Note over (?P<over>s\d+(?:,s\d+)?): (?P<note>{TEXT})",
    r" {4}(?P<open>rect) rgba\(\d+, \d+, \d+, 0\.\d+\)", r" {4}(?P<close>end)")
LABEL = f'"(?P<label>{TEXT})"'
BOXES = (
    r"flowchart LR", r" +direction LR", rf"    acc(?:Title|Descr): {TEXT}", r"    (?P<sender>\w+) --- (?P<receiver>\w+)",
    rf" +(?P<open>subgraph) (?P<new>v\d+(?:s\d+(?:_\d+)?)?)\[{LABEL}\]", r" +(?P<close>end)",
    rf" +(?P<new>v[s\d_]+|note)\[{LABEL}\]", rf" +(?P<new>[gh]\d+|out)\(\[{LABEL}\]\)", r" +(?P<new>r\d+)\{\{" + LABEL + r"\}\}")


def parsed(text: str, forms: Sequence[str] = LINES) -> list[dict]:
    """Each line's parts; things are known before they are used, boxes are closed, nothing else is there."""
    known, depth, found = set(), 0, []
    for line in text.split("\n"):
        match = next(filter(None, (re.fullmatch(form, line) for form in forms)), None)
        assert match, f"no line of such a diagram: {line!r}"
        parts = {name: part for name, part in match.groupdict().items() if part is not None}
        depth += ("open" in parts) - ("close" in parts)
        assert depth >= 0 and (forms is BOXES or depth < 2)
        assert parts.get("new") not in known
        known |= {parts["new"]} if "new" in parts else set()
        assert {parts.get("sender"), parts.get("receiver"), *parts.get("over", "").split(",")} - {None, ""} <= known
        found.append({**parts, "depth": depth})
    assert re.fullmatch(forms[0], text.split("\n")[0]) and depth == 0
    return found


def shown(text: str) -> list[str]:
    """The lines of a label as a browser shows them."""
    return [re.sub(r"#(\d+);", lambda code: chr(int(code[1])), line) for line in text.split("<br/>")]


def traced(name, variant, *request, **options):
    return calisim.load(ROOT / "scenarios" / f"{name}.yaml").build(variant).trace(*request, **options)


@pytest.mark.parametrize(("name", "variant", "request_"), JOURNEYS)
def test_a_journey_is_a_sequence_diagram_of_its_ladder(name, variant, request_):
    trace = traced(name, variant, *request_)
    made, found = ladder(trace), parsed(mermaid.journey(trace))
    assert [shown(one["label"]) for one in found if "label" in one] == [station.lines() for station in made.stations]
    legs = [row for way in made.ways for row in way.rows if isinstance(row, Leg)]
    messages = [one for one in found if "message" in one]
    assert [(one["sender"], one["head"], one["receiver"]) for one in messages] == [
        (f"s{leg.start}", "x" if leg.lost else ">>", f"s{leg.end}") for leg in legs]
    assert [shown(one["message"]) for one in messages] == [
        [line for header in leg.headers for line in header_lines(header)] for leg in legs]
    assert sum("open" in one for one in found) == sum(bool(leg.wrapping) for leg in legs)


def test_a_loss_says_why_and_by_whose_line():
    found = parsed(mermaid.journey(traced("s02-check-still-on", "as-is", "web-a-1-0", "web-a-2-0")))
    notes = [shown(one["note"]) for one in found if "note" in one]
    assert notes[-1][0] == "✕ SOURCE_CHECK" and "s02-check-still-on.yaml:34" in "".join(notes[-1])


@pytest.mark.parametrize(("path", "edits"), MAPS)
def test_a_map_is_a_flowchart_of_its_atlas(path, edits):
    network = calisim.load(ROOT / path, set=edits).build()
    made, found = atlas(network), parsed(mermaid.topology(network), BOXES)
    labels = {one["new"]: " · ".join(shown(one["label"])) for one in found if "new" in one}
    for number, cloud in enumerate(made.clouds):
        assert labels[f"v{number}"] == f"{cloud.name} · {cloud.says}"
        for position, subnet in enumerate(cloud.subnets):
            assert labels[f"v{number}s{position}"] == " · ".join(subnet.lines)
            for place, node in enumerate(subnet.inside):
                assert labels[f"v{number}s{position}_{place}"] == " · ".join(node.lines)
    links = {(one["sender"], one["receiver"]) for one in found if "sender" in one}
    assert {(f"r{number}", f"v{number}s{position}") for number, cloud in enumerate(made.clouds)
            for position in range(len(cloud.subnets))} <= links
    assert labels.get("note", "") == made.note


@given(st.one_of(st.text(), st.sampled_from(NAMES)))
def test_no_name_gets_out_of_its_text(name):
    text = mermaid.quoted(name)
    assert re.fullmatch(TEXT, text) or not text
    assert shown(text) == [clean(name)]


@pytest.mark.parametrize("line", [
    "    s0->>s9: x", "    participant s1 as a;b", "    Note over s0: <b>", "    rect rgba(1, 2, 3, 0.5)", "end"])
def test_the_grammar_refuses_what_is_wrong(line):
    with pytest.raises(AssertionError):
        parsed(f"sequenceDiagram\n    participant s0 as a\n{line}")
