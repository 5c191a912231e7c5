"""Who cuts a packet, and into what, by hand from Linux' rules and measurements."""

import pytest

from calisim.vocabulary import DropReason, Encap, Relation, ResultFlag, Stage, Verdict
from tests.datapath.conftest import DELIVERED, EXITED, fate_of, stage_of
from tests.datapath.pieces import (
    CONTINUED, MF, UDP, SECOND, P1, P2, P3, P5, NODE1, NODE3, OUTSIDE, header, pieces, lengths, outer_lengths, on, follow,
)
from tests.intents import behind_linux, three_zones


@pytest.mark.parametrize(("modes", "made"), [
    ({"ipip": "Always"}, [(1476, 0), (44, 1456)]), ({"ipip": "Never", "vxlan": "Always"}, [(1444, 0), (76, 1424)])])
def test_a_tunnel_takes_the_inner_packet_in_pieces(net, modes, made):
    """Kernel: *-mtu:nodf – the inner packet is cut before it is encapsulated, and held at the other end."""
    network = net(behind_linux(**modes))
    result = network.send("default/p1", P3, protocol=UDP, length=1500, df=False)
    assert (fate_of(result), stage_of(result), network.where()) == (CONTINUED, Stage.FRAGMENT, "n1")
    assert network.route() == ["n1 veth in"]
    assert lengths(network.born) == made
    assert network.born.causes["relation"].tolist() == [Relation.PIECE] * 2
    assert (network.born.packets["ttl"] == 63).all() and len(set(network.born.headers["id"])) == 1
    assert network.born.headers["id"][0] and (network.born.headers["datagram"] == 1).all()
    assert [int(p["fragment"]) & MF for p in network.born.packets] == [MF, 0]
    network.send_errors()
    assert [(fate_of(r), stage_of(r), int(r["where"])) for r in network.results] == [(CONTINUED, Stage.DEFRAGMENT, 2)] * 2
    assert network.born.causes["relation"].tolist() == [Relation.WHOLE]
    assert lengths(network.born) == [(1500, 0)] and network.born.headers["largest"].tolist() == [made[0][0]]
    network.send_errors()
    assert stage_of(network.results[0]) is Stage.FRAGMENT and lengths(network.born) == made
    network.send_errors()
    assert [fate_of(r) for r in network.results] == [DELIVERED] * 2
    assert network.route() == ["n2 veth out"] * 2 and on(network, 1, 1, 2) == [length for length, _ in made]


def test_the_last_piece_takes_all_that_fits(net):
    cluster = behind_linux(ipip="Never")
    cluster.pod("10.244.1.9", 1, mtu=1486, name="default/narrow")
    network = net(cluster)
    network.send("default/p1", "10.244.1.9", protocol=UDP, length=20 + 1464 + 1466, df=False)
    network.send_errors()                                       # the sender's own stack: 1500
    network.send_errors()
    assert lengths(network.born) == [(1484, 0), (1486, 1464)]


def test_a_pods_stack_cuts_what_exceeds_its_own_interface(net):
    network = net(behind_linux(pod_mtu=1480))
    result = network.send("default/p1", P2, protocol=UDP, length=3000, df=False)
    assert (fate_of(result), stage_of(result), network.where()) == (CONTINUED, Stage.ENDPOINT, "n1")
    assert (int(result["hops"]), network.route()) == (0, [])
    assert lengths(network.born) == [(1476, 0), (1476, 1456), (88, 2912)]
    assert network.born.headers["resume"].tolist() == [0] * 3
    network.send_errors()
    assert network.route() == ["n1 veth in"] * 3
    assert network.fate("default/p1", P2, protocol=UDP, length=3000) == DropReason.MTU_EXCEEDED


def test_a_pod_that_knows_a_path_cuts_by_it(net):
    """Kernel: *-pod-pmtu-cache."""
    cluster = behind_linux(ipip="Never", nat_outgoing=False)
    network = net(cluster)
    told = header(quote_src=P1, quote_dst=P2, quote_protocol=UDP, quote_length=1500, quote_ttl=64, mtu=1400)
    network.send("node/n1", P1, protocol=1, dport=0x0304, length=576, header=told)
    network.send("default/p1", P2, protocol=UDP, length=1500, df=False)
    assert lengths(network.born) == [(1396, 0), (124, 1376)]


