"""What becomes of packets that are cut, held and made whole: one RESULT each when all is over."""

from __future__ import annotations

import numpy as np
import pytest

from calisim.datapath.generations import generations
from calisim.datapath.settling import lineage, settled
from calisim.quantities import parse_address
from calisim.traffic.batch import packet
from calisim.vocabulary import HEADER, DropReason, Encap, ResultFlag, Stage, Verdict
from tests.clusters import intent, pool

WORLD = """\
  provider: linux
  vpcs: {v: {cidrs: [10.0.0.0/16], subnets: {a: {cidr: 10.0.1.0/24}, b: {cidr: 10.0.2.0/24, mtu: 1200}}}}
  nodes: [{name: a, count: 2, subnet: a}, {name: b, count: 1, subnet: b, mtu: 1500}]
  pods: [{name: web, perNode: 1}]
  hosts: [{name: api, ip: 203.0.113.10}]
"""


class World:
    def __init__(self, engine_name: str, **mode: str) -> None:
        from calisim.datapath.engine import engine

        self.intent = intent(WORLD, pool(**mode))
        self.engine = engine(engine_name, self.intent)

    def packet(self, sender: str, receiver: str, **fields) -> np.ndarray:
        one, other = (self.intent.endpoint(self.intent.endpoint_ids[name]) for name in (sender, receiver))
        return packet(**{
            "src": one.address, "dst": other.address, "ingress": one.id, "protocol": "udp", "sport": 4000, "length": 3000,
            "df": False, **fields})

    def family(self, *wave: np.ndarray, headers: np.ndarray | None = None):
        sent = generations(self.engine, np.concatenate(wave), self.engine.new_state(), headers, errors=False)
        return list(sent)


A1, A2, B1, API = "default/web-a-1-0", "default/web-a-2-0", "default/web-b-1-0", "host/api"


@pytest.fixture(params=["fast", "reference"])
def world(request: pytest.FixtureRequest):
    return lambda **mode: World(request.param, **mode)


def test_plain_packets_are_settled_as_they_are(world) -> None:
    family = world().family(world().packet(A1, A2, length=100))
    assert settled(family) is family[0].results.results


def test_a_cut_packet_arrives_when_all_its_pieces_do(world) -> None:
    """3000 bytes on a pod's 1480: three pieces, each with two headers on the node's wire."""
    here = world(ipipMode="Always")
    family = here.family(here.packet(A1, A2))
    [result] = settled(family)
    assert Verdict(int(result["verdict"])) is Verdict.DELIVERED and result["encap"] == Encap.IPIP
    assert result["wire"] == 3000 + 2 * 20 + 3 * 20 and result["hops"] == 2 and result["ttl"] == 62
    assert result["flags"] & ResultFlag.NEW and result["connection"] == 1 and result["path"] & 7 == Verdict.DELIVERED
    assert [family[generation].packets["length"][row] for generation, row in lineage(family, 0)] == [
        3000, 1476, 3000, 1476, 3000, 1476]


def test_on_one_node_nothing_is_on_a_wire(world) -> None:
    here = world(ipipMode="Always")
    node = here.intent.endpoint(here.intent.endpoint_ids["node/a-1"])
    sent = here.packet(A1, A2)
    sent["dst"] = node.address
    [result] = settled(here.family(sent))
    assert Verdict(int(result["verdict"])) is Verdict.DELIVERED and result["wire"] == 0


def test_a_packet_out_is_translated_once(world) -> None:
    here = world(natOutgoing=True)
    [result] = settled(here.family(here.packet(A1, API)))
    assert Verdict(int(result["verdict"])) is Verdict.DELIVERED and result["flags"] & ResultFlag.SNAT
    assert result["src"] == parse_address("10.0.1.2") and result["wire"] == 3000 + 2 * 20


def test_the_first_lost_piece_tells_the_fate(world) -> None:
    """The next subnet's route leads nowhere for pods without an overlay: all pieces die there, none is half delivered."""
    here = world()
    [result] = settled(here.family(here.packet(A1, B1)))
    assert Verdict(int(result["verdict"])) is Verdict.DROPPED and DropReason.FABRIC_NO_ROUTE == result["reason"]
    assert result["wire"] == 3000 + 2 * 20 and result["path"] >> 3 & 63 == DropReason.FABRIC_NO_ROUTE


