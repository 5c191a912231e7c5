"""Host endpoints by hand: what Felix' chains for a node's own interfaces do, at which hook, and who is said to have decided.

Two nodes in one subnet, one in another. shop/web and shop/near run on n-1, shop/db on n-2, shop/far and lab/probe on m-1; pods of
one subnet reach each other without a tunnel, n-1 and m-1 through IPIP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calisim.datapath.engine import engine
from calisim.datapath.state import State
from calisim.traffic.batch import ACK, SYN
from calisim.vocabulary import HEADER, ConnectionFlag, DropReason, ResultFlag, Stage
from tests import clusters
from tests.datapath.conftest import DELIVERED, Net, fate_of, stage_of
from tests.datapath.test_policy import ISOLATED, NODES, TO_DB, World, address, calico, hits, opens

EGRESS, INGRESS, INVALID = DropReason.POLICY_EGRESS, DropReason.POLICY_INGRESS, DropReason.CT_INVALID
ALLOW_ALL = ", profiles: [projectcalico-default-allow]"


def guard(node: str = "n-2", interface: str = "interfaceName: eth0", more: str = "", name: str = "") -> str:
    return (f"---\napiVersion: projectcalico.org/v3\nkind: HostEndpoint\nmetadata: {{name: {name or node}, "
            "labels: {role: host}}\n"
            f"spec: {{node: {node}, {interface}{more}}}\n")


def hosts(name: str, spec: str, order: int = 1) -> str:
    """A policy of host endpoints alone."""
    return calico(name, f"{{order: {order}, selector: role == 'host', {spec}}}")


@pytest.fixture
def world(net: Callable[[Any], Net]) -> Callable[..., Net]:
    return lambda *documents, **more: net(World(*documents, **more))


def test_an_interface_without_a_host_endpoint_is_left_alone(world):
    network = world(guard("n-1"), hosts("shut", "types: [Ingress, Egress]"))
    assert opens(network, "node/n-2", "node/m-1", 80) == DELIVERED
    assert opens(network, "shop/db", "node/n-2", 80) == DELIVERED


@pytest.mark.parametrize(("port", "protocol", "fate"), [
    (80, 6, INGRESS), (22, 6, DELIVERED), (22, 17, INGRESS), (68, 17, DELIVERED), (179, 6, DELIVERED), (6443, 6, DELIVERED),
    (53, 17, INGRESS), (0x0800, 1, INGRESS)])
def test_without_policy_and_profile_only_failsafe_ports_come_in(world, port, protocol, fate):
    network = world(guard())
    assert opens(network, "node/n-1", "node/n-2", port, protocol=protocol) == fate
    assert network.decided_by()[0] == ("HostEndpoint" if fate is INGRESS else "Subnet")
    if fate is INGRESS:
        assert (network.where(), stage_of(network.results[0])) == ("n-2", Stage.POLICY)


@pytest.mark.parametrize(("port", "protocol", "fate"), [
    (80, 6, EGRESS), (22, 6, EGRESS), (53, 17, DELIVERED), (67, 17, DELIVERED), (68, 17, EGRESS), (6666, 6, DELIVERED)])
def test_and_only_to_failsafe_ports_anything_goes_out(world, port, protocol, fate):
    network = world(guard())
    assert opens(network, "node/n-2", "node/n-1", port, protocol=protocol) == fate
    assert network.decided_by() == (("HostEndpoint", "n-2") if fate is EGRESS else ("Subnet", "a"))
    assert len(network.route()) == (0 if fate is EGRESS else 2)


def test_failsafe_ports_are_what_the_configuration_says_and_who_they_are_for(world):
    felix = calico("default", "{failsafeInboundHostPorts: [{protocol: TCP, port: 8080, net: 172.20.32.0/24}], "
                              "failsafeOutboundHostPorts: []}", "FelixConfiguration")
    network = world(guard(), felix)
    assert opens(network, "node/n-1", "node/n-2", 8080) == DELIVERED
    assert opens(network, "node/m-1", "node/n-2", 8080) == INGRESS
    assert opens(network, "node/n-1", "node/n-2", 22) == INGRESS
    assert opens(network, "node/n-2", "node/n-1", 53, protocol=17) == EGRESS


def test_what_was_let_in_is_answered(world):
    network = world(guard())
    assert opens(network, "node/n-1", "node/n-2", 22) == DELIVERED
    assert fate_of(network.reply()) == DELIVERED
    assert opens(network, "node/n-2", "node/n-1", 53, protocol=17) == DELIVERED
    assert fate_of(network.reply()) == DELIVERED


def test_forwarded_traffic_needs_no_policy(world):
    network = world(guard("n-1"), guard())
    assert opens(network, "shop/web", "shop/db") == DELIVERED
    assert opens(network, "shop/db", "shop/far") == DELIVERED
    assert not hits(network)


def test_the_default_profile_allows_everything(world):
    network = world(guard(interface="interfaceName: '*'", more=ALLOW_ALL))
    own, other = "node/n-2", "node/n-1"
    for sender, receiver in ((other, own), (own, other), (own, own), ("shop/web", "shop/db")):
        assert opens(network, sender, receiver, 80) == DELIVERED
    assert hits(network) == {"PolicyRule Profile projectcalico-default-allow everything": 2}       # in each direction


def test_normal_policy_is_for_the_nodes_own_processes(world):
    network = world(guard(), hosts(
        "web", "types: [Ingress, Egress], ingress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}]"))
    assert opens(network, "node/n-1", "node/n-2", 80) == DELIVERED
    assert opens(network, "node/n-1", "node/n-2", 81) == INGRESS
    assert network.decided_by() == ("Tier", "default at HostEndpoint n-2")
    assert opens(network, "node/n-2", "node/n-1", 80) == EGRESS
    assert opens(network, "shop/web", "shop/db", 81) == DELIVERED
    assert opens(network, "shop/db", "shop/web", 81) == DELIVERED
    assert opens(network, "node/n-2", "shop/db", 81) == DELIVERED             # a node to its own pods
    assert opens(network, "shop/db", "node/n-2", 81) == DELIVERED             # … and they to it, by defaultEndpointToHostAction


def test_apply_on_forward_is_asked_about_what_goes_through_as_well(world):
    network = world(guard(), hosts(
        "web", "applyOnForward: true, types: [Ingress, Egress],"
        "ingress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}],"
        "egress: [{action: Allow, protocol: TCP, destination: {ports: [5432]}}]"))
    assert opens(network, "shop/web", "shop/db", 80) == DELIVERED
    assert opens(network, "shop/web", "shop/db", 81) == INGRESS
    assert opens(network, "shop/web", "shop/db", 22) == INGRESS               # no failsafes for what goes through
    assert opens(network, "shop/db", "shop/web", 5432) == DELIVERED
    assert opens(network, "shop/db", "shop/web", 81) == EGRESS
    assert (network.where(), network.decided_by()) == ("n-2", ("Tier", "default at HostEndpoint n-2"))


def test_from_the_host_endpoint_comes_before_the_pods_policy_and_to_it_behind(world):
    forward = hosts("shut", "applyOnForward: true, types: [Ingress, Egress]")
    network = world(ISOLATED, guard(), forward)
    assert opens(network, "node/n-1", "shop/db") == INGRESS
    assert hits(network) == {"Tier default at HostEndpoint n-2": 1}           # the pod's own tier is not asked
    out = calico("out", "{order: 1, selector: app == 'db', types: [Egress], egress: [{action: Allow}]}")
    network = world(ISOLATED, guard(), forward, out)
    assert opens(network, "shop/db", "shop/web") == EGRESS
    assert hits(network) == {"PolicyRule GlobalNetworkPolicy out egress[0]": 1, "Tier default at HostEndpoint n-2": 1}


def test_a_tunnel_passes_and_what_is_in_it_is_policed_at_the_tunnels_device(world):
    forward = hosts("shut", "applyOnForward: true, types: [Ingress, Egress]")
    assert opens(world(guard("n-1"), forward), "shop/web", "shop/far") == DELIVERED
    assert opens(world(guard("m-1"), forward), "shop/web", "shop/far") == DELIVERED
    network = world(guard("m-1", "interfaceName: tunl0"), forward)
    assert opens(network, "shop/web", "shop/far") == INGRESS and network.where() == "m-1"
    network = world(guard("n-1", "interfaceName: tunl0"), forward)
    assert opens(network, "shop/web", "shop/far") == EGRESS and network.where() == "n-1"
    assert opens(network, "node/n-1", "shop/far") == EGRESS
    assert opens(network, "node/n-1", "shop/db") == DELIVERED


SHUT = hosts("shut", "types: [Ingress, Egress]")
STRANGER = NODES.replace("hosts: [{", "hosts: [{name: box, ip: 172.20.32.200}, {").replace(
    "      subnets:",
    "      securityGroups: {open: {ingress: [{from: 0.0.0.0/0}], egress: [{to: 0.0.0.0/0}]}}\n      subnets:").replace(
    "sourceDestCheck: false", "sourceDestCheck: false, securityGroups: [open]")


def test_only_tunnels_between_nodes_pass_a_host_endpoint_that_denies_all(world):
    """Both ends of the tunnel; of IPIP from or to anybody else, and of VXLAN that the nodes do not speak, it is asked."""
    network = world(guard("n-1"), guard("m-1"), SHUT, spec=STRANGER)
    assert opens(network, "shop/web", "shop/far") == DELIVERED and "m-1 tunl0 in" in network.route()
    node = clusters.address(network.intent, "node/m-1")
    assert network.fate("node/n-2", node, protocol=4) == DELIVERED
    assert network.fate("host/box", node, protocol=4) == INGRESS
    assert network.fate("node/n-1", "172.20.32.200", protocol=4) == EGRESS
    assert network.fate("host/box", node, protocol=17, dport=4789) == INGRESS
    assert opens(network, "node/n-1", "node/m-1", 4789, protocol=17) == EGRESS
    assert opens(network, "node/n-2", "node/m-1", 4789, protocol=17) == INGRESS


def test_of_vxlan_between_nodes_only_the_tunnels_port_passes(net):
    made = World(guard("n-1"), guard("m-1"), SHUT)
    made.text = made.text.replace("ipipMode: CrossSubnet", "vxlanMode: CrossSubnet")
    network = net(made)
    assert opens(network, "shop/web", "shop/far") == DELIVERED and "m-1 vxlan in" in network.route()
    assert opens(network, "node/n-2", "node/m-1", 4789, protocol=17) == DELIVERED
    assert opens(network, "node/n-1", "node/m-1", 4790, protocol=17) == EGRESS
    assert opens(network, "node/n-2", "node/m-1", 4790, protocol=17) == INGRESS
    assert opens(network, "node/n-2", "node/m-1", protocol=4) == INGRESS


@pytest.mark.parametrize(("sender", "receiver"), [("n-1", "n-2"), ("n-2", "n-1")])
def test_an_error_about_nothing_that_conntrack_knows_is_dropped_by_a_host_endpoint_that_allows_all(world, sender, receiver):
    """Without one a node's own errors and those to it are let pass."""
    for documents, fate in (((), DELIVERED), ((guard(more=ALLOW_ALL),), INVALID)):
        network = world(*documents)
        about = np.zeros(1, HEADER)
        about["quote_src"], about["quote_dst"] = address(network, f"node/{receiver}"), address(network, "shop/far")
        about["quote_protocol"], about["quote_sport"], about["quote_dport"] = 17, 4000, 53
        about["quote_length"], about["quote_ttl"] = 100, 64
        assert opens(network, f"node/{sender}", f"node/{receiver}", 0x0301, protocol=1, header=about) == fate
        assert fate is DELIVERED or (network.where(), stage_of(network.results[0])) == ("n-2", Stage.CONNTRACK)


