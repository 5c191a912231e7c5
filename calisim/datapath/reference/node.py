"""What a router (a node) does with a packet: one leg, in the order that Linux was measured to keep.

    in by eth0:  groups, checks → decapsulate → source check → conntrack → balance → lookup
    own packet:                                               conntrack → balance → lookup
    then:        deliver here, or TTL → MTU → policy → translate → encapsulate → out by eth0
"""

from __future__ import annotations

from dataclasses import replace

from ...control.intent import Adjacency, Intent, Router
from ...vocabulary import (
    AdjacencyKind, ConnectionState, Device, Direction, DropReason, ResultFlag, RouterFlag,
    RpFilter, Stage, Verdict,
)
from .balance import Balancer, Handling, attached
from .checkpoint import Checkpoint
from .fabric import FRAG_NEEDED, HOST_UNREACHABLE, RESOLVING, TTL_EXCEEDED, FabricWalker
from .hosts import HostPolicy
from .journal import Journal
from .routes import Routes
from .state import ReferenceState
from .tcp import Effect
from .tracking import Connection, PortChooser, is_known, opening_state
from .tunnel_ends import TunnelEnds
from .tunnels import tunnel_address
from .walk import (
    ICMP, TCP, UDP, Complaint, Flow, Header, Onward, Walk, cut, drop, hold, is_nobody, is_this_host, succeed, undetermined,
)


