"""What is held, and what becomes whole of it, by hand from Linux' rules and measurements."""

import numpy as np
import pytest

from calisim.vocabulary import DropReason, Stage
from tests.datapath.conftest import DELIVERED, Net, fate_of
from tests.datapath.pieces import CONTINUED, DF, MF, UDP, SECOND, P1, P2, P3, OUTSIDE, header, pieces, lengths, follow
from tests.intents import behind_linux


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]])
def test_pieces_keep_their_boundaries_in_whatever_order_they_come(net, order):
    """Kernel: nat-fragments – also where the whole fits the pod's interface."""
    network = net(behind_linux(ipip="Never"))
    wave, headers = pieces(network, "default/p1", P2, [220, 420, 220, 60], order=order)
    told = follow(network, wave, headers)
    assert told[0][0] == [CONTINUED] * 4 and told[1] == ([CONTINUED], [])
    assert told[2] == ([DELIVERED] * 4, [f"n1 veth out {length}" for length in (220, 420, 220, 60)])


def test_pieces_that_do_not_fit_are_cut_anew(net):
    """1500+320 into a tunnel of 1480: 1476+344."""
    network = net(behind_linux(ipip="Always"))
    wave, headers = pieces(network, "default/p1", P3, [1500, 320])
    network.send_wave(wave, headers=headers)
    network.send_errors()
    assert lengths(network.born) == [(1476, 0), (344, 1456)]


def test_what_is_forwarded_into_a_tunnel_is_cut_by_its_largest_piece_but_not_a_nodes_own(net):
    """Measured: of what came by a device the pieces lack room for the tunnel's header, and ip_do_fragment begins anew."""
    for sender, made in (("default/p1", [(772, 0), (716, 752)]), ("node/n1", [(420, 0), (772, 400), (316, 1152)])):
        network = net(behind_linux(ipip="Always"))
        wave, headers = pieces(network, sender, P3, [420, 772, 316])
        network.send_wave(wave, headers=headers)
        network.send_errors()
        assert lengths(network.born) == made


def test_df_is_kept_where_pieces_are_cut_anew_and_lost_where_they_keep_their_boundaries(net):
    for dst, kept in ((P3, DF), (P2, 0)):
        network = net(behind_linux(ipip="Always"))
        wave, headers = pieces(network, "default/p1", dst, [420, 772, 316], df=True)
        network.send_wave(wave, headers=headers)
        assert network.born.packets["fragment"].tolist() == [DF]
        network.send_errors()
        assert {int(p["fragment"]) & DF for p in network.born.packets} == {kept}


def test_the_largest_piece_decides_on_df_and_is_what_must_fit(net):
    network = net(behind_linux(ipip="Always"))
    wave, headers = pieces(network, "default/p1", P3, [1500, 320], df=True)
    network.send_wave(wave, headers=headers)
    network.send_errors()
    assert fate_of(network.results[0]) == DropReason.MTU_EXCEEDED
    assert network.errors() == [f"3/4 0.0.0.0 > {P1} mtu 1480 quoted ttl 64"]
    assert network.born.headers["quote_length"].tolist() == [1800]
    wave, headers = pieces(network, "default/p1", P3, [1476, 344], df=True)
    network.send_wave(wave, headers=headers)
    assert fate_of(network.send_errors()[0]) == CONTINUED               # 1780 > 1480, but each piece fits
    wave, headers = pieces(network, "default/p1", P3, [772, 316], df=True)
    wave["fragment"][0] &= ~DF & 0xFFFF
    network.send_wave(wave, headers=headers)
    assert network.born.packets["fragment"].tolist() == [0]             # the largest had none


def born_of_wave(network: Net, wave: np.ndarray, headers: np.ndarray) -> np.ndarray:
    network.send_wave(wave, headers=headers)
    assert network.born is not None
    return network.born.packets


