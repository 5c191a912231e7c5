"""The network between the nodes, hand-derived from the documentation of AWS (VPC, EC2 and Calico user guides)."""

from dataclasses import replace

import numpy as np
import pytest

from calisim.traffic.batch import packet
from calisim.vocabulary import Device, DropReason, Encap, ResultFlag, RouterFlag, RpFilter, Stage, TargetKind, Verdict
from tests.datapath.conftest import DELIVERED, EXITED, UNDETERMINED, fate_of, stage_of, text
from tests.intents import Cluster, address_of, allow, deny, three_zones

API, NEAR, P1, P2, P3, P5 = "203.0.113.10", "10.0.3.20", "10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.3.2"
N1, N2, N3 = "10.0.1.11", "10.0.1.12", "10.0.2.13"
SECOND = 1_000_000_000


# ---- source/destination check (EC2 User Guide, "Disable source/destination checks") ------------------------


def checked(*nodes, **fields):
    """Three zones with the check on at the given nodes only."""
    cluster = three_zones(**fields)
    for number in nodes:
        router = cluster.routers[number - 1]
        cluster.routers[number - 1] = replace(router, flags=router.flags | RouterFlag.SOURCE_DEST_CHECK)
    return cluster


@pytest.mark.parametrize(("on", "fate", "where"), [
    ((1, 2), DropReason.SOURCE_CHECK, "n1"), ((1,), DropReason.SOURCE_CHECK, "n1"), ((2,), DropReason.DEST_CHECK, "n2"),
    ((), DELIVERED, "n2")])
def test_pod_to_pod_in_one_subnet_needs_it_off_at_both(net, on, fate, where):
    network = net(checked(*on))
    assert (network.fate("default/p1", P3), network.where()) == (fate, where)
    if where and fate is not DELIVERED:
        assert network.decided_by() == ("Node", where)


@pytest.mark.parametrize(("on", "fate"), [((1,), DropReason.SOURCE_CHECK), ((2,), DELIVERED), ((), DELIVERED)])
def test_pod_to_node_in_one_subnet_needs_it_off_at_the_pods_side_only(net, on, fate):
    assert net(checked(*on, nat_outgoing=False)).fate("default/p1", N2) == fate


@pytest.mark.parametrize(("on", "fate"), [((1,), DELIVERED), ((2,), DropReason.DEST_CHECK)])
def test_node_to_pod_needs_it_off_at_the_pods_side_only(net, on, fate):
    assert net(checked(*on)).fate("node/n1", P3) == fate


def test_what_has_node_addresses_outside_passes_with_the_check_on(net):
    """The check sees the outer header: across subnets pods live, in one subnet they die (projectcalico/calico#9138)."""
    network = net(checked(1, 2, 3))
    assert network.fate("default/p1", P5) == DELIVERED
    assert network.fate("default/p1", P3) == DropReason.SOURCE_CHECK
    assert network.fate("default/p1", API) == DELIVERED                       # masqueraded
    assert network.fate("default/p1", P2) == DELIVERED                        # never leaves the node
    for modes in ({"ipip": "Always"}, {"ipip": "Never", "vxlan": "Always"}):
        assert net(checked(1, 2, 3, **modes)).fate("default/p1", P3) == DELIVERED


def test_the_check_is_passed_by_tcpdump_before_it_drops(net):
    network = net(checked(1))
    network.send("default/p1", P3)
    assert network.route() == ["n1 veth in", "n1 eth0 out"]                   # the node believes it has sent
    network = net(checked(2))
    network.send("default/p1", P3)
    assert network.route()[-1] == "n1 eth0 out"                               # and the other never sees it


# ---- security groups (VPC User Guide, "Security groups", "Connection tracking") ----------------------------


def grouped(*ingress, egress=None, **fields):
    """Group 1 on all nodes, with the rules given; egress is open unless said."""
    cluster = three_zones(groups=(1,), **fields)
    cluster.group(ingress, [allow()] if egress is None else egress)
    return cluster


@pytest.mark.parametrize(("rules", "fate"), [
    ([allow(6), allow(17)], DropReason.SG_INGRESS), ([allow(94)], DropReason.SG_INGRESS),
    ([allow(4)], DELIVERED), ([allow()], DELIVERED)])
