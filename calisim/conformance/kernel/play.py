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
from ...quantities import parse_address, parse_duration
from ...report.lineage import Lineage
from ...vocabulary import DropReason, EndpointKind, Stage, Verdict
from ...wire import icmp, ipv4
from ...wire.fragments import fragment, reassemble
from . import packets, stack
from .case import ROUTER, Case
from .family import Family, Member
from .hops import FRAG_NEEDED, IN, Hop, fate

ENGINES = ("fast", "reference")
SECOND = parse_duration("1s")
SPACING = SECOND // 10             # between two packets, where the case does not say

UNDETERMINED = {Stage.CONNTRACK: "ICMP that is neither echo nor an error"}


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
    filtered: frozenset[str] = frozenset()     # nodes at which reverse path filtering dropped something
    all_hops: tuple[Hop, ...] = ()     # with those that do not show what packet they belong to


@dataclass(frozen=True, slots=True)
class Wave:
    """What became of packets that were sent together, and of all that they gave rise to, in the order of the hops."""

    members: tuple[Member, ...]
    disagreement: str

    @property
    def hops(self) -> tuple[Hop, ...]:
        return tuple(hop for member in self.members for hop in member.hops)

    def filtered(self, case: Case) -> frozenset[str]:
        """The nodes at which reverse path filtering dropped something of it."""
        return frozenset(
            case.intent.router(int(member.result["where"])).name for member in self.members
            if member.result["reason"] == DropReason.RPF)


