"""TTL, outer headers, MTU, lookup: hand-derived from what Linux was measured to do and from Calico's routes.

The cluster of :func:`tests.intents.three_zones`: n1 and n2 in one subnet, n3 in another; default/p1, p2 on n1, p3, p4 on
n2, p5, p6 on n3 (10.244.<node>.2 and .3; tunnel addresses .1).
"""

from dataclasses import replace

import pytest

from calisim.datapath.reference.tunnels import merged_ecn, outer_ecn, vxlan_source_port
from calisim.datapath.reference.walk import Header
from calisim.quantities import Prefix
from calisim.vocabulary import DropReason, Encap, PacketFlag, ResultFlag, Stage, Verdict
from tests.datapath.conftest import DELIVERED, stage_of, text
from tests.intents import three_zones

P1, P2, P3, P5 = "10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.3.2"


# ---- TTL and path (kernel measurements: same-node, never-near, ipip-always-far, ipip-host-to-pod) --------------------------


@pytest.mark.parametrize(("ipip", "dst", "ttl", "hops"), [
    ("Always", P2, 63, 1), ("Never", P2, 63, 1), ("Never", P3, 62, 2), ("Always", P3, 62, 2), ("CrossSubnet", P5, 62, 2)])
def test_each_node_decrements_once(net, ipip, dst, ttl, hops):
    result = net(three_zones(ipip=ipip)).send("default/p1", dst)
    assert (Verdict(result["verdict"]), result["ttl"], result["hops"]) == (DELIVERED, ttl, hops)


def test_a_nodes_own_packet_is_not_decremented_there(net):
    network = net(three_zones(ipip="Always"))
    assert network.send("node/n1", P2)["ttl"] == 64          # to a pod of its own
    assert network.send("node/n1", P5)["ttl"] == 63          # the far node forwards it
    assert network.send("default/p1", "10.0.1.11")["ttl"] == 64      # a pod's packet to its own node is not forwarded


def test_interfaces_as_tcpdump_sees_them(net):
    network = net(three_zones())
    network.send("default/p1", P5)
    assert network.route() == [
        "n1 veth in", "n1 tunl0 out", "n1 eth0 out", "n3 eth0 in", "n3 tunl0 in", "n3 veth out"]
    assert [int(e["ttl"]) for e in network.events] == [64, 63, 63, 63, 63, 62]
    network.send("default/p1", P3)
    assert network.route() == ["n1 veth in", "n1 eth0 out", "n2 eth0 in", "n2 veth out"]


@pytest.mark.parametrize(("ttl", "fate", "where"), [
    (0, DropReason.TTL_EXCEEDED, "n1"), (1, DropReason.TTL_EXCEEDED, "n1"), (2, DropReason.TTL_EXCEEDED, "n2"),
    (3, DELIVERED, "n2")])
def test_ttl_runs_out_where_it_is_forwarded(net, ttl, fate, where):
    network = net(three_zones())
    assert network.fate("default/p1", P3, ttl=ttl) == fate
    assert network.where() == where


def test_a_linux_router_decrements_the_outer_ttl_only_and_loses_ipip_with_ttl_2(net):
    """Kernel: ipip-always-far, ipip-ttl-far:ttl2 – with IPIP the outer TTL is the inner one's, so the router drops it."""
    cluster = three_zones(ipip="Always")
    cluster.fabric = {"decrements_ttl": True}
    network = net(cluster)
    result = network.send("default/p1", P5)
    assert (result["ttl"], result["hops"]) == (62, 3)
    assert [int(e["outer_ttl"]) for e in network.events if e["encap"]] == [63, 62]
    assert network.fate("default/p1", P5, ttl=2) == DropReason.TTL_EXCEEDED
    assert (network.where(), stage_of(network.results[0])) == ("vpc-1", Stage.FABRIC)
    assert network.fate("default/p1", P5, ttl=3) == DELIVERED


# ---- outer headers (kernel measurements: ipip-outer-header, vxlan-outer-header) ----------------------------


