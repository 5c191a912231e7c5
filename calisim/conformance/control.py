"""Judges of the control plane: IPAM, BIRD's filters, encapsulation, MTU and natOutgoing against Calico's own cases.

Each judge puts one case through the code that :func:`calisim.control.resolve.resolve` uses and returns None, or the
sentence that says how the model differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..control.encapsulation import encapsulate
from ..control.ipam import Assignment, Failure, Ipam
from ..control.mtu import pod_mtu
from ..control.nat import nat_rule
from ..control.owners import FELIX_ERA, KernelFilter, exported, kernel_filter, owners
from ..quantities import format_address, network_of, parse_address, parse_interface, parse_prefix
from ..scenario.resources import IPAMConfiguration, IPPool
from ..vocabulary import Encap

Case = Mapping[str, Any]
Judge = Callable[[Case], str | None]
_PARTIAL = (Failure.NO_FREE_ADDRESS, Failure.STRICT_AFFINITY)      # IPAM calls getting less than asked for no error


def ipam_autoassign(case: Case) -> str | None:
    """Sequential requests and releases; every ``expect…`` of a step is a claim about that step."""
    labels = case.get("node_labels") or {}
    ipam = Ipam(
        [_pool(pool) for pool in case["pools"]],
        reservations=[parse_prefix(text) for text in case.get("reservations") or case.get("reservedCIDRs") or ()],
        configuration=_configuration(case), host_labels=labels, namespace_labels=case.get("namespace_labels") or {})
    for number, step in enumerate(case["steps"], start=1):
        if "release" in step:
            ipam.release(parse_address(text) for text in step["release"])
            continue
        ipam.now += float(step.get("wait", 0))
        fault = _step(ipam, step)
        if fault:
            return f"step {number}: {fault}"
    return None


def bird_pool_filters(case: Case) -> str | None:
    """The kernel-programming and the export filter of one pool."""
    pool = _pool(case["pool"])
    local = parse_prefix(case["local_subnet"]) if case.get("local_subnet") else None
    who = owners(FELIX_ERA, case.get("bgp_programClusterRoutes"), None)
    told = _statement(kernel_filter(pool.ipip_mode, pool.vxlan_mode, who, local))
    return (
        _differs("kernel filter", told, case["kernel"])
        or _differs("export", "accept" if exported(pool.disable_bgp_export) else "reject", case["export"]))


def encap_decision(case: Case) -> str | None:
    """What a sender does with a pod of another node."""
    mode, kind = case["mode"], case["encapsulation"]
    own = case.get("src_node_cidr")
    recorded = network_of(*_interface(own)) if own else None
    peer, _ = _interface(case["dst_node_cidr"])
    chosen = encapsulate(mode if kind == "ipip" else "Never", mode if kind == "vxlan" else "Never", recorded, peer)
    return _differs("encapsulation", "no-encap" if chosen is Encap.NONE else chosen.name.lower(), case["expected"])


def mtu(case: Case) -> str | None:
    """The pods' MTU on a host."""
    return _differs("pod MTU", pod_mtu(case["host_mtu"], case["enabled"], case["configured"]), case["pod_mtu"])


def nat_outgoing(case: Case) -> str | None:
    """Whether natOutgoing masquerades a new connection."""
    hosts = [_interface(text) for text in case.get("host_ips") or ()]
    rule = nat_rule(
        [_pool(pool) for pool in case["pools"]], case.get("natOutgoingExclusions") or "IPPoolsOnly",
        (address for address, _ in hosts), [parse_prefix(text) for text in case.get("externalNodesList") or ()])
    return _differs("masquerade", rule.matches(parse_address(case["src"]), parse_address(case["dst"])), case["masquerade"])


TOPICS: dict[str, Judge] = {
    "ipam_autoassign": ipam_autoassign,
    "bird_pool_filters": bird_pool_filters,
    "encap_decision": encap_decision,
    "mtu": mtu,
    "nat_outgoing": nat_outgoing,
}


