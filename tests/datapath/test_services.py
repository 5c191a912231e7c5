"""Services: what kube-proxy's chains make of a packet, hand-derived from its rules and from what Linux was measured to do."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from calisim.quantities import parse_address, parse_prefix
from calisim.traffic.batch import ACK, SYN
from calisim.vocabulary import HEADER, DropReason, PacketFlag, ResultFlag, Stage
from tests.datapath.conftest import DELIVERED, Net, fate_of, stage_of, text
from tests.intents import Cluster, three_zones

SERVICE, SECOND_SERVICE, OUTSIDE = "10.96.0.10", "10.96.0.11", "198.51.100.7"
P1, P2, P3, P5 = "10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.3.2"
N1, N2, N3, API = "10.0.1.11", "10.0.1.12", "10.0.2.13", "203.0.113.10"
TCP, UDP, ICMP, SECOND = 6, 17, 1, 1_000_000_000
NODE_PORT = 30080
PODS = {"pods": (parse_prefix("10.244.0.0/16"),)}


def cluster(*backends: str, **service: object) -> Cluster:
    """Three zones and one service; ``kube_proxy`` is its configuration."""
    made = three_zones(**service.pop("node", {}))            # type: ignore[arg-type]
    made.kube_proxy = service.pop("kube_proxy", {})          # type: ignore[assignment]
    made.service(SERVICE, list(backends), **service)         # type: ignore[arg-type]
    return made


def open_to(network: Net, sender: str, dst: str = SERVICE, dport: int = 80, **fields: object) -> np.void:
    return network.send(sender, dst, dport=dport, **{"tcp_flags": SYN, **fields})


def seen(result: np.void) -> tuple[str, int, str, int]:
    """The packet as it arrived."""
    return text(result["src"]), int(result["sport"]), text(result["dst"]), int(result["dport"])


# ---- an endpoint takes the service's place, and gives it back ------------------------------------------------------


@pytest.mark.parametrize("endpoint", [P2, P3, P5])
def test_the_endpoint_gets_the_packet_and_the_client_an_answer_from_the_service(net, endpoint):
    network = net(cluster(endpoint))
    result = open_to(network, "default/p1")
    assert fate_of(result) == DELIVERED and seen(result) == (P1, 40000, endpoint, 8080)
    assert result["flags"] & (ResultFlag.DNAT | ResultFlag.SNAT | ResultFlag.NEW) == ResultFlag.DNAT | ResultFlag.NEW
    assert (text(network.events[0]["dst"]), network.events[0]["dport"]) == (SERVICE, 80)
    answer = network.reply()
    assert fate_of(answer) == DELIVERED and seen(answer) == (SERVICE, 80, P1, 40000)
    assert answer["flags"] & (ResultFlag.UNDNAT | ResultFlag.UNNAT | ResultFlag.DNAT) == ResultFlag.UNDNAT


def test_the_tunnel_the_fabric_and_the_other_node_see_the_endpoint_only(net):
    network = net(cluster(P5))
    open_to(network, "default/p1")
    assert network.route() == ["n1 veth in", "n1 tunl0 out", "n1 eth0 out", "n3 eth0 in", "n3 tunl0 in", "n3 veth out"]
    assert [text(event["dst"]) for event in network.events] == [SERVICE, *[P5] * 5]
    network.reply()
    assert [text(event["src"]) for event in network.events] == [*[P5] * 5, SERVICE]


def test_an_entry_of_conntrack_holds_both_destinations(net):
    network = net(cluster(P3))
    open_to(network, "default/p1")
    first, second = network.state.connections()               # n1's and n2's, which sees nothing of the service
    keys = [router.key for router in network.intent.routers]
    if first["key"] != keys[0]:
        first, second = second, first
    assert [text(first[name]) for name in ("src", "dst", "reply_src", "reply_dst")] == [P1, SERVICE, P3, P1]
    assert [int(first[name]) for name in ("sport", "dport", "reply_sport", "reply_dport")] == [40000, 80, 8080, 40000]
    assert text(second["dst"]) == P3


def test_udp_is_balanced_and_neither_another_protocol_nor_another_port_is(net):
    network = net(cluster(P3, protocol=UDP, port=53))
    assert seen(network.send("default/p1", SERVICE, protocol=UDP, dport=53, length=100))[2:] == (P3, 8080)
    for fields in ({"protocol": TCP, "dport": 53}, {"protocol": UDP, "dport": 54}, {"protocol": ICMP, "dport": 0x0800}):
        result = network.send("default/p1", SERVICE, **fields)
        assert text(result["dst"]) == SERVICE and not result["flags"] & ResultFlag.DNAT


def test_every_endpoint_is_chosen_alike(net):
    network = net(cluster(P2, P3, P5))
    wave = [network.packet("default/p1", SERVICE, dport=80, sport=40000 + n, tcp_flags=SYN) for n in range(600)]
    chosen = Counter(text(address) for address in network.send_wave(*wave)["dst"])
    assert sorted(chosen) == [P2, P3, P5] and min(chosen.values()) > 150


def test_the_choice_depends_on_the_tuple_the_router_and_the_seed_alone(net):
    def choices(seed: int, ports: list[int], *senders: str) -> list[str]:
        made = cluster(P2, P3, P5)
        made.seed = seed
        network = net(made)
        return [text(open_to(network, sender, sport=port)["dst"]) for sender in senders for port in ports]

    ports = list(range(40000, 40024))
    forwards, backwards = choices(1, ports, "default/p1"), choices(1, ports[::-1], "default/p1")
    assert forwards == backwards[::-1]
    assert forwards != choices(2, ports, "default/p1") and forwards != choices(1, ports, "default/p3")


def test_a_connection_keeps_its_endpoint_though_the_service_has_lost_it(net):
    network = net(cluster(P3))
    assert text(open_to(network, "default/p1")["dst"]) == P3
    network.reply()
    network.become(cluster(P5))
    assert text(open_to(network, "default/p1", tcp_flags=ACK)["dst"]) == P3
    assert text(open_to(network, "default/p1", sport=40001)["dst"]) == P5


def test_a_connection_picked_up_in_its_middle_is_balanced_and_a_lone_answer_is_not(net):
    network = net(cluster(P3, node={"calico": False}))
    assert text(open_to(network, "default/p1", tcp_flags=ACK)["dst"]) == P3
    result = open_to(network, "default/p1", tcp_flags=SYN | ACK, sport=40001)        # INVALID
    assert text(result["dst"]) == SERVICE


# ---- session affinity ------------------------------------------------------------------------------------------------


def test_a_client_stays_with_its_endpoint_until_it_has_been_silent_for_the_timeout(net):
    network = net(cluster(P2, P3, P5, affinity=100 * SECOND))
    first = text(open_to(network, "default/p1", sport=40000)["dst"])
    times = [n * 90 * SECOND for n in range(1, 20)]            # each new connection starts the time anew
    assert {text(open_to(network, "default/p1", sport=40000 + n, time=t)["dst"]) for n, t in enumerate(times, 1)} == {first}
    (known,) = network.state.affinities()
    assert (text(known["client"]), text(known["address"]), known["port"]) == (P1, first, 8080)
    assert known["expires"] == times[-1] + 100 * SECOND and known["key"] == network.intent.routers[0].key
    later = [times[-1] + n * 101 * SECOND for n in range(1, 20)]
    assert len({text(open_to(network, "default/p1", sport=41000 + n, time=t)["dst"]) for n, t in enumerate(later)}) > 1


def test_affinity_is_of_a_client_at_a_router_and_ends_with_the_endpoint(net):
    network = net(cluster(P2, P3, P5, affinity=100 * SECOND))
    for sender in ("default/p1", "default/p2", "default/p3"):
        for port in range(40000, 40010):
            open_to(network, sender, sport=port)
    assert len(network.state.affinities()) == 3
    gone = text(next(row for row in network.state.affinities() if text(row["client"]) == P1)["address"])
    network.become(cluster(*{P2, P3, P5} - {gone}, affinity=100 * SECOND))
    assert text(open_to(network, "default/p1", sport=42000)["dst"]) != gone


# ---- whose source hides (KUBE-MARK-MASQ) -----------------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "source"), [(P2, N1), (P3, N1), (P5, "10.244.1.1")])
def test_a_marked_connection_leaves_with_the_address_of_the_device_it_leaves_by(net, backend, source):
    """A pod's own device has none: the node's first address. Into the tunnel: tunl0's, so the answer comes back through it."""
    network = net(cluster(backend, kube_proxy={"masquerade_all": True}))
    result = open_to(network, "default/p1")
    assert seen(result) == (source, 40000, backend, 8080) and result["flags"] & ResultFlag.SNAT
    answer = network.reply()
    assert fate_of(answer) == DELIVERED and seen(answer) == (SERVICE, 80, P1, 40000)
    assert answer["flags"] & ResultFlag.UNDNAT and answer["flags"] & ResultFlag.UNNAT


