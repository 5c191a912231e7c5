"""Source checks, conntrack and source translation, hand-derived from what Linux was measured to do."""

from dataclasses import replace

import numpy as np
import pytest

from calisim.quantities import Prefix
from calisim.traffic.batch import ACK, FIN, PSH, RST, SYN
from calisim.vocabulary import ConnectionState, DropReason, ResultFlag, RpFilter, Stage, TargetKind
from tests.datapath.conftest import DELIVERED, EXITED, fate_of, stage_of, text
from tests.intents import three_zones

API, P1, P2, P3, P5 = "203.0.113.10", "10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.3.2"
SECOND = 1_000_000_000
LINUX = {"calico": False}             # a node without Calico's filter chains


# ---- who may send from which address (kernel: spoof, spoof-off, ipip-stranger, nonat-pod-to-node) ----------


@pytest.mark.parametrize("src", [P2, P5, API, "10.0.1.11"])
def test_a_pod_sends_from_its_own_address_only(net, src):
    assert net(three_zones()).fate("default/p1", P3, src=src) == DropReason.SPOOFED_SOURCE
    kernel = DropReason.MARTIAN if src == "10.0.1.11" else DropReason.RPF
    assert net(three_zones(**LINUX)).fate("default/p1", P3, src=src) == kernel


def test_the_nodes_own_address_is_refused_without_any_rp_filter(net):
    """spoof-off:as-own-node."""
    network = net(three_zones(**LINUX, rp_filter=RpFilter.OFF))
    assert network.fate("default/p1", P3, src="10.0.1.11") == DropReason.MARTIAN
    assert network.fate("default/p1", P3, src="192.0.2.1") == DELIVERED


def test_loose_wants_some_route_strict_the_very_one(net):
    """fib_validate_source: loose is content with any unicast route, a blackhole is none (kernel: nonat-pod-to-node-loose)."""
    open_pods = {**LINUX, "rp_filter_veth": RpFilter.OFF, "ipip": "Always"}
    for source, strict, loose in ((P1, DELIVERED, DELIVERED), (API, DropReason.RPF, DELIVERED),
                                  ("10.244.3.60", DropReason.RPF, DropReason.RPF)):
        assert net(three_zones(**open_pods)).fate("default/p1", P5, src=source) == strict
        assert net(three_zones(**open_pods, rp_filter=RpFilter.LOOSE)).fate("default/p1", P5, src=source) == loose


@pytest.mark.parametrize("src", [P5, P2, API])
def test_loose_is_strict_at_a_pods_interface_for_it_has_no_address(net, src):
    """loose-and-default-route:spoof, :spoof2 – the very route is asked for where the device has no address (no_addr)."""
    network = net(three_zones(**LINUX, rp_filter=RpFilter.LOOSE))
    assert network.fate("default/p1", P3, src=src) == DropReason.RPF and network.where() == "n1"
    assert network.fate("default/p1", P3) == DELIVERED


@pytest.mark.parametrize(("rp_filter", "fate"), [
    (RpFilter.STRICT, DropReason.RPF), (RpFilter.LOOSE, DELIVERED), (RpFilter.OFF, DELIVERED)])
def test_without_nat_outgoing_a_pod_reaches_another_node_only_past_a_loose_filter(net, rp_filter, fate):
    """nonat-pod-to-node-strict, -loose: it arrives on eth0, the way back to the pod is tunl0."""
    network = net(three_zones(ipip="Always", nat_outgoing=False, rp_filter=rp_filter))
    assert network.fate("default/p1", "10.0.1.12") == fate
    assert network.where() == "n2" and network.route()[-1] == "n2 eth0 in"


def test_every_device_has_an_rp_filter_of_its_own(net):
    """no-tunnel-masquerade:c, :d – loose on eth0 and strict at the pods; none in the tunnel lets a stranger's packet in."""
    network = net(three_zones(ipip="Always", nat_outgoing=False, **LINUX, rp_filter=RpFilter.LOOSE,
                              rp_filter_veth=RpFilter.STRICT))
    assert network.fate("default/p1", P3, src=P2) == DropReason.RPF
    assert network.fate("default/p1", "10.0.1.12") == DELIVERED
    strict = {"rp_filter_veth": RpFilter.OFF, **LINUX}
    network = net(three_zones(ipip="Always", **strict))
    assert network.fate("default/p1", P3, src="192.0.2.1") == DropReason.RPF and network.where() == "n2"
    network = net(three_zones(ipip="Always", rp_filter_tunnel=RpFilter.OFF, **strict))
    assert network.fate("default/p1", P3, src="192.0.2.1") == DELIVERED


