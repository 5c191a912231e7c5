"""Kubernetes' own documents → resources: Node, Pod, Namespace.

Kubernetes' API has fields by the hundred that move no packet, so unknown ones pass; what is read must be right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import Mark
from ..quantities import parse_address
from .calico.convert import recorded_address
from .calico.rules import Fault, Faults, Rule, integer, many, one_of, said, shown, table, text
from .calico.values import (
    IS_ADDRESS,
    IS_ADDRESS_V4,
    IS_DNS_LABEL,
    IS_INTERFACE_V4,
    IS_LABEL_KEY,
    IS_LABEL_VALUE,
    IS_NAME,
    interface,
)
from .resources import NodeResource, PodResource

_POOLS = "cni.projectcalico.org/ipv4pools"
_ADDRESSES = "cni.projectcalico.org/ipAddrs"
_RECORDED = "projectcalico.org/IPv4Address"
_IPIP = "projectcalico.org/IPv4IPIPTunnelAddr"
_VXLAN = "projectcalico.org/IPv4VXLANTunnelAddr"
_CLUSTER_ID = "projectcalico.org/RouteReflectorClusterID"

# --- rules ----------------------------------------------------------------------------------------------------------


def excerpt(fields: Mapping[str, Rule], *, required: tuple[str, ...] = ()) -> Rule:
    """A mapping of which only these fields are read."""
    def rule(value: Any) -> Faults:
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            yield Fault(f"{shown(value)} is not a mapping")
            return
        for name in required:
            if not said(value, name):
                yield Fault(f"{name} is missing", f"add {name}:")
        for name, judge in fields.items():
            if said(value, name):
                for fault in judge(value[name]):
                    yield fault.below(name)
    return rule


def json_list(each: Callable[[str], object]) -> Rule:
    """An annotation that holds a JSON list of texts."""
    def rule(value: Any) -> Faults:
        try:
            for item in texts_in(value):
                each(item)
        except ValueError as error:
            yield Fault(f"{shown(value)} is not a JSON list as Calico reads it: {error}", """for example '["10.0.0.0/16"]'""")
    return rule


def texts_in(value: Any) -> list[str]:
    """The texts of a JSON list; ValueError otherwise."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ValueError("it is no list of texts")
    return found


def _metadata(annotations: Mapping[str, Rule], name: Rule = IS_NAME) -> Rule:
    return excerpt({
        "name": name,
        "namespace": IS_DNS_LABEL,
        "labels": table(IS_LABEL_KEY, IS_LABEL_VALUE),
        "annotations": excerpt(annotations),
    }, required=("name",))


_PORT = excerpt(
    {"name": text(), "protocol": one_of("TCP", "UDP", "SCTP"), "containerPort": integer(1, 65535)}, required=("containerPort",))



def _node_address(value: Any) -> Faults:
    """One of status.addresses; those that are no IP address (Hostname) are not read."""
    faults = list(excerpt({"type": text(), "address": text()}, required=("type", "address"))(value))
    if not faults and value["type"] == "InternalIP":
        faults = [fault.below("address") for fault in IS_ADDRESS(value["address"])]
    yield from faults


NODE = excerpt({
    "metadata": _metadata({_RECORDED: IS_INTERFACE_V4, _IPIP: IS_ADDRESS_V4, _VXLAN: IS_ADDRESS_V4, _CLUSTER_ID: IS_ADDRESS_V4}),
    "status": excerpt({"addresses": many(_node_address)}),
}, required=("metadata",))

POD = excerpt({
    "metadata": _metadata({_POOLS: json_list(str), _ADDRESSES: json_list(interface)}),
    "spec": excerpt({"nodeName": IS_NAME, "serviceAccountName": IS_NAME, "containers": many(excerpt({"ports": many(_PORT)}))}),
    "status": excerpt({"podIP": IS_ADDRESS, "conditions": many(excerpt({"type": text(), "status": text()}))}),
}, required=("metadata",))

NAMESPACE = excerpt({"metadata": _metadata({_POOLS: json_list(str)}, IS_DNS_LABEL)}, required=("metadata",))

SERVICE_ACCOUNT = excerpt({"metadata": _metadata({})}, required=("metadata",))

RULES = {"Node": NODE, "Pod": POD, "Namespace": NAMESPACE, "ServiceAccount": SERVICE_ACCOUNT}

# --- conversion -----------------------------------------------------------------------------------------------------


def _part(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    part: Any = document
    for name in path:
        part = part.get(name) or {}
    return part


def node(document: Mapping[str, Any], mark: Mark) -> NodeResource:
    """What calico-node and the kubelet wrote on a node."""
    annotations = _part(document, "metadata", "annotations")
    recorded, ipip, vxlan = annotations.get(_RECORDED), annotations.get(_IPIP), annotations.get(_VXLAN)
    return NodeResource(
        name=document["metadata"]["name"],
        address=recorded_address(recorded) if recorded else None,
        internal_address=_internal_address(_part(document, "status").get("addresses") or []),
        ipip_address=parse_address(ipip) if ipip else None,
        vxlan_address=parse_address(vxlan) if vxlan else None,
        cluster_id=annotations.get(_CLUSTER_ID) or "",
        labels=dict(_part(document, "metadata", "labels")),
        mark=mark,
    )


def _internal_address(addresses: list[Mapping[str, str]]) -> int | None:
    for entry in addresses:
        if entry["type"] == "InternalIP" and ":" not in entry["address"]:
            return parse_address(entry["address"])
    return None


def is_endpoint(document: Mapping[str, Any]) -> bool:
    """False for pods that have no interface of their own (any more)."""
    finished = _part(document, "status").get("phase") in ("Succeeded", "Failed")
    return not finished and not _part(document, "spec").get("hostNetwork")


def is_on_host(document: Mapping[str, Any]) -> bool:
    """A running pod on its node's own network."""
    finished = _part(document, "status").get("phase") in ("Succeeded", "Failed")
    return not finished and bool(_part(document, "spec").get("hostNetwork"))


def pod(document: Mapping[str, Any], mark: Mark) -> PodResource:
    metadata, spec = _part(document, "metadata"), _part(document, "spec")
    asked = texts_in(_part(document, "metadata", "annotations").get(_ADDRESSES) or "[]")
    addresses = [found.ip for found in map(interface, asked) if found.version == 4]
    return PodResource(
        name=metadata["name"],
        namespace=metadata.get("namespace") or "default",
        node=spec.get("nodeName") or "",
        labels=dict(metadata.get("labels") or {}),
        ports=tuple(
            (port.get("name") or "", port.get("protocol") or "TCP", port["containerPort"])
            for container in spec.get("containers") or () for port in (container or {}).get("ports") or ()),
        address=int(addresses[0]) if addresses else None,
        pools=requested_pools(document),
        mark=mark,
        ready=not any(
            (condition or {}).get("type") == "Ready" and condition.get("status") != "True"
            for condition in _part(document, "status").get("conditions") or ()),
        leaving=bool(metadata.get("deletionTimestamp")),
        service_account=spec.get("serviceAccountName") or "default",
    )


def requested_pools(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The pools that a Pod or a Namespace asks for by annotation."""
    return tuple(texts_in(_part(document, "metadata", "annotations").get(_POOLS) or "[]"))


def namespace_labels(document: Mapping[str, Any]) -> dict[str, str]:
    """As written, and the two that Kubernetes and Calico put on every namespace."""
    name = document["metadata"]["name"]
    return {**_part(document, "metadata", "labels"), "kubernetes.io/metadata.name": name, "projectcalico.org/name": name}