def test_ipip_is_protocol_4(net, rules, fate):
    """TCP and UDP do not do, and the console's "IPIP" (94) neither: projectcalico/calico#1073."""
    network = net(grouped(*rules))
    assert network.fate("default/p1", P5) == fate
    if fate is not DELIVERED:
        assert (network.where(), stage_of(network.results[0])) == ("n3", Stage.FABRIC_IN)
        assert network.decided_by() == ("SecurityGroup", "sg-1")


def test_vxlan_is_udp_4789(net):
    modes = {"ipip": "Never", "vxlan": "Always"}
    assert net(grouped(allow(17, 4789), **modes)).fate("default/p1", P5) == DELIVERED
    assert net(grouped(allow(17, 4790), **modes)).fate("default/p1", P5) == DropReason.SG_INGRESS


def test_a_one_sided_rule_works_after_the_other_side_has_sent_for_600_seconds(net):
    """Protocols without ports are tracked by addresses and protocol for 600 s: the direction of the first packet matters."""
    cluster = three_zones()
    cluster.group([allow(4)], [allow()])
    cluster.group([allow(6)], [allow()])
    for number, group in ((1, 1), (3, 2)):                                    # n1 lets protocol 4 in, n3 does not
        cluster.routers[number - 1] = replace(cluster.routers[number - 1], groups=(group,))
    network = net(cluster)
    assert network.fate("default/p1", P5) == DropReason.SG_INGRESS
    assert network.fate("default/p5", P1, sport=1, time=SECOND) == DELIVERED
    assert network.fate("default/p1", P5, time=600 * SECOND) == DELIVERED     # refreshes
    assert network.fate("default/p1", P5, time=1200 * SECOND - 1) == DELIVERED
    assert network.fate("default/p1", P5, time=1800 * SECOND - 1) == DropReason.SG_INGRESS


def test_packets_that_cross_each_other_open_nothing_for_each_other(net):
    """A group remembers what was sent, but what leaves at the same time is not an answer to it."""
    network = net(grouped())
    both = [network.packet("node/n1", N3, sport=5, dport=6), network.packet("node/n3", N1, sport=6, dport=5)]
    assert [fate_of(result) for result in network.send_wave(*both)] == [DropReason.SG_INGRESS] * 2
    assert [fate_of(result) for result in network.send_wave(*both)] == [DELIVERED] * 2


@pytest.mark.parametrize(("protocol", "seconds"), [("tcp", 432_000), ("udp", 180), ("icmp", 600)])
def test_answers_need_no_rule_until_the_flow_is_forgotten(net, protocol, seconds):
    for age, fate in ((seconds * SECOND - 1, DELIVERED), (seconds * SECOND, DropReason.SG_INGRESS)):
        network = net(grouped(calico=False))                                  # nothing may come in
        network.send("node/n1", API, protocol=protocol)
        assert fate_of(network.reply(time=age)) == fate
    assert network.fate("host/api", N1, protocol=protocol, sport=9) == DropReason.SG_INGRESS


def test_a_reference_means_the_sending_interface_not_the_address(net):
    """A group that references itself lets raw pod addresses in, since a member sent them; a prefix rule must say them."""
    assert net(grouped(allow(group=1))).fate("default/p1", P3) == DELIVERED
    assert net(grouped(allow(prefix="10.0.0.0/16"))).fate("default/p1", P3) == DropReason.SG_INGRESS
    assert net(grouped(allow(prefix="10.244.0.0/16"))).fate("default/p1", P3) == DELIVERED
    assert net(grouped(allow(group=1))).fate("host/near", N1) == DropReason.SG_INGRESS


def test_encapsulated_ping_passes_where_a_native_one_does_not(net):
    """kops' rules for control planes: TCP, UDP and protocol 4, no ICMP."""
    rules = [allow(6), allow(17), allow(4)]
    assert net(grouped(*rules)).fate("default/p1", P5, protocol="icmp") == DELIVERED
    assert net(grouped(*rules)).fate("default/p1", P3, protocol="icmp") == DropReason.SG_INGRESS