def test_a_pod_outside_cluster_cidr_loses_its_source_to_a_service_but_not_to_a_pod(net):
    """projectcalico/calico#8812, #2999."""
    network = net(cluster(P3, kube_proxy={"pods": (parse_prefix("10.244.2.0/24"),)}))
    assert text(open_to(network, "default/p1")["src"]) == N1
    assert text(open_to(network, "default/p3", sport=40007)["src"]) != P1
    assert text(open_to(network, "default/p1", dst=P3, dport=8080, sport=40001)["src"]) == P1
    assert text(open_to(net(cluster(P3, kube_proxy=PODS)), "default/p1")["src"]) == P1
    assert text(open_to(net(cluster(P3)), "default/p1")["src"]) == P1


def test_pods_told_apart_by_interface(net):
    network = net(cluster(P5, kube_proxy={"by_interface": True}, node={"ipip": "Never"}))
    assert text(open_to(network, "default/p1")["src"]) == P1
    assert text(open_to(network, "node/n1")["src"]) == N1                # marked, but that is its address already


def test_a_pod_that_reaches_itself_sees_its_node(net):
    """Measured: hairpin. Without it the pod would answer itself past conntrack."""
    network = net(cluster(P1, kube_proxy=PODS))
    assert seen(open_to(network, "default/p1")) == (N1, 40000, P1, 8080)
    assert seen(network.reply()) == (SERVICE, 80, P1, 40000)


