"""Services and what they rest on → resources: Service, EndpointSlice, Endpoints, KubeProxyConfiguration, ServiceCIDR.

What kube-proxy and Kubernetes' validation read must be right; other fields pass. IPv6 entries are left aside. Which
endpoints a selector chooses is :mod:`calisim.control.services`' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import Mark
from ..quantities import PROTOCOLS, Prefix, parse_address, parse_prefix
from .calico.rules import Fault, Faults, Rule, boolean, integer, many, one_of, said, table, text
from .calico.values import IS_ADDRESS, IS_ADDRESS_V4, IS_CIDR, IS_DNS_LABEL, IS_LABEL_KEY, IS_LABEL_VALUE, IS_NAME, IS_PORT_NAME
from .kubernetes import excerpt
from .resources import KubeProxyResource, ServiceEndpoint, ServiceEndpoints, ServicePort, ServiceResource

SERVICE_NAME = "kubernetes.io/service-name"             # label of a slice
NODE_PORTS = range(30000, 32768)                        # --service-node-port-range
DEFAULT_RANGE = Prefix(0x0A600000, 12)                  # 10.96.0.0/12, as kubeadm has it
DEFAULT_AFFINITY = 10_800                               # seconds
HEADLESS = "None"

# --- rules ----------------------------------------------------------------------------------------------------------

_PROTOCOL = one_of("TCP", "UDP", "SCTP")
_PORT_NUMBER = integer(1, 65535)
_POLICY = one_of("Cluster", "Local")


def _metadata(**fields: Rule) -> Rule:
    labels = table(IS_LABEL_KEY, IS_LABEL_VALUE)
    return excerpt({"name": IS_NAME, "namespace": IS_DNS_LABEL, "labels": labels, **fields}, required=("name",))


def _target_port(value: Any) -> Faults:
    yield from IS_PORT_NAME(value) if isinstance(value, str) else _PORT_NUMBER(value)


def _cluster_ip(value: Any) -> Faults:
    if value != HEADLESS:
        yield from IS_ADDRESS(value)


def _cidrs(value: Any) -> Faults:
    """clusterCIDR: CIDRs with commas between them."""
    for part in value.split(",") if isinstance(value, str) else [value]:
        yield from IS_CIDR(part.strip() if isinstance(part, str) else part)


def _ports_apart(value: Any) -> Faults:
    """What Kubernetes asks of the ports of a service together."""
    ports = (value or {}).get("ports") if isinstance(value, Mapping) else None
    if not isinstance(ports, list) or not all(isinstance(port, Mapping) for port in ports):
        return
    seen: dict[tuple[str, Any], int] = {}
    names: set[str] = set()
    for position, port in enumerate(ports):
        if len(ports) > 1 and not said(port, "name"):
            yield Fault("a service with several ports names each of them", "add name:", ("ports", position))
        if said(port, "name") and str(port["name"]) in names:
            yield Fault(f"two ports are called {port['name']}", "give one of them another name", ("ports", position, "name"))
        names.add(str(port.get("name")))
        key = str(port.get("protocol") or "TCP"), port.get("port")
        if key in seen:
            yield Fault(f"{key[0]} port {key[1]} is said twice", "keep one of the two", ("ports", position, "port"))
        seen[key] = position


def _spec(value: Any) -> Faults:
    faults = list(_SERVICE_FIELDS(value))
    yield from faults
    if faults or not isinstance(value, Mapping):
        return
    yield from _ports_apart(value)
    kind = value.get("type") or "ClusterIP"
    if kind != "ExternalName" and not value.get("ports") and value.get("clusterIP") != HEADLESS:
        yield Fault("ports is missing", "add ports:")
    if kind in ("NodePort", "LoadBalancer") and value.get("clusterIP") == HEADLESS:
        yield Fault(f"a {kind} service cannot be headless", "leave out clusterIP", ("clusterIP",))
    for position, port in enumerate(value.get("ports") or ()):
        if said(port, "nodePort") and kind not in ("NodePort", "LoadBalancer"):
            yield Fault(f"a {kind} service has no node ports", "write type: NodePort", ("ports", position, "nodePort"))
    if said(value, "externalTrafficPolicy") and kind not in ("NodePort", "LoadBalancer") and not value.get("externalIPs"):
        yield Fault(f"nothing comes from outside to a {kind} service without externalIPs", "leave it out or write type: NodePort",
                    ("externalTrafficPolicy",))


_SERVICE_FIELDS = excerpt({
    "type": one_of("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    "clusterIP": _cluster_ip,
    "ports": many(excerpt({
        "name": IS_DNS_LABEL, "protocol": _PROTOCOL, "port": _PORT_NUMBER, "targetPort": _target_port, "nodePort": _PORT_NUMBER,
    }, required=("port",))),
    "selector": table(IS_LABEL_KEY, IS_LABEL_VALUE),
    "externalIPs": many(IS_ADDRESS),
    "loadBalancerIP": IS_ADDRESS,
    "loadBalancerSourceRanges": many(IS_CIDR),
    "allocateLoadBalancerNodePorts": boolean,
    "sessionAffinity": one_of("None", "ClientIP"),
    "sessionAffinityConfig": excerpt({"clientIP": excerpt({"timeoutSeconds": integer(1, 86_400)})}),
    "internalTrafficPolicy": _POLICY,
    "externalTrafficPolicy": _POLICY,
    "publishNotReadyAddresses": boolean,
})

SERVICE = excerpt({
    "metadata": _metadata(name=IS_DNS_LABEL),
    "spec": _spec,
    "status": excerpt({"loadBalancer": excerpt({"ingress": many(excerpt({
        "ip": IS_ADDRESS, "ipMode": one_of("VIP", "Proxy")}))})}),
}, required=("metadata", "spec"))

_ENDPOINT_PORT = excerpt({"name": text(), "protocol": _PROTOCOL, "port": _PORT_NUMBER}, required=("port",))
_TARGET = excerpt({"kind": text(), "name": text(), "namespace": text()})

_SLICE_FIELDS = excerpt({
    "metadata": _metadata(),
    "addressType": one_of("IPv4", "IPv6", "FQDN"),
    "endpoints": many(excerpt({
        "addresses": many(text(), at_least=1),
        "conditions": excerpt(dict.fromkeys(("ready", "serving", "terminating"), boolean)),
        "nodeName": IS_NAME, "targetRef": _TARGET,
    }, required=("addresses",))),
    "ports": many(_ENDPOINT_PORT),
}, required=("metadata", "addressType"))


def SLICE(value: Any) -> Faults:
    """Addresses of another family than addressType says are refused, as Kubernetes does."""
    faults = list(_SLICE_FIELDS(value))
    yield from faults
    if not faults and value["addressType"] == "IPv4":
        for position, entry in enumerate(value.get("endpoints") or ()):
            for fault in IS_ADDRESS_V4(entry["addresses"][0]):
                yield fault.below("endpoints", position, "addresses", 0)


_SUBSET_ADDRESS = excerpt({"ip": IS_ADDRESS, "nodeName": IS_NAME, "targetRef": _TARGET}, required=("ip",))
ENDPOINTS = excerpt({
    "metadata": _metadata(),
    "subsets": many(excerpt({
        "addresses": many(_SUBSET_ADDRESS), "notReadyAddresses": many(_SUBSET_ADDRESS), "ports": many(_ENDPOINT_PORT)})),
}, required=("metadata",))

KUBE_PROXY = excerpt({
    "mode": text(),
    "clusterCIDR": _cidrs,
    "detectLocalMode": one_of("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"),
    "detectLocal": excerpt({"bridgeInterface": text(), "interfaceNamePrefix": text()}),
    "iptables": excerpt({"masqueradeAll": boolean}),
    "nodePortAddresses": many(IS_CIDR),
})

SERVICE_CIDR = excerpt(
    {"metadata": _metadata(), "spec": excerpt({"cidrs": many(IS_CIDR, at_least=1)}, required=("cidrs",))},
    required=("metadata", "spec"))

# --- conversion -----------------------------------------------------------------------------------------------------


def service(document: Mapping[str, Any], mark: Mark) -> ServiceResource:
    """A service of any type; what an API server would have filled in is None where it is not said."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    affine = spec.get("sessionAffinity") == "ClientIP"
    ingress = ((document.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    given = [entry["ip"] for entry in ingress if entry and entry.get("ip") and entry.get("ipMode") != "Proxy"]
    is_balancer = spec.get("type") == "LoadBalancer"
    asked = [spec["loadBalancerIP"]] if said(spec, "loadBalancerIP") and not ingress else []
    cluster_ip = spec.get("clusterIP") or ""
    return ServiceResource(
        name=metadata["name"],
        namespace=metadata.get("namespace") or "default",
        type=spec.get("type") or "ClusterIP",
        ports=tuple(_port(port) for port in spec.get("ports") or ()),
        headless=cluster_ip == HEADLESS,
        cluster_ip=next(_v4([cluster_ip]), None) if cluster_ip != HEADLESS else None,
        selector=dict(spec["selector"]) if spec.get("selector") else None,
        external_ips=tuple(_v4(spec.get("externalIPs") or ())),
        load_balancer_ips=tuple(_v4(given or asked)) if is_balancer else (),
        source_ranges=tuple(_prefixes(spec.get("loadBalancerSourceRanges") or ())) if is_balancer else (),
        node_ports=spec.get("type") == "NodePort" or (is_balancer and spec.get("allocateLoadBalancerNodePorts") is not False),
        affinity=_timeout(spec) if affine else 0,
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=spec.get("externalTrafficPolicy") == "Local",
        publish_not_ready=bool(spec.get("publishNotReadyAddresses")),
        mark=mark)


def _timeout(spec: Mapping[str, Any]) -> int:
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds") or DEFAULT_AFFINITY)


def _port(port: Mapping[str, Any]) -> ServicePort:
    return ServicePort(
        port.get("name") or "", port.get("protocol") or "TCP", port["port"], port.get("targetPort") or port["port"],
        port.get("nodePort") or 0)


def slice_of(document: Mapping[str, Any], mark: Mark) -> ServiceEndpoints | None:
    """An EndpointSlice; None where it belongs to no service or is not of IPv4."""
    metadata = document["metadata"]
    owner = (metadata.get("labels") or {}).get(SERVICE_NAME)
    if not owner or document["addressType"] != "IPv4":
        return None
    namespace = metadata.get("namespace") or "default"
    return ServiceEndpoints(
        service=owner, namespace=namespace, ports=_numbers(document.get("ports") or ()),
        endpoints=tuple(_slice_endpoint(entry, namespace) for entry in document.get("endpoints") or ()), mark=mark)


def _slice_endpoint(entry: Mapping[str, Any], namespace: str) -> ServiceEndpoint:
    """Conditions that are not said: ready, serving as ready, not terminating (EndpointConditions)."""
    conditions = entry.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = ready if conditions.get("serving") is None else conditions["serving"]
    return ServiceEndpoint(
        parse_address(entry["addresses"][0]), ready, bool(serving and conditions.get("terminating")), entry.get("nodeName") or "",
        _pod(entry, namespace))


def endpoints(document: Mapping[str, Any], mark: Mark) -> list[ServiceEndpoints]:
    """A v1 Endpoints, one entry for each subset, as the mirroring controller makes slices of them."""
    metadata = document["metadata"]
    namespace = metadata.get("namespace") or "default"
    return [
        ServiceEndpoints(metadata["name"], namespace, _numbers(subset.get("ports") or ()), tuple(
            ServiceEndpoint(next(_v4([entry["ip"]])), ready, False, entry.get("nodeName") or "", _pod(entry, namespace))
            for key, ready in (("addresses", True), ("notReadyAddresses", False)) for entry in subset.get(key) or ()
            if ":" not in entry["ip"]), mark)
        for subset in document.get("subsets") or () if subset]


def _pod(entry: Mapping[str, Any], namespace: str) -> str:
    target = entry.get("targetRef") or {}
    is_pod = target.get("kind") == "Pod" and target.get("name")
    return f"{target.get('namespace') or namespace}/{target['name']}" if is_pod else ""


def _numbers(ports: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str, int], ...]:
    return tuple((port.get("name") or "", port.get("protocol") or "TCP", port["port"]) for port in ports)


def kube_proxy(document: Mapping[str, Any], mark: Mark) -> KubeProxyResource:
    """How kube-proxy tells pods' traffic apart (detectLocalMode), and what else moves packets.

    Calico's pods hang on no bridge, so that mode, like a prefix of other interfaces, takes nobody's traffic for a pod's.
    """
    mode = document.get("detectLocalMode") or "ClusterCIDR"
    detect = document.get("detectLocal") or {}
    pods: tuple[Prefix, ...] | None = None
    if mode == "ClusterCIDR" and said(document, "clusterCIDR"):
        pods = tuple(_prefixes(document["clusterCIDR"].split(",")))
    by_interface = mode == "InterfaceNamePrefix" and "cali".startswith((detect.get("interfaceNamePrefix") or "-").rstrip("+"))
    if mode in ("BridgeInterface", "InterfaceNamePrefix") and not by_interface:
        pods = ()
    addresses = document.get("nodePortAddresses")
    return KubeProxyResource(
        pods=pods, by_interface=by_interface, masquerade_all=bool((document.get("iptables") or {}).get("masqueradeAll")),
        node_addresses=tuple(_prefixes(addresses)) if addresses else None, mark=mark)


def unmodelled(document: Mapping[str, Any]) -> str:
    """What a KubeProxyConfiguration says that calisim does not follow; ""."""
    if document.get("mode") not in (None, "", "iptables"):
        return f"mode {document['mode']} is not modelled: services behave as in iptables mode"
    if document.get("detectLocalMode") == "NodeCIDR":
        return "detectLocalMode NodeCIDR is not modelled (Calico gives nodes no CIDR): no traffic is told apart as a pod's"
    return ""


def service_ranges(document: Mapping[str, Any]) -> tuple[Prefix, ...]:
    """The ranges of a ServiceCIDR."""
    return tuple(_prefixes(document["spec"].get("cidrs") or ()))


def _v4(texts: Iterable[str]) -> Iterator[int]:
    return (parse_address(one) for one in texts if one and ":" not in one)


def _prefixes(texts: Iterable[str]) -> Iterator[Prefix]:
    return (parse_prefix(one.strip()) for one in texts if ":" not in one)


def protocol_of(name: str) -> int:
    """TCP, UDP or SCTP as a number."""
    return PROTOCOLS[name.lower()]
