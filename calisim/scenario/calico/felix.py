"""FelixConfiguration: one line a field.

Words of the older fields may be written in any case, those of newer ones (enums of the API) may not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .metadata import resource
from .rules import Fault, Faults, Rule, anything, boolean, either, integer, many, one_of, parsed, record, shown, table, text
from .values import (
    DURATION,
    IS_ADDRESS_V4,
    IS_ADDRESS_V6,
    IS_DNS_LABEL,
    IS_DURATION,
    IS_INTERFACE,
    IS_INTERFACE_FILTER,
    IS_INTERFACE_NAME,
    IS_INTERFACE_V4,
    IS_REGULAR_EXPRESSION,
    numeric_port_rule,
    selector,
)

ACTIONS = {"drop": "Drop", "accept": "Accept", "return": "Return"}
MAX_TABLES = 0xFFFF
MAX_PRIORITY = 2**31 - 2


def _any_case(*words: str) -> Rule:
    return one_of(*words, ignore_case=True)


_SWITCH = one_of("Enabled", "Disabled")
_LOG_LEVEL = _any_case("Trace", "Debug", "Info", "Warning", "Error", "Fatal")
_PORT = integer(0, 65535)
_OPEN_PORT = integer(1, 65535)
_MTU = integer(0, 65535)
_COUNT = integer(0, 2**31 - 1)
_LIMIT = integer(-1, 2**31 - 1)
_MARK = integer(0, 0xFFFFFFFF)
_PRIORITY = integer(1, MAX_PRIORITY)
_FILTERS = many(IS_INTERFACE_FILTER)
_INTERVAL = text(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))*", "a duration such as 90s")


def _not_negative(value: Any) -> Faults:
    """A duration: text, or a number of nanoseconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            yield Fault(f"{value} is negative; a duration is not")
    else:
        yield from IS_DURATION(value)


_TIMEOUT = record({
    "name": text("[a-zA-Z0-9_ -]+", "a component's name"),
    "timeout": either(_not_negative, record({"duration": _not_negative})),
}, required=("name", "timeout"))


def _region(value: Any) -> Faults:
    """It becomes part of a namespace's name, openstack-region-…"""
    yield from IS_DNS_LABEL(value)
    if isinstance(value, str) and len(value) > 63 - len("openstack-region-"):
        yield Fault(f"{shown(value)} is longer than {63 - len('openstack-region-')} characters")


def _excluded_interfaces(value: str) -> None:
    """Comma-separated names; between slashes a regular expression."""
    for item in value.split(","):
        if len(item) > 1 and item.startswith("/") and item.endswith("/"):
            faults = list(IS_REGULAR_EXPRESSION(item[1:-1]))
        else:
            faults = list(IS_INTERFACE_NAME(item.strip()))
        if faults:
            raise ValueError(faults[0].message)


def _in_order(spec: Mapping[str, Any]) -> Faults:
    if spec["min"] > spec["max"]:
        yield Fault(f"the range ends ({spec['max']}) before it begins ({spec['min']})")


_TABLE_RANGE = record({"min": integer(1, 250), "max": integer(1, 250)}, required=("min", "max"), relations=(_in_order,))
_TABLE_ID_RANGE = record(
    {"min": integer(1, 0xFFFFFFFF), "max": integer(1, 0xFFFFFFFF)}, required=("min", "max"), relations=(_in_order,))
_FAILSAFE = record({"protocol": one_of("TCP", "UDP", "SCTP"), "port": _PORT, "net": IS_INTERFACE}, required=("port",))
_CONNTRACK_TIMEOUT = text(f"{DURATION}|Auto", "a duration or Auto")


def _tables(spec: Mapping[str, Any]) -> Faults:
    ranges = spec.get("routeTableRanges")
    if ranges is not None and spec.get("routeTableRange") is not None:
        yield Fault("routeTableRange and routeTableRanges exclude each other", "keep routeTableRanges", ("routeTableRange",))
    if ranges and sum(each["max"] - each["min"] + 1 for each in ranges) > MAX_TABLES:
        yield Fault(f"the ranges name more than {MAX_TABLES:,} route tables", path=("routeTableRanges",))


