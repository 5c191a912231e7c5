"""Who stands behind a service and where it is found: selectors, slices, readiness, policies, addresses given out."""

from __future__ import annotations

import pytest

from calisim.control.intent import Intent, ServicePort
from calisim.errors import ScenarioError
from calisim.quantities import format_address, parse_address, parse_prefix
from tests.clusters import FOUR_NODES, address, intent, pool
from tests.scenario.test_services import proxy

PODS = """\
  pods:
    - {name: web, namespace: shop, labels: {app: web, tier: front}, count: 3, ports: [{name: http, port: 8080}]}
    - {name: db, namespace: shop, labels: {app: db}, node: b-2, ports: [{name: http, port: 9090}, {name: pg, port: 5432}]}
    - {name: web, namespace: other, labels: {app: web}}
"""


def service(spec: str, name: str = "web", status: str = "") -> str:
    return f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{{spec}}}\n{status}"


def slice_of(endpoints: str, ports: str = "[{port: 8080}]", name: str = "web") -> str:
    return (
        f"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}-{len(endpoints)}, namespace: shop, "
        f"labels: {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\nports: {ports}\nendpoints: {endpoints}\n")


def pod(name: str, more: str = "", status: str = "", labels: str = "{app: x}") -> str:
    return (f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {labels}{more}}}\n"
            f"spec: {{nodeName: a-1}}\nstatus: {{{status}}}\n")


def made(*documents: str, spec: str = FOUR_NODES + PODS) -> Intent:
    return intent(spec, pool() + "".join(documents))


def only(cluster: Intent) -> ServicePort:
    (port,) = cluster.services.ports
    return port


def behind(cluster: Intent, port: ServicePort | None = None) -> list[tuple[str, int]]:
    """Endpoints by name (an address that nobody has: as it is) and port."""
    owners = cluster.address_owners
    return [
        (cluster.endpoint(owners[one.address]).name if one.address in owners else format_address(one.address), one.port)
        for one in (port or only(cluster)).backends]


def found(cluster: Intent) -> list[tuple[str, int, int, bool, bool]]:
    return [
        (format_address(one.address) if one.address else "nodes", one.protocol, one.port, one.external, one.local)
        for one in cluster.services.frontends]


# ---- who stands behind it ----------------------------------------------------------------------------------------------


def test_a_selector_chooses_pods_of_its_own_namespace_in_the_order_of_their_texts():
    cluster = made(service("selector: {app: web}, ports: [{port: 80, targetPort: http}]"))
    names = behind(cluster)
    assert sorted(names) == [("shop/web-0", 8080), ("shop/web-1", 8080), ("shop/web-2", 8080)]
    texts = [f"{format_address(one.address)}:{one.port}" for one in only(cluster).backends]
    assert texts == sorted(texts)
    nodes = {one.address: one.router for one in only(cluster).backends}
    assert nodes == {cluster.endpoint(cluster.endpoint_ids[name]).address: cluster.endpoint(cluster.endpoint_ids[name]).router
                     for name, _ in names}


def test_a_port_by_name_is_each_pods_own_and_pods_without_it_are_left_out():
    cluster = made(service("selector: {}, ports: [{port: 80, targetPort: http}]", name="none"),
                   service("selector: {tier: front}, ports: [{port: 80, targetPort: pg}]", name="wrong"),
                   service("selector: {app: db}, ports: [{name: a, port: 80, targetPort: http}, "
                           "{name: b, port: 5432, targetPort: pg}]"))
    none, wrong, first, second = cluster.services.ports
    assert behind(cluster, none) == behind(cluster, wrong) == []
    assert (behind(cluster, first), behind(cluster, second)) == ([("shop/db", 9090)], [("shop/db", 5432)])


@pytest.mark.parametrize(("documents", "names"), [
    ([pod("a"), pod("b", status='conditions: [{type: Ready, status: "False"}]')], ["a"]),
    ([pod("a", status='conditions: [{type: Ready, status: "False"}]')], []),
    ([pod("a"), pod("b", more=", deletionTimestamp: now")], ["a"]),
    ([pod("a", status='conditions: [{type: Ready, status: "False"}]'), pod("b", more=", deletionTimestamp: now")], ["b"]),
])
def test_ready_pods_serve_and_leaving_ones_if_there_is_no_other(documents, names):
    cluster = made(*documents, service("selector: {app: x}, ports: [{port: 80}]"))
    assert behind(cluster) == [(f"shop/{name}", 80) for name in names]


def test_not_ready_addresses_are_published_on_demand():
    unready = pod("a", status='conditions: [{type: Ready, status: "False"}]')
    cluster = made(unready, service("selector: {app: x}, publishNotReadyAddresses: true, ports: [{port: 80}]"))
    assert behind(cluster) == [("shop/a", 80)]


