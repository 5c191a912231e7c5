"""POLICY: what Calico's chains let pass of new connections, at the pods' own nodes."""

from __future__ import annotations

import numpy as np

from ...control.intent import Adjacency, Endpoint, Intent, Router
from ...vocabulary import AdjacencyKind, Device, DropReason, Encap, RouterFlag
from ...vocabulary.encaps import encapsulation
from .police import Flow, Judgement, Police
from .state import ReferenceState
from .tracking import Connection
from .walk import Header, Walk, drop


class Checkpoint:
    """Asks the sender's program about what comes in by its veth, the receiver's about what leaves by its own."""

    def __init__(self, intent: Intent, state: ReferenceState) -> None:
        self.intent, self.state, self.police = intent, state, Police(intent.policy)

    def check(self, walk: Walk, router: Router, connection: Connection | None, adjacency: Adjacency | None) -> None:
        """``adjacency`` None: to the node itself. What is ESTABLISHED or RELATED was accepted before."""
        known = connection is not None and bool(connection.ordinal)
        if not router.flags & RouterFlag.CALICO_FILTER or (known and not self._is_asked_again(walk, router)):
            return
        receiver = None
        if adjacency is not None and adjacency.kind is AdjacencyKind.LOCAL:
            receiver = self.intent.endpoint(adjacency.endpoint)
        if walk.device is Device.VETH:
            assert walk.sender is not None
            if receiver is not None and receiver.id == walk.sender.id and not (connection and connection.is_redirected):
                return                             # its own stack keeps it
            if not known:
                self._refuse_tunnels(walk, router)
            self._ask(walk, router, connection, walk.sender, "egress")
        if receiver is not None and walk.device is not Device.LOOPBACK:
            self._ask(walk, router, connection, receiver, "ingress")

    def _is_asked_again(self, walk: Walk, router: Router) -> bool:
        """Whether the packet may end a connection that was allowed when it was opened."""
        return bool(router.flags & RouterFlag.CUTS_DENIED) and walk.quote is None and not walk.is_reply

    def _refuse_tunnels(self, walk: Walk, router: Router) -> None:
        """Felix: a workload opens neither IP-in-IP nor VXLAN, unless told to."""
        header, vxlan = walk.wire, encapsulation(Encap.VXLAN)
        ipip = header.protocol == encapsulation(Encap.IPIP).protocol and not router.flags & RouterFlag.PODS_SEND_IPIP
        to_port = header.protocol == vxlan.protocol and header.dport == vxlan.port
        if ipip or (to_port and not router.flags & RouterFlag.PODS_SEND_VXLAN):
            drop(DropReason.ENCAP_FROM_POD, router.id)

    def _ask(self, walk: Walk, router: Router, connection: Connection | None, pod: Endpoint, direction: str) -> None:
        judgement = self._judged(pod, direction, _flow(walk.wire))
        if judgement is None:
            return
        decider = judgement.decided_by or pod.decided_by
        self.state.hits[decider] += np.uint64(1)
        if not judgement.allowed:
            if connection is not None:
                connection.expires = 0
            drop(DropReason.POLICY_EGRESS if direction == "egress" else DropReason.POLICY_INGRESS, router.id, decider)

    def _judged(self, pod: Endpoint, direction: str, flow: Flow) -> Judgement | None:
        """None: no program polices the pod in this direction."""
        policing = self.intent.policy
        number = policing.endpoints[pod.id - 1] if policing.endpoints else 0
        program = getattr(policing.identities[number - 1], direction) if number else 0
        return self.police.judge(program, flow) if program else None


def _flow(header: Header) -> Flow:
    return Flow(
        header.src, header.dst, header.protocol, header.sport, header.dport, (header.dport >> 8, header.dport & 0xFF))
