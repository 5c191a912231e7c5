"""The map: VPC ⊃ subnet ⊃ node ⊃ pods as nested lists, and the traffic between their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...analysis.story import word_of
from ...quantities import format_address
from ...vocabulary import EndpointKind

if TYPE_CHECKING:
    from ...analysis.flows import Flow, Flows
    from ...analysis.network import Network
    from ...analysis.run import Outcome

MOST_PODS = 60_000          # named; of more a node says only how many it has
MOST_DRAWN = 40_000         # flows between nodes, of all variants together


class Map:
    """What exists in a network, in the order in which it was written."""

    def __init__(self, network: Network) -> None:
        self._intent = network.intent
        self._vpcs, self._subnets = network.topology.entities.vpcs, network.topology.entities.subnets
        self._down = [node.down for node in network.topology.entities.nodes]

    def document(self) -> dict[str, Any]:
        """``nodes`` and ``hosts`` are in the order of the places of :class:`Flows`; a subnet's nodes are positions in them."""
        intent = self._intent
        members: dict[str, list[int]] = {name: [] for name in self._subnets}
        for position, router in enumerate(intent.routers):
            members[intent.fabric.subnets[router.subnet - 1].name].append(position)
        return {
            "vpcs": [
                {"name": vpc.name, "cidrs": [str(prefix) for prefix in vpc.prefixes], "gateway": vpc.internet_gateway,
                 "subnets": [
                    {"name": subnet.name, "zone": subnet.zone, "cidr": str(subnet.prefix), "nodes": members[subnet.name]}
                    for subnet in self._subnets.values() if subnet.vpc == vpc.name]}
                for vpc in self._vpcs.values()],
            "nodes": self._nodes(),
            "hosts": [
                {"name": endpoint.name, "address": format_address(endpoint.address)} for endpoint in intent.endpoints
                if endpoint.kind is EndpointKind.HOST],
        }

    def _nodes(self) -> list[dict[str, Any]]:
        pods: list[list[str]] = [[] for _ in self._intent.routers]
        for endpoint in self._intent.endpoints:
            if endpoint.kind is EndpointKind.POD:
                pods[endpoint.router - 1].append(endpoint.name)
        named = sum(map(len, pods)) <= MOST_PODS
        return [
            {"name": router.name, "address": format_address(router.address), "pods": mine if named else len(mine),
             **({"down": True} if down else {})}
            for router, mine, down in zip(self._intent.routers, pods, self._down, strict=True)]


def traffic(flows: Flows, variants: int) -> dict[str, Any]:
    """Rows [sender, receiver, where it was lost, outcome, packets, bytes as sent, bytes on the wire]: places by number, a
    subnet's being its first node's; ``outcomes`` says what the numbers stand for."""
    outcomes: dict[Outcome, int] = {}

    def row(flow: Flow) -> list[Any]:
        number = outcomes.setdefault(flow.outcome, len(outcomes))
        return [flow.sender, flow.receiver, flow.end, number, flow.packets, flow.sent, flow.wire]

    by_node, sums = flows.by_node(), flows.of_nodes()
    few = by_node is not None and len(by_node) * variants <= MOST_DRAWN
    rows = {
        "places": len(flows.places), "bySubnet": [row(flow) for flow in flows.by_subnet()],
        "byNode": [row(flow) for flow in by_node] if by_node is not None and few else None,
        "nodes": None if sums is None else sums.tolist()}
    return {"outcomes": [_outcome(outcome) for outcome in outcomes], **rows}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "scope": outcome.scope, "verdict": outcome.verdict.name.lower(),
        "reason": outcome.reason.name if outcome.reason else None, "encap": outcome.encap.name.lower(), "snat": outcome.snat,
        "word": word_of(outcome)}
