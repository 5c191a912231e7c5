"""The journey of one packet as the page plays it: the document of ``trace --json``, and for each step the box of the map in which
it happens."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...analysis.explain import Request, trace
from ...errors import UsageError
from ...vocabulary import Device, Stage
from .. import json as documents

if TYPE_CHECKING:
    import numpy as np

    from ...analysis.explain import Journey, Step
    from ...analysis.network import Network
    from ...control.intent import Intent


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
    boxes = _Boxes(network.intent)
    return {
        "trace": json.loads(documents.trace_document(told, network.intent)), "request": boxes.of(told.request),
        "reply": None if told.reply is None else boxes.of(told.reply)}


class _Boxes:
    """Names of the map's boxes, as the Intent names places: ``node/…``, ``NAMESPACE/POD``, ``subnet/…``, ``vpc/…``, ``igw/…``,
    ``host/…``, ``outside``."""

    def __init__(self, intent: Intent) -> None:
        self._intent = intent
        self._routers = {router.name for router in intent.routers}
        self._subnets = {subnet.name for subnet in intent.fabric.subnets}

    def of(self, journey: Journey) -> list[str]:
        return [self._box(step, journey) for step in journey.steps]

    def _box(self, step: Step, journey: Journey) -> str:
        event, intent = crossed(step, journey), self._intent
        if event is not None and event["endpoint"] and (event["device"] == Device.VETH or not event["router"]):
            return intent.endpoint(int(event["endpoint"])).name
        if event is not None and event["router"]:
            return f"node/{intent.router(int(event['router'])).name}"
        if step.stage is Stage.FABRIC and step.where in self._subnets:
            return f"subnet/{step.where}"
        if step.where in self._routers:
            return f"node/{step.where}"
        return step.where


def crossed(step: Step, journey: Journey) -> np.void | None:
    """The EVENT of a step that tells of one."""
    if step.crossing is None or journey.fates is None:
        return None
    generation, position = step.crossing
    events = journey.fates.family[generation].results.events
    assert events is not None
    return events[position]
