"""The journey of one packet as the page plays it: the document of ``trace --json``, and for each step the box of the map in which
it happens."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...analysis.explain import Request, trace
from ...analysis.stations import stations
from ...errors import UsageError
from .. import json as documents

if TYPE_CHECKING:
    from ...analysis.network import Network


@dataclass(frozen=True)
class Subject:
    """A packet, and how many of the traffic it stands for (0: it was asked for), with their outcome by variant."""

    request: Request
    packets: int = 0
    traffic: tuple[str, ...] = ()
    scope: str = ""
    outcomes: Mapping[str, str] = field(default_factory=dict)

    def document(self, path: str, variants: Sequence[str], edits: Sequence[str]) -> dict[str, Any]:
        one = self.request
        return {
            "from": one.a, "to": one.b, "protocol": str(one.protocol), "port": one.port, "size": one.size,
            "packets": self.packets, "traffic": list(self.traffic), "scope": self.scope, "outcomes": dict(self.outcomes),
            "commands": {variant: command(path, one, variant, edits) for variant in variants}, "told": {}}


def command(path: str, one: Request, variant: str, edits: Sequence[str]) -> str:
    """The call that prints the same journey."""
    words = ["calisim", "trace", path, one.a, one.b]
    words += ["--port", str(one.port)] if one.port is not None else []
    words += ["--protocol", str(one.protocol)] if one.protocol != "tcp" else []
    words += ["--size", str(one.size)] if one.size != 1000 else []
    words += ["--ttl", str(one.ttl)] if one.ttl != 64 else []
    words += [] if one.df else ["--no-df"]
    words += [*edits, *(["--variant", variant] if variant != "as-is" else [])]
    return shlex.join(words)


def journey(network: Network, request: Request) -> dict[str, Any] | None:
    """The Trace, and beside its steps where they are on the map; None where this variant has no such sender or receiver."""
    try:
        told = trace(network, request)
    except UsageError:
        return None
    return {
        "trace": json.loads(documents.trace_document(told)), "request": stations(network.intent, told.request),
        "reply": None if told.reply is None else stations(network.intent, told.reply)}
