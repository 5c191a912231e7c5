"""What the sender of a lost packet is told: the ICMP errors that the packet gave rise to, in sentences.

Takes a wave with all its offspring, gives a sentence for each error: who says what, and whether it reaches the one it is
meant for. A node keeps errors about its own outer packets to itself (Linux' tunl0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..vocabulary import EndpointKind, Relation, Verdict
from .losses import named, place_name
from .run import REASONS

if TYPE_CHECKING:
    from ..datapath.generations import Generation
    from .network import Network

_MEANINGS = {
    (3, 0): "net unreachable", (3, 1): "host unreachable", (3, 3): "port unreachable",
    (3, 4): "fragmentation needed", (11, 0): "time exceeded",
}


def errors_told(network: Network, family: Sequence[Generation]) -> tuple[str, ...]:
    """A sentence for each error that a packet and what it went on as gave rise to."""
    told: dict[str, None] = {}
    for generation in family[1:]:
        assert generation.headers is not None and generation.causes is not None
        for row in np.flatnonzero(generation.causes["relation"] == Relation.ERROR):
            said = _said(network, generation.packets[row], generation.headers[row], generation.causes[row])
            told[f"{said}, {_arrived(network, generation.results.results[row])}"] = None
    return tuple(told)


def _said(network: Network, packet: np.void, header: np.void, cause: np.void) -> str:
    kind = int(cause["type"]), int(cause["code"])
    mtu = f", MTU {int(header['mtu']):,}" if header["mtu"] else ""
    speaker, receiver = place_name(network.intent, int(cause["where"])), named(network.intent, int(packet["dst"]))
    return f"{speaker} answers {receiver} with ICMP {kind[0]}/{kind[1]} ({_MEANINGS[kind]}{mtu})"


def _arrived(network: Network, result: np.void) -> str:
    intent, verdict = network.intent, Verdict(int(result["verdict"]))
    if verdict is Verdict.DROPPED:
        return f"which is lost at {place_name(intent, int(result['where']))} ({REASONS[int(result['reason'])].name})"
    owner = intent.address_owners.get(int(result["dst"]), 0)
    if verdict is Verdict.DELIVERED and owner and intent.endpoint(owner).kind is EndpointKind.NODE:
        return "which tells nobody behind it"
    return {
        Verdict.DELIVERED: "which arrives", Verdict.EXITED: "which leaves the modelled network",
    }.get(verdict, "of which the model does not know whether it arrives")
