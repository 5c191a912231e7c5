"""Verbatim Calico and Kubernetes documents: one resource each, lists taken apart, every value with its place.

Knows how a document names itself and when one replaces another, as ``calicoctl apply`` does. Does not
know what the fields mean; that is :mod:`calisim.scenario.manifests`' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import Mark

Path = tuple[str | int, ...]


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

    def replaces(self, other: Document) -> bool:
        """True when applying this one overwrites the other: same kind and name; v1 pools also by CIDR."""
        if self.pool_cidr and other.pool_cidr and "ipPool" in (self.kind, other.kind):
            return self.pool_cidr == other.pool_cidr
        return bool(self.name) and self._identity == other._identity

    @property
    def _identity(self) -> tuple[str, str, str, str]:
        group = self.api_version.rpartition("/")[0].removeprefix("crd.")
        return group, self.kind, self.namespace, self.name


def apply(documents: Iterable[Document], more: Iterable[Document]) -> tuple[Document, ...]:
    """The documents after ``calicoctl apply -f`` of more: each replaces what it names, in its place, or is added."""
    result = list(documents)
    for document in more:
        for position, other in enumerate(result):
            if document.replaces(other):
                result[position] = document
                break
        else:
            result.append(document)
    return tuple(result)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
