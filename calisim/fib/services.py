"""Intent.services → tables: frontends in an open-addressing hash table, endpoints of services in runs.

The endpoints of a whole service stand in kube-proxy's order; its nodes' own ones stand sorted by router, so that a router
finds its run by bisection. What kube-proxy is told for all services stands with each frontend, on the one line that is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..control.intent import Backend, Frontend, Services
from ..errors import CompileError
from ..quantities import Prefix
from ..vocabulary import BACKEND, FRONTEND, RANGE, SERVICE, FrontendFlag

MOST_BACKENDS = 1 << 26

_GOLDEN, _FIRST, _SECOND = (np.uint64(word) for word in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def compile_services(services: Services) -> dict[str, np.ndarray]:
    """The tables by their names in the image. Without frontends the hash table has one slot, and nothing asks it."""
    runs = _Runs()
    records = [(0,) * len(SERVICE.names or ())]
    for port in services.ports:
        records.append((
            port.affinity, port.key, port.decided_by, *runs.add(port.backends),
            *runs.add(sorted(port.own, key=lambda backend: backend.router))))
    ranges = [(0, 0)]
    rows = [_frontend(frontend, services, ranges) for frontend in services.frontends]
    return {
        "frontends": _hashed(np.array(rows, FRONTEND)), "services": np.array(records, SERVICE),
        "backends": np.array(runs.rows, BACKEND), "ranges": np.array(ranges, RANGE)}


def cluster_cidrs(services: Services) -> Sequence[Prefix]:
    """Sources that are a pod's."""
    return services.pods or () if services.frontends else ()


def node_port_addresses(services: Services) -> Sequence[Prefix]:
    """Where nodes' own addresses have node ports."""
    if not any(not frontend.address for frontend in services.frontends):
        return ()
    return (Prefix(0, 0),) if services.node_addresses is None else services.node_addresses


class _Runs:
    """The table of endpoints; index 0 is nobody."""

    def __init__(self) -> None:
        self.rows = [(0, 0, 0)]

    def add(self, backends: Sequence[Backend]) -> tuple[int, int]:
        """Where these stand: index of the first, count."""
        first = len(self.rows)
        self.rows += [(backend.address, backend.router, backend.port) for backend in backends]
        if len(self.rows) > MOST_BACKENDS:
            raise CompileError(
                f"the endpoints of all services add up to more than {MOST_BACKENDS:,}: let fewer services select all pods")
        return first, len(backends)


def _frontend(frontend: Frontend, services: Services, ranges: list[tuple[int, int]]) -> tuple[int, ...]:
    first, sources = len(ranges), frontend.sources or ()
    ranges += [(prefix.network, prefix.mask) for prefix in sources]
    flags = FrontendFlag(0)
    for wanted, flag in (
        (frontend.external, FrontendFlag.EXTERNAL), (frontend.local, FrontendFlag.LOCAL),
        (frontend.sources is not None, FrontendFlag.RANGED), (services.masquerade_all, FrontendFlag.MASQUERADE_ALL),
        (services.by_interface, FrontendFlag.BY_INTERFACE),
        (services.pods is not None and not services.by_interface, FrontendFlag.BY_SOURCE),
    ):
        flags |= flag if wanted else FrontendFlag(0)
    return frontend.address, frontend.service, first, len(sources), frontend.port, frontend.protocol, flags


def _hashed(rows: np.ndarray) -> np.ndarray:
    """The rows in an open-addressing table at most half full, placed in rounds: each slot takes the first that asks for it,
    the others ask for the next one (linear probing)."""
    size = 1
    while rows.size and size < 2 * len(rows):
        size *= 2
    slots, table = _slots(rows), np.zeros(size, FRONTEND)
    waiting = np.arange(len(rows))
    while len(waiting):
        at = (slots[waiting] % np.uint64(size)).astype(np.int64)
        taken, first = np.unique(at, return_index=True)
        first = first[table["service"][taken] == 0]
        table[at[first]] = rows[waiting[first]]
        waiting = np.delete(waiting, first)
        slots[waiting] += np.uint64(1)
    return table


def _slots(rows: np.ndarray) -> np.ndarray:
    """Where the compiled core begins to look (its ``stir`` of address and protocol << 16 | port), not yet wrapped."""
    state = (rows["address"] + _GOLDEN) ^ (rows["protocol"].astype(np.uint64) << np.uint64(16) | rows["port"])
    state = (state ^ state >> np.uint64(30)) * _FIRST
    state = (state ^ state >> np.uint64(27)) * _SECOND
    return (state ^ state >> np.uint64(31)) & np.uint64(0xFFFFFFFF)
