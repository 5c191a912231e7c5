"""Judges of documents: what is accepted, what v1 resources become, numbers that may be names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..errors import Mark
from ..scenario import manifests
from ..scenario.calico import legacy, values
from ..scenario.documents import Document

Case = dict[str, Any]


def verdict(faults: list[str], accept: bool) -> str | None:
    """None where the faults found (or none) are what Calico's acceptance says."""
    if accept and faults:
        return "rejected, but Calico accepts it: " + "; ".join(faults)
    if not accept and not faults:
        return "accepted, but Calico rejects it"
    return None


def different(found: Any, expected: Any) -> str | None:
    return None if found == expected and type(found) is type(expected) else f"{found!r}, but Calico says {expected!r}"


def validation(case: Case) -> str | None:
    """An object of a kind is accepted or not."""
    return verdict(manifests.validate(case["kind"], case["object"]), case["accept"])


def v1_pool(case: Case) -> str | None:
    """A v1 pool is accepted or not; what becomes of it in v3, and in the resources that the model is built from."""
    document = case["input"]
    faults = manifests.validate(document["kind"], document)
    if faults or not case["accept"]:
        return verdict(faults, case["accept"])
    pool = legacy.pool_to_v3(document)
    expected = case["v3"]
    found = {"name": pool["metadata"]["name"], **pool["spec"]}
    if ":" in expected["cidr"]:      # the model itself refuses IPv6
        return different(found, expected)
    return different(found, expected) or different(_pool_resource(document), expected)


def _pool_resource(document: Case) -> dict[str, Any]:
    mark = Mark("case.json", 1, 1)
    resources, _, problems = manifests.convert([Document(document["apiVersion"], document["kind"], "", document, mark)])
    assert not problems, problems
    pool = resources.pools[0]
    return {
        "name": pool.name, "cidr": str(pool.cidr), "ipipMode": pool.ipip_mode, "natOutgoing": pool.nat_outgoing,
        "disabled": pool.disabled, "blockSize": pool.block_size,
    }


_NAMES: dict[str, Callable[[str], str]] = {
    "convertName": legacy.resource_name,
    "convertNameNoDots": legacy.resource_name_without_dots,
    "convertNodeName": legacy.node_name,
}


def v1_name(case: Case) -> str | None:
    """The v3 name of a v1 resource."""
    return different(_NAMES[case["fn"]](case["v1"]), case["v3"])


_NUMBERS: dict[str, Callable[[Any], int | str]] = {
    "asNumber": values.as_number,
    "port": values.port,
    "protocol": values.protocol,
}


def number_or_text(case: Case) -> str | None:
    """JSON text → AS number, port or protocol."""
    try:
        found = _NUMBERS[case["kind"]](json.loads(case["json"]))
    except ValueError as error:
        return verdict([str(error)], case["accept"])
    return verdict([], case["accept"]) or different(found, case["value"])


TOPICS = {
    "v1_ippool": v1_pool,
    "v1_names": v1_name,
    "num_or_string": number_or_text,
    "validation_ippool": validation,
    "validation_bgp": validation,
    "validation_felix": validation,
    "validation_node_endpoint": validation,
    "validation_policy": validation,
}