class NodeWalker:
    """Takes a packet through one router; leaves the next one in the walk, or raises how the journey ends."""

    def __init__(self, intent: Intent, state: ReferenceState, journal: Journal, routes: Routes, fabric: FabricWalker) -> None:
        self.intent, self.state, self.journal, self.routes, self.fabric = intent, state, journal, routes, fabric
        self.balancer = Balancer(intent, state)
        self.tunnels = TunnelEnds(intent, state, journal)
        self.checkpoint = Checkpoint(intent, state)
        self.hosts = HostPolicy(intent, state, routes, self.checkpoint.police)

    def leg(self, walk: Walk) -> None:
        """One pass through ``walk.router``."""
        router = self.intent.router(walk.router)
        stage, walk.resume = walk.resume, Stage.NONE
        if stage is Stage.FABRIC_OUT:
            self._send_outer_piece(walk, router)
        elif stage is Stage.FRAGMENT:
            self._send_piece(walk, router)
        else:
            if stage is not Stage.CONNTRACK:
                self._come_in(walk, router, stage)
            self._route(walk, router)

    def _come_in(self, walk: Walk, router: Router, stage: Stage) -> None:
        """All before conntrack; what is whole again goes on at DECAPSULATE."""
        if walk.device is Device.ETHERNET:
            if stage is Stage.NONE:
                self._admit(walk, router)
            if walk.outer is not None and walk.outer.dst in self.intent.local_addresses(router.id):
                if stage is Stage.NONE and walk.outer.is_piece:
                    hold(Stage.DECAPSULATE, router.id, walk.device)
                self.tunnels.decapsulate(walk, walk.outer, router)
        if walk.device is Device.LOOPBACK:
            self._choose_source(walk, router)
        else:
            self._check_source(walk, router)
        if walk.wire.is_piece:
            hold(Stage.CONNTRACK, router.id, walk.device)

    def _route(self, walk: Walk, router: Router) -> None:
        walk.arrived, walk.is_reply = (walk.wire.dst, walk.wire.dport), False
        self.hosts.untracked(walk, router)
        connection = None
        if not walk.untracked:
            connection = self._track(walk, router) if walk.quote is None else self._relate(walk, walk.quote, router)
        self.hosts.pre_dnat(walk, router, connection)
        handling = self.balancer.balance(walk, router, connection)
        adjacency = self._lookup(walk, router)
        invalid = connection is None and not walk.untracked
        if walk.quote is not None and invalid and adjacency is not None and walk.device is not Device.LOOPBACK:
            self._refuse_invalid(router)
        if adjacency is None:
            self._local_in(walk, router, connection, handling)
        else:
            self._forward(walk, router, adjacency, connection, handling)

    # ---- coming in -------------------------------------------------------------------------------------------

    def _admit(self, walk: Walk, router: Router) -> None:
        """FABRIC_IN: the interface's filters, then the destination half of the check (outer header, AWS docs)."""
        if router.flags & RouterFlag.DOWN:
            drop(DropReason.ENDPOINT_DOWN, router.id, router.decided_by, stage=Stage.FABRIC_IN)
        if walk.crossed:
            self.fabric.check_acl(self.fabric.subnet(router.subnet), walk.wire, inbound=True)
        self.fabric.check_groups(walk, router, inbound=True)
        if router.flags & RouterFlag.SOURCE_DEST_CHECK and walk.wire.dst != router.address:
            drop(DropReason.DEST_CHECK, router.id, router.decided_by)
        self.journal.cross(walk, router.id, Device.ETHERNET, Direction.IN, Stage.FABRIC_IN)

    def _check_source(self, walk: Walk, router: Router) -> None:
        """Martians, Calico's anti-spoofing at a pod's veth, the kernel's reverse path filter."""
        src, dst = walk.wire.src, walk.wire.dst
        if src >> 28 == 0xE or src == 0xFFFFFFFF or is_this_host(src) or is_this_host(dst):
            drop(DropReason.MARTIAN, router.id)
        if walk.device is Device.VETH and router.flags & RouterFlag.CALICO_FILTER:
            assert walk.sender is not None
            if src != walk.sender.address:
                drop(DropReason.SPOOFED_SOURCE, router.id)
            return
        if src in self.intent.local_addresses(router.id):
            drop(DropReason.MARTIAN, router.id)
        back = self.routes.find(router.id, src)
        routed = back is not None and back.kind is not AdjacencyKind.DROP
        rp_filter = router.rp_filter_of(walk.device)
        if walk.device is Device.VETH and rp_filter is RpFilter.LOOSE:
            rp_filter = RpFilter.STRICT            # cali… has no address, so the kernel is content with the very route only
        if rp_filter is RpFilter.LOOSE and not routed:
            drop(DropReason.RPF, router.id)
        if rp_filter is RpFilter.STRICT and not (routed and self._leaves_where_it_came_in(walk, back)):
            drop(DropReason.RPF, router.id)

    def _leaves_where_it_came_in(self, walk: Walk, back: Adjacency | None) -> bool:
        if back is None or back.device is not walk.device:
            return False
        return walk.device is not Device.VETH or (walk.sender is not None and back.endpoint == walk.sender.id)

    def _choose_source(self, walk: Walk, router: Router) -> None:
        """Hook OUTPUT: the kernel chooses a source that the sender left open, by the route."""
        if walk.wire.src:
            return
        adjacency = self._lookup(walk, router)
        walk.wire.src = router.address
        if adjacency is not None and adjacency.kind is AdjacencyKind.TUNNEL:
            walk.wire.src = tunnel_address(router, adjacency.device) or router.address

    # ---- connections -----------------------------------------------------------------------------------------

    def _track(self, walk: Walk, router: Router) -> Connection | None:
        """The connection that the packet belongs to or may open (then not yet confirmed); None: INVALID."""
        flow = walk.wire.flow
        known = self.state.conntrack[router.key].find(flow, walk.time)
        if known is None:
            return self._open(walk, router, flow)
        walk.is_reply = is_reply = flow != known.original
        effect = known.take(walk.tcp_flags, walk.time, is_reply=is_reply)
        if effect is Effect.REOPEN:
            walk.is_reply = False
            return self._open(walk, router, flow)
        if effect is Effect.INVALID:
            self._refuse_invalid(router)
            return None
        if walk.legs == 1:
            walk.connection = known.ordinal
        if is_reply and known.is_translated:
            self._translate_back(walk, known)
        return known

    def _open(self, walk: Walk, router: Router, flow: Flow) -> Connection | None:
        """The connection that a packet without one may open."""
        state = opening_state(flow, walk.tcp_flags)
        if state is ConnectionState.NONE:
            self._refuse_invalid(router)
            return None
        return Connection.opened(flow, state, walk.time, self.state.waves)

    def _refuse_invalid(self, router: Router) -> None:
        if router.flags & RouterFlag.CALICO_FILTER:
            drop(DropReason.CT_INVALID, router.id)

    def _relate(self, walk: Walk, quote: Header, router: Router) -> Connection | None:
        """The connection that an ICMP error is about (RELATED), found by its quote; it is not changed. None: INVALID.

        An error that goes the way of the answers gets its destination back, and so does what it quotes.
        """
        flow = quote.flow.inverse
        known = self.state.conntrack[router.key].find(flow, walk.time)
        if known is None:
            return None
        walk.is_reply = flow != known.original
        if walk.legs == 1:
            walk.connection = known.ordinal
        if walk.is_reply and known.is_translated:
            original = known.original
            walk.wire.dst = quote.src = original.src
            if quote.protocol in (TCP, UDP, ICMP):
                quote.sport = original.sport
            walk.flags |= ResultFlag.UNNAT
        return known

    def _translate_error(self, walk: Walk, quote: Header, connection: Connection | None) -> None:
        """An error that goes the way of the connection's first packet leaves as that one did; its quote is what came in."""
        if connection is None:
            return
        if walk.is_reply:
            self.balancer.put_back(walk, connection)
        if walk.is_reply or not connection.is_translated:
            return
        translated = connection.translated
        walk.wire.src = quote.dst = translated.src
        if quote.protocol == ICMP:
            quote.sport = translated.sport
        elif quote.protocol in (TCP, UDP):
            quote.dport = translated.sport
        walk.flags |= ResultFlag.SNAT

    def _translate_back(self, walk: Walk, connection: Connection) -> None:
        """An answer goes to who asked: before the lookup, as measured."""
        header, original = walk.wire, connection.original
        header.dst = original.src
        if header.protocol in (TCP, UDP):
            header.dport = original.sport
        elif header.protocol == ICMP:
            header.sport = original.sport
        walk.flags |= ResultFlag.UNNAT

    def _translate(self, walk: Walk, router: Router, connection: Connection | None, masquerade: int) -> None:
        """Confirm a new connection with its translation; give packets of a known one the same (original direction)."""
        if walk.quote is not None:
            self._translate_error(walk, walk.quote, connection)
            return
        if connection is None:
            return
        if not connection.is_confirmed:
            self._confirm(walk, router, connection, masquerade)
        if walk.is_reply:
            self.balancer.put_back(walk, connection)
        if walk.is_reply or not connection.is_translated:
            return
        header, translated = walk.wire, connection.translated
        header.src = translated.src
        if header.protocol in (TCP, UDP, ICMP):
            header.sport = translated.sport
        walk.flags |= ResultFlag.SNAT

    def _confirm(self, walk: Walk, router: Router, connection: Connection, masquerade: int) -> None:
        """Enter a connection into the table; only a masqueraded one is at the mercy of --random-fully."""
        ports = PortChooser(self.state.conntrack[router.key], self.intent.seed, router.key, walk.time)
        if not ports.confirm(connection, masquerade, random_fully=bool(router.flags & RouterFlag.RANDOM_FULLY)):
            drop(DropReason.SNAT_PORTS_EXHAUSTED, router.id)
        if walk.legs == 1:
            walk.connection = connection.ordinal
            walk.flags |= ResultFlag.NEW

    # ---- where to ------------------------------------------------------------------------------------------------

    def _lookup(self, walk: Walk, router: Router, dst: int | None = None) -> Adjacency | None:
        """None: the packet is for the node itself. Raises where no route leads on. ``dst``: of another header than the wire's."""
        dst = walk.wire.dst if dst is None else dst
        first = walk.legs == 1
        if dst in self.intent.local_addresses(router.id):
            walk.decider = router.decided_by if first else walk.decider
            return None
        adjacency = self.routes.find(router.id, dst)
        if adjacency is None or is_nobody(dst):
            drop(DropReason.NO_ROUTE, router.id)
        if adjacency.kind is AdjacencyKind.DROP:
            drop(adjacency.reason, router.id, adjacency.decided_by, stage=Stage.LOOKUP)
        walk.decider = adjacency.decided_by if first else walk.decider
        return adjacency

    def _resolve_neighbour(self, router: Router, address: int, complaint: Complaint | None = None) -> None:
        """NEIGHBOUR: the last thing before the wire; nothing leaves for an address that nobody answers for."""
        subnet = self.fabric.subnet(router.subnet)
        if not self.fabric.answers(subnet, address):
            drop(DropReason.UNREACHABLE, router.id, complaint=complaint)

    def _local_in(self, walk: Walk, router: Router, connection: Connection | None, handling: Handling) -> None:
        """The node itself receives; not masqueraded, since it passes INPUT and not POSTROUTING (measured) – but by lo both."""
        self.hosts.local_in(walk, router, connection)
        self.checkpoint.check(walk, router, connection, None)
        if walk.device is Device.VETH and router.flags & RouterFlag.HOST_ACTION_DROP and not is_known(connection):
            drop(DropReason.POLICY_EGRESS, router.id, router.decided_by, stage=Stage.LOCAL_IN)
        self.balancer.refuse(walk, router, handling, forwarded=False, quote=walk.wire)
        if walk.outer is not None:                   # from one of its own pods, or from itself
            undetermined(Stage.DECAPSULATE, router.id)
        by_lo = handling.marked and walk.device is Device.LOOPBACK
        self._translate(walk, router, connection, masquerade=router.address if by_lo else 0)
        succeed(Verdict.DELIVERED, Stage.DELIVER, router.id)

    def _forward(
        self, walk: Walk, router: Router, adjacency: Adjacency, connection: Connection | None, handling: Handling,
    ) -> None:
        header = walk.wire
        as_it_came = replace(header)
        if walk.device is not Device.LOOPBACK:
            if header.ttl <= 1:
                complaint = walk.complaint(TTL_EXCEEDED, as_it_came)
                drop(DropReason.TTL_EXCEEDED, router.id, complaint=attached(complaint, walk, connection))
            header.ttl -= 1
        local = adjacency.kind is AdjacencyKind.LOCAL
        mtu = self.intent.endpoint(adjacency.endpoint).mtu if local else adjacency.mtu
        if header.df and (walk.largest or header.length) > mtu:
            complaint = attached(walk.complaint(FRAG_NEEDED, as_it_came, mtu=mtu), walk, connection)
            drop(DropReason.MTU_EXCEEDED, router.id, adjacency.decided_by, stage=Stage.MTU, complaint=complaint)
        self.hosts.forward_in(walk, router, connection, adjacency)
        self.checkpoint.check(walk, router, connection, adjacency)
        self.hosts.leaving(walk, router, connection, adjacency)
        self.balancer.refuse(walk, router, handling, forwarded=True, quote=header)
        self._translate(walk, router, connection, self._masquerade_address(walk, router, adjacency, marked=handling.marked))
        if header.length > mtu or walk.largest:
            keeps = adjacency.kind is not AdjacencyKind.TUNNEL or walk.device is Device.LOOPBACK
            cut(Stage.FRAGMENT, router.id, mtu, Onward(Stage.FRAGMENT, router.id, walk.device), keeps_pieces=keeps)
        self._send_out(walk, router, adjacency, connection)

    def _send_piece(self, walk: Walk, router: Router) -> None:
        """What FRAGMENT made goes the way of its datagram, which is known no more: the route is looked up again."""
        adjacency = self._lookup(walk, router)
        if adjacency is None:
            drop(DropReason.NO_ROUTE, router.id)
        self._send_out(walk, router, adjacency, None)

    def _send_outer_piece(self, walk: Walk, router: Router) -> None:
        """What ENCAPSULATE cut leaves by the tunnel's route, which the inner destination tells."""
        adjacency = self._lookup(walk, router, walk.inner.dst)
        if adjacency is None or adjacency.kind is not AdjacencyKind.TUNNEL:
            drop(DropReason.NO_ROUTE, router.id)
        self._leave(walk, router, self._on_link(router, walk.wire.dst), adjacency.decided_by)

    def _send_out(self, walk: Walk, router: Router, adjacency: Adjacency, connection: Connection | None) -> None:
        header = walk.wire
        if adjacency.kind is AdjacencyKind.LOCAL:
            self.journal.cross(
                walk, router.id, Device.VETH, Direction.OUT, Stage.DELIVER,
                endpoint=adjacency.endpoint, detail=adjacency.decided_by)
            succeed(Verdict.DELIVERED, Stage.DELIVER, router.id)
        next_hop = adjacency.next_hop if adjacency.kind is AdjacencyKind.REMOTE else header.dst
        if adjacency.kind is AdjacencyKind.TUNNEL:
            limit = self.tunnels.encapsulate(walk, router, adjacency, connection)
            next_hop = self._on_link(router, adjacency.next_hop)
            if walk.wire.length > limit:
                cut(Stage.ENCAPSULATE, router.id, limit, Onward(Stage.FABRIC_OUT, router.id, walk.device))
        elif adjacency.kind is AdjacencyKind.ATTACHED or next_hop != self.fabric.subnet(router.subnet).gateway:
            self._resolve_neighbour(router, next_hop, walk.complaint(HOST_UNREACHABLE, header, delay=RESOLVING))
        self._leave(walk, router, next_hop, adjacency.decided_by)

    def _masquerade_address(self, walk: Walk, router: Router, adjacency: Adjacency, *, marked: bool) -> int:
        """The address behind which a new connection hides, 0 for none: cali-nat-outgoing, then the tunnel's own rule."""
        header = walk.wire
        tunnel = 0
        if adjacency.kind is AdjacencyKind.TUNNEL:
            tunnel = tunnel_address(router, adjacency.device) or router.address
        if marked or self.intent.nat.matches(header.src, header.dst):
            return tunnel or router.address
        own = walk.device is Device.LOOPBACK or header.src in self.intent.local_addresses(router.id)
        hides = own and header.src != tunnel and not router.flags & RouterFlag.NO_TUNNEL_MASQUERADE
        return tunnel if hides else 0

    # ---- going out -------------------------------------------------------------------------------------------

    def _on_link(self, router: Router, address: int) -> int:
        """Where the outer header's own route leads: a neighbour that answers, or the gateway."""
        if address in router.inputs.link:
            self._resolve_neighbour(router, address)
            return address
        return self.fabric.subnet(router.subnet).gateway

    def _leave(self, walk: Walk, router: Router, next_hop: int, decider: int) -> None:
        """FABRIC_OUT: tcpdump on eth0 sees it, then the cloud's checks at the interface."""
        self.journal.cross(
            walk, router.id, Device.ETHERNET, Direction.OUT, Stage.FABRIC_OUT, detail=decider)
        walk.wire_length = walk.wire_length or walk.wire.length
        if router.flags & RouterFlag.SOURCE_DEST_CHECK and walk.wire.src != router.address:
            drop(DropReason.SOURCE_CHECK, router.id, router.decided_by)
        self.fabric.check_groups(walk, router, inbound=False)
        self.fabric.from_router(walk, router, next_hop)
