"""A changed network is what a full build of the changed scenario is, whatever it took over; its state lives on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import calisim
from calisim.analysis.network import Network
from calisim.control.objects import NOBODY, ROOM
from calisim.fib.compiler import compile
from calisim.fib.image import FibImage
from calisim.model import nodes
from calisim.parts import Parts
from calisim.scenario.variants import BUILT_IN
from calisim.sequences import runs
from calisim.vocabulary import PACKET, EndpointKind, ResultFlag, Verdict

WORLD = """\
apiVersion: calisim/v1
kind: Scenario
metadata: {{name: world}}
spec:
  vpcs:
    v:
      cidrs: [172.20.0.0/16]
      internetGateway: true
      subnets:
        a: {{zone: a, cidr: 172.20.0.0/24}}
        b: {{zone: b, cidr: 172.20.1.0/24}}
      securityGroups: {{nodes: {{ingress: [{{from: nodes}}]}}}}
  nodes:
    - {{name: a, count: {a}, subnet: a, securityGroups: [nodes], labels: {{disk: ssd}}}}
    - {{name: b, count: {b}, subnet: b, sourceDestCheck: false}}
  pods:
    - {{name: web, namespace: shop, labels: {{app: web}}, perNode: {web}}}
    - {{name: db, namespace: shop, labels: {{app: db}}, count: {db}, ports: [{{name: pg, port: 5432}}]}}
    - {{name: red, namespace: shop, labels: {{app: web, color: red}}, count: 2}}
    - {{name: one, labels: {{app: web}}}}
  hosts: [{{name: api, ip: 203.0.113.10}}]
---
{pool}---
apiVersion: v1
kind: Service
metadata: {{name: db, namespace: shop}}
spec: {{selector: {{app: db}}, ports: [{{port: 80, targetPort: pg}}]}}
"""
POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: {app}}}}}
  policyTypes: [{type}]
  ingress: [{{from: [{{podSelector: {{matchLabels: {{app: {peer}}}}}}}], ports: [{{port: {port}}}]}}]
"""
MODES = ("ipipMode: Always", "ipipMode: CrossSubnet", "vxlanMode: Always", "vxlanMode: CrossSubnet", "ipipMode: Never")


def document(kind: str, name: str, rest: str, api: str = "projectcalico.org/v3") -> str:
    return f"apiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}}}\n{rest}\n"


def pool(
    name: str = "main", mode: str = MODES[1], size: int = 28, more: str = "natOutgoing: true", at: str = "192.168.0.0/24",
) -> str:
    return document("IPPool", name, f"spec: {{cidr: {at}, blockSize: {size}, {mode}, {more}}}")


