"""The parts that all resources share: metadata, and the frame around a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .rules import Fault, Faults, Relation, Rule, anything, record, table, text
from .values import IS_LABEL_KEY, IS_LABEL_VALUE, IS_NAME, annotation_key

MAX_ANNOTATIONS = 256 << 10
NAMESPACE_LABEL = "projectcalico.org/namespace"

_BOOKKEEPING = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName", "generation",
    "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid",
)


def annotation_table(value: Any) -> Faults:
    """Annotation names as labels', any text as value, 256 KiB in all."""
    faults = list(table(annotation_key, text())(value))
    yield from faults
    if not faults:
        size = sum(len(name.encode()) + len((content or "").encode()) for name, content in value.items())
        if size > MAX_ANNOTATIONS:
            yield Fault(f"the annotations have {size:,} bytes; at most {MAX_ANNOTATIONS:,} are allowed")


def metadata(name: Rule = IS_NAME, *, relations: tuple[Relation, ...] = ()) -> Rule:
    """ObjectMeta with the kind's own rule for names."""
    fields: dict[str, Rule] = dict.fromkeys(_BOOKKEEPING, anything)
    fields |= {
        "name": name,
        "namespace": IS_NAME,
        "labels": table(IS_LABEL_KEY, IS_LABEL_VALUE),
        "annotations": annotation_table,
    }
    return record(fields, required=("name",), relations=relations)


def resource(
    spec: Rule, *, name: Rule = IS_NAME, meta: tuple[Relation, ...] = (), relations: tuple[Relation, ...] = (),
    needs_spec: bool = False,
) -> Rule:
    """A whole document around a spec. ``relations`` see the document."""
    return record(
        {"apiVersion": anything, "kind": anything, "metadata": metadata(name, relations=meta), "spec": spec, "status": anything},
        required=("metadata", "spec") if needs_spec else ("metadata",),
        relations=relations,
    )


def without_namespace_label(value: Mapping[str, Any]) -> Faults:
    """Calico itself puts this label on what lies in a namespace; a set must not claim it."""
    if NAMESPACE_LABEL in (value.get("labels") or {}):
        yield Fault(f"the label {NAMESPACE_LABEL} is Calico's own", "remove it", ("labels", NAMESPACE_LABEL), at_key=True)

