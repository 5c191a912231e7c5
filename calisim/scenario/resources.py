"""Calico's and Kubernetes' documents after reading: v1 converted, defaults filled in, validated.

Field names are Python's, values are Calico's own (``Never``, ``Always``, ``CrossSubnet`` …). What a
document did not say has Calico's default, so nobody further down knows about YAML or API versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import Mark
from ..quantities import Prefix

UNWRITTEN = Mark("(default)")


@dataclass(frozen=True, slots=True)
class IPPool:
    """projectcalico.org/v3 IPPool (v1 ipPool converted; its name is the CIDR with dashes)."""

    name: str
    cidr: Prefix
    block_size: int = 26
    ipip_mode: str = "Never"
    vxlan_mode: str = "Never"
    nat_outgoing: bool = False
    disabled: bool = False
    disable_bgp_export: bool = False
    node_selector: str = "all()"
    namespace_selector: str = ""
    allowed_uses: tuple[str, ...] = ("Workload", "Tunnel")
    assignment_mode: str = "Automatic"
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class FailsafePort:
    """A port that no host endpoint's policy closes; ``net`` None: to and from everywhere."""

    protocol: int
    port: int
    net: Prefix | None = None


_ALWAYS = tuple(FailsafePort(6, port) for port in (179, 2379, 2380, 5473, 6443, 6666, 6667))
INBOUND = (FailsafePort(6, 22), FailsafePort(17, 68), *_ALWAYS)
OUTBOUND = (FailsafePort(17, 53), FailsafePort(17, 67), *_ALWAYS)


@dataclass(frozen=True, slots=True)
class FelixConfiguration:
    """The fields of the ``default`` FelixConfiguration that move packets; None = not said."""

    ipip_enabled: bool | None = None
    vxlan_enabled: bool | None = None
    ipip_mtu: int = 0
    vxlan_mtu: int = 0
    default_endpoint_to_host_action: str | None = None
    nat_outgoing_exclusions: str = "IPPoolsOnly"
    external_nodes: tuple[Prefix, ...] = ()
    disable_conntrack_invalid_check: bool = False
    allow_ipip_from_workloads: bool = False
    allow_vxlan_from_workloads: bool = False
    aws_src_dst_check: str = "DoNothing"
    program_cluster_routes: str | None = None
    failsafe_inbound: tuple[FailsafePort, ...] = INBOUND
    failsafe_outbound: tuple[FailsafePort, ...] = OUTBOUND
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class BGPConfiguration:
    """The ``default`` BGPConfiguration."""

    node_to_node_mesh_enabled: bool = True
    as_number: int = 64512
    program_cluster_routes: str | None = None
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class IPAMConfiguration:
    """projectcalico.org/v3 IPAMConfiguration ``default``; 0 blocks per host means Calico's own limit of 20."""

    strict_affinity: bool = False
    max_blocks_per_host: int = 0
    auto_allocate_blocks: bool = True
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class NodeResource:
    """What Calico's or Kubernetes' Node document adds to a node of the scenario; None = not said."""

    name: str
    address: tuple[int, int] | None = None        # IP with prefix length as recorded by Calico
    internal_address: int | None = None           # Kubernetes' InternalIP
    ipip_address: int | None = None
    vxlan_address: int | None = None
    cluster_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class PodResource:
    """A Kubernetes Pod document: where it runs, its labels, its ports and what it asks of IPAM."""

    name: str
    namespace: str
    node: str                                     # "" = spread like the scenario's own pods
    labels: Mapping[str, str]
    ports: tuple[tuple[str, str, int], ...] = ()  # (name, protocol, number)
    address: int | None = None                    # cni.projectcalico.org/ipAddrs
    pools: tuple[str, ...] = ()                   # cni.projectcalico.org/ipv4pools: names or CIDRs
    mark: Mark = UNWRITTEN
    service_account: str = "default"
    ready: bool = True                            # its condition Ready, as far as it is said
    leaving: bool = False                         # it has a deletionTimestamp


# --- services -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service; ``target`` is a number or the name of a container's port, ``node_port`` 0 where not said."""

    name: str
    protocol: str                                 # TCP, UDP, SCTP
    port: int
    target: int | str
    node_port: int = 0


@dataclass(frozen=True, slots=True)
class ServiceResource:
    """v1 Service. ``cluster_ip`` None: not said, or none (``headless``, ExternalName); ``affinity`` in seconds, 0 without."""

    name: str
    namespace: str
    type: str                                     # ClusterIP | NodePort | LoadBalancer | ExternalName
    ports: tuple[ServicePort, ...] = ()
    headless: bool = False
    cluster_ip: int | None = None
    selector: Mapping[str, str] | None = None
    external_ips: tuple[int, ...] = ()
    load_balancer_ips: tuple[int, ...] = ()
    source_ranges: tuple[Prefix, ...] = ()        # loadBalancerSourceRanges
    node_ports: bool = False                      # each port gets one
    affinity: int = 0
    internal_local: bool = False                  # internalTrafficPolicy: Local
    external_local: bool = False
    publish_not_ready: bool = False
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class ServiceEndpoint:
    """Who takes a service's connections, as an EndpointSlice says. ``leaving``: terminating, but still serving."""

    address: int
    ready: bool = True
    leaving: bool = False
    node: str = ""
    pod: str = ""                                 # namespace/name of its targetRef


