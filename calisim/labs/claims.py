"""Does a claim hold? Expectations are sent as packets, facts are asked of the simulator, answers are compared as written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..analysis.expectations import check
from .facts import Fact, fact
from .schema import Claim, Question
from .world import World


@dataclass(frozen=True, slots=True)
class Judged:
    """``instead`` is what was found, ``command`` shows it."""

    passed: bool
    instead: str = ""
    command: str = ""


def judge(claim: Claim, world: World) -> Judged:
    """A claim about a student's scenario or answers; judged once for each world."""
    return judge_all([claim], world)[0]


def judge_all(claims: Sequence[Claim], world: World) -> list[Judged]:
    """Several claims: what they expect is sent through one network."""
    new = [one for one in claims if id(one) not in world.judged]
    expecting = [(one, one.expect) for one in new if one.expect is not None]
    for (one, _), checked in zip(expecting, check(world.scenario, [expect for _, expect in expecting]), strict=True):
        world.judged[id(one)] = one, Judged(checked.passed, checked.instead, checked.command)
    for one in new:
        if one.expect is None:
            world.judged[id(one)] = one, _compared(one, world)
    return [world.judged[id(one)][1] for one in claims]


def _compared(claim: Claim, world: World) -> Judged:
    if claim.answer is not None:
        given = world.answers.get(claim.answer, "")
        return Judged(bool(given) and compares(claim, given), given or "no answer")
    assert claim.ask is not None, "the schema lets no claim pass without a subject"
    found = fact(world, claim.ask)
    return Judged(compares(claim, found), f"now: {shown(found)}")


def compares(claim: Claim, found: Fact) -> bool:
    """Whether a value is what the claim says."""
    number = int(plain(found)) if plain(found).lstrip("-").isdecimal() else None
    return (
        (claim.equals is None or same(claim.equals, found)) and (claim.differs is None or not same(claim.differs, found))
        and (claim.at_most is None or (number is not None and number <= claim.at_most))
        and (claim.at_least is None or (number is not None and number >= claim.at_least)))


def truth(question: Question, world: World) -> Fact:
    """What the simulator answers to a question."""
    return fact(world, question.truth)


def same(one: object, other: object) -> bool:
    """Equal as people write it: ``1,000`` is 1000, ``IPIP`` is ipip, ``0.0.0.0/0`` is default."""
    return plain(one) == plain(other)


def plain(value: object) -> str:
    """A value without case, blanks around it, and commas between digits; the default route by its name."""
    text = str(value).strip().lower()
    if text == "0.0.0.0/0":
        return "default"
    digits = text.replace(",", "").replace("_", "").replace(" ", "")
    return digits if digits.lstrip("-").isdecimal() else text


def shown(value: Fact) -> str:
    return f"{value:,}" if isinstance(value, int) else value
