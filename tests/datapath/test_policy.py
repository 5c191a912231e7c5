"""Policy at POLICY and LOCAL_IN, by hand: what Felix' chains do with new connections, where, and who is said to have decided.

Two nodes in one subnet, one in another. shop/web and shop/near run on n-1, shop/db on n-2, shop/far and lab/probe on m-1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from calisim.control.intent import Intent
from calisim.control.policing import Chain, Identity, Policing, Program, RuleMatch
from calisim.fib.compiler import compile
from calisim.traffic.batch import ACK, RST, SYN
from calisim.vocabulary import HEADER, DropReason, EndpointKind, PolicyAction, Stage
from tests import clusters
from tests.clusters import TWO_SUBNETS, document, pool
from tests.datapath.conftest import DELIVERED, EXITED, Net, fate_of, stage_of
from tests.intents import three_zones

EGRESS, INGRESS = DropReason.POLICY_EGRESS, DropReason.POLICY_INGRESS
NODES = TWO_SUBNETS + """\
  nodes:
    - {name: n, count: 2, subnet: a, sourceDestCheck: false, publicIP: true}
    - {name: m, count: 1, subnet: b, sourceDestCheck: false}
  hosts: [{name: api, ip: 203.0.113.10}]
  pods:
    - {name: web, namespace: shop, labels: {app: web}, node: n-1}
    - {name: near, namespace: shop, labels: {app: near}, node: n-1}
    - {name: db, namespace: shop, labels: {app: db}, node: n-2, ports: [{name: sql, port: 5432}]}
    - {name: far, namespace: shop, labels: {app: far}, node: m-1, ports: [{name: sql, port: 3306}]}
    - {name: probe, namespace: lab, labels: {app: probe}, node: m-1}
"""
ISOLATED = """---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
"""
TO_DB = """---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{protocol: TCP, port: sql}]}]
"""


def calico(name: str, spec: str, kind: str = "GlobalNetworkPolicy") -> str:
    return f"---\napiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


class World:
    """What :class:`Net` builds from: the scenario with these documents."""

    def __init__(self, *documents: str, spec: str = NODES, **of_pool: object) -> None:
        self.text = "".join((pool(ipipMode="CrossSubnet", natOutgoing=True, **of_pool), *documents))
        self.spec = spec

    def build(self) -> Intent:
        return clusters.intent(self.spec, self.text)


@dataclass
class Built:
    """An Intent as it is."""

    intent: Intent

    def build(self) -> Intent:
        return self.intent


@pytest.fixture
def world(net: Callable[[Any], Net]) -> Callable[..., Net]:
    return lambda *documents, **more: net(World(*documents, **more))


def address(network: Net, name: str) -> int:
    return network.intent.endpoint(network.intent.endpoint_ids[name]).address


def opens(network: Net, sender: str, receiver: str, port: int = 5432, **fields: Any) -> Any:
    """The fate of a SYN."""
    return network.fate(sender, address(network, receiver), **{"dport": port, "tcp_flags": SYN, **fields})  # type: ignore[arg-type]


def hits(network: Net) -> dict[str, int]:
    """Kind and name of what decided, and how often; what the namespace's profile allowed is left out."""
    deciders = ((network.intent.object(int(n)), int(network.state.hits[n])) for n in np.flatnonzero(network.state.hits))
    said = {f"{decider.kind} {decider.name}": count for decider, count in deciders if decider}
    return {name: count for name, count in said.items() if "kns.*" not in name}


def test_ingress_is_judged_at_the_receivers_node_after_decapsulation(world):
    network = world(TO_DB.replace("{app: db}", "{app: far}"))
    assert opens(network, "shop/near", "shop/far", 3306) == INGRESS
    assert (network.where(), stage_of(network.results[0])) == ("m-1", Stage.POLICY)
    assert network.decided_by() == ("Tier", "default")
    assert network.route() == ["n-1 veth in", "n-1 tunl0 out", "n-1 eth0 out", "m-1 eth0 in", "m-1 tunl0 in"]


