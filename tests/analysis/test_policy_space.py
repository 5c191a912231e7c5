"""What is computed for whole classes of packets is what the evaluator says of each packet of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from calisim.analysis.policy_services import Services
from calisim.analysis.policy_space import Space, World
from calisim.control.objects import Objects
from calisim.control.policy.resolve import police
from calisim.datapath.reference.police import Flow, Police
from calisim.quantities import format_address, parse_address
from calisim.vocabulary import EndpointKind
from tests.analysis.worlds import calico, kubernetes, pod, small

PODS = [pod("shop/web", count=3, ports=[{"name": "http", "port": 8080}]), pod("shop/db", ports=[{"name": "pg", "port": 5432}]),
        pod("other/web", ports=[{"name": "http", "port": 9090}]), pod("other/job")]
_SELECTORS = ["app == 'web'", "app == 'db'", "has(app)", "app != 'job'", "all()"]
_PORTS = ["http", "pg", "80", "'1000:6000'", "8080", "1", "65535"]
_NETS = ["10.0.0.0/8", "10.0.128.0/17", "0.0.0.0/0", "203.0.113.0/24", "10.0.0.0/16"]


def random_rule(rng: Random) -> str:
    """One rule of Calico's language, with every kind of question."""
    said = [f"action: {rng.choice(['Allow', 'Deny', 'Pass', 'Log'])}"]
    protocol = rng.choice(["", "TCP", "TCP", "UDP", "ICMP", "SCTP"])
    if protocol:
        said.append(f"protocol: {protocol}")
    if protocol == "ICMP" and rng.random() < 0.5:
        said.append(f"{rng.choice(['icmp', 'notICMP'])}: {{type: {rng.choice([0, 8])}{rng.choice(['', ', code: 0'])}}}")
    for side in ("source", "destination"):
        asked = []
        if rng.random() < 0.4:
            asked.append(f'{rng.choice(["selector", "notSelector"])}: "{rng.choice(_SELECTORS)}"')
        if rng.random() < 0.3:
            asked.append(f"nets: [{', '.join(rng.sample(_NETS, 2))}]")
        if rng.random() < 0.2:
            asked.append(f"notNets: [{rng.choice(_NETS[:2])}]")
        if protocol in ("TCP", "UDP", "SCTP") and rng.random() < 0.5:
            ports = _PORTS if side == "destination" else ["40000", "'1024:65535'"]
            asked.append(f"{rng.choice(['ports', 'ports', 'notPorts'])}: [{', '.join(rng.sample(ports, 2))}]")
        if asked:
            said.append(f"{side}: {{{', '.join(asked)}}}")
    return f"{{{', '.join(said)}}}"


def random_policies(rng: Random) -> str:
    made = [calico("t1", f"{{order: 10, defaultAction: {rng.choice(['Deny', 'Pass'])}}}", "Tier")]
    for number in range(rng.randint(1, 6)):
        tier = rng.choice(["t1", "default"])
        kind = rng.choice(["GlobalNetworkPolicy", "GlobalNetworkPolicy", "StagedGlobalNetworkPolicy"])
        rules = [", ".join(random_rule(rng) for _ in range(rng.randint(0, 4))) for _ in range(2)]
        made.append(calico(
            f"{tier}.p{number}", f'{{tier: {tier}, order: {rng.randint(1, 9)}, selector: "{rng.choice(_SELECTORS)}", '
            f"types: [Ingress, Egress], ingress: [{rules[0]}], egress: [{rules[1]}]}}", kind))
    return "".join(made)


