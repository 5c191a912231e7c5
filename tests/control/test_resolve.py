"""The whole control plane: numbers, MTUs, NAT, flags, deciders, and what it refuses or reports."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha1

import pytest

from calisim.control.mtu import pod_mtu
from calisim.control.owners import owners
from calisim.control.routing import export_allowed
from calisim.errors import ScenarioError
from calisim.quantities import parse_address
from calisim.vocabulary import EndpointKind, RouterFlag, RpFilter
from tests.clusters import FOUR_NODES, TWO_SUBNETS, address, document, intent, lookup, pool

PODS = "  pods:\n    - {name: web, perNode: 1}\n  hosts:\n    - {name: api, ip: 203.0.113.10}\n"


def test_ids_are_nodes_hosts_pods_and_places_follow_the_routers():
    made = intent(FOUR_NODES + PODS, pool())
    assert [endpoint.name for endpoint in made.endpoints] == [
        "node/a-1", "node/a-2", "node/b-1", "node/b-2", "host/api",
        "default/web-a-1-0", "default/web-a-2-0", "default/web-b-1-0", "default/web-b-2-0"]
    assert [endpoint.id for endpoint in made.endpoints] == list(range(1, 10))
    assert made.places == ("a-1", "a-2", "b-1", "b-2", "vpc/prod", "igw/prod")
    assert [endpoint.router for endpoint in made.endpoints] == [1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert made.endpoint(6).kind is EndpointKind.POD
    assert made.fabric.owners == {router.address: router.id for router in made.routers}
    assert made.tunnel_senders == {router.address for router in made.routers}


def test_a_veth_is_named_as_calicos_cni_plugin_names_it():
    made = intent(FOUR_NODES + PODS, pool())
    assert made.endpoint(6).interface == "cali" + sha1(b"default.web-a-1-0").hexdigest()[:11]


@pytest.mark.parametrize("spec,felix,mtus", [
    ({}, {}, (0, 0, 9001)),
    ({"ipipMode": "CrossSubnet"}, {}, (8981, 0, 8981)),
    ({"vxlanMode": "CrossSubnet"}, {}, (0, 8951, 8951)),
    ({"ipipMode": "Always", "disabled": True}, {}, (8981, 0, 8981)),
    ({"ipipMode": "Always"}, {"ipipMTU": 1440}, (1440, 0, 1440)),
    ({"ipipMode": "Always"}, {"vxlanMTU": 1300}, (8981, 0, 8981)),
    ({}, {"vxlanEnabled": True}, (0, 8951, 8951)),
    ({"vxlanMode": "Always"}, {"vxlanMTU": 9999}, (0, 9999, 9999)),
])
def test_mtus(spec, felix, mtus):
    documents = pool(**spec) + (document("FelixConfiguration", **felix) if felix else "")
    router = intent(FOUR_NODES, documents).router(1)
    assert (router.inputs.ipip_mtu, router.inputs.vxlan_mtu, router.pod_mtu) == mtus


def test_pod_mtu_is_the_smallest_of_the_enabled_devices():
    assert pod_mtu(1500, ["ipip", "wg6"], {}) == 1420
    assert pod_mtu(1500, ["ipip", "vxlan"], {"vxlan": 1490}) == 1480


@pytest.mark.parametrize("text,rp_filter,flags", [
    ("", RpFilter.STRICT, RouterFlag.CALICO_FILTER | RouterFlag.RANDOM_FULLY | RouterFlag.PUBLIC),
    ("  settings: {natPorts: keep, rpFilter: loose, filter: none}\n", RpFilter.LOOSE, RouterFlag.PUBLIC),
])
def test_settings_become_flags(text, rp_filter, flags):
    router = intent(text + FOUR_NODES, pool()).router(1)
    assert (router.rp_filter, router.flags) == (rp_filter, flags)


def test_felix_settings_become_flags():
    made = intent(FOUR_NODES, pool() + document(
        "FelixConfiguration", defaultEndpointToHostAction="Drop", natOutgoingExclusions="IPPoolsAndHostIPs"))
    assert made.router(1).flags & (RouterFlag.HOST_ACTION_DROP | RouterFlag.EXCLUDE_HOSTS) == (
        RouterFlag.HOST_ACTION_DROP | RouterFlag.EXCLUDE_HOSTS)
    assert made.nat.hosts == {router.address for router in made.routers}
    bare = intent("  settings: {filter: none}\n" + FOUR_NODES, pool() + document(
        "FelixConfiguration", defaultEndpointToHostAction="Drop"))
    assert not bare.router(1).flags & RouterFlag.HOST_ACTION_DROP             # Felix' chains are not there


def test_nat_goes_by_the_sources_pool_and_spares_every_pool():
    made = intent(FOUR_NODES, pool("192.168.0.0/17", natOutgoing=True) + pool("192.168.128.0/17", "plain")
                  + pool("10.99.0.0/16", "other", disabled=True))
    inside, other = parse_address("192.168.1.1"), parse_address("192.168.200.1")
    outside, node, off = parse_address("8.8.8.8"), parse_address("172.20.32.4"), parse_address("10.99.1.1")
    assert made.nat.matches(inside, outside) and made.nat.matches(inside, node)
    assert not made.nat.matches(other, outside)
    assert not made.nat.matches(inside, other) and not made.nat.matches(inside, off)


def test_external_nodes_may_send_tunnels():
    made = intent(FOUR_NODES + "  hosts:\n    - {name: gw, ip: 198.51.100.7}\n    - {name: stranger, ip: 198.51.101.7}\n",
                  pool() + document("FelixConfiguration", externalNodesList="[198.51.100.0/24]"))
    assert made.tunnel_senders - {router.address for router in made.routers} == {parse_address("198.51.100.7")}


def test_deciders_know_their_place():
    made = intent(FOUR_NODES + PODS, pool(ipipMode="Always"))
    kinds = {decider.kind for decider in made.objects}
    assert {"IPPool", "Node", "SecurityGroup", "SecurityGroupRule", "Route", "Subnet", "Endpoint", "Host"} <= kinds
    node = made.object(made.router(3).decided_by)
    assert (node.kind, node.name, node.mark.line, node.mark.column) == ("Node", "b-1", 14, 55)
    route = next(route for route in made.routes_of(1) if route.interface == "tunl0")
    assert made.object(route.adjacency.decided_by).name == "main"
    assert made.object(route.adjacency.decided_by).mark.line > 13


def test_exhaustion_is_an_outcome_with_reason_and_cure():
    made = intent(FOUR_NODES + "  pods:\n    - {name: web, count: 70}\n", pool("10.9.0.0/26"))
    served = [endpoint for endpoint in made.endpoints if endpoint.kind is EndpointKind.POD and endpoint.address]
    assert len(served) == 64
    assert made.endpoint(made.endpoint_ids["default/web-69"]).address == 0
    assert len(made.failures) == 1
    assert "default/web-64 and 5 others" in made.failures[0] and "make the pool larger" in made.failures[0]


@pytest.mark.parametrize("documents,word", [
    (pool("10.9.0.0/24") + document("IPAMConfiguration", maxBlocksPerHost=1), "maxBlocksPerHost"),
    (pool("10.9.0.0/26") + document("IPAMConfiguration", strictAffinity=True), "strictAffinity"),
    (pool("10.9.0.0/24", nodeSelector="has(gpu)"), "nodeSelector"),
])
def test_each_failure_names_its_cure(documents, word):
    made = intent(FOUR_NODES + "  pods:\n    - {name: web, count: 300}\n", documents)
    assert any(word in text for text in made.failures)


def test_pods_get_what_they_ask_for():
    made = intent(
        FOUR_NODES + "  pods:\n    - {name: first, node: a-1, ip: 10.9.0.77}\n    - {name: second, node: a-1, pools: [spare]}\n"
        "    - {name: third, node: a-1, ip: 10.200.0.1}\n",
        pool("10.9.0.0/24") + pool("10.10.0.0/24", "spare", nodeSelector="has(nobody)"))
    assert address(made, "default/first") == "10.9.0.77"
    assert address(made, "default/second").startswith("10.10.0.")
    assert made.endpoint(made.endpoint_ids["default/third"]).address == 0 and "10.200.0.1" in made.failures[0]


TUNNEL = """\
---
apiVersion: v1
kind: Node
metadata:
  name: a-1
  annotations: {projectcalico.org/IPv4Address: 172.20.32.4/19, projectcalico.org/IPv4IPIPTunnelAddr: 10.9.0.130}
