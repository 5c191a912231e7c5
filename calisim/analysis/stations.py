"""Where on the map each step of a journey happens: ``node/…``, ``NAMESPACE/POD``, ``subnet/…``, ``vpc/…``, ``igw/…``, ``host/…``,
``outside``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..vocabulary import Device, Stage

if TYPE_CHECKING:
    import numpy as np

    from ..control.intent import Intent
    from .explain import Journey, Step


def stations(intent: Intent, journey: Journey) -> list[str]:
    """The place of every step, as the Intent names places."""
    return _Stations(intent).of(journey)


class _Stations:
    def __init__(self, intent: Intent) -> None:
        self._intent = intent
        self._routers = {router.name for router in intent.routers}
        self._subnets = {subnet.name for subnet in intent.fabric.subnets}

    def of(self, journey: Journey) -> list[str]:
        return [self._of(step, journey) for step in journey.steps]

    def _of(self, step: Step, journey: Journey) -> str:
        event, intent = crossed(step, journey), self._intent
        if event is not None and event["endpoint"] and (event["device"] == Device.VETH or not event["router"]):
            return intent.endpoint(int(event["endpoint"])).name
        if event is not None and event["router"]:
            return f"node/{intent.router(int(event['router'])).name}"
        if step.stage is Stage.ENDPOINT and step.crossing is None and journey.packet is not None and journey.packet["ingress"]:
            return intent.endpoint(int(journey.packet["ingress"])).name
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
