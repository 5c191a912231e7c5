"""Service documents to resources: what is read, what Kubernetes would refuse, what is only said."""

from __future__ import annotations

import pytest

from calisim.quantities import parse_address, parse_prefix
from calisim.scenario.resources import KubeProxyResource, ServicePort
from tests.scenario.test_manifests import clean, convert, problems_of


def service(spec: str, more: str = "") -> str:
    return f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: shop}}\nspec: {{{spec}}}\n{more}"


def slice_of(endpoints: str, ports: str = "[{name: http, port: 8080}]", address_type: str = "IPv4") -> str:
    return (
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {name: web-abc, namespace: shop, labels: {kubernetes.io/service-name: web}}\n"
        f"addressType: {address_type}\nports: {ports}\nendpoints: {endpoints}\n")


def proxy(fields: str) -> str:
    return f"---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n{fields}\n"


def test_a_service_has_kubernetes_defaults():
    (found,) = clean(service("selector: {app: web}, ports: [{port: 80}, {port: 53, protocol: UDP}]".replace(
        "{port: 80}", "{port: 80, name: http, targetPort: web}").replace("{port: 53,", "{port: 53, name: dns,"))).services
    assert found.ports == (ServicePort("http", "TCP", 80, "web"), ServicePort("dns", "UDP", 53, 53))
    assert (found.type, found.cluster_ip, found.headless, found.selector) == ("ClusterIP", None, False, {"app": "web"})
    assert (found.affinity, found.internal_local, found.external_local, found.node_ports) == (0, False, False, False)


def test_everything_that_moves_packets_is_read():
    (found,) = clean(service(
        "type: LoadBalancer, clusterIP: 10.96.0.10, externalIPs: [198.51.100.7, '2001:db8::1'], sessionAffinity: ClientIP, "
        "sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}, internalTrafficPolicy: Local, externalTrafficPolicy: Local, "
        "loadBalancerSourceRanges: [198.51.100.0/24], publishNotReadyAddresses: true, ports: [{port: 80, nodePort: 30080}]",
        "status: {loadBalancer: {ingress: [{ip: 203.0.113.5}, {ip: 203.0.113.6, ipMode: Proxy}, {hostname: lb.example}]}}\n",
    )).services
    assert found.cluster_ip == parse_address("10.96.0.10") and found.external_ips == (parse_address("198.51.100.7"),)
    assert found.load_balancer_ips == (parse_address("203.0.113.5"),)
    assert found.source_ranges == (parse_prefix("198.51.100.0/24"),)
    assert (found.affinity, found.internal_local, found.external_local, found.publish_not_ready) == (60, True, True, True)
    assert found.node_ports and found.ports[0].node_port == 30080


@pytest.mark.parametrize(("spec", "addresses", "node_ports"), [
    ("type: LoadBalancer, loadBalancerIP: 203.0.113.5, ports: [{port: 80}]", 1, True),
    ("type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 80}]", 0, False),
    ("type: ClusterIP, loadBalancerIP: 203.0.113.5, ports: [{port: 80}]", 0, False),
    ("type: NodePort, ports: [{port: 80}]", 0, True),
])
def test_a_balancers_address_is_asked_for_where_no_status_gives_one(spec, addresses, node_ports):
    (found,) = clean(service(spec)).services
    assert (len(found.load_balancer_ips), found.node_ports) == (addresses, node_ports)


def test_headless_and_external_name():
    (headless,) = clean(service("clusterIP: None, selector: {app: web}")).services
    assert headless.headless and headless.cluster_ip is None and headless.ports == ()
    (named,) = clean(service("type: ExternalName, externalName: example.org")).services
    assert named.type == "ExternalName"


@pytest.mark.parametrize(("spec", "line"), [
    ("selector: {app: web}", "spec: ports is missing"),
    ("ports: [{targetPort: 80}]", "spec.ports[0]: port is missing"),
    ("ports: [{port: 0}]", "spec.ports[0].port: 0 lies outside 1..65535"),
    ("ports: [{port: 80, targetPort: UPPER}]", "spec.ports[0].targetPort: UPPER is not a port name"),
    ("ports: [{port: 80}, {port: 81}]", "spec.ports[0]: a service with several ports names each of them"),
    ("ports: [{name: a, port: 80}, {name: a, port: 81}]", "spec.ports[1].name: two ports are called a"),
    ("ports: [{name: a, port: 80}, {name: b, port: 80}]", "spec.ports[1].port: TCP port 80 is said twice"),
    ("ports: [{port: 80, nodePort: 30080}]", "spec.ports[0].nodePort: a ClusterIP service has no node ports"),
    ("type: NodePort, clusterIP: None, ports: [{port: 80}]", "spec.clusterIP: a NodePort service cannot be headless"),
    ("clusterIP: none, ports: [{port: 80}]", "spec.clusterIP: none is not an IP address"),
    ("externalTrafficPolicy: Local, ports: [{port: 80}]", "spec.externalTrafficPolicy: nothing comes from outside"),
    ("type: Clusterip, ports: [{port: 80}]", "spec.type: Clusterip is not one of"),
    ("sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}, ports: [{port: 80}]",
     "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 lies outside 1..86400"),
    ("type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.1/8], ports: [{port: 80}]",
     "spec.loadBalancerSourceRanges[0]: 10.0.0.1/8"),
    ("ports: 80", "spec.ports: 80 is not a list"), ("ports: [80]", "spec.ports[0]: 80 is not a mapping"),
    ("selector: [a], ports: [{port: 80}]", "spec.selector: ['a'] is not a mapping"),
])
def test_what_kubernetes_refuses(spec, line):
    told = [f"{path}: {message}" for _, _, path, message, _ in problems_of(service(spec))]
    assert any(one.startswith(line) for one in told), told


