"""Whom a selector chooses: an index over label sets that looks only at those that a selector cannot rule out.

A selector that asks ``app == 'web'`` needs to be tried only on label sets that have it; of a conjunction the rarest term
counts. So ten thousand selectors of usual shape are answered without trying each on everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...selector import And, Comparison, Has, Node, Or, Selector

_NOBODY: frozenset[int] = frozenset()


class LabelIndex:
    """Answers with the positions of the label sets that match."""

    def __init__(self, labelled: Sequence[Mapping[str, str]]) -> None:
        self.labelled = labelled
        self._all = range(len(labelled))
        self._values: dict[str, dict[str, set[int]]] = {}
        self._having: dict[str, set[int]] = {}
        self._known: dict[Selector, frozenset[int]] = {}
        for position, labels in enumerate(labelled):
            for label, value in labels.items():
                self._values.setdefault(label, {}).setdefault(value, set()).add(position)
                self._having.setdefault(label, set()).add(position)

    def select(self, selector: Selector) -> frozenset[int]:
        found = self._known.get(selector)
        if found is None:
            candidates = self._candidates(selector.root)
            tried = self._all if candidates is None else candidates
            found = self._known[selector] = frozenset(
                position for position in tried if selector.matches(self.labelled[position]))
        return found

    def _candidates(self, node: Node) -> set[int] | frozenset[int] | None:
        """Positions outside of which nothing matches; None where the node rules nothing out."""
        match node:
            case Has(label):
                return self._having.get(label, _NOBODY)
            case Comparison(label, "==", value):
                return self._values.get(label, {}).get(value, _NOBODY)
            case Comparison(label, "in", values):
                by_value = self._values.get(label, {})
                return _NOBODY.union(*(by_value.get(value, _NOBODY) for value in values))
            case Comparison(label, "contains" | "starts with" | "ends with"):
                return self._having.get(label, _NOBODY)
            case And(terms):
                return min((found for term in terms if (found := self._candidates(term)) is not None), key=len, default=None)
            case Or(terms):
                parts = [self._candidates(term) for term in terms]
                return None if any(part is None for part in parts) else _NOBODY.union(*(part for part in parts if part))
            case _:
                return None