class Player:
    """Both engines on the cluster of one case, and what has been delivered so far."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._engines: list[tuple[Engine, Any]] = []
        for name in ENGINES:
            made = engine(name, case.intent)
            self._engines.append((made, made.new_state()))
        self._lineage = Lineage(case.tunnels)
        self._heard: set[tuple[int, int]] = set()      # source and destination of which a path MTU was told to a socket
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
        """TCP packets are told apart by their sequence number, too (without data that is their only mark), so one that
        acknowledges exactly this number counts as the same packet on its way back; of its pieces those that show it."""
        prediction, mark = predictions[position], packets.sequence_mark(position + 1)
        back = [
            one for number, one in enumerate(predictions) if number != position and one.sent
            and packets.acknowledged(one.sent[0]) == mark]
        if not back or not prediction.sent or packets.sequence(prediction.sent[0]) != mark:
            return prediction
        shown = (hop for one in back for hop in one.all_hops if mark.to_bytes(4, "big") in hop.data)
        hops, filtered = (*prediction.hops, *shown), prediction.filtered.union(*(one.filtered for one in back))
        return replace(prediction, hops=hops, fate=fate(self._case, hops, filtered))

    def _send(self, number: int, spec: Mapping[str, Any], time: int) -> Prediction:
        namespace = spec["from"]
        about = spec.get("reply_to") or spec.get("error", {}).get("about")
        received = self._received(about, spec.get("at", namespace)) if about else None
        if about and received is None:
            return Prediction(spec["id"], namespace, fate={"end": "not sent"}, unmodelled=self._lacks.get(about, ""))
        is_node = namespace in self._case.content["nodes"]
        whole = packets.made(
            spec, number, self._case.addresses[namespace][0], received, is_node=is_node, limit=self._limit(spec))
        if namespace == ROUTER:
            return Prediction(
                spec["id"], namespace, (whole,), fate={"end": "undetermined"}, unmodelled="packets of the router itself")
        return self._forward(spec, number, whole, time)

    def _limit(self, spec: Mapping[str, Any]) -> int:
        """The longest packet that the sender's kernel knows to fit: its device's MTU, or the path's if it has learnt that."""
        if spec.get("inject") != "socket":
            return ipv4.LONGEST
        dst = parse_address(spec["ip"]["dst"])
        sender = self._case.sender(spec["from"], 0)
        return min(self._case.device_mtu(sender, dst), self._path_mtu(sender.address, dst))

    def _path_mtu(self, src: int, dst: int) -> int:
        """What the sender's stack has learnt of the path, if it had a socket to be told by."""
        if (src, dst) not in self._heard:
            return ipv4.LONGEST
        known = self._engines[0][1].path_mtus()
        mtus = known["mtu"][(known["src"] == src) & (known["dst"] == dst)]
        return int(mtus.min()) if len(mtus) else ipv4.LONGEST

    def _received(self, packet: str, namespace: str) -> bytes | None:
        """The last packet of that name that came in for this namespace itself."""
        for hop in reversed(self._hops.get(packet, ())):
            header, _ = ipv4.parse(hop.data)
            addressed = hop.namespace == namespace and header.dst in self._case.addresses[namespace]
            if hop.kind == "self" and addressed and hop.direction == IN and header.protocol != ipv4.IPIP and not header.offset:
                return hop.data
        return None

    def _forward(self, spec: Mapping[str, Any], number: int, whole: bytes, time: int) -> Prediction:
        sent = packets.split(whole, spec)
        going, refused = self._accepted(spec, sent)
        wave = self._wave(spec["from"], going, time, "self", whole, wrapped="outer" in spec, frame=spec.get("inject") == "frame")
        told = self._told_itself(spec["from"], wave) if refused else ()
        hops, disagreement = (*wave.hops, *told), wave.disagreement
        if answer := self._answer(wave):
            namespace, data = answer
            back = self._wave(namespace, self._host_cuts(namespace, data), time, _kind(data), data)
            hops, disagreement = hops + back.hops, disagreement or back.disagreement
        identification = None if spec.get("inject") == "socket" else ipv4.parse(whole)[0].id
        seen = [hop for hop in hops if packets.is_recognised(hop.data, number, identification)]
        filtered = wave.filtered(self._case)
        end = {"end": "not sent"} if refused else fate(self._case, seen, filtered)
        return Prediction(
            spec["id"], spec["from"], (whole,), tuple(seen), end, self._unmodelled(wave), disagreement, filtered, hops)

    def _accepted(self, spec: Mapping[str, Any], sent: Sequence[bytes]) -> tuple[Sequence[bytes], bool]:
        """What the sender's kernel takes, up to the first that it refuses (EMSGSIZE): one longer than its device's MTU, which
        goes nowhere (raw_send_hdrinc), or one with DF that it knows not to fit the way, which is lost in its own stack."""
        if spec.get("inject") == "socket":
            return self._host_cuts(spec["from"], sent[0]), False
        for position, data in enumerate(sent):
            header, _ = ipv4.parse(data)
            sender = self._case.sender(spec["from"], header.src)
            if len(data) > self._case.device_mtu(sender, header.dst):
                return sent[:position], True
            if spec.get("inject") != "frame" and header.dont_fragment and len(data) > self._path_mtu(header.src, header.dst):
                return sent[:position + 1], True
        return sent, False

    def _host_cuts(self, namespace: str, whole: bytes) -> list[bytes]:
        """An outside host's own stack cuts what it sends to its MTU; those of pods and nodes are the model's affair."""
        sender = self._case.sender(namespace, ipv4.parse(whole)[0].src)
        return fragment(whole, sender.mtu) if sender.kind is EndpointKind.HOST else [whole]

    def _told_itself(self, namespace: str, wave: Wave) -> Sequence[Hop]:
        """The sender's own stack that refuses a packet for its path MTU says so to the socket, by its loopback device."""
        lost = [member for member in wave.members if member.result["reason"] == DropReason.MTU_EXCEEDED and not member.hops]
        if not lost or ipv4.parse(lost[0].data)[0].offset:
            return ()
        header, _ = ipv4.parse(lost[0].data)
        error = stack.too_big(lost[0].data, self._path_mtu(header.src, header.dst), self._case.intent.seed)
        return (Hop("error", namespace, "lo", IN, error),)

    def _answer(self, wave: Wave) -> tuple[str, bytes] | None:
        """What the stack that received it says by itself, if it is one that speaks."""
        delivered = [member for member in wave.members if member.is_delivered]
        if not delivered:
            return None
        where = int(delivered[-1].result["where"])     # the node, if it is for the node itself
        namespace = delivered[-1].hops[-1].namespace if delivered[-1].hops else self._case.intent.router(where).name
        whole = reassemble([member.data for member in delivered]) if self._case.answers(namespace) else None
        answer = stack.answer(whole.packet, self._case.intent.seed) if whole else None
        return (namespace, answer) if answer else None

    def _wave(
        self, namespace: str, sent: Sequence[bytes], time: int, kind: str, whole: bytes, *, wrapped: bool = False,
        frame: bool = False,
    ) -> Wave:
        """Sends a packet, or the pieces of it, and all that they give rise to, through both engines."""
        if not sent:
            return Wave((), "")
        header, _ = ipv4.parse(whole)
        source, frame = header.src, frame or (header.src, header.dst) not in self._heard
        ingress = self._case.sender(namespace, source).id
        if wrapped and len(sent) > 1:              # what is inside can be read of the whole alone
            made = packets.row(whole, ingress, time, choose_source=not source, wrapped=True, frame=frame)
            rows = [packets.outer_piece(made, data) for data in sent]
            sent = [whole] * len(sent)             # of which each crossing shows its piece
        else:
            rows = [packets.row(data, ingress, time, choose_source=not source, wrapped=wrapped, frame=frame) for data in sent]
        wave, headers = (np.concatenate(column) for column in zip(*rows, strict=True))
        fast, judge = (
            list(generations(one, wave, state, headers, events=True, silent=self._case.silent)) for one, state in self._engines)
        family = Family(self._case, self._lineage, sent, kind)
        for generation in fast:
            family.add(generation)
        for member in family.members:
            if member.result["verdict"] == Verdict.DELIVERED and member.hops:
                self._listen(member)
        return Wave(tuple(family.members), _differ(fast, judge))

    def _listen(self, member: Member) -> None:
        """A frag-needed changes what a stack knows of a path only if it finds the socket that it is for (tcp_v4_err, ping_err):
        in the laboratory silent namespaces have UDP sockets; an echo reply is the kernel's own (icmp_err)."""
        header, segment = ipv4.parse(member.data)
        if header.protocol != ipv4.ICMP or header.offset:
            return
        message, quote = icmp.parse(segment)
        if (message.type, message.code) != FRAG_NEEDED or len(quote) < ipv4.SIZE + icmp.SIZE:
            return
        about, body = ipv4.parse(quote, cut=True)
        is_reply = about.protocol == ipv4.ICMP and body[0] == icmp.ECHO_REPLY
        if is_reply or (about.protocol == ipv4.UDP and not self._case.answers(member.hops[-1].namespace)):
            self._heard.add((about.src, about.dst))

    def _unmodelled(self, wave: Wave) -> str:
        for member in wave.members:
            if member.result["verdict"] == Verdict.UNDETERMINED:
                stage = Stage(int(member.result["stage"]))
                return UNDETERMINED.get(stage, f"what happens at {stage.name}")
        if any(int(member.result["dst"]) in self._case.addresses[ROUTER] for member in wave.members[:1]):
            return "packets to the router itself"
        return self._case.unmodelled


def _kind(answer: bytes) -> str:
    """What the golden files call an answer: a TCP reset is told by its numbers alone."""
    header, segment = ipv4.parse(answer)
    if header.protocol != ipv4.ICMP:
        return "self"
    return "error" if icmp.parse(segment)[0].is_error else "reply"


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
