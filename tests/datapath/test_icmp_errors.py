"""ICMP errors: who sends which about what, and how they find back.

Kernel: *-ttl-*, *-mtu, *-dead, never-far, unsolicited, nat-off, nat-icmp-errors, icmp-ratelimit.
"""

from dataclasses import replace

import numpy as np
import pytest

from calisim.datapath.generations import generations
from calisim.quantities import parse_address
from calisim.traffic.batch import packet
from calisim.vocabulary import HEADER, DropReason, HeaderFlag, ResultFlag, RouterFlag, TargetKind
from tests.datapath.conftest import DELIVERED, UNDETERMINED, fate_of, text
from tests.intents import Cluster, three_zones

P1, P3, P5 = "10.244.1.2", "10.244.2.2", "10.244.3.2"
NODE1, OUTSIDE, ROUTER_OUTSIDE, GATEWAY1 = "10.0.1.11", "203.0.113.10", "203.0.113.1", "10.0.1.1"
UDP, SECOND = 17, 1_000_000_000


def linux(*, calico: bool = True, ipip: str = "Always", **more: object) -> Cluster:
    """The kernel lab's network: a Linux router between the subnets that has a leg to the outside."""
    cluster = three_zones(ipip=ipip, calico=calico, public=None, **more)
    cluster.fabric = {"decrements_ttl": True, "mtu": 1500, "outside_address": parse_address(ROUTER_OUTSIDE)}
    cluster.tables = [[]]
    cluster.cloud_route("10.0.0.0/16")
    cluster.cloud_route("203.0.113.0/24", TargetKind.OUTSIDE)
    return cluster


def dying(cluster: Cluster, node: int) -> Cluster:
    """The same with one node down."""
    router = cluster.routers[node - 1]
    cluster.routers[node - 1] = replace(router, flags=router.flags | RouterFlag.DOWN)
    return cluster


def error(quote_src: str, quote_dst: str, *, sport: int, dport: int, protocol: int = UDP) -> np.ndarray:
    """What somebody else's ICMP error quotes."""
    made = np.zeros(1, HEADER)
    made["quote_src"], made["quote_dst"] = parse_address(quote_src), parse_address(quote_dst)
    made["quote_sport"], made["quote_dport"], made["quote_protocol"], made["quote_length"] = sport, dport, protocol, 100
    return made


def test_ttl_runs_out_on_the_pods_own_node(net):
    network = net(linux())
    assert network.fate("default/p1", P5, protocol=UDP, length=100, ttl=1) == DropReason.TTL_EXCEEDED
    assert network.errors() == [f"11/0 0.0.0.0 > {P1} mtu 0 quoted ttl 1"]
    result = network.send_errors()[0]
    event = network.events[-1]
    assert fate_of(result) == DELIVERED and network.route() == ["n1 veth out"]
    assert (text(event["src"]), event["ttl"], event["tos"], event["length"]) == (NODE1, 64, 0xC0, 128)
    assert (text(event["quote_src"]), text(event["quote_dst"])) == (P1, P5)


def test_ttl_runs_out_behind_a_tunnel_in_one_subnet(net):
    """The receiving node answers from its tunnel address, and its answer is encapsulated."""
    network = net(linux())
    network.send("default/p1", P3, protocol=UDP, ttl=2)
    assert network.where() == "n2"
    assert network.errors() == [f"11/0 0.0.0.0 > {P1} mtu 0 quoted ttl 1"]
    result = network.send_errors()[0]
    assert (fate_of(result), text(result["src"]), result["ttl"]) == (DELIVERED, "10.244.2.1", 63)
    assert network.route() == ["n2 tunl0 out", "n2 eth0 out", "n1 eth0 in", "n1 tunl0 in", "n1 veth out"]


def test_ttl_runs_out_inside_the_router_and_only_the_node_learns_of_it(net):
    """IPIP copies the TTL: the router speaks to the sending node, which swallows what is about its outer packet."""
    network = net(linux())
    network.send("default/p1", P5, protocol=UDP, length=100, ttl=2)
    assert network.errors() == [f"11/0 {GATEWAY1} > {NODE1} mtu 0 quoted ttl 1"]
    assert network.born.headers["quote_protocol"] == 4 and network.born.packets["length"] == 148
    result = network.send_errors()[0]
    assert (fate_of(result), network.where(), network.route()) == (DELIVERED, "n1", ["n1 eth0 in"])
    assert not len(network.born.packets)


def test_too_big_for_the_tunnel(net):
    network = net(linux(pod_mtu=1500))
    assert network.fate("default/p1", P5, protocol=UDP, length=1481) == DropReason.MTU_EXCEEDED
    assert network.errors() == [f"3/4 0.0.0.0 > {P1} mtu 1480 quoted ttl 64"]
    assert network.born.packets["length"] == 576                      # as much of a quote as fits
    assert fate_of(network.send_errors()[0]) == DELIVERED