def test_tunnels_from_strangers(net):
    """Calico accepts protocol 4 from all-hosts only; the bare kernel takes it from anybody (ipip-stranger)."""
    cluster = three_zones(ipip="Always")
    cluster.outcasts.add(0x0A00010B)                              # 10.0.1.11, n1
    assert net(cluster).fate("default/p1", P3) == DropReason.TUNNEL_UNKNOWN_SENDER
    bare = three_zones(ipip="Always", **LINUX)
    bare.outcasts.add(0x0A00010B)
    assert net(bare).fate("default/p1", P3) == DELIVERED


def test_a_node_that_has_no_tunnel_device_takes_no_tunnels(net):
    cluster = three_zones(ipip="Always")
    cluster.routers[1] = replace(cluster.routers[1], ipip_address=0)
    network = net(cluster)
    assert (network.fate("default/p1", P3), stage_of(network.results[0])) == (DropReason.ADDRESS_UNUSED, Stage.DECAPSULATE)


# ---- what is masqueraded (kernel: nat-pod-to-node, two-pools, *-host-to-pod; calico: natOutgoing) ----------


@pytest.mark.parametrize(("dst", "source"), [
    (API, "10.0.1.11"),                    # outside
    ("10.0.1.12", "10.0.1.11"),            # another node, near
    ("10.0.2.13", "10.0.1.11"),            # another node, far
    ("10.0.1.11", P1),                     # the own node: INPUT, not POSTROUTING
    (P3, P1), (P5, P1),                    # pods of the pool
    ("10.244.3.1", P1),                    # a remote tunnel address is in the pool
])
def test_masqueraded_is_what_leaves_the_pools(net, dst, source):
    network = net(three_zones())
    result = network.send("default/p1", dst)
    assert (fate_of(result), text(result["src"])) == (DELIVERED, source)
    assert bool(result["flags"] & ResultFlag.SNAT) == (source != P1)


def test_the_pools_flag_counts_by_source_and_any_pool_exempts(net):
    """two-pools; projectcalico/calico#7345, #7446: a disabled pool over a CIDR exempts it."""
    cluster = three_zones()
    cluster.pool("10.50.0.0/16")
    cluster.pool("203.0.113.0/24", disabled=True)
    cluster.block("10.50.0.0/26", 1, pool=1)
    cluster.pod("10.50.0.5", 1, name="default/other")
    network = net(cluster)
    assert text(network.send("default/other", "10.0.1.12")["src"]) == "10.50.0.5"
    assert text(network.send("default/p1", "10.50.0.5")["src"]) == P1
    assert text(network.send("default/p1", API)["src"]) == P1


def test_a_nodes_packet_into_the_tunnel_has_the_tunnel_address(net):
    """ipip-host-to-pod, :bound – chosen by the route, or masqueraded where the sender bound eth0's address."""
    network = net(three_zones(ipip="Always"))
    chosen = network.send("node/n1", P5)
    assert text(chosen["src"]) == "10.244.1.1" and not chosen["flags"] & ResultFlag.SNAT
    bound = network.send("node/n1", P5, src="10.0.1.11", sport=1)
    assert text(bound["src"]) == "10.244.1.1" and bound["flags"] & ResultFlag.SNAT
    answer = network.reply()
    assert (fate_of(answer), text(answer["dst"])) == (DELIVERED, "10.0.1.11")


def test_without_the_tunnels_rule_a_node_keeps_the_address_it_bound(net):
    """no-tunnel-masquerade:a, a-back – the answer does not use the tunnel, the receiver's filter on it has to be off."""
    network = net(three_zones(ipip="Always", tunnel_masquerade=False, rp_filter=RpFilter.LOOSE))
    bound = network.send("node/n1", P5, src="10.0.1.11")
    assert (fate_of(bound), text(bound["src"])) == (DELIVERED, "10.0.1.11") and not bound["flags"] & ResultFlag.SNAT
    assert text(network.send("node/n1", P5)["src"]) == "10.244.1.1"


def test_masquerade_takes_the_address_of_the_device_it_leaves_by(net):
    """A prefix in no pool behind a tunnel (a stale advert): tunl0's address on n1, eth0's on n3, which sends it on."""
    cluster = three_zones()
    cluster.adverts.append(replace(cluster.adverts[2], prefix=Prefix(0xC0000200, 24)))              # 192.0.2.0/24, n3
    network = net(cluster)
    result = network.send("default/p1", "192.0.2.5", length=1000)
    assert [text(event["src"]) for event in network.events] == [P1, *["10.244.1.1"] * 4, "10.0.2.13"]
    assert (fate_of(result), result["wire"]) == (EXITED, 1020)              # bytes on the first node's wire, not the last one's


