"""The verdict on a flow by the plain evaluator: both sides asked apart, as their programs stand in the Intent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...datapath.reference.police import Flow, Police
from ...quantities import parse_address
from ...vocabulary import EndpointKind
from .case import Case

PROTOCOLS = {"ICMP": 1, "TCP": 6, "UDP": 17, "SCTP": 132}


@dataclass(frozen=True, slots=True)
class Sides:
    """What each side says of a new connection's first packet."""

    egress: bool
    ingress: bool


class Evaluator:
    """``verdict(flow)`` of one case; a flow is as ``expected.json`` describes it, less what is expected."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.police = Police(case.intent.policy)
        self.owners = case.intent.address_owners

    def verdict(self, flow: Mapping[str, Any]) -> Sides:
        src, dst = self.address(flow["src"]), self.address(flow["dst"])
        protocol = PROTOCOLS.get(flow["protocol"]) or int(flow["protocol"])
        asked = Flow(
            src, dst, protocol, flow.get("srcPort") or 0, flow.get("port") or 0,
            (flow.get("icmpType") or 0, flow.get("icmpCode") or 0))
        ingress = self.own_node(src, dst) or self.police.ingress(asked).allowed
        return Sides(self.police.egress(asked).allowed, ingress)

    def address(self, name: str) -> int:
        return parse_address(self.case.addresses.get(name, name))

    def own_node(self, src: int, dst: int) -> bool:
        """A node's own traffic to its pods meets no policy."""
        sender, receiver = self.owners.get(src, 0), self.owners.get(dst, 0)
        if not sender or not receiver:
            return False
        intent = self.case.intent
        return (intent.endpoint(sender).kind is EndpointKind.NODE
                and intent.endpoint(receiver).router == intent.endpoint(sender).router)
