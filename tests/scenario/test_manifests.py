"""Verbatim documents to resources: what is modelled, what earns a warning, what is a problem and where."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from calisim.errors import Mark
from calisim.quantities import parse_address, parse_prefix
from calisim.scenario import manifests, reader
from calisim.scenario.documents import Document
from calisim.scenario.resources import Resources
from calisim.scenario.unpack import unpack


def convert(text):
    documents, problems = reader.parse(text, "cluster.yaml")
    assert problems == []
    resources, faults = unpack(documents)
    assert faults == []
    return manifests.convert(resources)


def clean(text):
    """Resources of documents without problems and warnings."""
    resources, warnings, problems = convert(text)
    assert (warnings, problems) == ([], [])
    return resources


def problems_of(text):
    return [(problem.mark.line, problem.mark.column, problem.path, problem.message, problem.hint) for problem in convert(text)[2]]


def pool(name, cidr, version="projectcalico.org/v3", **spec):
    fields = "".join(f", {field}: {value}" for field, value in spec.items())
    return f"---\napiVersion: {version}\nkind: IPPool\nmetadata: {{name: {name}}}\nspec: {{cidr: {cidr}{fields}}}\n"


def v1_pool(cidr, spec=""):
    return f"---\napiVersion: v1\nkind: ipPool\nmetadata: {{cidr: {cidr}}}\nspec: {{{spec}}}\n"


def test_a_v1_pool_becomes_the_v3_pool_of_its_upgrade():
    resources = clean(v1_pool("192.168.0.0/16", "ipip: {enabled: true, mode: cross-subnet}, nat-outgoing: true"))
    (found,) = resources.pools
    assert (found.name, str(found.cidr)) == ("192-168-0-0-16", "192.168.0.0/16")
    assert (found.ipip_mode, found.nat_outgoing) == ("CrossSubnet", True)
    assert (found.block_size, found.vxlan_mode, found.disabled, found.mark.line) == (26, "Never", False, 2)


@pytest.mark.parametrize(("spec", "mode"), [
    ("ipip: {enabled: true}", "Always"), ("ipip: {enabled: true, mode: always}", "Always"), ("", "Never"),
    ("ipip: {enabled: false, mode: cross-subnet}", "Never")])
def test_v1_encapsulation(spec, mode):
    assert clean(v1_pool("10.0.0.0/16", spec)).pools[0].ipip_mode == mode


def test_a_v3_pool_with_every_field_and_one_with_defaults():
    resources = clean(
        pool("full", "10.0.0.0/16", blockSize=28, vxlanMode="CrossSubnet", natOutgoing="true", disabled="true",
             disableBGPExport="true", nodeSelector="zone == 'a'", allowedUses="[Workload]", namespaceSelector="has(team)",
             assignmentMode="Manual")
        + pool("bare", "10.1.0.0/16", version="crd.projectcalico.org/v1"))
    full, bare = resources.pools
    assert (full.block_size, full.vxlan_mode, full.ipip_mode, full.nat_outgoing) == (28, "CrossSubnet", "Never", True)
    assert (full.disabled, full.disable_bgp_export, full.node_selector) == (True, True, "zone == 'a'")
    assert (full.allowed_uses, full.namespace_selector, full.assignment_mode) == (("Workload",), "has(team)", "Manual")
    assert (bare.block_size, bare.node_selector, bare.allowed_uses) == (26, "all()", ("Workload", "Tunnel"))
    assert bare.assignment_mode == "Automatic" and not bare.nat_outgoing


def test_settings_take_only_the_default_document():
    resources, warnings, problems = convert("""
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {ipipEnabled: false, vxlanMTU: 1400, defaultEndpointToHostAction: return, natOutgoingExclusions: IPPoolsAndHostIPs,
  externalNodesList: [10.9.0.0/16, 10.8.0.1], allowIPIPPacketsFromWorkloads: true, awsSrcDstCheck: Disable, bpfEnabled: true}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: node.a}