def test_a_slice_is_read_with_its_conditions():
    resources = clean(slice_of(
        "[{addresses: [10.0.0.5], nodeName: n1, targetRef: {kind: Pod, name: web-0}},"
        " {addresses: [10.0.0.6], conditions: {ready: false}},"
        " {addresses: [10.0.0.7], conditions: {ready: false, serving: true, terminating: true}}]"))
    (found,) = resources.service_endpoints
    assert (found.service, found.namespace, found.ports) == ("web", "shop", (("http", "TCP", 8080),))
    assert [(one.ready, one.leaving) for one in found.endpoints] == [(True, False), (False, False), (False, True)]
    assert (found.endpoints[0].node, found.endpoints[0].pod, found.endpoints[1].pod) == ("n1", "shop/web-0", "")


def test_endpoints_count_where_no_slice_says_better():
    plain = """---
apiVersion: v1
kind: Endpoints
metadata: {name: web, namespace: shop}
subsets:
  - {addresses: [{ip: 10.0.0.8, nodeName: n2}], notReadyAddresses: [{ip: 10.0.0.9}], ports: [{port: 81}]}
"""
    (alone,) = clean(plain).service_endpoints
    assert alone.ports == (("", "TCP", 81),) and [one.ready for one in alone.endpoints] == [True, False]
    (sliced,) = clean(plain + slice_of("[{addresses: [10.0.0.5]}]")).service_endpoints
    assert sliced.endpoints[0].address == parse_address("10.0.0.5")


@pytest.mark.parametrize(("document", "told"), [
    (slice_of("[{addresses: [10.0.0.300]}]"), "endpoints[0].addresses[0]: 10.0.0.300 is not an IP address"),
    (slice_of("[{addresses: ['2001:db8::1']}]"), "endpoints[0].addresses[0]:"),
    (slice_of("[{addresses: []}]"), "endpoints[0].addresses: the list has 0 entries"),
    (slice_of("[]", ports="[{name: a}]"), "ports[0]: port is missing"),
    (proxy("clusterCIDR: 10.0.0.0"), "clusterCIDR: 10.0.0.0 has no prefix length"),
    (proxy("iptables: {masqueradeAll: 'yes'}"), "iptables.masqueradeAll: yes is neither true nor false"),
    (proxy("mode: iptables") + proxy("mode: iptables"), ": kube-proxy is configured twice"),
    ("---\napiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: kubernetes}\nspec: {cidrs: []}\n",
     "spec.cidrs: the list"),
])
def test_what_else_is_refused(document, told):
    found = [f"{path}: {message}" for _, _, path, message, _ in problems_of(document)]
    assert any(one.startswith(told) for one in found), found


@pytest.mark.parametrize(("document", "said"), [
    (slice_of("[{addresses: ['2001:db8::1']}]", address_type="IPv6"), "left aside"),
    (service("ports: [{port: 80, protocol: SCTP}]"), "SCTP"),
    (proxy("mode: ipvs"), "mode ipvs is not modelled"), (proxy("detectLocalMode: NodeCIDR"), "NodeCIDR is not modelled"),
])
def test_what_is_left_aside_is_said(document, said):
    _, warnings, problems = convert(document)
    assert problems == [] and len(warnings) == 1 and said in warnings[0]


@pytest.mark.parametrize(("fields", "expected"), [
    ("mode: ''", KubeProxyResource()),
    ("clusterCIDR: '10.0.0.0/8,2001:db8::/32'", KubeProxyResource(pods=(parse_prefix("10.0.0.0/8"),))),
    ("{detectLocalMode: InterfaceNamePrefix, detectLocal: {interfaceNamePrefix: cali}, clusterCIDR: 10.0.0.0/8}",
     KubeProxyResource(by_interface=True)),
    ("{detectLocalMode: InterfaceNamePrefix, detectLocal: {interfaceNamePrefix: veth}}", KubeProxyResource(pods=())),
    ("{detectLocalMode: BridgeInterface, detectLocal: {bridgeInterface: cbr0}}", KubeProxyResource(pods=())),
    ("{iptables: {masqueradeAll: true}, nodePortAddresses: [172.20.0.0/16]}",
     KubeProxyResource(masquerade_all=True, node_addresses=(parse_prefix("172.20.0.0/16"),))),
])
def test_how_kube_proxy_tells_traffic_apart(fields, expected):
    text = proxy(fields) if not fields.startswith("{") else proxy(fields[1:-1].replace(", clusterCIDR", "\nclusterCIDR").replace(
        ", detectLocal:", "\ndetectLocal:").replace(", nodePort", "\nnodePort"))
    found = clean(text).kube_proxy
    assert (found.pods, found.by_interface, found.masquerade_all, found.node_addresses) == (
        expected.pods, expected.by_interface, expected.masquerade_all, expected.node_addresses)


def test_readiness_of_pods_and_those_on_the_host_network():
    resources, _, problems = convert("""
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: n}, status: {conditions: [{type: Ready, status: "False"}]}}
  - {apiVersion: v1, kind: Pod, metadata: {name: b, deletionTimestamp: "2026-01-01T00:00:00Z"}, spec: {nodeName: n}}
  - {apiVersion: v1, kind: Pod, metadata: {name: c, labels: {app: x}}, spec: {nodeName: n, hostNetwork: true}}
  - {apiVersion: v1, kind: Pod, metadata: {name: d}, spec: {nodeName: n, hostNetwork: true}, status: {phase: Failed}}
""")
    assert problems == []
    assert [(pod.name, pod.ready, pod.leaving) for pod in resources.pods] == [("a", False, False), ("b", True, True)]
    assert [pod.name for pod in resources.host_pods] == ["c"]