def born_of(network: Net, *sent: tuple[int, int, int]) -> list[int]:
    """Total lengths of what becomes whole when pieces (offset, payload, MF) come one after the other."""
    made = []
    for offset, payload, more in sent:
        network.send_wave(
            network.packet("default/p1", P2, protocol=47, length=20 + payload, fragment=more | offset // 8), headers=header(id=7))
        made += [length for length, _ in lengths(network.born)]
    return made


@pytest.mark.parametrize(("sent", "made"), [
    ([(0, 80, MF), (80, 40, 0)], [140]),
    ([(80, 40, 0), (0, 80, MF)], [140]),
    ([(0, 80, MF), (0, 80, MF), (16, 32, MF), (80, 40, 0)], [140]),             # duplicates are forgotten
    ([(0, 40, MF), (40, 40, MF), (16, 48, MF), (80, 40, 0)], [140]),            # across two that are there
    ([(0, 80, MF), (72, 48, 0), (80, 40, 0)], []),                              # an overlap kills all that is held
    ([(0, 80, MF), (72, 48, 0), (80, 40, 0), (0, 80, MF)], [140]),              # … and what comes later begins anew
    ([(16, 40, MF), (0, 80, MF), (80, 40, 0)], []),                             # one that is larger than what is there
    ([(80, 40, 0), (160, 40, MF), (0, 80, MF)], []),                            # beyond a known end
    ([(80, 40, 0), (160, 40, 0), (0, 80, MF)], []),                             # two ends
    ([(160, 40, MF), (80, 40, 0), (0, 80, MF)], []),                            # an end before what is there
    ([(0, 80, MF), (80, 40, MF)], []),
    ([(80, 40, 0), (8, 72, MF)], [])])
def test_what_becomes_whole(net, sent, made):
    assert born_of(net(behind_linux()), *sent) == made


@pytest.mark.parametrize(("after", "made"), [(30 * SECOND - 1, 1), (30 * SECOND, 0)])
def test_pieces_wait_thirty_seconds_from_the_first_one_on(net, after, made):
    network = net(behind_linux())
    for number, time in ((0, SECOND), (1, SECOND + 10 * SECOND), (2, SECOND + after)):
        wave, headers = pieces(network, "default/p1", P2, [100, 100, 60], time=time)
        network.send_wave(wave[number:number + 1], headers=headers[number:number + 1])
    assert len(network.born.packets) == made


@pytest.mark.parametrize(("after", "made"), [(30 * SECOND - 1, 1), (30 * SECOND, 0)])
def test_an_identification_that_is_used_again_waits_its_own_thirty_seconds(net, after, made):
    network = net(behind_linux())
    begun = 20 * SECOND
    for number, time in ((0, 0), (1, 0), (2, 0), (0, begun), (1, 35 * SECOND), (2, begun + after)):
        wave, headers = pieces(network, "default/p1", P2, [100, 100, 60], time=SECOND + time)
        network.send_wave(wave[number:number + 1], headers=headers[number:number + 1])
    assert len(network.born.packets) == made


def test_datagrams_that_became_whole_leave_nothing_behind_but_their_boundaries():
    network = Net(behind_linux(), "fast")
    for number in range(200):
        wave, headers = pieces(network, "default/p1", P2, [100, 60], of=number + 1, time=SECOND)
        network.send_wave(wave, headers=headers)
    fragments = network.state.fragments
    assert fragments.number == 200 and len(fragments._boundaries) == 200
    assert not fragments._queues and len(fragments._due) < 100
    network.send("default/p1", P2, protocol=UDP, time=31 * SECOND)
    assert not fragments._boundaries and not fragments._due


def test_the_whole_is_the_first_piece_made_longer_at_the_time_of_the_one_that_closed_it(net):
    network = net(behind_linux())
    wave, headers = pieces(network, "default/p1", P2, [420, 220])
    wave["ttl"], wave["time"], wave["tos"] = (60, 50), (5, 3), (0xB9, 0xBB)
    network.send_wave(wave, headers=headers)
    whole = network.born.packets[0]
    assert [int(whole[name]) for name in ("length", "ttl", "time", "tos", "fragment")] == [620, 60, 3, 0xBB, 0]
    assert network.born.causes[0]["parent"] == 1 and network.where() == "n1"
    more = network.born.headers[0]
    assert [int(more[name]) for name in ("resume", "resume_at", "device", "largest", "id")] == [Stage.CONNTRACK, 1, 1, 420, 7]


@pytest.mark.parametrize(("ecn", "merged"), [
    ((0, 0), 0), ((1, 1), 1), ((2, 1), 2), ((2, 3), 3), ((3, 1), 3), ((3, 3), 3), ((0, 2), None), ((1, 0), None), ((0, 3), None)])
def test_ecn_of_the_pieces(net, ecn, merged):
    """ip_frag_ecn_table, RFC 3168 §5.3."""
    network = net(behind_linux())
    wave, headers = pieces(network, "default/p1", P2, [420, 220])
    wave["tos"] = ecn
    network.send_wave(wave, headers=headers)
    assert network.born.packets["tos"].tolist() == ([] if merged is None else [merged])


def test_one_id_from_two_senders_is_two_datagrams(net):
    network = net(behind_linux())
    (one, headers), (two, _) = (pieces(network, sender, OUTSIDE, [100, 60]) for sender in ("default/p1", "default/p2"))
    network.send_wave(one[:1], two[1:], headers=headers)
    assert not len(network.born.packets)
    network.send_wave(one[1:], two[:1], headers=headers)
    assert len(network.born.packets) == 2
    wave, headers = pieces(network, "default/p1", P2, [100, 60])
    headers["id"] = 1, 2
    network.send_wave(wave, headers=headers)
    assert not len(network.born.packets)
    wave, headers = pieces(network, "default/p1", P2, [100, 60], of=9)
    wave["protocol"][1] = 47
    network.send_wave(wave, headers=headers)
    assert not len(network.born.packets)


def test_a_router_holds_four_mebibytes_and_no_more(net):
    network = net(behind_linux(pod_mtu=65535))
    big = np.repeat(network.packet("default/p1", P2, protocol=UDP, length=60020, fragment=MF, time=SECOND), 69)
    headers = np.repeat(header(), 69)
    headers["id"] = np.arange(69) + 100
    network.send_wave(big, headers=headers)                     # 4,141,380 bytes of 4,194,304 are gone
    wave, headers = pieces(network, "default/p2", P1, [50020, 5020], time=SECOND)
    assert len(born_of_wave(network, wave, headers)) == 0
    assert len(born_of_wave(network, wave[1:], headers[1:])) == 0        # its first piece was taken, the second forgotten
    wave, headers = pieces(network, "default/p2", P1, [420, 420], time=SECOND, of=8)
    assert len(born_of_wave(network, wave, headers)) == 1
    wave, headers = pieces(network, "default/p2", P1, [50020, 5020], time=31 * SECOND, of=9)
    assert len(born_of_wave(network, wave, headers)) == 1