def test_egress_is_judged_at_the_senders_node_and_nothing_leaves(world):
    network = world(ISOLATED)
    assert opens(network, "shop/web", "shop/far") == EGRESS
    assert (network.where(), network.decided_by(), network.route()) == ("n-1", ("Tier", "default"), ["n-1 veth in"])


def test_a_flow_on_one_node_meets_both_sides(world):
    out = calico("out", "{selector: app == 'web', types: [Egress], "
                        "egress: [{action: Allow, destination: {selector: app == 'near'}}]}")
    inn = calico("in", "{selector: app == 'near', ingress: [{action: Allow, source: {selector: app == 'web'}}]}")
    network = world(out, inn)
    assert opens(network, "shop/web", "shop/near") == DELIVERED
    assert opens(network, "shop/web", "shop/db") == EGRESS
    assert opens(network, "shop/db", "shop/near") == INGRESS
    assert hits(network) == {
        "PolicyRule GlobalNetworkPolicy out egress[0]": 1, "PolicyRule GlobalNetworkPolicy in ingress[0]": 1, "Tier default": 2}


@pytest.mark.parametrize(("port", "fields", "fate"), [
    (5432, {}, DELIVERED), (3306, {}, INGRESS), (5431, {}, INGRESS), (5433, {}, INGRESS),
    (5432, {"protocol": 17}, INGRESS), (5432, {"protocol": 132}, INGRESS), (0x0800, {"protocol": 1}, INGRESS)])
def test_a_ports_name_is_the_receivers_number_of_its_protocol(world, port, fields, fate):
    assert opens(world(TO_DB), "shop/web", "shop/db", port, **fields) == fate


def test_what_is_established_is_answered_and_goes_on_whatever_policy_says(world):
    one_way = calico("out", "{selector: app == 'web', types: [Ingress, Egress], egress: [{action: Allow}]}")
    network = world(one_way, TO_DB)
    assert opens(network, "shop/web", "shop/db") == DELIVERED
    assert fate_of(network.reply()) == DELIVERED                      # nobody may open anything to web
    assert fate_of(network.reply(tcp_flags=ACK)) == DELIVERED
    assert opens(network, "shop/db", "shop/web") == INGRESS
    assert sum(hits(network).values()) == 3


def test_a_connection_that_is_picked_up_is_new_and_what_is_invalid_never_comes_to_policy(world):
    network = world(TO_DB)
    assert opens(network, "shop/near", "shop/db", tcp_flags=ACK) == INGRESS
    assert opens(network, "shop/near", "shop/db", tcp_flags=RST) == DropReason.CT_INVALID
    assert opens(network, "shop/web", "shop/db", tcp_flags=ACK) == DELIVERED


def test_an_icmp_error_about_an_allowed_connection_passes(world):
    network = world(ISOLATED, calico("out", "{selector: app == 'web', order: 1, types: [Egress], egress: [{action: Allow}]}"))
    assert opens(network, "shop/web", "lab/probe", ttl=2) == DropReason.TTL_EXCEEDED
    assert [fate_of(result) for result in network.send_errors()] == [DELIVERED]


def test_a_node_reaches_its_own_pods_and_only_them(world):
    network = world(ISOLATED)
    assert opens(network, "node/n-2", "shop/db") == DELIVERED
    assert opens(network, "node/n-1", "shop/db") == INGRESS
    assert hits(network) == {"Tier default": 1}


def test_a_pods_own_node_is_reached_by_egress_policy_and_then_by_the_host_action(world):
    felix = document("FelixConfiguration", defaultEndpointToHostAction="Drop")
    for documents, stage, decider in (
            ((ISOLATED,), Stage.POLICY, "Tier"), ((ISOLATED, felix), Stage.POLICY, "Tier"), ((felix,), Stage.LOCAL_IN, "Node")):
        network = world(*documents)
        assert opens(network, "shop/web", "node/n-1") == EGRESS
        assert (stage_of(network.results[0]), network.decided_by()[0]) == (stage, decider)
    assert opens(world(), "shop/web", "node/n-1") == DELIVERED


