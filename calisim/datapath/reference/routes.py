"""Longest prefix match by a dictionary per prefix length, over the routes of one router at a time."""

from __future__ import annotations

from ...control.intent import Adjacency, Intent
from ...quantities import mask_of


class Routes:
    """The main table of every router that was asked for; of equal prefixes the first counts."""

    def __init__(self, intent: Intent) -> None:
        self._intent = intent
        self._tables: dict[int, list[tuple[int, dict[int, Adjacency]]]] = {}

    def find(self, router: int, address: int) -> Adjacency | None:
        """What the longest matching route of the router says to do."""
        if router not in self._tables:
            self._tables[router] = self._table(router)
        for mask, networks in self._tables[router]:
            if (adjacency := networks.get(address & mask)) is not None:
                return adjacency
        return None

    def _table(self, router: int) -> list[tuple[int, dict[int, Adjacency]]]:
        lengths: dict[int, dict[int, Adjacency]] = {}
        for route in self._intent.routes_of(router):
            lengths.setdefault(route.prefix.length, {}).setdefault(route.prefix.network, route.adjacency)
        return [(mask_of(length), lengths[length]) for length in sorted(lengths, reverse=True)]