def test_the_nodes_own_connection_has_the_source_that_the_route_to_the_service_gave_it(net):
    network = net(cluster(P3))
    assert seen(open_to(network, "node/n1")) == (N1, 40000, P3, 8080)
    assert seen(network.reply()) == (SERVICE, 80, N1, 40000)
    assert text(open_to(net(cluster(P5)), "node/n1")["src"]) == "10.244.1.1"         # Felix' rule for tunl0


def test_two_connections_that_meet_behind_a_service_are_kept_apart_by_the_source_port(net):
    """Measured: the destination is never moved, the null binding of the source is."""
    network = net(cluster(P3))
    assert seen(open_to(network, "default/p1", dst=P3, dport=8080)) == (P1, 40000, P3, 8080)
    result = open_to(network, "default/p1")
    assert text(result["src"]) == P1 and result["sport"] != 40000 and result["flags"] & ResultFlag.SNAT
    assert seen(network.reply()) == (SERVICE, 80, P1, 40000)


# ---- from outside: node ports, external addresses -----------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "source"), [(P1, N1), (P3, N1), (P5, "10.244.1.1")])
def test_a_node_port_hides_the_client_behind_the_node_it_came_to(net, backend, source):
    """projectcalico/calico#2660, #5533: policy at the endpoint sees a node."""
    network = net(cluster(backend, node_port=NODE_PORT))
    result = open_to(network, "host/api", dst=N1, dport=NODE_PORT)
    assert fate_of(result) == DELIVERED and seen(result) == (source, 40000, backend, 8080)
    answer = network.reply()
    assert fate_of(answer) == DELIVERED and seen(answer) == (N1, NODE_PORT, API, 40000)


def test_a_local_node_port_keeps_the_client_and_serves_only_where_an_endpoint_is(net):
    network = net(cluster(P1, node_port=NODE_PORT, external_local=True, kube_proxy=PODS))
    assert seen(open_to(network, "host/api", dst=N1, dport=NODE_PORT)) == (API, 40000, P1, 8080)
    assert seen(network.reply()) == (N1, NODE_PORT, API, 40000)
    result = open_to(network, "host/api", dst=N2, dport=NODE_PORT)
    assert (fate_of(result), stage_of(result), network.where()) == (DropReason.NO_ENDPOINTS, Stage.BALANCE, "n2")
    assert network.errors() == [] and network.decided_by() == ("Service", "default/s1")


@pytest.mark.parametrize(("kube_proxy", "fate"), [(PODS, DELIVERED), ({}, DropReason.NO_ENDPOINTS)])
def test_a_pod_reaches_a_local_node_port_on_any_node_if_pods_are_told_apart(net, kube_proxy, fate):
    """KUBE-EXT: as if it had gone out and come in again."""
    network = net(cluster(P1, node_port=NODE_PORT, external_local=True, kube_proxy=kube_proxy))
    result = open_to(network, "default/p3", dst=N2, dport=NODE_PORT)
    assert fate_of(result) == fate and text(result["src"]) == P3