def test_a_pod_reaches_itself(world):
    network = world(ISOLATED)
    assert opens(network, "shop/web", "shop/web") == DELIVERED
    assert not hits(network)


def test_egress_sees_the_source_before_masquerade_and_a_host_by_its_address(world):
    network = world(ISOLATED, calico(
        "out", "{order: 1, types: [Egress], egress: [{action: Allow, source: {nets: [192.168.0.0/16]},"
        " destination: {nets: [203.0.113.0/24]}}]}"))
    assert opens(network, "shop/web", "host/api") in (DELIVERED, EXITED)
    assert network.decided_by()[0] != "PolicyRule" and hits(network) == {"PolicyRule GlobalNetworkPolicy out egress[0]": 1}


def test_nets_choose_pods_too(world):
    """Calico's ip sets hold addresses: an ipBlock over the pods' pool lets pods in."""
    block = TO_DB.replace("podSelector: {matchLabels: {app: web}}", "ipBlock: {cidr: 192.168.0.0/16}")
    assert opens(world(block), "lab/probe", "shop/db") == DELIVERED
    assert opens(world(block.replace("192.168.0.0", "192.169.0.0")), "lab/probe", "shop/db") == INGRESS


def test_a_pass_out_of_the_last_tier_leaves_the_word_to_the_profiles(world):
    network = world(calico("pass", "{selector: app == 'db', ingress: [{action: Pass}]}"))
    assert opens(network, "shop/web", "shop/db") == DELIVERED


@pytest.mark.parametrize(("rules", "fate", "decider"), [
    ((), INGRESS, "Pod"), ((PolicyAction.PASS,), INGRESS, "Pod"), ((PolicyAction.LOG,), INGRESS, "Pod"),
    ((PolicyAction.LOG, PolicyAction.DENY), INGRESS, "IPPool"), ((PolicyAction.PASS, PolicyAction.ALLOW), INGRESS, "Pod")])
def test_profiles_that_do_not_decide_drop_and_the_pod_is_said_to_have_decided(net, rules, fate, decider):
    """By hand: no document makes such profiles."""
    intent = three_zones().build()
    pods = [end.kind is EndpointKind.POD for end in intent.endpoints]
    first = next(number for number, one in enumerate(intent.objects, 1) if one.kind == "IPPool")
    policing = Policing(
        (Identity({}, 1, 0, 0, 0),), tuple(map(int, pods)), {}, (Program((), (1,)),),
        (Chain(tuple(RuleMatch(action, decided_by=first) for action in rules), 0),))
    network = net(Built(replace(intent, policy=policing)))
    assert network.fate("default/p1", "10.244.2.2") == fate
    assert network.decided_by()[0] == decider


def test_tunnels_out_of_pods_are_refused_before_policy_is_asked(world):
    network = world(ISOLATED)
    assert opens(network, "shop/web", "shop/db", protocol=4) == DropReason.ENCAP_FROM_POD
    assert opens(network, "shop/web", "shop/db", 4789, protocol=17) == DropReason.ENCAP_FROM_POD
    assert not hits(network)


def test_without_calicos_chains_nothing_is_asked(world):
    network = world(ISOLATED, spec=NODES + "  settings: {filter: none}\n")
    assert opens(network, "shop/web", "shop/db") == DELIVERED
    assert not network.state.hits.any()


def test_ttl_and_mtu_come_before_policy(world):
    network = world(ISOLATED)
    assert opens(network, "shop/web", "shop/near", ttl=1) == DropReason.TTL_EXCEEDED
    assert opens(network, "shop/web", "shop/far", length=9500, df=True) == DropReason.MTU_EXCEEDED


def test_what_is_denied_leaves_no_connection(world):
    network = world(ISOLATED)
    opens(network, "shop/web", "shop/db")
    assert not len(network.state.connections())


@pytest.mark.parametrize(("settings", "fate", "then"), [
    ("", DELIVERED, DELIVERED), ("  settings: {policyChange: cut}\n", INGRESS, INGRESS)])
