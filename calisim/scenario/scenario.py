"""Scenario: what the user wrote, understood – and cheaply written differently (variants, steps, ``--set``, ``--apply``).

A :class:`Draft` is raw values and documents with their places; :func:`understand` makes a Scenario of it or
raises with every problem. All changes are made to the draft, so a text is read once only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from os import PathLike, fspath
from typing import Any

from ..errors import Mark, Problem, ScenarioError, UsageError
from . import checks, edits, manifests, pools, variants
from .documents import Document, apply, by_reference
from .faults import MAX_PROBLEMS, Reading, nearest, read_file
from .reader import Yaml, dotted
from .resources import Resources
from .schema import Place, ScenarioFile, Spec, Step, VariantSpec
from .sources import Sources
from .unpack import unpack_value

File = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Draft:
    """A scenario before it is understood.

    ``notes`` are warnings from reading, ``set_aside`` the pool documents that a step took out of force (None: no step did).
    """

    path: str
    written: Yaml
    documents: tuple[Document, ...]
    sources: Sources = field(repr=False)
    notes: tuple[str, ...] = ()
    set_aside: tuple[Document, ...] | None = None

    def assigned(self, assignments: Iterable[tuple[str, Any, Mark]], problems: list[Problem]) -> Draft:
        """With values set by dotted paths."""
        assigner = edits.Assigner(self.written)
        for path, value, mark in assignments:
            assigner.assign(path, value, mark)
        problems += assigner.problems
        return replace(self, written=assigner.written())

    def applied(self, documents: Iterable[Document]) -> Draft:
        return replace(self, documents=apply(self.documents, documents))

    def without_pools(self) -> Draft:
        """Pool documents in force are set aside."""
        kept = tuple(document for document in self.documents if not document.pool_cidr)
        aside = tuple(document for document in self.documents if document.pool_cidr)
        return replace(self, documents=kept, set_aside=(*(self.set_aside or ()), *aside))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scenario:
    """What the user wrote, typed; every value knows its file, line and column.

    ``resources`` are Calico's and Kubernetes' documents after conversion, with the variant's edits; ``assumptions``
    are sentences on what had to be supposed, ``warnings`` on what was understood but is not modelled.
    """

    draft: Draft
    file: ScenarioFile
    converted: Resources
    resources: Resources
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    variant: str = variants.AS_IS

    def __repr__(self) -> str:
        """One line; what it holds is there to be asked."""
        return f"<Scenario {self.name} from {self.path}, variant {self.variant}>"

    @property
    def path(self) -> str:
        """The file as it was named."""
        return self.draft.path

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.file.metadata.name

    @property
    def spec(self) -> Spec:
        """``spec`` as typed sections."""
        return self.file.spec

    @property
    def documents(self) -> tuple[Document, ...]:
        """Calico's and Kubernetes' documents in force, as written."""
        return self.draft.documents

    @property
    def variant_ids(self) -> tuple[str, ...]:
        """The variants that are compared if a call names none: the scenario's own, else the three classic ones."""
        listed = [one if isinstance(one, str) else one.name for one in self.spec.variants]
        return tuple(dict.fromkeys(listed)) or variants.CLASSIC

    @property
    def own_variants(self) -> Mapping[str, VariantSpec]:
        """The variants that the file itself describes."""
        return {one.name: one for one in self.spec.variants if isinstance(one, VariantSpec)}

    def select_variants(self, text: str) -> tuple[str, ...]:
        """``a,b`` or ``all`` of a command line → ids."""
        return variants.select(text, self.own_variants)

    def with_variant(self, id: str) -> Scenario:
        """The scenario as the variant has it: the documents, then the variant's edits."""
        if id == self.variant:
            return self
        if self.variant != variants.AS_IS:
            raise UsageError(f"this is variant {self.variant} already; derive {id} from the scenario itself")
        own = self.own_variants.get(id)
        if own is not None:
            return self.varied(own)
        variants.select(id, self.own_variants)
        return replace(self, resources=variants.BUILT_IN[id].edit(self.resources), variant=id)

    def varied(self, change: VariantSpec, mark: Mark | None = None) -> Scenario:
        """The scenario under a variant; one that does not stand in its file comes with the place that messages are to name."""
        written = self.draft.written
        if mark is not None:
            change.put(Place(mark, (), {}))
            written = Yaml(None, mark, {}, {})
        return replace(understand(self._changed(self.draft, change, written), self), variant=change.name)

    def after_steps(self, count: int) -> Scenario:
        """The state after the first ``count`` steps; each keeps what went before."""
        if not 0 <= count <= len(self.spec.steps):
            raise UsageError(f"there is no step {count}; the scenario has {len(self.spec.steps)}")
        return next(islice(self.story(), count - 1, None)) if count else self

    def story(self) -> Iterator[Scenario]:
        """The state after each step."""
        state = self
        for step in self.spec.steps:
            state = understand(self._changed(state.draft, step, self.draft.written), state)
            yield state

    def edited(self, set: str | Iterable[str] = (), apply: File | Iterable[File] = ()) -> Scenario:
        """With ``PATH=VALUE`` assignments and the documents of files (``-``: standard input) on top; or one of them."""
        problems: list[Problem] = []
        draft = edit(self.draft, set, apply, problems)
        _stop(problems, self.draft.sources)
        if draft is self.draft:
            return self
        changed = understand(draft, self)
        return changed.with_variant(self.variant) if self.variant in variants.BUILT_IN else replace(changed, variant=self.variant)

    def line_of(self, mark: Mark) -> str:
        """The line that a mark points at, as written."""
        return self.draft.sources.line_of(mark)

    def _changed(self, draft: Draft, change: Step | VariantSpec, written: Yaml) -> Draft:
        """The draft after a step or under a variant of the user's own, which is described in ``written``."""
        problems: list[Problem] = []
        if isinstance(change, Step) and change.pools == "none":
            draft = draft.without_pools()
        if change.set:
            draft = draft.assigned(_assignments(change, written), problems)
        draft = draft.applied(_documents(change.apply, change.path_of("apply"), draft.sources, written, problems))
        draft = replace(draft, documents=_kept(draft.documents, change, written, problems))
        _stop(problems, draft.sources)
        return draft


