"""YAML documents → Calico's and Kubernetes' resources, one Document each: every kind of list is taken apart.

Takes what ``calicoctl get -o yaml`` and ``kubectl get -o yaml`` print: single resources, ``kind: List``,
``IPPoolList`` and its like, and the bare list of Calico's v1 API.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import Mark, Problem
from .documents import Beneath, Document, Path
from .reader import Yaml, dotted


def unpack(documents: Iterable[Yaml]) -> tuple[list[Document], list[Problem]]:
    """All resources of the YAML documents in their order, and what is no resource."""
    found: list[Document] = []
    problems: list[Problem] = []
    for written in documents:
        unpack_value(written.value, (), written, found, problems)
    return found, problems


def unpack_value(value: Any, path: Path, written: Yaml, found: list[Document], problems: list[Problem]) -> None:
    """Append the resources that the value at the path of a YAML document holds."""
    mark = written.mark_of(path)
    if isinstance(value, list):
        for position, item in enumerate(value):
            unpack_value(item, (*path, position), written, found, problems)
        return
    if not isinstance(value, dict):
        problems.append(Problem(mark, dotted(path), "a document is a mapping with apiVersion and kind",
                                "write --- only between documents"))
        return
    problem = _unidentified(value, path, written)
    if problem is not None:
        problems.append(problem)
    elif value["kind"].endswith("List") and isinstance(value.get("items", []), list):
        for position, item in enumerate(value.get("items", [])):
            unpack_value(_as_item(value, item), (*path, "items", position), written, found, problems)
    else:
        metadata = value.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, dict) else ""
        if not isinstance(name, str):
            problems.append(Problem(written.mark_of((*path, "metadata", "name")), dotted((*path, "metadata", "name")),
                                    f"text is expected, not {name}", "write the name in quotes"))
            return
        found.append(Document(value["apiVersion"], value["kind"], name, value, mark,
                              Beneath(written.marks, path), Beneath(written.keys, path)))


def _unidentified(value: dict[str, Any], path: Path, written: Yaml) -> Problem | None:
    """The problem of a mapping that does not say what it is."""
    for key, example in (("apiVersion", "projectcalico.org/v3"), ("kind", "IPPool")):
        if not isinstance(value.get(key), str):
            what = "has no" if key not in value else "has a faulty"
            mark: Mark = written.mark_of((*path, key))
            return Problem(mark, dotted(path), f"this document {what} {key}", f"write {key}: {example} (or what it is)")
    if value["kind"] == "Scenario":
        return Problem(written.mark_of((*path, "kind")), dotted(path), "a second Scenario in one place",
                       "keep one Scenario, as the first document of its file")
    return None


def _as_item(listing: dict[str, Any], item: Any) -> Any:
    """An item of a typed list may leave out what the list says of all its items."""
    kind = listing["kind"].removesuffix("List")
    if isinstance(item, dict) and kind and "kind" not in item:
        return {"apiVersion": listing["apiVersion"], "kind": kind, **item}
    return item
