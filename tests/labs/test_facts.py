"""Each fact says what one works out by hand; what cannot be asked is told."""

from __future__ import annotations

import pytest

from calisim.errors import CalisimError
from calisim.labs.facts import FACTS, fact
from calisim.labs.lab import load
from calisim.labs.schema import Probe
from calisim.labs.world import World

FIRST = World(load("1").start, load("1").start)                  # four nodes, stock and keeper fixed, CrossSubnet
ZONES = World(load("2", 1).start, load("2", 1).start)            # twelve nodes, one with the check on
MODES = World(load("3", 1).start, load("3", 1).start)            # six nodes, Always, check on, a bad plan
GROUPS = World(load("4", 1).start, load("4", 1).start)           # two rules in each of two groups, no protocol 4
STOCK = str(fact(FIRST, Probe(fact="address", about={"of": "stock"})))
HOME = str(fact(FIRST, Probe(fact="arrives_at", about={"from": "shop-0", "to": "stock"})))
TO_DB = {"from": "app-worker-1-0", "to": "db-storage-1-0", "port": 5432}
BY_HAND = [
    (FIRST, "fate", {"from": "shop-0", "to": "stock"}, "delivered"),
    (FIRST, "exchange", {"from": "shop-0", "to": "customer", "port": 443}, "delivered"),
    (FIRST, "reason", {"from": "shop-0", "to": STOCK.replace(".4", ".60")}, "BLACKHOLE"),
    (FIRST, "fate_or_reason", {"from": "shop-0", "to": STOCK.replace(".4", ".60")}, "BLACKHOLE"),
    (FIRST, "fate_or_reason", {"from": "shop-0", "to": "stock"}, "delivered"),
    (FIRST, "lost_at", {"from": "shop-0", "to": STOCK.replace(".4", ".60")}, HOME),
    (FIRST, "lost_at", {"from": "shop-0", "to": "stock"}, "nowhere"),
    (FIRST, "arrives_at", {"from": "shop-0", "to": "cart-0"}, "a2"),
    (FIRST, "how", {"from": "shop-0", "to": "stock"}, "ipip"),
    (FIRST, "how", {"from": "shop-0", "to": "cart-0"}, "native"),
    (FIRST, "ttl", {"from": "shop-0", "to": "shop-1"}, 63),
    (FIRST, "ttl", {"from": "shop-0", "to": "stock"}, 62),
    (FIRST, "largest", {"from": "shop-0", "to": "stock"}, 8981),
    (FIRST, "translated_port", {"from": "shop-0", "to": "stock", "port": 81}, 81),
    (FIRST, "route", {"node": "a1", "to": "203.0.113.10"}, "default"),
    (FIRST, "route", {"node": "a1", "to": "stock"}, STOCK.replace(".4", ".0/26")),
    (FIRST, "prefix_length", {"node": "a1", "to": "shop-1"}, 32),
    (FIRST, "next_hop", {"node": HOME, "to": STOCK.replace(".4", ".60")}, "nobody"),
    (FIRST, "next_hop", {"node": "a1", "to": "shop-1"}, "pod"),
    (FIRST, "device", {"node": "a1", "to": "stock"}, "tunl0"),
    (FIRST, "device", {"node": HOME, "to": STOCK.replace(".4", ".60")}, "none"),
    (FIRST, "rerouted", {}, "none"),
    (FIRST, "address", {"of": "customer"}, "203.0.113.10"),
    (FIRST, "nat_outgoing", {}, "yes"),
    (FIRST, "ipip_mode", {}, "CrossSubnet"),
    (ZONES, "packets", {"fate": "dropped"}, 6),
    (ZONES, "packets", {"reason": "SOURCE_CHECK"}, 3),
    (ZONES, "checks_on", {}, 1),
    (MODES, "checks_on", {}, 6),
    (MODES, "overhead", {"traffic": ["mesh"]}, 120 * 20),        # all but the 12 packets that stay on a node
    (MODES, "wire", {"traffic": ["mesh"]}, 120 * 520),
    (MODES, "arrived", {"traffic": "mesh"}, "all"),
    (MODES, "most_lost_of", {}, "none"),
    (MODES, "most_lost_at", {}, "nowhere"),
    (MODES, "steps", {}, 2),
    (MODES, "lost_in_story", {"traffic": "mesh"}, 24),           # in the middle state, inside the subnets
    (GROUPS, "wire_protocol", TO_DB, 4),
    (GROUPS, "rules", {"group": "workers"}, 2),
    (GROUPS, "open_rules", {}, 0),
    (GROUPS, "wide_rules", {}, 0),
    (GROUPS, "rules_for", {"protocol": 6}, 4),
    (GROUPS, "arrived", {"traffic": "morning"}, "nothing"),
]


@pytest.mark.parametrize(("world", "name", "about", "said"), BY_HAND, ids=lambda value: value if isinstance(value, str) else "")
def test_fact(world: World, name: str, about: dict[str, object], said: object):
    assert fact(world, Probe(fact=name, about=about)) == said


def test_every_fact_is_tried():
    assert {name for _, name, _, _ in BY_HAND} == set(FACTS)


def test_where_most_is_lost_is_the_node_with_the_check_on():
    lab = load("2", 1)
    culprit = next(line for line in lab.start.splitlines() if "subnet: zone-" in line and "sourceDestCheck" not in line)
    found = fact(ZONES, Probe(fact="most_lost_at"))
    assert f"name: {found}," in culprit
    assert fact(ZONES, Probe(fact="most_lost_of")) == f"from-zone-{str(found)[0]}"


@pytest.mark.parametrize(("probe", "said"), [
    (Probe(fact="fates"), "there is no fact 'fates'"),
    (Probe(fact="fate", about={"from": "shop-0"}), "missing 1 required"),
    (Probe(fact="fate", about={"from": "shop-0", "to": "stok"}), "stok"),
    (Probe(fact="route", about={"node": "a9", "to": "stock"}), "there is no node 'a9'"),
    (Probe(fact="fate", about={"from": "shop-0", "to": "stock"}, step=3), "scenario.yaml has 0 steps under steps:"),
    (Probe(fact="fate", about={"from": "shop-0", "to": "stock", "port": "http"}), "fact fate about"),
    (Probe(fact="packets", about={"fat": "dropped"}), "fact packets about"),
    (Probe(fact="packets", about={"traffic": "every"}), "there is no traffic set 'every'"),
])
def test_what_cannot_be_asked_is_told(probe: Probe, said: str):
    with pytest.raises(CalisimError, match=said.replace("'", ".")):
        fact(FIRST, probe)