def test_a_node_reaches_a_local_node_port_of_its_own_and_hides_behind_itself(net):
    network = net(cluster(P5, node_port=NODE_PORT, external_local=True))
    assert seen(open_to(network, "node/n1", dst=N1, dport=NODE_PORT)) == ("10.244.1.1", 40000, P5, 8080)
    network = net(cluster(P3, node_port=NODE_PORT, external_local=True))
    assert seen(open_to(network, "node/n1", dst=N1, dport=NODE_PORT, src="10.244.1.1")) == (N1, 40000, P3, 8080)


def test_node_ports_are_on_all_addresses_of_a_node_or_on_those_that_are_named(net):
    everywhere = net(cluster(P3, node_port=NODE_PORT))
    named = net(cluster(P3, node_port=NODE_PORT, kube_proxy={"node_addresses": (parse_prefix("10.0.0.0/16"),)}))
    for address, is_named in ((N1, True), ("10.244.1.1", False)):
        assert text(open_to(everywhere, "default/p1", dst=address, dport=NODE_PORT)["dst"]) == P3
        assert (text(open_to(named, "default/p1", dst=address, dport=NODE_PORT)["dst"]) == P3) is is_named


def test_an_external_address_is_captured_on_the_node_of_who_sends(net):
    network = net(cluster(P3, external=OUTSIDE))
    assert seen(open_to(network, "default/p1", dst=OUTSIDE)) == (N1, 40000, P3, 8080)
    assert seen(network.reply()) == (OUTSIDE, 80, P1, 40000)


def test_source_ranges_of_a_balancer_let_nobody_else_in(net):
    network = net(cluster(P3, external=OUTSIDE, sources=("10.244.1.3/32",)))
    result = open_to(network, "default/p1", dst=OUTSIDE)
    assert (fate_of(result), stage_of(result)) == (DropReason.POLICY_INGRESS, Stage.BALANCE) and network.errors() == []
    assert fate_of(open_to(network, "default/p2", dst=OUTSIDE)) == DELIVERED
    assert fate_of(open_to(network, "node/n1", dst=OUTSIDE)) == DropReason.POLICY_INGRESS


def test_internal_local_asks_the_own_nodes_endpoints_only(net):
    network = net(cluster(P2, P3, internal_local=True))
    assert {text(open_to(network, "default/p1", sport=port)["dst"]) for port in range(40000, 40010)} == {P2}
    result = open_to(network, "default/p5")
    assert fate_of(result) == DropReason.NO_ENDPOINTS and network.where() == "n3" and network.errors() == []


@pytest.mark.parametrize(("sender", "arrives"), [("default/p3", P3), ("default/p1", P1), ("host/api", N2)])
def test_an_endpoint_on_a_nodes_own_network_is_reached_past_postrouting(net, sender, arrives):
    """Measured: a marked packet for the node itself keeps its source, since it takes INPUT; a pod elsewhere is masqueraded."""
    network = net(cluster(N2, node_port=NODE_PORT, kube_proxy={"masquerade_all": True}))
    if sender == "host/api":
        assert seen(open_to(network, sender, dst=N2, dport=NODE_PORT)) == (API, 40000, N2, 8080)
        assert seen(network.reply()) == (N2, NODE_PORT, API, 40000)
    else:
        result = open_to(network, sender)
        assert seen(result) == (arrives if arrives == P3 else N1, 40000, N2, 8080)
        assert seen(network.reply()) == (SERVICE, 80, arrives, 40000)


# ---- refusals and errors -----------------------------------------------------------------------------------------------


def test_a_service_without_endpoints_is_rejected_after_the_ttl_was_decremented(net):
    """Measured: -j REJECT in FORWARD."""
    network = net(cluster())
    result = open_to(network, "default/p1", ttl=9)
    assert (fate_of(result), stage_of(result), network.where()) == (DropReason.NO_ENDPOINTS, Stage.BALANCE, "n1")
    assert network.errors() == [f"3/3 0.0.0.0 > {P1} mtu 0 quoted ttl 8"]
    assert fate_of(network.send_errors()[0]) == DELIVERED and text(network.events[-1]["quote_dst"]) == SERVICE
    assert len(network.state.connections()) == 0