spec: {vxlanMTU: 9000}
---
apiVersion: crd.projectcalico.org/v1
kind: BGPConfiguration
metadata: {name: default}
spec: {asNumber: "1.10", nodeToNodeMeshEnabled: false}
---
apiVersion: crd.projectcalico.org/v1
kind: IPAMConfig
metadata: {name: default}
spec: {strictAffinity: true, maxBlocksPerHost: 4, autoAllocateBlocks: false}
---
apiVersion: projectcalico.org/v3
kind: IPReservation
metadata: {name: gone}
spec: {reservedCIDRs: [10.0.0.4/30, 10.0.0.9]}
""")
    assert problems == []
    felix = resources.felix
    assert (felix.ipip_enabled, felix.vxlan_enabled, felix.vxlan_mtu, felix.ipip_mtu) == (False, None, 1400, 0)
    assert felix.default_endpoint_to_host_action == "Return" and felix.nat_outgoing_exclusions == "IPPoolsAndHostIPs"
    assert felix.external_nodes == (parse_prefix("10.9.0.0/16"), parse_prefix("10.8.0.1/32"))
    assert felix.allow_ipip_from_workloads and felix.aws_src_dst_check == "Disable"
    assert (resources.bgp.as_number, resources.bgp.node_to_node_mesh_enabled) == (65546, False)
    assert resources.ipam.strict_affinity and resources.ipam.max_blocks_per_host == 4 and not resources.ipam.auto_allocate_blocks
    assert resources.reservations == (parse_prefix("10.0.0.4/30"), parse_prefix("10.0.0.9/32"))
    assert any("FelixConfiguration node.a" in warning for warning in warnings)
    assert any("bpfEnabled" in warning for warning in warnings)
    assert len(warnings) == 2


def test_a_setting_that_is_not_said_has_calicos_default():
    kinds = ("FelixConfiguration", "BGPConfiguration", "IPAMConfiguration")
    resources = clean("---\n".join(
        f"apiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata: {{name: default}}\nspec: {{}}\n" for kind in kinds))
    for field in ("felix", "bgp", "ipam"):
        found = getattr(resources, field)
        assert found == replace(getattr(Resources(), field), mark=found.mark) and found.mark.line


def test_nodes_of_calico_and_kubernetes_become_one():
    resources = clean("""
apiVersion: v1
kind: Node
metadata:
  name: n1
  labels: {zone: a, disk: ssd}
  annotations: {projectcalico.org/IPv4Address: 10.0.0.5/24, projectcalico.org/IPv4VXLANTunnelAddr: 192.168.0.1}
status:
  addresses: [{type: Hostname, address: n1}, {type: InternalIP, address: "fd00::1"}, {type: InternalIP, address: 10.0.0.6}]
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: n1, labels: {zone: b}}
spec: {bgp: {ipv4Address: 10.0.0.5/20, ipv4IPIPTunnelAddr: 192.168.0.2, routeReflectorClusterID: 1.0.0.1}}
---
apiVersion: v1
kind: node
metadata: {name: Old.Node}
spec: {bgp: {ipv4Address: 10.0.0.7}}
""")
    node = resources.nodes["n1"]
    assert node.address == (parse_address("10.0.0.5"), 20) and node.internal_address == parse_address("10.0.0.6")
    assert node.ipip_address == parse_address("192.168.0.2") and node.vxlan_address == parse_address("192.168.0.1")
    assert node.cluster_id == "1.0.0.1" and node.labels == {"zone": "b", "disk": "ssd"}
    assert resources.nodes["old.node"].address == (parse_address("10.0.0.7"), 32)


def test_pods_their_ports_and_what_they_ask_of_ipam():
    resources, warnings, problems = convert("""
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}, annotations: {cni.projectcalico.org/ipAddrs: '["10.0.0.9"]'}}
    spec: {nodeName: n1, containers: [{name: c, ports: [{containerPort: 80, name: http}, {containerPort: 53, protocol: UDP}]}]}
  - apiVersion: v1
    kind: Pod
    metadata: {name: db, annotations: {cni.projectcalico.org/ipv4pools: '["second", "10.1.0.0/16"]'}}
  - {apiVersion: v1, kind: Pod, metadata: {name: proxy, namespace: kube-system}, spec: {hostNetwork: true}}
  - {apiVersion: v1, kind: Pod, metadata: {name: job}, status: {phase: Succeeded}}
  - apiVersion: v1
    kind: Namespace
    metadata: {name: shop, labels: {team: a}, annotations: {cni.projectcalico.org/ipv4pools: '["first"]'}}