@pytest.mark.parametrize(("tos", "outer_tos"), [
    (0xB8, 0x00), (0xBB, 0x02), (0x2A, 0x02), (0x01, 0x01), (0x02, 0x02), (0x03, 0x02)])
@pytest.mark.parametrize("df", [True, False])
def test_ipip_outer_header(net, tos, outer_tos, df):
    network = net(three_zones(ipip="Always"))
    result = network.send("default/p1", P3, tos=tos, df=df, ttl=9, length=1000)
    (out,) = [e for e in network.events if e["encap"] and e["direction"] == 1]
    assert (text(out["outer_src"]), text(out["outer_dst"])) == ("10.0.1.11", "10.0.1.12")
    assert (out["outer_ttl"], out["outer_tos"], out["outer_length"], out["length"]) == (8, outer_tos, 1020, 1000)
    assert bool(out["outer_fragment"] & 0x4000) == df
    assert (result["encap"], result["wire"], text(result["outer_dst"])) == (Encap.IPIP, 1020, "10.0.1.12")
    assert ResultFlag(int(result["flags"])) & ResultFlag.ENCAP
    assert network.events[-1]["tos"] == tos                       # the pod gets what was sent


@pytest.mark.parametrize(("tos", "outer_tos"), [(0xB8, 0x00), (0x2B, 0x02), (0x01, 0x01)])
@pytest.mark.parametrize("df", [True, False])
def test_vxlan_outer_header(net, tos, outer_tos, df):
    network = net(three_zones(ipip="Never", vxlan="Always"))
    network.send("default/p1", P5, tos=tos, df=df, ttl=9, length=1000)
    (out,) = [e for e in network.events if e["encap"] and e["direction"] == 1]
    assert (out["encap"], out["outer_ttl"], out["outer_tos"], out["outer_length"]) == (Encap.VXLAN, 64, outer_tos, 1050)
    assert out["outer_fragment"] == 0
    assert 32768 <= out["outer_sport"] <= 60999                   # net.ipv4.ip_local_port_range


def test_a_node_sends_ipip_with_the_inner_ttl_as_it_is(net):
    network = net(three_zones(ipip="Always"))
    network.send("node/n1", P5)
    assert [int(e["outer_ttl"]) for e in network.events if e["encap"]] == [64, 64]


def test_vxlan_source_port_belongs_to_the_flow_in_both_directions():
    """Kernel: vxlan-udpcsum-default:back, vxlan-outer-header – addresses, protocol and ports; not TOS, TTL, DF, length."""

    def port(src, dst, sport, dport, protocol=6, ttl=64, tos=0, length=1000, df=True):
        return vxlan_source_port(1, Header(src, dst, sport, dport, protocol, ttl, tos, length, PacketFlag.DF if df else 0))

    flow = port(1, 2, 1000, 80)
    assert flow == port(2, 1, 80, 1000) == port(1, 2, 1000, 80, ttl=1, tos=3, length=60, df=False)
    assert len({flow, port(1, 2, 1001, 80), port(1, 3, 1000, 80), port(1, 2, 1000, 80, protocol=17)}) == 4
    ping = port(1, 2, 77, 0x0800, protocol=1)         # kernel: errors-and-tunnels:echo-far has the port of an error before it
    assert ping == port(2, 1, 77, 0x0000, protocol=1) == port(1, 2, 78, 0x0800, protocol=1) == port(2, 1, 0, 0x0303, protocol=1)


NOT_ECT, ECT1, ECT0, CE = 0, 1, 2, 3


@pytest.mark.parametrize("outer", range(4))
@pytest.mark.parametrize("inner", range(4))
def test_ecn_at_decapsulation(outer, inner):
    """RFC 6040 §4.2 figure 4 and kernel case ipip-decap-ecn: three exceptions, everything else leaves the inner field."""
    exceptions = {
        (CE, NOT_ECT): None, (CE, ECT0): CE, (CE, ECT1): CE, (ECT1, ECT0): ECT1}
    assert merged_ecn(outer, inner) == exceptions.get((outer, inner), inner)