def test_too_big_with_the_outer_header_is_told_by_the_tunnel_device(net):
    network = net(linux(pod_mtu=1500, ipip_mtu=1500))
    network.send("default/p1", P5, protocol=UDP, length=1500)
    assert network.route() == ["n1 veth in", "n1 tunl0 out"]
    assert network.errors() == [f"3/4 0.0.0.0 > {P1} mtu 1480 quoted ttl 63"]
    assert fate_of(network.send_errors()[0]) == DELIVERED


def test_a_neighbour_that_is_dead(net):
    """Three ARP requests, then 3/1 from the node that asked; the packet never reaches the wire."""
    network = net(dying(linux(ipip="Never"), 2))
    assert network.fate("default/p1", P3, protocol=UDP, time=SECOND) == DropReason.UNREACHABLE
    assert network.route() == ["n1 veth in"] and network.where() == "n1"
    assert network.errors() == [f"3/1 0.0.0.0 > {P1} mtu 0 quoted ttl 63"]
    assert network.born.packets["time"] == 4_100_000_000
    assert fate_of(network.send_errors()[0]) == DELIVERED


def test_a_dead_node_behind_the_router(net):
    """The router asks in vain and tells the sender of the outer packet; the pod learns nothing."""
    network = net(dying(linux(), 3))
    assert network.fate("default/p1", P5, protocol=UDP, length=100) == DropReason.UNREACHABLE
    assert network.errors() == [f"3/1 {GATEWAY1} > {NODE1} mtu 0 quoted ttl 62"]
    assert (fate_of(network.send_errors()[0]), network.where()) == (DELIVERED, "n1")


def test_nobody_says_anything_of_a_node_that_aws_cannot_reach(net):
    network = net(dying(three_zones(ipip="Never"), 2))
    assert network.fate("default/p1", P3) == DropReason.ENDPOINT_DOWN
    assert network.errors() == []


def test_net_unreachable_from_the_router_if_it_knows_the_sender(net):
    """Kernel: unsolicited:to-pod, nat-off:u-back; never-far: it has no route to a pod, so it cannot answer one."""
    network = net(linux())
    network.send("host/api", P1, protocol=UDP, length=100)
    assert network.errors() == [f"3/0 {ROUTER_OUTSIDE} > {OUTSIDE} mtu 0 quoted ttl 64"]
    assert fate_of(network.send_errors()[0]) == DELIVERED and network.route() == ["host eth0 in"]
    network = net(linux(ipip="Never", nat_outgoing=False))
    assert network.fate("default/p1", P5) == DropReason.FABRIC_NO_ROUTE
    assert network.errors() == []
    assert fate_of(network.send("node/n1", P5, protocol=UDP, length=100, ttl=1)) == DropReason.FABRIC_NO_ROUTE
    assert [error.split()[0] for error in network.errors()] == ["3/0"], "Linux looks for a route before it looks at the TTL"


@pytest.mark.parametrize(("sender", "dst", "fields"), [
    ("default/p1", "10.244.1.9", {}),                                       # a blackhole
    ("default/p1", "224.0.0.5", {}), ("node/n1", P5, {"length": 1500}),     # its own stack says so without a packet
    ("default/p1", P5, {"length": 1481}),                                   # too big for the pod's own interface
    ("default/p1", "10.0.1.255", {}), ("host/api", "10.0.1.255", {}),       # a link's broadcast (kernel: strange-addresses)
    ("default/p1", "10.99.0.1", {"ttl": 1, "src": "224.0.0.1"})])
def test_losses_that_nobody_is_told_of(net, sender, dst, fields):
    network = net(linux())
    network.send(sender, dst, **fields)
    assert network.errors() == []


def test_aws_is_silent(net):
    network = net(three_zones())
    network.send("default/p1", "10.0.2.99", ttl=64)
    assert fate_of(network.results[0]) == DropReason.FABRIC_NO_OWNER
    assert network.errors() == []


def test_errors_about_masqueraded_packets_come_back(net):
    """Kernel: nat-icmp-errors:ttl2 – outer destination and quoted source are the pod's again, the outer source is kept."""
    network = net(linux())
    network.send("default/p1", OUTSIDE, protocol=UDP, sport=40006, ttl=2)
    assert network.errors() == [f"11/0 {GATEWAY1} > {NODE1} mtu 0 quoted ttl 1"]
    assert text(network.born.headers["quote_src"][0]) == NODE1
    before = network.state.connections().tolist()
    result = network.send_errors()[0]
    event = network.events[-1]
    assert (fate_of(result), text(result["src"]), text(result["dst"]), result["ttl"]) == (DELIVERED, GATEWAY1, P1, 63)
    assert (text(event["quote_src"]), event["quote_sport"]) == (P1, 40006)
    assert result["flags"] & ResultFlag.UNNAT and result["connection"] == 1 and not result["flags"] & ResultFlag.NEW
    assert network.state.connections().tolist() == before             # an error changes no connection