@pytest.mark.parametrize(("fields", "fate"), [
    ({"dport": 443}, DELIVERED), ({"dport": 444}, DropReason.SG_EGRESS), ({"protocol": "icmp"}, DELIVERED),
    ({"protocol": "udp", "dport": 443}, DropReason.SG_EGRESS)])
def test_egress(net, fields, fate):
    network = net(grouped(egress=[allow(6, 443, "203.0.113.0/24"), allow(1, 8)]))
    assert network.fate("node/n1", API, **fields) == fate
    assert fate is DELIVERED or stage_of(network.results[0]) == Stage.FABRIC_OUT


# ---- NACLs (VPC User Guide, "Network ACLs") ----------------------------------------------------------------


def with_acls(acl_in=None, acl_out=None):
    """NACLs at the first subnet (n1, n2) of the three zones."""
    cluster = three_zones()
    made = Cluster(objects=cluster.objects)
    made.subnet("10.0.1.0/24", acl_in=acl_in, acl_out=acl_out)
    cluster.subnets[0] = made.subnets[0]
    return cluster


def test_a_nacl_is_asked_at_the_subnets_edge_never_inside(net):
    network = net(with_acls(acl_in=[], acl_out=[]))
    assert network.fate("default/p1", P3) == DELIVERED
    assert network.fate("default/p1", P5) == DropReason.NACL_OUT
    assert (network.where(), stage_of(network.results[0]), network.decided_by()) == (
        "vpc-1", Stage.FABRIC, ("NetworkAcl", "10.0.1.0/24"))
    assert network.fate("default/p5", P1) == DropReason.NACL_IN
    assert (network.where(), stage_of(network.results[0])) == ("vpc-1", Stage.FABRIC_IN)


def test_the_first_rule_that_matches_decides(net):
    network = net(with_acls(acl_in=[allow(6, 443), deny(6), allow()]))
    assert network.fate("node/n3", N1, dport=443) == DELIVERED
    assert network.fate("node/n3", N1, dport=444) == DropReason.NACL_IN
    assert network.decided_by() == ("Rule", "10.0.1.0/24/in/1")
    assert network.fate("node/n3", N1, protocol="udp") == DELIVERED


def test_a_nacl_is_stateless_so_answers_need_the_clients_ports(net):
    network = net(with_acls(acl_out=[allow()], acl_in=[allow(6, (32768, 61000))]))
    for sport, fate in ((32768, DELIVERED), (32767, DropReason.NACL_IN)):
        assert network.fate("node/n1", N3, sport=sport) == DELIVERED
        assert fate_of(network.reply()) == fate


# ---- the cloud's router (VPC User Guide, "Route tables") ---------------------------------------------------


def test_an_address_of_the_vpc_that_nobody_has(net):
    network = net(three_zones())
    assert network.fate("node/n1", "10.0.2.99") == DropReason.FABRIC_NO_OWNER
    assert (network.where(), network.decided_by()) == ("vpc-1", ("Route", "0/10.0.0.0/16"))


@pytest.mark.parametrize(("target", "fate"), [
    (TargetKind.BLACKHOLE, DropReason.FABRIC_NO_ROUTE), (TargetKind.QUOTA, DropReason.ROUTE_QUOTA),
    (TargetKind.NAT, UNDETERMINED)])
def test_a_longer_route_decides_and_does_not_fall_through(net, target, fate):
    cluster = three_zones(ipip="Never")
    cluster.cloud_route("10.244.3.0/26", target)
    network = net(cluster)
    assert network.fate("default/p1", P5) == fate
    assert (network.where(), stage_of(network.results[0])) == ("vpc-1", Stage.FABRIC)
    assert network.decided_by() == ("Route", "0/10.244.3.0/26")


def test_a_route_to_a_node_delivers_whatever_the_destination(net):
    """Static pod routes: native across subnets, if the node's check is off."""
    cluster = three_zones(ipip="Never")
    cluster.cloud_route("10.244.3.0/26", TargetKind.NODE, router=3)
    network = net(cluster)
    result = network.send("default/p1", P5)
    assert (fate_of(result), result["encap"]) == (DELIVERED, Encap.NONE)
    assert result["flags"] & ResultFlag.ROUTED
    cluster.routers = checked(3, ipip="Never").routers
    assert net(cluster).fate("default/p1", P5) == DropReason.DEST_CHECK


