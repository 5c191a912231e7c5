"""Hints: first what the state says in which a student is, then three grades. The last one goes question by question through
what is still open: the command to run and where to look in what it prints; for a prediction, what to think of.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from . import session
from .claims import judge
from .lab import Lab
from .progress import Progress
from .schema import Question
from .world import World

GRADES = ("nudge", "where", "change")
_LAST = "last"
_VERDICT = "the line Verdict at the end"
_LAST_LINE = "the name at the beginning of the last numbered line of the request"
LOOK = {                           # fact → where a command shows it
    "fate": _VERDICT,
    "exchange": _VERDICT,
    "reason": "the word in capitals behind Reason",
    "fate_or_reason": "the word in capitals behind Reason; where there is none, the line Verdict",
    "how": "the rows that begin with outer; a packet without any is native",
    "lost_at": _LAST_LINE,
    "arrives_at": _LAST_LINE,
    "wire_protocol": "the first header above the last numbered line names the protocol; its number is asked for",
    "ttl": "the TTL in the last row of headers of the request",
    "translated_port": "the port in the last row of headers of the request",
    "largest": "dropped: the number behind MTU; delivered: that size fits",
    "route": "the first column; of all prefixes that contain the address the longest",
    "prefix_length": "the number behind the slash; an address without one is a /32",
    "next_hop": "the address behind via",
    "device": "the name behind dev; one that begins with cali is a veth",
    "rerouted": "the lines that differ from what was there at the beginning",
    "address": "the first row of headers, right of the arrow",
    "packets": "the rows whose fate is dropped; add up their column Packets",
    "arrived": "the column Fate of that traffic set's table",
    "overhead": "the column Overhead, all rows of all sets that are asked for",
    "wire": "the column On the wire, all rows of all sets that are asked for",
    "most_lost_of": "the one table with rows whose fate is dropped",
    "most_lost_at": f"{_LAST_LINE}, when it fails",
}


@dataclass(frozen=True, slots=True)
class Hint:
    """``grade``: state, one of the three, or last when there is none left. ``text`` is what is remembered as told."""

    grade: str
    text: str
    more: tuple[str, ...] = ()

    @property
    def new(self) -> bool:
        return self.grade != _LAST


def hint(lab: Lab, progress: Progress, work: World) -> Hint:
    """The next hint of the stage. The last one may be asked for again: it always is about what is open now."""
    stage = session.current(lab, progress)
    report = session.examine(stage, work, progress.predictions)
    if stage.id in progress.checkpoints and report.passed:
        raise UsageError(f"stage {stage.id} is passed, no hint is needed: calisim lab next goes on")
    given = progress.hints.get(stage.id, [])
    for one in stage.hints.states:
        if one.text not in given and judge(one.when, work).passed:
            return Hint("state", one.text)
    for grade, text in zip(GRADES, stage.hints.grades, strict=True):
        if text not in given:
            return Hint(grade, text, _open(stage.questions, report) if grade == GRADES[-1] else ())
    return Hint(_LAST, stage.hints.change, _open(stage.questions, report))


def _open(questions: list[Question], report: session.Report) -> tuple[str, ...]:
    """One line for each question without an answer that counts."""
    still = {item.id: item for item in report.items if not item.passed}
    return tuple(_line(one, predicted=still[one.id].kind == "predict") for one in questions if one.id in still)


def _line(one: Question, *, predicted: bool) -> str:
    """A prediction is thought about, not looked up."""
    look = one.help or ("" if predicted else LOOK.get(one.truth.fact, ""))
    return f"{one.id}: {look}" if predicted else f"{one.id}: {one.see}\n  there: {look}"