CHANGES = (
    *(pool(mode=mode) for mode in MODES), pool(more="natOutgoing: false"), pool(more="disableBGPExport: true"), pool(size=26),
    pool(more="disabled: true"), pool(more="nodeSelector: disk == 'ssd'"), pool("other", at="192.168.7.0/24"),
    pool(more="namespaceSelector: tier == 'gold'"), document("IPReservation", "r", "spec: {reservedCIDRs: [192.168.0.0/25]}"),
    document("IPAMConfiguration", "default", "spec: {autoAllocateBlocks: false}"),
    document("FelixConfiguration", "default", "spec: {ipipMTU: 1400, vxlanMTU: 1300}"),
    document("FelixConfiguration", "default", "spec: {natOutgoingExclusions: IPPoolsAndHostIPs, awsSrcDstCheck: Disable}"),
    document("FelixConfiguration", "default", "spec: {defaultEndpointToHostAction: Drop, ipipEnabled: false}"),
    document("BGPConfiguration", "default", "spec: {nodeToNodeMeshEnabled: false}"),
    document("HostEndpoint", "first", "spec: {node: a-1, interfaceName: eth0}"),
    document("Profile", "kns.shop", "spec: {labelsToApply: {app: db}}"),
    document("Namespace", "shop", "", "v1").replace("name: shop", "name: shop, labels: {tier: gold}"),
    document("ServiceAccount", "default", "", "v1").replace("default}", "default, namespace: shop, labels: {tier: gold}}"),
    document("Node", "a-1", "spec: {bgp: {ipv4Address: 172.20.0.9/20, ipv4IPIPTunnelAddr: 192.168.0.77}}"),
    document("GlobalNetworkPolicy", "g", "spec: {selector: color == 'red', types: [Ingress, Egress]}"),
    document("GlobalNetworkPolicy", "nets", "spec: {selector: all(), types: [Ingress], ingress: [{action: Allow, source: {nets: ["
             "192.168.0.2/31, 192.168.0.64/26], notNets: [192.168.0.66/32, 192.168.0.160/27]}}]}"),
    *(POLICY.format(name="p", app=app, peer="web", type=type_, port=port)
      for app, type_, port in (("web", "Ingress", "80"), ("db", "Egress", "pg"), ("db", "Ingress", "pg"))),
    "nodes.a.count=1", "nodes.a.count=5", "nodes.b.count=4", "nodes.a.down=true", "nodes.*.sourceDestCheck=false",
    "nodes.a.mtu=1400", "nodes.a.labels.disk=hdd", "nodes.a.publicIP=false", "pods.web.perNode=1", "pods.web.perNode=20",
    "pods.db.count=0", "pods.db.labels.app=web", "pods.db.stack=answer", "hosts.api.ip=172.20.0.4", "hosts.api.stack=silent",
    "settings.rpFilter=loose", "settings.filter=none", "settings.natPorts=keep", "settings.stack=answer",
    "settings.policyChange=cut", "seed=7", "provider=linux", "vpcs.v.subnets.a.mtu=1450", "vpcs.v.subnets.b.zone=z",
    "vpcs.v.securityGroups.nodes.ingress=[]", "vpcs.v.cidrs=[172.20.0.0/16, 10.9.0.0/16]")
TEXT = WORLD.format(a=3, b=2, web=2, db=4, pool=pool(size=28)) + "---\n" + "---\n".join([
    document("GlobalNetworkPolicy", "seen", "spec: {serviceAccountSelector: tier == 'gold', order: 1}"),
    document("GlobalNetworkPolicy", "known", "spec: {namespaceSelector: tier == 'gold', order: 2}"),
    POLICY.format(name="q", app="db", peer="web", type="Ingress", port="pg")])


