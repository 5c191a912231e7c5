"""All that stands between two endpoints, not only the first thing: each blocker is really removed, then the packet goes again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..vocabulary import Verdict
from .cures import Cure, cure_of
from .explain import Journey, Request, Trace, trace
from .losses import Loss

if TYPE_CHECKING:
    from .network import Network

MOST = 16
"""A path with more blockers than this is given up."""


@dataclass(frozen=True)
class Blocker:
    """One thing in the way: on which way it was met and what removes it."""

    way: str            # request | reply
    loss: Loss
    cure: Cure


@dataclass(frozen=True)
class Blockers:
    """All of them in the order met, and how the exchange ends once all are out of the way."""

    found: tuple[Blocker, ...]
    end: Trace

    @property
    def cleared(self) -> bool:
        return self.end.verdict.success


def all_blockers(network: Network, request: Request) -> Blockers:
    """Send, remove what blocked, send again, until the exchange succeeds or nothing more can be removed."""
    found: list[Blocker] = []
    while True:
        end = trace(network, request)
        way, lost = ("reply", end.reply) if end.reply is not None else ("request", end.request)
        if lost.verdict is not Verdict.DROPPED or len(found) == MOST:
            return Blockers(tuple(found), end)
        blocker = _blocker(network, way, lost)
        seen = any((one.loss.reason, one.loss.place, one.way) == (blocker.loss.reason, blocker.loss.place, way) for one in found)
        if seen:
            return Blockers(tuple(found), end)
        found.append(blocker)
        if not blocker.cure.possible:
            return Blockers(tuple(found), end)
        if blocker.cure.edit is not None:
            network = network.altered(blocker.cure.edit(network.topology))
        request = replace(request, size=blocker.cure.size or request.size, ttl=blocker.cure.ttl or request.ttl)


def _blocker(network: Network, way: str, lost: Journey) -> Blocker:
    assert lost.loss is not None and lost.packet is not None
    return Blocker(way, lost.loss, cure_of(network, lost.loss, lost.packet))