def edit(draft: Draft, set: str | Iterable[str], apply: File | Iterable[File], problems: list[Problem]) -> Draft:
    """``--set`` and ``--apply`` of one call; a single text or file may stand for a list of one."""
    assignments = []
    for text in [set] if isinstance(set, str) else set:
        path, value, faults = edits.parse_assignment(text)
        problems += faults
        if not faults:
            assignments.append((path, value, Mark(f"--set {path}")))
    if assignments:
        draft = draft.assigned(assignments, problems)
    for name in [apply] if isinstance(apply, (str, PathLike)) else apply:
        documents, faults = draft.sources.applied(fspath(name))
        problems += faults
        draft = draft.applied(documents)
    return draft


def understand(draft: Draft, before: Scenario | None = None, problems: Sequence[Problem] = ()) -> Scenario:
    """The scenario of a draft; raises ScenarioError with these problems and all that are found.

    ``before`` is the scenario that the draft was derived from: what did not change is not understood anew.
    """
    found = list(problems)
    sources = draft.sources
    if before is not None and before.draft.written is draft.written:
        reading = Reading(before.file)
    else:
        reading = read_file(draft.written, sources.line_of)
    if before is not None and before.draft.documents == draft.documents:
        converted, warnings = before.converted, before.warnings
        unsure = reading.unsure
    else:
        converted, told, faults = manifests.convert(draft.documents)
        warnings = (*draft.notes, *told)
        unsure = reading.unsure | ({"nodes", "pods"} if faults else set())
        found += faults
    found += reading.problems
    file = reading.file
    if file is None:
        raise ScenarioError(sources.illustrate(found))
    found += checks.check(file, converted, unsure, _written_subnets(draft.written.value) if reading.problems else ())
    awaited = [*(draft.set_aside or ()), *_documents_of_changes(file, draft, found)]
    if found:
        found += _misdirected(file, draft)
    _stop(found, sources)
    subnets = [subnet.cidr for vpc in file.spec.vpcs.values() for subnet in vpc.subnets.values()]
    resources, assumptions = pools.complete(converted, awaited, subnets, set_aside=draft.set_aside is not None)
    return Scenario(draft, file, converted, resources, warnings, assumptions)


