"""Plays a case: its packets one after the other through both engines, each engine with its own state.

What comes out is a prediction: made from the case alone, without a look at what the kernel did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...datapath.engine import Engine, engine
from ...datapath.generations import Generation, generations
from ...quantities import parse_duration
from ...vocabulary import Stage, Verdict
from ...wire import icmp, ipv4
from . import packets, stack
from .case import ROUTER, Case
from .family import Family
from .hops import Hop, fate

ENGINES = ("fast", "reference")
SECOND = parse_duration("1s")
SPACING = SECOND // 10             # between two packets, where the case does not say

UNDETERMINED = {
    Stage.DEFRAGMENT: "fragments and their reassembly",
    Stage.FRAGMENT: "fragmentation",
    Stage.FABRIC: "fragmentation by the router",
    Stage.CONNTRACK: "ICMP that is neither echo nor an error",
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


@dataclass(frozen=True, slots=True)
class Wave:
    """What became of packets that were sent together: all hops, with those of their offspring, and the last one's RESULT."""

    hops: tuple[Hop, ...]
    result: np.void
    disagreement: str


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
        return self._forward(spec, sent, time)

    def _received(self, packet: str, namespace: str) -> bytes | None:
        """The last packet of that name that came in for this namespace itself."""
        for hop in reversed(self._hops.get(packet, ())):
            header, _ = ipv4.parse(hop.data)
            addressed = hop.namespace == namespace and header.dst in self._case.addresses[namespace]
            if hop.kind == "self" and addressed and hop.direction == "in" and header.protocol != ipv4.IPIP and not header.offset:
                return hop.data
        return None

    def _forward(self, spec: Mapping[str, Any], sent: list[bytes], time: int) -> Prediction:
        wave = self._wave(spec["from"], sent, time, "self", wrapped="outer" in spec, frame=spec.get("inject") == "frame")
        hops, disagreement = wave.hops, wave.disagreement
        if answer := self._answer(wave):
            kind = "error" if icmp.parse(ipv4.parse(answer)[1])[0].is_error else "reply"
            back = self._wave(hops[-1].namespace, [answer], time, kind)
            hops, disagreement = hops + back.hops, disagreement or back.disagreement
        return Prediction(
            spec["id"], spec["from"], tuple(sent), hops, fate(self._case, hops, wave.result),
            self._unmodelled(wave.result), disagreement)

    def _answer(self, wave: Wave) -> bytes | None:
        """What the stack that received it says by itself, if it is one that speaks."""
        if wave.result["verdict"] != Verdict.DELIVERED or not wave.hops or not self._case.answers(wave.hops[-1].namespace):
            return None
        return stack.answer(wave.hops[-1].data, self._case.intent.seed)

    def _wave(
        self, namespace: str, sent: list[bytes], time: int, kind: str, *, wrapped: bool = False, frame: bool = False,
    ) -> Wave:
        """Sends packets, and all that they give rise to, through both engines."""
        source = ipv4.parse(sent[0])[0].src
        ingress = self._case.sender(namespace, source).id
        rows = [packets.row(data, ingress, time, choose_source=not source, wrapped=wrapped, frame=frame) for data in sent]
        wave, headers = (np.concatenate(column) for column in zip(*rows, strict=True))
        fast, judge = (
            list(generations(one, wave, state, headers, events=True, silent=self._case.silent)) for one, state in self._engines)
        family = Family(self._case, sent, kind, wrapped=wrapped)
        for generation in fast:
            family.add(generation)
        return Wave(tuple(family.hops), fast[0].results.results[-1], _differ(fast, judge))

    def _unmodelled(self, result: np.void) -> str:
        if result["verdict"] == Verdict.UNDETERMINED:
            stage = Stage(int(result["stage"]))
            return UNDETERMINED.get(stage, f"what happens at {stage.name}")
        if int(result["dst"]) in self._case.addresses[ROUTER]:
            return "packets to the router itself"
        return self._case.unmodelled


def _differ(fast: Sequence[Generation], judge: Sequence[Generation]) -> str:
    """The first field in which the engines differ, from the wave to the last of its offspring, or ""."""
    for mine, other in zip(fast, judge, strict=False):
        for name in ("results", "events"):
            if said := _disagreement(getattr(mine.results, name), getattr(other.results, name)):
                return said
        assert mine.results.born is not None and other.results.born is not None
        for name in ("packets", "headers", "causes"):
            if said := _disagreement(getattr(mine.results.born, name), getattr(other.results.born, name)):
                return said
    return ""


def _disagreement(fast: np.ndarray, judge: np.ndarray) -> str:
    """The first field in which the engines differ, or ""."""
    if len(fast) != len(judge):
        return f"the engines differ: {len(fast)} records, the reference has {len(judge)}"
    for name in fast.dtype.names or ():
        for mine, other in zip(fast[name], judge[name], strict=True):
            if mine != other:
                return f"the engines differ: {name} is {mine}, the reference has {other}"
    return ""
