"""Names, addresses and selectors → endpoints."""

from dataclasses import replace

import pytest

from calisim.control.intent import ServiceName
from calisim.errors import UsageError
from calisim.quantities import parse_address
from calisim.traffic.endpoints import resolve_destinations, resolve_endpoints, service_port
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


SERVED = replace(INTENT, service_names={
    "svc/shop/web": ServiceName((parse_address("10.96.0.10"),), (("http", 6, 80), ("dns", 17, 53))),
    "svc/shop/db": ServiceName((parse_address("10.244.1.2"), parse_address("10.244.2.2")), (("a", 6, 1), ("b", 6, 2)))})


@pytest.mark.parametrize(("text", "ids", "addresses"), [
    ("svc/shop/web", [0], ["10.96.0.10"]),
    ("svc/shop/db", [IDS["default/p1"], IDS["default/p3"]], ["10.244.1.2", "10.244.2.2"]),      # headless: its pods
])
def test_a_service_receives(text, ids, addresses):
    found = resolve_destinations(text, SERVED, LABELS)
    assert (found[0].tolist(), found[1].tolist()) == (ids, [parse_address(one) for one in addresses])


def test_a_services_port_is_taken_where_it_is_the_only_one_of_its_protocol():
    assert (service_port("svc/shop/web", SERVED, 6), service_port("svc/shop/web", SERVED, 17)) == (80, 53)
    assert service_port("svc/shop/web", SERVED, 1) is None and service_port("default/p1", SERVED, 6) is None
    with pytest.raises(UsageError, match=r"several ports \(a 1, b 2\); say which"):
        service_port("svc/shop/db", SERVED, 6)
    with pytest.raises(UsageError, match="no port of this protocol"):
        service_port("svc/shop/db", SERVED, 17)


def test_a_service_that_is_not_there():
    with pytest.raises(UsageError, match="did you mean svc/shop/web"):
        resolve_destinations("svc/shop/wep", SERVED, LABELS)
    with pytest.raises(UsageError, match="only receives"):
        resolve_endpoints("svc/shop/web", SERVED, LABELS)
