"""A lab: its folder read, the seed's values put in, every fault of its data told with its place.

A folder holds ``lab.yaml`` (meta, stages, checks, hints), ``start.yaml`` (the scenario handed out) and ``README.md`` (the text).
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ..errors import Mark, Problem, ScenarioError, UsageError
from ..scenario.reader import Yaml, decode, dotted, parse
from ..scenario.schema import Section
from ..scenario.sources import read
from ..vocabulary.chance import draw, fnv1a_32
from .schema import Edit, LabFile, Stage

CONTENT = Path(__file__).parent / "content"
TEMPLATE = CONTENT / "template"
_WORDS = {"missing": "this is missing", "extra_forbidden": "nobody knows this key"}
S = TypeVar("S", bound=Section)
_VARIABLE = re.compile(r"\$\{([a-z_0-9]+)\}")


@dataclass(frozen=True)
class Lab:
    """A lab as one student has it: all texts with the seed's values. ``source`` names it in a student's folder; ``beside``
    are files that the folder needs in order to find the lab again.
    """

    source: str
    seed: int
    file: LabFile
    start: str
    readme: str
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.file.lab

    @property
    def stages(self) -> list[Stage]:
        return self.file.stages

    def stage(self, id: str) -> Stage:
        for stage in self.stages:
            if stage.id == id:
                return stage
        raise UsageError(f"lab {self.name} has no stage {id!r}; there are {', '.join(one.id for one in self.stages)}")

    def position(self, id: str) -> int:
        return self.stages.index(self.stage(id))

    @cached_property
    def solved(self) -> dict[str, str]:
        """The scenario's text after each stage's solution."""
        texts, text = {}, self.start
        for stage in self.stages:
            text = edited(text, stage.solution, f"solution of stage {stage.id}")
            texts[stage.id] = text
        return texts

    def before(self, id: str) -> str:
        """The scenario's text with which a stage begins where all went well."""
        position = self.position(id)
        return self.solved[self.stages[position - 1].id] if position else self.start


def edited(text: str, edits: list[Edit], what: str) -> str:
    """A text with places replaced; each of them has to be there exactly once."""
    for edit in edits:
        if (count := text.count(edit.replace)) != 1:
            raise UsageError(f"{what}: {edit.replace!r} is in the scenario {count} times, not once")
        text = text.replace(edit.replace, edit.by)
    return text


def folders() -> dict[str, Path]:
    """The labs of the package by number and name, as in ``01-follow-one-packet``."""
    return {path.name: path for path in sorted(CONTENT.glob("[0-9][0-9]-*"))}


def find(name: str) -> tuple[str, Path]:
    """A lab by number (``3``, ``03``), name, or the folder of one's own: how it is called from now on, and where it lies."""
    own = Path(name)
    if (own / "lab.yaml").is_file():
        return str(own.resolve()), own
    known = folders()
    for folder, path in known.items():
        number, _, title = folder.partition("-")
        if name in (folder, title) or (name.isdecimal() and len(name) < 5 and int(name) == int(number)):
            return folder, path
    near = difflib.get_close_matches(name, [*known, *(folder.partition("-")[2] for folder in known)], 1)
    cure = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise UsageError(f"there is no lab {name!r}; {cure} (a lab of your own is named by its folder, which holds lab.yaml)")


def load(name: str, seed: int = 1) -> Lab:
    """A lab with the values that the seed draws."""
    source, folder = find(name)
    plain = _lab_file(folder / "lab.yaml", {})
    values = drawn(plain.vary, seed, plain.lab)
    file = _lab_file(folder / "lab.yaml", values)
    start, readme = (rendered(text_of(folder / part), values, str(folder / part)) for part in ("start.yaml", "README.md"))
    return Lab(source, seed, file, edited(start, file.prepare, "prepare"), readme)


def drawn(lists: Sequence[Sequence[Mapping[str, str]]], seed: int, name: str) -> dict[str, str]:
    """One row of each list of ``vary``."""
    return {
        key: value for number, rows in enumerate(lists)
        for key, value in rows[draw(seed, fnv1a_32(name), number) % len(rows)].items()}


def rendered(text: str, values: Mapping[str, str], where: str) -> str:
    """``${name}`` filled in; a name that nobody draws is a fault of the lab."""
    unknown = sorted({name for name in _VARIABLE.findall(text) if name not in values})
    if unknown:
        raise UsageError(f"{where}: {', '.join(f'${{{name}}}' for name in unknown)} is drawn by no row of vary")
    return _VARIABLE.sub(lambda found: values[found[1]], text)


def seed_of(student: str) -> int:
    """The seed of a student's name: the same everywhere, another for everyone."""
    return int.from_bytes(hashlib.sha256(student.encode("utf-8", "surrogateescape")).digest()[:4], "big")


def text_of(path: Path, *, regular: bool = False) -> str:
    """A file of a lab. ``regular``: of somebody else, who may have put there what never ends."""
    content, problem = read(path, str(path), regular=regular)
    if problem is not None:
        raise ScenarioError([problem])
    text, problems = decode(content, str(path))
    if problems:
        raise ScenarioError(problems)
    return text


def document_of(text: str, name: str) -> Yaml:
    """The one YAML document of a text."""
    documents, problems = parse(text, name)
    if not problems and len(documents) != 1:
        problems = [Problem(Mark(name), "", f"one YAML document is expected, not {len(documents)}", "begin with lab: NAME")]
    if problems:
        raise ScenarioError(problems)
    return documents[0]


def typed(kind: type[S], written: Yaml, value: object) -> S:
    """A value against its model; faults have the places of what was written."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ScenarioError([_problem(written, fault) for fault in error.errors(include_url=False)]) from None


def _lab_file(path: Path, values: Mapping[str, str]) -> LabFile:
    """The typed lab.yaml, with values put in where there are any."""
    text = text_of(path)
    written = document_of(rendered(text, values, str(path)) if values else text, str(path))
    return typed(LabFile, written, written.value)


def _problem(written: Yaml, fault: object) -> Problem:
    assert isinstance(fault, dict)
    path = tuple(fault["loc"])
    message = _WORDS.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ")
    return Problem(written.mark_of(path), dotted(path), message, "docs/labs.md tells what a lab may say")
