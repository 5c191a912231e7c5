"""``answers.yaml``: the questions as comments, the student's answers behind their ids."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice
from textwrap import wrap

from ..errors import Mark, Problem, ScenarioError
from ..scenario.reader import decode, parse
from .lab import Lab
from .schema import Question, Stage

ANSWERS = "answers.yaml"
_MOST = 20                         # faults told at once
_LONGEST = 160                     # of a line that is shown
_NO_ANSWER = "this is no answer", "answers are written as `question: answer`, one on each line, from the left margin on"
_TAB = "a tab indents this line", "indent with blanks, YAML takes no tabs"
_QUESTION = re.compile(r"([A-Za-z0-9_-]+):(?=\s|$)")
_GLUED = re.compile(r"([a-z0-9-]+):(\S.*)")


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
    value = documents[0].value if documents else {}
    whole = isinstance(value, dict) and len(documents) < 2
    if not problems and (faults or not whole):
        faults = list(islice(_faults(content), _MOST)) or faults
        if not (faults or whole):
            faults = [Problem(Mark(ANSWERS, 1), "", *_NO_ANSWER)]
    if faults:
        raise ScenarioError(faults)
    assert isinstance(value, dict), "whatever else it is has been told"
    return ({str(key): answer for key, answer in value.items()},
            {str(key): documents[0].mark_of((key,)) for key in value})


def _faults(text: str) -> Iterator[Problem]:
    """What is no YAML, question by question: each is read alone, so that none hides another and each has its cure."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        line, begin, number = lines[number], number, number + 1
        if not line or line.isspace() or line.startswith("#"):
            continue
        if (glued := _GLUED.fullmatch(line)) is not None:
            id, answer = glued.groups()
            yield _problem(begin, len(id) + 1, id, "a blank is missing behind the colon", f"{id}: {answer}", line)
        elif (question := _QUESTION.match(line)) is None:
            yield _problem(begin, 0, "", *(_TAB if "\t" in _margin(line) else _NO_ANSWER), line)
        else:
            while number < len(lines) and (not lines[number] or lines[number][0] in " \t#"):
                number += 1
            last = next(one for one in range(number, begin, -1) if lines[one - 1].strip())
            yield from islice(_of_one(question[1], lines[begin:last], begin), 1)


def _of_one(question: str, lines: list[str], begin: int) -> Iterator[Problem]:
    """The faults of one question, whose first line is number ``begin``, counted from 0."""
    for number, line in enumerate(lines[1:], 1):
        if "\t" in _margin(line):
            yield _problem(begin + number, line.index("\t"), question, *_TAB, line)
            return
    answer = lines[0].partition(":")[2].strip()
    _, faults = parse("\n".join(lines), ANSWERS)
    for fault in faults:
        row, column = fault.mark.line - 1, fault.mark.column - 1
        if 0 < row < len(lines):
            message, hint = "not to be read as an answer of several lines", f"write `{question}: |` above, and indent every line"
        else:
            if row:                                        # what was begun in the first line never ends
                row, column = 0, len(lines[0]) - len(answer)
            colon = "mapping values are not allowed" in fault.message
            message = "a colon and a blank begin another question" if colon else f"not to be read as it is ({fault.message})"
            hint = f"put the answer in quotes: {_quoted(answer)}; or write `{question}: |`, and the answer below it, indented"
        yield _problem(begin + row, column, question, message, hint, lines[row])


def _margin(line: str) -> str:
    return line[:len(line) - len(line.lstrip())]


def _problem(number: int, column: int, question: str, message: str, hint: str, line: str) -> Problem:
    return Problem(Mark(ANSWERS, number + 1, column + 1), question, message, hint, line if len(line) < _LONGEST else "")


def _quoted(answer: str) -> str:
    """An answer between single quotes, without those that were begun."""
    if answer[:1] in ("'", '"'):
        answer = answer[1:].removesuffix(answer[0])
    return f"""'{answer.replace("'", "''")}'""" if len(answer) < _LONGEST // 2 else "'…'"


def _word(answer: object) -> str:
    """YAML reads yes and no as truth; people write words."""
    return {True: "yes", False: "no"}[answer] if isinstance(answer, bool) else str(answer).strip()
