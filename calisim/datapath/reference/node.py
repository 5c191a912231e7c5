"""What a router (a node) does with a packet: one leg, in the order that Linux was measured to keep.

    in by eth0:  groups, checks → decapsulate → source check → conntrack → lookup
    own packet:                                               conntrack → lookup
    then:        deliver here, or TTL → MTU → translate → encapsulate → out by eth0
"""

from __future__ import annotations

from ...control.intent import Adjacency, Intent, Router
from ...vocabulary import (
    AdjacencyKind, ConnectionState, Device, Direction, DropReason, Encap, ResultFlag, RouterFlag, RpFilter, Stage,
    Verdict,
)
from ...vocabulary.chance import draw
from ...vocabulary.encaps import encapsulation
from .fabric import FabricWalker
from .journal import Journal
from .routes import Routes
from .state import ReferenceState
from .tracking import Connection, PortChooser, conntrack_timeout, next_state, opening_state
from .walk import ICMP, TCP, UDP, Header, Walk, drop, exceeds, succeed, undetermined

NOT_ECT, ECT1, ECT0, CE = 0, 1, 2, 3           # RFC 3168 §5
ECN = 3
PORT_LOW, PORT_COUNT = 32768, 28232            # net.ipv4.ip_local_port_range, of VXLAN's source port
DEVICES = {Encap.IPIP: Device.IPIP, Encap.VXLAN: Device.VXLAN}


