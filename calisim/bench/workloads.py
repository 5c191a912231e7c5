"""The clusters and packets that are measured, from fixed seeds: used by ``calisim bench`` and by benchmarks/ alike.

The cluster: nodes in three subnets, thirty applications of one pod on each node, IPIP CrossSubnet, a hundred policies of
usual shape (an application is reached on its own ports, by the pods of its namespace). The packets: pods to pods on those
ports, a share of them to a host outside (SNAT), a share that is lost for three different reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..vocabulary import PACKET, EndpointKind, PacketFlag

if TYPE_CHECKING:
    from ..control.intent import Intent

WAVE = 1 << 16                      # packets, unless a row is about waves
APPLICATIONS = 30                   # each with one pod on each node
POLICIES = 100
ZONES = "abc"
FIRST_PORT = 8000                   # of policy 0; nobody listens below
SYN, ACK = 0x02, 0x18               # PSH | ACK: in the middle of a connection, which Linux picks up
TCP, UDP = 6, 17
FIRST_NAT_PORT, NAT_PORTS = 1024, 64512    # that one address has for one destination
ZIPF = 1.1                          # exponent of the popularity of flows

_CLUSTER = """\
apiVersion: calisim/v1
kind: Scenario
metadata: {{name: bench}}
spec:
  vpcs:
    v:
      cidrs: [172.20.0.0/16]
      internetGateway: true
      subnets:
        a: {{zone: a, cidr: 172.20.0.0/18}}
        b: {{zone: b, cidr: 172.20.64.0/18}}
        c: {{zone: c, cidr: 172.20.128.0/18}}
      securityGroups: {{nodes: {{ingress: [{{from: nodes}}]}}}}
  nodes:
{nodes}
  pods:
{pods}
  hosts:
    - {{name: api, ip: 203.0.113.10}}
---
{pool}"""
_POOL = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pods}}
spec: {{cidr: 100.96.0.0/11, ipipMode: {mode}, natOutgoing: true}}
"""
_NODES = "    - {{name: {zone}, count: {count}, subnet: {zone}, securityGroups: [nodes], sourceDestCheck: false, publicIP: true}}"
_PODS = "    - {{name: app-{app}, namespace: shop, labels: {{app: app-{app}}}, perNode: 1}}"
_POLICY = """\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: reach-{number}, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: app-{app}}}}}
  policyTypes: [Ingress]
  ingress:
    - from: [{{podSelector: {{}}}}]
      ports: [{{protocol: TCP, port: {port}}}, {{protocol: UDP, port: {port}}}]
"""


def scenario_text(nodes: int, *, policies: int = POLICIES, mode: str = "CrossSubnet", pods: str = "") -> str:
    """The cluster as YAML; its nodes are shared out among three subnets. ``pods``: other groups than the thirty applications."""
    text = _CLUSTER.format(
        pool=_POOL.format(mode=mode), nodes="\n".join(_NODES.format(zone=zone, count=_share(nodes, zone)) for zone in ZONES),
        pods=pods.rstrip("\n") or "\n".join(_PODS.format(app=app) for app in range(APPLICATIONS)))
    return text + "".join(
        _POLICY.format(number=number, app=number % APPLICATIONS, port=FIRST_PORT + number) for number in range(policies))


def write_scenario(folder: Path, nodes: int, *, policies: int = POLICIES, mode: str = "CrossSubnet") -> str:
    """Path of the cluster's file."""
    path = folder / f"{nodes}-{policies}-{mode}.yaml"
    path.write_text(scenario_text(nodes, policies=policies, mode=mode))
    return str(path)


def write_pool(folder: Path, mode: str) -> str:
    """Path of the pool's document alone."""
    path = folder / f"pool-{mode}.yaml"
    path.write_text(_POOL.format(mode=mode))
    return str(path)


def joining(nodes: int) -> str:
    """The assignment by which one more node joins."""
    zone = ZONES[nodes % len(ZONES)]
    return f"nodes.{zone}.count={_share(nodes + 1, zone)}"


def _share(nodes: int, zone: str) -> int:
    """How many of the nodes a zone has."""
    return nodes // len(ZONES) + (ZONES.index(zone) < nodes % len(ZONES))


@dataclass(frozen=True)
class Pods:
    """Columns: endpoint id, address, application."""

    ids: np.ndarray
    addresses: np.ndarray
    applications: np.ndarray
    host: int                       # the address outside
    unused: int                     # an address of the pool that no block holds
    policies: int = POLICIES


def pods_of(intent: Intent, policies: int = POLICIES) -> Pods:
    pods = [one for one in intent.endpoints if one.kind is EndpointKind.POD]
    applications = [int(one.name.split("app-")[1].split("-")[0]) for one in pods]
    host = next(one.address for one in intent.endpoints if one.kind is EndpointKind.HOST)
    return Pods(
        np.array([one.id for one in pods], np.uint32), np.array([one.address for one in pods], np.uint32),
        np.array(applications, np.uint32), host, _unused(intent), policies)


