"""Who sent how much to whom, what became of it and where it died: packets and bytes by place, added up wave by wave.

A place is what a map can show: a node (with its pods), a host outside, or the world that nobody named. The sums are those of
the tallies, split by place: nothing is counted a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from ..vocabulary import EndpointKind, Verdict
from .run import Outcome, codes_of, outcome_of

if TYPE_CHECKING:
    from .network import Network

MOST_FLOWS = 1_000_000
"""Kept apart by node, 32 bytes each; where there are more, they are added up by subnet."""

_RECEIVER, _SENDER, _END, _WIDTH = 15, 32, 49, 17      # where in a key things stand behind the outcome's code
_MASK = np.uint64((1 << _WIDTH) - 1)
_NOWHERE, _AT_SENDER, _AT_RECEIVER, _BEYOND = range(4)


@dataclass(frozen=True, slots=True)
class Flow:
    """Packets of one outcome between two places (positions in :attr:`Flows.places`). ``end``: where they were lost –
    ``sender``, ``receiver``, a place of the cloud, or "" (not lost, or at another node)."""

    sender: int
    receiver: int
    end: str
    outcome: Outcome
    packets: int
    sent: int                         # bytes as sent (IP total length)
    wire: int                         # … on the first node's wire, with outer headers


class Flows:
    """Watches a run of a network. ``places``: the nodes in the Intent's order, the hosts, and at the end the world."""

    def __init__(self, network: Network) -> None:
        intent, self._scopes = network.intent, network.scopes
        nodes = len(intent.routers)
        hosts = [endpoint for endpoint in intent.endpoints if endpoint.kind is EndpointKind.HOST]
        self.places = (*(f"node/{router.name}" for router in intent.routers), *(host.name for host in hosts), "outside")
        if len(self.places) > _MASK:
            raise UsageError(f"a map shows at most {int(_MASK) - 1:,} nodes and hosts, here are {len(self.places) - 1:,}")
        self._cloud, self._nodes = intent.places[nodes:], nodes
        self._place_of = np.full(len(intent.endpoints) + 1, len(self.places) - 1, np.uint64)
        for endpoint in intent.endpoints:
            if endpoint.router:
                self._place_of[endpoint.id] = endpoint.router - 1
        for number, host in enumerate(hosts):
            self._place_of[host.id] = nodes + number
        subnets = np.array([router.subnet for router in intent.routers], np.uint64)
        _, first, which = np.unique(subnets, return_index=True, return_inverse=True)
        self._gathered = np.arange(len(self.places), dtype=np.uint64)
        self._gathered[:nodes] = first[which]
        self._keys, self._sums, self._by_node = np.empty(0, np.uint64), np.empty((0, 3), np.int64), True

    def __call__(self, _: str, packets: np.ndarray, results: np.ndarray) -> None:
        """Add a wave."""
        receivers = self._scopes.receivers(packets["dst"])
        receivers = np.where(receivers == 0, self._scopes.receivers(results["dst"]), receivers)      # of a service
        sender, receiver = self._place_of[packets["ingress"]], self._place_of[receivers]
        end = np.where(results["verdict"] == Verdict.DROPPED, self._ends(results["where"], sender, receiver), _NOWHERE)
        keys = codes_of(packets, results, self._scopes).astype(np.uint64)
        for part, at in ((receiver, _RECEIVER), (sender, _SENDER), (end, _END)):
            keys |= part.astype(np.uint64) << np.uint64(at)
        sums = np.stack([np.ones(len(packets), np.int64), packets["length"], results["wire"]], axis=1)
        keys, sums = _summed(keys if self._by_node else self._coarse(keys), sums)
        self._keys, self._sums = _summed(np.concatenate([self._keys, keys]), np.concatenate([self._sums, sums]))
        if self._by_node and len(self._keys) > MOST_FLOWS:
            self._by_node = False
            self._keys, self._sums = _summed(self._coarse(self._keys), self._sums)

    def by_node(self) -> list[Flow] | None:
        """All flows in a fixed order; None if they were too many to be kept apart."""
        return self._flows(self._keys, self._sums) if self._by_node else None

    def by_subnet(self) -> list[Flow]:
        """The same added up by subnet, for which the first of its nodes stands."""
        return self._flows(*_summed(self._coarse(self._keys), self._sums))

    def of_nodes(self) -> np.ndarray | None:
        """For each place: packets sent, those of them that were lost, packets received; None if that is not known."""
        if not self._by_node:
            return None
        found = np.zeros((len(self.places), 3), np.int64)
        verdict = self._keys >> np.uint64(3) & np.uint64(7)
        arrived = (verdict == Verdict.DELIVERED) | (verdict == Verdict.EXITED)
        sender, receiver = (self._keys >> np.uint64(at) & _MASK for at in (_SENDER, _RECEIVER))
        np.add.at(found[:, 0], sender, self._sums[:, 0])
        np.add.at(found[:, 1], sender[~arrived], self._sums[~arrived, 0])
        np.add.at(found[:, 2], receiver[arrived], self._sums[arrived, 0])
        return found

    def _ends(self, where: np.ndarray, sender: np.ndarray, receiver: np.ndarray) -> np.ndarray:
        beyond = where.astype(np.int64) - self._nodes - 1
        return np.select(
            [where == 0, beyond >= 0, where - 1 == sender, where - 1 == receiver],
            [_NOWHERE, _BEYOND + beyond, _AT_SENDER, _AT_RECEIVER], _NOWHERE)

    def _coarse(self, keys: np.ndarray) -> np.ndarray:
        for at in (np.uint64(_RECEIVER), np.uint64(_SENDER)):
            keys = keys & ~(_MASK << at) | self._gathered[keys >> at & _MASK] << at
        return keys

    def _flows(self, keys: np.ndarray, sums: np.ndarray) -> list[Flow]:
        ends = ["", "sender", "receiver", *self._cloud]
        mask = int(_MASK)
        return [
            Flow(key >> _SENDER & mask, key >> _RECEIVER & mask, ends[key >> _END], outcome_of(key & 0x7FFF), *amounts)
            for key, amounts in zip(keys.tolist(), sums.tolist(), strict=True)]


def _summed(keys: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each key once, ascending, with its sums."""
    unique, which = np.unique(keys, return_inverse=True)
    added = np.zeros((len(unique), sums.shape[1]), np.int64)
    np.add.at(added, which, sums)
    return unique, added
