"""Plays a case: its packets one after the other through both engines, each engine with its own state.

What comes out is a prediction: made from the case alone, without a look at what the kernel did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...datapath.engine import Engine, engine
from ...quantities import parse_duration
from ...vocabulary import Stage, Verdict
from ...wire import ipv4
from . import packets
from .case import ROUTER, Case
from .hops import Hop, Route, fate

ENGINES = ("fast", "reference")
SECOND = parse_duration("1s")
SPACING = SECOND // 10             # between two packets, where the case does not say

UNDETERMINED = {
    Stage.DEFRAGMENT: "fragments and their reassembly",
    Stage.FRAGMENT: "fragmentation",
    Stage.CONNTRACK: "ICMP errors, and whatever ICMP is no echo",
}


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one packet. ``unmodelled`` names what it knows that it cannot do yet."""

    id: str
    sender: str
    sent: tuple[bytes, ...] = ()
    hops: tuple[Hop, ...] = ()
    fate: Mapping[str, Any] = field(default_factory=dict)
    unmodelled: str = ""
    disagreement: str = ""         # of the two engines


class Player:
    """Both engines on the cluster of one case, and what has been delivered so far."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._engines: list[tuple[Engine, Any]] = []
        for name in ENGINES:
            made = engine(name, case.intent)
            self._engines.append((made, made.new_state()))
        self._hops: dict[str, Sequence[Hop]] = {}
        self._lacks: dict[str, str] = {}           # why a packet could not be followed to its end

    def play(self) -> list[Prediction]:
        """The predictions in the order of the packets."""
        time, predictions = SECOND, []
        for number, spec in enumerate(self._case.packets, start=1):
            predictions.append(self._send(number, spec, time))
            self._hops[spec["id"]], self._lacks[spec["id"]] = predictions[-1].hops, predictions[-1].unmodelled
            time += round(spec["wait"] * SECOND) if "wait" in spec else SPACING
        return [self._with_acknowledgements(position, predictions) for position in range(len(predictions))]

    def _with_acknowledgements(self, position: int, predictions: Sequence[Prediction]) -> Prediction:
        """TCP packets without data are told apart by their sequence number alone (that is their mark), so one that
        acknowledges exactly this number counts as the same packet on its way back."""
        prediction, mark = predictions[position], packets.sequence_mark(position + 1)
        back = [
            one for number, one in enumerate(predictions) if number != position and one.sent
            and packets.acknowledged(one.sent[0]) == mark]
        if not back or not prediction.sent or packets.sequence(prediction.sent[0]) != mark:
            return prediction
        hops = (*prediction.hops, *(hop for one in back for hop in one.hops))
        return replace(prediction, hops=hops, fate=back[-1].fate)

    def _send(self, number: int, spec: Mapping[str, Any], time: int) -> Prediction:
        namespace = spec["from"]
        about = spec.get("reply_to") or spec.get("error", {}).get("about")
        received = self._received(about, spec.get("at", namespace)) if about else None
        if about and received is None:
            return Prediction(spec["id"], namespace, fate={"end": "not sent"}, unmodelled=self._lacks.get(about, ""))
        is_node = namespace in self._case.content["nodes"]
        sent = packets.made(spec, number, self._case.addresses[namespace][0], received, is_node=is_node)
        if namespace == ROUTER:
            return Prediction(
                spec["id"], namespace, tuple(sent), fate={"end": "undetermined"}, unmodelled="packets of the router itself")
        if "outer" in spec:
            return Prediction(
                spec["id"], namespace, tuple(sent), fate={"end": "undetermined"},
                unmodelled="packets that are sent with an outer header")
        return self._forward(spec, sent, time)

    def _received(self, packet: str, namespace: str) -> bytes | None:
        """The last packet of that name that came in for this namespace itself."""
        for hop in reversed(self._hops.get(packet, ())):
            header, _ = ipv4.parse(hop.data)
            addressed = hop.namespace == namespace and header.dst in self._case.addresses[namespace]
            if addressed and hop.direction == "in" and header.protocol != ipv4.IPIP and not header.offset:
                return hop.data
        return None

    def _forward(self, spec: Mapping[str, Any], sent: list[bytes], time: int) -> Prediction:
        chooses = not ipv4.parse(sent[0])[0].src
        ingress = self._case.sender(spec["from"], ipv4.parse(sent[0])[0].src).id
        wave = np.concatenate([packets.row(data, ingress, time, choose_source=chooses) for data in sent])
        fast, judge = (forward.forward(wave, state, events=True) for forward, state in self._engines)
        assert fast.events is not None and judge.events is not None
        hops = [
            hop for row, data in enumerate(sent)
            for hop in Route(self._case, fast.events[fast.events["row"] == row], fast.results[row], data).hops()]
        result = fast.results[-1]
        return Prediction(
            spec["id"], spec["from"], tuple(sent), tuple(hops), fate(hops, result), self._unmodelled(result, hops),
            _disagreement(fast.results, judge.results) or _disagreement(fast.events, judge.events))

    def _unmodelled(self, result: np.void, hops: Sequence[Hop]) -> str:
        if result["verdict"] == Verdict.UNDETERMINED:
            stage = Stage(int(result["stage"]))
            return UNDETERMINED.get(stage, f"what happens at {stage.name}")
        if int(result["dst"]) in self._case.addresses[ROUTER]:
            return "packets to the router itself"
        legs = self._case.leg_mtus
        if any(hop.namespace == ROUTER and hop.direction == "out" and len(hop.data) > legs[hop.device] for hop in hops):
            return "the MTU of a router's leg"
        return self._case.unmodelled


def _disagreement(fast: np.ndarray, judge: np.ndarray) -> str:
    """The first field in which the engines differ, or ""."""
    if len(fast) != len(judge):
        return f"the engines differ: {len(fast)} records, the reference has {len(judge)}"
    for name in fast.dtype.names or ():
        for mine, other in zip(fast[name], judge[name], strict=True):
            if mine != other:
                return f"the engines differ: {name} is {mine}, the reference has {other}"
    return ""