@pytest.fixture(scope="module", autouse=True)
def short_runs() -> Iterator[None]:
    """So that there are several runs of a group, as in a large cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "RUN", 2)
        yield


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def load(folder: Path, text: str, variant: str = "as-is") -> Network:
    path = folder / "world.yaml"
    path.write_text(text)
    return calisim.load(path).build(variant)


def assert_same(changed: Network, full: Network) -> None:
    """Decision by decision, then table by table."""
    for field in fields(changed.intent):
        ours, theirs = getattr(changed.intent, field.name), getattr(full.intent, field.name)
        if not callable(ours):
            assert ours == theirs, field.name
    for router in full.intent.routers:
        assert changed.intent.routes_of(router.id) == full.intent.routes_of(router.id)
    for name, table in full.image.arrays.items():
        assert np.array_equal(changed.image.arrays[name], table), name
    assert changed.image.digest == full.image.digest


def changed(network: Network, change: str, folder: Path) -> Network:
    if "\n" not in change:
        return network.changed(network.scenario.edited(set=change))
    path = folder / "change.yaml"
    path.write_text(change)
    return network.changed(network.scenario.edited(apply=path))


def one_by_one(network: Network) -> FibImage:
    """The tables if nobody knew that endpoints, addresses and identities are runs."""
    intent = network.intent
    policy = replace(intent.policy, addresses=dict(intent.policy.addresses), endpoints=tuple(intent.policy.endpoints))
    return compile(replace(intent, endpoints=tuple(intent.endpoints), policy=policy))


def test_runs_of_nodes_change_nothing(folder: Path) -> None:
    short = load(folder, TEXT)
    assert [len(run) for run in runs(short.topology.entities.nodes)] == [2, 1, 2]
    assert short.image
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "RUN", 64)
        assert_same(load(folder, TEXT), short)


@pytest.mark.parametrize("variant", ["as-is", "overlay-vxlan"])
def test_each_change_is_what_is_built_from_nothing(folder: Path, variant: str) -> None:
    network = load(folder, TEXT, variant)
    assert network.image
    before = {field.name: getattr(network.intent, field.name) for field in fields(network.intent)}
    for change in CHANGES:
        other = changed(network, change, folder)
        assert_same(other, Network(other.scenario, variant))
        assert one_by_one(other).digest == other.image.digest
        assert_same(changed(other, "seed=3", folder), Network(other.scenario.edited(set="seed=3"), variant))
    assert before == {field.name: getattr(network.intent, field.name) for field in fields(network.intent)}


@settings(max_examples=30, deadline=None)
@given(changes=st.lists(st.sampled_from(CHANGES), min_size=2, max_size=5), variant=st.sampled_from(["as-is", *BUILT_IN]))
def test_changes_one_after_the_other_are_what_is_built_from_nothing(folder: Path, changes: Sequence[str], variant: str) -> None:
    network = load(folder, TEXT, variant)
    built = [network]
    for change in changes:
        assert network.image
        network = changed(network, change, folder)
        built.append(network)
    for one in built:                                       # those before are as they were
        assert_same(one, Network(one.scenario, variant))


THREE = """\
apiVersion: calisim/v1
kind: Scenario
metadata: {name: three}
spec:
  vpcs:
    v:
      cidrs: [172.20.0.0/16]
      internetGateway: true
      subnets: {a: {zone: a, cidr: 172.20.0.0/24}, b: {zone: b, cidr: 172.20.1.0/24}, c: {zone: c, cidr: 172.20.2.0/24}}
  nodes: [{name: a, count: 3, subnet: a}, {name: b, count: 3, subnet: b}, {name: c, count: 3, subnet: c, labels: {disk: ssd}}]
  pods:
    - {name: all, namespace: shop, labels: {app: web}, perNode: 1}
    - {name: more, namespace: shop, labels: {app: web}, perNode: 1}
    - {name: twice, namespace: shop, labels: {app: db}, perNode: 2}
    - {name: turns, namespace: shop, labels: {app: db}, count: 20}
    - {name: some, namespace: shop, labels: {app: db}, nodes: disk == 'ssd', perNode: 1}
    - {name: one, namespace: shop, labels: {app: db}}
  hosts: [{name: api, ip: 203.0.113.10}]
