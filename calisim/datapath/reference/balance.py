"""BALANCE: services on a node, as kube-proxy's rules in the nat and filter tables treat them.

Takes the Intent's services and the affinity in the state; changes the destination of the packet that opens a connection, says
whether its source has to hide (KUBE-MARK-MASQ) and whether the filter table refuses it; puts answers and errors back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...control.intent import Backend, Frontend, Intent, Router, ServicePort
from ...vocabulary import Device, DropReason, ResultFlag, Stage
from ...vocabulary.chance import draw
from .state import ReferenceState
from .tracking import Connection
from .walk import Complaint, Header, Walk, drop

ENDPOINT_CHOICE = 1 << 32              # keeps these draws apart from those of ports
PORT_UNREACHABLE = (3, 3)              # --reject-with icmp-port-unreachable


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the filter table does with a packet that no endpoint gets: DROP, or REJECT (``answered``).

    ``in_output``: also in the hook OUTPUT, where KUBE-EXTERNAL-SERVICES is missing.
    """

    reason: DropReason
    decided_by: int
    answered: bool
    in_output: bool


@dataclass(frozen=True, slots=True)
class Handling:
    """What kube-proxy says of an opening packet."""

    marked: bool = False
    refusal: Refusal | None = None


UNTOUCHED = Handling()


class Balancer:
    """kube-proxy of every node."""

    def __init__(self, intent: Intent, state: ReferenceState) -> None:
        self.intent, self.state, self.services = intent, state, intent.services

    def balance(self, walk: Walk, router: Router, connection: Connection | None) -> Handling:
        """Step 4a: the packet leaves for the endpoint of its connection, which an opening one first gets."""
        if connection is None:
            return UNTOUCHED
        handling = UNTOUCHED
        if not connection.is_confirmed and walk.quote is None:
            handling = self._open(walk, router, connection)
        if connection.is_redirected and not walk.is_reply:
            self._redirect(walk, connection)
        return handling

    def put_back(self, walk: Walk, connection: Connection) -> None:
        """An answer comes from whom the first packet was sent to; so does an error about such a packet."""
        if not connection.is_redirected:
            return
        header, original = walk.wire, connection.original
        header.src = original.dst
        if walk.quote is not None:
            walk.quote.dst, walk.quote.dport = original.dst, original.dport
        else:
            header.sport = original.dport
        walk.flags |= ResultFlag.UNDNAT

    def refuse(self, walk: Walk, router: Router, handling: Handling, *, forwarded: bool, quote: Header) -> None:
        """The filter table: hooks INPUT (``forwarded`` False), FORWARD and OUTPUT."""
        refusal = handling.refusal
        own = walk.device is Device.LOOPBACK
        if refusal is None or (forwarded and own and not refusal.in_output):
            return
        complaint = None
        if refusal.answered and not own:
            complaint = Complaint(*PORT_UNREACHABLE, replace(quote), source=0 if forwarded else quote.dst)
        drop(refusal.reason, router.id, refusal.decided_by, stage=Stage.BALANCE, complaint=complaint)

    # ---- opening a connection --------------------------------------------------------------------------------

    def _open(self, walk: Walk, router: Router, connection: Connection) -> Handling:
        frontend = self._frontend(walk.wire, router)
        if frontend is None:
            return UNTOUCHED
        service = self.services.ports[frontend.service - 1]
        source = walk.wire.src
        if frontend.sources is not None and not any(source in prefix for prefix in frontend.sources):
            return Handling(refusal=Refusal(DropReason.POLICY_INGRESS, service.decided_by, answered=False, in_output=True))
        rejected = not service.backends
        asked, marked = self._policy(walk, router, frontend, service)
        if rejected or not asked:
            return Handling(refusal=Refusal(
                DropReason.NO_ENDPOINTS, service.decided_by, answered=rejected, in_output=not frontend.external))
        chosen = self._choose(walk, router, service, asked)
        connection.reply = connection.original._replace(dst=chosen.address, dport=chosen.port).inverse
        return Handling(marked=marked or source == chosen.address)

    def _frontend(self, header: Header, router: Router) -> Frontend | None:
        """The service that the packet is for: by its address, else by a node port on the node's own."""
        known = self.services.by_address
        found = known.get((header.dst, header.protocol, header.dport)) if header.dst else None
        if found is not None or header.dst not in self.intent.local_addresses(router.id):
            return found
        allowed = self.services.node_addresses
        if allowed is not None and not any(header.dst in prefix for prefix in allowed):
            return None
        return known.get((0, header.protocol, header.dport))

    def _policy(
        self, walk: Walk, router: Router, frontend: Frontend, service: ServicePort,
    ) -> tuple[Sequence[Backend], bool]:
        """Who is asked, and whether the source hides: chains KUBE-SVC, KUBE-SVL and KUBE-EXT."""
        services, source = self.services, walk.wire.src
        told_apart = services.by_interface or services.pods is not None
        if services.by_interface:
            is_pod = walk.device is Device.VETH
        else:
            is_pod = any(source in prefix for prefix in services.pods or ())
        own = [backend for backend in service.own if backend.router == router.id]
        if not frontend.external:
            return own if frontend.local else service.backends, services.masquerade_all or (told_apart and not is_pod)
        if not frontend.local:
            return service.backends, True
        if is_pod:
            return service.backends, False
        if source in self.intent.local_addresses(router.id):
            return service.backends, True
        return own, False

    def _choose(self, walk: Walk, router: Router, service: ServicePort, asked: Sequence[Backend]) -> Backend:
        """The endpoint that the client had before, else any of them alike (-m recent, then -m statistic)."""
        header = walk.wire
        client = router.key, service.key, header.src
        chosen = None
        if service.affinity:
            address, port, expires = self.state.affinity.get(client, (0, 0, 0))
            if expires > walk.time:
                chosen = next((one for one in asked if (one.address, one.port) == (address, port)), None)
        if chosen is None:
            chosen = asked[draw(
                self.intent.seed, router.key, header.src << 32 | header.dst,
                header.sport << 32 | header.dport << 16 | header.protocol, ENDPOINT_CHOICE | service.key) % len(asked)]
        if service.affinity:
            self.state.affinity[client] = chosen.address, chosen.port, walk.time + service.affinity
        return chosen

    def _redirect(self, walk: Walk, connection: Connection) -> None:
        """To the endpoint; an error about one of its answers quotes the answer as it made it."""
        walk.wire.dst = connection.reply.src
        if walk.quote is not None:
            walk.quote.src, walk.quote.sport = connection.reply.src, connection.reply.sport
        else:
            walk.wire.dport = connection.reply.sport
        walk.flags |= ResultFlag.DNAT


def attached(complaint: Complaint | None, walk: Walk, connection: Connection | None) -> Complaint | None:
    """An error of the node itself goes with the connection that it is about (nf_ct_attach), and speaks as that one does:
    it quotes the destination that came in, and comes from there."""
    if complaint is None or connection is None or not connection.is_redirected:
        return complaint
    quote, (dst, dport) = complaint.quote, walk.arrived
    if (quote.dst, quote.dport) == (dst, dport):           # an answer to a client that was not hidden
        return complaint
    return replace(complaint, quote=replace(quote, dst=dst, dport=dport), source=dst)
