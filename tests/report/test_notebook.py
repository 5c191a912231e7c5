"""HTML of answers: a few tags with styles and nothing else, whatever the names; bounded; nothing that is asked for is missing."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import calisim
from calisim.analysis.run import Run, Tally
from calisim.report import notebook
from calisim.report.labels import clean
from tests.report.diagrams import NAMES

ROOT = Path(__file__).parents[2]
TWO_ZONES = ROOT / "tests" / "cases" / "scenarios" / "two-zones.yaml"
TAGS = {"div", "strong", "table", "thead", "tbody", "tr", "th", "td", "br", "pre"}
STYLES = {
    "margin", "padding", "border", "border-bottom", "border-radius", "border-collapse", "background", "color", "text-align",
    "vertical-align", "white-space", "overflow-x", "display", "flex-wrap", "align-items", "font-size", "opacity", "min-width"}


class Reader(HTMLParser):
    """Rows of cells and all text; refuses every tag, attribute and style that is none of ours."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.rows, self.open = [], [], []

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS and {name for name, _ in attributes} <= {"style", "colspan"}
        for name, value in attributes:
            rules = [rule for rule in value.split(";") if rule] if name == "style" else []
            assert all(rule.partition(":")[0] in STYLES and "url(" not in rule for rule in rules)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "br":
            self.handle_data("\n")
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open and not reader.rawdata
    return reader


@pytest.fixture(scope="module")
def scenario():
    return calisim.load(TWO_ZONES)


def test_a_scenario_and_its_network(scenario):
    assert ["traffic", "mesh, out"] in read(scenario._repr_html_()).rows
    shown = read(scenario.build()._repr_html_()).text
    assert {"VPC prod", "subnet zone-b", "node b-1", "shop/web-b-1-1", "host/api", "internet gateway"} <= set(shown)


def test_a_run_has_a_row_for_each_outcome(scenario):
    found = read(scenario.build("calico-no-encap").run()._repr_html_())
    assert found.text[0] == "36 packets, 20 arrived, 16 lost"
    assert ["mesh", "other-subnet", "dropped", "FABRIC_NO_ROUTE", "", "16", "53.3", "16,000", "0"] in found.rows


def test_a_comparison_has_a_row_for_each_variant(scenario):
    compared = calisim.compare(scenario, ["overlay-ipip", "calico-no-encap"])
    found = read(compared._repr_html_())
    assert compared.answer in found.text
    assert [row[0] for row in found.rows] == ["Variant", "overlay-ipip", "calico-no-encap"]
    assert found.rows[2][1] == "55.6 %" and found.rows[2][-1] == "16 × FABRIC_NO_ROUTE"


def test_a_trace_tells_every_step_and_the_cure(scenario):
    told = scenario.build("calico-no-encap").trace("shop/web-a-1-0", "shop/web-b-1-0", port=80)
    found = read(told._repr_html_())
    assert [row[3].startswith("✕ FABRIC_NO_ROUTE: ") for row in found.rows].index(True) == len(told.request.steps)
    assert [row[4].split("\n") for row in found.rows[1:]] == [[*map(str, step.headers)] for step in told.request.steps]
    assert set(told.request.cure) <= set(found.text)


def test_encapsulated_steps_are_shaded(scenario):
    html = scenario.build("overlay-vxlan").trace("shop/web-a-1-0", "shop/web-b-1-0", port=80)._repr_html_()
    assert html.count(notebook.WRAPPED[2]) == 6 and notebook.WRAPPED[1] not in html


@given(st.one_of(st.text(max_size=200), st.sampled_from(NAMES)))
def test_no_name_gets_out_of_its_text(name):
    table = notebook._table(["Head", "#Count"], [[name, name]])
    box = notebook._box(clean(name), [clean(name)], "")
    text = clean(name[:notebook.LONGEST].replace("\n", " ")) + ("…" if len(name) > notebook.LONGEST else "")
    assert read(table).rows[1][0].replace("\n", " ") == text and clean(name) in "".join(read(box).text)
    read(notebook._answer(name, name, table + box))


def test_hostile_texts_of_a_scenario_stay_texts(tmp_path):
    first, *documents = yaml.safe_load_all(TWO_ZONES.read_text())
    names = [name for name in NAMES if name.isprintable()]
    first["metadata"]["description"] = " ".join(names)
    first["spec"]["steps"] = [{"title": name, "set": {"seed": 1}} for name in names]
    del first["spec"]["expect"]
    path = tmp_path / "<img src=x onerror=alert(1)>.yaml"
    path.write_text(yaml.safe_dump_all([first, *documents]))
    hostile = calisim.load(path)
    for answer in (hostile, hostile.build(), hostile.build().run(), hostile.build().trace("shop/web-a-1-0", "shop/web-b-1-0")):
        read(answer._repr_html_())


def test_nothing_is_unbounded(scenario):
    many = Run(tallies={f"set-{number}": tally for number in range(300) for tally in scenario.build().run().tallies.values()})
    found = read(many._repr_html_())
    assert len(found.rows) == notebook.MOST + 2 and any("more …" in text for text in found.text)
    large = scenario.edited(set=["nodes.a.count=200", "pods.web.perNode=20"]).build()
    assert len(large._repr_html_()) < 20_000 and "nodes and pods are shown by their number" in large._repr_html_()
    told = scenario.build().trace("shop/web-a-1-0", "shop/web-b-1-0")
    long = replace(told, request=replace(told.request, steps=told.request.steps * 40))
    assert len(long._repr_html_()) < 150_000


def test_an_empty_run_shows_itself():
    assert "0 packets" in Run(tallies={"none": Tally()})._repr_html_()
