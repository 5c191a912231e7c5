"""numpy: whole columns at a time. Longest match is a search in sorted intervals, conntrack a search in sorted flow keys."""

from __future__ import annotations

import numpy as np

from ...vocabulary import DropReason, Encap, Verdict
from ...vocabulary.chance import draw
from ..measure import Columns
from .cluster import Cluster

_OVERHEAD = 20


def lookup(starts: np.ndarray, values: np.ndarray, addresses: np.ndarray) -> np.ndarray:
    """Value of the interval of each address."""
    found: np.ndarray = values[np.searchsorted(starts, addresses, "right") - 1]
    return found


class Pipeline:
    """Packets in, columns out. SNAT ports of known flows are found again; new ones are drawn one by one as Linux draws them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._keys = np.empty(0, np.uint64)
        self._ports = np.empty(0, np.uint16)
        self._taken: set[tuple[int, ...]] = set()

    def forward(self, wave: np.ndarray) -> Columns:
        """The fields of RESULT that :data:`CLAIMS` names."""
        c, src, dst = self.cluster, wave["src"], wave["dst"]
        here = c.endpoint_router[wave["ingress"]]
        there = lookup(c.starts, c.owners, dst)
        inside = (dst >= c.pool[0]) & (dst <= c.pool[1])
        late, masked, nowhere = wave["ttl"] <= 1, ~inside, inside & (there == 0)
        position = np.minimum(np.searchsorted(c.pod_addresses, dst), len(c.pod_addresses) - 1)
        closed = ~c.allowed[c.pod_applications[position], wave["dport"]] & inside & ~nowhere & ~late
        crosses = (here != there) & ~late
        tunnel = crosses & inside & ~nowhere & (c.router_subnet[here] != c.router_subnet[there])
        legs = 1 + (crosses & inside & ~nowhere)
        reason = np.zeros(len(wave), np.uint8)
        reason[closed], reason[nowhere] = DropReason.POLICY_INGRESS, DropReason.FABRIC_NO_ROUTE
        reason[late] = DropReason.TTL_EXCEEDED
        masked &= ~late
        sport = wave["sport"].copy()
        if masked.any():
            sport[masked] = self._translated(wave[masked], here[masked])
        return {
            "verdict": np.where(reason != 0, np.uint8(Verdict.DROPPED), np.uint8(Verdict.DELIVERED)), "reason": reason,
            "encap": np.where(tunnel, np.uint8(Encap.IPIP), np.uint8(0)),
            "src": np.where(masked, c.router_address[here], src), "dst": dst, "sport": sport, "dport": wave["dport"],
            "outer_src": np.where(tunnel, c.router_address[here], 0), "outer_dst": np.where(tunnel, c.router_address[there], 0),
            "wire": np.where(crosses, wave["length"] + _OVERHEAD * tunnel, 0), "hops": legs, "ttl": wave["ttl"] - legs * ~late,
        }

    def _translated(self, wave: np.ndarray, here: np.ndarray) -> np.ndarray:
        """Source ports after SNAT."""
        keys = _mixed(wave)
        new = ~np.isin(keys, self._keys)
        if new.any():
            keys_new, first = np.unique(keys[new], return_index=True)
            order = np.argsort(first, kind="stable")                       # in the order in which they came
            ports = np.empty(len(first), np.uint16)
            rows = np.flatnonzero(new)[first]
            for number in order.tolist():
                ports[number] = self._draw(wave[rows[number]], int(here[rows[number]]))
            merged = np.concatenate([self._keys, keys_new])
            sort = np.argsort(merged)
            self._keys, self._ports = merged[sort], np.concatenate([self._ports, ports])[sort]
        return self._ports[np.searchsorted(self._keys, keys)]

    def _draw(self, packet: np.void, here: int) -> int:
        """Linux' search from a random offset; the first 128 ports always have a free one here."""
        names = ("src", "dst", "sport", "dport", "protocol")
        src, dst, sport, dport, protocol = (int(packet[name]) for name in names)
        offset = draw(
            self.cluster.seed, int(self.cluster.router_key[here]), src << 32 | dst, sport << 32 | dport << 16 | protocol, 0)
        for attempt in range(128):
            port = 1024 + (offset % 64512 + attempt) % 64512
            if (here, dst, dport, protocol, port) not in self._taken:
                self._taken.add((here, dst, dport, protocol, port))
                return port
        raise OverflowError("no port is free: this pipeline is for clusters that have some")


def _mixed(wave: np.ndarray) -> np.ndarray:
    """64 bits of each flow: sources and ports tell them apart."""
    return wave["src"].astype(np.uint64) << np.uint64(32) | wave["sport"].astype(np.uint64) << np.uint64(16) | wave["protocol"]