@pytest.mark.parametrize("identification", [7, 0])
def test_pieces_made_by_hand_stay_together_when_only_some_are_cut_again(net, identification):
    """Measured: 1500 + 1500 + 40 from a pod that knows of 1450 leave it as five, and the node makes one datagram of them."""
    network = net(behind_linux(ipip="Never", vxlan="Always"))
    network.send("default/p1", P5, protocol=UDP, length=1500)
    network.send_errors()
    network.send_errors()
    wave, headers = pieces(network, "default/p1", P5, [1500, 1500, 40], of=identification)
    wave["time"] += SECOND
    network.send_wave(wave, headers=headers)
    assert lengths(network.born) == [(1444, 0), (76, 1424), (1444, 1480), (76, 2904)]
    assert network.born.headers["id"].tolist() == [identification] * 4
    assert not network.born.headers["datagram"].any()
    network.send_errors()
    whole, = network.born.packets
    assert (whole["length"], whole["fragment"]) == (3000, 0)


def test_a_nodes_own_packets_are_cut_and_leave_one_by_one(net):
    network = net(behind_linux())
    assert network.fate("node/n1", OUTSIDE, protocol=UDP, length=1600, df=False) == CONTINUED
    assert lengths(network.born) == [(1500, 0), (120, 1480)]
    network.send_errors()
    assert [fate_of(r) for r in network.results] == [DELIVERED] * 2
    assert on(network, 2, 1, 1) == [1500, 120]
    assert len(network.state.connections()) == 1


def test_a_linux_router_cuts_for_a_narrow_leg_and_ages_first(net):
    network = net(behind_linux(ipip="Never", narrow=1400))
    result = network.send("node/n1", NODE3, protocol=UDP, length=1500, df=False)
    assert (fate_of(result), stage_of(result), network.where()) == (CONTINUED, Stage.FABRIC, "vpc-1")
    assert lengths(network.born) == [(1396, 0), (124, 1376)] and (network.born.packets["ttl"] == 63).all()
    network.send_errors()
    assert network.route() == ["n3 eth0 in"] * 2 and (network.results["flags"] & ResultFlag.ROUTED).all()
    network.send_errors()
    assert (fate_of(network.results[0]), network.where(), network.route()) == (DELIVERED, "n3", [])
    assert network.fate("node/n1", NODE3, protocol=UDP, length=1500) == DropReason.FABRIC_MTU


@pytest.mark.parametrize(("length", "df", "fate"), [
    (1404, True, DELIVERED), (1405, False, DropReason.FABRIC_MTU), (1405, True, DropReason.FABRIC_MTU)])
def test_a_narrow_leg_takes_in_no_more_than_its_mtu_and_a_tag_and_tells_nobody(net, length, df, fate):
    """Kernel: cut-on-the-way:not-taken-in, just-taken-in. Before the TTL is looked at."""
    network = net(behind_linux(narrow=1400))
    result = network.send("node/n3", NODE1, protocol=UDP, length=length, df=df, ttl=64 if fate is DELIVERED else 1)
    assert fate_of(result) is fate
    assert not len(network.born.packets)


@pytest.mark.parametrize(("dst", "fate"), [(OUTSIDE, DELIVERED), ("198.51.100.1", EXITED)])
def test_a_linux_router_cuts_what_goes_out(net, dst, fate):
    cluster = behind_linux()
    cluster.fabric["internet_mtu"] = 1400
    network = net(cluster)
    assert network.fate("node/n1", dst, protocol=UDP, length=1500, df=False) == CONTINUED
    place = int(network.results[0]["where"])
    network.send_errors()
    assert [fate_of(r) for r in network.results] == [fate] * 2
    assert {int(r["where"]) for r in network.results} == {0 if fate is DELIVERED else place}


def test_a_router_passes_pieces_and_cuts_them_again(net):
    """Offsets count on, and the last keeps MF. A host to a host: nobody holds them."""
    cluster = behind_linux(narrow=1400)
    cluster.host("10.0.2.50", name="host/inside")
    network = net(cluster)
    wave, headers = pieces(network, "host/api", "10.0.2.50", [1500, 320])
    network.send_wave(wave, headers=headers)
    assert [fate_of(r) for r in network.results] == [CONTINUED, DELIVERED]
    assert lengths(network.born) == [(1396, 0), (124, 1376)]
    assert [int(p["fragment"]) & MF for p in network.born.packets] == [MF, MF]
    assert network.born.headers["id"].tolist() == [7, 7]
    network.send_errors()
    assert [fate_of(r) for r in network.results] == [DELIVERED] * 2


def test_aws_does_not_say_what_becomes_of_what_is_too_long(net):
    cluster = three_zones()
    cluster.fabric = {"mtu": 1400}
    network = net(cluster)
    assert network.fate("node/n1", NODE3, protocol=UDP, length=1500, df=False) == Verdict.UNDETERMINED