def test_a_host_endpoint_for_all_interfaces_sees_pods_and_lo(world):
    network = world(guard(interface="interfaceName: '*'"), hosts("shut", "applyOnForward: true, types: [Ingress, Egress]"))
    assert opens(network, "shop/db", "shop/web") == INGRESS                   # in by the pod's interface
    assert opens(network, "node/n-2", "node/n-2", 80) == EGRESS               # lo
    assert opens(network, "node/n-2", "shop/db", 80) == DELIVERED
    assert opens(network, "shop/db", "node/n-2", 80) == DELIVERED


def test_a_named_host_endpoint_stands_before_the_one_for_all(world):
    network = world(
        guard(interface="interfaceName: '*'", name="a"), guard(more=ALLOW_ALL, name="b"), guard(name="c", more=""))
    assert opens(network, "node/n-1", "node/n-2", 80) == DELIVERED
    assert opens(network, "node/n-2", "node/n-2", 80) == EGRESS
    assert [warning for warning in network.intent.warnings if "HostEndpoint" in warning] == [
        "HostEndpoint c polices nothing: another one has its interface of n-2."]


def test_an_expected_address_finds_the_interface_and_is_a_peer_of_its_labels(world):
    intent = World().build()
    own = {name: clusters.address(intent, f"node/{name}") for name in ("n-1", "n-2")}
    network = world(
        guard("n-1", f"expectedIPs: [{own['n-1']}]", ALLOW_ALL), guard("n-2", f"expectedIPs: [{own['n-2']}]"),
        hosts("hosts", "ingress: [{action: Allow, source: {selector: role == 'host'}}]"))
    assert opens(network, "node/n-1", "node/n-2", 80) == DELIVERED
    assert opens(network, "node/m-1", "node/n-2", 80) == INGRESS


