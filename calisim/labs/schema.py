"""What a ``lab.yaml`` may say: one pydantic model per section. Keys are camelCase in YAML and snake_case here.

Knows the shape alone; that facts exist and that choices hold the truth is found by :mod:`calisim.labs.selftest`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ..scenario.schema import Expectation, Section

Value = str | int | bool
NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"


class Probe(Section):
    """One question to the simulator: the name of a fact, and what it is asked about.

    ``on``: the scenario as handed out, or as it is now. ``variant`` and ``set`` change it for this question; ``step`` asks
    after so many steps of its story, -1 after the last.
    """

    fact: str
    about: dict[str, Any] = {}
    on: Literal["start", "now"] = "now"
    variant: str = "as-is"
    step: int = Field(0, ge=-1)
    set: list[str] = []


class Claim(Section):
    """Something that holds or does not: an expectation, a fact compared, or the answer that a student gave."""

    expect: Expectation | None = None
    ask: Probe | None = None
    answer: str | None = Field(None, description="id of a question")
    equals: Value | None = Field(None, alias="is")
    differs: Value | None = Field(None, alias="isNot")
    at_most: int | None = None
    at_least: int | None = None

    @model_validator(mode="after")
    def _one_subject(self) -> Claim:
        bounds = [value for value in (self.equals, self.differs, self.at_most, self.at_least) if value is not None]
        if sum(subject is not None for subject in (self.expect, self.ask, self.answer)) != 1:
            raise ValueError("say one of expect, ask and answer")
        if bool(bounds) == (self.expect is not None):
            raise ValueError("compare ask and answer with is, isNot, atMost or atLeast; expect says itself what it expects")
        return self


class Check(Claim):
    """A claim with the public sentence that a student reads."""

    says: str


class Question(Section):
    """``choices``: value → sentence. ``truth`` is what the simulator is asked, ``see`` the command that shows it. ``help`` is
    for the last hint: where to look in what ``see`` prints; for a prediction, what to think of.
    """

    id: str = Field(pattern=NAME)
    text: str
    choices: dict[str, str] = {}
    truth: Probe
    see: str
    because: str = ""
    help: str = ""


class Edit(Section):
    """A change of the scenario's text: ``replace`` stands in it exactly once."""

    replace: str = Field(min_length=1)
    by: str


class Wrong(Section):
    """A state that students get into, tried by the selftest: edits of the solved stage, or answers given."""

    edits: list[Edit] = []
    answers: dict[str, Value] = {}


class StateHint(Section):
    """A hint that is due when a wrong state is recognised."""

    when: Claim
    text: str


class Hints(Section):
    """Three grades, and those that know the state."""

    nudge: str
    where: str
    change: str
    states: list[StateHint] = []

    @property
    def grades(self) -> tuple[str, str, str]:
        return self.nudge, self.where, self.change


class Stage(Section):
    """``predict``: to be answered before the truth is told. ``ask``: to be answered rightly. ``checks``: of the scenario, with
    the reason of a failure, or ``blind``: only with the pair that fails.
    """

    id: str = Field(pattern=NAME)
    title: str
    goal: str
    predict: list[Question] = []
    ask: list[Question] = []
    checks: list[Check] = []
    hints: Hints
    solution: list[Edit] = []
    wrong: list[Wrong] = []
    blind: bool = False
    done: str = ""

    @model_validator(mode="after")
    def _something_to_do(self) -> Stage:
        if not (self.predict or self.ask or self.checks):
            raise ValueError("a stage predicts, asks or checks something")
        return self

    @property
    def questions(self) -> list[Question]:
        return [*self.predict, *self.ask]


class LabFile(Section):
    """``vary``: of each list one row is drawn by the seed; its values stand for ``${name}`` in every text of the lab.
    ``prepare`` changes the scenario before it is handed out: what the seed has broken.
    """

    lab: str = Field(pattern=NAME)
    title: str
    version: int = Field(ge=1)
    minutes: int = Field(ge=1, le=600)
    needs: list[str] = []
    editable: list[str] = []
    vary: list[list[dict[str, str]]] = []
    prepare: list[Edit] = []
    stages: list[Stage] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> LabFile:
        for ids in ([stage.id for stage in self.stages], [one.id for stage in self.stages for one in stage.questions]):
            double = {one for one in ids if ids.count(one) > 1}
            if double:
                raise ValueError(f"the id {min(double)} is there twice")
        return self


class Fault(Section):
    """Something that the quiz may break: edits of the healthy scenario, a sign by which the hints know it, and the hints."""

    id: str = Field(pattern=NAME)
    excludes: list[str] = []
    edits: list[Edit] = Field(min_length=1)
    when: Claim
    nudge: str
    where: str
    change: str


class QuizFile(Section):
    """What the healthy cluster does, what may be broken, and cures that would open too much."""

    title: str
    version: int = Field(ge=1)
    minutes: int = Field(ge=1, le=600)
    editable: list[str]
    checks: list[Check] = Field(min_length=1)
    overdone: list[list[Edit]] = []
    faults: list[Fault] = Field(min_length=1)
