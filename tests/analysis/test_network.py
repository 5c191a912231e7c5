"""A changed network is what a full build of the changed scenario is, whatever it took over; its state lives on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import calisim
from calisim.analysis.network import Network
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
    - {{name: one, labels: {{app: web}}}}
  hosts: [{{name: api, ip: 203.0.113.10}}]
---
{pool}---
apiVersion: v1
kind: Service
metadata: {{name: db, namespace: shop}}
spec: {{selector: {{app: db}}, ports: [{{port: 80, targetPort: pg}}]}}
"""
POOL = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: {name}}}
spec: {{cidr: {cidr}, blockSize: {size}, {mode}, natOutgoing: {nat}, disableBGPExport: {hidden}, nodeSelector: "{nodes}"}}
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
HOST_ENDPOINT = """\
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: first, labels: {role: node}}
spec: {node: a-1, interfaceName: eth0}
"""
FELIX = """\
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {ipipMTU: 1400, natOutgoingExclusions: IPPoolsAndHostIPs, awsSrcDstCheck: Disable}
"""
flags = st.sampled_from(["true", "false"])
pools = st.builds(
    POOL.format, name=st.sampled_from(["main", "main", "other"]), cidr=st.just("192.168.0.0/24"), size=st.sampled_from([26, 28]),
    mode=st.sampled_from(MODES), nat=flags, hidden=flags, nodes=st.sampled_from(["all()", "all()", "disk == 'ssd'"]))
policies = st.builds(
    POLICY.format, name=st.sampled_from(["p", "q"]), app=st.sampled_from(["web", "db"]), peer=st.sampled_from(["web", "db"]),
    type=st.sampled_from(["Ingress", "Egress"]), port=st.sampled_from(["80", "pg"]))
documents = st.one_of(pools.filter(lambda text: "name: main" in text), policies, st.sampled_from([HOST_ENDPOINT, FELIX]))
assignments = st.one_of(
    st.builds("nodes.a.count={}".format, st.integers(1, 6)), st.builds("nodes.b.count={}".format, st.integers(1, 6)),
    st.builds("nodes.{}.down={}".format, st.sampled_from("ab"), flags),
    st.builds("nodes.{}.sourceDestCheck={}".format, st.sampled_from("ab*"), flags),
    st.builds("pods.web.perNode={}".format, st.integers(1, 20)), st.builds("pods.db.count={}".format, st.integers(0, 9)),
    st.builds("settings.rpFilter={}".format, st.sampled_from(["strict", "loose", "off"])),
    st.builds("settings.filter={}".format, st.sampled_from(["calico", "none"])),
    st.builds("settings.stack={}".format, st.sampled_from(["answer", "silent"])),
    st.builds("seed={}".format, st.integers(1, 3)), st.just("provider=linux"), st.just("nodes.a.mtu=1400"))
worlds = st.builds(
    WORLD.format, a=st.integers(1, 4), b=st.integers(1, 3), web=st.integers(1, 3), db=st.integers(0, 5),
    pool=pools.filter(lambda text: "name: main" in text))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def load(folder: Path, text: str) -> Network:
    path = folder / "world.yaml"
    path.write_text(text)
    return calisim.load(path).build()


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=worlds, changes=st.lists(st.one_of(assignments, documents), min_size=1, max_size=4))
def test_what_changes_one_after_the_other_is_what_is_built_from_nothing(folder: Path, text: str, changes: Sequence[str]) -> None:
    network = load(folder, text)
    built = [network]
    for number, change in enumerate(changes):
        if "\n" in change:
            path = folder / f"{number}.yaml"
            path.write_text(change)
            scenario = network.scenario.edited(apply=path)
        else:
            scenario = network.scenario.edited(set=change)
        network = network.changed(scenario)
        assert network.image
        built.append(network)
    for one in built:                                       # those before are as they were
        assert_same(one, one.scenario.build())


def test_back_to_where_it_was_is_the_same_image(folder: Path) -> None:
    first = load(folder, WORLD.format(a=2, b=2, web=2, db=3, pool=POOL.format(
        name="main", cidr="192.168.0.0/24", size=26, mode=MODES[1], nat="true", hidden="false", nodes="all()")))
    joined = first.changed(first.scenario.edited(set="nodes.a.count=3"))
    assert joined.image.digest != first.image.digest
    assert joined.changed(first.scenario).image.digest == first.image.digest


def test_connections_live_on_when_a_node_joins(folder: Path) -> None:
    text = WORLD.format(a=2, b=2, web=1, db=2, pool=POOL.format(
        name="main", cidr="192.168.0.0/24", size=26, mode=MODES[1], nat="true", hidden="false", nodes="all()"))
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