def test_a_node_port_without_endpoints_is_rejected_by_the_address_that_was_asked(net):
    """Measured: -j REJECT in INPUT answers from the packet's own destination."""
    network = net(cluster(node_port=NODE_PORT))
    assert fate_of(open_to(network, "host/api", dst=N1, dport=NODE_PORT, ttl=9)) == DropReason.NO_ENDPOINTS
    assert network.errors() == [f"3/3 {N1} > {API} mtu 0 quoted ttl 9"]
    assert fate_of(network.send_errors()[0]) == DELIVERED


def test_a_node_refuses_its_own_packets_without_an_error_and_not_for_external_addresses(net):
    """KUBE-EXTERNAL-SERVICES hangs in INPUT and FORWARD, not in OUTPUT."""
    network = net(cluster(external=OUTSIDE))
    assert fate_of(open_to(network, "node/n1")) == DropReason.NO_ENDPOINTS and network.errors() == []
    assert fate_of(open_to(network, "node/n1", dst=OUTSIDE)) != DropReason.NO_ENDPOINTS
    assert fate_of(open_to(network, "default/p1", dst=OUTSIDE)) == DropReason.NO_ENDPOINTS


@pytest.mark.parametrize("known", [False, True])
def test_a_nodes_error_about_a_balanced_packet_speaks_in_the_services_name(net, known):
    """Measured, for a connection that is not yet confirmed as well (nf_ct_attach)."""
    network = net(cluster(P5))
    if known:
        open_to(network, "default/p1")
        network.reply()
    assert fate_of(open_to(network, "default/p1", ttl=1, tcp_flags=ACK)) == DropReason.TTL_EXCEEDED
    assert network.errors() == [f"11/0 {SERVICE} > {P1} mtu 0 quoted ttl 1"]
    result, event = network.send_errors()[0], network.events[-1]
    assert fate_of(result) == DELIVERED and text(event["src"]) == SERVICE
    assert (text(event["quote_dst"]), event["quote_dport"]) == (SERVICE, 80)


@pytest.mark.parametrize(("local", "client"), [(True, P5), (False, N1)])
def test_a_tunnels_error_about_an_answer_reaches_the_endpoint_as_it_knows_the_client(net, local, client):
    """The answer is put back already when the tunnel refuses it; the node speaks for itself, in no client's name."""
    network = net(cluster(P1, node_port=NODE_PORT, external_local=local, node={"pod_mtu": 1500, "ipip_mtu": 1500}))
    assert seen(open_to(network, "default/p5", dst="10.244.1.1", dport=NODE_PORT)) == (client, 40000, P1, 8080)
    answer = network.reply(length=1500, fragment=PacketFlag.DF)
    assert fate_of(answer) == DropReason.MTU_EXCEEDED and stage_of(answer) == Stage.ENCAPSULATE
    assert network.errors() == ["3/4 0.0.0.0 > 10.244.1.1 mtu 1480 quoted ttl 63"]
    result, event = network.send_errors()[0], network.events[-1]
    assert fate_of(result) == DELIVERED and (text(result["src"]), text(result["dst"])) == (N1, P1)
    assert result["connection"] and result["flags"] & ResultFlag.DNAT
    assert (text(event["quote_src"]), event["quote_sport"]) == (P1, 8080)
    assert (text(event["quote_dst"]), event["quote_dport"]) == (client, 40000)


@pytest.mark.parametrize("kube_proxy", [{}, {"masquerade_all": True}])
def test_an_error_from_near_the_endpoint_comes_from_the_service(net, kube_proxy):
    """Measured: a traceroute to a ClusterIP shows the ClusterIP, hop after hop."""
    network = net(cluster(P5, kube_proxy=kube_proxy))
    assert fate_of(open_to(network, "default/p1", ttl=2)) == DropReason.TTL_EXCEEDED and network.where() == "n3"
    result, event = network.send_errors()[0], network.events[-1]
    assert fate_of(result) == DELIVERED and text(result["src"]) == SERVICE and result["flags"] & ResultFlag.UNDNAT
    assert (text(event["quote_src"]), event["quote_sport"]) == (P1, 40000)
    assert (text(event["quote_dst"]), event["quote_dport"]) == (SERVICE, 80)


