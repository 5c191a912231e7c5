"""Conntrack knows of the tunnels' outer packets, as Linux was measured to: what it lists, and whom that costs a packet."""

from dataclasses import replace

import numpy as np
import pytest

from calisim.quantities import parse_address
from calisim.vocabulary import ConnectionState, DropReason, Encap, PacketFlag, ResultFlag, RouterFlag, Stage, Verdict
from tests.datapath.conftest import DELIVERED, fate_of, stage_of, text
from tests.datapath.test_sent_encapsulated import header, linux
from tests.intents import behind_linux, three_zones

P1, P2, P3, P4, P5 = "10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.2.3", "10.244.3.2"
N1, N2, N3, OUTSIDE, ELSEWHERE = "10.0.1.11", "10.0.1.12", "10.0.2.13", "203.0.113.10", "203.0.113.99"
SECOND = 1_000_000_000
EXHAUSTED = DropReason.SNAT_PORTS_EXHAUSTED
CALICO = {"calico": True, "more": RouterFlag.PODS_SEND_IPIP | RouterFlag.PODS_SEND_VXLAN}


def entries(network, node):
    """The connections of a node, in the order of their confirmation."""
    found = network.state.connections()
    return found[found["key"] == network.intent.router(node).key]


def listed(network, node):
    """Protocol, ends, state and packets of both directions."""
    return [
        f"{e['protocol']} {text(e['src'])} > {text(e['dst'])} {ConnectionState(e['state']).name} "
        f"{e['packets']}/{e['reply_packets']}" for e in entries(network, node)]


def overlong(*, down=False):
    """Linux with tunnel devices that promise more than eth0 carries; n2 may be down."""
    cluster = linux(ipip_mtu=1500, pod_mtu=1500)
    if down:
        cluster.routers[1] = replace(cluster.routers[1], flags=cluster.routers[1].flags | RouterFlag.DOWN)
    return cluster


# ---- what is listed (kernel: ipip-always-far, vxlan-always-far) --------------------------------------------


def test_ipip_is_one_connection_of_two_nodes_whoever_speaks(net):
    network = net(three_zones(ipip="Always"))
    result = network.send("default/p1", P3, protocol=17, time=SECOND)
    assert (result["connection"], bool(result["flags"] & ResultFlag.NEW)) == (1, True)
    assert listed(network, 1) == [f"17 {P1} > {P3} NEW 1/0", f"4 {N1} > {N2} NEW 1/0"]
    assert listed(network, 2) == [f"4 {N1} > {N2} NEW 1/0", f"17 {P1} > {P3} NEW 1/0"]
    outer = entries(network, 1)[1]
    assert (outer["expires"] - outer["created"], outer["sport"], outer["dport"]) == (600 * SECOND, 0, 0)
    assert [text(outer[name]) for name in ("reply_src", "reply_dst")] == [N2, N1]
    network.reply(time=3 * SECOND)
    network.send("default/p4", P2, protocol=17, time=4 * SECOND)
    assert listed(network, 1)[1] == listed(network, 2)[0] == f"4 {N1} > {N2} ESTABLISHED 1/2"
    assert entries(network, 1)["expires"][1] == entries(network, 2)["expires"][0] == 604 * SECOND


def test_a_new_tunnel_makes_no_new_connection_of_what_it_carries(net):
    """RESULT tells of the packet's connection, not of its tunnel's, which was forgotten in the meantime."""
    network = net(three_zones(ipip="Always"))
    network.send("default/p1", P3)
    network.reply()
    network.send("default/p1", P3, tcp_flags=16)
    result = network.send("default/p1", P3, tcp_flags=16, time=1000 * SECOND)
    assert (result["connection"], result["flags"] & (ResultFlag.NEW | ResultFlag.SNAT)) == (1, 0)
    assert listed(network, 1)[1] == f"4 {N1} > {N2} NEW 1/0" and entries(network, 1)["ordinal"].tolist() == [1, 3]


def test_vxlan_is_two_one_way_flows_unless_felix_exempts_it(net):
    for calico, outer in ((True, [[], []]), (False, [[f"17 {N1} > {N2} NEW 1/0", f"17 {N2} > {N1} NEW 1/0"]] * 2)):
        network = net(three_zones(ipip="Never", vxlan="Always", calico=calico))
        network.send("default/p1", P3)
        port = int(network.events["outer_sport"].max())
        network.reply()
        flows = [[one for one in listed(network, node) if one.startswith("17")] for node in (1, 2)]
        assert flows == outer
        for entry in entries(network, 1)[1:]:
            assert [int(entry[name]) for name in ("sport", "dport", "reply_sport", "reply_dport")] == [port, 4789, 4789, port]
            assert entry["expires"] - entry["created"] == 30 * SECOND


