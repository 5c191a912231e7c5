"""Counting out, addresses, Node documents and the graph."""

from __future__ import annotations

import pytest

from calisim.errors import ScenarioError
from calisim.quantities import format_address, parse_address
from tests.clusters import FOUR_NODES, TWO_SUBNETS, topology


def addresses(made):
    return {node.name: format_address(node.address) for node in made.entities.nodes}


def test_nodes_are_counted_from_one_and_take_the_addresses_after_the_reserved_ones():
    made = topology(FOUR_NODES)
    assert addresses(made) == {"a-1": "172.20.32.4", "a-2": "172.20.32.5", "b-1": "172.20.64.4", "b-2": "172.20.64.5"}
    first = made.entities.nodes[0]
    assert first.recorded == (parse_address("172.20.32.4"), 19)
    assert format_address(made.entities.subnets["a"].gateway) == "172.20.32.1"
    assert (first.mtu, first.source_dest_check, first.groups) == (9001, False, ("default",))
    assert first.labels == {
        "kubernetes.io/hostname": "a-1", "topology.kubernetes.io/zone": "us-east-1a",
        "topology.kubernetes.io/region": "us-east-1"}


def test_free_addresses_go_round_fixed_ones_and_hosts():
    made = topology(TWO_SUBNETS + """\
  nodes:
    - {name: x, count: 2, subnet: a}
    - {name: fixed, subnet: a, address: 172.20.32.5}
    - {name: row, count: 2, subnet: a, firstAddress: 172.20.32.7}
    - {name: last, subnet: a}
  hosts:
    - {name: inside, ip: 172.20.32.4}
""")
    assert addresses(made) == {
        "x-1": "172.20.32.6", "x-2": "172.20.32.9", "fixed": "172.20.32.5", "row-1": "172.20.32.7", "row-2": "172.20.32.8",
        "last": "172.20.32.10"}


def test_a_subnet_gives_every_address_but_the_five_reserved_ones():
    small = TWO_SUBNETS.replace("172.20.64.0/19", "172.20.64.0/28") + "  nodes:\n    - {name: n, count: 11, subnet: b}\n"
    made = topology(small)
    assert format_address(made.entities.nodes[-1].address) == "172.20.64.14"
    with pytest.raises(ScenarioError, match="subnet b"):
        topology(small.replace("count: 11", "count: 12"))


def test_pods_per_node_counted_and_single():
    made = topology(FOUR_NODES + """\
  pods:
    - {name: web, namespace: shop, perNode: 2, nodes: topology.kubernetes.io/zone == 'us-east-1b'}
    - {name: db, namespace: shop, count: 5}
    - {name: solo}
    - {name: lone}
    - {name: pinned, node: b-2}
    - {name: one, count: 1, node: a-2}
""")
    placed = {pod.id: pod.node for pod in made.entities.pods}
    assert placed == {
        "shop/web-b-1-0": "b-1", "shop/web-b-1-1": "b-1", "shop/web-b-2-0": "b-2", "shop/web-b-2-1": "b-2",
        "shop/db-0": "a-1", "shop/db-1": "a-2", "shop/db-2": "b-1", "shop/db-3": "b-2", "shop/db-4": "a-1",
        "default/solo": "a-1", "default/lone": "a-2", "default/pinned": "b-2", "default/one-0": "a-2"}
    assert made.entities.namespaces["shop"] == {"kubernetes.io/metadata.name": "shop"}


def test_names_do_not_change_when_other_groups_do():
    names = {node.name for node in topology(FOUR_NODES).entities.nodes}
    more = topology(FOUR_NODES.replace("  nodes:\n", "  nodes:\n    - {name: z, count: 3, subnet: a}\n"))
    assert names < {node.name for node in more.entities.nodes}


NODE_DOCUMENT = """\
---
apiVersion: v1
kind: Node
metadata:
  name: a-2
  labels: {disk: ssd}
  annotations:
    projectcalico.org/IPv4Address: 172.20.40.9/32
    projectcalico.org/IPv4IPIPTunnelAddr: 192.168.3.0
---
apiVersion: v1
kind: Node
metadata: {name: stranger}
"""


def test_a_node_document_is_laid_over_the_node_of_its_name():
    made = topology(FOUR_NODES, NODE_DOCUMENT)
    node = made.entities.nodes[1]
    assert format_address(node.address) == "172.20.40.9"
    assert node.recorded == (parse_address("172.20.40.9"), 32)
    assert node.ipip_address == parse_address("192.168.3.0")
    assert node.labels["disk"] == "ssd"
    assert len(made.warnings) == 1 and "stranger" in made.warnings[0]


