"""POLICY: what Calico's chains let pass of new connections, at the pods' own nodes."""

from __future__ import annotations

import numpy as np

from ...control.intent import Adjacency, Endpoint, Intent, Router
from ...vocabulary import AdjacencyKind, Device, DropReason, Encap, RouterFlag
from ...vocabulary.encaps import encapsulation
from .police import Flow, Judgement, Police
from .state import ReferenceState
from .tracking import Connection, is_known
from .walk import ECHO_REQUEST, ICMP, TCP, UDP, Header, Walk, drop


class Checkpoint:
    """Asks the sender's program about what comes in by its veth, the receiver's about what leaves by its own."""

    def __init__(self, intent: Intent, state: ReferenceState) -> None:
        self.intent, self.state, self.police = intent, state, Police(intent.policy)

    def check(self, walk: Walk, router: Router, connection: Connection | None, adjacency: Adjacency | None) -> None:
        """``adjacency`` None: to the node itself. What is ESTABLISHED or RELATED was accepted before."""
        known = is_known(connection)
        if not router.flags & RouterFlag.CALICO_FILTER or to_itself(walk, adjacency, connection):
            return
        if known and (walk.quote is not None or not self.intent.policy.cuts):
            return
        flow = flow_of(walk.wire)
        if known:
            assert connection is not None
            flow = first_of(walk, connection)
        sides = (("egress", DropReason.POLICY_EGRESS), ("ingress", DropReason.POLICY_INGRESS))
        of_sender, of_receiver = sides if not known or not walk.is_reply else sides[::-1]
        if walk.device is Device.VETH:
            assert walk.sender is not None
            if not known:
                self._refuse_tunnels(walk, router)
            self._ask(router, walk.sender, *of_sender, flow)
        if adjacency is not None and adjacency.kind is AdjacencyKind.LOCAL and walk.device is not Device.LOOPBACK:
            self._ask(router, self.intent.endpoint(adjacency.endpoint), *of_receiver, flow)

    def _refuse_tunnels(self, walk: Walk, router: Router) -> None:
        """Felix: a workload opens neither IP-in-IP nor VXLAN, unless told to."""
        header, vxlan = walk.wire, encapsulation(Encap.VXLAN)
        ipip = header.protocol == encapsulation(Encap.IPIP).protocol and not router.flags & RouterFlag.PODS_SEND_IPIP
        to_port = header.protocol == vxlan.protocol and header.dport == vxlan.port
        if ipip or (to_port and not router.flags & RouterFlag.PODS_SEND_VXLAN):
            drop(DropReason.ENCAP_FROM_POD, router.id)

    def _ask(self, router: Router, pod: Endpoint, direction: str, reason: DropReason, flow: Flow) -> None:
        judgement = self._judged(pod, direction, flow)
        if judgement is None:
            return
        decider = judgement.decided_by or pod.decided_by
        self.state.hits[decider] += np.uint64(1)
        if not judgement.allowed:
            drop(reason, router.id, decider)

    def _judged(self, pod: Endpoint, direction: str, flow: Flow) -> Judgement | None:
        """None: no program polices the pod in this direction."""
        policing = self.intent.policy
        number = policing.endpoints[pod.id - 1] if policing.endpoints else 0
        program = getattr(policing.identities[number - 1], direction) if number else 0
        return self.police.judge(program, flow) if program else None


def to_itself(walk: Walk, adjacency: Adjacency | None, connection: Connection | None) -> bool:
    """A pod to its own address, not through a service: its own stack keeps it."""
    if walk.device is not Device.VETH or adjacency is None or adjacency.kind is not AdjacencyKind.LOCAL:
        return False
    assert walk.sender is not None
    redirected = connection is not None and connection.is_redirected
    return adjacency.endpoint == walk.sender.id and not redirected


def first_of(walk: Walk, connection: Connection) -> Flow:
    """The packet that opened the connection, as policy saw it; where the connection has no ports, with those of this one."""
    original, reply, header = connection.original, connection.reply, walk.wire
    if header.protocol in (TCP, UDP):
        return Flow(original.src, reply.src, header.protocol, original.sport, reply.sport)
    if header.protocol == ICMP:
        return Flow(original.src, reply.src, ICMP, original.sport, ECHO_REQUEST, (ECHO_REQUEST >> 8, 0))
    sport, dport = (header.dport, header.sport) if walk.is_reply else (header.sport, header.dport)
    return Flow(original.src, reply.src, header.protocol, sport, dport, (dport >> 8, dport & 0xFF))


def flow_of(header: Header) -> Flow:
    """The packet as it is now."""
    return Flow(
        header.src, header.dst, header.protocol, header.sport, header.dport, (header.dport >> 8, header.dport & 0xFF))