def _misdirected(file: ScenarioFile, draft: Draft) -> list[Problem]:
    """Paths under ``set:`` of steps and variants that lead nowhere; asked where these are not going to be tried."""
    problems: list[Problem] = []
    for change in (*file.spec.steps, *file.spec.variants):
        if not isinstance(change, str) and change.set:
            draft.assigned(_assignments(change, draft.written), problems)
    return problems


def _written_subnets(value: Any) -> set[str]:
    """Names of all subnets as written, whatever else is wrong with them."""
    names: set[str] = set()
    vpcs = value.get("spec", {}).get("vpcs")
    for name, vpc in vpcs.items() if isinstance(vpcs, dict) else ():
        subnets = vpc.get("subnets") if isinstance(vpc, dict) else None
        for subnet in subnets if isinstance(subnets, dict) else ():
            names |= {subnet, f"{name}/{subnet}"}
    return names


def _assignments(change: Step | VariantSpec, written: Yaml) -> list[tuple[str, Any, Mark]]:
    return [(key, value, written.keys.get(change.path_of("set", key), change.mark)) for key, value in change.set.items()]


def _documents_of_changes(file: ScenarioFile, draft: Draft, problems: list[Problem]) -> list[Document]:
    """All documents that some step or variant applies."""
    found: list[Document] = []
    for change in (*file.spec.steps, *file.spec.variants):
        if not isinstance(change, str):
            found += _documents(change.apply, change.path_of("apply"), draft.sources, draft.written, problems)
    return found


def _documents(
    items: Iterable[str | dict[str, Any]], path: tuple[str | int, ...], sources: Sources, written: Yaml, problems: list[Problem],
) -> list[Document]:
    """Resources under an ``apply:``: files by name, or documents written in place."""
    found: list[Document] = []
    for position, item in enumerate(items):
        where = (*path, position)
        if isinstance(item, str):
            documents, faults = sources.named(item, written.mark_of(where), dotted(where))
            found += documents
            problems += faults
        else:
            unpack_value(item, where, written, found, problems)
    return found


def _kept(
    documents: tuple[Document, ...], change: Step | VariantSpec, written: Yaml, problems: list[Problem],
) -> tuple[Document, ...]:
    """The documents without those under a ``delete:``, each of which has to mean one."""
    if not change.delete:
        return documents
    named = by_reference(documents)
    gone: set[Document] = set()
    for position, reference in enumerate(change.delete):
        where = change.path_of("delete", position)
        meant = named.get(reference, [])
        if len(meant) == 1:
            gone.add(meant[0])
        elif meant:
            cure = f"write {meant[0].references[-1]}"
            problems.append(Problem(written.mark_of(where), dotted(where), f"{reference} means {len(meant)} documents", cure))
        else:
            cure = nearest(reference, (document.references[0] for document in documents))
            problems.append(Problem(written.mark_of(where), dotted(where), f"no document in force is {reference}", cure))
        if len(problems) >= MAX_PROBLEMS:
            break
    return tuple(document for document in documents if document not in gone)


def _stop(problems: Sequence[Problem], sources: Sources) -> None:
    if problems:
        raise ScenarioError(sources.illustrate(problems))