def test_an_outer_packet_that_is_cut_counts_once_at_either_end(net):
    network = net(overlong())
    assert network.fate("default/p1", P3, length=1490, protocol=17, fragment=0) == Verdict.CONTINUED
    assert stage_of(network.results[0]) is Stage.ENCAPSULATE and listed(network, 1)[1] == f"4 {N1} > {N2} NEW 1/0"
    assert [fate_of(piece) for piece in network.send_errors()] == [Verdict.CONTINUED] * 2
    assert listed(network, 2) == []
    assert fate_of(network.send_errors()[0]) == DELIVERED
    assert [listed(network, node)[node % 2] for node in (1, 2)] == [f"4 {N1} > {N2} NEW 1/0"] * 2


# ---- whom it costs a packet --------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("world", [{}, CALICO])
def test_a_pods_own_ipip_to_a_node_with_a_tunnel_in_use_is_lost(net, world, wrapped):
    """Masqueraded it would be the tunnel's packet, and protocol 4 has no port to tell the two apart."""
    network = net(linux(**world))
    own = {"protocol": 4, "dst": N2} | ({"protocol": 6, "dst": P3, "header": header(N2, outer_src=P1)} if wrapped else {})
    network.send("default/p2", P4, time=SECOND)
    assert fate_of(network.send("default/p1", **own, time=600 * SECOND)) == EXHAUSTED
    assert (stage_of(network.results[0]), network.where(), network.route()) == (Stage.TRANSLATE, "n1", ["n1 veth in"])
    assert listed(network, 1) == [f"4 {N1} > {N2} NEW 1/0"]
    assert fate_of(network.send("default/p1", **own, time=601 * SECOND)) != EXHAUSTED      # it is forgotten by now
    assert network.route()[:2] == ["n1 veth in", "n1 eth0 out"]


@pytest.mark.parametrize("world", [{}, CALICO])
def test_a_tunnel_to_where_a_pod_sends_ipip_loses_its_packets(net, world):
    """The other order. What is inside has its connection by then."""
    network = net(linux(**world))
    network.send("default/p1", N2, protocol=4, time=SECOND)
    result = network.send("default/p2", P4, time=600 * SECOND)
    assert (fate_of(result), stage_of(result), network.where(), result["detail"]) == (EXHAUSTED, Stage.TRANSLATE, "n1", 0)
    assert network.route() == ["n1 veth in", "n1 tunl0 out"] and network.errors() == []
    assert listed(network, 1) == [f"4 {P1} > {N2} NEW 1/0", f"6 {P2} > {P4} ESTABLISHED 1/0"]
    assert network.fate("default/p2", P5, time=600 * SECOND) == DELIVERED               # another node's is another tuple
    assert network.fate("default/p2", P4, time=601 * SECOND) == DELIVERED


def test_vxlan_has_ports_so_that_the_tunnel_moves_to_another_one(net):
    cluster = three_zones(ipip="Never", vxlan="Always", calico=False)
    network = net(cluster)
    network.send("default/p1", P3)
    port = int(network.events["outer_sport"].max())
    network = net(cluster)
    assert network.fate("default/p2", N2, protocol=17, sport=port, dport=4789) == DELIVERED
    results = [network.send("default/p1", P3), network.send("default/p1", P3)]
    moved = int(network.events["outer_sport"].max())
    assert moved != port and moved >= 1024
    assert [fate_of(result) for result in results] == [DELIVERED, DELIVERED]
    assert not any(result["flags"] & ResultFlag.SNAT for result in results)
    outer = entries(network, 1)[2]
    assert [int(outer[name]) for name in ("sport", "reply_dport", "packets")] == [port, moved, 2]
    assert entries(network, 2)["sport"].tolist().count(moved) == 1


# ---- whose is what comes back ------------------------------------------------------------------------------


def from_outside(network, encap=Encap.IPIP, sport=0):
    return network.send("host/api", P1, src=ELSEWHERE, protocol=17, header=header(
        N1, encap=encap, outer_src=OUTSIDE, outer_sport=sport))


@pytest.mark.parametrize("world", [{}, CALICO])
def test_an_answer_to_a_pods_own_ipip_is_the_pods(net, world):
    network = net(linux(**world))
    stranger = from_outside(network)
    assert fate_of(stranger) == (DropReason.TUNNEL_UNKNOWN_SENDER if world else DropReason.RPF)
    assert network.route()[1:] == ["n1 eth0 in"] + ["n1 tunl0 in"] * (not world)
    network = net(linux(**world))
    assert fate_of(network.send("default/p1", ELSEWHERE, protocol=17, header=header(OUTSIDE, outer_src=P1))) == DELIVERED
    answer = from_outside(network)
    assert (fate_of(answer), network.route()) == (DELIVERED, ["host eth0 out", "n1 eth0 in", "n1 veth out"])
    assert (text(answer["outer_dst"]), text(answer["dst"]), answer["encap"]) == (P1, P1, Encap.IPIP)
    assert answer["flags"] & ResultFlag.UNNAT
    assert listed(network, 1) == [f"4 {P1} > {OUTSIDE} ESTABLISHED 1/1"]


