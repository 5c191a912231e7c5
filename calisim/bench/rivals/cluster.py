"""What a rival is told of a cluster: plain columns out of the Intent, never calisim's own tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...fib.lpm import Intervals
from ..workloads import APPLICATIONS, FIRST_PORT, Pods

if TYPE_CHECKING:
    from ...control.intent import Intent

CLAIMS = ("dport", "dst", "encap", "hops", "outer_dst", "outer_src", "reason", "sport", "src", "ttl", "verdict", "wire")
"""Fields of RESULT that a pipeline of one's own would give."""


@dataclass(frozen=True)
class Cluster:
    """Prefixes (network, length, owner), disjoint intervals with their owner (0: none), and columns by router or endpoint id."""

    prefixes: list[tuple[int, int, int]]
    starts: np.ndarray
    owners: np.ndarray
    router_address: np.ndarray
    router_key: np.ndarray
    router_subnet: np.ndarray
    endpoint_address: np.ndarray
    endpoint_router: np.ndarray
    pod_addresses: np.ndarray               # sorted, with their application
    pod_applications: np.ndarray
    allowed: np.ndarray                     # application × port
    pool: tuple[int, int]                   # first and last address
    seed: int


def cluster_of(intent: Intent, pods: Pods) -> Cluster:
    adverts = intent.adverts
    intervals = Intervals([advert.prefix for advert in adverts])
    owner = np.array([advert.owner for advert in adverts] + [0], np.uint32)
    routers, endpoints = len(intent.routers) + 1, max(one.id for one in intent.endpoints) + 1
    columns = {name: np.zeros(routers, np.uint64 if name == "key" else np.uint32) for name in ("address", "key", "subnet")}
    for router in intent.routers:
        for name, column in columns.items():
            column[router.id] = getattr(router, name)
    addresses, homes = np.zeros(endpoints, np.uint32), np.zeros(endpoints, np.uint32)
    for endpoint in intent.endpoints:
        addresses[endpoint.id], homes[endpoint.id] = endpoint.address, endpoint.router
    order = np.argsort(pods.addresses)
    allowed = np.zeros((APPLICATIONS, 1 << 16), bool)
    for number in range(pods.policies):
        allowed[number % APPLICATIONS, FIRST_PORT + number] = True
    pool = intent.pools[0].prefix
    return Cluster(
        [(advert.prefix.network, advert.prefix.length, advert.owner) for advert in adverts],
        intervals.starts, owner[intervals.matches], columns["address"], columns["key"], columns["subnet"], addresses, homes,
        pods.addresses[order], pods.applications[order], allowed, (pool.network, pool.last), intent.seed)
