"""What the pictures show: the numbers and words of the answers, each text on the sheet, nothing twice and nothing late."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="no tests of pictures: matplotlib is not installed")

import calisim  # noqa: E402
from calisim.analysis.compare import compare  # noqa: E402
from calisim.analysis.flows import Flows  # noqa: E402
from calisim.report.atlas import atlas  # noqa: E402
from calisim.report.plots import comparison, fates, journey, outcomes, topology  # noqa: E402
from tests.report.diagrams import MAPS  # noqa: E402
from tests.report.plots.test_canvas import inches, outside, texts  # noqa: E402

ROOT = Path(__file__).parents[3]
THREE, TWO = ROOT / "scenarios" / "three-az.yaml", ROOT / "tests" / "cases" / "scenarios" / "two-zones.yaml"
SCENARIOS = [ROOT / "scenarios" / f"{name}.yaml" for name in (
    "host-endpoints", "s07-node-ports", "s11-static-routes-quota", "s14-ipam-borrowing", "shop-default-deny", "three-az")]


def ran(path, variant="as-is", **options):
    network = calisim.load(path, **options).build(variant)
    flows = Flows(network)
    return network, network.run(watch=flows, keep=False), flows


@pytest.fixture(scope="module")
def compared():
    return compare(calisim.load(THREE))


def test_a_comparison_shows_each_variant_its_losses_and_what_it_costs(compared):
    shown = texts(comparison.picture(compared).svg())
    for report in compared.variants:
        assert report.id in shown
    assert {"✕ FABRIC_NO_ROUTE", "IPIP +20 B", "VXLAN +50 B", "92.2 %", "1.98 MB · 5.9 %", "pod MTU 9,001 B"} <= set(shown)
    assert any("the same 42,936 packets" in text for text in shown)


def test_many_variants_and_long_names_stay_on_the_sheet(compared):
    report = compared.variants[-1]
    many = tuple(replace(report, id=f"v{number}-{'long長い' * 20}") for number in range(45))
    picture = comparison.picture(replace(compared, variants=many, answer="word " * 500))
    assert outside(picture) == [] and inches(picture.png())[1] < 30
    assert any("5 more variants" in text for text in texts(picture.svg()))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_run_stays_on_the_sheet(path):
    assert outside(outcomes.picture(*ran(path))) == []


def test_a_run_shows_scopes_and_zones():
    shown = texts(outcomes.picture(*ran(THREE, "calico-no-encap")).svg())
    assert {"28,800 packets", "✕ FABRIC_NO_ROUTE", "from us-east-1a", "to us-east-1c", "to outside"} <= set(shown)
    assert shown.count("FABRIC_NO_ROUTE") == 6                   # every pair of different zones


def test_the_matrix_adds_up_to_the_run():
    network, run, flows = ran(THREE, "calico-no-encap")
    cells = outcomes.matrix(network, flows).cells
    assert sum(cell.sent for cell in cells.values()) == run.tally.sent
    assert sum(cell.arrived for cell in cells.values()) == run.tally.success
    assert cells["us-east-1a", "us-east-1b"] == (4800, 0, "FABRIC_NO_ROUTE")
    assert cells["us-east-1a", "us-east-1a"].arrived == cells["us-east-1a", "us-east-1a"].sent


def test_a_zone_with_the_name_of_another_cell_stands_there_once():
    network, run, flows = ran(TWO, set=["vpcs.prod.subnets.*.zone=outside"])
    zones = outcomes.matrix(network, flows)
    assert zones.senders == ["outside"] == zones.receivers and sum(cell.sent for cell in zones.cells.values()) == run.tally.sent


def test_answers_are_counted_and_said():
    network = calisim.load(TWO).build()
    flows = Flows(network)
    run = network.run(watch=flows, replies=True)
    assert sum(cell.sent for cell in outcomes.matrix(network, flows).cells.values()) == run.tally.sent == 2 * run.sent.sent
    assert "72 packets, 100 % arrived, answers included" in texts(outcomes.picture(network, run, flows).svg())


def test_the_least_of_many_losses_share_a_look():
    rows = [{"native": 5, **{f"✕ REASON_{number}": 100 - number for number in range(9)}}]
    looked = fates.looks(rows)
    assert len(set(looked.values())) == 1 + len(fates.LOST)
    assert [looked[f"✕ REASON_{number}"].title for number in (0, 4, 8)] == ["✕ REASON_0", "✕ other losses", "✕ other losses"]
    assert len({(look.colour, look.hatch) for look in looked.values()}) == len(set(looked.values()))


def test_fates_are_those_of_the_tally():
    _, run, _ = ran(THREE, "calico-no-encap")
    assert sum(fates.fates(run.tally).values()) == run.tally.sent
    assert fates.fates(run.tally, "other-subnet") == {"✕ FABRIC_NO_ROUTE": 28_800}


@pytest.mark.parametrize(("path", "variant", "request_"), [
    (THREE, "overlay-vxlan", ("shop/web-a-1-0", "shop/db-5", 5432)), (THREE, "calico-no-encap", ("shop/web-a-1-0", "shop/db-5")),
    (THREE, "as-is", ("shop/web-a-1-0", "shop/db-0")), (THREE, "as-is", ("shop/web-a-1-0", "host/api", 443)),
    (ROOT / "scenarios" / "s02-check-still-on.yaml", "as-is", ("web-a-1-0", "web-a-2-0"))])
def test_a_journey_stays_on_the_sheet_and_shows_every_header(path, variant, request_):
    trace = calisim.load(path).build(variant).trace(*request_)
    picture = journey.picture(trace)
    assert outside(picture) == []
    shown = " ".join(texts(picture.svg()))
    for way in trace.ways:
        for step in way.steps[:-1]:
            for header in step.headers:
                assert f"TTL {header.ttl} · {header.length:,} B" in shown
    if trace.request.loss:
        assert f"✕ {trace.request.loss.reason.name}" in shown and "never reached" in shown


@pytest.mark.parametrize(("path", "edits"), MAPS)
def test_a_map_stays_on_the_sheet_and_names_everything(path, edits):
    network = calisim.load(ROOT / path, set=edits).build()
    picture = topology.picture(network)
    assert outside(picture) == []
    shown, made = set(texts(picture.svg())), atlas(network)
    for cloud in made.clouds:
        assert {cloud.name, cloud.says} <= shown and ("internet gateway" in shown) == cloud.gateway
        for subnet in cloud.subnets:
            assert subnet.name in shown
            assert all({node.name, node.says[0], *(pod.name for pod in node.inside)} <= shown for node in subnet.inside)


def test_every_way_out_begins_outside():
    """None from VPC to VPC: that would be a peering."""
    more = "vpcs.more={cidrs: [10.9.0.0/16], internetGateway: true, subnets: {c: {cidr: 10.9.0.0/24}}}"
    axes, = topology.picture(calisim.load(TWO, set=more).build()).figure.axes
    outside_, *clouds = [patch for patch in axes.patches if patch.get_linewidth() == 1.6 or patch.get_y() == 0.9]
    ways = [list(zip(*line.get_data(), strict=True)) for line in axes.lines]
    assert len(ways) == len(clouds) == 2
    below, right = outside_.get_y() + outside_.get_height(), outside_.get_x() + outside_.get_width()
    for way, cloud in zip(ways, clouds, strict=True):
        assert way[0][1] == pytest.approx(below) or way[0][0] == pytest.approx(right)
        assert way[-1][1] == pytest.approx(cloud.get_y())


def test_the_same_answer_gives_the_same_bytes(compared):
    for draw in (
        lambda: comparison.picture(compared), lambda: outcomes.picture(*ran(TWO)),
        lambda: topology.picture(calisim.load(TWO).build()),
        lambda: journey.picture(calisim.load(THREE).build().trace("shop/web-a-1-0", "shop/db-5")),
    ):
        first, second = draw(), draw()
        assert first.svg() == second.svg() == first.svg() and first.png() == second.png()
        assert b"<dc:date>" not in first.svg()