@pytest.mark.parametrize("world", [{}, CALICO])
def test_of_vxlan_only_where_felix_does_not_exempt_it(net, world):
    cluster = linux(**world)
    cluster.routers[0] = replace(cluster.routers[0], vxlan_address=parse_address("10.244.1.1"))
    network = net(cluster)
    own = header(OUTSIDE, encap=Encap.VXLAN, outer_src=P1, outer_sport=4789)
    assert fate_of(network.send("default/p1", ELSEWHERE, protocol=17, header=own)) == DELIVERED
    assert fate_of(from_outside(network, Encap.VXLAN, 4789)) == (DropReason.TUNNEL_UNKNOWN_SENDER if world else DELIVERED)
    assert network.route()[1:] == ["n1 eth0 in"] + ["n1 veth out"] * (not world)
    assert entries(network, 1)["reply_packets"].tolist() == ([0] if world else [1])


def test_what_a_node_sends_through_its_tunnel_is_the_pods_that_sent_ipip_there(net):
    network = net(linux())
    network.send("default/p1", N2, protocol=4)
    assert network.fate("default/p3", P2) == DELIVERED
    assert network.route() == ["n2 veth in", "n2 tunl0 out", "n2 eth0 out", "n1 eth0 in", "n1 veth out"]
    assert network.events["endpoint"][-1] == network.intent.endpoint_ids["default/p1"]


def test_a_frag_needed_about_an_outer_packet_belongs_to_its_connection(net):
    network = net(behind_linux(narrow=1400, ipip="Always"))
    assert network.fate("default/p1", P5, length=1450, fragment=PacketFlag.DF) == DropReason.FABRIC_MTU
    assert network.errors() == [f"3/4 10.0.1.1 > {N1} mtu 1400 quoted ttl 63"]
    result = network.send_errors()[0]
    assert (fate_of(result), result["connection"]) == (DELIVERED, 2)
    assert listed(network, 1)[1] == f"4 {N1} > {N3} NEW 1/0"


# ---- losses before and behind ------------------------------------------------------------------------------


def test_what_is_lost_before_leaves_no_trace(net):
    network = net(overlong())
    assert network.fate("default/p1", P3, length=1490, fragment=PacketFlag.DF) == DropReason.MTU_EXCEEDED
    assert stage_of(network.results[0]) is Stage.ENCAPSULATE and listed(network, 1) == [f"6 {P1} > {P3} ESTABLISHED 1/0"]
    network = net(linux(calico=True))
    assert fate_of(from_outside(network)) == DropReason.TUNNEL_UNKNOWN_SENDER and len(network.state.connections()) == 0


def test_what_a_stranger_sends_counts_where_the_connection_is_known(net):
    """Conntrack stands before the filter: n2 sends n1 a packet, and what n1 answers, who is no node to n2, is seen, then lost."""
    cluster = three_zones(ipip="Always")
    cluster.outcasts.add(parse_address(N1))
    network = net(cluster)
    assert network.fate("default/p3", P1) == DELIVERED
    assert network.fate("default/p2", P4) == DropReason.TUNNEL_UNKNOWN_SENDER
    assert listed(network, 2)[1:] == [f"4 {N2} > {N1} ESTABLISHED 1/1"]


def test_what_a_node_takes_has_a_connection_though_it_is_lost_then(net):
    network = net(three_zones(ipip="Never", calico=False))
    assert network.fate("node/n1", P3, src=P1, header=header(N2)) == DropReason.ADDRESS_UNUSED
    assert listed(network, 2) == [f"4 {N1} > {N2} NEW 1/0"]
    network = net(linux())
    assert network.fate("node/n1", P3, src=P1, header=header(N2, outer_tos=3)) == DropReason.ECN_ILLEGAL
    assert listed(network, 2) == [f"4 {N1} > {N2} NEW 1/0"]


@pytest.mark.parametrize(("length", "fragment", "reason", "protocols"), [
    (1000, 0, DropReason.UNREACHABLE, [6, 4]), (1490, 0, DropReason.UNREACHABLE, [6, 4]),
    (1490, PacketFlag.DF, DropReason.MTU_EXCEEDED, [6])])
def test_the_mtu_comes_before_the_connection_and_the_neighbour_behind_it(net, length, fragment, reason, protocols):
    network = net(overlong(down=True))
    assert network.fate("default/p1", P3, length=length, fragment=fragment) == reason
    assert np.array_equal(entries(network, 1)["protocol"], protocols)
    assert network.route() == ["n1 veth in", "n1 tunl0 out"]