def test_ecn_at_encapsulation():
    assert [outer_ecn(inner) for inner in (NOT_ECT, ECT1, ECT0, CE)] == [NOT_ECT, ECT1, ECT0, ECT0]


# ---- MTU (kernel measurements: ipip-mtu, vxlan-mtu) --------------------------------------------------------


@pytest.mark.parametrize(("modes", "mtu"), [
    ({"ipip": "Always"}, 1480), ({"ipip": "Never", "vxlan": "Always"}, 1450), ({"ipip": "Never"}, 1500)])
def test_exactly_the_mtu_passes_one_byte_more_does_not(net, modes, mtu):
    network = net(three_zones(**modes, pod_mtu=1501))
    result = network.send("default/p1", P3, length=mtu)
    assert (Verdict(result["verdict"]), result["wire"]) == (DELIVERED, 1500)
    assert network.fate("default/p1", P3, length=mtu + 1) == DropReason.MTU_EXCEEDED
    assert (network.where(), network.decided_by()) == ("n1", ("IPPool", "10.244.0.0/16"))
    assert stage_of(network.results[0]) == Stage.MTU


def test_a_pods_stack_refuses_what_exceeds_its_own_interface(net):
    network = net(three_zones())
    assert network.fate("default/p1", P2, length=1480) == DELIVERED
    assert network.fate("default/p1", P2, length=1481) == DropReason.MTU_EXCEEDED
    assert (stage_of(network.results[0]), network.decided_by(), len(network.events)) == (Stage.ENDPOINT, ("Pod", "default/p1"), 0)


def test_the_receivers_veth_has_an_mtu_too(net):
    cluster = three_zones(ipip="Never", pod_mtu=1500)
    cluster.pod("10.244.1.9", 1, mtu=1400, name="default/narrow")
    network = net(cluster)
    assert network.fate("default/p1", "10.244.1.9", length=1401) == DropReason.MTU_EXCEEDED
    assert network.fate("default/p1", "10.244.1.9", length=1400) == DELIVERED


def test_a_tunnel_mtu_set_too_high_fails_on_the_underlay(net):
    network = net(three_zones(ipip="Always", pod_mtu=1500, ipip_mtu=1500))
    assert network.fate("default/p1", P5, length=1481) == DropReason.MTU_EXCEEDED
    assert stage_of(network.results[0]) == Stage.ENCAPSULATE


def test_ttl_is_checked_before_mtu_and_both_before_nat(net):
    """Kernel: nat-icmp-errors:ttl1 – a TTL-1 packet leaves no conntrack entry."""
    network = net(three_zones(pod_mtu=9000))
    assert network.fate("default/p1", "203.0.113.10", ttl=1, length=5000) == DropReason.TTL_EXCEEDED
    assert network.fate("default/p1", "203.0.113.10", length=5000) == DropReason.MTU_EXCEEDED
    assert len(network.state.connections()) == 0


# ---- lookup: blackholes, masks, borrowed addresses ---------------------------------------------------------


def test_a_free_address_of_a_block_is_a_black_hole(net):
    """Kernel: ipip-black-holes – locally at once, remotely after decapsulation on the block's node."""
    network = net(three_zones())
    assert network.fate("default/p1", "10.244.1.60") == DropReason.BLACKHOLE
    assert (network.where(), network.decided_by()) == ("n1", ("IPPool", "10.244.0.0/16"))
    assert network.fate("default/p1", "10.244.3.60") == DropReason.BLACKHOLE
    assert (network.where(), network.results[0]["hops"], network.results[0]["encap"]) == ("n3", 2, Encap.IPIP)


def test_a_borrowed_address_beats_the_blackhole_of_its_block(net):
    """Longest prefix: the user's /32 is known to all, to the block's owner as well (Calico IPAM, BIRD export filter)."""
    cluster = three_zones()
    cluster.pod("10.244.1.50", 3, name="default/borrower")
    cluster.borrow("10.244.1.50", 3)
    network = net(cluster)
    assert (network.fate("default/p1", "10.244.1.50"), network.where()) == (DELIVERED, "n3")
    assert (network.fate("default/p3", "10.244.1.50"), network.where()) == (DELIVERED, "n3")
    assert network.fate("default/p1", "10.244.1.51") == DropReason.BLACKHOLE


