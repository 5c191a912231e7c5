"""Verbatim Calico and Kubernetes documents: one resource each, lists taken apart, every value with its place.

Knows how a document names itself and when one replaces another, as ``calicoctl apply`` does. Does not
know what the fields mean; that is :mod:`calisim.scenario.manifests`' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from ..errors import Mark

Path = tuple[str | int, ...]
T = TypeVar("T")


class Beneath(Mapping[Path, Mark]):
    """The places beneath one path of a larger document, seen from there."""

    def __init__(self, marks: Mapping[Path, Mark], prefix: Path) -> None:
        self._marks, self._prefix = marks, prefix

    def __getitem__(self, path: Path) -> Mark:
        return self._marks[self._prefix + path]

    def __iter__(self) -> Iterator[Path]:
        depth = len(self._prefix)
        return (path[depth:] for path in self._marks if path[:depth] == self._prefix)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One resource as written: ``value`` is the whole mapping (read it, never change it).

    ``name`` is metadata.name, or "" where the resource has none (v1 pools are known by their CIDR).
    ``marks`` and ``keys`` give the place of a value and of its key by path inside ``value``.
    A problem needs only its mark: the reader adds the line as written.
    """

    api_version: str
    kind: str
    name: str
    value: dict[str, Any]
    mark: Mark
    marks: Mapping[Path, Mark] = field(default_factory=dict, repr=False)
    keys: Mapping[Path, Mark] = field(default_factory=dict, repr=False)
    _told: dict[Callable[..., object], object] = field(default_factory=dict, init=False, repr=False)

    def told(self, ask: Callable[[Document], T]) -> T:
        """What a function of documents says of this one. It is asked once: other documents around it change nothing."""
        if ask not in self._told:
            self._told[ask] = ask(self)
        return cast(T, self._told[ask])

    def mark_of(self, *path: str | int) -> Mark:
        """Where the value at the path stands, or its nearest ancestor that stands anywhere."""
        for length in range(len(path), 0, -1):
            mark = self.marks.get(path[:length])
            if mark is not None:
                return mark
        return self.mark

    def mark_of_key(self, *path: str | int) -> Mark:
        """Where the key of the value at the path stands: the place to point at for a key nobody knows."""
        return self.keys.get(path) or self.mark_of(*path)

    @property
    def namespace(self) -> str:
        return str(_mapping(self.value.get("metadata")).get("namespace") or "default")

    @property
    def pool_cidr(self) -> str:
        """The CIDR of an IP pool as written (v1: in metadata, v3: in spec); "" for all other kinds."""
        if self.kind == "ipPool":
            return str(_mapping(self.value.get("metadata")).get("cidr") or "")
        return str(_mapping(self.value.get("spec")).get("cidr") or "") if self.kind == "IPPool" else ""

    @property
    def references(self) -> tuple[str, ...]:
        """What ``delete:`` may call it, the shortest first: KIND/NAME or KIND/NAMESPACE/NAME, KIND.GROUP as kubectl takes it."""
        written = str(_mapping(self.value.get("metadata")).get("namespace") or "")
        plain = [self.name or self.pool_cidr] if written in ("", "default") else []
        group = self.api_version.rpartition("/")[0].removeprefix("crd.")
        kinds = (self.kind, f"{self.kind}.{group}") if group else (self.kind,)
        return tuple(f"{kind}/{name}" for kind in kinds for name in (*plain, f"{self.namespace}/{self.name}"))

    @property
    def identity(self) -> tuple[str, ...]:
        """Two documents with the same identity are one resource; () for a document without a name."""
        group = self.api_version.rpartition("/")[0].removeprefix("crd.")
        return (group, self.kind, self.namespace, self.name) if self.name else ()


def apply(
    documents: Iterable[Document], more: Iterable[Document], replaced: list[tuple[Document, Document]] | None = None,
) -> tuple[Document, ...]:
    """The documents after ``calicoctl apply -f`` of more: each replaces what it names, in its place, or is added.

    A v1 pool is known by its CIDR, so it replaces (and is replaced by) any pool of that CIDR. ``replaced`` collects
    (old, new) pairs.
    """
    result = list(documents)
    named = {document.identity: position for position, document in enumerate(result)}
    pools: dict[str, int] = {document.pool_cidr: position for position, document in enumerate(result)}
    for document in more:
        position = named.get(document.identity) if document.identity else None
        if position is None and (cidr := document.pool_cidr) in pools and cidr:
            position = pools[cidr] if "ipPool" in (document.kind, result[pools[cidr]].kind) else None
        if position is None:
            position = len(result)
            result.append(document)
        elif replaced is not None:
            replaced.append((result[position], document))
        result[position] = document
        named[document.identity] = pools[document.pool_cidr] = position
    return tuple(result)


def by_reference(documents: Iterable[Document]) -> dict[str, list[Document]]:
    """Who is meant by each reference: of many documents many may be asked for."""
    meant: dict[str, list[Document]] = {}
    for document in documents:
        for reference in document.references:
            meant.setdefault(reference, []).append(document)
    return meant


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
