"""A student at work: begin, check, next, restore. Pure: takes the folder's texts, gives new ones; nobody writes here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import Problem, ScenarioError, UsageError
from ..scenario.reader import dotted
from . import answers as answer_file
from .answers import ANSWERS
from .claims import Judged, judge_all, same, shown, truth
from .lab import Lab
from .locks import locked
from .progress import STATE, Progress, written
from .schema import Question, Stage
from .world import SCENARIO, World

Files = dict[str, str]
MOST_LETTERS = 1 << 20             # of a student's file


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a check: ``kind`` is predict, ask or check; ``given`` what was answered; ``command`` shows what was found.

    A prediction passes when it was made, ``right`` or not.
    """

    kind: str
    id: str
    says: str
    passed: bool
    instead: str = ""
    command: str = ""
    note: str = ""
    right: bool = False
    given: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check of a stage found."""

    stage: Stage
    items: tuple[Item, ...]

    @property
    def passed(self) -> bool:
        return all(item.passed for item in self.items)


def begin(lab: Lab, student: str = "", exam: bool = False) -> tuple[Progress, Files]:
    """Progress and files of a new folder."""
    progress = Progress(lab.source, lab.file.version, lab.seed, lab.stages[0].id, student, exam)
    return progress, {
        **lab.beside, "README.md": lab.readme, SCENARIO: lab.start,
        ANSWERS: answer_file.head(lab) + answer_file.section(lab.stages[0]),
        STATE: written(progress)}


def current(lab: Lab, progress: Progress) -> Stage:
    """The stage that is worked on."""
    if not progress.stage:
        raise UsageError("all stages of this lab are done; calisim lab submit packs the result")
    return lab.stage(progress.stage)


def world(lab: Lab, scenario: str, answers: str) -> World:
    """A student's work as the simulator sees it; raises for a faulty file and for locked keys that were changed."""
    for name, text in ((SCENARIO, scenario), (ANSWERS, answers)):
        if len(text) > MOST_LETTERS:
            raise UsageError(f"{name} has {len(text):,} characters, more than the {MOST_LETTERS:,} that a lab reads")
    given = answer_file.understood(answers)
    made = World(lab.start, scenario, given)
    made.scenario                                # noqa: B018 – its faults come before those of locked keys
    if problems := [*locked(lab.start, scenario, lab.file.editable), *_elsewhere(made)]:
        raise ScenarioError(made.scenario.draft.sources.illustrate(problems))
    return made


def _elsewhere(made: World) -> list[Problem]:
    """Documents that lie in other files: what is handed in is one scenario."""
    return [
        Problem(step.mark_of("apply", number), dotted(step.path_of("apply", number)),
                f"{item} is another file; the lab is one file", "write the document here")
        for step in made.scenario.spec.steps for number, item in enumerate(step.apply) if isinstance(item, str)]


def examine(stage: Stage, work: World, predictions: dict[str, str]) -> Report:
    """Everything that a stage wants, judged now. Predictions once recorded stay as they were made."""
    items = [_prediction(one, work, predictions) for one in stage.predict]
    if not all(item.passed for item in items):            # the truth comes when all is said
        items = [replace(item, note="", command="", right=item.passed) for item in items]
    items += [_answer(one, work) for one in stage.ask]
    for number, (check, judged) in enumerate(zip(stage.checks, judge_all(stage.checks, work), strict=True), 1):
        told = _without_reason(judged) if stage.blind else judged
        right = judged.passed
        items.append(Item("check", f"{stage.id}-{number}", check.says, right, told.instead, told.command, right=right))
    return Report(stage, tuple(items))


def _without_reason(judged: Judged) -> Judged:
    """``12 of 40 packets not, A → B: dropped (REASON)`` as far as the pair."""
    pair, _, why = judged.instead.rpartition(": ")
    return Judged(judged.passed, pair if " → " in pair else why)


def _prediction(one: Question, work: World, predictions: dict[str, str]) -> Item:
    given = predictions.get(one.id) or work.answers.get(one.id, "")
    if fault := _unreadable(one, given):
        return Item("predict", one.id, one.text, False, fault, given=given)
    found = truth(one, work)
    right = same(given, found)
    verdict = "right" if right else f"the simulator says {shown(found)}"
    return Item("predict", one.id, one.text, True, given, one.see, " – ".join(filter(None, [verdict, one.because])), right, given)


def _answer(one: Question, work: World) -> Item:
    given = work.answers.get(one.id, "")
    if fault := _unreadable(one, given):
        return Item("ask", one.id, one.text, False, fault, one.see, given=given)
    found = truth(one, work)
    right = same(given, found)
    said, note = (given, one.because) if right else (f"{given} is {_fault(given, found)}", "")
    return Item("ask", one.id, one.text, right, said, one.see, note, right, given)


def _fault(given: str, found: object) -> str:
    """A line copied whole, as ``10.1.2.0/26 via …`` or ``b2:``, is not told to be wrong, nor is a word in place of a number or
    a prefix without its length."""
    if isinstance(found, int) and not any(letter.isdigit() for letter in given):
        return "no number, and a number is asked for"
    if isinstance(found, str) and "/" in found and same(given, found.partition("/")[0]):
        return "less than was asked for: write the length of the prefix, too, behind the slash"
    holds_it = any(same(word.rstrip(":,"), found) for word in given.split())
    return "more than was asked for: write the one word only" if holds_it else "not it"


def _unreadable(one: Question, given: str) -> str:
    if not given:
        return f"no answer in {ANSWERS} yet"
    if one.choices and not any(same(given, value) for value in one.choices):
        return f"{given} is not one of these: {', '.join(one.choices)}"
    return ""


def record(progress: Progress, report: Report, work: World) -> Progress:
    """Progress after a check."""
    progress = progress.tried()
    predictions = [item for item in report.items if item.kind == "predict"]
    if all(item.passed for item in predictions):
        progress = progress.predicted({item.id: item.instead for item in predictions})
    return progress.passed(work.now) if report.passed else progress


def advance(lab: Lab, progress: Progress, answers: str) -> tuple[Progress, str]:
    """The next stage, and the answers file with its questions; "" as stage when there is none."""
    stage = current(lab, progress)
    if stage.id not in progress.checkpoints:
        raise UsageError(f"stage {stage.id} is not passed yet: calisim lab check tells what is missing, calisim lab hint helps")
    position = lab.position(stage.id) + 1
    if position == len(lab.stages):
        return progress.at(""), answers
    following = lab.stages[position].id
    return progress.at(following), with_questions(lab, following, answers)


def with_questions(lab: Lab, stage: str, answers: str) -> str:
    """The answers file with the questions of all stages up to one; what was answered stays as it is."""
    text = answers or answer_file.head(lab)
    asked = answer_file.asked(text)
    for one in lab.stages[:lab.position(stage) + 1]:
        if not asked.issuperset(question.id for question in one.questions):
            text += answer_file.section(one, asked)
    return text


def restored(lab: Lab, progress: Progress, stage: str | None) -> tuple[Progress, str]:
    """Progress and scenario at the beginning of a stage (default: the one worked on): his own where he passed what is before."""
    target = lab.stage(stage) if stage else current(lab, progress)
    position = lab.position(target.id)
    before = lab.stages[position - 1].id if position else ""
    text = progress.checkpoints.get(before) or lab.before(target.id)
    return progress.at(target.id), text
