"""Packets that are encapsulated when they are sent: by a node, a stranger or a pod (kernel: ipip-decap-ecn, ipip-stranger)."""

import numpy as np
import pytest

from calisim.quantities import parse_address
from calisim.vocabulary import HEADER, DropReason, Encap, PacketFlag, ResultFlag, RouterFlag, Stage, TargetKind
from tests.datapath.conftest import DELIVERED, UNDETERMINED, fate_of, stage_of, text
from tests.intents import Cluster, three_zones

P1, P2, P5 = "10.244.1.2", "10.244.1.3", "10.244.3.2"
NODE1, NODE3, OUTSIDE = "10.0.1.11", "10.0.2.13", "203.0.113.10"
# inner ECN after decapsulation: one row for each outer field, one column for each inner one; None: dropped
RFC6040 = {0: (0, 1, 2, 3), 1: (0, 1, 1, 3), 2: (0, 1, 2, 3), 3: (None, 3, 3, 3)}


def header(outer_dst: str, **fields: int | str) -> np.ndarray:
    """The outer header of an IPIP packet with the TTL that an endpoint gives it."""
    made = np.zeros(1, HEADER)
    for name, value in {"encap": Encap.IPIP, "outer_ttl": 64, "outer_dst": outer_dst, **fields}.items():
        made[name] = parse_address(value) if isinstance(value, str) else value
    return made


def linux(*, calico: bool = False, **more: object) -> Cluster:
    """The kernel lab's kind of network: a Linux router, IPIP always, and no chains of Calico's unless asked for."""
    cluster = three_zones(ipip="Always", calico=calico, public=None, **more)
    cluster.fabric = {"decrements_ttl": True}
    cluster.tables = [[]]
    cluster.cloud_route("10.0.0.0/16")
    cluster.cloud_route("0.0.0.0/0", TargetKind.OUTSIDE)
    return cluster


@pytest.mark.parametrize("outer", range(4))
@pytest.mark.parametrize("inner", range(4))
def test_ecn_of_both_headers_at_decapsulation(net, outer, inner):
    network = net(linux())
    result = network.send(
        "node/n1", P5, src=P1, tos=inner, ttl=50, header=header(NODE3, outer_tos=0xB8 | outer, outer_ttl=40))
    expected = RFC6040[outer][inner]
    if expected is None:
        assert fate_of(result) == DropReason.ECN_ILLEGAL
        assert network.route() == ["n1 eth0 out", "n3 eth0 in"]
    else:
        assert (fate_of(result), result["ttl"], network.events[-1]["tos"]) == (DELIVERED, 49, expected)
        assert network.route() == ["n1 eth0 out", "n3 eth0 in", "n3 tunl0 in", "n3 veth out"]


def test_outer_header_as_it_was_sent(net):
    """The node's stack sends it like any packet of protocol 4: TTL kept, source chosen, tracked; the router ages it."""
    network = net(linux())
    result = network.send("node/n1", P5, src=P1, header=header(NODE3, outer_ttl=40, outer_fragment=PacketFlag.DF))
    out, arrived = network.events[:2]
    assert (text(out["outer_src"]), text(out["outer_dst"])) == (NODE1, NODE3)
    assert [int(e["outer_ttl"]) for e in (out, arrived)] == [40, 39]
    assert (out["outer_length"], out["outer_fragment"], out["encap"]) == (1020, PacketFlag.DF, Encap.IPIP)
    assert result["flags"] & ResultFlag.ENCAP and result["wire"] == 1020
    assert [int(c["protocol"]) for c in network.state.connections()] == [4, 4, 6]      # at both ends the outer, at n3 the inner


def test_a_stranger_may_send_tunnels_unless_calico_filters(net):
    assert net(linux()).fate("host/api", P1, src=P5, header=header(NODE1)) == DELIVERED
    assert net(linux(calico=True)).fate("host/api", P1, src=P5, header=header(NODE1)) == DropReason.TUNNEL_UNKNOWN_SENDER
    assert net(linux()).fate("host/api", P1, src="192.0.2.77", header=header(NODE1)) == DropReason.RPF


def test_what_a_tunnel_brings_for_the_outside_is_forwarded_and_masqueraded(net):
    network = net(linux())
    result = network.send("node/n3", OUTSIDE, src=P5, header=header(NODE1))
    assert fate_of(result) == DELIVERED
    assert (text(result["src"]), result["ttl"]) == (NODE1, 62)
    assert network.route() == ["n3 eth0 out", "n1 eth0 in", "n1 tunl0 in", "n1 eth0 out", "host eth0 in"]


@pytest.mark.parametrize(("encap", "allowed"), [
    (Encap.IPIP, RouterFlag.PODS_SEND_IPIP), (Encap.VXLAN, RouterFlag.PODS_SEND_VXLAN)])
def test_pods_send_no_tunnels(net, encap, allowed):
    """Calico's chain for a pod's traffic, not the kernel: Felix drops protocol 4 and UDP 4789 that come from workloads."""
    outer = header(OUTSIDE, encap=encap, outer_src=P1, outer_sport=5000)
    network = net(linux(calico=True))
    assert network.fate("default/p1", P5, header=outer) == DropReason.ENCAP_FROM_POD
    assert stage_of(network.results[0]) is Stage.POLICY and network.route() == ["n1 veth in"]
    assert network.fate("default/p1", NODE1, protocol=4) == DropReason.ENCAP_FROM_POD
    assert network.fate("default/p1", OUTSIDE, protocol=17, dport=4789) == DropReason.ENCAP_FROM_POD
    for cluster in (linux(calico=True, more=allowed), linux()):
        network = net(cluster)
        result = network.send("default/p1", P5, header=outer)
        assert fate_of(result) == DELIVERED                    # the outer packet is the one that is masqueraded
        assert text(result["outer_src"]) == NODE1 and text(result["src"]) == P1
        assert [int(e["outer_ttl"]) for e in network.events] == [64, 63, 62]


def test_an_outer_packet_that_is_spoofed_or_too_long_goes_nowhere(net):
    network = net(linux(calico=True))
    assert network.fate("default/p1", P5, header=header(NODE3, outer_src=P2)) == DropReason.SPOOFED_SOURCE
    assert network.fate("node/n1", P5, src=P1, header=header(NODE3, outer_src=P2)) == DropReason.SPOOFED_SOURCE
    too_long = header(NODE3, outer_fragment=PacketFlag.DF)
    assert network.fate("node/n1", P5, length=1481, header=too_long) == DropReason.MTU_EXCEEDED
    assert network.fate("node/n1", P5, length=65530, header=header(NODE3)) == DropReason.MALFORMED
    assert network.fate("node/n1", P5, header=header(NODE3, encap=3)) == DropReason.MALFORMED


def test_what_is_not_modelled_of_outer_packets_is_undetermined(net):
    for sender, outer, stage in (
        ("default/p1", header(P5, outer_src=P1), Stage.ENCAPSULATE),          # a tunnel inside a tunnel
        ("default/p1", header(NODE1, outer_src=P1), Stage.DECAPSULATE),       # a node's own pod to its tunl0
    ):
        network = net(linux())
        assert network.fate(sender, P5, src=P1, header=outer) == UNDETERMINED
        assert stage_of(network.results[0]) is stage
