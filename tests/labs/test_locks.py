"""Which of a student's changes a lab takes: what lies at or beneath an editable path, in a step's ``set``, too."""

from __future__ import annotations

import pytest

from calisim.errors import UsageError
from calisim.labs import session
from calisim.labs.facts import MOST_STEPS, fact
from calisim.labs.lab import load
from calisim.labs.locks import locked
from calisim.labs.schema import Probe
from calisim.labs.world import World

LAB = load("3")
CHECK = "set: {nodes.*.sourceDestCheck: false}"


@pytest.mark.parametrize(("before", "after"), [
    (CHECK, "set: {nodes.a.sourceDestCheck: false, nodes.b.sourceDestCheck: false, nodes.c.sourceDestCheck: false}"),
    ("title: check off", "title: later"),
    ("ipipMode: CrossSubnet", "ipipMode: Never"),
    (f"    - title: check off\n      {CHECK}\n", ""),
])
def test_what_a_plan_is_about_may_be_changed(before: str, after: str):
    assert before in LAB.start and locked(LAB.start, LAB.start.replace(before, after), LAB.file.editable) == []


@pytest.mark.parametrize(("after", "path"), [
    ("set: {pods.app.perNode: 9}", "steps.1.set.pods.app.perNode"),
    ("set: {nodes.*.sourceDestCheck: false, traffic.mesh.size: 20}", "steps.1.set.traffic.mesh.size"),
    ("set: {nodes.*.mtu: 1500}", "steps.1.set.nodes.*.mtu"),
])
def test_a_step_sets_nothing_else(after: str, path: str):
    told = locked(LAB.start, LAB.start.replace(CHECK, after), LAB.file.editable)
    assert [problem.path for problem in told] == [path]


def test_a_story_is_looked_at_as_far_as_it_is_short():
    long = LAB.start.replace(CHECK, CHECK + "".join(f"\n    - title: again {n}\n      {CHECK}" for n in range(MOST_STEPS)))
    with pytest.raises(UsageError, match="52 steps under steps: are more than the 50"):
        fact(World(LAB.start, long), Probe(fact="lost_in_story", about={"traffic": "mesh"}))


@pytest.mark.parametrize("name", ["scenario", "answers"])
def test_a_students_file_is_bounded(name: str):
    texts = {"scenario": LAB.start, "answers": ""}
    with pytest.raises(UsageError, match="more than the 1,048,576 that a lab reads"):
        session.world(LAB, **{**texts, name: texts[name] + "#" * (session.MOST_LETTERS + 1)})
