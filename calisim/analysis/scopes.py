"""Who talks to whom, seen from the network: the scope of every packet of a wave, computed column-wise.

Knows endpoints, their routers, subnets and VPCs. The receiver is the *intended* one: the owner of the
destination address as sent, or the endpoint that a service's address became. Does not know what else became of a packet.
"""

from __future__ import annotations

import numpy as np

from ..control.intent import Intent
from ..traffic.owners import AddressOwners
from ..vocabulary import EndpointKind, ResultFlag

SCOPES = ("same-node", "same-subnet", "other-subnet", "other-vpc", "external", "node")
TITLES = {
    "same-node": "same node", "same-subnet": "same subnet", "other-subnet": "other subnet", "other-vpc": "other VPC",
    "external": "internet", "node": "node",
}
SAME_NODE, SAME_SUBNET, OTHER_SUBNET, OTHER_VPC, EXTERNAL, NODE = range(len(SCOPES))


class Scopes:
    """Scope codes (positions in :data:`SCOPES`) for one Intent.

    ``node`` wins over all others (to or from a node's address), then ``external`` (one end is no
    endpoint of the cluster); two pods are compared by node, subnet and VPC.
    """

    def __init__(self, intent: Intent) -> None:
        self._owners = AddressOwners(intent)
        count = len(intent.endpoints)
        self._kind = np.zeros(count + 1, np.uint8)
        self._router = np.zeros(count + 1, np.uint32)
        self._kind[1:] = np.fromiter((endpoint.kind for endpoint in intent.endpoints), np.uint8, count)
        self._router[1:] = np.fromiter((endpoint.router for endpoint in intent.endpoints), np.uint32, count)
        self._subnet = np.array([0, *(router.subnet for router in intent.routers)], np.uint32)
        self._vpc = np.array([0, *(subnet.vpc for subnet in intent.fabric.subnets)], np.uint32)

    def receivers(self, dst: np.ndarray) -> np.ndarray:
        """Endpoint id of the owner of each address, 0 where nobody has it."""
        return self._owners.of(dst)

    def of(self, packets: np.ndarray, results: np.ndarray) -> np.ndarray:
        """The scope code of every packet of a wave (uint8); of one for a service, between sender and chosen endpoint."""
        senders = np.where(packets["ingress"] < len(self._kind), packets["ingress"], 0)
        receivers = self.receivers(packets["dst"])
        balanced = (receivers == 0) & ((results["flags"] & int(ResultFlag.DNAT)) != 0)
        receivers = np.where(balanced, self.receivers(results["dst"]), receivers)
        kinds = self._kind[senders], self._kind[receivers]
        nodes = self._router[senders], self._router[receivers]
        subnets = self._subnet[nodes[0]], self._subnet[nodes[1]]
        vpcs = self._vpc[subnets[0]], self._vpc[subnets[1]]
        return np.select(
            [
                (kinds[0] == EndpointKind.NODE) | (kinds[1] == EndpointKind.NODE),
                (kinds[0] != EndpointKind.POD) | (kinds[1] != EndpointKind.POD),
                nodes[0] == nodes[1],
                subnets[0] == subnets[1],
                vpcs[0] == vpcs[1],
            ],
            [np.uint8(code) for code in (NODE, EXTERNAL, SAME_NODE, SAME_SUBNET, OTHER_SUBNET)],
            np.uint8(OTHER_VPC),
        )
