"""Endpoint stacks that answer: what they say to what they get, and that it finds its way back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from calisim.analysis.network import Network
from calisim.datapath.stacks import Stacks
from calisim.quantities import format_address
from calisim.scenario.load import load
from calisim.scenario.scenario import Scenario
from calisim.traffic.batch import packet
from calisim.vocabulary import RESULT, Relation, Verdict
from calisim.wire.tcp import Flag

SCENARIO = """
apiVersion: calisim/v1
kind: Scenario
metadata: {name: stacks}
spec:
  settings: {icmpRatelimit: 1000}
  vpcs: {v: {cidrs: [10.0.0.0/16], internetGateway: true, subnets: {a: {cidr: 10.0.1.0/24}}}}
  nodes: [{name: n, count: 2, subnet: a, sourceDestCheck: false}]
  pods:
    - {name: asks, node: n-1}
    - {name: web, node: n-2, stack: answer, ports: [{port: 80}, {port: 53, protocol: UDP}]}
    - {name: any, node: n-2, stack: answer}
  hosts: [{name: api, ip: 203.0.113.10, stack: answer}]
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods}
spec: {cidr: 192.168.0.0/16, ipipMode: Always, natOutgoing: true}
"""


def loads(text: str, set: tuple[str, ...] = ()) -> Scenario:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stacks.yaml"
        path.write_text(text)
        return load(str(path), set=set)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(loads(SCENARIO), engine="reference")


def exchange(network: Network, to: str, **fields) -> tuple[Verdict, list[str], np.ndarray]:
    """The fate of a packet from pod asks, what the stack said, and what became of that."""
    sender, receiver = (network.intent.endpoint(network.endpoint_id(name)) for name in ("asks", to))
    one = network.engine
    state = one.new_state()
    ends = {"src": sender.address, "dst": receiver.address, "ingress": sender.id}
    wave = packet(**ends, **{"sport": 4000, "length": 100, **fields})
    results, born = Stacks(network.intent).answers(wave, one.forward(wave, state).results)
    assert set(born.causes["relation"]) <= {Relation.REPLY} and set(born.causes["parent"]) <= {0}
    said = [
        f"{format_address(int(p['src']))}:{p['sport']} {p['protocol']} {p['dport']:#06x} {p['tcp_flags']} {p['length']} B"
        for p in born.packets]
    said = [line.replace(format_address(receiver.address), to) for line in said]
    return Verdict(int(results["verdict"][0])), said, one.forward(born.packets, state, born.headers).results


@pytest.mark.parametrize(("to", "fields", "verdict", "said"), [
    ("web", {"protocol": "icmp", "tos": 8}, "DELIVERED", "web:4000 1 0x0000 0 100 B"),
    ("web", {"protocol": "udp", "dport": 53}, "DELIVERED", ""),
    ("web", {"protocol": "udp", "dport": 54}, "REFUSED", "web:0 1 0x0303 0 128 B"),
    ("web", {"protocol": "udp", "dport": 80, "length": 1000}, "REFUSED", "web:0 1 0x0303 0 576 B"),
    ("web", {"dport": 80, "tcp_flags": Flag.SYN}, "DELIVERED", "web:80 6 0x0fa0 18 40 B"),
    ("web", {"dport": 80, "tcp_flags": Flag.PSH | Flag.ACK}, "DELIVERED", "web:80 6 0x0fa0 16 40 B"),
    ("web", {"dport": 80, "tcp_flags": Flag.ACK}, "DELIVERED", ""),
    ("web", {"dport": 81, "tcp_flags": Flag.SYN}, "REFUSED", "web:81 6 0x0fa0 20 40 B"),
    ("web", {"dport": 81, "tcp_flags": Flag.ACK}, "REFUSED", "web:81 6 0x0fa0 4 40 B"),
    ("any", {"protocol": "udp", "dport": 9}, "DELIVERED", ""),
    ("any", {"dport": 9, "tcp_flags": Flag.SYN}, "DELIVERED", "any:9 6 0x0fa0 18 40 B"),
    ("api", {"dport": 443, "tcp_flags": Flag.SYN}, "DELIVERED", None),
    ("web", {"protocol": 47}, "DELIVERED", ""),
])
def test_what_a_stack_says(network, to, fields, verdict, said) -> None:
    fate, answers, back = exchange(network, to, **fields)
    assert fate is Verdict[verdict] and (said is None or answers == ([said] if said else []))
    assert [Verdict(int(result["verdict"])) for result in back] == [Verdict.DELIVERED] * len(answers)
    assert said is not None or len(answers) == 1


def test_an_answer_comes_back_through_the_translation(network) -> None:
    """To the outside host the packet came from the node; its answer finds the pod."""
    fate, _, [back] = exchange(network, "api", protocol="icmp")
    assert fate is Verdict.DELIVERED and back["dst"] == network.intent.endpoint(network.endpoint_id("asks")).address


def heard(network: Network, **fields) -> tuple[np.ndarray, np.ndarray]:
    """RESULT and answers where this packet to pod web was delivered as it is."""
    wave = packet(dst=network.intent.endpoint(network.endpoint_id("web")).address, **fields)
    results = np.zeros(1, RESULT)
    results["verdict"], results["dst"], results["dport"] = Verdict.DELIVERED, wave["dst"], wave["dport"]
    results, born = Stacks(network.intent).answers(wave, results)
    return results, born.packets


@pytest.mark.parametrize("port", [80, 81])
def test_a_reset_is_never_answered(network, port) -> None:
    results, said = heard(network, dport=port, tcp_flags=Flag.RST)
    assert results["verdict"] == Verdict.DELIVERED and not len(said)


def test_an_error_keeps_the_type_of_service_without_its_precedence(network) -> None:
    """icmp_send: precedence 6, of the packet's own byte bits 1 to 4."""
    _, said = heard(network, protocol="udp", dport=54, tos=0x3F)
    assert said["tos"].tolist() == [0xDE]


