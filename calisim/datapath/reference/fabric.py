"""The network between the nodes: security groups at an interface, NACLs, the cloud's router and its gateways.

Order and meaning are AWS' as documented (VPC User Guide: route tables, security groups, NACLs, internet gateways);
a plain Linux router and a network that routes pods differ by flags of the Intent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from ...control.intent import Endpoint, Fabric, FabricRoute, FabricSubnet, FilterRule, Intent, Router
from ...quantities import parse_prefix
from ...vocabulary import (
    ConnectionState, Device, Direction, DropReason, EndpointKind, ResultFlag, RouterFlag, Stage, TargetKind, Verdict,
)
from .journal import Journal
from .state import ReferenceState
from .tracking import Connection, group_timeout
from .walk import Complaint, Header, Onward, Walk, cut, drop, refuse_longer, succeed, undetermined

RESOLVING = 3_100_000_000              # ns until Linux gives up asking who has an address (three ARP requests)
VLAN_TAG = 4                           # bytes that a device takes in beyond its MTU (is_skb_forwardable)
NET_UNREACHABLE, HOST_UNREACHABLE, FRAG_NEEDED, TTL_EXCEEDED = (3, 0), (3, 1), (3, 4), (11, 0)      # ICMP type, code

# RFC 1918, RFC 6598, RFC 3927: the internet has no route to these
PRIVATE = tuple(map(parse_prefix, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")))


class FabricWalker:
    """Takes packets from an interface to the next one."""

    def __init__(self, intent: Intent, state: ReferenceState, journal: Journal) -> None:
        self.intent, self.state, self.journal = intent, state, journal
        self.fabric: Fabric = intent.fabric
        routes = [route for table in self.fabric.tables for route in table]
        self.has_outside = any(route.target is TargetKind.OUTSIDE for route in routes)
        self.gateway_place = next((route.place for route in routes if route.target is TargetKind.INTERNET), self._router_place())

    def _router_place(self) -> int:
        """The router that has a leg to the outside."""
        leads_out = [any(route.target is TargetKind.OUTSIDE for route in table) for table in self.fabric.tables]
        return next((subnet.place for subnet in self.fabric.subnets if leads_out[subnet.table]), 0)

    # ---- who is where ----------------------------------------------------------------------------------------

    def subnet(self, number: int) -> FabricSubnet:
        return self.fabric.subnets[number - 1]

    def subnet_of(self, address: int) -> FabricSubnet | None:
        """The first subnet that has this address."""
        return next((subnet for subnet in self.fabric.subnets if address in subnet.prefix), None)

    def owner(self, subnet: FabricSubnet, address: int) -> Endpoint | None:
        """Who answers for an address on the link of a subnet."""
        number = self.fabric.owners.get(address, 0)
        return self.intent.endpoint(number) if number and address in subnet.prefix else None

    def answers(self, subnet: FabricSubnet, address: int) -> bool:
        """Whether an ARP request gets an answer: AWS answers for its interfaces, on a plain link a machine does so itself."""
        owner = self.owner(subnet, address)
        return owner is not None and not self._is_dead(owner)

    def _is_dead(self, owner: Endpoint) -> bool:
        dead = owner.kind is EndpointKind.NODE and self.intent.router(owner.router).flags & RouterFlag.DOWN
        return bool(dead) and self.fabric.decrements_ttl

    def groups_of_address(self, address: int) -> tuple[int, ...]:
        """Security groups of the node that has this address inside the network."""
        number = self.fabric.owners.get(address, 0)
        if not number or self.intent.endpoint(number).kind is not EndpointKind.NODE:
            return ()
        return self.intent.router(self.intent.endpoint(number).router).groups

    # ---- filters ---------------------------------------------------------------------------------------------

    def check_acl(self, subnet: FabricSubnet, header: Header, *, inbound: bool) -> None:
        """Stateless, in order; the peer is the source inbound, the destination outbound."""
        rules = subnet.acl_in if inbound else subnet.acl_out
        if rules is None:
            return
        peer = header.src if inbound else header.dst
        rule = _first_match(rules, header, peer, ())
        if rule is None or not rule.allow:
            reason = DropReason.NACL_IN if inbound else DropReason.NACL_OUT
            drop(reason, subnet.place, rule.decided_by if rule else subnet.decided_by)

    def check_groups(self, walk: Walk, router: Router, *, inbound: bool) -> None:
        """Stateful and allow-only: a tracked flow needs no rule, nor do answers to what an earlier wave sent."""
        if not router.groups:
            return
        header, table = walk.wire, self.state.groups[router.key]
        flow = header.flow
        entry = table.find(flow, walk.time)
        is_reply = entry is not None and flow != entry.original
        if entry is None or (is_reply and entry.wave == self.state.waves):
            self._ask_rules(walk, router, inbound=inbound)
        expires = walk.time + group_timeout(flow.protocol)
        if entry is None:
            table.enter(
                Connection(flow, flow.inverse, ConnectionState.NEW, walk.time, expires, self.state.waves))
        else:
            entry.refresh(ConnectionState.ESTABLISHED if is_reply else entry.state, expires, is_reply=is_reply)

    def _ask_rules(self, walk: Walk, router: Router, *, inbound: bool) -> None:
        """Any rule of any group will do; a group as peer means the interface that sent the frame."""
        header = walk.wire
        peer = header.src if inbound else header.dst
        peer_groups = walk.peer_groups if inbound else self.groups_of_address(header.dst)
        groups = [self.fabric.groups[number - 1] for number in router.groups]
        rules = [rule for group in groups for rule in (group.ingress if inbound else group.egress)]
        if _first_match(rules, header, peer, peer_groups) is None:
            drop(DropReason.SG_INGRESS if inbound else DropReason.SG_EGRESS, router.id, groups[0].decided_by)

    # ---- from an interface to the next -------------------------------------------------------------------------

    def from_router(self, walk: Walk, router: Router, next_hop: int) -> None:
        self._from_subnet(walk, self.subnet(router.subnet), next_hop, router.groups)

    def from_host(self, walk: Walk, host: Endpoint) -> None:
        """A machine that is no node sends: on its own link, or from outside through the gateway."""
        subnet = self.subnet_of(host.address)
        if subnet is None:
            self._from_outside(walk)
            return
        destination = walk.wire.dst
        direct = destination in subnet.prefix and destination != subnet.gateway
        if direct and not self.answers(subnet, destination):
            drop(DropReason.UNREACHABLE, 0, stage=Stage.ENDPOINT)
        self._from_subnet(walk, subnet, destination if direct else subnet.gateway, ())

    def _from_subnet(self, walk: Walk, subnet: FabricSubnet, next_hop: int, groups: tuple[int, ...]) -> None:
        header, place = walk.wire, subnet.place
        walk.peer_groups = groups
        if header.protocol in self.fabric.blocked_protocols:
            drop(DropReason.FABRIC_PROTOCOL, place, self.fabric.decided_by)
        if not (self.fabric.decrements_ttl and next_hop == subnet.gateway and not self.fabric.routes_pods):
            self._refuse_longer(header, self.fabric.mtu, place, self.fabric.decided_by)
        if next_hop != subnet.gateway:
            self._straight(walk, subnet, next_hop)
        elif self.fabric.routes_pods:
            self._to_whoever_has_it(walk, place)
        else:
            self._routed(walk, subnet)

    def _straight(self, walk: Walk, subnet: FabricSubnet, next_hop: int) -> None:
        """A frame to a neighbour on the link: neither NACL nor route table see it."""
        owner = self.owner(subnet, next_hop)
        assert owner is not None, "a lookup gave a next hop that nobody has"
        if owner.kind is EndpointKind.NODE:
            self._to_router(walk, owner.router, crossed=False)
        elif walk.wire.dst == owner.address:
            self._to_host(walk, owner)
        else:
            drop(DropReason.ADDRESS_UNUSED, subnet.place, stage=Stage.FABRIC)

    def _to_whoever_has_it(self, walk: Walk, place: int) -> None:
        """A network that knows every pod (provider plain)."""
        destination = walk.wire.dst
        number = self.intent.address_owners.get(destination, 0)
        if number:
            owner = self.intent.endpoint(number)
            if owner.kind is EndpointKind.HOST:
                self._to_host(walk, owner)
            self._to_router(walk, owner.router, crossed=False)
        elif self._is_ours(destination):
            drop(DropReason.FABRIC_NO_OWNER, place)
        else:
            succeed(Verdict.EXITED, Stage.FABRIC, place)

    def _routed(self, walk: Walk, subnet: FabricSubnet) -> None:
        """The cloud's router: TTL where it has one, NACL of the sender's subnet, route table, target."""
        header, place = walk.wire, subnet.place
        if self.fabric.decrements_ttl and subnet.mtu and header.length > subnet.mtu + VLAN_TAG:
            drop(DropReason.FABRIC_MTU, place, self.fabric.decided_by, stage=Stage.FABRIC)
        walk.flags |= ResultFlag.ROUTED
        route = _longest_match(self.fabric.tables[subnet.table], header.dst)
        if route is None and self.fabric.decrements_ttl and header.ttl <= 1:
            drop(DropReason.FABRIC_NO_ROUTE, place, complaint=self._complaint(NET_UNREACHABLE, header))
        self._decrement(walk, place)
        self.check_acl(subnet, header, inbound=False)
        if route is None:
            drop(DropReason.FABRIC_NO_ROUTE, place, complaint=self._complaint(NET_UNREACHABLE, header, ttl=header.ttl + 1))
        match route.target:
            case TargetKind.LOCAL:
                self._to_owner(walk, place, route)
            case TargetKind.NODE:
                self._fit_leg(walk, self.intent.endpoint(route.router), place)
                self._hand_over(walk, self.intent.endpoint(route.router), place)
            case TargetKind.INTERNET:
                self._through_gateway(walk, route)
            case TargetKind.OUTSIDE:
                limit = self.fabric.internet_mtu
                refuse_longer(
                    header, limit, DropReason.FABRIC_MTU, place, route.decided_by, stage=Stage.FABRIC,
                    complaint=self._complaint(FRAG_NEEDED, header, ttl=header.ttl + 1, mtu=limit))
                self._outside(walk, place, route)
            case TargetKind.NAT:
                undetermined(Stage.FABRIC, place, route.decided_by)
            case TargetKind.QUOTA:
                drop(DropReason.ROUTE_QUOTA, place, route.decided_by)
            case _:
                drop(DropReason.FABRIC_NO_ROUTE, place, route.decided_by)

    def _decrement(self, walk: Walk, place: int) -> None:
        """A Linux router's share: TTL, then the MTU of its legs."""
        if not self.fabric.decrements_ttl:
            return
        header, limit = walk.wire, self.fabric.mtu
        if header.ttl <= 1:
            drop(DropReason.TTL_EXCEEDED, place, stage=Stage.FABRIC, complaint=self._complaint(TTL_EXCEEDED, header))
        refuse_longer(
            header, limit, DropReason.FABRIC_MTU, place, self.fabric.decided_by, stage=Stage.FABRIC,
            complaint=self._complaint(FRAG_NEEDED, header, mtu=limit))
        header.ttl -= 1
        walk.hops += 1

    def _complaint(
        self, kind: tuple[int, int], header: Header, *, ttl: int | None = None, mtu: int = 0, delay: int = 0,
    ) -> Complaint | None:
        """An ICMP error of the router between the subnets: Linux sends some, AWS is silent."""
        if not self.fabric.decrements_ttl:
            return None
        return Complaint(*kind, replace(header, ttl=header.ttl if ttl is None else ttl), mtu, delay)

    def _to_owner(self, walk: Walk, place: int, route: FabricRoute) -> None:
        number = self.fabric.owners.get(walk.wire.dst, 0)
        if not number:
            silence = self._complaint(HOST_UNREACHABLE, walk.wire, delay=RESOLVING)
            drop(DropReason.FABRIC_NO_OWNER, place, route.decided_by, complaint=silence)
        self._fit_leg(walk, self.intent.endpoint(number), place)
        self._deliver_routed(walk, self.intent.endpoint(number), place)

    def leg_of(self, owner: Endpoint) -> FabricSubnet:
        """The subnet into which the router sends what is for this interface."""
        if owner.kind is EndpointKind.NODE:
            return self.subnet(self.intent.router(owner.router).subnet)
        subnet = self.subnet_of(owner.address)
        assert subnet is not None, "owners holds addresses inside subnets"
        return subnet

    def _fit_leg(self, walk: Walk, owner: Endpoint, place: int) -> None:
        """A Linux router's leg may be narrower than the rest."""
        if not self.fabric.decrements_ttl:
            return
        header, limit = walk.wire, self.leg_of(owner).mtu or self.fabric.mtu
        refuse_longer(
            header, limit, DropReason.FABRIC_MTU, place, self.fabric.decided_by, stage=Stage.FABRIC,
            complaint=self._complaint(FRAG_NEEDED, header, ttl=header.ttl + 1, mtu=limit))
        to_host = owner.kind is EndpointKind.HOST
        self._cut(walk, limit, place, Onward(Stage.DELIVER, owner.id) if to_host else Onward(Stage.FABRIC_IN, owner.router))

    def _cut(self, walk: Walk, limit: int, place: int, onward: Onward) -> None:
        """What may be cut leaves the router in pieces that fit both what it takes in and the leg."""
        if walk.wire.length > min(limit, self.fabric.mtu):
            cut(Stage.FABRIC, place, min(limit, self.fabric.mtu), onward)

    def _refuse_longer(self, header: Header, limit: int, place: int, detail: int) -> None:
        """A cloud's limit; what it does with what may be cut is not known."""
        refuse_longer(header, limit, DropReason.FABRIC_MTU, place, detail, stage=Stage.FABRIC)
        if header.length > limit:
            undetermined(Stage.FABRIC, place)

    def _hand_over(self, walk: Walk, node: Endpoint, place: int) -> None:
        """To a node's interface, if it answers for itself."""
        if self._is_dead(node):
            silence = self._complaint(HOST_UNREACHABLE, walk.wire, delay=RESOLVING)
            drop(DropReason.UNREACHABLE, place, stage=Stage.FABRIC, complaint=silence)
        self._to_router(walk, node.router, crossed=True)

    def _deliver_routed(self, walk: Walk, owner: Endpoint, place: int) -> None:
        """To an interface inside, through its subnet's NACL (a node's is asked when the packet comes in)."""
        if owner.kind is EndpointKind.NODE:
            self._hand_over(walk, owner, place)
            return
        self.to_host(walk, owner)

    def to_host(self, walk: Walk, host: Endpoint) -> NoReturn:
        """To a machine that is no node; one inside has its subnet's NACL before it."""
        if (subnet := self.subnet_of(host.address)) is not None:
            self.check_acl(subnet, walk.wire, inbound=True)
        self._to_host(walk, host)

    def _through_gateway(self, walk: Walk, route: FabricRoute) -> None:
        """Stateless 1:1 translation of node addresses that have a public one; nothing else gets out."""
        header, place = walk.wire, route.place
        self._refuse_inside(walk, place, route)
        router = next((r for r in self.intent.routers if r.address == header.src and r.flags & RouterFlag.PUBLIC), None)
        if router is None:
            drop(DropReason.IGW_NO_PUBLIC_ADDRESS, place, route.decided_by)
        self._refuse_longer(header, self.fabric.internet_mtu, place, route.decided_by)
        header.src = router.public_address or header.src
        self._outside(walk, place, route)

    def _outside(self, walk: Walk, place: int, route: FabricRoute) -> None:
        destination = walk.wire.dst
        if (host := self.outside_host(destination)) is not None:
            self._cut_going_out(walk, place, route, Onward(Stage.DELIVER, host.id))
            self._to_host(walk, host)
        elif (router := self._with_public(destination)) is not None:
            walk.wire.dst, walk.peer_groups = router.address, ()
            self._to_router(walk, router.id, crossed=True)
        else:
            self._refuse_inside(walk, place, route)
            self._cut_going_out(walk, place, route, Onward(Stage.DELIVER, place=place))
            succeed(Verdict.EXITED, Stage.FABRIC, place)

    def _cut_going_out(self, walk: Walk, place: int, route: FabricRoute, onward: Onward) -> None:
        if route.target is TargetKind.OUTSIDE:
            self._cut(walk, self.fabric.internet_mtu, place, onward)

    def _refuse_inside(self, walk: Walk, place: int, route: FabricRoute) -> None:
        """A default route is none for what nobody outside can know: pods, subnets, private addresses."""
        destination = walk.wire.dst
        if self.outside_host(destination) is not None or self._with_public(destination) is not None:
            return
        if self._is_ours(destination) or route.target is TargetKind.INTERNET and _is_private(destination):
            complaint = self._complaint(NET_UNREACHABLE, walk.wire, ttl=walk.wire.ttl + 1)
            drop(DropReason.FABRIC_NO_ROUTE, place, route.decided_by, complaint=complaint)

    def _is_ours(self, address: int) -> bool:
        """Whether the address lies where the scenario has subnets or pods: nobody outside routes it."""
        pools = (pool.prefix for pool in self.intent.pools if not pool.disabled)
        return self.subnet_of(address) is not None or any(address in prefix for prefix in pools)

    def _from_outside(self, walk: Walk) -> None:
        """A host beyond the gateway sends: only what has a public address, or is not behind a gateway, is reached."""
        destination = walk.wire.dst
        walk.peer_groups = ()
        if self.fabric.routes_pods:
            self._to_whoever_has_it(walk, 0)
            return
        owner = self._reached_from_outside(destination)
        if owner is None:
            drop(DropReason.FABRIC_NO_ROUTE, self.gateway_place, complaint=self._not_reached(walk.wire))
        walk.flags |= ResultFlag.ROUTED
        self._decrement(walk, self.gateway_place)
        walk.wire.dst = owner.address
        self._fit_leg(walk, owner, self.gateway_place)
        self._deliver_routed(walk, owner, self.gateway_place)

    def _not_reached(self, header: Header) -> Complaint | None:
        """What a host outside is told: an address of a link is asked for there, in vain; for all others there is no route."""
        if self.subnet_of(header.dst) is None:
            return self._complaint(NET_UNREACHABLE, header)
        return self._complaint(HOST_UNREACHABLE, header, ttl=header.ttl - 1, delay=RESOLVING) if header.ttl > 1 else None

    def from_place(self, walk: Walk, place: int) -> None:
        """The router itself sends: neither aged nor filtered on its way out."""
        walk.flags |= ResultFlag.ROUTED
        number = self.fabric.owners.get(walk.wire.dst, 0)
        if number:
            self._deliver_routed(walk, self.intent.endpoint(number), place)
        elif (host := self.outside_host(walk.wire.dst)) is not None:
            self._to_host(walk, host)
        else:
            drop(DropReason.FABRIC_NO_ROUTE, place)

    def _reached_from_outside(self, address: int) -> Endpoint | None:
        if (public := self._with_public(address)) is not None:
            return self.intent.endpoint(public.id)
        for router in self.intent.routers:
            if router.address == address and router.flags & RouterFlag.PUBLIC and not router.public_address:
                return self.intent.endpoint(router.id)
        inside = self.fabric.owners.get(address, 0)
        return self.intent.endpoint(inside) if inside and self.has_outside else None

    def _with_public(self, address: int) -> Router | None:
        """The router to which the gateway maps a public address."""
        known = (r for r in self.intent.routers if r.flags & RouterFlag.PUBLIC and r.public_address)
        return next((router for router in known if router.public_address == address), None)

    def outside_host(self, address: int) -> Endpoint | None:
        return next((
            endpoint for endpoint in self.intent.endpoints
            if endpoint.kind is EndpointKind.HOST and endpoint.address == address and self.subnet_of(address) is None), None)

    def _to_router(self, walk: Walk, router: int, *, crossed: bool) -> None:
        walk.router, walk.device, walk.crossed = router, Device.ETHERNET, crossed

    def _to_host(self, walk: Walk, host: Endpoint) -> NoReturn:
        self.journal.cross(walk, 0, Device.ETHERNET, Direction.IN, Stage.DELIVER, endpoint=host.id)
        succeed(Verdict.DELIVERED, Stage.DELIVER, 0)


def _is_private(address: int) -> bool:
    return any(address in prefix for prefix in PRIVATE)


def _first_match(
    rules: Sequence[FilterRule], header: Header, peer: int, peer_groups: tuple[int, ...],
) -> FilterRule | None:
    return next((rule for rule in rules if rule.matches(header.protocol, header.filter_port, peer, peer_groups)), None)


def _longest_match(routes: tuple[FabricRoute, ...], address: int) -> FabricRoute | None:
    """Longest prefix; of equal ones the first (max keeps the first of equals)."""
    return max((r for r in routes if address in r.prefix), key=lambda route: route.prefix.length, default=None)
