"""Every kind that may stand in a document: the rule that judges it, and what it means where it is not modelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .. import admin_policies, kubernetes, kubernetes_policies, services
from . import bgp, endpoints, felix, ipam, legacy, legacy_policies, policies
from .rules import Rule, anything

CALICO = "projectcalico.org"
CORE = ""
KUBE_PROXY = "kubeproxy.config.k8s.io"

_PEERS = "BGP sessions are not modelled one by one: nodes learn each other's routes through the mesh"
_INGRESS = "ingress controllers are not modelled: send to the service behind it"
_WORKLOAD = "it makes pods only in a live cluster: describe them under pods: or add the Pod documents"
_STATE = "calisim allocates addresses itself"
_BYSTANDER = "it moves no packet"


@dataclass(frozen=True, slots=True)
class Kind:
    """``unmodelled`` is the sentence for a warning; "" where the kind becomes part of the model."""

    group: str
    name: str
    rule: Rule = anything
    unmodelled: str = ""

    @property
    def api_version(self) -> str:
        """As a document of this kind writes it."""
        known = {CALICO: "projectcalico.org/v3", CORE: "v1", KUBE_PROXY: f"{KUBE_PROXY}/v1alpha1"}
        return known.get(self.group, f"{self.group}/v1")


def _kinds(group: str, unmodelled: str, names: str) -> Iterator[Kind]:
    for name in names.split():
        yield Kind(group, name, RULES.get(name, anything) if group == CALICO else anything, unmodelled)


RULES: dict[str, Rule] = {**ipam.RULES, **felix.RULES, **bgp.RULES, **endpoints.RULES, **policies.RULES}
SPECS: dict[str, Rule] = {**ipam.SPECS, **felix.SPECS, **bgp.SPECS, **endpoints.SPECS, **policies.SPECS}
PARTS: dict[str, Rule] = {**felix.PARTS, **bgp.PARTS, **endpoints.PARTS, **policies.PARTS}

KINDS: dict[tuple[str, str], Kind] = {(kind.group, kind.name): kind for kind in (
    *_kinds(CALICO, "", "IPPool FelixConfiguration BGPConfiguration IPAMConfiguration IPReservation Node"),
    Kind(CALICO, "IPAMConfig", RULES["IPAMConfiguration"]),          # its name as a CRD
    *(Kind(CORE, name, rule) for name, rule in {**kubernetes.RULES, "ipPool": legacy.POOL, "node": legacy.NODE}.items()),
    *_kinds(CALICO, "", """
        NetworkPolicy GlobalNetworkPolicy StagedNetworkPolicy StagedGlobalNetworkPolicy Profile Tier
        HostEndpoint NetworkSet GlobalNetworkSet WorkloadEndpoint"""),
    Kind(CALICO, "StagedKubernetesNetworkPolicy", kubernetes_policies.STAGED_POLICY),
    *_kinds(CALICO, _PEERS, "BGPPeer BGPFilter"),
    *_kinds(CALICO, _STATE, "BlockAffinity IPAMBlock IPAMHandle"),
    *_kinds(CALICO, _BYSTANDER, "CalicoNodeStatus ClusterInformation KubeControllersConfiguration"),
    *(Kind(CORE, name, rule) for name, rule in legacy_policies.RULES.items()),
    *_kinds(CORE, _PEERS, "bgpPeer"),
    *_kinds(CORE, _STATE, "workloadEndpoint"),
    Kind(CORE, "Service", services.SERVICE),
    Kind(CORE, "Endpoints", services.ENDPOINTS),
    *_kinds(CORE, _WORKLOAD, "ReplicationController PodTemplate"),
    *_kinds(CORE, _BYSTANDER, """
        Binding ComponentStatus ConfigMap Event LimitRange PersistentVolume PersistentVolumeClaim ResourceQuota Secret"""),
    *_kinds("apps", _WORKLOAD, "Deployment DaemonSet ReplicaSet StatefulSet ControllerRevision"),
    *_kinds("batch", _WORKLOAD, "Job CronJob"),
    *_kinds("autoscaling", _BYSTANDER, "HorizontalPodAutoscaler"),
    *_kinds("policy", _BYSTANDER, "PodDisruptionBudget PodSecurityPolicy"),
    Kind("discovery.k8s.io", "EndpointSlice", services.SLICE),
    Kind("networking.k8s.io", "ServiceCIDR", services.SERVICE_CIDR),
    Kind(KUBE_PROXY, "KubeProxyConfiguration", services.KUBE_PROXY),
    Kind("networking.k8s.io", "NetworkPolicy", kubernetes_policies.POLICY),
    *_kinds("networking.k8s.io", _INGRESS, "Ingress IngressClass"),
    *(Kind(admin_policies.GROUP, name, rule) for name, rule in admin_policies.RULES.items()),
    *_kinds("rbac.authorization.k8s.io", _BYSTANDER, "Role RoleBinding ClusterRole ClusterRoleBinding"),
    *_kinds("apiextensions.k8s.io", _BYSTANDER, "CustomResourceDefinition"),
    *_kinds("operator.tigera.io", "write the IPPool and FelixConfiguration that the operator makes of it", "Installation"),
    *_kinds("operator.tigera.io", _BYSTANDER, "APIServer TigeraStatus Goldmane Whisker"),
    *_kinds("storage.k8s.io", _BYSTANDER, "StorageClass"),
    *_kinds("scheduling.k8s.io", _BYSTANDER, "PriorityClass"),
    *_kinds("admissionregistration.k8s.io", _BYSTANDER, "ValidatingWebhookConfiguration MutatingWebhookConfiguration"),
    *_kinds("coordination.k8s.io", _BYSTANDER, "Lease"),
)}


def group_of(api_version: str) -> str:
    """``projectcalico.org/v3`` and ``crd.projectcalico.org/v1`` are one group; ``v1`` is the core group, ""."""
    return api_version.rpartition("/")[0].removeprefix("crd.")