def test_silent_is_the_default(network) -> None:
    stacks = Stacks(network.intent)
    wave = packet(dst=network.intent.endpoint(network.endpoint_id("asks")).address)
    results = np.zeros(1, network.engine.forward(wave, network.engine.new_state()).results.dtype)
    results["verdict"], results["dst"] = Verdict.DELIVERED, wave["dst"]
    assert not stacks.hear(wave, results).any() and stacks
    assert not Stacks(Network(loads(SCENARIO.replace("stack: answer", "stack: silent"))).intent)


def test_settings_hold_where_nothing_else_is_said() -> None:
    loaded = loads(SCENARIO, ("settings.stack=answer", "pods.any.stack=silent"))
    answering = {one.name for one in Network(loaded).intent.endpoints if one.answers}
    assert answering == {"default/asks", "default/web", "host/api"}
    assert Network(loaded).intent.icmp_ratelimit == 1000


def test_run_counts_answers_and_refusals() -> None:
    network = Network(loads(SCENARIO), engine="reference")
    asks, web = (network.intent.endpoint(network.endpoint_id(name)) for name in ("asks", "web"))
    wave = np.concatenate([
        packet(src=asks.address, dst=web.address, ingress=asks.id, dport=port, sport=4000 + port, protocol=protocol)
        for port, protocol in ((80, "tcp"), (81, "tcp"), (54, "udp"), (53, "udp"))])
    run = network.run(wave)
    assert [Verdict(int(fate)).name for fate in run.results["verdict"][:4]] == ["DELIVERED", "REFUSED", "REFUSED", "DELIVERED"]
    assert (run.tallies[""].sent, run.tallies["(replies)"].sent, run.tallies["(replies)"].success) == (4, 3, 3)
    assert network.run(wave, replies=True).tallies["(replies)"].success == 4
