"""The tables of ``calicoctl ipam show``."""

from __future__ import annotations

from calisim.report.ipam import records, table
from tests.clusters import FOUR_NODES, intent, pool

SPEC = FOUR_NODES + "  pods:\n    - {name: first, node: a-1, ip: 10.9.0.65}\n    - {name: second, node: b-1, ip: 10.9.0.66}\n"


def test_blocks_stand_below_their_pool():
    assert table(intent(SPEC, pool("10.9.0.0/24") + pool("10.8.0.0/16", "other")), show_blocks=True) == """\
+----------+--------------+-----------+------------+--------------+
| GROUPING |     CIDR     | IPS TOTAL | IPS IN USE |   IPS FREE   |
+----------+--------------+-----------+------------+--------------+
| IP Pool  | 10.8.0.0/16  |     65536 | 0 (0%)     | 65536 (100%) |
| IP Pool  | 10.9.0.0/24  |       256 | 2 (1%)     | 254 (99%)    |
| Block    | 10.9.0.64/26 |        64 | 2 (3%)     | 62 (97%)     |
+----------+--------------+-----------+------------+--------------+"""


def test_records_name_owners_and_borrowers():
    (entry,) = records(intent(SPEC, pool("10.9.0.0/24")))
    assert (entry["name"], entry["total"], entry["inUse"]) == ("main", 256, 2)
    assert entry["blocks"] == [
        {"cidr": "10.9.0.64/26", "node": "a-1", "total": 64, "inUse": 2, "borrowed": {"10.9.0.66": "default/second"}}]