def test_a_route_to_the_wrong_node_goes_round_in_a_circle(net):
    """n2 has no such pod, its own route leads to the VPC's router, and that to n2 again."""
    cluster = three_zones(ipip="Never", rp_filter=RpFilter.OFF)
    cluster.cloud_route("10.244.3.0/26", TargetKind.NODE, router=2)
    network = net(cluster)
    result = network.send("default/p1", P5, ttl=255)
    assert (fate_of(result), network.where(), result["hops"]) == (DropReason.FORWARDING_LOOP, "n2", 33)
    assert network.fate("default/p1", P5, ttl=10) == DropReason.TTL_EXCEEDED
    assert network.results[0]["hops"] == 10                              # the AWS router is no hop


def test_protocols_that_a_cloud_does_not_carry(net):
    cluster = three_zones(ipip="Always")
    cluster.fabric = {"blocked_protocols": frozenset({4})}
    network = net(cluster)
    assert (network.fate("default/p1", P3), network.where()) == (DropReason.FABRIC_PROTOCOL, "vpc-1")


def test_the_networks_mtu(net):
    cluster = three_zones(pod_mtu=9001, mtu=9001, ipip_mtu=9001)
    cluster.fabric = {"mtu": 8500}
    network = net(cluster)
    assert network.fate("default/p1", P3, length=8500) == DELIVERED
    assert network.fate("default/p1", P3, length=8501) == DropReason.FABRIC_MTU
    assert network.fate("default/p1", P3, length=8501, df=False) == UNDETERMINED
    assert network.fate("default/p1", P5, length=8480) == DELIVERED
    assert network.fate("default/p1", P5, length=8481) == DropReason.FABRIC_MTU


# ---- the internet gateway (VPC User Guide, "Internet gateways") --------------------------------------------


def mapped(public):
    """Three zones in which the gateway has this public address for n1 (0: one that is not known, None: none)."""
    cluster = three_zones()
    flags = cluster.routers[0].flags if public is not None else cluster.routers[0].flags & ~RouterFlag.PUBLIC
    cluster.routers[0] = replace(cluster.routers[0], flags=flags, public_address=address_of(public or 0))
    return cluster


@pytest.mark.parametrize(("public", "fate", "source"), [
    (None, DropReason.IGW_NO_PUBLIC_ADDRESS, N1), (0, DELIVERED, N1), ("198.51.100.1", DELIVERED, "198.51.100.1")])
def test_outbound_needs_a_public_address(net, public, fate, source):
    network = net(mapped(public))
    result = network.send("node/n1", API)
    assert (fate_of(result), text(result["src"])) == (fate, source)
    assert network.where() == ("igw-1" if fate is not DELIVERED else "")


def test_pods_are_masqueraded_before_the_gateway_translates_and_answers_find_back(net):
    network = net(mapped("198.51.100.1"))
    assert text(network.send("default/p1", API)["src"]) == "198.51.100.1"
    answer = network.reply()
    assert (fate_of(answer), text(answer["dst"])) == (DELIVERED, P1)


def test_pods_without_masquerade_die_at_the_gateway(net):
    network = net(three_zones(nat_outgoing=False))
    assert (network.fate("default/p1", API), network.where()) == (DropReason.IGW_NO_PUBLIC_ADDRESS, "igw-1")


def test_what_the_scenario_does_not_name_has_left(net):
    network = net(three_zones())
    assert network.fate("default/p1", "198.51.100.200") == EXITED
    assert (network.where(), stage_of(network.results[0])) == ("igw-1", Stage.FABRIC)


@pytest.mark.parametrize("dst", [
    "10.255.0.1", "172.16.0.0", "172.31.255.255", "192.168.9.9", "100.64.0.0", "100.127.255.255", "169.254.7.7"])
def test_the_internet_has_no_route_to_private_addresses(net, dst):
    """A node of another VPC, without a peering: its address is not the internet's."""
    network = net(three_zones())
    assert (network.fate("node/n1", dst), network.where()) == (DropReason.FABRIC_NO_ROUTE, "igw-1")
    assert network.decided_by()[0] == "Route"


