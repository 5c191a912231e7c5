"""Riddles: students break the quiz' healthy cluster for each other, with a ticket and hints of their own.

A riddle is one JSON document, made from an author's folder and judged when it is made and whenever it is read: no locked key is
changed, at most three places are, and each of them breaks something by itself. What is healthy is calisim's to say, not the
author's.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from ..errors import CalisimError, ScenarioError, UsageError
from ..quantities import plural
from ..scenario.schema import Section
from . import quiz
from .claims import judge_all
from .lab import CONTENT, Lab, document_of, rendered, text_of, typed
from .locks import locked
from .schema import Hints, LabFile, QuizFile
from .world import SCENARIO, World

FOLDER = CONTENT / "riddle"
TICKET = "ticket.yaml"
RIDDLE = "riddle.json"
MOST_PLACES = 3
_PREFIX = "riddle-"


def _plain(text: str) -> str:
    if not all(letter.isprintable() or letter == "\n" for letter in text):
        raise ValueError("holds characters that are no text")
    return text.strip()


def _some(text: str) -> str:
    if not text:
        raise ValueError("nothing is written here yet")
    return text


Name = Annotated[str, Field(max_length=100), AfterValidator(_plain)]
Words = Annotated[str, Field(max_length=2000), AfterValidator(_plain), AfterValidator(_some)]


class Ticket(Section):
    """What an author writes."""

    author: Name = ""
    seed: int = Field(ge=0, lt=2**32)
    ticket: Words
    nudge: Words
    where: Words
    change: Words


class Riddle(Ticket):
    """What is handed on: the ticket, and the broken scenario. ``version``: of the quiz whose shop was broken."""

    api_version: Literal["calisim/v1"] = "calisim/v1"
    kind: Literal["LabRiddle"] = "LabRiddle"
    version: int
    scenario: str = Field(max_length=200_000)


def begin(seed: int, author: str) -> dict[str, str]:
    """The files of an author's folder."""
    _, values, healthy = quiz.healthy(seed)
    values = {**values, "seed": str(seed), "author": json.dumps(author, ensure_ascii=False)}
    texts = {name: rendered(text_of(FOLDER / name), values, name) for name in ("README.md", TICKET)}
    return {**texts, SCENARIO: healthy}


def pack(ticket: str, scenario: str) -> str:
    """The riddle's text from an author's two files; raises for whatever is not fair."""
    document = document_of(ticket, TICKET)
    said = {key: value for key, value in document.value.items() if value is not None} if isinstance(document.value, dict) else {}
    words = typed(Ticket, document, {**dict.fromkeys(("ticket", "nudge", "where", "change"), ""), **said})
    made = Riddle(**words.model_dump(), version=quiz.healthy(words.seed)[0].version, scenario=scenario)
    lab_of(made)
    return written(made)


def written(riddle: Riddle) -> str:
    """The file that is handed on."""
    return json.dumps(riddle.model_dump(by_alias=True), indent=1, ensure_ascii=False) + "\n"


def load(path: Path) -> Lab:
    """The lab of a riddle's file."""
    return lab_of(understood(text_of(path), str(path)))


def understood(text: str, name: str) -> Riddle:
    """A riddle somebody handed on."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"{name} is no riddle (no JSON); calisim quiz --pack makes one") from None
    try:
        return Riddle.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "it"
        raise UsageError(f"{name} is no riddle ({place}: {fault['msg']}); calisim quiz --pack makes one") from None


def source(riddle: Riddle) -> str:
    """How a student's folder and submission name it: by what is in it."""
    return _PREFIX + hashlib.sha256(written(riddle).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def is_riddle(source: str) -> bool:
    return source.startswith(_PREFIX)


def lab_of(riddle: Riddle) -> Lab:
    """The riddle as a lab of one stage; raises where it is not fair."""
    file, values, healthy = quiz.healthy(riddle.seed)
    if file.version != riddle.version:
        raise UsageError(f"the riddle was made for version {riddle.version} of the shop, here is version {file.version}")
    broken = riddle.scenario
    if problems := locked(healthy, broken, file.editable, f"calisim quiz --level {quiz.AUTHORS} --seed {riddle.seed}"):
        raise ScenarioError(problems)
    places = list(_places(healthy, broken))
    if faults := [*_unfair(file, healthy, places)]:
        raise UsageError("the riddle is not fair yet: " + "; ".join(faults))
    by = f" by {riddle.author}" if riddle.author else ""
    stage = quiz.stage(
        file, healthy, broken, blind=True,
        goal=f"The ticket{by}:\n\n{riddle.ticket}\n\nMake all of this hold again:",
        done=f"Healed. {plural(len(places), 'place')} had been changed.",
        hints=Hints(nudge=riddle.nudge, where=riddle.where, change=riddle.change))
    count = {1: "one thing", 2: "two things", 3: "three things"}[len(places)]
    readme = rendered(text_of(quiz.FOLDER / "README.md"), {**values, "faults": count}, "README.md")
    made = LabFile(
        lab=f"quiz-{quiz.AUTHORS}", title=file.title, version=file.version, minutes=file.minutes * len(places),
        editable=file.editable, stages=[stage])
    readme = f"{readme}\n## The ticket{by}\n\n{riddle.ticket}\n"
    return Lab(source(riddle), riddle.seed, made, broken, readme, {RIDDLE: written(riddle)})


def _places(healthy: str, broken: str) -> Iterator[tuple[int, str]]:
    """Each changed place: its first line in the broken text, and the healthy text with this one change. Lines that were
    changed one by one are places of their own, those that are new or gone are one as they stand together.
    """
    old, new = healthy.splitlines(keepends=True), broken.splitlines(keepends=True)
    for what, begin, end, line, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "replace" and end - begin == last - line:
            for here, there in zip(range(begin, end), range(line, last), strict=True):
                yield there + 1, "".join([*old[:here], new[there], *old[here + 1:]])
        elif what != "equal":
            yield line + 1, "".join([*old[:begin], *new[line:last], *old[end:]])


def _unfair(file: QuizFile, healthy: str, places: list[tuple[int, str]]) -> Iterator[str]:
    if not places:
        yield f"{SCENARIO} is healthy"
    if len(places) > MOST_PLACES:
        yield f"{len(places)} places of {SCENARIO} are changed, {MOST_PLACES} may be"
        return
    for line, text in places:
        try:
            world = World(healthy, text)
            if all(one.passed for one in judge_all(file.checks, world)):
                yield f"{SCENARIO}:{line}: this change breaks nothing by itself"
        except CalisimError as error:
            yield f"{SCENARIO}:{line}: this change cannot stand by itself ({str(error).splitlines()[0]})"