---
POOL---
""" + POLICY.format(name="q", app="db", peer="web", type="Ingress", port="80")
JOINS = (
    ["nodes.a.count=4"], ["nodes.b.count=4"], ["nodes.c.count=4"], ["nodes.a.count=5"], ["nodes.c.count=5"],
    ["nodes.a.count=4", "nodes.c.count=4"], ["nodes.a.count=2", "nodes.b.count=4"], ["nodes.b.count=2"], ["nodes.c.count=1"])


@pytest.mark.parametrize("kind", [
    pool(at="10.0.0.0/16", size=26), pool(at="10.0.0.0/16", size=26, mode=MODES[3]),               # nobody is in another's way
    pool(at="10.0.0.0/24", size=28), pool(at="10.0.0.0/24", size=30),                          # too small: blocks are lent
], ids=["ipip", "vxlan", "second blocks", "crowded"])
def test_nodes_that_join_and_leave_anywhere_leave_no_trace(folder: Path, kind: str) -> None:
    network = first = load(folder, THREE.replace("POOL", kind))
    assert network.image
    for change in JOINS:
        joined = first.changed(first.scenario.edited(set=change))
        assert_same(joined, Network(joined.scenario))
        assert one_by_one(joined).digest == joined.image.digest
        back = joined.changed(first.scenario)
        assert_same(back, first)
        assert_same(back.changed(joined.scenario), joined)
        network = network.changed(network.scenario.edited(set=change))          # and one after the other
        assert_same(network, Network(network.scenario))


def test_nodes_and_documents_do_not_move_each_others_objects(folder: Path) -> None:
    first = load(folder, TEXT)
    joined, policed = changed(first, "nodes.b.count=3", folder), changed(first, POLICY.format(
        name="p", app="db", peer="web", type="Ingress", port="80"), folder)
    assert joined.intent.policy.chains == first.intent.policy.chains
    assert len(policed.intent.policy.chains) > len(first.intent.policy.chains)
    for one in first.intent.endpoints:
        assert policed.intent.object(one.decided_by) == first.intent.object(one.decided_by)
    for network in (first, joined, policed):
        named = [number for number, one in enumerate(network.intent.objects, start=1) if one != NOBODY]
        assert {one.decided_by for one in network.intent.endpoints} <= {*named}
        assert named[-1] == len(network.intent.objects) and min(
            one.decided_by for one in network.intent.routers) % ROOM == 1


def test_variants_and_steps_share_what_they_have_in_common(folder: Path) -> None:
    steps = "steps: [{title: more, set: {nodes.a.count: 4}}, {title: unchecked, set: {nodes.*.sourceDestCheck: false}}]"
    text = WORLD.format(a=2, b=2, web=2, db=3, pool=pool(mode=MODES[0]))
    scenario = calisim.load(load(folder, text.replace("\n  hosts:", f"\n  {steps}\n  hosts:")).scenario.path)
    parts = Parts()
    for step in (0, 1, 2, 1):
        for variant in BUILT_IN:
            assert_same(Network(scenario, variant, step=step, parts=parts), Network(scenario, variant, step=step))
    second = Network(scenario, "overlay-vxlan", step=1)
    changed = second.changed(second.scenario.edited(set="nodes.a.count=5"))
    assert (changed.variant, changed.step, len(changed.intent.routers)) == ("overlay-vxlan", 1, 7)


def test_back_to_where_it_was_is_the_same_image(folder: Path) -> None:
    first = load(folder, WORLD.format(a=2, b=2, web=2, db=3, pool=pool()))
    joined = first.changed(first.scenario.edited(set="nodes.a.count=3"))
    assert joined.image.digest != first.image.digest
    assert joined.changed(first.scenario).image.digest == first.image.digest


def test_connections_live_on_when_a_node_joins(folder: Path) -> None:
    text = WORLD.format(a=2, b=2, web=1, db=2, pool=pool())
    first = load(folder, text.replace("labels: {disk: ssd}", "sourceDestCheck: false"))

    def packets(network: Network) -> np.ndarray:
        pods = {one.name: one for one in network.intent.endpoints if one.kind is EndpointKind.POD}
        wave = np.zeros(1, PACKET)
        source, target = pods["shop/web-a-1-0"], pods["shop/db-1"]
        wave["ingress"], wave["src"], wave["dst"] = source.id, source.address, target.address
        wave["sport"], wave["dport"], wave["protocol"], wave["ttl"], wave["length"] = 40000, 5432, 17, 64, 100
        return wave

    joined = first.changed(first.scenario.edited(set="nodes.a.count=3"))
    assert packets(joined)["ingress"] != packets(first)["ingress"]                 # ids are other ones, connections are not
    state = first.engine.new_state()
    results = [network.engine.forward(packets(network), state).results[0] for network in (first, joined, joined)]
    assert all(one["verdict"] == Verdict.DELIVERED for one in results)
    assert [bool(one["flags"] & ResultFlag.NEW) for one in results] == [True, False, False]
    fresh = joined.engine.forward(packets(joined), joined.engine.new_state()).results[0]
    assert fresh["flags"] & ResultFlag.NEW
