"""The last hint leads on: where to look for what is still open, what to think of before a prediction, never the answer."""

from __future__ import annotations

import pytest

from calisim.labs import session
from calisim.labs.hints import hint
from calisim.labs.lab import Lab, folders, load
from calisim.labs.world import World
from tests.labs.working import truths


def last(lab: Lab, stage: str, answers: dict[str, str]) -> tuple[str, ...]:
    """What the last hint of a stage says more than its text."""
    progress = session.begin(lab)[0].at(stage)
    world = World(lab.start, lab.before(stage), answers)
    while (told := hint(lab, progress, world)).new:
        progress = progress.hinted(told.text)
    return told.more


STAGES = [(folder, stage.id) for folder in folders() for stage in load(folder).stages if stage.questions]


@pytest.mark.parametrize(("folder", "stage"), STAGES)
def test_it_helps_with_each_open_question(folder: str, stage: str):
    lab = load(folder, 3)
    told = last(lab, stage, {})
    for one, line in zip(lab.stage(stage).questions, told, strict=True):
        assert line.startswith(f"{one.id}: ") and len(line) > len(one.id) + 20
        asked = one in lab.stage(stage).ask
        assert (one.see in line) == asked, "what is predicted is not looked up"
        assert not asked or "\n  there: " in line


def test_what_is_answered_needs_no_help():
    lab = load("1")
    right = truths(lab, "journey")
    assert [line.split(":")[0] for line in last(lab, "journey", {**right, "lost-at": "a1"})] == ["lost-at"]
    assert [line.split(":")[0] for line in last(lab, "predict", {"to-cart": "none"})] == [
        "to-shop-1", "to-stock", "to-customer", "ttl-at-stock"]