def test_an_address_outside_the_subnet_is_refused_where_it_is_said():
    with pytest.raises(ScenarioError) as caught:
        topology(FOUR_NODES, NODE_DOCUMENT.replace("172.20.40.9", "172.20.70.9"))
    problem = caught.value.problems[0]
    assert "172.20.70.9" in problem.message and problem.mark.line == 16 and "172.20.32.4 to" in problem.hint


def test_two_pods_of_one_name_are_refused():
    with pytest.raises(ScenarioError, match="two pods"):
        topology(FOUR_NODES + "  pods:\n    - {name: web, perNode: 1}\n    - {name: web-a-1-0}\n")


def test_a_selector_that_chooses_no_node_is_refused():
    with pytest.raises(ScenarioError, match="no node is there"):
        topology(FOUR_NODES + "  pods:\n    - {name: web, perNode: 1, nodes: has(nothing)}\n")


def test_providers_differ_in_check_groups_gateway_and_reserved_addresses():
    made = topology(FOUR_NODES.replace("  vpcs:", "  provider: linux\n  vpcs:", 1).replace(", sourceDestCheck: false", ""))
    node = made.entities.nodes[0]
    assert (node.mtu, node.source_dest_check, node.groups, node.public_address) == (1500, False, (), None)
    assert format_address(node.address) == "172.20.32.2"
    assert not made.entities.vpcs["prod"].internet_gateway
    aws = topology(FOUR_NODES.replace(", sourceDestCheck: false", "")).entities.nodes[0]
    assert aws.source_dest_check and aws.public_address == 0


def test_nodes_without_groups_are_in_the_default_group_of_their_vpc():
    group = topology(FOUR_NODES).entities.vpcs["prod"].groups["default"]
    assert [rule.group for rule in group.ingress] == ["default"]
    assert [str(rule.prefix) for rule in group.egress] == ["0.0.0.0/0"]


def test_public_addresses():
    made = topology(TWO_SUBNETS + """\
  nodes:
    - {name: silent, subnet: a}
    - {name: private, subnet: a, publicIP: false}
    - {name: public, subnet: a, publicIP: true}
    - {name: known, subnet: a, publicIP: 203.0.113.9}
""")
    assert [node.public_address for node in made.entities.nodes] == [0, None, 0, parse_address("203.0.113.9")]
    assert [text for text in made.assumptions if "publicIP" in text and "(silent)" in text]


def test_long_lists_of_assumptions_are_cut():
    groups = "".join(f"    - {{name: n{number}, subnet: a}}\n" for number in range(30))
    said = next(text for text in topology(TWO_SUBNETS + "  nodes:\n" + groups).assumptions if "publicIP" in text)
    assert said.endswith("(n0, n1, n2, n3, n4, n5, n6, n7 and 22 more).")


def test_the_graph_joins_pods_to_the_outside():
    import networkx

    made = topology(FOUR_NODES + """\
  pods: [{name: web, perNode: 1}]
  hosts: [{name: api, ip: 203.0.113.10}, {name: box, ip: 172.20.32.200}]
""")
    path = networkx.shortest_path(made.graph, "pod/default/web-b-2-0", "host/api")
    assert path == ["pod/default/web-b-2-0", "node/b-2", "subnet/b", "router/prod", "igw/prod", "host/api"]
    assert made.graph.edges["subnet/a", "node/a-1"]["source_dest_check"] is False
    assert made.graph.has_edge("subnet/a", "host/box")
    assert made.graph is made.graph


POD_DOCUMENTS = """\
---
apiVersion: v1
kind: Pod
metadata: {name: placed, namespace: shop, labels: {app: x}, annotations: {cni.projectcalico.org/ipAddrs: '["192.168.9.9"]'}}
spec: {nodeName: b-1, containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: floating}
spec: {containers: []}
"""


def test_pod_documents_run_where_they_say_or_in_turn():
    made = topology(FOUR_NODES + "  pods: [{name: solo}]\n", POD_DOCUMENTS)
    solo, placed, floating = made.entities.pods
    assert (solo.node, placed.node, floating.node) == ("a-1", "b-1", "a-2")
    assert placed.address == parse_address("192.168.9.9") and placed.labels == {"app": "x"}
    assert [(port.name, port.port) for port in placed.ports] == [("http", 80)]
    with pytest.raises(ScenarioError, match="no node elsewhere"):
        topology(FOUR_NODES, POD_DOCUMENTS.replace("nodeName: b-1", "nodeName: elsewhere"))