@pytest.mark.parametrize("dst", [
    "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "100.63.255.255",
    "100.128.0.0", "169.253.255.255", "169.255.0.0"])
def test_what_only_looks_private_has_left(net, dst):
    assert net(three_zones()).fate("node/n1", dst) == EXITED


def test_the_internet_has_an_mtu_of_1500(net):
    network = net(three_zones(mtu=9001, pod_mtu=8981))
    assert network.fate("default/p1", API, length=1500) == DELIVERED
    assert (network.fate("default/p1", API, length=1501), network.where()) == (DropReason.FABRIC_MTU, "igw-1")
    assert network.fate("default/p1", API, length=1501, df=False) == UNDETERMINED


@pytest.mark.parametrize(("public", "dst", "fate"), [
    ("198.51.100.1", "198.51.100.1", DELIVERED), ("198.51.100.1", N1, DropReason.FABRIC_NO_ROUTE),
    (0, N1, DELIVERED), (None, N1, DropReason.FABRIC_NO_ROUTE), (0, P1, DropReason.FABRIC_NO_ROUTE)])
def test_inbound_reaches_public_addresses_only(net, public, dst, fate):
    network = net(mapped(public))
    assert network.fate("host/api", dst) == fate
    assert network.where() == ("n1" if fate is DELIVERED else "igw-1")


def test_a_public_address_from_inside_comes_back_through_the_gateway(net):
    network = net(mapped("198.51.100.1"))
    result = network.send("node/n3", "198.51.100.1")
    assert (fate_of(result), network.where(), text(result["dst"])) == (DELIVERED, "n1", N1)


# ---- hosts, linux, plain, and what is down -----------------------------------------------------------------


def test_a_host_in_a_subnet(net):
    network = net(three_zones())
    assert network.fate("node/n1", NEAR) == DELIVERED and network.where() == ""
    assert network.fate("host/near", N1) == DELIVERED
    assert network.fate("host/near", "10.0.3.21") == DropReason.UNREACHABLE
    assert stage_of(network.results[0]) == Stage.ENDPOINT


def test_a_network_that_knows_every_pod(net):
    """Provider plain."""
    cluster = three_zones(ipip="Never", nat_outgoing=False)
    cluster.fabric = {"routes_pods": True}
    network = net(cluster)
    assert network.fate("default/p1", P5) == DELIVERED
    assert not network.results[0]["flags"] & ResultFlag.ROUTED
    assert network.fate("default/p1", API) == DELIVERED
    assert fate_of(network.reply()) == DELIVERED
    assert network.fate("default/p1", "198.51.100.200") == EXITED
    assert network.fate("default/p1", "10.244.77.7") == DropReason.FABRIC_NO_OWNER


def test_a_node_that_is_down(net):
    cluster = three_zones()
    down = cluster.node("10.0.1.14", down=True)
    cluster.block("10.244.4.0/26", down)
    cluster.pod("10.244.4.2", down, name="default/dead")
    network = net(cluster)
    assert network.fate("default/p1", "10.244.4.2") == DropReason.ENDPOINT_DOWN
    assert (stage_of(network.results[0]), network.where(), network.decided_by()) == (Stage.FABRIC_IN, "n4", ("Node", "n4"))
    for sender in ("default/dead", "node/n4"):
        assert network.fate(sender, P1) == DropReason.ENDPOINT_DOWN
        assert (stage_of(network.results[0]), network.results[0]["hops"]) == (Stage.ENDPOINT, 0)


@pytest.mark.parametrize(("fields", "fate", "stage"), [
    ({"protocol": "icmp", "dport": 0x0B00}, UNDETERMINED, Stage.CONNTRACK),
    ({"length": 39}, DropReason.MALFORMED, Stage.ENDPOINT), ({"length": 40}, DELIVERED, Stage.DELIVER),
    ({"protocol": "udp", "length": 27}, DropReason.MALFORMED, Stage.ENDPOINT),
    ({"protocol": "udp", "length": 28}, DELIVERED, Stage.DELIVER),
    ({"protocol": 47, "length": 19}, DropReason.MALFORMED, Stage.ENDPOINT),
    ({"protocol": 47, "length": 20}, DELIVERED, Stage.DELIVER)])
