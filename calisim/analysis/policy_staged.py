"""What staged policies would change for the scenario's traffic, without enforcing anything: flows that would go another way.

Every packet of the traffic is put to both policies, as enforced and as if the staged ones were; packets between the same
classes count together. Only policy is asked: whether a packet gets as far is ``calisim run``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..control.intent import Object
from ..datapath.reference.police import Flow
from ..traffic.owners import AddressOwners
from ..vocabulary import EndpointKind
from .policy_book import object_of
from .policy_names import Names
from .policy_space import Space, World
from .policy_walk import Side, Walker, flow_between
from .policy_words import service_of

if TYPE_CHECKING:
    from .network import Network, Progress


@dataclass(frozen=True)
class Shift:
    """Packets of one set between two classes that are ``allowed_now`` and would be the opposite; ``side`` is who would decide."""

    traffic: str
    source: str
    destination: str
    service: str
    packets: int
    allowed_now: bool
    example: Flow
    ends: tuple[str, str]
    side: Side


@dataclass(frozen=True)
class StagedReport:
    """``policies`` are the staged ones; ``unplaced`` packets have no address to be judged by: none at all, or that of a service,
    while policy sees the endpoint that only the datapath chooses."""

    policies: tuple[Object, ...]
    shifts: tuple[Shift, ...]
    packets: int
    unplaced: int

    def count(self, *, allowed_now: bool) -> int:
        return sum(one.packets for one in self.shifts if one.allowed_now is allowed_now)


def staged(network: Network, traffic: str | None = None, progress: Progress | None = None) -> StagedReport:
    """Flows of the traffic on which the two differ."""
    space = Space(World(network), World(network, staged=True))
    names, walker, placer = Names(space), Walker(network), _Placer(space)
    found: list[Shift] = []
    packets = unplaced = 0
    for one in network.traffic_sets(traffic):
        counts: dict[tuple[int, ...], list[int]] = {}
        for wave in network.waves(one):
            packets += len(wave)
            unplaced += placer.count(wave, counts)
            if progress is not None:
                progress(one.name, packets)
        shifts = (_shift(names, walker, one.name, key, count, flow) for key, (count, *flow) in counts.items())
        found += [shift for shift in shifts if shift is not None]
    policies = tuple(object_of(policy) for policy in walker.book.policies if policy.staged)
    return StagedReport(policies, tuple(sorted(found, key=lambda shift: -shift.packets)), packets, unplaced)


class _Placer:
    """Where packets belong in a space; what it knows of all endpoints is made once for all waves."""

    def __init__(self, space: Space) -> None:
        self._space = space
        endpoints = space.worlds[0].network.intent.endpoints
        self._owners = AddressOwners(space.worlds[0].network.intent)
        self._nodes = np.array([0, *(endpoint.router if endpoint.kind is EndpointKind.NODE else 0 for endpoint in endpoints)])
        self._routers = np.array([0, *(endpoint.router for endpoint in endpoints)])
        self._addresses = np.array([0, *(endpoint.address for endpoint in endpoints)], np.int64)
        frontends = space.worlds[0].network.intent.services.frontends
        self._services = np.array(sorted({one.address for one in frontends if one.address}), np.int64)
        self._node_ports = np.array(sorted({one.port for one in frontends if not one.address}), np.int64)

    def count(self, wave: np.ndarray, counts: dict[tuple[int, ...], list[int]]) -> int:
        """Packets by class of sender, receiver and service, and whether a node sends to its own pod; one flow of each kind."""
        space, nodes = self._space, self._nodes[wave["ingress"]]
        sources = np.where(wave["src"] == 0, self._addresses[wave["ingress"]], wave["src"].astype(np.int64))
        destinations = wave["dst"].astype(np.int64)
        own = (nodes != 0) & (nodes == self._routers[self._owners.of(wave["dst"])])
        columns = np.stack([
            np.where(sources == 0, -1, space.of_addresses(sources)),
            np.where(self._is_service(destinations, wave), -1, space.of_addresses(destinations)),
            space.services.positions(wave), own], axis=1)
        kinds, first, amounts = np.unique(columns, axis=0, return_index=True, return_counts=True)
        lost = 0
        for kind, row, amount in zip(kinds.tolist(), first.tolist(), amounts.tolist(), strict=True):
            if min(kind[:2]) < 0:
                lost += amount
                continue
            flow = [int(sources[row]), int(destinations[row]), *(int(wave[name][row]) for name in ("protocol", "sport", "dport"))]
            counts.setdefault(tuple(kind), [0, *flow])[0] += amount
        return lost

    def _is_service(self, destinations: np.ndarray, wave: np.ndarray) -> np.ndarray:
        to_nodes = self._nodes[self._owners.of(wave["dst"])] != 0
        return np.isin(destinations, self._services) | to_nodes & np.isin(wave["dport"], self._node_ports)


def _shift(names: Names, walker: Walker, traffic: str, key: tuple[int, ...], count: int, flow: list[int]) -> Shift | None:
    space = names.space
    source, destination, service, own = key
    bit = 1 << service
    verdicts = [
        bool(space.outcome(source, destination, "egress", world).allowed & bit)
        and (bool(own) or bool(space.outcome(destination, source, "ingress", world).allowed & bit)) for world in (0, 1)]
    if verdicts[0] is verdicts[1]:
        return None
    example = flow_between(*flow)
    return Shift(
        traffic, names.of(source), names.of(destination), service_of(example), count, verdicts[0], example,
        (names.address(example.src), names.address(example.dst)), _decisive(walker, example, bool(own), verdicts[0]))


def _decisive(walker: Walker, flow: Flow, own: bool, allowed_now: bool) -> Side:
    """The side whose staged policy says something else than what is enforced."""
    changed = None
    for way in ("egress",) if own else ("egress", "ingress"):
        now, then = walker.side(flow, way), walker.side(flow, way, staged=True)
        if now is not None and then is not None and now.allowed is not then.allowed and then.allowed is not allowed_now:
            changed = changed or then
    assert changed is not None
    return changed

