"""A scenario file → Scenario: reads the file and what it names, tries every step and variant, tells all problems at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path as FilePath

from ..errors import Mark, Problem, ScenarioError
from ..parts import collector_paused
from .documents import Document
from .documents import apply as applied
from .reader import Yaml, dotted
from .scenario import Draft, File, Scenario, edit, understand
from .schema import VariantSpec
from .sources import Sources, read
from .unpack import unpack


@collector_paused()
def load(path: File, *, set: str | Iterable[str] = (), apply: File | Iterable[File] = ()) -> Scenario:
    """Read a scenario file. ``set``: PATH=VALUE texts; ``apply``: files of documents, ``-`` is standard input; or one of them.

    Raises ScenarioError with every problem of the file, of the files it names and of the edits.
    """
    return _load(path, set, apply)


@collector_paused()
def load_text(text: str, name: str) -> Scenario:
    """The scenario of a text; ``name`` is the file that messages name, in whose folder the files lie that the text names."""
    return _understood(name, text.encode("utf-8", "surrogateescape"), (), ())


def is_scenario_file(path: File) -> bool:
    """Whether a file begins with a Scenario; False for one that cannot be read, which the reader will tell."""
    shown = os.fspath(path)
    content, problem = read(FilePath(shown), shown)
    written = [] if problem is not None else Sources(FilePath(shown).parent).yaml(shown, content)[0]
    return bool(written) and _is_scenario(written[0])


def _load(path: File, set: str | Iterable[str], apply: File | Iterable[File]) -> Scenario:
    shown = os.fspath(path)
    content, problem = read(FilePath(shown), shown)
    if problem is not None:
        raise ScenarioError([problem])
    return _understood(shown, content, set, apply)


def _understood(shown: str, content: bytes, set: str | Iterable[str], apply: File | Iterable[File]) -> Scenario:
    sources = Sources(FilePath(shown).parent)
    written, problems = sources.yaml(shown, content)
    if not written or not _is_scenario(written[0]):
        raise ScenarioError(sources.illustrate(problems or [_no_scenario(shown, written)]))
    documents, faults = unpack(written[1:])
    more, faults_of_files = _manifests(written[0], sources)
    problems += [*faults, *faults_of_files]
    replaced: list[tuple[Document, Document]] = []
    in_force = applied((), [*documents, *more], replaced)
    notes = tuple(f"{new.kind} {new.name or new.pool_cidr} is described twice ({old.mark} and {new.mark}); the later one counts"
                  for old, new in replaced)
    draft = Draft(shown, written[0], in_force, sources, notes)
    draft = edit(draft, set, apply, problems)
    scenario = understand(draft, problems=problems)
    _rehearse(scenario)
    return scenario


def _is_scenario(written: Yaml) -> bool:
    value = written.value
    if not isinstance(value, dict):
        return False
    return value.get("kind") == "Scenario" or str(value.get("apiVersion", "")).startswith("calisim/")


def _no_scenario(file: str, written: list[Yaml]) -> Problem:
    start = "begin it with apiVersion: calisim/v1 and kind: Scenario"
    if not written:
        return Problem(Mark(file), "", "the file is empty", start)
    value = written[0].value
    kind = value.get("kind") if isinstance(value, dict) else None
    what = f"is {kind}" if isinstance(kind, str) else "says no kind" if isinstance(value, dict) else "is not a mapping"
    return Problem(written[0].mark, "", f"the first document {what}; it has to be the Scenario", start)


def _manifests(written: Yaml, sources: Sources) -> tuple[list[Document], list[Problem]]:
    """Resources of the files under ``manifests:``. A faulty list is left to the schema."""
    spec = written.value.get("spec")
    names = spec.get("manifests") if isinstance(spec, dict) else None
    found: list[Document] = []
    problems: list[Problem] = []
    for position, name in enumerate(names if isinstance(names, list) else []):
        if isinstance(name, str):
            path = ("spec", "manifests", position)
            documents, faults = sources.named(name, written.mark_of(path), dotted(path))
            found += documents
            problems += faults
    return found, problems


def _rehearse(scenario: Scenario) -> None:
    """The story and every variant of the user's own are tried, so that their faults are told now, too."""
    problems: list[Problem] = []
    own = [one.name for one in scenario.spec.variants if isinstance(one, VariantSpec)]
    attempts: list[Callable[[], object]] = [lambda: list(scenario.story())]
    attempts += [partial(scenario.with_variant, name) for name in own]
    for attempt in attempts:
        try:
            attempt()
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(scenario.draft.sources.illustrate(problems))