@dataclass(frozen=True, slots=True)
class ServiceEndpoints:
    """An EndpointSlice, or a subset of a v1 Endpoints: the endpoints of these ports (name, protocol, number) of a service."""

    service: str
    namespace: str
    ports: tuple[tuple[str, str, int], ...]
    endpoints: tuple[ServiceEndpoint, ...]
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class KubeProxyResource:
    """KubeProxyConfiguration: which traffic is a pods' (``pods`` by source, None: not told apart), node ports' addresses."""

    pods: tuple[Prefix, ...] | None = None
    by_interface: bool = False
    masquerade_all: bool = False
    node_addresses: tuple[Prefix, ...] | None = None
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class Resources:
    """All documents of a scenario, one field a kind."""

    pools: tuple[IPPool, ...] = ()
    felix: FelixConfiguration = FelixConfiguration()
    bgp: BGPConfiguration = BGPConfiguration()
    ipam: IPAMConfiguration = IPAMConfiguration()
    reservations: tuple[Prefix, ...] = ()
    nodes: Mapping[str, NodeResource] = field(default_factory=dict)
    pods: tuple[PodResource, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    namespace_pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)   # a namespace's ipv4pools, for all its pods
    services: tuple[ServiceResource, ...] = ()
    service_endpoints: tuple[ServiceEndpoints, ...] = ()          # of slices and v1 Endpoints
    kube_proxy: KubeProxyResource = KubeProxyResource()
    service_ranges: tuple[Prefix, ...] = ()                       # of ServiceCIDR documents
    host_pods: tuple[PodResource, ...] = ()                       # on the host network: endpoints of services only
    policy: PolicyResources = field(default_factory=lambda: PolicyResources())


# --- policy ---------------------------------------------------------------------------------------------------------
# Calico's own language; the other languages are converted to it. A port range is (first, last).

Ports = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class EntityRule:
    """One side of a rule. Selectors are texts, "" = not said; empty tuples match anything.

    ``nodes`` selects nodes by label and matches their addresses: the peer of that name in the admin policies of
    Kubernetes, which Calico's own language lacks.
    """

    nets: tuple[Prefix, ...] = ()
    not_nets: tuple[Prefix, ...] = ()
    selector: str = ""
    not_selector: str = ""
    namespace_selector: str = ""
    ports: Ports = ()
    named_ports: tuple[str, ...] = ()
    not_ports: Ports = ()
    not_named_ports: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    service_account_selector: str = ""
    service: tuple[str, str] | None = None        # (namespace, name)
    nodes: str = ""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule; ``icmp`` is (type, code), a part that is not said is None."""

    action: str                                   # Allow | Deny | Pass | Log
    source: EntityRule = EntityRule()
    destination: EntityRule = EntityRule()
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: tuple[int | None, int | None] | None = None
    not_icmp: tuple[int | None, int | None] | None = None
    name: str = ""                                # as the document calls it
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of any language after conversion; ``namespace`` "" for global ones, ``order`` None = last."""

    kind: str                                     # as written: NetworkPolicy, AdminNetworkPolicy, …
    name: str
    namespace: str = ""
    tier: str = "default"
    order: float | None = None
    selector: str = ""
    namespace_selector: str = ""
    service_account_selector: str = ""
    types: tuple[str, ...] = ("Ingress",)
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()
    staged: str = ""                              # "" enforced, else Set, Delete, Learn or Ignore
    do_not_track: bool = False
    pre_dnat: bool = False
    apply_on_forward: bool = False
    mark: Mark = UNWRITTEN
    calico_kind: str = ""                         # under which Calico keeps it: KubernetesNetworkPolicy …; "" = kind


@dataclass(frozen=True, slots=True)
class Tier:
    """Policies that are asked together; ``order`` None = after all ordered ones."""

    name: str
    order: float | None = None
    default_action: str = "Deny"                  # or Pass
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class Profile:
    """What decides where no tier did, and labels for those who have it."""

    name: str
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class NetworkSet:
    """Nets that selectors choose by label as if they were endpoints; ``namespace`` "" for a GlobalNetworkSet."""

    name: str
    namespace: str
    nets: tuple[Prefix, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class HostEndpoint:
    """An interface of a node under policy; ``interface`` "" means the one that has an expected address."""

    name: str
    node: str
    interface: str = ""
    expected_addresses: tuple[int, ...] = ()
    profiles: tuple[str, ...] = ()
    ports: tuple[tuple[str, int, int], ...] = ()  # (name, protocol, number)
    labels: Mapping[str, str] = field(default_factory=dict)
    mark: Mark = UNWRITTEN


@dataclass(frozen=True, slots=True)
class PolicyResources:
    """All that policy is made of; ``accounts`` are the labels of service accounts by (namespace, name)."""

    tiers: tuple[Tier, ...] = ()
    policies: tuple[Policy, ...] = ()
    profiles: tuple[Profile, ...] = ()
    network_sets: tuple[NetworkSet, ...] = ()
    host_endpoints: tuple[HostEndpoint, ...] = ()
    accounts: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    pod_profiles: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)   # of WorkloadEndpoint documents
