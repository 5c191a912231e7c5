"""Pieces of packets: who cuts, who holds, what becomes whole, by hand from Linux' rules and measurements.

The cluster of :func:`tests.intents.three_zones` behind a Linux router: n1, n2 on one link, n3 on another.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calisim.datapath.generations import generations
from calisim.datapath.results import Born
from calisim.quantities import parse_address
from calisim.vocabulary import HEADER, DropReason, Encap, PacketFlag, Relation, ResultFlag, Stage, TargetKind, Verdict
from tests.datapath.conftest import DELIVERED, EXITED, Net, fate_of, stage_of, text
from tests.intents import Cluster, three_zones

ENGINES = ["fast", "reference"]
CONTINUED = Verdict.CONTINUED
DF, MF = int(PacketFlag.DF), int(PacketFlag.MF)
UDP, SECOND = 17, 1_000_000_000
P1, P2, P3, P5 = "10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.3.2"
NODE1, NODE3, OUTSIDE = "10.0.1.11", "10.0.2.13", "203.0.113.10"


@pytest.fixture(params=ENGINES)
def net(request: pytest.FixtureRequest) -> Callable[[Cluster], Net]:
    return lambda cluster: Net(cluster, request.param)


def linux(*, narrow: int = 0, **more: Any) -> Cluster:
    """A Linux router between the subnets and to the outside; its leg into n3's subnet may carry less."""
    cluster = three_zones(**{"public": None, "pod_mtu": 1500, **more})
    cluster.fabric = {"decrements_ttl": True, "internet_mtu": 1500, "outside_address": parse_address("203.0.113.1")}
    cluster.tables = [[]]
    cluster.cloud_route("10.0.0.0/16")
    cluster.cloud_route("0.0.0.0/0", TargetKind.OUTSIDE)
    cluster.subnets[1] = replace(cluster.subnets[1], mtu=narrow)
    return cluster


def header(**fields: Any) -> np.ndarray:
    made = np.zeros(1, HEADER)
    for name, value in fields.items():
        made[name] = parse_address(value) if isinstance(value, str) else value
    return made