"""


def test_a_documents_tunnel_address_is_kept_while_a_pool_wants_it():
    made = intent(FOUR_NODES, pool("10.9.0.0/24", ipipMode="Always") + TUNNEL)
    assert made.router(1).ipip_address == parse_address("10.9.0.130")
    moved = intent(FOUR_NODES, pool("10.8.0.0/24", ipipMode="Always") + TUNNEL)
    assert moved.router(1).ipip_address in moved.pools[0].prefix
    assert intent(FOUR_NODES, pool("10.9.0.0/24") + TUNNEL).router(1).ipip_address == 0


def test_a_pod_with_a_nodes_address_is_refused_at_the_pool():
    with pytest.raises(ScenarioError) as caught:
        intent(FOUR_NODES + "  pods:\n    - {name: web, count: 80}\n", pool("172.20.32.0/26", blockSize=26))
    problem = caught.value.problems[0]
    assert "IPPool main" in problem.path and "overlaps no subnet" in problem.hint and problem.mark.line > 10


def test_keys_depend_on_the_name_alone():
    few = {router.name: router.key for router in intent(FOUR_NODES, pool()).routers}
    longer = FOUR_NODES.replace("  nodes:\n", "  nodes:\n    - {name: z, count: 3, subnet: a}\n")
    more = {router.name: router.key for router in intent(longer, pool()).routers}
    assert few.items() <= more.items() and len(set(more.values())) == len(more) and 0 not in more.values()


def test_a_down_node_is_down():
    made = intent(TWO_SUBNETS + "  nodes:\n    - {name: n, subnet: a, down: true}\n", pool())
    assert made.router(1).flags & RouterFlag.DOWN


def test_a_pool_that_forbids_tunnels_gives_devices_no_address():
    made = intent(FOUR_NODES, pool("10.9.0.0/24", ipipMode="Always", allowedUses="[Workload]"))
    assert made.router(1).ipip_address == 0 and not made.failures
    both = intent(FOUR_NODES, pool("10.8.0.0/24", "a", ipipMode="Always", allowedUses="[Workload]")
                  + pool("10.9.0.0/24", "b", ipipMode="Always"))
    assert both.router(1).ipip_address in both.pools[1].prefix


OTHER_ADDRESS = """\
---
apiVersion: v1
kind: Node
metadata:
  name: a-1
  annotations: {projectcalico.org/IPv4Address: 172.20.32.77/19}