@pytest.mark.parametrize("seed", range(12))
def test_every_packet_of_a_class_gets_the_class_verdict_and_decider(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    network = small(tmp_path, random_policies(rng), PODS, hosts=[{"name": "api", "ip": "203.0.113.9"}])
    space = Space(World(network), World(network, staged=True))
    police = Police(network.intent.policy)
    ends = [one.addresses[0] for one in space.classes] + [end.address for end in network.intent.endpoints]
    ends += [rng.getrandbits(32) for _ in range(5)]
    denied = 0
    for _ in range(400):
        src, dst = rng.choice(ends), rng.choice(ends)
        service = rng.choice(space.services.services)
        dport, sport = rng.randint(*service.dports), rng.randint(*service.sports)
        flow = Flow(src, dst, service.number, sport, dport, service.icmp)
        asked = service.icmp[0] << 8 | service.icmp[1] if service.protocol in (1, 58) else dport
        bit = 1 << space.services.position(service.number, asked, sport)
        source, destination = space.of_addresses(np.array([src, dst], np.int64)).tolist()
        for world, staged in enumerate((False, True)):
            for way, own, peer in (("egress", source, destination), ("ingress", destination, source)):
                judged = getattr(police, way)(flow, staged=staged)
                found = space.outcome(own, peer, way, world)
                assert bool(found.allowed & bit) is judged.allowed, (flow, way, staged)
                if judged.decided_by:
                    assert found.decided[judged.decided_by] & bit
                denied += not judged.allowed
    assert denied or seed


def test_pods_of_one_identity_on_both_sides_of_a_net_are_two_classes(tmp_path: Path) -> None:
    block = "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: %s/32}}]}]}"
    pods = [pod("shop/web", count=9)]
    network = small(tmp_path, kubernetes("p", block % "10.99.0.2"), pods)
    (address,) = {end.address for end in network.intent.endpoints if end.name == "shop/web-0"}
    split = small(tmp_path, kubernetes("p", block % format_address(address)), pods)
    counts = [sorted(one.count for one in Space(World(one_network)).classes if one.count) for one_network in (network, split)]
    assert counts == [[9], [1, 8]]


def test_services_are_cut_at_every_bound_and_said_in_ranges(tmp_path: Path) -> None:
    network = small(tmp_path, kubernetes(
        "p", "{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 8000, endPort: 8080}, {port: 53, protocol: UDP}]}]}"))
    services = Services([network.intent.policy])
    tcp = [one.dports for one in services.services if one.protocol == 6]
    assert tcp == [(0, 79), (80, 80), (81, 7999), (8000, 8080), (8081, 65535)]
    space = Space(World(network))
    web = space.class_of_endpoint[network.endpoint_id("shop/web")]
    assert services.words(space.outcome(web, web, "ingress").allowed) == "TCP 80, 8000-8080; UDP 53"
    assert services.words(services.everything) == "everything"
    assert services.words(0) == "nothing"


def test_a_rule_that_names_a_service_means_its_backends_with_their_ports(tmp_path: Path) -> None:
    """The service is UDP only: of TCP's same number nothing is meant."""
    network = small(tmp_path, calico("p", "{selector: app == 'web', types: [Egress], egress: [{action: Allow, destination: "
                                          "{services: {name: db, namespace: shop}}}]}"), PODS)
    intent = network.intent
    backend = intent.endpoint(network.endpoint_id("shop/db")).address
    topology = network.topology
    services = {("shop", "db"): [(backend, 17, 5353)]}
    addresses = [one.address for one in intent.endpoints if one.kind is EndpointKind.POD]
    policing = police(topology.resources.policy, topology.entities, addresses, Objects(), services=services)
    network.__dict__["intent"] = replace(intent, policy=policing)
    space = Space(World(network))
    web, db, job = (int(space.class_of_endpoint[network.endpoint_id(name)]) for name in ("shop/web-0", "shop/db", "other/job"))
    assert space.services.words(space.pair(web, db)) == "UDP 5353"
    assert space.pair(web, job) == 0


def test_the_last_address_of_a_net_is_in_it_whatever_ends_just_before_it(tmp_path: Path) -> None:
    block = "{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.254/32]}}"
    network = small(tmp_path, kubernetes("p", f"{{podSelector: {{}}, ingress: [{{from: [{block}]}}]}}"), PODS)
    space = Space(World(network))
    db = int(space.class_of_endpoint[network.endpoint_id("shop/db")])
    peers = [parse_address(f"203.0.{end}") for end in ("112.255", "113.0", "113.253", "113.254", "113.255", "114.0")]
    classes = space.of_addresses(np.array(peers, np.int64)).tolist()
    assert [bool(space.outcome(db, peer, "ingress").allowed) for peer in classes] == [False, True, True, False, True, False]