def test_a_host_endpoint_that_no_interface_fits_polices_nothing_and_is_told(world):
    network = world(guard(interface="interfaceName: eth7"), guard("n-1", "expectedIPs: [10.9.9.9]"))
    assert opens(network, "node/n-1", "node/n-2", 80) == DELIVERED
    assert [warning for warning in network.intent.warnings if "HostEndpoint" in warning] == [
        "HostEndpoint n-1 polices nothing: n-1 has no interface with that address (eth0, tunl0).",
        "HostEndpoint n-2 polices nothing: n-2 has no interface eth7 (eth0, tunl0)."]


def test_pre_dnat_policy_denies_before_anybody_and_allows_for_all_host_policy(world):
    before = hosts("before", "preDNAT: true, applyOnForward: true, ingress: ["
                             "{action: Deny, protocol: TCP, destination: {ports: [81]}},"
                             "{action: Allow, protocol: TCP, destination: {ports: [82]}}]")
    network = world(guard(), before, hosts("shut", "applyOnForward: true, types: [Ingress, Egress]", order=2))
    assert opens(network, "shop/web", "shop/db", 81) == INGRESS
    assert network.decided_by() == ("PolicyRule", "GlobalNetworkPolicy before ingress[0]")
    assert opens(network, "shop/web", "shop/db", 80) == INGRESS
    assert network.decided_by() == ("Tier", "default at HostEndpoint n-2")
    assert opens(network, "shop/web", "shop/db", 82) == DELIVERED
    assert opens(network, "node/n-1", "node/n-2", 82) == DELIVERED
    assert opens(network, "node/n-1", "node/n-2", 81) == INGRESS
    assert opens(network, "node/n-1", "node/n-2", 22) == DELIVERED            # failsafe in both tables
    assert opens(network, "shop/db", "shop/web", 81) == EGRESS                # not its direction


