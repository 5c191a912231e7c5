"""Verbatim Calico v1/v3 and Kubernetes documents → :class:`~calisim.scenario.resources.Resources`.

Every document is judged by its kind's rules (:mod:`calisim.scenario.calico`) as Calico would judge it; what Calico
takes but calisim does not model becomes a warning. All problems are found at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from ..errors import Mark, Problem
from ..quantities import Prefix
from . import kubernetes, policy_documents, services
from .calico import convert as calico
from .calico import legacy
from .calico.felix import UNMODELLED
from .calico.kinds import CALICO, CORE, KINDS, KUBE_PROXY, PARTS, RULES, SPECS, Kind, group_of
from .calico.rules import Fault, suggestion
from .documents import Document
from .policy_documents import PolicyDocuments
from .reader import dotted
from .resources import (
    IPPool, KubeProxyResource, NodeResource, PodResource, Resources, ServiceEndpoints, ServiceResource,
)

_MAX_FAULTS = 50                  # of one document; the rest only repeat them
_SHOWN = 5                        # names in a warning; the rest is counted
_NAMESPACED = frozenset({
    "EndpointSlice", "Endpoints", "NetworkPolicy", "NetworkSet", "Pod", "Service", "ServiceAccount",
    "StagedKubernetesNetworkPolicy", "StagedNetworkPolicy", "WorkloadEndpoint"})


def validate(kind: str, value: dict[str, Any]) -> list[str]:
    """What Calico would reject in a document of that kind (or in its spec alone: ``IPPoolSpec``). [] = it is accepted."""
    rule = RULES.get(kind) or PARTS.get(kind) or (SPECS.get(kind.removesuffix("Spec")) if kind.endswith("Spec") else None)
    if rule is None:
        rule = next((known.rule for known in KINDS.values() if known.name == kind), None)
    if rule is None:
        raise ValueError(f"no rules for the kind {kind}")
    return [str(fault) for fault in rule(value)]


def convert(documents: Sequence[Document]) -> tuple[Resources, list[str], list[Problem]]:
    """Resources, warnings and problems of all documents. Documents with problems are left out of the resources."""
    conversion = _Conversion()
    for document in documents:
        conversion.read(document)
    conversion.check_overlaps()
    conversion.check_policies()
    return conversion.resources(), conversion.warnings(), conversion.problems


@dataclass(slots=True)
class _Conversion:
    """What is known after the documents read so far."""

    problems: list[Problem] = field(default_factory=list)
    pools: dict[str, tuple[IPPool, Document]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    reservations: list[Any] = field(default_factory=list)
    calico_nodes: dict[str, NodeResource] = field(default_factory=dict)
    kubernetes_nodes: dict[str, NodeResource] = field(default_factory=dict)
    pods: list[PodResource] = field(default_factory=list)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    namespace_pools: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[tuple[str, str], list[str]] = field(default_factory=dict)      # (kind, what it means) → names
    seen: dict[tuple[str, str, str, str], Document] = field(default_factory=dict)
    services: list[ServiceResource] = field(default_factory=list)
    service_endpoints: list[ServiceEndpoints] = field(default_factory=list)
    plain_endpoints: list[ServiceEndpoints] = field(default_factory=list)      # v1 Endpoints
    kube_proxy: list[KubeProxyResource] = field(default_factory=list)
    service_ranges: list[Prefix] = field(default_factory=list)
    host_pods: list[PodResource] = field(default_factory=list)
    policy: PolicyDocuments = field(init=False)

    def __post_init__(self) -> None:
        self.policy = PolicyDocuments(self.note)

    # --- reading ----------------------------------------------------------------------------------------------------

    def read(self, document: Document) -> None:
        kind = KINDS.get((group_of(document.api_version), document.kind))
        if kind is None:
            self.complain(document, _unknown(document))
            return
        faults = document.told(_faults)
        for fault in faults:
            self.complain(document, fault)
        if faults or self.repeated(document):
            return
        if kind.unmodelled:
            self.note(document, kind.unmodelled)
            return
        try:
            _READERS[kind.group, kind.name](self, document)
        except calico.Refused as refused:
            self.complain(document, refused.fault)

    def repeated(self, document: Document) -> bool:
        """Reports a resource that another document has already described."""
        if not document.name:
            return False
        namespace = document.namespace if document.kind in _NAMESPACED else ""
        key = (group_of(document.api_version), document.kind, namespace, document.name)
        first = self.seen.setdefault(key, document)
        if first is document:
            return False
        message = f"{document.kind} {document.name} is described twice (first at {first.mark})"
        self.complain(document, Fault(message, "keep one of the two", ("metadata", "name")))
        return True

    def complain(self, document: Document, fault: Fault) -> None:
        self.problems.append(Problem(_place(document, fault), dotted(fault.path), fault.message, fault.hint))

    def note(self, document: Document, meaning: str) -> None:
        name = document.name or document.pool_cidr
        if name and document.kind in _NAMESPACED:
            name = f"{document.namespace}/{name}"
        self.notes.setdefault((document.kind, meaning), []).append(name)

    # --- one method a kind ------------------------------------------------------------------------------------------

    def read_pool(self, document: Document, value: Mapping[str, Any] | None = None) -> None:
        pool = calico.pool(value or document.value, document.mark)
        if (other := self.pools.get(pool.name)) is not None:
            message = f"there is a pool named {pool.name} already, at {other[1].mark}"
            self.complain(document, Fault(message, "keep one of the two", ("metadata",)))
        else:
            self.pools[pool.name] = (pool, document)

    def read_v1_pool(self, document: Document) -> None:
        try:
            self.read_pool(document, legacy.pool_to_v3(document.value))
        except calico.Refused as refused:
            raise calico.Refused(replace(refused.fault, path=("metadata", "cidr"))) from refused

    def read_setting(self, document: Document) -> None:
        field_name, read = _SETTINGS[document.kind]
        if document.name != "default":
            self.note(document, "only the one named default is modelled, for all nodes alike")
            return
        self.settings[field_name] = read(document.value, document.mark)
        for name, instead in UNMODELLED.items() if field_name == "felix" else ():
            if calico.spec_of(document.value).get(name) not in (None, False, "", "Disabled", "Insert", "insert"):
                self.note(document, f"{name} is not modelled: {instead}")

    def read_reservation(self, document: Document) -> None:
        self.reservations += calico.reservation(document.value)

    def read_calico_node(self, document: Document, value: Mapping[str, Any] | None = None) -> None:
        node = calico.node(value or document.value, document.mark)
        self.calico_nodes[node.name] = node
        bgp = calico.spec_of(document.value).get("bgp") or {}
        if bgp.get("ipv6Address"):
            self.note(document, "its IPv6 address is left aside: calisim models IPv4 only")
        if bgp.get("asNumber"):
            self.note(document, "its own AS number is left aside: all nodes count as one AS")

    def read_v1_node(self, document: Document) -> None:
        self.read_calico_node(document, legacy.node_to_v3(document.value))

    def read_kubernetes_node(self, document: Document) -> None:
        self.kubernetes_nodes[document.name] = kubernetes.node(document.value, document.mark)

    def read_pod(self, document: Document) -> None:
        if kubernetes.is_endpoint(document.value):
            self.pods.append(kubernetes.pod(document.value, document.mark))
            return
        if kubernetes.is_on_host(document.value):
            self.host_pods.append(kubernetes.pod(document.value, document.mark))
        self.note(document, "it has no interface of its own (host network, or finished), so it is no endpoint")

    def read_namespace(self, document: Document) -> None:
        self.namespaces[document.name] = kubernetes.namespace_labels(document.value)
        if pools := kubernetes.requested_pools(document.value):
            self.namespace_pools[document.name] = pools

    # --- services ---------------------------------------------------------------------------------------------------

    def read_service(self, document: Document) -> None:
        service = services.service(document.value, document.mark)
        self.services.append(service)
        if any(port.protocol == "SCTP" for port in service.ports):
            self.note(document, "its SCTP ports are left aside: the datapath knows no ports of SCTP")

    def read_slice(self, document: Document) -> None:
        found = services.slice_of(document.value, document.mark)
        if found is not None:
            self.service_endpoints.append(found)
        else:
            self.note(document, f"it is left aside: no IPv4 slice, or without the label {services.SERVICE_NAME}")

    def read_endpoints(self, document: Document) -> None:
        self.plain_endpoints += services.endpoints(document.value, document.mark)

    def read_kube_proxy(self, document: Document) -> None:
        self.kube_proxy.append(services.kube_proxy(document.value, document.mark))
        if meaning := services.unmodelled(document.value):
            self.note(document, meaning)
        if len(self.kube_proxy) > 1:
            self.complain(document, Fault(f"kube-proxy is configured twice (first at {self.kube_proxy[0].mark})", "keep one"))

    def read_service_range(self, document: Document) -> None:
        self.service_ranges += services.service_ranges(document.value)

    def endpoints_of_services(self) -> tuple[ServiceEndpoints, ...]:
        """Slices; a v1 Endpoints counts where its service has none (the mirroring controller would have made them)."""
        sliced = {(found.namespace, found.service) for found in self.service_endpoints}
        mirrored = (found for found in self.plain_endpoints if (found.namespace, found.service) not in sliced)
        return (*self.service_endpoints, *mirrored)

    # --- policy -----------------------------------------------------------------------------------------------------

    def read_policy(self, document: Document) -> None:
        self.policy.read(document)

    # --- all together -----------------------------------------------------------------------------------------------

    def check_policies(self) -> None:
        self.policy.note_equal_priorities()
        for document, fault in self.policy.faults():
            self.complain(document, fault)

    def check_overlaps(self) -> None:
        """No address lies in two pools. API v1 did not ask, so two v1 pools only earn a warning."""
        ordered = sorted(self.pools.values(), key=lambda entry: (entry[0].cidr.network, entry[0].cidr.length))
        open_pools: list[tuple[IPPool, Document]] = []
        for pool, document in ordered:
            while open_pools and not open_pools[-1][0].cidr.covers(pool.cidr):
                open_pools.pop()
            if open_pools:
                self.overlap(*sorted((open_pools[-1], (pool, document)), key=lambda entry: entry[1].mark))
            open_pools.append((pool, document))

    def overlap(self, first: tuple[IPPool, Document], second: tuple[IPPool, Document]) -> None:
        (pool, document), (other, later) = first, second
        message = f"{other.cidr} overlaps {pool.cidr} of the pool {pool.name} ({document.mark})"
        if document.kind == later.kind == "ipPool":
            self.note(later, message + "; the narrower prefix decides how its addresses are reached")
        else:
            path = ("metadata", "cidr") if later.kind == "ipPool" else ("spec", "cidr")
            self.complain(later, Fault(message, "pools must not share addresses: take another range or remove one", path))

    def resources(self) -> Resources:
        names = [*self.calico_nodes, *(name for name in self.kubernetes_nodes if name not in self.calico_nodes)]
        return Resources(
            pools=tuple(pool for pool, _ in self.pools.values()),
            reservations=tuple(self.reservations),
            nodes={name: _merged(self.calico_nodes.get(name), self.kubernetes_nodes.get(name)) for name in names},
            pods=tuple(replace(pod, pools=pod.pools or self.namespace_pools.get(pod.namespace, ())) for pod in self.pods),
            namespaces=self.namespaces,
            namespace_pools=self.namespace_pools,
            services=tuple(self.services),
            service_endpoints=self.endpoints_of_services(),
            kube_proxy=self.kube_proxy[0] if self.kube_proxy else KubeProxyResource(),
            service_ranges=tuple(self.service_ranges),
            host_pods=tuple(self.host_pods),
            policy=self.policy.resources(),
            **self.settings,
        )

    def warnings(self) -> list[str]:
        """One sentence for each kind and meaning, with the first names."""
        return [f"{kind} {_listed(names)}: {meaning}" for (kind, meaning), names in self.notes.items()]


Reader = Callable[[_Conversion, Document], None]
_SETTINGS: dict[str, tuple[str, Callable[..., Any]]] = {
    "FelixConfiguration": ("felix", calico.felix),
    "BGPConfiguration": ("bgp", calico.bgp),
    "IPAMConfiguration": ("ipam", calico.ipam),
    "IPAMConfig": ("ipam", calico.ipam),
}
_READERS: dict[tuple[str, str], Reader] = {
    (CALICO, "IPPool"): _Conversion.read_pool,
    **{(CALICO, kind): _Conversion.read_setting for kind in _SETTINGS},
    (CALICO, "IPReservation"): _Conversion.read_reservation,
    (CALICO, "Node"): _Conversion.read_calico_node,
    (CORE, "ipPool"): _Conversion.read_v1_pool,
    (CORE, "node"): _Conversion.read_v1_node,
    (CORE, "Node"): _Conversion.read_kubernetes_node,
    (CORE, "Pod"): _Conversion.read_pod,
    (CORE, "Namespace"): _Conversion.read_namespace,
    (CORE, "Service"): _Conversion.read_service,
    (CORE, "Endpoints"): _Conversion.read_endpoints,
    ("discovery.k8s.io", "EndpointSlice"): _Conversion.read_slice,
    ("networking.k8s.io", "ServiceCIDR"): _Conversion.read_service_range,
    (KUBE_PROXY, "KubeProxyConfiguration"): _Conversion.read_kube_proxy,
    **{(group, kind): _Conversion.read_policy for group, kinds in policy_documents.KINDS.items() for kind in kinds},
}


def _faults(document: Document) -> list[Fault]:
    """What the kind's rule has against the document, by place."""
    rule = KINDS[group_of(document.api_version), document.kind].rule
    return sorted(islice(rule(document.value), _MAX_FAULTS), key=lambda fault: _place(document, fault))