class NodeWalker:
    """Takes a packet through one router; leaves the next one in the walk, or raises how the journey ends."""

    def __init__(self, intent: Intent, state: ReferenceState, journal: Journal, routes: Routes, fabric: FabricWalker) -> None:
        self.intent, self.state, self.journal, self.routes, self.fabric = intent, state, journal, routes, fabric

    def leg(self, walk: Walk) -> None:
        """One pass through ``walk.router``."""
        router = self.intent.router(walk.router)
        if walk.device is Device.ETHERNET:
            self._admit(walk, router)
            self._decapsulate(walk, router)
        if walk.device is Device.LOOPBACK:
            self._choose_source(walk, router)
        else:
            self._check_source(walk, router)
        connection = self._track(walk, router)
        adjacency = self._lookup(walk, router)
        if adjacency is None:
            self._local_in(walk, router, connection)
        else:
            self._forward(walk, router, adjacency, connection)

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

    def _decapsulate(self, walk: Walk, router: Router) -> None:
        """Outer header off; ECN of both headers becomes the inner one's (RFC 6040)."""
        outer = walk.outer
        if outer is None:
            return
        if outer.dst != router.address:
            undetermined(Stage.DECAPSULATE, router.id)
        if router.flags & RouterFlag.CALICO_FILTER and outer.src not in self.intent.tunnel_senders:
            drop(DropReason.TUNNEL_UNKNOWN_SENDER, router.id)
        device = DEVICES[walk.encap]
        if not _tunnel_address(router, device):
            drop(DropReason.ADDRESS_UNUSED, router.id, stage=Stage.DECAPSULATE)
        inner_ecn = merged_ecn(outer.tos & ECN, walk.inner.tos & ECN)
        if inner_ecn is None:
            drop(DropReason.ECN_ILLEGAL, router.id)
        walk.inner.tos = walk.inner.tos & ~ECN | inner_ecn
        walk.outer, walk.encap, walk.device = None, Encap.NONE, device
        self.journal.cross(walk, router.id, device, Direction.IN, Stage.DECAPSULATE)

    def _check_source(self, walk: Walk, router: Router) -> None:
        """Martians, Calico's anti-spoofing at a pod's veth, the kernel's reverse path filter."""
        src, dst = walk.inner.src, walk.inner.dst
        if src >> 28 == 0xE or src == 0xFFFFFFFF or _is_this_host(src) or _is_this_host(dst):
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
        if walk.inner.src:
            return
        adjacency = self._lookup(walk, router)
        walk.inner.src = router.address
        if adjacency is not None and adjacency.kind is AdjacencyKind.TUNNEL:
            walk.inner.src = _tunnel_address(router, adjacency.device) or router.address

    # ---- connections -----------------------------------------------------------------------------------------

    def _track(self, walk: Walk, router: Router) -> Connection | None:
        """The connection that the packet belongs to or may open (then not yet confirmed); None: INVALID."""
        flow = walk.inner.flow
        known = self.state.conntrack[router.key].find(flow, walk.time)
        if known is None:
            state = opening_state(flow, walk.tcp_flags)
            if state is not ConnectionState.NONE:
                expires = walk.time + conntrack_timeout(flow.protocol, state)
                return Connection(flow, flow.inverse, state, walk.time, expires, self.state.waves)
            if router.flags & RouterFlag.CALICO_FILTER:
                drop(DropReason.CT_INVALID, router.id)
            return None
        is_reply = flow != known.original
        state = next_state(known.state, flow, walk.tcp_flags, is_reply=is_reply)
        known.refresh(state, walk.time + conntrack_timeout(flow.protocol, state), is_reply=is_reply)
        if walk.legs == 1:
            walk.connection = known.ordinal
        if is_reply and known.is_translated:
            self._translate_back(walk, known)
        return known

    def _translate_back(self, walk: Walk, connection: Connection) -> None:
        """An answer goes to who asked: before the lookup, as measured."""
        header, original = walk.inner, connection.original
        header.dst = original.src
        if header.protocol in (TCP, UDP):
            header.dport = original.sport
        elif header.protocol == ICMP:
            header.sport = original.sport
        walk.flags |= ResultFlag.UNNAT

    def _translate(self, walk: Walk, router: Router, connection: Connection | None, masquerade: int) -> None:
        """Confirm a new connection with its translation; give packets of a known one the same (original direction)."""
        if connection is None:
            return
        if not connection.ordinal:
            self._confirm(walk, router, connection, masquerade)
        if walk.inner.flow != connection.original or not connection.is_translated:
            return
        header, translated = walk.inner, connection.translated
        header.src = translated.src
        if header.protocol in (TCP, UDP, ICMP):
            header.sport = translated.sport
        walk.flags |= ResultFlag.SNAT

    def _confirm(self, walk: Walk, router: Router, connection: Connection, masquerade: int) -> None:
        """Enter a connection into the table under a source port that keeps its answers apart from all others."""
        table = self.state.conntrack[router.key]
        ports = PortChooser(table, self.intent.seed, router.key, walk.time)
        if masquerade:
            random_fully = bool(router.flags & RouterFlag.RANDOM_FULLY)
            translated = ports.masquerade(connection.original, masquerade, random_fully=random_fully)
        else:
            translated = ports.bind(connection.original)
        if translated is None:
            drop(DropReason.SNAT_PORTS_EXHAUSTED, router.id)
        connection.reply = translated.inverse
        table.enter(connection)
        if walk.legs == 1:
            walk.connection = connection.ordinal
            walk.flags |= ResultFlag.NEW

    # ---- where to ------------------------------------------------------------------------------------------------

    def _lookup(self, walk: Walk, router: Router) -> Adjacency | None:
        """None: the packet is for the node itself. Raises where no route leads on, or nobody answers on the link."""
        dst = walk.inner.dst
        first = walk.legs == 1
        if dst in self.intent.local_addresses(router.id):
            walk.decider = router.decided_by if first else walk.decider
            return None
        adjacency = self.routes.find(router.id, dst)
        if adjacency is None or dst >> 28 == 0xE or dst == 0xFFFFFFFF or _is_this_host(dst):
            drop(DropReason.NO_ROUTE, router.id)
        if adjacency.kind is AdjacencyKind.DROP:
            drop(adjacency.reason, router.id, adjacency.decided_by, stage=Stage.LOOKUP)
        if adjacency.kind is AdjacencyKind.ATTACHED:
            self._resolve_neighbour(router, dst)
        elif adjacency.kind is AdjacencyKind.REMOTE and adjacency.next_hop != self.fabric.subnet(router.subnet).gateway:
            self._resolve_neighbour(router, adjacency.next_hop)
        walk.decider = adjacency.decided_by if first else walk.decider
        return adjacency

    def _resolve_neighbour(self, router: Router, address: int) -> None:
        if self.fabric.owner(self.fabric.subnet(router.subnet), address) is None:
            drop(DropReason.UNREACHABLE, router.id)

    def _local_in(self, walk: Walk, router: Router, connection: Connection | None) -> None:
        """The node itself receives; not masqueraded, since it passes INPUT and not POSTROUTING (measured)."""
        self._refuse_tunnels(walk, router, connection)
        if walk.device is Device.VETH and router.flags & RouterFlag.HOST_ACTION_DROP and not _is_known(connection):
            drop(DropReason.POLICY_EGRESS, router.id, router.decided_by, stage=Stage.LOCAL_IN)
        self._translate(walk, router, connection, masquerade=0)
        succeed(Verdict.DELIVERED, Stage.DELIVER, router.id)

    def _forward(self, walk: Walk, router: Router, adjacency: Adjacency, connection: Connection | None) -> None:
        header = walk.inner
        if walk.device is not Device.LOOPBACK:
            if header.ttl <= 1:
                drop(DropReason.TTL_EXCEEDED, router.id)
            header.ttl -= 1
        local = adjacency.kind is AdjacencyKind.LOCAL
        mtu = self.intent.endpoint(adjacency.endpoint).mtu if local else adjacency.mtu
        exceeds(
            header, mtu, DropReason.MTU_EXCEEDED, router.id, adjacency.decided_by,
            stage=Stage.MTU, unless_df=Stage.FRAGMENT)
        self._refuse_tunnels(walk, router, connection)
        self._translate(walk, router, connection, self._masquerade_address(walk, router, adjacency))
        if local:
            self.journal.cross(
                walk, router.id, Device.VETH, Direction.OUT, Stage.DELIVER,
                endpoint=adjacency.endpoint, detail=adjacency.decided_by)
            succeed(Verdict.DELIVERED, Stage.DELIVER, router.id)
        next_hop = adjacency.next_hop if adjacency.kind is AdjacencyKind.REMOTE else header.dst
        if adjacency.kind is AdjacencyKind.TUNNEL:
            next_hop = self._encapsulate(walk, router, adjacency)
        self._leave(walk, router, adjacency, next_hop)

    def _refuse_tunnels(self, walk: Walk, router: Router, connection: Connection | None) -> None:
        """Felix: a workload sends neither IP-in-IP nor VXLAN; what is ESTABLISHED was accepted before."""
        header = walk.inner
        ipip, vxlan = encapsulation(Encap.IPIP), encapsulation(Encap.VXLAN)
        tunnel = header.protocol == ipip.protocol or (header.protocol, header.dport) == (vxlan.protocol, vxlan.port)
        if tunnel and walk.device is Device.VETH and router.flags & RouterFlag.CALICO_FILTER and not _is_known(connection):
            drop(DropReason.ENCAP_FROM_POD, router.id)

    def _masquerade_address(self, walk: Walk, router: Router, adjacency: Adjacency) -> int:
        """The address behind which a new connection hides, 0 for none: cali-nat-outgoing, then the tunnel's own rule."""
        header = walk.inner
        tunnel = 0
        if adjacency.kind is AdjacencyKind.TUNNEL:
            tunnel = _tunnel_address(router, adjacency.device) or router.address
        if self.intent.nat.matches(header.src, header.dst):
            return tunnel or router.address
        own = walk.device is Device.LOOPBACK or header.src in self.intent.local_addresses(router.id)
        hides = own and header.src != tunnel and not router.flags & RouterFlag.NO_TUNNEL_MASQUERADE
        return tunnel if hides else 0

    # ---- going out -------------------------------------------------------------------------------------------

    def _encapsulate(self, walk: Walk, router: Router, adjacency: Adjacency) -> int:
        """Outer header on; returns the on-link address to which its own route leads."""
        inner, layout = walk.inner, encapsulation(adjacency.encap)
        self.journal.cross(
            walk, router.id, adjacency.device, Direction.OUT, Stage.ENCAPSULATE, detail=adjacency.decided_by)
        walk.outer = walk.last_outer = Header(
            src=router.address, dst=adjacency.next_hop, protocol=layout.protocol,
            sport=vxlan_source_port(self.intent.seed, inner) if layout.port else 0, dport=layout.port,
            ttl=layout.outer_ttl or inner.ttl, tos=outer_ecn(inner.tos & ECN), length=inner.length + layout.overhead,
            df=inner.df and layout.copies_df)
        walk.encap = walk.last_encap = adjacency.encap
        walk.flags |= ResultFlag.ENCAP
        on_link = adjacency.next_hop in router.inputs.link
        if on_link:
            self._resolve_neighbour(router, adjacency.next_hop)
        exceeds(
            walk.outer, router.inputs.mtu, DropReason.MTU_EXCEEDED, router.id, adjacency.decided_by,
            stage=Stage.ENCAPSULATE, unless_df=Stage.FRAGMENT)
        return adjacency.next_hop if on_link else self.fabric.subnet(router.subnet).gateway

    def _leave(self, walk: Walk, router: Router, adjacency: Adjacency, next_hop: int) -> None:
        """FABRIC_OUT: tcpdump on eth0 sees it, then the cloud's checks at the interface."""
        self.journal.cross(
            walk, router.id, Device.ETHERNET, Direction.OUT, Stage.FABRIC_OUT, detail=adjacency.decided_by)
        walk.wire_length = walk.wire_length or walk.wire.length
        if router.flags & RouterFlag.SOURCE_DEST_CHECK and walk.wire.src != router.address:
            drop(DropReason.SOURCE_CHECK, router.id, router.decided_by)
        self.fabric.check_groups(walk, router, inbound=False)
        self.fabric.from_router(walk, router, next_hop)


