"""Connections of tunnels: their outer packets where they are made and taken."""

from dataclasses import replace

from calisim.vocabulary import ConnectionFlag, DropReason, ResultFlag, Stage
from tests.datapath.conftest import DELIVERED, Net, fate_of, stage_of, text
from tests.datapath.test_sent_encapsulated import NODE1, NODE3, P1, P5, header, linux
from tests.generators import SECOND
from tests.intents import three_zones

PAIR = (P1, P5, 1000, 2000)


def entries(network: Net, node: int) -> list[tuple[object, ...]]:
    """Conntrack's at a node, by ordinal: protocol, addresses and ports, packets both ways, seconds that it lives."""
    known = network.state.connections()
    known = known[(known["key"] == network.intent.router(node).key) & (known["flags"] & ConnectionFlag.TRACKED_BY_FABRIC == 0)]
    return [
        (int(c["protocol"]), (text(c["src"]), text(c["dst"]), int(c["sport"]), int(c["dport"])),
         (int(c["packets"]), int(c["reply_packets"])), int(c["expires"]) // SECOND) for c in known]


def test_ipip_is_one_connection_of_two_nodes_and_no_result_speaks_of_it(net):
    network = net(three_zones())
    result = network.send("default/p1", P5, protocol=17, sport=1000, dport=2000, time=SECOND)
    assert (fate_of(result), result["connection"], bool(result["flags"] & ResultFlag.NEW)) == (DELIVERED, 1, True)
    tunnel, inner = (4, (NODE1, NODE3, 0, 0), (1, 0), 601), (17, PAIR, (1, 0), 31)
    assert entries(network, 1) == [inner, tunnel]              # it is made last, and taken first
    assert entries(network, 3) == [tunnel, inner]
    assert network.reply(time=2 * SECOND)["connection"] == 2
    assert [entry[2:] for entry in entries(network, 1)] == [((1, 1), 32), ((1, 1), 602)]
    network.send("default/p2", P5, protocol=17, time=3 * SECOND)
    assert [entry[2] for entry in entries(network, 1)] == [(1, 1), (2, 1), (1, 0)]


def test_felix_exempts_vxlan_and_only_vxlan(net):
    for calico, at_each in ((True, 1), (False, 2)):
        network = net(three_zones(ipip="Never", vxlan="CrossSubnet", calico=calico))
        network.send("default/p1", P5, protocol=17, sport=1000, dport=2000, time=SECOND)
        assert len(entries(network, 1)) == len(entries(network, 3)) == at_each
    port = int(network.events["outer_sport"].max())
    tunnel = (17, (NODE1, NODE3, port, 4789), (1, 0), 31)
    assert (entries(network, 1)[1], entries(network, 3)[0]) == (tunnel, tunnel)
    network.reply(time=2 * SECOND)                             # it goes to 4789, too: another connection
    assert entries(network, 3)[2][:3] == (17, (NODE3, NODE1, port, 4789), (1, 0))


def test_a_tunnel_of_an_unknown_sender_leaves_no_trace_but_one_to_no_device_does(net):
    network = net(linux(calico=True))
    assert fate_of(network.send("host/near", P5, src=P1, header=header(NODE3))) == DropReason.TUNNEL_UNKNOWN_SENDER
    assert not entries(network, 3)
    cluster = linux()
    cluster.routers[2] = replace(cluster.routers[2], ipip_address=0)
    network = net(cluster)
    assert fate_of(network.send("host/near", P5, src=P1, header=header(NODE3))) == DropReason.ADDRESS_UNUSED
    assert len(entries(network, 3)) == 1


def test_a_masqueraded_pod_that_speaks_ipip_stands_in_the_tunnels_way(net):
    network = net(linux())
    assert fate_of(network.send("default/p1", NODE3, protocol=4, time=SECOND)) == DELIVERED
    lost = network.send("default/p1", P5, time=2 * SECOND)
    assert (fate_of(lost), stage_of(lost)) == (DropReason.SNAT_PORTS_EXHAUSTED, Stage.TRANSLATE)


def test_the_answer_to_a_masqueraded_pods_ipip_is_not_decapsulated(net):
    """What the pod's peer sends back, encapsulated or not, is the pod's."""
    network = net(linux())
    network.send("default/p1", "203.0.113.10", protocol=4, time=SECOND)
    result = network.send("host/api", P5, src=P1, header=header(NODE1), time=2 * SECOND)
    assert (fate_of(result), text(result["outer_dst"])) == (DELIVERED, P1)
    assert network.route()[-1] == "n1 veth out"
