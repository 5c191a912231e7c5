"""The two ends of a router's tunnels: outer headers are put on and taken off, and conntrack knows of both.

Takes a packet that a route leads into a tunnel, or that has come to the router encapsulated; changes its headers. Where the
outer packet goes from there is not its affair.
"""

from __future__ import annotations

from dataclasses import replace

from ...control.intent import Adjacency, Intent, Router
from ...vocabulary import ConnectionState, Direction, DropReason, Encap, PacketFlag, ResultFlag, RouterFlag, Stage
from ...vocabulary.encaps import encapsulation
from .balance import attached
from .fabric import FRAG_NEEDED
from .journal import Journal
from .state import ReferenceState
from .tracking import Connection, PortChooser
from .tunnels import DEVICES, ECN, merged_ecn, outer_ecn, tunnel_address, vxlan_source_port
from .walk import LONGEST, Header, Walk, drop, refuse_longer, undetermined


class TunnelEnds:
    """Every router's tunnel devices."""

    def __init__(self, intent: Intent, state: ReferenceState, journal: Journal) -> None:
        self.intent, self.state, self.journal = intent, state, journal

    def decapsulate(self, walk: Walk, outer: Header, router: Router) -> None:
        """Outer header off, unless the packet is somebody else's; ECN of both becomes the inner one's (RFC 6040)."""
        connection = self._connection(walk, outer, router)
        if connection is not None and connection.changes_destination(outer.flow):
            return
        self._refresh(walk, outer, connection)
        if router.flags & RouterFlag.CALICO_FILTER and outer.src not in self.intent.tunnel_senders:
            drop(DropReason.TUNNEL_UNKNOWN_SENDER, router.id)
        self._confirm(walk, router, connection)
        device = DEVICES[walk.encap]
        if not tunnel_address(router, device):
            drop(DropReason.ADDRESS_UNUSED, router.id, stage=Stage.DECAPSULATE)
        inner_ecn = merged_ecn(outer.tos & ECN, walk.inner.tos & ECN)
        if inner_ecn is None:
            drop(DropReason.ECN_ILLEGAL, router.id)
        walk.inner.tos = walk.inner.tos & ~ECN | inner_ecn
        walk.outer, walk.encap, walk.device = None, Encap.NONE, device
        self.journal.cross(walk, router.id, device, Direction.IN, Stage.DECAPSULATE)

    def encapsulate(self, walk: Walk, router: Router, adjacency: Adjacency, inner_connection: Connection | None) -> int:
        """Outer header on; returns the most that may leave uncut."""
        if walk.outer is not None:
            undetermined(Stage.ENCAPSULATE, router.id)
        inner, layout = walk.inner, encapsulation(adjacency.encap)
        if inner.length + layout.overhead > LONGEST:
            drop(DropReason.MALFORMED, router.id, stage=Stage.ENCAPSULATE)
        self.journal.cross(
            walk, router.id, adjacency.device, Direction.OUT, Stage.ENCAPSULATE, detail=adjacency.decided_by)
        outer = walk.outer = walk.last_outer = Header(
            src=router.address, dst=adjacency.next_hop, protocol=layout.protocol,
            sport=vxlan_source_port(self.intent.seed, inner) if layout.port else 0, dport=layout.port,
            ttl=layout.outer_ttl or inner.ttl, tos=outer_ecn(inner.tos & ECN), length=inner.length + layout.overhead,
            fragment=PacketFlag.DF if inner.df and layout.copies_df else 0)
        walk.encap = walk.last_encap = adjacency.encap
        walk.flags |= ResultFlag.ENCAP
        limit = self.state.path_mtu(router.address, adjacency.next_hop, router.inputs.mtu, walk.time)
        offender = replace(inner)
        if inner_connection is not None and inner_connection.is_translated and not walk.is_reply:
            offender.src = inner_connection.original.src     # icmp_ndo_send: who sent it, not who it now seems to come from
        complaint = walk.complaint(FRAG_NEEDED, offender, mtu=limit - layout.overhead)
        if not walk.is_reply:                                # an answer is all put back: the error finds the endpoint by that
            complaint = attached(complaint, walk, inner_connection)
        refuse_longer(
            outer, limit, DropReason.MTU_EXCEEDED, router.id, adjacency.decided_by, stage=Stage.ENCAPSULATE,
            complaint=complaint)
        self._track_own(walk, outer, router)
        return limit

    # ---- the outer packet's connection -------------------------------------------------------------------------

    def _track_own(self, walk: Walk, outer: Header, router: Router) -> None:
        """Hooks OUTPUT and POSTROUTING: it leaves as all packets of its connection do."""
        connection = self._connection(walk, outer, router)
        self._refresh(walk, outer, connection)
        self._confirm(walk, router, connection)
        if connection is not None:
            forth = outer.flow == connection.original
            outer.src, outer.dst, outer.sport, outer.dport, _ = connection.translated if forth else connection.original.inverse

    def _connection(self, walk: Walk, outer: Header, router: Router) -> Connection | None:
        """The one that the outer packet belongs to or opens; None: Felix exempts VXLAN from conntrack (NOTRACK)."""
        if walk.encap is Encap.VXLAN and router.flags & RouterFlag.CALICO_FILTER:
            return None
        known = self.state.conntrack[router.key].find(outer.flow, walk.time)
        return known or Connection.opened(outer.flow, ConnectionState.NEW, walk.time, self.state.waves)

    def _refresh(self, walk: Walk, outer: Header, connection: Connection | None) -> None:
        if connection is not None and connection.is_confirmed:
            connection.take(0, walk.time, is_reply=outer.flow != connection.original)

    def _confirm(self, walk: Walk, router: Router, connection: Connection | None) -> None:
        if connection is None or connection.is_confirmed:
            return
        if not PortChooser(self.state.conntrack[router.key], self.intent.seed, router.key, walk.time).confirm(connection):
            drop(DropReason.SNAT_PORTS_EXHAUSTED, router.id)
