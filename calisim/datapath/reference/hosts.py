"""Host endpoints: what Felix' chains for a node's own interfaces let pass, in the raw, mangle and filter tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...control.intent import Adjacency, Intent, Router
from ...control.policing import Guard
from ...vocabulary import AdjacencyKind, Device, DropReason, Encap, RouterFlag, Stage
from ...vocabulary.encaps import encapsulation
from .checkpoint import flow_of, to_itself
from .police import Police
from .routes import Routes
from .state import ReferenceState
from .tracking import Connection, is_known
from .walk import Header, Walk, drop, is_nobody


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a guard is asked: by the names of its program and of the failsafes before it."""

    program: str
    failsafes: str
    reason: DropReason


_IN, _OUT = DropReason.POLICY_INGRESS, DropReason.POLICY_EGRESS
UNTRACKED_IN = Hook("untracked_ingress", "untracked_ingress", _IN)
UNTRACKED_OUT = Hook("untracked_egress", "untracked_egress", _OUT)
PRE_DNAT = Hook("pre_dnat", "ingress", _IN)
INPUT, OUTPUT = Hook("ingress", "ingress", _IN), Hook("egress", "egress", _OUT)
FORWARD_IN, FORWARD_OUT = Hook("forward_ingress", "", _IN), Hook("forward_egress", "", _OUT)


class HostPolicy:
    """Asks the guards of a router's devices."""

    def __init__(self, intent: Intent, state: ReferenceState, routes: Routes, police: Police) -> None:
        self.intent, self.state, self.routes, self.police = intent, state, routes, police
        self.policing = intent.policy

    def untracked(self, walk: Walk, router: Router) -> None:
        """The raw table: what it accepts is invisible to conntrack and NAT."""
        walk.accepted = walk.untracked = False
        device, hook = walk.device, UNTRACKED_IN
        if device is Device.LOOPBACK:
            device, hook = self._device_to(router, walk.wire.dst), UNTRACKED_OUT
        if device is not Device.VETH or hook is UNTRACKED_OUT:
            walk.accepted = walk.untracked = self._ask(walk, router, device, hook, invalid=False)

    def pre_dnat(self, walk: Walk, router: Router, connection: Connection | None) -> None:
        """The mangle table."""
        if walk.untracked or is_known(connection) or walk.device is Device.LOOPBACK:
            return
        walk.accepted = self._ask(walk, router, walk.device, PRE_DNAT, invalid=connection is None)

    def local_in(self, walk: Walk, router: Router, connection: Connection | None) -> None:
        """The filter table's INPUT, and OUTPUT before it of what the node says to itself."""
        if walk.accepted or walk.device is Device.VETH or is_known(connection):
            return
        invalid = connection is None and not walk.untracked
        if walk.device is Device.LOOPBACK:
            self._ask_about_own(walk, router, Device.LOOPBACK, OUTPUT, walk.wire.dst, invalid=invalid)
            walk.accepted = self._ask(walk, router, Device.LOOPBACK, PRE_DNAT, invalid=invalid)
        if not walk.accepted:
            self._ask_about_own(walk, router, walk.device, INPUT, walk.wire.src, invalid=invalid)

    def forward_in(self, walk: Walk, router: Router, connection: Connection | None, adjacency: Adjacency) -> None:
        """FORWARD, before the chains of pods."""
        if walk.accepted or walk.device is Device.LOOPBACK or is_known(connection):
            return
        if not to_itself(walk, adjacency, connection):
            self._ask(walk, router, walk.device, FORWARD_IN, invalid=connection is None and not walk.untracked)

    def leaving(self, walk: Walk, router: Router, connection: Connection | None, adjacency: Adjacency) -> None:
        """FORWARD, behind them; OUTPUT of the node's own packets."""
        if is_known(connection) or to_itself(walk, adjacency, connection):
            return
        device = Device.VETH if adjacency.kind is AdjacencyKind.LOCAL else adjacency.device
        invalid = connection is None and not walk.untracked
        if walk.device is not Device.LOOPBACK:
            self._ask(walk, router, device, FORWARD_OUT, invalid=invalid)
        elif not walk.accepted and device is not Device.VETH:
            self._ask_about_own(walk, router, device, OUTPUT, walk.wire.dst, invalid=invalid)

    def _device_to(self, router: Router, dst: int) -> Device:
        """The device out; NONE where there is no way."""
        if dst in self.intent.local_addresses(router.id):
            return Device.LOOPBACK
        adjacency = self.routes.find(router.id, dst)
        if adjacency is None or is_nobody(dst) or adjacency.kind is AdjacencyKind.DROP:
            return Device.NONE
        return Device.VETH if adjacency.kind is AdjacencyKind.LOCAL else adjacency.device

    def _ask_about_own(self, walk: Walk, router: Router, device: Device, hook: Hook, peer: int, *, invalid: bool) -> None:
        """Tunnels between nodes are accepted before."""
        if not (peer in self.intent.tunnel_senders and _of_tunnel(walk.wire, router)):
            self._ask(walk, router, device, hook, invalid=invalid)

    def _ask(self, walk: Walk, router: Router, device: Device, hook: Hook, *, invalid: bool) -> bool:
        """Whether the guard's program accepts the packet; False, too, where it has nothing to say."""
        number = self.policing.interfaces.get((router.id, device), 0)
        if not number or not router.flags & RouterFlag.CALICO_FILTER:
            return False
        guard: Guard = self.policing.guards[number - 1]
        program = getattr(guard, hook.program)
        if not program:
            return False
        if invalid:
            drop(DropReason.CT_INVALID, router.id, stage=Stage.CONNTRACK)
        if hook.failsafes and self._is_failsafe(walk.wire, getattr(self.policing.failsafes, hook.failsafes)):
            return False
        judgement = self.police.judge(program, flow_of(walk.wire))
        if judgement.silent:
            return False
        decider = judgement.decided_by or guard.decided_by
        self.state.hits[decider] += np.uint64(decider != 0)
        if not judgement.allowed:
            drop(hook.reason, router.id, decider)
        return True

    def _is_failsafe(self, header: Header, program: int) -> bool:
        if not program:
            return False
        judgement = self.police.judge(program, flow_of(header))
        if judgement.allowed and judgement.decided_by:
            self.state.hits[judgement.decided_by] += np.uint64(1)
        return judgement.allowed


def _of_tunnel(header: Header, router: Router) -> bool:
    vxlan = encapsulation(Encap.VXLAN)
    if header.protocol == encapsulation(Encap.IPIP).protocol:
        return bool(router.ipip_address)
    return header.protocol == vxlan.protocol and header.dport == vxlan.port and bool(router.vxlan_address)