def test_natively_the_node_has_its_own_address(net):
    network = net(three_zones())
    assert text(network.send("node/n1", P3)["src"]) == "10.0.1.11"


def test_a_nodes_packet_from_its_tunnel_address_is_masqueraded_outside(net):
    """ipip-all-tracked: the tunnel address lies in the pool."""
    network = net(three_zones())
    assert text(network.send("node/n1", API, src="10.244.1.1")["src"]) == "10.0.1.11"


def test_a_node_cannot_send_from_a_foreign_address(net):
    assert net(three_zones()).fate("node/n1", P3, src=P1) == DropReason.SPOOFED_SOURCE


# ---- ports (kernel: nat-out, nat-collision, nat-collision-tcp, nat-out-random) -----------------------------


def test_the_port_is_kept_while_it_is_free(net):
    network = net(three_zones())
    assert network.send("default/p1", API, sport=1234)["sport"] == 1234
    assert network.send("default/p2", API, sport=1235)["sport"] == 1235
    assert network.send("default/p2", "10.0.2.13", sport=1234)["sport"] == 1234          # another destination


@pytest.mark.parametrize(("sport", "low", "high"), [
    (53, 1, 511), (511, 1, 511), (512, 600, 1023), (1023, 600, 1023), (1024, 1024, 65535)])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_clash_is_resolved_in_the_class_of_the_port(net, protocol, sport, low, high):
    network = net(three_zones(pods=8))
    ports = [
        int(network.send(f"default/p{pod}", API, protocol=protocol, sport=sport)["sport"]) for pod in range(1, 9)]
    assert ports[0] == sport and len(set(ports)) == 8
    assert all(low <= port <= high for port in ports[1:])
    assert ports[1] != sport + 1                                                             # not the next one


def test_echo_identifiers_clash_too_and_any_of_65536_will_do(net):
    network = net(three_zones())
    assert network.send("default/p1", API, protocol="icmp", sport=7)["sport"] == 7
    moved = network.send("default/p2", API, protocol="icmp", sport=7)
    assert moved["sport"] != 7
    answer = network.reply()
    assert (fate_of(answer), text(answer["dst"]), answer["sport"]) == (DELIVERED, P2, 7)


def test_the_mapping_sticks_to_the_source_and_its_port(net):
    """nat-collision:no-clash-other-host, :no-clash-other-port."""
    network = net(three_zones())
    network.send("default/p1", API, sport=1234)
    moved = int(network.send("default/p2", API, sport=1234)["sport"])
    assert network.send("default/p2", "10.0.2.13", sport=1234)["sport"] == moved
    assert network.send("default/p2", API, sport=1234, dport=443)["sport"] == moved
    assert network.send("default/p2", API, sport=1235)["sport"] == 1235


def test_random_fully_draws_for_every_connection_and_keeps_it_for_its_packets(net):
    network = net(three_zones(random_fully=True))
    first = [int(network.send("default/p1", API, sport=5000, dport=dport)["sport"]) for dport in range(80, 100)]
    again = [int(network.send("default/p1", API, sport=5000, dport=dport)["sport"]) for dport in range(80, 100)]
    assert first == again and len(set(first)) > 15 and min(first) >= 1024


def test_a_nodes_own_connection_occupies_its_port(net):
    """ipip-all-tracked: a SNAT onto the same tuple moves – and so does the node's own if it comes second (null binding)."""
    network = net(three_zones())
    assert network.send("node/n1", API, sport=5000)["sport"] == 5000
    assert network.send("default/p1", API, sport=5000)["sport"] != 5000
    network = net(three_zones())
    assert network.send("default/p1", API, sport=5000)["sport"] == 5000
    own = network.send("node/n1", API, sport=5000)
    assert own["sport"] != 5000
    answer = network.reply()
    assert (fate_of(answer), text(answer["dst"]), answer["dport"], network.where()) == (DELIVERED, "10.0.1.11", 5000, "n1")


def test_ports_run_out(net):
    """The class 1..511 is searched in full (the rounds of nf_nat_l4proto_unique_tuple: 128 + 64 + 32 + 16 + 8 tries)."""
    cluster = three_zones(pods=0)
    cluster.block("10.244.64.0/20", 1)
    for number in range(700):
        cluster.pod(0x0AF44010 + number, 1, name=f"default/q{number}")
    network = net(cluster)
    fates = [fate_of(network.send(f"default/q{number}", API, sport=53)) for number in range(700)]
    assert fates.count(DropReason.SNAT_PORTS_EXHAUSTED) >= 700 - 511
    assert (stage_of(network.results[0]), len(network.state.connections())) == (Stage.TRANSLATE, fates.count(DELIVERED))