def test_an_error_from_a_third_address_is_related_too(net):
    network = net(linux())
    out = network.send("default/p1", OUTSIDE, protocol=UDP, sport=40001, dport=53)
    network.send("host/api", NODE1, src="203.0.113.20", protocol=1, dport=0x0303, length=128,
                 header=error(NODE1, OUTSIDE, sport=int(out["sport"]), dport=53))
    assert (fate_of(network.results[0]), text(network.results[0]["dst"])) == (DELIVERED, P1)


def test_a_pods_error_about_an_answer_leaves_masqueraded_with_the_quote_as_it_was_sent(net):
    network = net(linux())
    network.send("default/p1", OUTSIDE, protocol=UDP, sport=40001, dport=53)
    result = network.send("default/p1", OUTSIDE, protocol=1, dport=0x0303, length=128,
                          header=error(OUTSIDE, P1, sport=53, dport=40001))
    event = network.events[-1]
    assert (fate_of(result), text(result["src"])) == (DELIVERED, NODE1)
    assert (text(event["quote_dst"]), event["quote_dport"]) == (NODE1, 40001)
    assert result["flags"] & ResultFlag.SNAT


@pytest.mark.parametrize(("calico", "fate"), [(True, DropReason.CT_INVALID), (False, DELIVERED)])
def test_an_error_about_nothing_known_is_invalid(net, calico, fate):
    network = net(linux(calico=calico, ipip="Never"))
    header = error(P1, P3, sport=1, dport=2)
    assert network.fate("default/p3", P1, protocol=1, dport=0x0303, length=128, header=header) == fate
    assert not len(network.state.connections())


def test_errors_that_quote_nothing_are_not_understood(net):
    assert net(linux()).fate("default/p1", P3, protocol=1, dport=0x0303, length=128) == UNDETERMINED


@pytest.mark.parametrize(("limit", "passed"), [(0, 10), (1000, 6)])
def test_rate_limit_is_six_at_once_for_each_receiver(net, limit, passed):
    cluster = linux()
    cluster.icmp_ratelimit = limit
    network = net(cluster)
    burst = [network.packet("default/p1", P5, ttl=1, time=SECOND + number * 10_000_000) for number in range(10)]
    network.send_wave(*burst)
    assert len(network.errors()) == passed
    network.send_wave(network.packet("default/p2", P5, ttl=1, time=SECOND))
    assert len(network.errors()) == 1                                 # another receiver has his own bucket
    network.send_wave(*(network.packet("default/p1", P5, ttl=1, time=SECOND * 3 + number) for number in range(3)))
    assert len(network.errors()) == (2 if limit else 3)               # one token a second


def test_generations_end_with_what_begets_nothing(net):
    network = net(linux())
    wave = packet(src=P1, dst=P5, ingress=network.intent.endpoint_ids["default/p1"], ttl=1)
    told = list(generations(network.engine, wave, network.engine.new_state()))
    assert [len(one.packets) for one in told] == [1, 1]
    assert told[0].causes is None and told[1].causes["parent"].tolist() == [0]


def test_an_error_has_the_tos_of_what_it_is_about(net):
    """Four bits of it and internetwork control (kernel: errors-and-tunnels:unreach-far)."""
    network = net(linux())
    network.send("default/p1", P5, ttl=1, tos=0x2B)
    assert network.born.packets["tos"].tolist() == [0xCA]


def test_an_outside_sender_is_told_of_an_address_that_nobody_has(net):
    network = net(linux())
    network.send("host/api", "10.0.1.77", protocol=UDP, time=SECOND)
    assert network.errors() == [f"3/1 {ROUTER_OUTSIDE} > {OUTSIDE} mtu 0 quoted ttl 63"]
    assert network.born.packets["time"] == 4_100_000_000
    network.send("host/api", "10.0.1.77", protocol=UDP, ttl=1, time=9 * SECOND)
    assert network.errors() == []


@pytest.mark.parametrize(("limit", "told"), [(0, [1, 0, 0, 1, 1]), (1000, [1, 1, 0, 0, 1])])
def test_net_unreachable_is_held_back_though_nothing_else_is(net, limit, told):
    """ip_error costs a second of silence; icmp_ratelimit 0 leaves no credit behind (kernel: errors-and-tunnels:ext-pod)."""
    cluster = linux()
    cluster.icmp_ratelimit = limit
    network, passed = net(cluster), []
    for milliseconds in (0, 100, 200, 1400, 3600):
        network.send("host/api", P1, protocol=UDP, time=SECOND + milliseconds * 1_000_000)
        passed.append(len(network.errors()))
    assert passed == told


