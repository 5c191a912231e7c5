"""API v1 (Calico 2): what its ``ipPool`` and ``node`` say, and the v3 documents they become.

Lower-case kinds, hyphenated keys; a pool has no name, its CIDR identifies it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from .ipam import DEFAULT_BLOCK_SIZE, link_local, small_pool
from .rules import Fault, Faults, anything, boolean, one_of, record, text
from .values import IS_CIDR, IS_INTERFACE_V4, IS_INTERFACE_V6, as_number_rule, network

# --- names ----------------------------------------------------------------------------------------------------------


def pool_name(cidr: str) -> str:
    """The v3 name of a v1 pool: its CIDR with dashes."""
    return re.sub("[.:/]", "-", str(network(cidr)))


def node_name(name: str) -> str:
    """The v3 name of a v1 node."""
    name = re.sub("[^-.a-z0-9]+", "-", name.lower().replace("/", "."))
    return re.sub(r"[-.]*\.[-.]*", ".", name).strip("-.")


def resource_name(name: str) -> str:
    """The v3 name of any other v1 resource; a changed name carries a hash of the old one, so that two never meet."""
    return _qualified(name, node_name(name))


def resource_name_without_dots(name: str) -> str:
    """The same for kinds whose v3 names have no dots (policies)."""
    return _qualified(name, node_name(name).replace(".", "-"))


def _qualified(old: str, new: str) -> str:
    return new if new == old else f"{new}-{hashlib.sha1(old.encode(), usedforsecurity=False).hexdigest()[:8]}"


# --- ipPool ---------------------------------------------------------------------------------------------------------


def _pool(document: Mapping[str, Any]) -> Faults:
    cidr = network(document["metadata"]["cidr"])
    spec = document.get("spec") or {}
    ipip = spec.get("ipip") or {}
    if ipip.get("enabled") and cidr.version == 6:
        yield Fault("IPIP carries IPv4 only", "remove ipip from this IPv6 pool", ("spec", "ipip", "enabled"))
    if not spec.get("disabled"):
        for fault in small_pool(cidr, DEFAULT_BLOCK_SIZE[cidr.version]):
            yield fault.below("metadata", "cidr")
    for fault in link_local(cidr):
        yield fault.below("metadata", "cidr")


POOL = record(
    {
        "apiVersion": anything,
        "kind": anything,
        "metadata": record({"cidr": IS_CIDR}, required=("cidr",)),
        "spec": record({
            "ipip": record({"enabled": boolean, "mode": one_of("always", "cross-subnet")}),
            "nat-outgoing": boolean,
            "disabled": boolean,
        }),
    },
    required=("metadata",),
    relations=(_pool,),
)


def pool_to_v3(document: Mapping[str, Any]) -> dict[str, Any]:
    """A valid v1 ``ipPool`` as the v3 IPPool that Calico's own upgrade makes of it."""
    cidr = network(document["metadata"]["cidr"])
    spec = document.get("spec") or {}
    ipip = spec.get("ipip") or {}
    mode = "Never"
    if ipip.get("enabled"):
        mode = "CrossSubnet" if ipip.get("mode") == "cross-subnet" else "Always"
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "IPPool",
        "metadata": {"name": pool_name(str(cidr))},
        "spec": {
            "cidr": str(cidr),
            "blockSize": DEFAULT_BLOCK_SIZE[cidr.version],
            "ipipMode": mode,
            "natOutgoing": bool(spec.get("nat-outgoing")),
            "disabled": bool(spec.get("disabled")),
        },
    }


# --- node -----------------------------------------------------------------------------------------------------------


def _has_address(bgp: Mapping[str, Any]) -> Faults:
    if not bgp.get("ipv4Address") and not bgp.get("ipv6Address"):
        yield Fault("a node's bgp needs an address", "add ipv4Address: with the prefix length of its subnet")


NODE = record(
    {
        "apiVersion": anything,
        "kind": anything,
        "metadata": record({"name": text(".+", "a name")}, required=("name",)),
        "spec": record({
            "bgp": record(
                {"asNumber": as_number_rule, "ipv4Address": IS_INTERFACE_V4, "ipv6Address": IS_INTERFACE_V6},
                relations=(_has_address,),
            ),
        }),
    },
    required=("metadata",),
)


def node_to_v3(document: Mapping[str, Any]) -> dict[str, Any]:
    """A valid v1 ``node`` as v3 Node."""
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "Node",
        "metadata": {"name": node_name(document["metadata"]["name"])},
        "spec": document.get("spec") or {},
    }


RULES = {"ipPool": POOL, "node": NODE}
