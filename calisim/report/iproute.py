"""A node's main table as ``ip route`` prints it, and as ``ip -json route`` gives it."""

from __future__ import annotations

from typing import Any

from ..control.intent import Intent, Route
from ..quantities import format_address
from ..vocabulary import AdjacencyKind, Encap


def lines(intent: Intent, router: int) -> list[str]:
    """The table in the kernel's order: by address, of one address the longest prefix first."""
    return [line(route) for route in ordered(intent, router)]


def records(intent: Intent, router: int) -> list[dict[str, Any]]:
    """The same with the keys of ``ip -json route``, plus what calisim knows: encapsulation, MTU and who decided."""
    return [record(intent, route) for route in ordered(intent, router)]


def ordered(intent: Intent, router: int) -> list[Route]:
    """The routes of a node as the kernel's trie lists them."""
    return sorted(intent.routes_of(router), key=lambda route: (route.prefix.network, -route.prefix.length, route.metric))


def line(route: Route) -> str:
    """One line of ``ip route``."""
    words = ["blackhole"] if _blackhole(route) else []
    words.append(destination(route))
    if route.via:
        words += ["via", format_address(route.via)]
    if route.interface:
        words += ["dev", route.interface]
    if route.protocol:
        words += ["proto", route.protocol]
    if route.scope_link:
        words += ["scope", "link"]
    if route.source:
        words += ["src", format_address(route.source)]
    if route.metric:
        words += ["metric", str(route.metric)]
    if route.onlink:
        words.append("onlink")
    return " ".join(words)


def destination(route: Route) -> str:
    """``default``, a prefix, or a bare address for a /32."""
    if not route.prefix.length:
        return "default"
    return format_address(route.prefix.network) if route.prefix.length == 32 else str(route.prefix)


def record(intent: Intent, route: Route) -> dict[str, Any]:
    """One entry of ``ip -json route``; absent keys are absent there, too."""
    entry: dict[str, Any] = {"type": "blackhole"} if _blackhole(route) else {}
    entry["dst"] = destination(route)
    if route.via:
        entry["gateway"] = format_address(route.via)
    if route.interface:
        entry["dev"] = route.interface
    if route.protocol:
        entry["protocol"] = route.protocol
    if route.scope_link:
        entry["scope"] = "link"
    if route.source:
        entry["prefsrc"] = format_address(route.source)
    if route.metric:
        entry["metric"] = route.metric
    entry["flags"] = ["onlink"] if route.onlink else []
    adjacency = route.adjacency
    if adjacency.kind is AdjacencyKind.TUNNEL:
        entry["encap"] = Encap(adjacency.encap).name.lower()
    if adjacency.mtu:
        entry["mtu"] = adjacency.mtu
    decider = intent.object(adjacency.decided_by)
    if decider is not None:
        entry["decidedBy"] = {
            "kind": decider.kind, "name": decider.name, "file": decider.mark.file, "line": decider.mark.line}
    return entry


def _blackhole(route: Route) -> bool:
    return route.adjacency.kind is AdjacencyKind.DROP