def test_a_policy_that_changes_keeps_connections_or_cuts_them_by_option(world, settings, fate, then):
    network = world(spec=NODES + settings)
    assert opens(network, "shop/near", "shop/db", sport=40000) == DELIVERED
    assert fate_of(network.reply()) == DELIVERED
    later = world(TO_DB, spec=NODES + settings)
    network.intent, network.engine = later.intent, later.engine
    assert opens(network, "shop/near", "shop/db", sport=40000, tcp_flags=ACK) == fate
    assert opens(network, "shop/db", "shop/near", 40000, sport=5432, tcp_flags=ACK | SYN) == then


ONE_BY_ONE = "".join(
    calico(f"p{number}", f"{{order: {number}, selector: app == 'db', ingress: [{{action: {'Deny' if number % 3 else 'Allow'}, "
           f"protocol: TCP, source: {{selector: app == '{'web' if number % 2 else 'near'}'}}, "
           f"destination: {{ports: ['{1000 + number}:{1004 + number}']}}}}]}}")
    for number in range(100))


def test_of_a_hundred_policies_the_first_that_matches_decides(world):
    """Long tiers are not tried rule by rule; the rules here overlap, so that the order shows."""
    network = world(ONE_BY_ONE)
    ways = [("web", port) for port in range(996, 1110)] + [("near", port) for port in range(996, 1110)] + [("probe", 1050)]
    names = {"web": "shop/web", "near": "shop/near", "probe": "lab/probe"}
    db = address(network, "shop/db")
    network.send_wave(*(
        network.packet(names[app], db, dport=port, tcp_flags=SYN, sport=2000 + row) for row, (app, port) in enumerate(ways)))
    for (app, port), result in zip(ways, network.results, strict=True):
        mine = range(("near", "web").index(app), 100, 2) if app != "probe" else ()
        first = next((number for number in mine if 0 <= port - 1000 - number <= 4), None)
        allowed = first is not None and first % 3 == 0
        assert fate_of(result) == (DELIVERED if allowed else INGRESS), (app, port)
        if first is not None and not allowed:
            assert network.intent.objects[result["detail"] - 1].name == f"GlobalNetworkPolicy p{first} ingress[0]"


def test_the_hundred_policies_are_found_by_an_index(world):
    image = compile(World(ONE_BY_ONE).build())
    assert len(image.indexes) == 2 and len(compile(World(ISOLATED, TO_DB).build()).indexes) == 1


def test_the_order_of_documents_has_no_meaning(world):
    documents = (ISOLATED, TO_DB, calico("z", "{order: 5, types: [Egress], egress: [{action: Allow, protocol: TCP}]}"),
                 calico("y", "{order: 5, ingress: [{action: Deny, source: {selector: app == 'near'}}, {action: Pass}]}"))
    verdicts = set()
    for order in list(permutations(documents))[::5]:
        network = world(*order)
        pods = ("shop/web", "shop/near", "shop/db", "shop/far", "lab/probe")
        network.send_wave(*(
            network.packet(one, address(network, other), dport=5432, tcp_flags=SYN) for one in pods for other in pods))
        verdicts.add(tuple(fate_of(result) for result in network.results))
    assert len(verdicts) == 1 and {DELIVERED, INGRESS} <= set(*verdicts)


def test_a_datagram_in_pieces_is_judged_whole_by_its_ports(world):
    network = world(calico("in", "{ingress: [{action: Allow, protocol: UDP, destination: {ports: [5432]}}]}"))
    for port, fate in ((5432, DELIVERED), (5433, INGRESS)):
        wave = [network.packet("shop/near", address(network, "shop/db"), protocol=17, sport=port, dport=port, length=length,
                               fragment=fragment) for length, fragment in ((1020, 0x2000), (520, 125))]
        headers = np.zeros(2, HEADER)
        headers["id"] = port
        network.send_wave(*wave, headers=headers)
        for _ in range(4):
            if fate in {fate_of(result) for result in network.results}:
                break
            network.send_errors()
        assert fate in {fate_of(result) for result in network.results}