def test_without_encapsulation_another_subnet_is_out_of_reach(net):
    """Kernel: never-far; AWS: the router knows nodes, not pods, and its default route is none for pods."""
    cluster = three_zones(ipip="Never")
    network = net(cluster)
    assert (network.fate("default/p1", P5), network.where()) == (DropReason.FABRIC_NO_ROUTE, "igw-1")
    cluster.tables[0].pop()                                       # no default route: a private subnet
    network = net(cluster)
    assert (network.fate("default/p1", P5), network.where()) == (DropReason.FABRIC_NO_ROUTE, "vpc-1")


def test_a_pool_address_in_no_block_leaves_by_the_default_route_with_the_pods_source(net):
    """Kernel: *-black-holes:no-block."""
    network = net(three_zones())
    assert network.fate("default/p1", "10.244.77.1") == DropReason.FABRIC_NO_ROUTE
    assert text(network.results[0]["src"]) == P1


def test_a_recorded_32_makes_cross_subnet_always(net):
    """projectcalico/node#563: the sender's own mask decides, and in a /32 there is nobody."""
    network = net(three_zones(recorded=32))
    assert network.send("default/p1", P3)["encap"] == Encap.IPIP


def test_each_sender_decides_with_its_own_mask(net):
    """Asymmetric masks: native one way, tunnelled back; strict rp_filter on n1's eth0 … and tunl0 sees the difference."""
    cluster = three_zones()
    second = cluster.routers[1]
    alone = replace(second.inputs, recorded=Prefix(second.address, 32))
    cluster.routers[1] = replace(second, inputs=alone)
    network = net(cluster)
    # n1 sends natively; on n2 the way back to p1 is tunl0, so strict rp_filter drops what comes in by eth0
    assert (network.fate("default/p1", P3), network.where()) == (DropReason.RPF, "n2")
    # n2 tunnels; on n1 the way back to p3 is eth0, so what comes out of tunl0 is dropped
    assert (network.fate("default/p3", P1), network.where()) == (DropReason.RPF, "n1")
    assert network.results[0]["encap"] == Encap.IPIP


def test_nobody_answers_on_the_link(net):
    network = net(three_zones())
    assert (network.fate("node/n1", "10.0.1.99"), network.where()) == (DropReason.UNREACHABLE, "n1")
    assert stage_of(network.results[0]) == Stage.LOOKUP


@pytest.mark.parametrize("dst", ["224.0.0.5", "255.255.255.255"])
def test_nothing_but_unicast_is_routed(net, dst):
    assert net(three_zones()).fate("node/n1", dst) == DropReason.NO_ROUTE


@pytest.mark.parametrize(("src", "dst"), [
    ("224.0.0.5", P2), ("255.255.255.255", P2), ("0.0.0.0", P2), ("127.0.0.1", P2), (P1, "127.0.0.1"), (P1, "0.0.0.0")])
def test_martians(net, src, dst):
    """Linux, ip_route_input_slow: addresses that no interface may send from or to."""
    network = net(three_zones())
    assert network.fate("default/p1", dst, src=src) == DropReason.MARTIAN
    assert stage_of(network.results[0]) == Stage.SOURCE_CHECK


def test_this_network_is_like_any_other_but_for_its_first_address(net):
    """strange-addresses:zero – Linux forwards 0.0.0.1 … 0.255.255.255 since 5.3, by the default route and masqueraded."""
    network = net(three_zones())
    assert network.fate("default/p1", "0.0.0.7") == Verdict.EXITED
    assert network.fate("node/n1", "0.0.0.7") == Verdict.EXITED


def test_of_equal_prefixes_the_first_route_counts(net):
    """A pod of n1 whose address is also advertised by n3 as borrowed: the local /32 stands first in the table."""
    cluster = three_zones()
    cluster.borrow(P2, 3)
    network = net(cluster)
    assert (network.fate("default/p1", P2), network.where()) == (DELIVERED, "n1")
