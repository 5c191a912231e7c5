"""Tiny oracles that are too simple to be wrong: a linear scan over routes."""

from __future__ import annotations

from calisim.control.intent import Adjacency, Intent
from calisim.vocabulary import AdjacencyKind, Device, DropReason

NO_ROUTE = Adjacency(AdjacencyKind.DROP, Device.NONE, 0, reason=DropReason.NO_ROUTE)


def longest_match(intent: Intent, router: int, address: int) -> Adjacency:
    """The adjacency of a router's longest route to an address; of equal prefixes the first."""
    fitting = [route for route in intent.routes_of(router) if address in route.prefix]
    return max(fitting, key=lambda route: route.prefix.length).adjacency if fitting else NO_ROUTE