status: {addresses: [{type: InternalIP, address: 172.20.32.4}]}
"""


def test_others_go_to_the_address_that_calico_recorded_even_if_it_is_not_the_interfaces():
    made = intent(FOUR_NODES + "  pods:\n    - {name: web, node: a-1}\n", pool(ipipMode="Always") + OTHER_ADDRESS)
    assert made.router(1).address == parse_address("172.20.32.4")
    found = lookup(made, 3, address(made, "default/web"))
    assert found.adjacency.next_hop == parse_address("172.20.32.77")
    assert parse_address("172.20.32.77") in made.tunnel_senders


def test_single_addresses_of_disabled_pools_are_not_exported_by_bird():
    one = intent(FOUR_NODES, pool()).pools[0]
    who = owners((3, 32), None, None)
    off = replace(one, disabled=True)
    assert export_allowed(off, who, inside_own_block=True) and not export_allowed(off, who, inside_own_block=False)
    assert export_allowed(replace(off, vxlan="Always"), who, inside_own_block=False)


def test_pods_as_endpoints_and_objects_are_the_same_one_by_one_and_all_together():
    pods = "  pods:\n    - {name: web, count: 3, ports: [{port: 80}], stack: answer}\n    - {name: db, perNode: 1}\n"
    made = intent(FOUR_NODES + pods, pool())
    assert [made.endpoint(endpoint.id) for endpoint in made.endpoints] == list(made.endpoints)
    assert [made.object(number) for number in range(1, len(made.objects) + 1)] == list(made.objects)
    for endpoint in made.endpoints[4:]:
        decider = made.object(endpoint.decided_by)
        assert decider is not None and (decider.kind, decider.name) == ("Endpoint", endpoint.name)
    assert [endpoint.answers for endpoint in made.endpoints[4:]] == [True] * 3 + [False] * 4
    assert [endpoint.ports for endpoint in made.endpoints[4:]] == [((6, 80),)] * 3 + [()] * 4
    for block in made.blocks:
        held = made.allocations[block.prefix]
        assert held and all(made.address_owners[block.prefix.network + ordinal] == number for ordinal, number in held.items())