@pytest.mark.parametrize(("kube_proxy", "source"), [({}, P1), ({"masquerade_all": True}, "10.244.1.1")])
def test_a_clients_error_about_an_answer_reaches_the_endpoint_that_sent_it(net, kube_proxy, source):
    network = net(cluster(P5, kube_proxy=kube_proxy))
    open_to(network, "default/p1")
    network.reply()
    header = np.zeros(1, HEADER)
    header["quote_src"], header["quote_dst"] = parse_address(SERVICE), parse_address(P1)
    header["quote_sport"], header["quote_dport"], header["quote_protocol"], header["quote_length"] = 80, 40000, TCP, 40
    result = network.send("default/p1", SERVICE, header, protocol=ICMP, sport=0, dport=0x0303)
    event = network.events[-1]
    assert fate_of(result) == DELIVERED and (text(result["src"]), text(result["dst"])) == (source, P5)
    assert (text(event["quote_src"]), event["quote_sport"], text(event["quote_dst"])) == (P5, 8080, source)
    assert result["flags"] & ResultFlag.DNAT


def test_two_services_of_one_endpoint_answer_each_in_its_own_name(net):
    made = cluster(P3)
    made.service(SECOND_SERVICE, [P3])
    network = net(made)
    for service, sport in ((SERVICE, 40000), (SECOND_SERVICE, 40001)):
        open_to(network, "default/p1", dst=service, sport=sport)
        assert seen(network.reply()) == (service, 80, P1, sport)


def test_each_of_many_services_is_found(net):
    made = three_zones()
    for number in range(700):
        made.service(f"10.96.{number // 100}.{number % 100}", [P3], port=80 + number % 3, target=10000 + number)
    network = net(made)
    wave = [
        network.packet("default/p1", text(one.address), dport=one.port + near, sport=40000 + number, tcp_flags=SYN)
        for number, one in enumerate(made.frontends) for near in (0, 3)]
    found = network.send_wave(*wave)
    assert found["dport"][::2].tolist() == list(range(10000, 10700))
    assert not (found["flags"][1::2] & ResultFlag.DNAT).any()


# ---- what holds whatever the services are ---------------------------------------------------------------------------------


def random_services(rng: Random) -> Cluster:
    """A cluster with services of all sorts."""
    made = three_zones(ipip=rng.choice(["CrossSubnet", "Always", "Never"]), random_fully=rng.random() < 0.5)
    made.kube_proxy = {
        "pods": rng.choice([None, (parse_prefix("10.244.0.0/16"),), (parse_prefix("10.244.1.0/24"),)]),
        "by_interface": rng.random() < 0.2, "masquerade_all": rng.random() < 0.3}
    for number in range(4):
        backends = rng.sample([P1, P2, P3, P5, N2], rng.randint(0, 4))
        made.service(
            f"10.96.0.{number + 1}", backends, external=f"198.51.100.{number + 1}", node_port=30001 + number,
            protocol=rng.choice([TCP, UDP]), internal_local=rng.random() < 0.3, external_local=rng.random() < 0.4,
            affinity=rng.choice([0, 100 * SECOND]))
    return made


@pytest.mark.parametrize("seed", range(30))
def test_every_answer_finds_back_as_the_inverse_of_what_was_asked(net, seed):
    rng = Random(seed)
    network = net(random_services(rng))
    for number in range(40):
        sender = rng.choice(["default/p1", "default/p2", "default/p3", "default/p5", "node/n1", "host/api"])
        service = rng.choice(network.intent.services.frontends)
        dst = text(service.address) if service.address and sender != "host/api" else rng.choice([N1, N2, N3])
        sport = rng.randint(40000, 40010)
        fields = {"protocol": service.protocol, "tcp_flags": SYN if service.protocol == TCP else 0, "sport": sport, "length": 100}
        result = network.send(sender, dst, dport=service.port, time=number * SECOND, **fields)
        if fate_of(result) != DELIVERED or not result["flags"] & ResultFlag.DNAT:
            continue
        asked_from = int(network.wave[0]["src"]) or None
        answer = network.reply()
        if fate_of(answer) == DELIVERED:                      # Never across subnets loses some
            assert (text(answer["src"]), answer["sport"], answer["dport"]) == (dst, service.port, sport)
            assert asked_from in (None, answer["dst"])
    tuples = Counter()
    for entry in network.state.connections():
        if not entry["flags"]:
            flow = [(entry["key"], entry["protocol"], *(int(entry[p + n]) for n in ("src", "dst", "sport", "dport")))
                    for p in ("", "reply_")]
            tuples.update(set(flow))
    assert max(tuples.values(), default=1) == 1
