"""The ladder: every leg is one of the trace, wrapped where it was wrapped, lost where it was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

import calisim
from calisim.report.ladder import MOST_ROWS, Leg, Note, bounded, ladder
from calisim.quantities import format_address
from calisim.vocabulary import Encap

ROOT = Path(__file__).parents[2]
SCENARIOS, REASONS = ROOT / "scenarios", ROOT / "tests" / "cases" / "reasons"


def made(name, variant, *request, **options):
    return ladder(calisim.load(SCENARIOS / f"{name}.yaml").build(variant).trace(*request, **options))


def told(rows):
    """(from, through, to, wrapping, lost) of a leg; (at, kind, title) of what ends a way."""
    return [
        (row.start, row.through, row.end, row.wrapping.name, row.lost) if isinstance(row, Leg) else (row.at, row.kind, row.title)
        for row in rows if isinstance(row, Leg) or row.kind != "note"]


def test_a_tunnel_is_one_leg_through_the_cloud():
    found = made("three-az", "calico-cross-subnet", "shop/web-a-1-0", "shop/db-5", port=5432)
    names = [station.name for station in found.stations]
    assert names == ["shop/web-a-1-0", "node a-1", "VPC router prod", "node b-2", "shop/db-5"]
    there, back = found.ways
    assert told(there.rows) == [
        (0, None, 1, "NONE", False), (1, 2, 3, "IPIP", False), (3, None, 4, "NONE", False), (4, "good", "")]
    assert told(back.rows) == [
        (4, None, 3, "NONE", False), (3, 2, 1, "IPIP", False), (1, None, 0, "NONE", False), (0, "good", "")]
    assert found.good and found.verdict == "request delivered, reply delivered"


@pytest.mark.parametrize(
    ("variant", "wrapping", "size"), [("overlay-ipip", Encap.IPIP, 1020), ("overlay-vxlan", Encap.VXLAN, 1050)])
def test_headers_are_those_on_the_wire(variant, wrapping, size):
    there = made("three-az", variant, "shop/web-a-1-0", "shop/db-5", port=5432).ways[0]
    legs = [row for row in there.rows if isinstance(row, Leg)]
    assert [leg.headers[-1].ttl for leg in legs] == [64, 63, 62]
    assert legs[1].wrapping is wrapping and [header.length for header in legs[1].headers] == [size, 1000]


def test_inside_a_node_there_is_no_cloud():
    found = made("three-az", "as-is", "shop/web-a-1-0", "shop/db-0", port=5432)
    assert [station.kind for station in found.stations] == ["pod", "node", "pod"]
    assert told(found.ways[0].rows) == [(0, None, 1, "NONE", False), (1, None, 2, "NONE", False), (2, "good", "")]


def test_what_a_station_is_does_not_depend_on_what_it_is_called():
    path = ROOT / "tests" / "cases" / "scenarios" / "two-zones.yaml"
    network = calisim.load(path, set=["pods.web.namespace=host", "expect=[]"]).build()
    found = ladder(network.trace("host/web-a-1-0", "host/api", port=443))
    assert {station.name: station.kind for station in found.stations if station.name.startswith("host/")} == {
        "host/web-a-1-0": "pod", "host/api": "host"}


def test_what_is_lost_in_the_cloud_ends_there_and_its_receiver_is_not_reached():
    found = made("three-az", "calico-no-encap", "shop/web-a-1-0", "shop/db-5", port=5432)
    assert told(found.ways[0].rows)[1:] == [(1, None, 2, "NONE", True), (2, "loss", "FABRIC_NO_ROUTE")]
    assert [station.name for station in found.stations if not station.reached] == ["shop/db-5"]
    assert not found.good and found.verdict == "request lost: FABRIC_NO_ROUTE" and len(found.ways) == 1


def test_what_is_lost_on_its_way_out_ends_where_it_starts():
    found = made("s02-check-still-on", "as-is", "web-a-1-0", "web-a-2-0")
    assert told(found.ways[0].rows) == [(0, None, 1, "NONE", False), (1, None, 1, "NONE", True), (1, "loss", "SOURCE_CHECK")]
    assert "s02-check-still-on.yaml:34" in found.ways[0].rows[-1].by


def test_translation_is_noted_where_it_happens():
    found = made("three-az", "as-is", "shop/web-a-1-0", "203.0.113.10", port=443)
    notes = [row for row in found.ways[0].rows if isinstance(row, Note) and row.kind == "note"]
    assert [(found.stations[note.at].name, "SNAT" in note.says) for note in notes] == [("node a-1", True)]


def test_a_circle_is_bounded():
    network = calisim.load(REASONS / "forwarding_loop.yaml").build()
    packet = next(network.waves(network.traffic_sets()[0]))[0]
    sender = network.intent.endpoint(int(packet["ingress"])).name
    found = ladder(network.trace(sender, format_address(int(packet["dst"])), 80))
    assert len(found.ways[0].rows) <= MOST_ROWS + 1 and found.ways[0].rows[-1].title == "FORWARDING_LOOP"


def test_of_many_rows_the_middle_is_left_out_and_counted():
    rows = tuple(Note(number % 2, str(number)) for number in range(200))
    kept = bounded(rows)
    assert (len(kept), kept[0], kept[-1]) == (MOST_ROWS + 1, rows[0], rows[-1])
    assert "176 more rows" in kept[MOST_ROWS // 2].says


FILES = [path for folder in (SCENARIOS, REASONS) for path in sorted(folder.glob("*.yaml")) if ".packets" not in path.name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_leg_begins_where_the_one_before_ended(path):
    """Of the first packet of each traffic set: a packet is never at two places."""
    network = calisim.load(path).build()
    for traffic in network.traffic_sets()[:4]:
        packet = next(iter(network.waves(traffic)))[0]
        sender = network.intent.endpoint(int(packet["ingress"])).name
        port = int(packet["dport"]) if packet["protocol"] in (6, 17) else None
        receiver, protocol = format_address(int(packet["dst"])), str(packet["protocol"])
        trace = network.trace(sender, receiver, port, protocol, size=int(packet["length"]))
        for way, journey in zip(ladder(trace).ways, trace.ways, strict=True):
            here = None
            for row in way.rows:
                start, end = (row.start, row.end) if isinstance(row, Leg) else (row.at, row.at)
                assert here in (None, start), (way.title, row)
                here = end
            assert way.rows[-1].title == (journey.loss.reason.name if journey.loss else "")
