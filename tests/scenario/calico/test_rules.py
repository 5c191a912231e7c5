"""The tables of rules: for each family what passes and what does not, and at which field the fault is told."""

from __future__ import annotations

import pytest

from calisim.scenario.calico import rules
from calisim.scenario.calico.kinds import RULES, SPECS
from calisim.scenario.manifests import validate

POOL = {"cidr": "10.0.0.0/16"}
PEER = {"peerIP": "10.0.0.1"}
RULE = {"action": "Accept"}


def changed(base, **fields):
    return {**base, **fields}


ACCEPTED = [
    ("IPPoolSpec", changed(POOL, blockSize=32)),
    ("IPPoolSpec", changed(POOL, blockSize=0, ipipMode="")),
    ("IPPoolSpec", {"cidr": "10.0.0.0/30", "disabled": True}),
    ("IPPoolSpec", {"cidr": "fd00::/64", "vxlanMode": "CrossSubnet", "blockSize": 116}),
    ("IPPoolSpec", changed(POOL, ipipMode="Never", vxlanMode="Always")),
    ("IPPoolSpec", changed(POOL, allowedUses=["LoadBalancer"], nodeSelector="all()")),
    ("IPPoolSpec", changed(POOL, allowedUses=["Workload"], namespaceSelector="team == 'a'")),
    ("IPPoolSpec", changed(POOL, assignmentMode="Manual", **{"nat-outgoing": False})),
    ("IPAMConfigurationSpec", {"strictAffinity": True, "maxBlocksPerHost": 4, "ipCooldownSeconds": 1200}),
    ("IPReservationSpec", {"reservedCIDRs": ["10.0.0.1", "10.0.1.0/24"]}),
    ("FelixConfigurationSpec", {"defaultEndpointToHostAction": "ACCEPT", "chainInsertMode": "append"}),
    ("FelixConfigurationSpec", {"kubeNodePortRanges": [80, "30000:32767"], "natPortRange": "1000:2000"}),
    ("FelixConfigurationSpec", {"failsafeInboundHostPorts": [{"protocol": "UDP", "port": 68, "net": "10.0.0.0/8"}]}),
    ("FelixConfigurationSpec", {"mtuIfacePattern": r"^((en|eth)\pN*|(?i)WLAN\z)$", "interfaceExclude": "/^kube/,veth1"}),
    ("FelixConfigurationSpec", {"routeTableRanges": [{"min": 252, "max": 254}, {"min": 0xFFFFFFFF, "max": 0xFFFFFFFF}]}),
    ("FelixConfigurationSpec", {"healthTimeoutOverrides": [{"name": "Int Dataplane", "timeout": "90s"}]}),
    ("FelixConfigurationSpec", {"routeRefreshInterval": "1m30s", "featureDetectOverride": "MASQFullyRandom=false,Other="}),
    ("FelixConfigurationSpec", {"goGCThreshold": -1, "bpfExtToServiceConnmark": 0xFFFFFFFF}),
    ("FelixConfigurationSpec", {"wireguardRoutingRulePriority": 32765}),
    ("BGPConfigurationSpec", {"asNumber": "1.10", "ignoredInterfaces": ["eth*"], "logSeverityScreen": "trace"}),
    ("BGPConfigurationSpec", {
        "communities": [{"name": "blue", "value": "1:2"}],
        "prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["blue", "65535:0", "4294967295:0:1"]}]}),
    ("BGPConfigurationSpec", {"nodeMeshMaxRestartTime": "2m"}),
    ("BGPPeerSpec", changed(PEER, asNumber=64512, nextHopMode="Self", reachableBy="10.0.0.2")),
    ("BGPPeerSpec", {"peerIP": "[fd00::1]:179", "reachableBy": "fd00::2"}),
    ("BGPPeerSpec", {"localWorkloadSelector": "has(router)", "asNumber": 65000}),
    ("BGPPeerSpec", {"peerSelector": "has(router)", "asNumber": 0}),
    ("BGPFilterRuleV4", changed(RULE, cidr="10.0.0.0/8", matchOperator="In", prefixLength={"min": 0, "max": 32})),
    ("BGPFilterRuleV6", changed(RULE, interface="*.cali", peerType="iBGP", communities={"values": ["1:2:3"]})),
    ("BGPFilterRuleV4", changed(RULE, operations=[{"setPriority": {"value": 1}}, {"prependASPath": {"prefix": [65000]}}])),
    ("NodeSpec", {"bgp": {"ipv4Address": "10.0.0.5/24", "ipv4IPIPTunnelAddr": "10.9.0.1"}, "ipv4VXLANTunnelAddr": "10.9.0.2"}),
    ("NodeSpec", {"addresses": [{"address": "10.0.0.5/24", "type": "CalicoNodeIP"}], "orchRefs": [{"orchestrator": "k8s"}]}),
    ("NodeSpec", {"vxlanTunnelMACAddr": "66:cb:3a:00:11:22", "wireguard": {"interfaceIPv4Address": "10.1.0.1"}}),
    ("HostEndpointSpec", {"node": "n", "interfaceName": "*", "profiles": ["projectcalico-default-allow"]}),
    ("HostEndpointSpec", {"node": "n", "expectedIPs": ["10.0.0.1"], "ports": [{"name": "ssh", "protocol": 6, "port": 22}]}),
    ("WorkloadEndpointSpec", {"interfaceName": "cali1", "ipNetworks": ["10.0.0.1"], "mac": "ee:ee:ee:ee:ee:ee"}),
    ("WorkloadEndpointPort", {"protocol": "TCP", "port": 80, "hostPort": 8080, "hostIP": "10.0.0.1"}),
    ("Rule", {"action": "Allow", "protocol": "TCP", "source": {"nets": ["10.0.0.0/8"], "ports": [80, "1000:2000", "http"]}}),
    ("Rule", {"action": "Deny", "destination": {"ports": ["http"], "namespaceSelector": " global() "}}),
    ("Rule", {"action": "Allow", "protocol": "ICMPv6", "ipVersion": 6, "icmp": {"type": 128, "code": 0}}),
    ("Rule", {"action": "Allow", "http": {"methods": ["GET"], "paths": [{"exact": "/a"}, {"prefix": "/b"}]}}),
    ("NetworkPolicySpec", {"order": 1.5, "selector": "app == 'web'", "types": ["Egress", "Ingress"], "tier": "default"}),
    ("NetworkPolicySpec", {"egress": [{"action": "Allow", "destination": {"services": {"name": "dns"}}}]}),
    ("GlobalNetworkPolicySpec", {"preDNAT": True, "applyOnForward": True, "ingress": [{"action": "Pass"}]}),
    ("StagedNetworkPolicySpec", {"stagedAction": "Delete", "tier": "default"}),
    ("NetworkPolicy", {"metadata": {"name": "knp.default.a.b.c"}}),
    ("GlobalNetworkPolicy", {"metadata": {"name": "tier.name"}}),
    ("Tier", {"metadata": {"name": "default"}, "spec": {"order": 1000000}}),
    ("Tier", {"metadata": {"name": "mine"}}),
    ("GlobalNetworkSetSpec", {"nets": ["10.0.0.1", "fd00::/8"]}),
]

REJECTED = [          # kind, object, the field that the fault names
    ("IPPoolSpec", {}, "cidr is missing"),
    ("IPPoolSpec", {"cidr": "10.0.0.1/16"}, "the prefix is 10.0.0.0/16"),
    ("IPPoolSpec", {"cidr": "10.0.0.0"}, "write 10.0.0.0/32"),
    ("IPPoolSpec", {"cidr": "10.0.0.0/255.255.0.0"}, "cidr: "),
    ("IPPoolSpec", {"cidr": "fe80::%eth0/64"}, "cidr: "),
    ("IPPoolSpec", {"cidr": 10}, "cidr: 10 is not text"),
    ("IPPoolSpec", {"cidr": "10.0.0.0/27"}, "smaller than one block of /26"),
    ("IPPoolSpec", {"cidr": "10.0.0.0/25", "blockSize": 24}, "smaller than one block of /24"),
    ("IPPoolSpec", {"cidr": "169.0.0.0/8"}, "link-local"),
    ("IPPoolSpec", changed(POOL, blockSize=19), "blockSize: "),
    ("IPPoolSpec", {"cidr": "fd00::/64", "blockSize": 26}, "blockSize: "),
    ("IPPoolSpec", changed(POOL, blockSize="26"), "blockSize: 26 is not an integer"),
    ("IPPoolSpec", changed(POOL, ipipMode="Always", vxlanMode="CrossSubnet"), "vxlanMode: a pool has one encapsulation"),
    ("IPPoolSpec", changed(POOL, ipipMode=True), "ipipMode: true is not one of"),
    ("IPPoolSpec", {"cidr": "fd00::/64", "ipipMode": "CrossSubnet"}, "ipipMode: IPIP carries IPv4"),
    ("IPPoolSpec", changed(POOL, natOutgoing="yes"), "natOutgoing: yes is neither true nor false"),
    ("IPPoolSpec", changed(POOL, nodeSelector="a = 'b'"), "nodeSelector: "),
    ("IPPoolSpec", changed(POOL, nodeSelector="has(a) || global()"), "nodeSelector: global()"),
    ("IPPoolSpec", changed(POOL, nodeSelector="has(a) || " * 110 + "all()"), "at most 1,024"),
    ("IPPoolSpec", changed(POOL, allowedUses=["LoadBalancer"], disableBGPExport=True), "disableBGPExport: "),
    ("IPPoolSpec", changed(POOL, ipip={"enabled": True}), "ipip: ipip belongs to API v1"),
    ("IPPoolSpec", changed(POOL, **{"nat-outgoing": True}), "nat-outgoing: "),
    ("IPPoolSpec", changed(POOL, cird="x"), "cird: cird is not a field"),
    ("IPPool", {"metadata": {"name": "p"}}, "spec is missing"),
    ("IPPool", {"metadata": {}, "spec": POOL}, "metadata: name is missing"),
    ("IPPool", {"metadata": {"name": "Pool"}, "spec": POOL}, "metadata.name: "),
    ("IPPool", {"metadata": {"name": "a" * 254}, "spec": POOL}, "metadata.name: "),
    ("IPPool", {"metadata": {"name": "p", "labels": {"a/b/c": ""}}, "spec": POOL}, "metadata.labels.a/b/c: "),
    ("IPPool", {"metadata": {"name": "p", "labels": {"a": "x" * 64}}, "spec": POOL}, "metadata.labels.a: "),
    ("IPPool", {"metadata": {"name": "p", "annotations": {"a": "x" * (256 << 10)}}, "spec": POOL}, "metadata.annotations: "),
    ("IPPool", [], "not a mapping"),
    ("IPAMConfigurationSpec", {"maxBlocksPerHost": -1}, "maxBlocksPerHost: "),
    ("IPAMConfigurationSpec", {"ipCooldownSeconds": 1201}, "ipCooldownSeconds: "),
    ("IPReservationSpec", {"reservedCIDRs": ["10.0.0.1/24"]}, "reservedCIDRs.0: "),
    ("FelixConfigurationSpec", {"awsSrcDstCheck": "disable"}, "awsSrcDstCheck: "),
    ("FelixConfigurationSpec", {"bpfLogLevel": False}, "bpfLogLevel: false is not one of"),
    ("FelixConfigurationSpec", {"kubeNodePortRanges": ["1:2"] * 8}, "kubeNodePortRanges: the list has 8 entries"),
    ("FelixConfigurationSpec", {"kubeNodePortRanges": [0]}, "kubeNodePortRanges.0: "),
    ("FelixConfigurationSpec", {"natPortRange": "2000:1000"}, "natPortRange: "),
    ("FelixConfigurationSpec", {"failsafeOutboundHostPorts": [{"protocol": "ICMP", "port": 1}]},
     "failsafeOutboundHostPorts.0.protocol: "),
    ("FelixConfigurationSpec", {"failsafeOutboundHostPorts": [{"protocol": "TCP"}]}, "port is missing"),
    ("FelixConfigurationSpec", {"routeTableRange": {"min": 5, "max": 4}}, "routeTableRange: "),
    ("FelixConfigurationSpec", {"routeTableRange": {"min": 1, "max": 9}, "routeTableRanges": []}, "routeTableRange: "),
    ("FelixConfigurationSpec", {"routeTableRanges": [{"min": 1, "max": 65536}]}, "routeTableRanges: "),
    ("FelixConfigurationSpec", {"mtuIfacePattern": "eth(?!0)"}, "mtuIfacePattern: "),
    ("FelixConfigurationSpec", {"mtuIfacePattern": "(a)\\1"}, "mtuIfacePattern: "),
    ("FelixConfigurationSpec", {"mtuIfacePattern": "a++"}, "mtuIfacePattern: "),
    ("FelixConfigurationSpec", {"mtuIfacePattern": "(" * 1000}, "mtuIfacePattern: "),
    ("FelixConfigurationSpec", {"interfaceExclude": "/*/"}, "interfaceExclude: "),
    ("FelixConfigurationSpec", {"externalNodesList": ["fd00::/8"]}, "externalNodesList.0: "),
    ("FelixConfigurationSpec", {"openstackRegion": "r" * 47}, "openstackRegion: "),
    ("FelixConfigurationSpec", {"wireguardListeningPort": 0}, "wireguardListeningPort: "),
    ("FelixConfigurationSpec", {"iptablesRefreshInterval": "often"}, "iptablesRefreshInterval: "),
    ("FelixConfiguration", {"metadata": {"name": "node.a"}, "spec": {"nodeSelector": "all()"}}, "spec.nodeSelector: "),
    ("BGPConfigurationSpec", {"asNumber": 2**32}, "asNumber: "),
    ("BGPConfigurationSpec", {"communities": [{"name": "blue", "value": "1:2"}]}, "communities: "),
    ("BGPConfigurationSpec", {"prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["blue"]}]},
     "prefixAdvertisements.0.communities.0: "),
    ("BGPConfigurationSpec", {"prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["65536:1"]}]}, "16 bits"),
    ("BGPConfigurationSpec", {"nodeToNodeMeshEnabled": False, "nodeMeshMaxRestartTime": "2m"}, "nodeMeshMaxRestartTime: "),
    ("BGPConfigurationSpec", {"ignoredInterfaces": ["*"]}, "ignoredInterfaces.0: "),
    ("BGPPeerSpec", changed(PEER, peerSelector="all()"), "peerIP and peerSelector exclude"),
    ("BGPPeerSpec", {"peerSelector": "all()", "asNumber": "0.1"}, "asNumber and peerSelector exclude"),
    ("BGPPeerSpec", {"localWorkloadSelector": "all()"}, "AS number"),
    ("BGPPeerSpec", changed(PEER, keepOriginalNextHop=True, nextHopMode="Keep"), "keepOriginalNextHop: "),
    ("BGPPeerSpec", {"peerIP": "10.0.0.1:0"}, "peerIP: "),
    ("BGPPeerSpec", changed(PEER, reachableBy="fd00::1"), "reachableBy: "),
    ("BGPFilterRuleV4", {}, "action is missing"),
    ("BGPFilterRuleV4", changed(RULE, cidr="10.0.0.0/8"), "cidr needs matchOperator"),
    ("BGPFilterRuleV4", changed(RULE, cidr="fd00::/8", matchOperator="In"), "cidr: "),
    ("BGPFilterRuleV4", changed(RULE, cidr="10.0.0.0/8", matchOperator="In", prefixLength={"max": 33}), "prefixLength.max: "),
    ("BGPFilterRuleV4", {"action": "Reject", "operations": [{"setPriority": {"value": 1}}]}, "operations: "),
    ("BGPFilterRuleV4", changed(RULE, operations=[]), "operations: "),
    ("BGPFilterRuleV4", changed(RULE, operations=[{"setPriority": {"value": 0}}]), "operations.0.setPriority.value: "),
    ("BGPFilterRuleV4", changed(RULE, communities={"values": ["1:2", "1:3"]}), "communities.values: "),
    ("NodeSpec", {"bgp": {"ipv4Address": ""}}, "bgp: "),
    ("NodeSpec", {"bgp": {"ipv6Address": "10.0.0.1/24"}}, "bgp.ipv6Address: "),
    ("NodeSpec", {"addresses": [{"address": "10.0.0.1", "type": "Hostname"}]}, "addresses.0.type: "),
    ("HostEndpointSpec", {"interfaceName": "eth0"}, "node is missing"),
    ("HostEndpointSpec", {"node": "n"}, "which interface"),
    ("HostEndpointSpec", {"node": "n", "interfaceName": "e" * 16}, "interfaceName: "),
    ("EndpointPort", {"name": "a", "protocol": "ICMP", "port": 1}, "protocol: "),
    ("EndpointPort", {"name": "9", "protocol": "TCP", "port": 1}, "name: "),
    ("WorkloadEndpointPort", {"protocol": "TCP", "port": 80}, "needs a name"),
    ("WorkloadEndpointPort", {"name": "a", "protocol": "TCP", "port": 0}, "port: "),
    ("WorkloadEndpointSpec", {"interfaceName": "c", "ipNetworks": ["10.0.0.0/31"]}, "ipNetworks.0: "),
    ("WorkloadEndpointSpec", {
        "interfaceName": "c", "ipNetworks": ["10.0.0.1"], "ipNATs": [{"internalIP": "10.0.0.1", "externalIP": "fd00::1"}]},
     "ipNATs.0.externalIP: "),
    ("Rule", {}, "action is missing"),
    ("Rule", {"action": "allow"}, "action: allow is not one of"),
    ("Rule", {"action": "Allow", "ipVersion": 5}, "ipVersion: "),
    ("Rule", {"action": "Allow", "protocol": 0}, "protocol: "),
    ("Rule", {"action": "Allow", "protocol": "any"}, "protocol: "),
    ("Rule", {"action": "Allow", "source": {"ports": [80]}}, "source.ports: only TCP"),
    ("Rule", {"action": "Allow", "protocol": "UDPLite", "source": {"notPorts": ["http"]}}, "source.notPorts: only TCP"),
    ("Rule", {"action": "Allow", "protocol": "TCP", "source": {"ports": [0]}}, "source.ports.0: "),
    ("Rule", {"action": "Allow", "protocol": "TCP", "source": {"ports": [1] * 51}}, "source.ports: the list has 51"),
    ("Rule", {"action": "Allow", "icmp": {"type": 8}}, "icmp: icmp needs protocol"),
    ("Rule", {"action": "Allow", "protocol": "ICMP", "icmp": {"code": 0}}, "icmp.code: "),
    ("Rule", {"action": "Allow", "protocol": "ICMP", "icmp": {"type": 255}}, "icmp.type: "),
    ("Rule", {"action": "Allow", "notProtocol": "ICMPv6", "ipVersion": 4}, "ipVersion: "),
    ("Rule", {"action": "Allow", "source": {"nets": ["10.0.0.0/8", "fd00::/8"]}}, "source.nets.1: "),
    ("Rule", {"action": "Allow", "ipVersion": 6, "destination": {"notNets": ["10.0.0.0/8"]}}, "destination.notNets.0: "),
    ("Rule", {"action": "Allow", "source": {"nets": ["10.0.0.1"]}}, "source.nets.0: "),
    ("Rule", {"action": "Allow", "source": {"notNets": ["::/0"]}}, "source.notNets.0: "),
    ("Rule", {"action": "Allow", "source": {"namespaceSelector": "global() || has(a)"}}, "source.namespaceSelector: "),
    ("Rule", {"action": "Allow", "source": {"notSelector": "global()"}}, "source.notSelector: "),
    ("Rule", {"action": "Allow", "source": {"services": {"name": "a"}, "nets": ["10.0.0.0/8"]}}, "source.nets: "),
    ("Rule", {"action": "Allow", "protocol": "TCP", "destination": {"services": {"name": "a"}, "ports": [1]}},
     "destination.ports: "),
    ("Rule", {"action": "Deny", "http": {"methods": ["GET"]}}, "http: "),
    ("Rule", {"action": "Allow", "http": {"methods": ["GET", "GET"]}}, "http.methods.1: "),
    ("Rule", {"action": "Allow", "http": {"paths": [{"exact": "/a", "prefix": "/b"}]}}, "http.paths.0: "),
    ("Rule", {"action": "Allow", "http": {"paths": [{"exact": "/a?b"}]}}, "http.paths.0: "),
    ("NetworkPolicySpec", {"order": "first"}, "order: "),
    ("NetworkPolicySpec", {"types": ["Ingress", "Ingress"]}, "types.1: "),
    ("NetworkPolicySpec", {"ingress": [{"action": "Allow"}] * 1025}, "ingress: the list has 1025"),
    ("NetworkPolicySpec", {"ingress": [{"action": "Allow", "destination": {"services": {"name": "a"}}}]},
     "ingress.0.destination.services: "),
    ("NetworkPolicySpec", {"egress": [{"action": "Allow", "http": {}}]}, "egress.0.http: "),
    ("GlobalNetworkPolicySpec", {"egress": [{"action": "Allow", "destination": {"services": {"name": "a"}}}]},
     "egress.0.destination.services: "),
    ("GlobalNetworkPolicySpec", {"doNotTrack": True}, "applyOnForward: "),
    ("GlobalNetworkPolicySpec", {"doNotTrack": True, "preDNAT": True, "applyOnForward": True}, "preDNAT: "),
    ("GlobalNetworkPolicySpec", {"preDNAT": True, "applyOnForward": True, "egress": [{"action": "Allow"}]}, "egress: "),
    ("StagedNetworkPolicySpec", {"stagedAction": "Delete", "selector": "all()"}, "selector: "),
    ("NetworkPolicy", {"metadata": {"name": "a.b.c"}}, "metadata.name: "),
    ("GlobalNetworkPolicy", {"metadata": {"name": "knp.default.x"}}, "metadata.name: "),
    ("Tier", {"metadata": {"name": "a.b"}}, "metadata.name: "),
    ("Tier", {"metadata": {"name": "default"}, "spec": {"order": 10}}, "spec.order: "),
    ("Tier", {"metadata": {"name": "kube-admin"}, "spec": {"order": 1000, "defaultAction": "Deny"}}, "spec.defaultAction: "),
    ("ProfileSpec", {"labelsToApply": {"a!": "b"}}, "labelsToApply.a!: "),
    ("NetworkSet", {"metadata": {"name": "s", "labels": {"projectcalico.org/namespace": "x"}}}, "projectcalico.org/namespace"),
]


@pytest.mark.parametrize(("kind", "value"), ACCEPTED)
def test_what_calico_accepts(kind, value):
    assert validate(kind, value) == []


@pytest.mark.parametrize(("kind", "value", "fault"), REJECTED)
def test_what_calico_rejects(kind, value, fault):
    found = validate(kind, value)
    assert len(found) == 1 and fault in found[0], found


def test_the_object_around_a_spec_is_judged_with_it():
    assert validate("IPPool", {"metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/33"}}) != []
    assert validate("IPPool", {"metadata": {"name": "p"}, "spec": POOL}) == []


@pytest.mark.parametrize("kind", sorted(SPECS))
@pytest.mark.parametrize("junk", [None, 1, "text", [], [{}], {"": {"": []}}, {"metadata": [1]}])
def test_junk_is_a_fault_or_nothing_but_never_a_crash(kind, junk):
    for name in SPECS[kind], RULES[kind]:
        assert all(isinstance(fault, rules.Fault) for fault in name(junk))
    spec_fields = ("cidr", "bgp", "peerIP", "exportV4", "routeTableRanges", "communities", "ports", "ipNATs", "reservedCIDRs")
    assert all(isinstance(fault, rules.Fault) for fault in SPECS[kind](dict.fromkeys(spec_fields, junk)))


def test_a_slip_of_the_pen_gets_a_suggestion():
    assert rules.suggestion("natOutgoin", SPECS) == ""
    (fault,) = rules.record({"natOutgoing": rules.boolean})({"nat_outgoing": True})
    assert fault.hint == "did you mean natOutgoing?" and fault.at_key and fault.path == ("nat_outgoing",)


def test_hostile_values_cost_no_more_than_their_length():
    many = 20_000
    assert len(validate("IPPoolSpec", {"cidr": "10.0.0.0/16", **{f"field{n}": n for n in range(many)}})) == rules.MAX_STRANGERS
    assert validate("NetworkPolicySpec", {"types": ["Ingress"] * many})
    for pattern in ("ms" * many, "1ms" * many + "!", "1.1h" * many + "!"):
        assert validate("FelixConfigurationSpec", {"dataplaneWatchdogTimeout": pattern})
    for name in ("a" * many + "/", "a." * many + "!", "a-" * many):
        assert validate("ProfileSpec", {"labelsToApply": {name: ""}})
    assert validate("FelixConfigurationSpec", {"featureGates": "a=b," * many + "="})
    assert validate("FelixConfigurationSpec", {"interfaceExclude": "/a/," * many})


def test_a_kind_without_rules_is_no_kind():
    with pytest.raises(ValueError, match="no rules for the kind Teapot"):
        validate("Teapot", {})