def test_slices_win_over_the_selector_and_name_pods_of_this_cluster():
    endpoints = ("[{addresses: [1.2.3.4], nodeName: b-2, targetRef: {kind: Pod, name: db}}, {addresses: [198.51.100.9]}, "
                 "{addresses: [198.51.100.8], conditions: {ready: false}}]")
    cluster = made(service("selector: {app: web}, ports: [{port: 80}]"), slice_of(endpoints, "[{port: 81}]"))
    assert sorted(behind(cluster)) == [("198.51.100.9", 81), ("shop/db", 81)]
    assert {one.router for one in only(cluster).own} == {0, 4}            # 0: nobody's own


def test_slices_match_a_port_by_name_and_protocol_and_their_endpoints_count_once():
    cluster = made(
        service("ports: [{name: a, port: 80}, {name: a2, port: 81}, {name: b, port: 80, protocol: UDP}]"),
        slice_of("[{addresses: [10.9.0.1]}, {addresses: [10.9.0.2], conditions: {ready: false}}]", "[{name: a, port: 8080}]"),
        slice_of("[{addresses: [10.9.0.2]} , {addresses: [10.9.0.10]}]",
                 "[{name: a, port: 8080}, {name: b, port: 53, protocol: UDP}]"))
    a, a2, b = cluster.services.ports
    assert behind(cluster, a) == [("10.9.0.10", 8080), ("10.9.0.1", 8080), ("10.9.0.2", 8080)]      # "…0:8080" before "…:8080"
    assert behind(cluster, a2) == [] and behind(cluster, b) == [("10.9.0.10", 53), ("10.9.0.2", 53)]


def test_a_node_whose_only_endpoint_is_leaving_still_serves_its_own_traffic():
    """KEP-1669: local endpoints fall back by themselves."""
    endpoints = ("[{addresses: [10.9.0.1], nodeName: a-1}, {addresses: [10.9.0.2], nodeName: a-2, "
                 "conditions: {ready: false, serving: true, terminating: true}}]")
    port = only(made(service("externalTrafficPolicy: Local, type: NodePort, ports: [{port: 80}]"), slice_of(endpoints)))
    assert [format_address(one.address) for one in port.backends] == ["10.9.0.1"]
    assert sorted((one.router, format_address(one.address)) for one in port.own) == [(1, "10.9.0.1"), (2, "10.9.0.2")]


def test_pods_on_the_host_network_stand_behind_a_service_with_their_nodes_address():
    on_host = ("---\napiVersion: v1\nkind: Pod\nmetadata: {name: gw, namespace: shop, labels: {app: gw}}\n"
               "spec: {nodeName: b-1, hostNetwork: true}\n")
    assert behind(made(on_host, service("selector: {app: gw}, ports: [{port: 443}]"))) == [("node/b-1", 443)]


# ---- where it is found -------------------------------------------------------------------------------------------------


def test_a_balancer_is_found_in_four_places():
    spec = ("type: LoadBalancer, clusterIP: 10.96.0.10, externalIPs: [198.51.100.7], externalTrafficPolicy: Local, "
            "loadBalancerSourceRanges: [198.51.100.0/24], selector: {app: web}, sessionAffinity: ClientIP, "
            "ports: [{port: 80, targetPort: 8080, nodePort: 30080}]")
    cluster = made(service(spec, status="status: {loadBalancer: {ingress: [{ip: 203.0.113.5}]}}\n"))
    assert found(cluster) == [
        ("10.96.0.10", 6, 80, False, False), ("198.51.100.7", 6, 80, True, True), ("203.0.113.5", 6, 80, True, True),
        ("nodes", 6, 30080, True, True)]
    assert [one.sources for one in cluster.services.frontends] == [None, None, (parse_prefix("198.51.100.0/24"),), None]
    assert only(cluster).affinity == 10_800 * 10**9 and only(cluster).name == "shop/web:80"
    decider = cluster.object(only(cluster).decided_by)
    assert (decider.kind, decider.name) == ("Service", "shop/web") and decider.mark.line > 1


def test_internal_local_concerns_the_cluster_ip_only():
    cluster = made(service(
        "type: NodePort, clusterIP: 10.96.0.10, internalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30080}]"))
    assert found(cluster) == [("10.96.0.10", 6, 80, False, True), ("nodes", 6, 30080, True, False)]