def test_pre_dnat_policy_that_says_nothing_drops_nothing(world):
    network = world(guard(), hosts("before", "preDNAT: true, applyOnForward: true, ingress: [{action: Deny, protocol: UDP}]"))
    assert opens(network, "shop/web", "shop/db", 80) == DELIVERED
    assert opens(network, "node/n-1", "node/n-2", 80) == INGRESS and network.decided_by() == ("HostEndpoint", "n-2")


SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {type: NodePort, selector: {app: db}, clusterIP: 10.96.0.10, ports: [{port: 5432, nodePort: 30001}]}
"""


def test_pre_dnat_policy_sees_the_node_port_and_forward_policy_the_endpoint(world):
    by_port = "applyOnForward: true, ingress: [{action: Deny, protocol: TCP, destination: {ports: [%s]}}, {action: Allow}]"
    for port, before, behind in ((30001, INGRESS, DELIVERED), (5432, DELIVERED, INGRESS)):
        for when, fate in (("preDNAT: true, ", before), ("", behind)):
            network = world(SERVICE, guard(), hosts("p", when + by_port % port))
            assert opens(network, "node/m-1", "node/n-2", 30001) == fate


def test_a_pod_reaches_itself_past_the_host_endpoint_but_not_through_its_service(world):
    shut = hosts("shut", "applyOnForward: true, types: [Ingress, Egress]")
    network = world(SERVICE, guard(interface="interfaceName: '*'"), shut)
    assert opens(network, "shop/db", "shop/db") == DELIVERED
    assert network.fate("shop/db", "10.96.0.10", dport=5432, tcp_flags=SYN) == INGRESS


def tracked_by(network: Net) -> list[int]:
    """Keys of the routers whose conntrack has something."""
    found = network.state.connections()
    return [int(key) for key in found["key"][found["flags"] & ConnectionFlag.TRACKED_BY_FABRIC == 0]]


UNTRACKED = "doNotTrack: true, applyOnForward: true, "


def test_untracked_traffic_leaves_no_connection_and_needs_both_directions(world):
    inn = hosts("in", UNTRACKED + "ingress: [{action: Allow, protocol: UDP, destination: {ports: [123]}}]")
    network = world(guard(), inn)
    assert opens(network, "node/n-1", "node/n-2", 123, protocol=17) == DELIVERED
    assert tracked_by(network) == [network.intent.routers[0].key]
    assert fate_of(network.reply()) == EGRESS and network.decided_by() == ("HostEndpoint", "n-2")
    out = hosts("out", UNTRACKED + "egress: [{action: Allow, protocol: UDP, source: {ports: [123]}}]")
    network = world(guard(), inn, out)
    assert opens(network, "node/n-1", "node/n-2", 123, protocol=17) == DELIVERED
    assert fate_of(network.reply()) == DELIVERED
    assert not network.results[0]["connection"] and not network.results[0]["flags"] & ResultFlag.NEW


def test_untracked_policy_denies_and_what_it_does_not_mention_is_tracked(world):
    network = world(guard(more=ALLOW_ALL), hosts("in", UNTRACKED + "ingress: [{action: Deny, protocol: UDP}]"))
    assert opens(network, "node/n-1", "node/n-2", 123, protocol=17) == INGRESS
    assert opens(network, "node/n-1", "node/n-2", 80) == DELIVERED
    assert fate_of(network.reply()) == DELIVERED
    network = world(guard(), hosts("in", UNTRACKED + "ingress: [{action: Allow}]"))
    assert opens(network, "node/n-1", "node/n-2", 22) == DELIVERED            # a failsafe port stays tracked …
    assert len(tracked_by(network)) == 2


def test_answers_to_untracked_traffic_into_pods_are_invalid(world):
    network = world(guard(more=ALLOW_ALL), hosts("in", UNTRACKED + "ingress: [{action: Allow}]"))
    assert opens(network, "shop/web", "shop/db") == DELIVERED
    assert fate_of(network.reply()) == INVALID                                # the pod's node has never seen a SYN


def test_the_host_endpoint_for_all_has_no_untracked_policy_and_says_so(world):
    network = world(guard(interface="interfaceName: '*'"), hosts("in", UNTRACKED + "ingress: [{action: Allow}]"))
    assert opens(network, "node/n-1", "node/n-2", 80) == INGRESS
    assert any("does not hold for interfaceName *" in warning for warning in network.intent.warnings)


def test_without_calicos_chains_hosts_are_open(world):
    assert opens(world(guard(), spec=NODES + "  settings: {filter: none}\n"), "node/n-1", "node/n-2", 80) == DELIVERED


def test_staged_policy_does_not_open_a_host(world):
    staged = hosts("x", "ingress: [{action: Allow}]").replace("GlobalNetworkPolicy", "StagedGlobalNetworkPolicy")
    assert opens(world(guard(), staged), "node/n-1", "node/n-2", 80) == INGRESS


# --- policy that changes ----------------------------------------------------------------------------------------------


CUT = NODES + "  settings: {policyChange: cut}\n"


def change(network: Net, *, policed: bool) -> None:
    """The same cluster with policy or without; the state goes on."""
    name = "fast" if isinstance(network.state, State) else "reference"
    policy = network.whole.policy if policed else replace(network.whole.policy, endpoints=(), interfaces={})     # type: ignore[attr-defined]
    network.intent = replace(network.intent, policy=policy)
    network.engine = engine(name, network.intent)


def talking(world: Callable[..., Net], *documents: str, spec: str = CUT) -> Net:
    """web has opened a connection to db before there was any policy."""
    network = world(*documents, spec=spec)
    network.whole = network.intent                                            # type: ignore[attr-defined]
    change(network, policed=False)
    assert opens(network, "shop/web", "shop/db") == DELIVERED and fate_of(network.reply()) == DELIVERED
    change(network, policed=True)
    return network


def test_calico_keeps_what_is_established(world):
    network = talking(world, ISOLATED, spec=NODES)
    assert opens(network, "shop/web", "shop/db", tcp_flags=ACK) == DELIVERED
    assert opens(network, "shop/web", "shop/db", sport=7) == EGRESS


@pytest.mark.parametrize(("documents", "there", "back"), [
    ((TO_DB,), DELIVERED, DELIVERED),
    ((TO_DB.replace("app: web", "app: near"),), INGRESS, INGRESS),
    ((calico("out", "{selector: app == 'web', types: [Egress]}"),), EGRESS, EGRESS),
    ((calico("out", "{selector: app == 'db', types: [Egress]}"),), DELIVERED, DELIVERED),      # db opens nothing, it answers
    ((calico("in", "{selector: app == 'web', types: [Ingress]}"),), DELIVERED, DELIVERED)])
def test_policy_that_cuts_asks_about_both_directions_by_what_opened_the_connection(world, documents, there, back):
    network = talking(world, *documents)
    web, db = address(network, "shop/web"), address(network, "shop/db")
    first = int(network.results[0]["sport"]), int(network.results[0]["dport"])
    assert network.fate("shop/web", db, sport=first[1], dport=first[0], tcp_flags=ACK) == there
    assert network.fate("shop/db", web, sport=first[0], dport=first[1], tcp_flags=ACK) == back
    change(network, policed=False)
    assert network.fate("shop/web", db, sport=first[1], dport=first[0], tcp_flags=ACK) == DELIVERED      # it was not forgotten


def test_what_is_cut_is_cut_on_one_node_as_well_and_host_endpoints_cut_nothing(world):
    network = world(ISOLATED, guard("n-1"), spec=CUT)
    network.whole = network.intent                                            # type: ignore[attr-defined]
    change(network, policed=False)
    assert opens(network, "shop/web", "shop/near") == DELIVERED and fate_of(network.reply()) == DELIVERED
    assert opens(network, "node/n-2", "node/n-1", 80, protocol=17) == DELIVERED
    change(network, policed=True)
    assert opens(network, "shop/web", "shop/near", tcp_flags=ACK) == EGRESS
    assert opens(network, "node/n-2", "node/n-1", 80, protocol=17) == DELIVERED


def test_a_rule_that_names_a_service_holds_for_its_endpoints_and_their_ports(world):
    out = calico("out", "{order: 1, selector: app == 'web', types: [Egress], egress: "
                        "[{action: Allow, protocol: TCP, destination: {services: {name: db, namespace: shop}}}]}")
    headless = SERVICE.replace("type: NodePort, ", "").replace("10.96.0.10", "None").replace(", nodePort: 30001", "")
    network = world(out, headless)
    for receiver, port, fate in (("shop/db", 5432, DELIVERED), ("shop/db", 5433, EGRESS), ("shop/near", 5432, EGRESS)):
        assert opens(network, "shop/web", receiver, port) == fate
    assert not [warning for warning in network.intent.warnings if "service" in warning]
