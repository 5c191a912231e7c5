"""The verdicts on flows by packets: each flow's first packet crosses the cluster, and its RESULT says what both sides did.

Where the sender's side denies, the packet never comes to the receiver's node; one is put in there, at CONNTRACK. What no
packet can show is asked of the stage alone: ICMP of a type that the datapath does not model, an end that nobody routes to, what a
pod sends to itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...control.intent import Endpoint
from ...datapath.engine import engine
from ...quantities import parse_address
from ...vocabulary import HEADER, PACKET, RESULT, Device, DropReason, EndpointKind, ResultFlag, Stage, Verdict
from .case import Case

PROTOCOLS = {"ICMP": 1, "TCP": 6, "UDP": 17, "SCTP": 132}
ICMP, TCP, SYN = 1, 6, 2
ECHO_REQUEST = 8
APART = 1_000_000_000_000             # ns between waves: no connection lives so long without an answer
ENGINES = ("reference", "fast")


@dataclass(frozen=True, slots=True)
class Sides:
    """What each side says of a new connection's first packet. ``alone``: the stage was asked, no packet could tell."""

    egress: bool
    ingress: bool
    alone: bool = False


class Strayed(Exception):
    """A packet ended otherwise than policy can explain."""


class Travel:
    """One case under one engine; a flow is as ``expected.json`` describes it, less what is expected."""

    def __init__(self, case: Case, engine_name: str) -> None:
        self.case, self.intent = case, case.intent
        self._engine = engine(engine_name, self.intent)
        self._owners = self.intent.address_owners

    def verdicts(self, flows: Sequence[Mapping[str, Any]]) -> list[Sides]:
        packets = np.zeros(len(flows), PACKET)
        for packet, flow in zip(packets, flows, strict=True):
            for name, value in self._opening(flow).items():
                packet[name] = value
        results = self._send(packets, np.zeros(len(flows), HEADER))
        headers = self._at_the_receivers(packets)
        held, late = (results["reason"] == DropReason.POLICY_EGRESS) & (headers["resume"] > 0), results.copy()
        late[held] = self._send(packets[held], headers[held])
        return [self._told(*row) for row in zip(packets, results, late, strict=True)]

    def _opening(self, flow: Mapping[str, Any]) -> dict[str, int]:
        """The fields of a flow's first packet."""
        src, dst = (parse_address(self.case.addresses.get(flow[end], flow[end])) for end in ("src", "dst"))
        protocol = PROTOCOLS.get(flow["protocol"]) or int(flow["protocol"])
        port = flow.get("port") or 0
        if protocol == ICMP:
            port = flow.get("icmpType", ECHO_REQUEST) << 8 | (flow.get("icmpCode") or 0)
        return {
            "src": src, "dst": dst, "sport": flow.get("srcPort") or 0, "dport": port, "protocol": protocol, "ttl": 64,
            "tcp_flags": SYN if protocol == TCP else 0, "length": 100, "ingress": self._owners.get(src, 0)}

    def _send(self, packets: np.ndarray, headers: np.ndarray) -> np.ndarray:
        results, state, waves = np.zeros(len(packets), RESULT), self._engine.new_state(), _without_pairs(packets)
        for number in range(waves.max(initial=-1) + 1):
            mine = waves == number
            wave = packets[mine]
            wave["time"] = (number + 1) * APART
            results[mine] = self._engine.forward(wave, state, headers[mine]).results
        return results

    def _at_the_receivers(self, packets: np.ndarray) -> np.ndarray:
        """As if the packets had come to the nodes of the pods that they are for."""
        headers = np.zeros(len(packets), HEADER)
        for header, packet in zip(headers, packets, strict=True):
            if (receiver := self._pod(int(packet["dst"]))) is not None:
                header["resume"], header["resume_at"], header["device"] = Stage.CONNTRACK, receiver.router, Device.ETHERNET
        return headers

    def _pod(self, address: int) -> Endpoint | None:
        endpoint = self.intent.endpoint(self._owners[address]) if address in self._owners else None
        return endpoint if endpoint is not None and endpoint.kind is EndpointKind.POD else None

    def _told(self, packet: np.void, result: np.void, late: np.void) -> Sides:
        sender, receiver = self._pod(int(packet["src"])), self._pod(int(packet["dst"]))
        unknown = packet["protocol"] == ICMP and packet["dport"] >> 8 != ECHO_REQUEST
        if unknown or packet["src"] == packet["dst"]:
            return self._alone(packet)
        reason = _reason(result)
        if Verdict(int(result["verdict"])).success:
            if sender and receiver and not self._crossed(result, sender, receiver):
                raise Strayed(f"a packet from {sender.name} to {receiver.name} did not take its way")
            return Sides(True, True)
        if reason is DropReason.POLICY_INGRESS:
            return Sides(True, False)
        if reason is DropReason.POLICY_EGRESS:
            return Sides(False, receiver is None or _admitted(late))
        if sender and receiver:
            raise Strayed(f"a packet from {sender.name} to {receiver.name} ended as {reason.name or result['verdict']}")
        return self._alone(packet)

    def _alone(self, packet: np.void) -> Sides:
        egress, ingress = self._engine.judge(np.array([packet], PACKET))[0].tolist()
        return Sides(egress, ingress, alone=True)

    def _crossed(self, result: np.void, sender: Endpoint, receiver: Endpoint) -> bool:
        """Over both nodes, and in a tunnel where the model has one between them."""
        one, other = (self.intent.router(end.router) for end in (sender, receiver))
        wants = self.case.model.tunnels(one.subnet == other.subnet)
        return result["hops"] >= 2 and bool(result["flags"] & ResultFlag.ENCAP) == wants


def _without_pairs(packets: np.ndarray) -> np.ndarray:
    """The wave of each packet, so that none has two between the same addresses: they could be of one connection."""
    seen: Counter[tuple[int, int]] = Counter()
    waves = np.zeros(len(packets), np.int64)
    for row, (src, dst) in enumerate(zip(packets["src"].tolist(), packets["dst"].tolist(), strict=True)):
        pair = min(src, dst), max(src, dst)
        waves[row] = seen[pair]
        seen[pair] += 1
    return waves


def _reason(result: np.void) -> DropReason:
    return next(reason for reason in DropReason if reason == result["reason"])


def _admitted(late: np.void) -> bool:
    if late["verdict"] == Verdict.DELIVERED or late["reason"] == DropReason.POLICY_INGRESS:
        return bool(late["verdict"] == Verdict.DELIVERED)
    raise Strayed(f"a packet put in at the receiver's node ended as {_reason(late).name}")