def test_a_protocol_without_ports_has_one_tuple(net):
    network = net(three_zones())
    assert network.fate("default/p1", API, protocol=47) == DELIVERED
    assert network.fate("default/p2", API, protocol=47) == DropReason.SNAT_PORTS_EXHAUSTED


# ---- connections (kernel: unsolicited, nat-out; nf_conntrack_proto_*.c) ------------------------------------


@pytest.mark.parametrize("fields", [
    {"tcp_flags": SYN | ACK}, {"tcp_flags": RST}, {"tcp_flags": RST | ACK}, {"tcp_flags": FIN | ACK}, {"tcp_flags": 0},
    {"protocol": "icmp", "dport": 0}])
def test_invalid_is_dropped_by_calico_and_leaves_untranslated_without(net, fields):
    network = net(three_zones())
    assert (network.fate("default/p1", API, **fields), stage_of(network.results[0])) == (DropReason.CT_INVALID, Stage.CONNTRACK)
    bare = net(three_zones(**LINUX))
    assert bare.fate("default/p1", API, **fields) == DropReason.IGW_NO_PUBLIC_ADDRESS
    assert text(bare.results[0]["src"]) == P1 and len(bare.state.connections()) == 0


def test_a_lone_ack_is_picked_up_and_translated(net):
    network = net(three_zones())
    assert text(network.send("default/p1", API, tcp_flags=ACK)["src"]) == "10.0.1.11"
    (entry,) = network.state.connections()
    assert entry["state"] == ConnectionState.ESTABLISHED


def test_answers_are_translated_back_before_the_lookup(net):
    network = net(three_zones())
    network.send("default/p1", API, sport=1234, tcp_flags=SYN)
    answer = network.reply()
    assert (fate_of(answer), text(answer["dst"]), answer["dport"], network.where()) == (DELIVERED, P1, 1234, "n1")
    assert answer["flags"] & ResultFlag.UNNAT and text(answer["src"]) == API
    (entry,) = network.state.connections()
    assert (entry["state"], entry["packets"], entry["reply_packets"]) == (ConnectionState.SYN_RECV, 1, 1)


def test_an_unsolicited_packet_to_the_nodes_address_is_the_nodes(net):
    network = net(three_zones())
    network.send("default/p1", API, protocol="icmp", sport=7)
    request = network.send("host/api", "10.0.1.11", protocol="icmp", sport=7)            # no answer: a request of its own
    assert (fate_of(request), text(request["dst"])) == (DELIVERED, "10.0.1.11")
    network.send("default/p1", API, sport=1234)
    assert text(network.send("host/api", "10.0.1.11", sport=81, dport=1234)["dst"]) == "10.0.1.11"


@pytest.mark.parametrize(("protocol", "flags", "replied", "seconds"), [
    ("udp", 0, False, 30), ("udp", 0, True, 30), ("icmp", 0, True, 30), (47, 0, False, 30), (132, 0, False, 600),
    ("tcp", SYN, False, 120), ("tcp", SYN, True, 60), ("tcp", PSH | ACK, False, 300)])
def test_timeouts(net, protocol, flags, replied, seconds):
    """net.netfilter.nf_conntrack_*: defaults of the kernel."""
    for age, is_new in ((seconds * SECOND - 1, False), (seconds * SECOND, True)):
        network = net(three_zones())
        network.send("default/p1", API, protocol=protocol, tcp_flags=flags)
        if replied:
            network.reply(time=0)
        again = network.send("default/p1", API, protocol=protocol, tcp_flags=flags, time=age)
        assert bool(again["flags"] & ResultFlag.NEW) == is_new
        assert again["connection"] == 1 + is_new


@pytest.mark.parametrize(("age", "answered", "seconds"), [
    (2 * SECOND, True, 30), (2 * SECOND + 1, True, 120), (2 * SECOND + 1, False, 30)])
def test_udp_becomes_a_stream_when_it_was_answered_and_is_older_than_two_seconds(net, age, answered, seconds):
    """udp-expiry – nf_conntrack_udp_packet: the answer itself still leaves it at 30 seconds."""
    network = net(three_zones())
    network.send("default/p1", API, protocol="udp")
    if answered:
        network.reply(time=0)
    network.send("default/p1", API, protocol="udp", time=age)
    assert int(network.state.connections()[0]["expires"]) == age + seconds * SECOND