def _step(ipam: Ipam, step: Mapping[str, Any]) -> str | None:
    """Make one request and hold each of its claims against the answer."""
    host = step["host"]
    if "ip" in step:
        answer = ipam.assign_address(host, parse_address(step["ip"]))
    else:
        answer = ipam.assign(
            host, step.get("num", 1), use=step.get("use", "Workload"), namespace=step.get("namespace"),
            pools=tuple(step.get("from_pools") or ()), max_blocks=step.get("max_blocks", 0))
    failure = None if answer.failure in _PARTIAL else answer.failure
    return (
        _differs("error", failure and failure.value, step.get("expect_error"))
        or _counts(ipam, host, answer, step) or _places(answer, step))


def _counts(ipam: Ipam, host: str, answer: Assignment, step: Mapping[str, Any]) -> str | None:
    borrowed = len(answer.borrowed)
    claims = {
        "expect_count": len(answer.addresses), "expect_borrowed": borrowed,
        "expect_from_own_blocks": len(answer.addresses) - borrowed,
        "expect_new_block": bool(answer.new_blocks), "expect_new_blocks": len(answer.new_blocks),
        "expect_blocks": sum(block.affinity == host for block in ipam.blocks.values()),
    }
    return next((fault for key, found in claims.items() if key in step and (fault := _differs(key, found, step[key]))), None)


def _places(answer: Assignment, step: Mapping[str, Any]) -> str | None:
    found = [format_address(address) for address in answer.addresses]
    if "expect" in step and (fault := _differs("addresses", found, step["expect"])):
        return fault
    if "expect_within" in step:
        inside = [parse_prefix(text) for text in step["expect_within"]]
        stray = [format_address(address) for address in answer.addresses if not any(address in prefix for prefix in inside)]
        if stray or not found:
            return f"{', '.join(stray) or 'no address'} is not within {', '.join(step['expect_within'])}"
    return None


def _pool(value: Mapping[str, Any]) -> IPPool:
    """A pool as cases write it: the spec's keys, the CIDR as name where there is none."""
    return IPPool(
        value.get("name") or value["cidr"], parse_prefix(value["cidr"]), value.get("blockSize") or 26,
        value.get("ipipMode") or "Never", value.get("vxlanMode") or "Never", bool(value.get("natOutgoing")),
        bool(value.get("disabled")), bool(value.get("disableBGPExport")), value.get("nodeSelector") or "all()",
        value.get("namespaceSelector") or "", tuple(value.get("allowedUses") or ("Workload", "Tunnel")),
        value.get("assignmentMode") or "Automatic")


def _configuration(case: Case) -> IPAMConfiguration:
    """IPAMConfiguration's fields, beside the pools or in a mapping of their own."""
    fields: dict[str, Any] = {}
    for holder in (case, *(case.get(key) or {} for key in ("config", "ipam_config", "IPAMConfiguration"))):
        for name, key in (
            ("strict_affinity", "strictAffinity"), ("max_blocks_per_host", "maxBlocksPerHost"),
            ("auto_allocate_blocks", "autoAllocateBlocks"),
        ):
            if (value := holder.get(key, holder.get(name))) is not None:
                fields[name] = value
    return IPAMConfiguration(**fields)


def _statement(told: KernelFilter) -> dict[str, Any]:
    if not told.accept:
        return {"action": "reject", "owner": "felix"}
    statement: dict[str, Any] = {"action": "accept", "owner": "bird"}
    if told.unless_inside is not None:
        statement["tunnel"] = {"next_hop_in": str(told.unless_inside), "then": "", "else": told.tunnel}
    elif told.tunnel:
        statement["tunnel"] = told.tunnel
    return statement


def _interface(text: str) -> tuple[int, int]:
    """An address with its prefix length; a bare one is a /32, as Calico reads it."""
    return parse_interface(text if "/" in text else f"{text}/32")


def _differs(what: str, found: object, expected: object) -> str | None:
    return None if found == expected else f"{what} is {found}, expected {expected}"