def _is_known(connection: Connection | None) -> bool:
    return connection is not None and bool(connection.ordinal)


def _is_this_host(address: int) -> bool:
    """0.0.0.0 and 127.0.0.0/8 (RFC 1122 §3.2.1.3); the rest of 0/8 is forwarded since Linux 5.3 (measured)."""
    return address == 0 or address >> 24 == 127


def _tunnel_address(router: Router, device: Device) -> int:
    return router.ipip_address if device is Device.IPIP else router.vxlan_address


def merged_ecn(outer: int, inner: int) -> int | None:
    """The inner ECN field after decapsulation (RFC 6040 §4.2, measured on Linux); None: the packet is dropped."""
    if outer == CE:
        return None if inner == NOT_ECT else CE
    return ECT1 if (outer, inner) == (ECT1, ECT0) else inner


def outer_ecn(inner: int) -> int:
    """The outer TOS: DSCP 0, ECN inherited but for CE, which starts anew as ECT(0) (measured on Linux)."""
    return ECT0 if inner == CE else inner


def vxlan_source_port(seed: int, inner: Header) -> int:
    """One port per flow, the same in both directions."""
    flow = inner.flow
    ports = (flow.sport, flow.sport) if flow.protocol == ICMP else (flow.sport, flow.dport)
    (low, low_port), (high, high_port) = sorted(((flow.src, ports[0]), (flow.dst, ports[1])))
    return PORT_LOW + draw(seed, low, high, flow.protocol << 32 | low_port << 16 | high_port) % PORT_COUNT
