"""Columns of addresses and who has them."""

from __future__ import annotations

import numpy as np

from calisim.traffic.owners import AddressOwners
from tests.clusters import FOUR_NODES, TWO_SUBNETS, intent, pool


def test_owners_by_address() -> None:
    cluster = intent(FOUR_NODES + "  pods:\n    - {name: web, namespace: shop, count: 4}\n", pool())
    wanted = ["shop/web-0", "node/b-2"]
    addresses = np.array([*(cluster.endpoint(cluster.endpoint_ids[name]).address for name in wanted), 0, 2**32 - 1], np.uint32)
    assert AddressOwners(cluster).of(addresses).tolist() == [*(cluster.endpoint_ids[name] for name in wanted), 0, 0]


def test_nobody_has_anything() -> None:
    cluster = intent(TWO_SUBNETS + "  nodes: []\n", pool())
    assert AddressOwners(cluster).of(np.array([1, 2], np.uint32)).tolist() == [0, 0]