def test_what_never_sets_out(net, fields, fate, stage):
    network = net(three_zones())
    assert (network.fate("default/p1", P2, **fields), stage_of(network.results[0])) == (fate, stage)


def test_senders_that_do_not_exist(net):
    cluster = three_zones()
    cluster.pod(0, 1, name="default/homeless")
    network = net(cluster)
    assert network.fate("default/homeless", P1) == DropReason.ADDRESS_UNUSED
    results = network.send_wave(packet(ingress=0), packet(ingress=len(network.intent.endpoints) + 1))
    assert [fate_of(result) for result in results] == [DropReason.ADDRESS_UNUSED] * 2 and network.where() == ""


# ---- what is written down ----------------------------------------------------------------------------------


def test_counters_say_what_the_events_say(net):
    network = net(three_zones())
    network.send_wave(
        network.packet("default/p1", P5, length=100), network.packet("default/p1", P3, length=200),
        network.packet("default/p1", P1, ttl=0))
    counted = np.zeros_like(network.state.links)
    for event in network.events:
        wire = event["outer_length"] or event["length"]
        counted[event["router"], event["device"], event["direction"]] += np.array([1, wire], dtype=np.uint64)
    assert np.array_equal(counted, network.state.links)
    assert network.state.links[1, Device.ETHERNET, 1].tolist() == [2, 120 + 200]
    assert network.state.verdicts[Verdict.DELIVERED] == 2 and network.state.verdicts[Verdict.DROPPED] == 1
    assert network.state.drops[1, DropReason.TTL_EXCEEDED] == 1 and network.state.drops.sum() == 1


def test_the_path_is_the_shape_of_the_journey(net):
    network = net(three_zones())
    result = network.send("default/p1", P5)
    flags = ResultFlag.NEW | ResultFlag.ROUTED | ResultFlag.ENCAP
    assert result["flags"] == flags
    assert result["path"] == Verdict.DELIVERED | Encap.IPIP << 9 | 2 << 12 | flags << 16


def test_the_first_nodes_route_is_named(net):
    network = net(three_zones())
    deciders = {P5: ("IPPool", "10.244.0.0/16"), P2: ("Pod", "default/p2"), N1: ("Node", "n1"), API: ("Node", "n1")}
    for dst, decider in deciders.items():
        network.send("default/p1", dst)
        assert network.decided_by() == decider


def test_a_wave_goes_leg_by_leg(net):
    """Row 1 is at its first router while row 0 is at its first, so n3's own packet meets n3 before row 0 does."""
    network = net(three_zones())
    results = network.send_wave(network.packet("default/p1", P5), network.packet("default/p5", API))
    entries = network.state.connections()
    on_n3 = entries[entries["key"] == network.intent.router(3).key]
    assert [text(source) for source in on_n3["src"]] == [P5, "10.0.1.11", P1]        # the tunnel's comes before what is in it
    assert results["connection"].tolist() == [1, 1]


def test_the_wave_is_not_changed_and_two_states_know_nothing_of_each_other(net):
    network = net(three_zones())
    wave = network.packet("default/p1", API, sport=53)
    before = wave.copy()
    first = network.engine.forward(wave, network.engine.new_state())
    second = network.engine.forward(wave, network.engine.new_state())
    assert np.array_equal(wave, before) and np.array_equal(first.results, second.results) and first.events is None


def test_an_empty_wave(net):
    network = net(three_zones())
    outcome = network.engine.forward(packet()[:0], network.state, events=True)
    assert len(outcome.results) == 0 and len(outcome.events) == 0


def test_a_cluster_without_nodes(net):
    cluster = Cluster()
    cluster.subnet("10.0.1.0/24")
    cluster.cloud_route("10.0.0.0/16")
    cluster.host("10.0.1.20", name="host/a")
    cluster.host("10.0.1.21", name="host/b")
    network = net(cluster)
    assert network.fate("host/a", "10.0.1.21") == DELIVERED
    assert network.route() == ["host eth0 out", "host eth0 in"]
