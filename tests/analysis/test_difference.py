"""What changed between two runs of the same traffic, in a sentence and in numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

import calisim
from calisim.analysis.compare import report
from calisim.analysis.difference import difference
from calisim.analysis.network import Network

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def between(name: str, before: str, now: str):
    scenario = calisim.load(SCENARIOS / f"{name}.yaml")
    return difference(report(Network(scenario, before)), report(Network(scenario, now)))


@pytest.mark.parametrize(("name", "before", "now", "lost", "mended", "sentence"), [
    ("s02-check-still-on", "as-is", "check-off", 0, 24,
     "24 packets that were lost arrive now (before: SOURCE_CHECK), for example default/web-a-1-0 → default/web-a-2-0."),
    ("s02-check-still-on", "check-off", "as-is", 24, 0,
     "24 packets that arrived are now lost: SOURCE_CHECK, for example default/web-a-1-0 → default/web-a-2-0."),
    ("s03-one-node-forgotten", "as-is", "mended", 0, 8,
     "8 packets that were lost arrive now (before: 4 DEST_CHECK, 4 SOURCE_CHECK)"),
    ("s02-check-still-on", "as-is", "as-is", 0, 0, "Nothing changes for this traffic: every packet fares as before."),
    ("s02-check-still-on", "check-off", "overlay-ipip", 0, 0,
     "As many packets arrive as before; encapsulated 96 → 120, outer headers"),
])
def test_sentence_says_who_is_lost_and_who_arrives(name, before, now, lost, mended, sentence) -> None:
    found = between(name, before, now)
    assert (found.lost, found.mended) == (lost, mended)
    assert found.sentence.startswith(sentence)


def test_numbers_are_those_of_the_runs() -> None:
    found = {one.title: (one.before, one.now) for one in between("s02-check-still-on", "as-is", "overlay-ipip").numbers}
    assert found["Arrived"] == (108, 132) and found["Lost"] == (24, 0) and found["SOURCE_CHECK"] == (24, 0)
    assert found["Encapsulated"] == (96, 120) and found["Outer headers"] == (96 * 20, 120 * 20)


def test_packets_that_turn_both_ways_are_told_apart() -> None:
    scenario = calisim.load(SCENARIOS / "s02-check-still-on.yaml", set=["nodes.a.sourceDestCheck=false"])
    other = scenario.edited("nodes.a.sourceDestCheck=true").edited("nodes.b.sourceDestCheck=false")
    found = difference(report(Network(scenario)), report(Network(other)))
    assert (found.lost, found.mended) == (8, 8)
    assert found.sentence.count("SOURCE_CHECK") == 2 and "now lost" in found.sentence and "arrive now" in found.sentence