""")
    assert problems == []
    web, db = resources.pods
    assert (web.name, web.namespace, web.node, web.labels) == ("web", "shop", "n1", {"app": "web"})
    assert web.ports == (("http", "TCP", 80), ("", "UDP", 53)) and web.address == parse_address("10.0.0.9")
    assert web.pools == ("first",) and db.pools == ("second", "10.1.0.0/16") and db.namespace == "default"
    assert resources.namespaces["shop"] == {"team": "a", "kubernetes.io/metadata.name": "shop", "projectcalico.org/name": "shop"}
    assert resources.namespace_pools == {"shop": ("first",)}
    assert len(warnings) == 1 and "kube-system/proxy, default/job" in warnings[0]


@pytest.mark.parametrize(("document", "names"), [
    ("apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: tor}\nspec: {peerIP: 10.0.0.1}", ("BGPPeer tor", "mesh")),
    ("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}", ("Ingress web", "service behind it")),
    ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}", ("Deployment web", "pods:")),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-root-ca}", ("ConfigMap", "no packet")),
])
def test_what_is_understood_but_not_modelled_is_said(document, names):
    resources, warnings, problems = convert(document)
    assert problems == [] and len(warnings) == 1
    assert all(name in warnings[0] for name in names)


def test_many_alike_share_one_warning():
    warnings = convert("\n---\n".join(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s{n}}}" for n in range(40)))[1]
    assert len(warnings) == 1 and "s4 and 35 more" in warnings[0]


def test_every_problem_points_at_its_value_with_a_cure():
    found = problems_of(pool("a", "10.0.0.0/16", ipipMode="crossSubnet", natOutgoin="true"))
    assert found == [
        (5, 37, "spec.ipipMode", "crossSubnet is not one of Never, Always, CrossSubnet", "did you mean CrossSubnet?"),
        (5, 50, "spec.natOutgoin", "natOutgoin is not a field of this place", "did you mean natOutgoing?")]


@pytest.mark.parametrize(("text", "line", "path", "message"), [
    (pool("a", "10.0.0.0/16") + pool("b", "10.0.128.0/17"), 10, "spec.cidr", "10.0.0.0/16 of the pool a (cluster.yaml:2:1)"),
    (pool("b", "10.0.128.0/17") + pool("a", "10.0.0.0/16"), 10, "spec.cidr", "overlaps 10.0.128.0/17 of the pool b"),
    (v1_pool("10.0.0.0/16") + pool("b", "10.0.0.0/24"), 10, "spec.cidr", "overlaps"),
    (pool("a", "10.0.0.0/16") + pool("a", "10.1.0.0/16"), 9, "metadata.name", "described twice"),
    (pool("a", "fd00::/64"), 5, "spec.cidr", "calisim models IPv4 only"),
    (v1_pool("fd00::/64"), 4, "metadata.cidr", "calisim models IPv4 only"),
    (v1_pool("10.0.0.0/16", "ipip: {enabled: true, mode: CrossSubnet}"), 5, "spec.ipip.mode", "not one of always"),
    (v1_pool("10.0.0.0/16", "natOutgoing: true"), 5, "spec.natOutgoing", "not a field"),
    (pool("a", "10.0.0.0/16", ipipMode="Always", vxlanMode="Always"), 5, "spec.vxlanMode", "one encapsulation"),
    ("apiVersion: v1\nkind: ippool\nmetadata: {cidr: 10.0.0.0/16}", 2, "kind", "ippool is no kind"),
    ("apiVersion: v3\nkind: IPPool\nmetadata: {name: a}", 1, "apiVersion", "IPPool is not a kind of v3"),
    ("apiVersion: cilium.io/v2\nkind: CiliumNode\nmetadata: {name: a}", 2, "kind", "no kind that calisim knows"),
    ("apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {cni.projectcalico.org/ipv4pools: second}}", 3,
     "metadata.annotations.cni.projectcalico.org/ipv4pools", "not a JSON list"),
    ("apiVersion: v1\nkind: Node\nmetadata: {name: n, annotations: {projectcalico.org/IPv4Address: nowhere}}", 3,
     "metadata.annotations.projectcalico.org/IPv4Address", "nowhere is not an IP address"),
    ("apiVersion: projectcalico.org/v3\nkind: HostEndpoint\nmetadata: {name: h}\nspec: {interfaceName: eth0}", 4, "spec",
     "node is missing"),
    ("apiVersion: projectcalico.org/v3\nkind: IPReservation\nmetadata: {name: r}\nspec: {reservedCIDRs: ['fd00::/8']}", 4,
     "spec.reservedCIDRs[0]", "calisim models IPv4 only"),
])
def test_problems(text, line, path, message):
    (found,) = problems_of(text)
    assert (found[0], found[2]) == (line, path) and message in found[3], found


def test_v1_pools_may_overlap_as_v1_allowed_and_it_is_said():
    resources, warnings, problems = convert(v1_pool("10.0.0.0/16") + v1_pool("10.0.0.0/24"))
    assert len(resources.pools) == 2 and problems == [] and len(warnings) == 1 and "overlaps" in warnings[0]


def test_a_v1_suggestion_stays_in_v1():
    assert problems_of("apiVersion: v1\nkind: ippool\nmetadata: {cidr: 10.0.0.0/16}")[0][4] == "did you mean ipPool?"
    assert problems_of("apiVersion: projectcalico.org/v3\nkind: ippool\nmetadata: {name: a}")[0][4] == "did you mean IPPool?"


def test_a_kind_of_a_stranger_is_compared_with_nothing():
    assert "leave it out" in problems_of("apiVersion: kops.k8s.io/v1alpha2\nkind: Cluster\nmetadata: {name: a}")[0][4]


def test_documents_with_problems_are_left_out_and_the_rest_is_read():
    resources, _, problems = convert(pool("a", "10.0.0.0/33") + pool("b", "10.1.0.0/16"))
    assert [found.name for found in resources.pools] == ["b"] and len(problems) == 1


WHOLE = [document.value for document in reader.parse("""
{apiVersion: v1, kind: ipPool, metadata: {cidr: 10.0.0.0/16}, spec: {ipip: {enabled: true, mode: always}}}
---
{apiVersion: v1, kind: node, metadata: {name: n}, spec: {bgp: {ipv4Address: 10.0.0.1/24}}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: p, labels: {a: b}}
spec: {cidr: 10.0.0.0/16, blockSize: 26, allowedUses: [Workload], nodeSelector: all()}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: n}
spec: {bgp: {ipv4Address: 10.0.0.1/24, asNumber: 1}, addresses: [{address: 10.0.0.1, type: InternalIP}]}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {externalNodesList: [10.0.0.1], routeTableRanges: [{min: 1, max: 2}], ipipMTU: 0, bpfEnabled: true}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  asNumber: 1
  communities: [{name: c, value: "1:2"}]
  prefixAdvertisements: [{cidr: 10.0.0.0/8, communities: [c]}]