def test_one_lost_piece_loses_what_was_cut(world) -> None:
    """Of three pieces one dies behind the cut, two arrive: the packet has the fate of the lost one, in every place."""
    here = world(ipipMode="Always")
    for lost in range(3):
        family = here.family(here.packet(A1, A2))
        results = family[-1].results.results
        assert len(results) == 3 and (results["verdict"] == Verdict.DELIVERED).all()
        results["verdict"][lost], results["reason"][lost] = Verdict.DROPPED, DropReason.TTL_EXCEEDED
        [result] = settled(family)
        assert (result["verdict"], result["reason"]) == (Verdict.DROPPED, DropReason.TTL_EXCEEDED)


def test_a_mixed_wave_keeps_its_rows_apart(world) -> None:
    here = world(ipipMode="Always")
    wave = [here.packet(A1, A2, sport=port, length=length) for port, length in ((1, 100), (2, 3000), (3, 9000), (4, 60))]
    results = settled(here.family(*wave))
    assert results["sport"].tolist() == [1, 2, 3, 4] and (results["verdict"] == Verdict.DELIVERED).all()
    assert results["wire"].tolist() == [120, 3100, 9000 + 6 * 20 + 7 * 20, 80]


def pieces(here: World, *offsets: int, number: int = 7) -> tuple[list[np.ndarray], np.ndarray]:
    """1000 bytes of payload each, sent by hand; the third is the last."""
    wave = [here.packet(A1, A2, length=1020) for _ in offsets]
    for one, offset in zip(wave, offsets, strict=True):
        one["fragment"] = 125 * offset | (0x2000 if offset < 2 else 0)
    headers = np.zeros(len(wave), HEADER)
    headers["id"] = number
    return wave, headers


def test_pieces_have_the_fate_of_the_datagram_that_they_become(world) -> None:
    here = world(ipipMode="Always")
    wave, headers = pieces(here, 1, 0, 2)
    results = settled(here.family(*wave, headers=headers))
    assert (results["verdict"] == Verdict.DELIVERED).all()
    assert results["wire"].tolist() == [1040] * 3                                       # what all took is shared out


def test_pieces_whose_datagram_never_comes_wait(world) -> None:
    here = world(ipipMode="Always")
    wave, headers = pieces(here, 0, 2)
    results = settled(here.family(*wave, headers=headers))
    assert (results["verdict"] == Verdict.CONTINUED).all() and (results["stage"] == Stage.DEFRAGMENT).all()


def test_a_late_duplicate_waits_for_itself(world) -> None:
    here = world(ipipMode="Always")
    wave, headers = pieces(here, 0, 1, 2, 1)
    results = settled(here.family(*wave, headers=headers))
    assert results["verdict"].tolist() == [*[Verdict.DELIVERED] * 3, Verdict.CONTINUED]


def test_the_outer_packet_is_cut_and_made_whole(world) -> None:
    """VXLAN's outer header has no DF: what the router's next link does not take goes on in pieces, even if the inner has DF."""
    here = world(vxlanMode="Always")
    family = here.family(here.packet(A1, B1, length=1400, df=True))
    [result] = settled(family)
    assert Verdict(int(result["verdict"])) is Verdict.DELIVERED and result["wire"] == 1450 and result["hops"] == 3
    assert len(family) == 3 and len(family[1].packets) == 2


def test_whether_a_connection_is_new_says_the_first_node_that_has_seen_the_packet(world) -> None:
    """The sender's node knows the connection and cuts the packet behind conntrack; the receiver's sees it for the first time."""
    here = world(vxlanMode="Always")
    family = here.family(here.packet(A1, B1, length=1400, df=True))
    assert family[0].results.results["hops"][0] > 1
    family[0].results.results["flags"] &= ~np.uint32(ResultFlag.NEW)
    family[-1].results.results["flags"] |= np.uint32(ResultFlag.NEW)
    [result] = settled(family)
    assert not result["flags"] & ResultFlag.NEW and result["connection"] == family[0].results.results["connection"][0]