# ---- the outer packet -----------------------------------------------------------------------------------------------------


def test_the_router_cuts_vxlans_outer_packet_and_the_node_makes_it_whole(net):
    """Kernel: vxlan-path-mtu – nothing is lost, and the pod gets one packet though its DF is set."""
    network = net(behind_linux(ipip="Never", vxlan="Always", pod_mtu=1450, narrow=1400))
    wave = network.packet("default/p1", P5, protocol=UDP, length=1450)
    assert follow(network, wave) == [
        ([CONTINUED], ["n1 veth in 1450", "n1 vxlan out 1450", "n1 eth0 out 1500"]),
        ([CONTINUED] * 2, ["n3 eth0 in 1396", "n3 eth0 in 124"]),
        ([DELIVERED], ["n3 vxlan in 1450", "n3 veth out 1450"])]


def test_a_node_that_knows_the_path_cuts_the_outer_packet_itself(net):
    """Kernel: ipip-path-mtu:nodf."""
    network = net(behind_linux(ipip="Always", narrow=1400))
    network.send("default/p1", P5, protocol=UDP, length=1480)
    network.send_errors()
    result = network.send("default/p1", P5, protocol=UDP, length=1480, df=False)
    assert (fate_of(result), stage_of(result)) == (CONTINUED, Stage.ENCAPSULATE)
    assert network.route() == ["n1 veth in", "n1 tunl0 out"]
    assert outer_lengths(network.born) == [(1396, 0), (124, 1376)]
    assert (network.born.packets["length"] == 1480).all() and (network.born.headers["datagram"] == 0).all()
    network.send_errors()
    assert network.route() == ["n1 eth0 out", "n3 eth0 in"] * 2
    assert [e["outer_fragment"] & MF for e in network.events] == [MF, MF, 0, 0]
    whole = network.born.headers[0]
    assert (whole["resume"], whole["outer_length"], whole["largest"]) == (Stage.DECAPSULATE, 0, 0)
    result = network.send_errors()[0]
    assert (fate_of(result), network.route()) == (DELIVERED, ["n3 tunl0 in", "n3 veth out"])


def test_a_tunnel_mtu_set_too_high_has_the_outer_packet_cut(net):
    network = net(three_zones(ipip="Always", pod_mtu=1500, ipip_mtu=1500))
    result = network.send("default/p1", P5, length=1481, df=False)
    assert (fate_of(result), stage_of(result)) == (CONTINUED, Stage.ENCAPSULATE)
    assert outer_lengths(network.born) == [(1500, 0), (21, 1480)]


def test_pieces_inside_pieces(net):
    """Cut before the tunnel, cut again by the router on the way: both are made whole, each where it was opened."""
    network = net(behind_linux(ipip="Never", vxlan="Always", narrow=1400))
    told = follow(network, network.packet("default/p1", P5, protocol=UDP, length=1500, df=False))
    assert [len(fates) for fates, _ in told] == [1, 2, 2, 1, 1, 2]
    assert told[2][1] == ["n3 eth0 in 1396", "n3 eth0 in 118"]
    assert told[-1] == ([DELIVERED] * 2, ["n3 veth out 1444", "n3 veth out 76"])


def test_vxlans_port_orders_addresses_and_ports_apart(net):
    """Kernel: cut-on-the-way:just-taken-in has the port of outer, though it is another flow with the same two ports."""
    network = net(behind_linux(ipip="Never", vxlan="Always"))
    ports = set()
    for sender, dst in (("default/p1", P5), ("default/p5", P1)):
        for sport, dport in ((6000, 53), (53, 6000)):
            network.send(sender, dst, protocol=UDP, length=200, sport=sport, dport=dport)
            ports |= {int(event["outer_sport"]) for event in network.events if event["encap"] == Encap.VXLAN}
    network.send("default/p1", P5, protocol=UDP, length=200, sport=6000, dport=54)
    assert len(ports) == 1
    assert not ports & {int(event["outer_sport"]) for event in network.events}


def test_pieces_have_a_vxlan_port_of_their_own_kind(net):
    """No ports are looked at in a piece: all pieces between two addresses are one flow."""
    network = net(behind_linux(ipip="Never", vxlan="Always"))
    ports = set()
    for sport in (1000, 2000):
        network.send("default/p1", P3, protocol=UDP, length=1500, df=False, sport=sport)
        network.send_errors()
        ports |= {int(e["outer_sport"]) for e in network.events if e["outer_sport"]}
    assert len(ports) == 1