---
{apiVersion: projectcalico.org/v3, kind: IPReservation, metadata: {name: r}, spec: {reservedCIDRs: [10.0.0.1]}}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: g}
spec:
  ingress:
    - {action: Allow, protocol: TCP, source: {nets: [10.0.0.0/8]}, destination: {ports: [80]}}
    - {action: Allow, source: {services: {name: s, namespace: n}}}
---
apiVersion: v1
kind: Node
metadata: {name: n, annotations: {projectcalico.org/IPv4Address: 10.0.0.1/24}}
status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p, annotations: {cni.projectcalico.org/ipAddrs: '["10.0.0.1"]'}}
spec: {nodeName: n, containers: [{ports: [{containerPort: 80, name: http}]}]}
status: {phase: Running}
---
apiVersion: v1
kind: Namespace
metadata: {name: n, annotations: {cni.projectcalico.org/ipv4pools: "[]"}}
""", "whole.yaml")[0]]
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**33), st.floats(allow_nan=False), st.text(max_size=5),
    st.sampled_from(["", "fd00::1", "10.0.0.1/33", "[1]", "a b", "global()"]),
    st.just([]), st.just({}), st.just([None]), st.just([{}]), st.just({"a": None}), st.just([[]]))


def replaced(value, path, junk):
    """The value with junk at the path (positions count the values of a mapping or list in turn)."""
    if not path or not isinstance(value, dict | list) or not value:
        return junk
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = keys[path[0] % len(keys)]
    changed = value.copy()
    changed[place] = replaced(value[place], path[1:], junk)
    return changed


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 9), min_size=1, max_size=7), JUNK)
def test_junk_anywhere_is_told_and_never_a_crash(whole, path, junk):
    value = {**replaced(whole, path, junk), "apiVersion": whole["apiVersion"], "kind": whole["kind"]}
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    document = Document(whole["apiVersion"], whole["kind"], name if isinstance(name, str) else "", value, Mark("junk.yaml", 1, 1))
    resources, warnings, problems = manifests.convert([document])
    assert isinstance(resources, Resources) and all(isinstance(problem.message, str) for problem in problems)
    assert not problems or not (resources.pools or resources.nodes or resources.pods)


@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: whole["kind"])
def test_the_whole_documents_are_right(whole):
    document = Document(whole["apiVersion"], whole["kind"], "x", whole, Mark("whole.yaml", 1, 1))
    assert manifests.convert([document])[2] == []