def _unused(intent: Intent) -> int:
    """The last address of the pool that no block holds."""
    pool = intent.pools[0].prefix
    held = {advert.prefix.network >> 6 for advert in intent.adverts}
    return next(block for block in range(pool.last >> 6, pool.network >> 6, -1) if block not in held) << 6


def flows(pods: Pods, count: int, *, seed: int = 1, outside: float = 0.0, lost: float = 0.0) -> np.ndarray:
    """One packet of each of ``count`` flows, all different; source and source port tell them apart.

    ``lost``: a third of them asks for a port that policy does not allow, a third for an address that nobody has, a third has
    a TTL of 1.
    """
    chance = np.random.default_rng(seed)
    sender, step = chance.integers(len(pods.ids), size=count), chance.integers(1, len(pods.ids), size=count)
    receiver = (sender + step) % len(pods.ids)                   # never itself
    packets = np.zeros(count, PACKET)
    packets["ingress"], packets["src"], packets["dst"] = pods.ids[sender], pods.addresses[sender], pods.addresses[receiver]
    packets["sport"] = _different_ports(sender, chance)
    application = pods.applications[receiver]
    packets["dport"] = FIRST_PORT + application
    packets["protocol"] = np.where(chance.random(count) < 0.2, UDP, TCP)
    packets["tcp_flags"] = np.where(packets["protocol"] == TCP, ACK, 0)
    packets["length"], packets["fragment"], packets["ttl"] = chance.integers(64, 1400, size=count), PacketFlag.DF, 64
    fate = chance.random(count)
    out = fate < outside
    packets["dst"][out], packets["dport"][out] = pods.host, 443
    third = lost / 3
    for number, (field, value) in enumerate((("dport", 22), ("dst", pods.unused), ("ttl", 1))):
        packets[field][(fate >= outside + number * third) & (fate < outside + (number + 1) * third)] = value
    return packets


def crowd(intent: Intent, count: int) -> np.ndarray:
    """The pods of one node open ``count`` connections to one port of the host outside, from ever other ports."""
    pods = [one for one in intent.endpoints if one.kind is EndpointKind.POD]
    pods = [one for one in pods if one.router == pods[0].router]
    sender, port = np.divmod(np.arange(count), NAT_PORTS)
    packets = np.zeros(count, PACKET)
    packets["ingress"] = np.array([one.id for one in pods])[sender % len(pods)]
    packets["src"] = np.array([one.address for one in pods])[sender % len(pods)]
    packets["dst"] = next(one.address for one in intent.endpoints if one.kind is EndpointKind.HOST)
    packets["sport"], packets["dport"], packets["protocol"], packets["tcp_flags"] = FIRST_NAT_PORT + port, 443, TCP, SYN
    packets["length"], packets["fragment"], packets["ttl"] = 60, PacketFlag.DF, 64
    return packets


def _different_ports(sender: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Source ports from a random one of each sender on, each of its flows the next."""
    order = np.argsort(sender, kind="stable")
    first = np.searchsorted(sender[order], sender[order])
    numbers = np.empty(len(sender), np.int64)
    numbers[order] = np.arange(len(sender)) - first
    start = chance.integers(0, 40000, size=int(sender.max()) + 1)
    return 16384 + (start[sender] + numbers) % 49152


def packets_of(known: np.ndarray, count: int, *, zipf: bool = False, seed: int = 2) -> np.ndarray:
    """``count`` packets of these flows, every flow equally popular or by Zipf's law."""
    chance = np.random.default_rng(seed)
    if not zipf:
        return known[chance.integers(len(known), size=count)]
    weights = np.arange(1, len(known) + 1) ** -ZIPF
    edges = np.cumsum(weights) / weights.sum()
    ranks = np.minimum(np.searchsorted(edges, chance.random(count)), len(known) - 1)
    return known[chance.permutation(len(known))[ranks]]


def waves(packets: np.ndarray, size: int = WAVE) -> list[np.ndarray]:
    """The packets cut into waves."""
    return [packets[start:start + size] for start in range(0, len(packets), size)]


def destinations(pods: Pods, count: int, *, zipf: bool = False, seed: int = 3) -> np.ndarray:
    """Addresses to look up: of pods, and one in sixteen of 4,096 addresses elsewhere."""
    chance = np.random.default_rng(seed)
    elsewhere = chance.integers(1 << 32, size=4096, dtype=np.uint32)
    some = 100_000 if zipf else count
    known = np.where(
        chance.random(some) < 1 / 16, elsewhere[chance.integers(len(elsewhere), size=some)],
        pods.addresses[chance.integers(len(pods.ids), size=some)])
    return packets_of(known, count, zipf=True, seed=seed) if zipf else known