def test_gre_lives_longer_once_it_was_answered(net):
    """nf_conntrack_gre_packet: the answer itself still leaves it at 30 seconds."""
    network = net(three_zones())
    network.send("default/p1", API, protocol=47)
    network.reply(time=0)
    assert int(network.state.connections()[0]["expires"]) == 30 * SECOND
    network.send("default/p1", API, protocol=47, time=SECOND)
    assert int(network.state.connections()[0]["expires"]) == 181 * SECOND


def test_what_is_dropped_before_leaves_no_trace(net):
    network = net(three_zones())
    for fields in ({"dst": "10.244.1.60"}, {"dst": API, "ttl": 1}, {"dst": P3, "src": P2}):
        network.send("default/p1", **fields)
    assert len(network.state.connections()) == 0


def test_connections_are_numbered_per_router_in_order_of_confirmation(net):
    network = net(three_zones())
    sent = [network.packet(pod, API, sport=port) for port in (1, 2) for pod in ("default/p1", "default/p3")]
    assert network.send_wave(*sent)["connection"].tolist() == [1, 1, 2, 2]
    entries = network.state.connections()
    assert np.array_equal(entries["key"], np.sort(entries["key"])) and entries["ordinal"].tolist() == [1, 2, 1, 2]


# ---- where the node itself receives ------------------------------------------------------------------------


def test_the_nodes_door_is_shut_for_its_pods_if_felix_says_so(net):
    """defaultEndpointToHostAction: Drop – pods of this node only."""
    network = net(three_zones(host_action_drop=True))
    assert network.fate("default/p1", "10.0.1.11") == DropReason.POLICY_EGRESS
    assert (stage_of(network.results[0]), network.decided_by(), network.where()) == (Stage.LOCAL_IN, ("Node", "n1"), "n1")
    assert network.fate("default/p1", "10.0.1.12") == DELIVERED


def test_answers_to_the_nodes_own_requests_pass_its_shut_door(net):
    """Felix accepts what is ESTABLISHED before the action: the kubelet's probes of its own pods work."""
    network = net(three_zones(host_action_drop=True))
    assert network.fate("node/n1", "10.244.1.2") == DELIVERED
    assert fate_of(network.reply()) == DELIVERED
    assert network.fate("default/p1", "10.0.1.11", sport=50000) == DropReason.POLICY_EGRESS


def test_a_linux_router_lets_untranslated_pods_out(net):
    """nat-off: behind a plain router pods reach the outside with their own address; the answer finds no route."""
    cluster = three_zones(nat_outgoing=False)
    cluster.tables[0].pop()
    cluster.cloud_route("0.0.0.0/0", TargetKind.OUTSIDE)
    network = net(cluster)
    result = network.send("default/p1", API)
    assert (fate_of(result), text(result["src"])) == (DELIVERED, P1)
    assert fate_of(network.reply()) == DropReason.FABRIC_NO_ROUTE
    assert network.fate("default/p1", "198.51.100.9") == EXITED


def test_a_linux_router_has_no_route_to_pods(net):
    """never-far, black-holes:no-block: what is meant for a pod of another subnet, or for none, is lost at the router."""
    cluster = three_zones(ipip="Never")
    cluster.tables[0].pop()
    cluster.cloud_route("0.0.0.0/0", TargetKind.OUTSIDE)
    network = net(cluster)
    assert network.fate("default/p1", "10.244.3.2") == DropReason.FABRIC_NO_ROUTE
    assert network.fate("default/p1", "10.244.99.9") == DropReason.FABRIC_NO_ROUTE
    assert network.fate("default/p1", "10.99.0.1") == EXITED             # some LAN beyond the router


@pytest.mark.parametrize(("fields", "fate"), [
    ({"protocol": "ipip"}, DropReason.ENCAP_FROM_POD), ({"protocol": "udp", "dport": 4789}, DropReason.ENCAP_FROM_POD),
    ({"protocol": "udp", "dport": 4790}, DELIVERED), ({"protocol": "tcp", "dport": 4789}, DELIVERED)])
@pytest.mark.parametrize("dst", ["10.244.1.3", "10.244.2.2", "10.0.1.11"])
def test_pods_send_no_tunnels(net, fields, fate, dst):
    """Felix' rules for workloads, whoever the packet is for; nodes may, and so may pods where Felix programs nothing."""
    network = net(three_zones())
    assert network.fate("default/p1", dst, **fields) == fate
    if fate is not DELIVERED:
        assert (stage_of(network.results[0]), network.where()) == (Stage.POLICY, "n1")
        assert network.fate("node/n1", dst, **fields) == DELIVERED
        assert net(three_zones(calico=False)).fate("default/p1", dst, **fields) == DELIVERED