def _fields(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


FIELDS: dict[str, Rule] = {
    **_fields(boolean, """
        allowIPIPPacketsFromWorkloads allowVXLANPacketsFromWorkloads bpfConnectTimeLoadBalancingEnabled bpfDisableUnprivileged
        bpfEnabled bpfHostConntrackBypass bpfKubeProxyEndpointSlicesEnabled bpfKubeProxyIptablesCleanupEnabled
        bpfPolicyDebugEnabled debugDisableLogDropping disableConntrackInvalidCheck endpointReportingEnabled
        flowLogsCollectorDebugTrace genericXDPEnabled healthEnabled ipipEnabled ipv6Support prometheusGoMetricsEnabled
        prometheusMetricsEnabled prometheusProcessMetricsEnabled prometheusWireGuardMetricsEnabled removeExternalRoutes
        requireMTUFile routeSyncDisabled sidecarAccelerationEnabled usageReportingEnabled useInternalDataplaneDriver
        vxlanEnabled wireguardEnabled wireguardEnabledV6 wireguardHostEncryptionEnabled wireguardThreadingEnabled xdpEnabled"""),
    **_fields(text(), """
        bpfCTLBLogFilter cgroupV2Path dataplaneDriver debugHost debugMemoryProfilePath endpointStatusPathPrefix
        flowLogsGoldmaneServer healthHost iptablesLockFilePath logFilePath metadataAddr policySyncPathPrefix
        prometheusMetricsCAFile prometheusMetricsCertFile prometheusMetricsClientAuth prometheusMetricsKeyFile"""),
    **_fields(_INTERVAL, """
        bpfKubeProxyMinSyncPeriod debugSimulateCalcGraphHangAfter debugSimulateDataplaneApplyDelay
        debugSimulateDataplaneHangAfter endpointReportingDelay flowLogsFlushInterval interfaceRefreshInterval
        ipsetsRefreshInterval iptablesLockProbeInterval iptablesLockTimeout iptablesPostWriteCheckInterval
        iptablesRefreshInterval netlinkTimeout reportingInterval reportingTTL routeRefreshInterval
        usageReportingInitialDelay usageReportingInterval wireguardKeepAlive xdpRefreshInterval"""),
    **_fields(IS_DURATION, "dataplaneWatchdogTimeout nftablesRefreshInterval"),
    **_fields(_COUNT, """
        bpfExportBufferSizeMB bpfMaglevMaxEndpointsPerService bpfMaglevMaxServices bpfMapSizeConntrack bpfMapSizeIPSets
        bpfMapSizeIfState bpfMapSizeNATAffinity bpfMapSizeNATBackend bpfMapSizeNATFrontend bpfMapSizePerCpuConntrack
        bpfMapSizeRoute maxIpsetSize"""),
    **_fields(_MTU, "ipipMTU vxlanMTU vxlanMTUV6 wireguardMTU wireguardMTUV6"),
    **_fields(_PORT, "bpfKubeProxyHealthzPort debugPort healthPort metadataPort prometheusMetricsPort vxlanPort"),
    **_fields(_OPEN_PORT, "wireguardListeningPort wireguardListeningPortV6"),
    **_fields(_LIMIT, "goGCThreshold goMaxProcs goMemoryLimitMB"),
    **_fields(_MARK, "bpfExtToServiceConnmark iptablesMarkMask nftablesMarkMask"),
    **_fields(_PRIORITY, "ipv4ElevatedRoutePriority ipv4NormalRoutePriority ipv6ElevatedRoutePriority ipv6NormalRoutePriority"),
    **_fields(_LOG_LEVEL, "logSeverityFile logSeverityScreen logSeveritySys"),
    **_fields(_SWITCH, """
        bpfHostNetworkedNATWithoutCTLB bpfProfiling floatingIPs flowLogsLocalReporter ipForwarding istioAmbientMode
        windowsManageFirewallRules"""),
    **_fields(_any_case("Accept", "Return"), """
        iptablesFilterAllowAction iptablesMangleAllowAction nftablesFilterAllowAction nftablesMangleAllowAction"""),
    **_fields(_any_case("Drop", "Reject"), "iptablesFilterDenyAction nftablesFilterDenyAction"),
    **_fields(IS_REGULAR_EXPRESSION, """
        bpfDataIfacePattern bpfDisableGROForIfaces bpfL3IfacePattern logDebugFilenameRegex mtuIfacePattern"""),
    **_fields(many(IS_INTERFACE), "bpfDSROptoutCIDRs bpfExcludeCIDRsFromNAT"),
    **_fields(many(_FAILSAFE), "failsafeInboundHostPorts failsafeOutboundHostPorts"),
    **_fields(IS_INTERFACE_NAME, "wireguardInterfaceName wireguardInterfaceNameV6"),
    "awsSrcDstCheck": one_of("DoNothing", "Enable", "Disable"),
    "bpfAttachType": one_of("TC", "TCX"),
    "bpfConnectTimeLoadBalancing": one_of("TCP", "Enabled", "Disabled"),
    "bpfConntrackLogLevel": one_of("Off", "Debug"),
    "bpfConntrackMode": one_of("Auto", "Userspace", "BPFProgram"),
    "bpfConntrackTimeouts": record(_fields(_CONNTRACK_TIMEOUT, """
        creationGracePeriod genericTimeout icmpTimeout tcpEstablished tcpFinsSeen tcpResetSeen tcpSynSent udpTimeout""")),
    "bpfEnforceRPF": _any_case("Disabled", "Strict", "Loose"),
    "bpfExternalServiceMode": _any_case("Tunnel", "DSR"),
    "bpfForceTrackPacketsFromIfaces": _FILTERS,
    "bpfJITHardening": one_of("Auto", "Strict"),
    "bpfLogFilters": table(IS_INTERFACE_NAME, text()),
    "bpfLogLevel": _any_case("Off", "Info", "Debug"),
    "bpfMapSizeConntrackCleanupQueue": integer(1, 2**31 - 1),
    "bpfMapSizeConntrackScaling": _any_case("Disabled", "DoubleIfFull"),
    "bpfOverlayHostSourceIP": anything,
    "bpfPSNATPorts": numeric_port_rule,
    "bpfRedirectToPeer": one_of("Enabled", "Disabled", "L2Only"),
    "chainInsertMode": _any_case("Insert", "Append"),
    "defaultEndpointToHostAction": _any_case("Drop", "Accept", "Return"),
    "deviceRouteProtocol": integer(0, 255),
    "deviceRouteSourceAddress": IS_ADDRESS_V4,
    "deviceRouteSourceAddressIPv6": IS_ADDRESS_V6,
    "externalNodesList": many(IS_INTERFACE_V4),
    "featureDetectOverride": text(r"([\w-]+=(true|false)?,)*([\w-]+=(true|false)?)?", "a list such as Feature=true,Other="),
    "featureGates": text(r"([\w-]+=[^=,]+,)*([\w-]+=[^=,]+)?", "a list such as Feature=Enabled,Other=1"),
    "flowLogsPolicyEvaluationMode": one_of("None", "Continuous"),
    "healthTimeoutOverrides": many(_TIMEOUT),
    "interfaceExclude": parsed(_excluded_interfaces, at_most=4096),
    "interfacePrefix": text("[a-zA-Z0-9_,.-]+", "an interface name prefix or a comma-separated list of them"),
    "iptablesBackend": _any_case("Auto", "Legacy", "NFT"),
    "iptablesNATOutgoingInterfaceFilter": IS_INTERFACE_FILTER,
    "istioDSCPMark": anything,
    "kubeNodePortRanges": many(numeric_port_rule, at_most=7),
    "logActionRateLimit": text("[1-9][0-9]{0,3}/(second|minute|hour|day)", "a rate such as 10/second"),
    "logActionRateLimitBurst": integer(0, 9999),
    "logPrefix": text("[a-zA-Z0-9%: /_-]*", "a log prefix"),
    "natOutgoingAddress": IS_ADDRESS_V4,
    "natOutgoingExclusions": one_of("IPPoolsOnly", "IPPoolsAndHostIPs"),
    "natPortRange": numeric_port_rule,
    "nftablesMode": one_of("Auto", "Enabled", "Disabled"),
    "nodeSelector": selector,
    "openstackRegion": _region,
    "programClusterRoutes": one_of("Enabled", "Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly"),
    "prometheusMetricsHost": text("[a-zA-Z0-9:._+-]{1,64}", "a host name or address"),
    "routeSource": _any_case("WorkloadIPs", "CalicoIPAM"),
    "routeTableRange": _TABLE_RANGE,
    "routeTableRanges": many(_TABLE_ID_RANGE),
    "serviceLoopPrevention": _any_case("Drop", "Reject", "Disabled"),
    "vxlanVNI": integer(0, 0xFFFFFF),
    "wireguardRoutingRulePriority": integer(1, 32765),
    "workloadSourceSpoofing": _any_case("Disabled", "Any"),
}


def _node_selector(document: Mapping[str, Any]) -> Faults:
    """``default`` is for all nodes and ``node.NAME`` for one; every other name needs a selector to be for any."""
    name = document["metadata"]["name"]
    if (name == "default" or name.startswith("node.")) and (document.get("spec") or {}).get("nodeSelector"):
        yield Fault(f"the configuration named {name} already says which nodes it is for", "give it another name",
                    ("spec", "nodeSelector"))


SPEC = record(FIELDS, relations=(_tables,))
SPECS = {"FelixConfiguration": SPEC}
RULES = {"FelixConfiguration": resource(SPEC, relations=(_node_selector,))}
PARTS = {
    "HealthTimeoutOverride": _TIMEOUT, "ProtoPort": _FAILSAFE,
    "RouteTableIDRange": _TABLE_ID_RANGE, "RouteTableRange": _TABLE_RANGE,
}

# Fields that would move packets, and what calisim does instead. Said in a warning when a document sets one.
UNMODELLED = {
    "bpfEnabled": "the iptables data plane is modelled",
    "chainInsertMode": "Calico's chains come first",
    "deviceRouteSourceAddress": "the node's own address is taken",
    "iptablesNATOutgoingInterfaceFilter": "natOutgoing holds for every interface",
    "natOutgoingAddress": "the address of the outgoing interface is taken",
    "natPortRange": "any port may be drawn",
    "wireguardEnabled": "packets between nodes are not encrypted",
    "workloadSourceSpoofing": "a pod sends from its own address only",
}
