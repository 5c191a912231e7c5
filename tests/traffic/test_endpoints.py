"""Names, addresses and selectors → endpoints."""

import pytest

from calisim.errors import UsageError
from calisim.quantities import parse_address
from calisim.traffic.endpoints import resolve_destinations, resolve_endpoints
from tests.intents import three_zones

INTENT = three_zones().build()
IDS = INTENT.endpoint_ids
LABELS = {
    IDS[f"default/p{number}"]: {
        "app": "web" if number % 2 else "db", "projectcalico.org/namespace": "default", "projectcalico.org/orchestrator": "k8s"}
    for number in range(1, 7)}


@pytest.mark.parametrize(("text", "names"), [
    ("default/p1", ["default/p1"]),
    ("p1", ["default/p1"]),
    (" node/n2 ", ["node/n2"]),
    ("n2", ["node/n2"]),
    ("node/*", ["node/n1", "node/n2", "node/n3"]),
    ("host/*", ["host/api", "host/near"]),
    ("10.244.2.3", ["default/p4"]),
    ("10.244.1.1", ["node/n1"]),                       # a tunnel address is its node's
    ("app == 'web'", ["default/p1", "default/p3", "default/p5"]),
    ("projectcalico.org/namespace == 'default' && app != 'web'", ["default/p2", "default/p4", "default/p6"]),
    ("app == 'nobody'", []),
])
def test_forms(text, names):
    assert resolve_endpoints(text, INTENT, LABELS) == [IDS[name] for name in names]


def test_all_means_pods_not_nodes_or_hosts():
    assert resolve_endpoints("all()", INTENT, LABELS) == sorted(LABELS)


def test_an_unused_address_may_be_a_destination_but_not_a_sender():
    ids, addresses = resolve_destinations("10.244.1.60", INTENT, LABELS)
    assert (ids.tolist(), addresses.tolist()) == ([0], [parse_address("10.244.1.60")])
    with pytest.raises(UsageError, match=r"no endpoint has the address 10\.244\.1\.60"):
        resolve_endpoints("10.244.1.60", INTENT, LABELS)


def test_a_tunnel_address_stays_the_destination():
    ids, addresses = resolve_destinations("10.244.2.1", INTENT, LABELS)
    assert (ids.tolist(), addresses.tolist()) == ([IDS["node/n2"]], [parse_address("10.244.2.1")])


@pytest.mark.parametrize(("text", "says"), [
    ("default/p11", "did you mean default/p1"),
    ("host/apo", "did you mean host/api"),
    ("aip", "did you mean host/api"),
    ("app = 'web'", "column"),
    ("nothing-like-it", "write NAMESPACE/POD"),
    ("svc/default/web", "only receives"),
])
def test_unknown(text, says):
    with pytest.raises(UsageError, match=says):
        resolve_endpoints(text, INTENT, LABELS)


def test_a_bare_name_must_be_unique():
    cluster = three_zones()
    cluster.pod("10.244.1.9", 1, name="other/p1")
    with pytest.raises(UsageError, match=r"default/p1, other/p1\); write one of them in full"):
        resolve_endpoints("p1", cluster.build(), {})