def test_places_that_are_silent_send_nothing(net):
    network = net(linux())
    wave = packet(src=P1, dst=P5, ingress=network.intent.endpoint_ids["default/p1"], ttl=2)
    router = network.intent.fabric.subnets[0].place
    for silent, waves in (((), 2), ((router,), 1)):
        told = generations(network.engine, wave, network.engine.new_state(), silent=silent)
        assert len(list(told)) == waves


# ---- path MTU (kernel: ipip-path-mtu, *-pod-pmtu-cache, nat-fragneeded) ----------------------------------------------------


def narrow(**more: object) -> Cluster:
    """The router's leg into n3's subnet carries 1,400 bytes, and nobody has told the nodes."""
    cluster = linux(**more)
    cluster.subnets[1] = replace(cluster.subnets[1], mtu=1400)
    return cluster


def test_a_node_learns_the_path_of_its_tunnel_and_tells_the_pod_the_next_time(net):
    network = net(narrow())
    send = {"protocol": UDP, "length": 1480}
    assert network.fate("default/p1", P5, **send) == DropReason.FABRIC_MTU
    assert network.errors() == [f"3/4 {GATEWAY1} > {NODE1} mtu 1400 quoted ttl 63"]
    network.send_errors()
    assert [(text(p["src"]), text(p["dst"]), int(p["mtu"])) for p in network.state.path_mtus()] == [(NODE1, "10.0.2.13", 1400)]
    assert network.fate("default/p1", P5, **send) == DropReason.MTU_EXCEEDED
    assert network.route() == ["n1 veth in", "n1 tunl0 out"]              # the check is in the tunnel device
    assert network.errors() == [f"3/4 0.0.0.0 > {P1} mtu 1380 quoted ttl 63"]
    network.send_errors()
    assert network.fate("default/p1", P5, **send) == DropReason.MTU_EXCEEDED
    assert network.route() == []                                          # refused inside the pod
    assert network.fate("default/p1", P5, protocol=UDP, length=1380) == DELIVERED
    assert network.fate("default/p1", P3, **send) == DELIVERED            # another destination
    assert network.fate("default/p2", P5, **send) == DropReason.MTU_EXCEEDED
    assert network.route() == ["n1 veth in", "n1 tunl0 out"]              # another pod has yet to learn it


def test_a_pod_behind_masquerade_learns_what_the_router_says(net):
    cluster = linux()
    cluster.fabric["internet_mtu"] = 1350
    network = net(cluster)
    assert network.fate("default/p1", OUTSIDE, protocol=UDP, length=1480) == DropReason.FABRIC_MTU
    assert network.errors() == [f"3/4 {GATEWAY1} > {NODE1} mtu 1350 quoted ttl 63"]
    assert text(network.send_errors()[0]["dst"]) == P1
    assert network.fate("default/p1", OUTSIDE, protocol=UDP, length=1351) == DropReason.MTU_EXCEEDED
    assert network.route() == []
    assert network.fate("default/p1", OUTSIDE, protocol=UDP, length=1350) == DELIVERED
    frame = np.zeros(1, HEADER)
    frame["flags"] = HeaderFlag.FRAME
    assert network.fate("default/p1", OUTSIDE, protocol=UDP, length=1351, header=frame) == DropReason.FABRIC_MTU


@pytest.mark.parametrize(("after", "fate"), [(599 * SECOND, DropReason.MTU_EXCEEDED), (600 * SECOND, DropReason.FABRIC_MTU)])
def test_what_was_learnt_is_forgotten_after_ten_minutes(net, after, fate):
    network = net(narrow())
    network.send("default/p1", P5, length=1480)
    network.send_errors()
    assert network.fate("default/p1", P5, length=1480, time=after) == fate


def test_nobody_believes_in_less_than_552_bytes_or_in_errors_about_others(net):
    network = net(linux())
    network.send("host/api", NODE1, src=OUTSIDE, protocol=1, dport=0x0304, length=128,
                 header=error(NODE1, "10.0.2.13", sport=0, dport=0, protocol=4))
    assert [int(p["mtu"]) for p in network.state.path_mtus()] == [552]
    network.send("host/api", NODE1, src=OUTSIDE, protocol=1, dport=0x0304, length=128,
                 header=error(P1, "10.0.2.13", sport=0, dport=0, protocol=4))
    assert len(network.state.path_mtus()) == 1