def test_addresses_and_node_ports_that_nobody_says_are_given_by_name():
    spec = "type: NodePort, ports: [{port: 80}]"
    alone, among = made(service(spec)), made(service(spec, name="a"), service(spec), service(spec, name="z"))
    own, places = found(alone), found(among)
    assert len(set(places)) == 6 and set(own) <= set(places)
    cluster_ip, node_port = alone.services.frontends
    assert cluster_ip.address in parse_prefix("10.96.0.0/12") and 30000 <= node_port.port <= 32767
    assert any("10.96.0.0/12" in sentence for sentence in alone.assumptions)
    ranged = made("---\napiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: kubernetes}\n"
                  "spec: {cidrs: [100.64.0.0/29]}\n", *(service("ports: [{port: 80}]", name=f"s{n}") for n in range(5)))
    assert {one.address for one in ranged.services.frontends} == {parse_address(f"100.64.0.{n}") for n in range(2, 7)}


@pytest.mark.parametrize(("documents", "told"), [
    ([service("clusterIP: 10.96.0.10, ports: [{port: 80}]"), service("clusterIP: 10.96.0.10, ports: [{port: 80}]", name="b")],
     "10.96.0.10 port 80 belongs to the service shop/web"),
    ([service("type: NodePort, ports: [{port: 80, nodePort: 30001}]"),
      service("type: NodePort, ports: [{port: 81, nodePort: 30001}]", name="b")], "node port 30001 belongs to"),
    (["---\napiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: k}\nspec: {cidrs: [100.64.0.0/24]}\n",
      service("clusterIP: 10.96.0.10, ports: [{port: 80}]")], "10.96.0.10 lies in no ServiceCIDR"),
    (["---\napiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: k}\nspec: {cidrs: [100.64.0.0/30]}\n",
      service("ports: [{port: 80}]"), service("ports: [{port: 80}]", name="b")], "no address of 100.64.0.0/30 is free"),
])
def test_two_services_cannot_have_one_place(documents, told):
    with pytest.raises(ScenarioError) as caught:
        made(*documents)
    (problem,) = caught.value.problems
    assert told in problem.message and problem.hint and problem.mark.line > 1


def test_a_name_stands_for_the_cluster_ip_or_for_the_pods_of_a_headless_service():
    cluster = made(
        service("clusterIP: 10.96.0.10, ports: [{name: a, port: 80}, {name: b, port: 53, protocol: UDP}]"),
        service("clusterIP: None, selector: {app: db}, ports: [{port: 5432}]", name="db"),
        service("type: ExternalName, externalName: example.org", name="out"))
    assert cluster.service_names["svc/shop/web"].addresses == (parse_address("10.96.0.10"),)
    assert cluster.service_names["svc/shop/web"].ports == (("a", 6, 80), ("b", 17, 53))
    assert [format_address(one) for one in cluster.service_names["svc/shop/db"].addresses] == [address(cluster, "shop/db")]
    assert "svc/shop/out" not in cluster.service_names
    assert [one.address for one in cluster.services.frontends] == [parse_address("10.96.0.10")] * 2


def test_keys_depend_on_the_name_alone():
    spec = "ports: [{name: a, port: 80}, {name: b, port: 80, protocol: UDP}]"
    alone, among = made(service(spec)), made(service(spec, name="a"), service(spec))
    assert [port.key for port in alone.services.ports] == [port.key for port in among.services.ports[2:]]
    assert len({port.key for port in among.services.ports}) == 4


def test_kube_proxys_configuration_reaches_the_nodes_and_its_absence_is_said():
    cluster = made(service("ports: [{port: 80}]"), proxy("clusterCIDR: 10.0.0.0/8\niptables: {masqueradeAll: true}"))
    assert cluster.services.pods == (parse_prefix("10.0.0.0/8"),) and cluster.services.masquerade_all
    assert not any("clusterCIDR" in sentence for sentence in cluster.assumptions)
    assert any("clusterCIDR" in sentence for sentence in made(service("ports: [{port: 80}]")).assumptions)
    assert not any("kube-proxy" in sentence for sentence in made().assumptions)


def test_sctp_and_services_without_ports_are_no_frontends():
    assert found(made(service("clusterIP: 10.96.0.10, ports: [{port: 80, protocol: SCTP}]"))) == []


def test_a_headless_services_pods_count_in_the_size_of_a_traffic_set():
    spec = FOUR_NODES + PODS.replace("count: 3", "count: 100") + (
        "  limits: {packets: 99}\n  traffic:\n    - {name: one, from: shop/db, to: svc/shop/web, port: 80}\n")
    with pytest.raises(ScenarioError, match="makes 100 packets"):
        made(service("clusterIP: None, selector: {app: web}, ports: [{port: 80}]"), spec=spec)
    assert made(service("selector: {app: web}, ports: [{port: 80}]"), spec=spec)
