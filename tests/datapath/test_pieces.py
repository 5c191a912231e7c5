"""Pieces on their way: NAT, filters and errors, what can be a piece, and where a packet can go on."""

from dataclasses import replace

import pytest

from calisim.vocabulary import DropReason, Encap, Stage
from tests.datapath.conftest import DELIVERED, EXITED, fate_of, text
from tests.datapath.pieces import CONTINUED, MF, P1, P2, P3, P5, NODE1, NODE3, OUTSIDE, header, pieces, follow
from tests.intents import behind_linux


def test_a_datagram_in_pieces_is_masqueraded_as_a_whole_and_so_is_its_answer_undone(net):
    network = net(behind_linux())
    wave, headers = pieces(network, "default/p1", OUTSIDE, [756, 704], sport=40001, dport=53)
    told = follow(network, wave, headers)
    assert [fates for fates, _ in told] == [[CONTINUED] * 2, [CONTINUED], [DELIVERED] * 2]
    assert told[2][1] == ["n1 eth0 out 756", "host eth0 in 756", "n1 eth0 out 704", "host eth0 in 704"]
    assert {text(e["src"]) for e in network.events} == {NODE1}
    entry = network.state.connections()[0]
    wave, headers = pieces(
        network, "host/api", NODE1, [756, 704], sport=53, dport=int(entry["reply_dport"]), order=[1, 0])
    told = follow(network, wave, headers)
    assert told[2] == ([DELIVERED] * 2, ["n1 veth out 756", "n1 veth out 704"])
    assert {text(e["dst"]) for e in network.events} == {P1} and {int(e["dport"]) for e in network.events} == {40001}
    assert network.state.connections()[0]["reply_packets"] == 1


def test_an_error_tells_of_the_first_piece_alone(net):
    network = net(behind_linux())
    wave, headers = pieces(network, "host/api", "10.0.1.77", [220, 220])
    network.send_wave(wave, headers=headers)
    assert [fate_of(r) for r in network.results] == [DropReason.FABRIC_NO_ROUTE] * 2
    assert len(network.errors()) == 1 and network.born.headers["quote_fragment"].tolist() == [MF]


def test_a_ttl_that_runs_out_behind_conntrack_is_of_the_whole(net):
    network = net(behind_linux())
    wave, headers = pieces(network, "default/p1", P3, [220, 220], ttl=1)
    network.send_wave(wave, headers=headers)
    network.send_errors()
    assert network.errors() == [f"11/0 0.0.0.0 > {P1} mtu 0 quoted ttl 1"]
    assert (network.born.headers["quote_length"].tolist(), network.born.headers["quote_fragment"].tolist()) == ([420], [0])


def test_a_spoofed_piece_is_dropped_before_it_is_held(net):
    network = net(behind_linux())
    wave, headers = pieces(network, "default/p1", P3, [220, 220], src=P2)
    network.send_wave(wave, headers=headers)
    assert [fate_of(r) for r in network.results] == [DropReason.SPOOFED_SOURCE] * 2


@pytest.mark.parametrize(("fields", "fate"), [
    ({"fragment": MF, "length": 1000}, DropReason.MALFORMED), ({"fragment": MF, "length": 1004}, CONTINUED),
    ({"fragment": 1, "length": 1000}, CONTINUED), ({"fragment": 1, "length": 20}, DropReason.MALFORMED),
    ({"fragment": MF, "length": 20, "protocol": 47}, DropReason.MALFORMED), ({"fragment": 1, "length": 21}, CONTINUED),
    ({"fragment": MF, "length": 36}, DropReason.MALFORMED),                    # no whole TCP header
    ({"fragment": 0x1FFB, "length": 39}, CONTINUED), ({"fragment": 0x1FFB, "length": 40}, DropReason.MALFORMED)])
def test_what_can_be_a_piece(net, fields, fate):
    assert net(behind_linux()).fate("default/p1", P2, **fields) == fate


def test_outer_pieces_that_cannot_be(net):
    for length, fate in ((999, DropReason.MALFORMED), (1004, CONTINUED), (20, DropReason.MALFORMED)):
        outer = header(encap=Encap.IPIP, outer_dst=NODE3, outer_ttl=64, outer_fragment=MF, outer_length=length)
        assert net(behind_linux(calico=False)).fate("node/n1", P5, src=P1, header=outer) == fate


# ---- going on -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "fate"), [
    ({"resume": Stage.TTL, "resume_at": 1, "device": 1}, DropReason.ADDRESS_UNUSED),
    ({"resume": 200, "resume_at": 1, "device": 1}, DropReason.ADDRESS_UNUSED),
    ({"resume": Stage.CONNTRACK, "resume_at": 0, "device": 1}, DropReason.ADDRESS_UNUSED),
    ({"resume": Stage.CONNTRACK, "resume_at": 9, "device": 1}, DropReason.ADDRESS_UNUSED),
    ({"resume": Stage.CONNTRACK, "resume_at": 2, "device": 1}, DropReason.ADDRESS_UNUSED),      # a pod of another router
    ({"resume": Stage.CONNTRACK, "resume_at": 1, "device": 9}, DropReason.ADDRESS_UNUSED),
    ({"resume": Stage.FABRIC_OUT, "resume_at": 1, "device": 1}, DropReason.ADDRESS_UNUSED),     # nothing is encapsulated
    ({"resume": Stage.DELIVER, "resume_at": 1}, DropReason.ADDRESS_UNUSED),                     # no HOST
    ({"resume": Stage.DELIVER, "place": 1}, DropReason.ADDRESS_UNUSED),                         # no router of the cloud
    ({"resume": Stage.FABRIC_IN, "resume_at": 4}, DropReason.ENDPOINT_DOWN),
    ({"resume": Stage.FRAGMENT, "resume_at": 1, "device": 1}, DELIVERED),
    ({"resume": Stage.DELIVER, "place": 5}, EXITED)])
def test_where_a_packet_can_go_on(net, fields, fate):
    cluster = behind_linux()
    cluster.node("10.0.1.14", down=True)
    assert net(cluster).fate("default/p1", P2, header=header(**fields)) == fate


def test_an_inside_host_gets_its_pieces_through_its_subnets_filter(net):
    cluster = behind_linux()
    cluster.subnets[2] = replace(cluster.subnets[2], acl_in=())
    network = net(cluster)
    host = network.intent.endpoint_ids["host/near"]
    assert network.fate("default/p1", "10.0.3.20", header=header(resume=Stage.DELIVER, resume_at=host)) == DropReason.NACL_IN
