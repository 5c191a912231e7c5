"""Rows of routes are asked for by kinds of adverts: what every router then has is what it learns of each advert alone."""

from __future__ import annotations

import pytest

import calisim
from calisim import _fastpath
from tests.fib.test_compiler import compiled
from tests.golden import longest_match

TEXT = """\
apiVersion: calisim/v1
kind: Scenario
metadata: {name: kinds}
spec:
  settings: {era: ERA}
  vpcs:
    v: {cidrs: [172.20.0.0/16], subnets: {a: {cidr: 172.20.0.0/24}, b: {cidr: 172.20.1.0/24}, d: {cidr: 172.20.16.0/24}}}
    w: {cidrs: [172.21.0.0/16], subnets: {c: {cidr: 172.21.0.0/24}}}
  nodes:
    - {name: a, count: 3, subnet: a}
    - {name: b, count: 2, subnet: b}
    - {name: d, subnet: d, labels: {bare: really}}
    - {name: c, count: 2, subnet: c, mtu: 1400, labels: {bare: really}}
  pods:
    - {name: web, namespace: shop, perNode: 1, nodes: "!has(bare)"}
    - {name: red, namespace: shop, perNode: 3, pools: [192-168-9-0-24]}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: main}
spec: {cidr: 192.168.0.0/28, blockSize: 30, nodeSelector: "!has(bare)", MODE}     # too small: addresses are lent
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: 192-168-9-0-24}
spec: {cidr: 192.168.9.0/24, blockSize: 30, allowedUses: [Workload], OTHER}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: a-1}
spec: {bgp: {ipv4Address: 172.20.0.9/20}}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: c-2}
spec: {bgp: {ipv4Address: 172.20.1.1/24}, addresses: [{address: 172.21.0.10, type: InternalIP}]}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: c-1}
spec: {bgp: {ipv4Address: 172.20.1.77/24}, addresses: [{address: 172.21.0.20, type: InternalIP}]}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: b-2}
spec: {bgp: {ipv4Address: 172.20.1.9/24, routeReflectorClusterID: 1.0.0.1}}
"""
MODES = (
    "ipipMode: Always", "ipipMode: CrossSubnet", "vxlanMode: Always", "vxlanMode: CrossSubnet", "ipipMode: Never",
    "disableBGPExport: true")


@pytest.mark.parametrize("era", ["3.29", "3.33"])
@pytest.mark.parametrize(("mode", "other"), list(zip(MODES, (*MODES[1:], MODES[0]), strict=True)))
def test_what_is_asked_by_kinds_is_what_each_advert_says(tmp_path, mode: str, other: str, era: str) -> None:
    path = tmp_path / "kinds.yaml"
    path.write_text(TEXT.replace("MODE", mode).replace("OTHER", other).replace("ERA", f"'{era}'"))
    network = calisim.load(path).build()
    intent, image = network.intent, network.image
    tables = _fastpath.Tables(**image.arrays, places=image.places, objects=image.objects)
    prefixes = [advert.prefix for advert in intent.adverts]
    edges = {address for prefix in prefixes for address in (prefix.network, prefix.last, prefix.last + 1)}
    for router in intent.routers:
        for address in edges - intent.local_addresses(router.id):
            wanted, got = longest_match(intent, router.id, address), compiled(tables, router.id, address)
            assert got == {name: getattr(wanted, name) for name in got}, (router.name, address)