def pieces(network: Net, sender: str, dst: str, lengths: list[int], *, of: int = 7, order: list[int] | None = None,
           df: bool = False, **fields: Any) -> tuple[np.ndarray, np.ndarray]:
    """One datagram in pieces of these total lengths as a raw socket sends them, and their headers."""
    rows, offset = [], 0
    for number, length in enumerate(lengths):
        more = MF if number < len(lengths) - 1 else 0
        rows.append(network.packet(
            sender, dst, **{"protocol": UDP, "length": length, "fragment": (DF if df else 0) | more | offset // 8, **fields}))
        offset += length - 20
    wave = np.concatenate(rows)[order or list(range(len(rows)))]
    return wave, np.repeat(header(id=of), len(wave))


def lengths(born: Born | None) -> list[tuple[int, int]]:
    """Total length and offset in bytes of what was born."""
    assert born is not None
    return [(int(p["length"]), int(p["fragment"] & 0x1FFF) * 8) for p in born.packets]


def outer_lengths(born: Born | None) -> list[tuple[int, int]]:
    assert born is not None
    return [(int(h["outer_length"]), int(h["outer_fragment"] & 0x1FFF) * 8) for h in born.headers]


def on(network: Net, device: int, direction: int, router: int) -> list[int]:
    """Lengths on an interface in the last wave, of the outermost header."""
    return [
        int(e["outer_length"] or e["length"]) for e in network.events
        if (e["device"], e["direction"], e["router"]) == (device, direction, router)]


def follow(network: Net, wave: np.ndarray, headers: np.ndarray | None = None) -> list[tuple[list[Any], list[str]]]:
    """Wave after wave until nothing is born: the fates, and what was crossed with which length."""
    told = []
    for one in generations(network.engine, wave, network.state, headers, events=True):
        fates = [fate_of(result) for result in one.results.results]
        network.events = one.results.events
        told.append((fates, [
            f"{step} {e['outer_length'] or e['length']}" for step, e in zip(network.route(), network.events, strict=True)]))
    return told


# ---- cutting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("modes", "made"), [
    ({"ipip": "Always"}, [(1476, 0), (44, 1456)]), ({"ipip": "Never", "vxlan": "Always"}, [(1444, 0), (76, 1424)])])
def test_a_tunnel_takes_the_inner_packet_in_pieces(net, modes, made):
    """Kernel: *-mtu:nodf – the inner packet is cut before it is encapsulated, and held at the other end."""
    network = net(linux(**modes))
    result = network.send("default/p1", P3, protocol=UDP, length=1500, df=False)
    assert (fate_of(result), stage_of(result), network.where()) == (CONTINUED, Stage.FRAGMENT, "n1")
    assert network.route() == ["n1 veth in"]
    assert lengths(network.born) == made
    assert network.born.causes["relation"].tolist() == [Relation.PIECE] * 2
    assert (network.born.packets["ttl"] == 63).all() and len(set(network.born.headers["id"])) == 1
    assert network.born.headers["id"][0] and (network.born.headers["datagram"] == 1).all()
    assert [int(p["fragment"]) & MF for p in network.born.packets] == [MF, 0]
    network.send_errors()
    assert [(fate_of(r), stage_of(r), int(r["where"])) for r in network.results] == [(CONTINUED, Stage.DEFRAGMENT, 2)] * 2
    assert network.born.causes["relation"].tolist() == [Relation.WHOLE]
    assert lengths(network.born) == [(1500, 0)] and network.born.headers["largest"].tolist() == [made[0][0]]
    network.send_errors()
    assert stage_of(network.results[0]) is Stage.FRAGMENT and lengths(network.born) == made
    network.send_errors()
    assert [fate_of(r) for r in network.results] == [DELIVERED] * 2
    assert network.route() == ["n2 veth out"] * 2 and on(network, 1, 1, 2) == [length for length, _ in made]


def test_the_last_piece_takes_all_that_fits(net):
    cluster = linux(ipip="Never")
    cluster.pod("10.244.1.9", 1, mtu=1486, name="default/narrow")
    network = net(cluster)
    network.send("default/p1", "10.244.1.9", protocol=UDP, length=20 + 1464 + 1466, df=False)
    network.send_errors()                                       # the sender's own stack: 1500
    network.send_errors()
    assert lengths(network.born) == [(1484, 0), (1486, 1464)]


def test_a_pods_stack_cuts_what_exceeds_its_own_interface(net):
    network = net(linux(pod_mtu=1480))
    result = network.send("default/p1", P2, protocol=UDP, length=3000, df=False)
    assert (fate_of(result), stage_of(result), network.where()) == (CONTINUED, Stage.ENDPOINT, "n1")
    assert (int(result["hops"]), network.route()) == (0, [])
    assert lengths(network.born) == [(1476, 0), (1476, 1456), (88, 2912)]
    assert network.born.headers["resume"].tolist() == [0] * 3
    network.send_errors()
    assert network.route() == ["n1 veth in"] * 3
    assert network.fate("default/p1", P2, protocol=UDP, length=3000) == DropReason.MTU_EXCEEDED


def test_a_pod_that_knows_a_path_cuts_by_it(net):
    """Kernel: *-pod-pmtu-cache."""
    cluster = linux(ipip="Never", nat_outgoing=False)
    network = net(cluster)
    told = header(quote_src=P1, quote_dst=P2, quote_protocol=UDP, quote_length=1500, quote_ttl=64, mtu=1400)
    network.send("node/n1", P1, protocol=1, dport=0x0304, length=576, header=told)
    network.send("default/p1", P2, protocol=UDP, length=1500, df=False)
    assert lengths(network.born) == [(1396, 0), (124, 1376)]


@pytest.mark.parametrize("identification", [7, 0])
def test_pieces_made_by_hand_stay_together_when_only_some_are_cut_again(net, identification):
    """Measured: 1500 + 1500 + 40 from a pod that knows of 1450 leave it as five, and the node makes one datagram of them."""
    network = net(linux(ipip="Never", vxlan="Always"))
    network.send("default/p1", P5, protocol=UDP, length=1500)
    network.send_errors()
    network.send_errors()
    wave, headers = pieces(network, "default/p1", P5, [1500, 1500, 40], of=identification)
    wave["time"] += SECOND
    network.send_wave(wave, headers=headers)
    assert lengths(network.born) == [(1444, 0), (76, 1424), (1444, 1480), (76, 2904)]
    assert network.born.headers["id"].tolist() == [identification] * 4
    assert not network.born.headers["datagram"].any()
    network.send_errors()
    whole, = network.born.packets
    assert (whole["length"], whole["fragment"]) == (3000, 0)


def test_a_nodes_own_packets_are_cut_and_leave_one_by_one(net):
    network = net(linux())
    assert network.fate("node/n1", OUTSIDE, protocol=UDP, length=1600, df=False) == CONTINUED
    assert lengths(network.born) == [(1500, 0), (120, 1480)]
    network.send_errors()
    assert [fate_of(r) for r in network.results] == [DELIVERED] * 2
    assert on(network, 2, 1, 1) == [1500, 120]
    assert len(network.state.connections()) == 1


def test_a_linux_router_cuts_for_a_narrow_leg_and_ages_first(net):
    network = net(linux(ipip="Never", narrow=1400))
    result = network.send("node/n1", NODE3, protocol=UDP, length=1500, df=False)
    assert (fate_of(result), stage_of(result), network.where()) == (CONTINUED, Stage.FABRIC, "vpc-1")
    assert lengths(network.born) == [(1396, 0), (124, 1376)] and (network.born.packets["ttl"] == 63).all()
    network.send_errors()
    assert network.route() == ["n3 eth0 in"] * 2 and (network.results["flags"] & ResultFlag.ROUTED).all()
    network.send_errors()
    assert (fate_of(network.results[0]), network.where(), network.route()) == (DELIVERED, "n3", [])
    assert network.fate("node/n1", NODE3, protocol=UDP, length=1500) == DropReason.FABRIC_MTU


@pytest.mark.parametrize(("length", "df", "fate"), [
    (1404, True, DELIVERED), (1405, False, DropReason.FABRIC_MTU), (1405, True, DropReason.FABRIC_MTU)])
def test_a_narrow_leg_takes_in_no_more_than_its_mtu_and_a_tag_and_tells_nobody(net, length, df, fate):
    """Kernel: cut-on-the-way:not-taken-in, just-taken-in. Before the TTL is looked at."""
    network = net(linux(narrow=1400))
    result = network.send("node/n3", NODE1, protocol=UDP, length=length, df=df, ttl=64 if fate is DELIVERED else 1)
    assert fate_of(result) is fate
    assert not len(network.born.packets)


@pytest.mark.parametrize(("dst", "fate"), [(OUTSIDE, DELIVERED), ("198.51.100.1", EXITED)])
def test_a_linux_router_cuts_what_goes_out(net, dst, fate):
    cluster = linux()
    cluster.fabric["internet_mtu"] = 1400
    network = net(cluster)
    assert network.fate("node/n1", dst, protocol=UDP, length=1500, df=False) == CONTINUED
    place = int(network.results[0]["where"])
    network.send_errors()
    assert [fate_of(r) for r in network.results] == [fate] * 2
    assert {int(r["where"]) for r in network.results} == {0 if fate is DELIVERED else place}


def test_a_router_passes_pieces_and_cuts_them_again(net):
    """Offsets count on, and the last keeps MF. A host to a host: nobody holds them."""
    cluster = linux(narrow=1400)
    cluster.host("10.0.2.50", name="host/inside")
    network = net(cluster)
    wave, headers = pieces(network, "host/api", "10.0.2.50", [1500, 320])
    network.send_wave(wave, headers=headers)
    assert [fate_of(r) for r in network.results] == [CONTINUED, DELIVERED]
    assert lengths(network.born) == [(1396, 0), (124, 1376)]
    assert [int(p["fragment"]) & MF for p in network.born.packets] == [MF, MF]
    assert network.born.headers["id"].tolist() == [7, 7]
    network.send_errors()
    assert [fate_of(r) for r in network.results] == [DELIVERED] * 2


def test_aws_does_not_say_what_becomes_of_what_is_too_long(net):
    cluster = three_zones()
    cluster.fabric = {"mtu": 1400}
    network = net(cluster)
    assert network.fate("node/n1", NODE3, protocol=UDP, length=1500, df=False) == Verdict.UNDETERMINED


# ---- the outer packet -----------------------------------------------------------------------------------------------------


def test_the_router_cuts_vxlans_outer_packet_and_the_node_makes_it_whole(net):
    """Kernel: vxlan-path-mtu – nothing is lost, and the pod gets one packet though its DF is set."""
    network = net(linux(ipip="Never", vxlan="Always", pod_mtu=1450, narrow=1400))
    wave = network.packet("default/p1", P5, protocol=UDP, length=1450)
    assert follow(network, wave) == [
        ([CONTINUED], ["n1 veth in 1450", "n1 vxlan out 1450", "n1 eth0 out 1500"]),
        ([CONTINUED] * 2, ["n3 eth0 in 1396", "n3 eth0 in 124"]),
        ([DELIVERED], ["n3 vxlan in 1450", "n3 veth out 1450"])]


def test_a_node_that_knows_the_path_cuts_the_outer_packet_itself(net):
    """Kernel: ipip-path-mtu:nodf."""
    network = net(linux(ipip="Always", narrow=1400))
    network.send("default/p1", P5, protocol=UDP, length=1480)
    network.send_errors()
    result = network.send("default/p1", P5, protocol=UDP, length=1480, df=False)
    assert (fate_of(result), stage_of(result)) == (CONTINUED, Stage.ENCAPSULATE)
    assert network.route() == ["n1 veth in", "n1 tunl0 out"]
    assert outer_lengths(network.born) == [(1396, 0), (124, 1376)]
    assert (network.born.packets["length"] == 1480).all() and (network.born.headers["datagram"] == 0).all()
    network.send_errors()
    assert network.route() == ["n1 eth0 out", "n3 eth0 in"] * 2
    assert [e["outer_fragment"] & MF for e in network.events] == [MF, MF, 0, 0]
    whole = network.born.headers[0]
    assert (whole["resume"], whole["outer_length"], whole["largest"]) == (Stage.DECAPSULATE, 0, 0)
    result = network.send_errors()[0]
    assert (fate_of(result), network.route()) == (DELIVERED, ["n3 tunl0 in", "n3 veth out"])


def test_a_tunnel_mtu_set_too_high_has_the_outer_packet_cut(net):
    network = net(three_zones(ipip="Always", pod_mtu=1500, ipip_mtu=1500))
    result = network.send("default/p1", P5, length=1481, df=False)
    assert (fate_of(result), stage_of(result)) == (CONTINUED, Stage.ENCAPSULATE)
    assert outer_lengths(network.born) == [(1500, 0), (21, 1480)]


def test_pieces_inside_pieces(net):
    """Cut before the tunnel, cut again by the router on the way: both are made whole, each where it was opened."""
    network = net(linux(ipip="Never", vxlan="Always", narrow=1400))
    told = follow(network, network.packet("default/p1", P5, protocol=UDP, length=1500, df=False))
    assert [len(fates) for fates, _ in told] == [1, 2, 2, 1, 1, 2]
    assert told[2][1] == ["n3 eth0 in 1396", "n3 eth0 in 118"]
    assert told[-1] == ([DELIVERED] * 2, ["n3 veth out 1444", "n3 veth out 76"])


def test_vxlans_port_orders_addresses_and_ports_apart(net):
    """Kernel: cut-on-the-way:just-taken-in has the port of outer, though it is another flow with the same two ports."""
    network = net(linux(ipip="Never", vxlan="Always"))
    ports = set()
    for sender, dst in (("default/p1", P5), ("default/p5", P1)):
        for sport, dport in ((6000, 53), (53, 6000)):
            network.send(sender, dst, protocol=UDP, length=200, sport=sport, dport=dport)
            ports |= {int(event["outer_sport"]) for event in network.events if event["encap"] == Encap.VXLAN}
    network.send("default/p1", P5, protocol=UDP, length=200, sport=6000, dport=54)
    assert len(ports) == 1
    assert not ports & {int(event["outer_sport"]) for event in network.events}


def test_pieces_have_a_vxlan_port_of_their_own_kind(net):
    """No ports are looked at in a piece: all pieces between two addresses are one flow."""
    network = net(linux(ipip="Never", vxlan="Always"))
    ports = set()
    for sport in (1000, 2000):
        network.send("default/p1", P3, protocol=UDP, length=1500, df=False, sport=sport)
        network.send_errors()
        ports |= {int(e["outer_sport"]) for e in network.events if e["outer_sport"]}
    assert len(ports) == 1


# ---- making whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]])
def test_pieces_keep_their_boundaries_in_whatever_order_they_come(net, order):
    """Kernel: nat-fragments – also where the whole fits the pod's interface."""
    network = net(linux(ipip="Never"))
    wave, headers = pieces(network, "default/p1", P2, [220, 420, 220, 60], order=order)
    told = follow(network, wave, headers)
    assert told[0][0] == [CONTINUED] * 4 and told[1] == ([CONTINUED], [])
    assert told[2] == ([DELIVERED] * 4, [f"n1 veth out {length}" for length in (220, 420, 220, 60)])


def test_pieces_that_do_not_fit_are_cut_anew(net):
    """1500+320 into a tunnel of 1480: 1476+344."""
    network = net(linux(ipip="Always"))
    wave, headers = pieces(network, "default/p1", P3, [1500, 320])
    network.send_wave(wave, headers=headers)
    network.send_errors()
    assert lengths(network.born) == [(1476, 0), (344, 1456)]


def test_what_is_forwarded_into_a_tunnel_is_cut_by_its_largest_piece_but_not_a_nodes_own(net):
    """Measured: of what came by a device the pieces lack room for the tunnel's header, and ip_do_fragment begins anew."""
    for sender, made in (("default/p1", [(772, 0), (716, 752)]), ("node/n1", [(420, 0), (772, 400), (316, 1152)])):
        network = net(linux(ipip="Always"))
        wave, headers = pieces(network, sender, P3, [420, 772, 316])
        network.send_wave(wave, headers=headers)
        network.send_errors()
        assert lengths(network.born) == made


def test_df_is_kept_where_pieces_are_cut_anew_and_lost_where_they_keep_their_boundaries(net):
    for dst, kept in ((P3, DF), (P2, 0)):
        network = net(linux(ipip="Always"))
        wave, headers = pieces(network, "default/p1", dst, [420, 772, 316], df=True)
        network.send_wave(wave, headers=headers)
        assert network.born.packets["fragment"].tolist() == [DF]
        network.send_errors()
        assert {int(p["fragment"]) & DF for p in network.born.packets} == {kept}


def test_the_largest_piece_decides_on_df_and_is_what_must_fit(net):
    network = net(linux(ipip="Always"))
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
    assert born_of(net(linux()), *sent) == made


@pytest.mark.parametrize(("after", "made"), [(30 * SECOND - 1, 1), (30 * SECOND, 0)])
def test_pieces_wait_thirty_seconds_from_the_first_one_on(net, after, made):
    network = net(linux())
    for number, time in ((0, SECOND), (1, SECOND + 10 * SECOND), (2, SECOND + after)):
        wave, headers = pieces(network, "default/p1", P2, [100, 100, 60], time=time)
        network.send_wave(wave[number:number + 1], headers=headers[number:number + 1])
    assert len(network.born.packets) == made


@pytest.mark.parametrize(("after", "made"), [(30 * SECOND - 1, 1), (30 * SECOND, 0)])
def test_an_identification_that_is_used_again_waits_its_own_thirty_seconds(net, after, made):
    network = net(linux())
    begun = 20 * SECOND
    for number, time in ((0, 0), (1, 0), (2, 0), (0, begun), (1, 35 * SECOND), (2, begun + after)):
        wave, headers = pieces(network, "default/p1", P2, [100, 100, 60], time=SECOND + time)
        network.send_wave(wave[number:number + 1], headers=headers[number:number + 1])
    assert len(network.born.packets) == made


def test_datagrams_that_became_whole_leave_nothing_behind_but_their_boundaries():
    network = Net(linux(), "fast")
    for number in range(200):
        wave, headers = pieces(network, "default/p1", P2, [100, 60], of=number + 1, time=SECOND)
        network.send_wave(wave, headers=headers)
    fragments = network.state.fragments
    assert fragments.number == 200 and len(fragments._boundaries) == 200
    assert not fragments._queues and len(fragments._due) < 100
    network.send("default/p1", P2, protocol=UDP, time=31 * SECOND)
    assert not fragments._boundaries and not fragments._due


def test_the_whole_is_the_first_piece_made_longer_at_the_time_of_the_one_that_closed_it(net):
    network = net(linux())
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
    network = net(linux())
    wave, headers = pieces(network, "default/p1", P2, [420, 220])
    wave["tos"] = ecn
    network.send_wave(wave, headers=headers)
    assert network.born.packets["tos"].tolist() == ([] if merged is None else [merged])


def test_one_id_from_two_senders_is_two_datagrams(net):
    network = net(linux())
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
    network = net(linux(pod_mtu=65535))
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


# ---- NAT, filters, errors -------------------------------------------------------------------------------------------------


def test_a_datagram_in_pieces_is_masqueraded_as_a_whole_and_so_is_its_answer_undone(net):
    network = net(linux())
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
    network = net(linux())
    wave, headers = pieces(network, "host/api", "10.0.1.77", [220, 220])
    network.send_wave(wave, headers=headers)
    assert [fate_of(r) for r in network.results] == [DropReason.FABRIC_NO_ROUTE] * 2
    assert len(network.errors()) == 1 and network.born.headers["quote_fragment"].tolist() == [MF]


def test_a_ttl_that_runs_out_behind_conntrack_is_of_the_whole(net):
    network = net(linux())
    wave, headers = pieces(network, "default/p1", P3, [220, 220], ttl=1)
    network.send_wave(wave, headers=headers)
    network.send_errors()
    assert network.errors() == [f"11/0 0.0.0.0 > {P1} mtu 0 quoted ttl 1"]
    assert (network.born.headers["quote_length"].tolist(), network.born.headers["quote_fragment"].tolist()) == ([420], [0])


def test_a_spoofed_piece_is_dropped_before_it_is_held(net):
    network = net(linux())
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
    assert net(linux()).fate("default/p1", P2, **fields) == fate


def test_outer_pieces_that_cannot_be(net):
    for length, fate in ((999, DropReason.MALFORMED), (1004, CONTINUED), (20, DropReason.MALFORMED)):
        outer = header(encap=Encap.IPIP, outer_dst=NODE3, outer_ttl=64, outer_fragment=MF, outer_length=length)
        assert net(linux(calico=False)).fate("node/n1", P5, src=P1, header=outer) == fate


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
    cluster = linux()
    cluster.node("10.0.1.14", down=True)
    assert net(cluster).fate("default/p1", P2, header=header(**fields)) == fate


def test_an_inside_host_gets_its_pieces_through_its_subnets_filter(net):
    cluster = linux()
    cluster.subnets[2] = replace(cluster.subnets[2], acl_in=())
    network = net(cluster)
    host = network.intent.endpoint_ids["host/near"]
    assert network.fate("default/p1", "10.0.3.20", header=header(resume=Stage.DELIVER, resume_at=host)) == DropReason.NACL_IN
