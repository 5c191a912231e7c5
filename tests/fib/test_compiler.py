"""The compiled tables say what every router's own route table says, whatever the order in which things were written."""

from dataclasses import replace
from random import Random

import pytest

from calisim import _fastpath
from calisim.control.intent import Intent
from calisim.errors import CompileError
from calisim.fib.compiler import compile
from calisim.vocabulary import AdjacencyKind, DropReason, EndpointKind
from tests.generators import addresses_of_interest, random_intent
from tests.golden import longest_match
from tests.intents import Cluster, allow, three_zones


def compiled(tables: object, router: int, address: int) -> dict[str, int]:
    names = ("kind", "device", "encap", "reason", "next_hop", "mtu", "decided_by", "endpoint")
    return dict(zip(names, _fastpath.adjacency(tables, router, address), strict=True))


def tables_of(intent: Intent) -> object:
    image = compile(intent)
    return _fastpath.Tables(**image.arrays, places=image.places, objects=image.objects)


@pytest.mark.parametrize("seed", range(40))
def test_routes_agree(seed: int) -> None:
    rng = Random(seed)
    intent = random_intent(rng)
    tables = tables_of(intent)
    addresses = sorted({a for a in addresses_of_interest(intent) if a})
    for router in intent.routers:
        own = intent.local_addresses(router.id)
        for address in rng.sample(addresses, min(40, len(addresses))):
            if address in own:
                assert compiled(tables, router.id, address)["kind"] == AdjacencyKind.LOCAL
                continue
            wanted, got = longest_match(intent, router.id, address), compiled(tables, router.id, address)
            for name, value in got.items():
                assert value == getattr(wanted, name), (router.name, address, name)


def borrowing() -> Cluster:
    """n2 has one address of n1's block; n3 has one of a block that belongs to nobody."""
    cluster = three_zones()
    cluster.pod("10.244.1.60", 2, name="default/borrower")
    cluster.borrow("10.244.1.60", 2)
    return cluster


def test_borrowed_address_wins_over_the_blackhole_of_its_block() -> None:
    intent = borrowing().build()
    tables = tables_of(intent)
    borrowed = 0x0AF4013C
    assert compiled(tables, 1, borrowed)["next_hop"] == intent.router(2).address
    assert compiled(tables, 1, borrowed + 1)["reason"] == DropReason.BLACKHOLE
    assert compiled(tables, 2, borrowed)["endpoint"] == intent.endpoint_ids["default/borrower"]
    assert compiled(tables, 3, borrowed)["next_hop"] == intent.router(2).address
    assert compiled(tables, 3, borrowed + 1)["next_hop"] == intent.router(1).address


def test_digest_shuffled() -> None:
    intent = borrowing().build()
    fabric = intent.fabric
    turned = replace(
        intent, adverts=intent.adverts[::-1], blocks=intent.blocks[::-1],
        nat=replace(intent.nat, exempt=intent.nat.exempt[::-1]),
        fabric=replace(
            fabric, tables=tuple(table[::-1] for table in fabric.tables), owners=dict(reversed(fabric.owners.items()))))
    assert compile(turned).digest == compile(intent).digest


def test_digest_after_a_walk_between_states() -> None:
    first = compile(three_zones().build()).digest
    other = compile(three_zones(ipip="Always").build()).digest
    assert other != first
    assert compile(three_zones().build()).digest == first


def test_routers_with_equal_views_share_a_row() -> None:
    image = compile(three_zones().build())
    groups = image.routers["group"].tolist()[1:]
    assert groups[0] == groups[1] != groups[2]
    assert len(image.rows) == 2


@pytest.mark.parametrize(("spoil", "sentence"), [
    (lambda c: c.pod("10.244.1.2", 3), "have one address, 10.244.1.2"),
    (lambda c: c.host("10.0.1.11"), "have one address, 10.0.1.11"),
    (lambda c: c.block("10.244.1.0/26", 2), "the block 10.244.1.0/26 belongs to n1 and to n2"),
    (lambda c: c.block("10.244.1.0/28", 2), "lies inside the block 10.244.1.0/26 of another node"),
    (lambda c: [c.group([allow()]) for _ in range(65)], "65 security groups, and the packet core knows 64"),
    (lambda c: c.block("64.0.0.0/5", 1), "more than the table's"),
])
def test_limits_rejects(spoil, sentence: str) -> None:
    cluster = three_zones()
    spoil(cluster)
    with pytest.raises(CompileError, match=sentence.replace(".", r"\.").replace("/", "/")):
        compile(cluster.build())


def test_everybody_with_an_address_is_a_resident() -> None:
    intent = borrowing().build()
    image = compile(intent)
    residents = set(image.residents.tolist()) - {0}
    assert residents == {e.id for e in intent.endpoints if e.address}
    assert all(image.endpoints["kind"][e.id] == e.kind for e in intent.endpoints)
    assert EndpointKind.NONE == image.endpoints["kind"][0]
