"""``answers.yaml``: the questions as comments, the student's answers behind their ids."""

from __future__ import annotations

from collections.abc import Collection
from textwrap import wrap

from ..errors import Mark, Problem, ScenarioError
from ..scenario.reader import decode, parse
from .lab import Lab
from .schema import Question, Stage

ANSWERS = "answers.yaml"


def head(lab: Lab) -> str:
    """The beginning of the file; lab and seed help to recover a lost state."""
    return (
        f"# Answers to lab {lab.name}. Write behind the colons; `calisim lab check` reads this file.\n"
        f"lab: {lab.source}\nseed: {lab.seed}\n")


def section(stage: Stage, asked: Collection[str] = ()) -> str:
    """What a stage adds, without questions that are there already."""
    if not stage.questions:
        return ""
    return f"\n# ---- {stage.title} ----\n" + "".join(_question(one) for one in stage.questions if one.id not in asked)


def asked(text: str) -> set[str]:
    """The ids of the questions that a file has, answered or not. Raises with every problem of the file."""
    return set(_mapping(text)[0])


def _question(one: Question) -> str:
    lines = [f"# {line}" for line in wrap(one.text, 116)]
    width = max(map(len, one.choices), default=0)
    lines += [f"#   {value:{width}}  {sentence}" for value, sentence in one.choices.items()]
    return "\n" + "\n".join(lines) + f"\n{one.id}:\n"


def understood(text: str) -> dict[str, str]:
    """What was answered so far. Raises with every problem of the file."""
    value, places = _mapping(text)
    problems = [
        Problem(places[key], key, "the answer is a word or a number, not a list or a mapping", "write one behind the colon")
        for key, answer in value.items() if isinstance(answer, (dict, list))]
    if problems:
        raise ScenarioError(problems)
    return {key: _word(answer) for key, answer in value.items() if answer is not None and str(answer).strip()}


def _mapping(text: str) -> tuple[dict[str, object], dict[str, Mark]]:
    """Question → what stands behind its colon, and where."""
    content, problems = decode(text.encode("utf-8", "surrogateescape"), ANSWERS)
    documents, faults = parse(content, ANSWERS) if not problems else ([], problems)
    if faults:
        raise ScenarioError(faults)
    value = documents[0].value if documents else {}
    if not isinstance(value, dict):
        raise ScenarioError([Problem(Mark(ANSWERS, 1), "", "answers are written as `question: answer`", "one on each line")])
    return ({str(key): answer for key, answer in value.items()},
            {str(key): documents[0].mark_of((key,)) for key in value})


def _word(answer: object) -> str:
    """YAML reads yes and no as truth; people write words."""
    return {True: "yes", False: "no"}[answer] if isinstance(answer, bool) else str(answer).strip()
