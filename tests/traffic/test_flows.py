"""Traffic sets → waves, and answers to waves."""

import numpy as np
import pytest

from calisim.errors import UsageError
from calisim.scenario.schema import TrafficSet
from calisim.traffic.batch import ACK, FIN, PSH, RST, SYN, packet
from calisim.traffic.flows import answered, plan, reply_wave
from calisim.vocabulary import RESULT, PacketFlag, Verdict
from tests.intents import three_zones

CLUSTER = three_zones()
CLUSTER.pod(0, 2, name="default/homeless")             # IPAM had nothing for it
INTENT = CLUSTER.build()
IDS = INTENT.endpoint_ids
PODS = {IDS[name]: {"app": "web"} for name in IDS if name.startswith("default/")}


def traffic(**fields):
    return TrafficSet(**{"name": "t", "source": "all()", "destination": "all()", **fields})


def rows(**fields):
    made = list(plan(traffic(**fields), INTENT, PODS).waves())
    return np.concatenate(made) if made else packet()[:0]


def by_hand(senders, receivers):
    """Every ordered pair, never to itself, senders in order, then receivers."""
    return [(a, b) for a in senders for b in receivers if a != b]


def test_every_ordered_pair_once_and_never_to_itself():
    made = rows()
    addressed = [i for i in sorted(PODS) if INTENT.endpoint(i).address]
    expected = by_hand(sorted(PODS), addressed)
    owner = {INTENT.endpoint(i).address: i for i in addressed}
    assert [(int(p["ingress"]), owner[int(p["dst"])]) for p in made] == expected
    assert {int(p["src"]) for p in made} == {INTENT.endpoint(i).address for i in PODS}


def test_pods_without_address_send_but_cannot_be_sent_to():
    flows = plan(traffic(packets=3), INTENT, PODS)
    assert flows.packets == 3 * (6 * 5 + 6)            # six pods with an address among themselves, the seventh to all six
    assert flows.left_out == 3 * 6                     # and nobody to the seventh
    assert (rows(source="default/homeless", destination="p1")["src"] == 0).all()


def test_source_ports_count_up_per_sender_and_one_flow_keeps_its_own():
    made = rows(source="p1", packets=2)
    assert made["sport"].tolist() == [port for port in range(40000, 40005) for _ in range(2)]
    assert (rows(sport=53)["sport"] == 53).all()
    assert (rows(protocol="icmp")["dport"] == 0x0800).all() and rows(protocol="icmp")["sport"].max() == 40005
    assert (rows(protocol=47)["sport"] == 0).all()


def test_source_ports_wrap_after_65535():
    cluster = three_zones(pods=0)
    for _ in range(25_600):
        cluster.hosts.append(cluster.hosts[0])
    (wave,) = plan(traffic(source="node/n1", destination="host/*"), cluster.build(), {}).waves()
    assert wave["sport"][:25_536].tolist() == list(range(40000, 65536))
    assert wave["sport"][25_536:].tolist() == list(range(40000, 40000 + len(wave) - 25_536))


def test_fields_are_the_sets():
    (one,) = rows(source="p1", destination="p2", port=5432, size=77, ttl=9, tos=0xB8, df=False)
    assert (one["dport"], one["length"], one["ttl"], one["tos"], one["fragment"]) == (5432, 77, 9, 0xB8, 0)
    (other,) = rows(source="p1", destination="p2")
    assert (other["dport"], other["tcp_flags"], other["fragment"], other["time"]) == (80, PSH | ACK, PacketFlag.DF, 0)


def test_a_nodes_kernel_chooses_the_source_and_a_host_has_its_own():
    assert (rows(source="node/*", destination="p1")["src"] == 0).all()
    assert (rows(source="host/api", destination="p1")["src"] == INTENT.endpoint(IDS["host/api"]).address).all()


@pytest.mark.parametrize("longest", [1, 5, 7, 71, 72, 73])
def test_the_cut_into_waves_has_no_meaning(longest):
    flows = plan(traffic(packets=2), INTENT, PODS)
    whole = np.concatenate(list(flows.waves()))
    parts = list(flows.waves(longest))
    assert all(len(part) <= longest for part in parts) and np.array_equal(np.concatenate(parts), whole)


def test_nobody_sends_nothing():
    assert len(rows(source="app == 'none'")) == 0 and len(rows(destination="app == 'none'")) == 0
    assert len(rows(source="p1", destination="p1")) == 0


def test_ten_million_packets_are_planned_without_being_made():
    flows = plan(traffic(packets=250_000), INTENT, PODS)
    first = next(flows.waves())
    assert flows.packets == 9_000_000 and len(first) == 2**20


def test_errors_name_the_set_and_the_side():
    with pytest.raises(UsageError, match=r"traffic set 't', to: there is no endpoint 'p11'; did you mean"):
        plan(traffic(destination="p11"), INTENT, PODS)
    with pytest.raises(UsageError, match="is no protocol"):
        plan(traffic(protocol="all"), INTENT, PODS)


def delivered(wave, **seen):
    results = np.zeros(len(wave), dtype=RESULT)
    results["verdict"] = Verdict.DELIVERED
    for name in ("src", "dst", "sport", "dport"):
        results[name] = wave[name]
    for name, value in seen.items():
        results[name] = value
    return results


def test_the_answer_swaps_what_the_receiver_saw():
    wave = packet(src="10.244.1.2", dst="203.0.113.10", sport=1000, dport=443, tcp_flags=SYN, length=60, time=5, ingress=1)
    results = delivered(wave, src=0x0A00010B, sport=2222)            # masqueraded on the way
    (answer,) = reply_wave(wave, results, INTENT)
    assert (answer["src"], answer["dst"], answer["sport"], answer["dport"]) == (wave["dst"][0], 0x0A00010B, 443, 2222)
    assert answer["tcp_flags"] == SYN | ACK and answer["ingress"] == IDS["host/api"] and answer["time"] > 5


@pytest.mark.parametrize(("fields", "flags"), [
    ({"tcp_flags": SYN}, SYN | ACK), ({"tcp_flags": SYN | ACK}, ACK), ({"tcp_flags": PSH | ACK}, ACK),
    ({"tcp_flags": FIN | ACK}, ACK), ({"tcp_flags": ACK}, None), ({"tcp_flags": RST}, None),
    ({"protocol": "udp"}, 0), ({"protocol": "icmp"}, 0),
    ({"protocol": "icmp", "dport": 0}, None),
])
def test_what_is_answered(fields, flags):
    wave = packet(src="10.244.1.2", dst="10.244.1.3", ingress=6, **fields)
    answers = reply_wave(wave, delivered(wave), INTENT)
    assert answered(wave, delivered(wave)).tolist() == [flags is not None]
    assert [int(answer["tcp_flags"]) for answer in answers] == ([] if flags is None else [flags])


def test_an_echo_reply_keeps_the_identifier():
    wave = packet(src="10.244.1.2", dst="10.244.1.3", protocol="icmp", sport=77, ingress=6)
    (answer,) = reply_wave(wave, delivered(wave), INTENT)
    assert (answer["sport"], answer["dport"]) == (77, 0)


def test_the_lost_are_not_answered():
    wave = packet(src="10.244.1.2", dst="10.244.1.3", ingress=6)
    results = delivered(wave, verdict=Verdict.DROPPED)
    assert len(reply_wave(wave, results, INTENT)) == 0
