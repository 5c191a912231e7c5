"""What a node's table looks like to people and to programs."""

from __future__ import annotations

from calisim.report.iproute import lines, records
from tests.clusters import FOUR_NODES, intent, pool


def test_the_kernels_order():
    made = intent(FOUR_NODES + "  pods:\n    - {name: web, node: a-1, ip: 10.9.0.0}\n", pool("10.9.0.0/24", blockSize=30))
    table = lines(made, 1)
    assert table[0].startswith("default via 172.20.32.1")
    assert [text.split()[0] for text in table[1:3]] == ["10.9.0.0", "blackhole"]     # of one address the longest prefix first
    assert table[3].startswith("172.20.32.0/19") and table[4].startswith("172.20.32.1 ")


def test_records_are_those_of_ip_json_route_with_encapsulation_and_decider():
    made = intent(FOUR_NODES + "  pods:\n    - {name: web, node: b-1}\n", pool("10.9.0.0/24", ipipMode="Always"))
    block = next(str(block.prefix) for block in made.blocks if block.affinity == 3)
    entry = next(entry for entry in records(made, 1) if entry["dst"] == block)
    decider = entry.pop("decidedBy")
    assert entry == {
        "dst": block, "gateway": "172.20.64.4", "dev": "tunl0", "protocol": "bird", "flags": ["onlink"],
        "encap": "ipip", "mtu": 8981}
    assert (decider["kind"], decider["name"]) == ("IPPool", "main") and decider["line"] > 10
    hole = next(entry for entry in records(made, 3) if entry["dst"] == block)
    assert hole["type"] == "blackhole" and "dev" not in hole