def _place(document: Document, fault: Fault) -> Mark:
    return (document.mark_of_key if fault.at_key else document.mark_of)(*fault.path)


def _merged(own: NodeResource | None, other: NodeResource | None) -> NodeResource:
    """Calico's own document wins; what it does not say comes from Kubernetes'."""
    if own is None or other is None:
        found = own or other
        assert found is not None
        return found
    return NodeResource(
        name=own.name,
        address=own.address or other.address,
        internal_address=other.internal_address or own.internal_address,
        ipip_address=own.ipip_address or other.ipip_address,
        vxlan_address=own.vxlan_address or other.vxlan_address,
        cluster_id=own.cluster_id or other.cluster_id,
        labels={**other.labels, **own.labels},
        mark=own.mark,
    )


def _unknown(document: Document) -> Fault:
    """Why there is no such kind: another apiVersion, a slip of the pen, or nobody knows it."""
    same: list[Kind] = [kind for kind in KINDS.values() if kind.name == document.kind]
    if same:
        return Fault(f"{document.kind} is not a kind of {document.api_version or 'an empty apiVersion'}",
                     "write apiVersion: " + " or ".join(kind.api_version for kind in same), ("apiVersion",))
    group = group_of(document.api_version)
    if group not in {kind.group for kind in KINDS.values()}:
        near = "leave it out: documents are those of Calico and of Kubernetes itself"
    else:                             # the group's own kinds last, so that they win: v1 ippool is ipPool, v3 ippool IPPool
        near = suggestion(document.kind, [kind.name for kind in sorted(KINDS.values(), key=lambda kind: kind.group == group)])
    return Fault(f"{document.kind or 'a document without kind'} is no kind that calisim knows", near, ("kind",))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
