"""Bytes from one generation to the next: what arrives in pieces is, put together, the datagram that was sent."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from calisim.datapath.engine import engine
from calisim.datapath.generations import generations
from calisim.quantities import parse_address
from calisim.report.frames import Tunnels
from calisim.report.lineage import Lineage
from calisim.traffic.batch import packet
from calisim.vocabulary import HEADER, Relation, Verdict
from calisim.wire import icmp, ipv4, udp
from calisim.wire.dissect import dissect
from calisim.wire.fragments import fragment, reassemble
from tests.intents import behind_linux

P1, P5, API = "10.244.1.2", "10.244.3.2", "203.0.113.10"


def linux(**more):
    return behind_linux(internet_mtu=1300, **more).build()


def datagram(dst: str, size: int, *, identification: int = 7, ttl: int = 64) -> bytes:
    src, to = parse_address(P1), parse_address(dst)
    text = Random(size).randbytes(size)
    return ipv4.emit(ipv4.Ipv4(src, to, ipv4.UDP, ttl, id=identification), udp.emit(udp.Udp(4000, 53), text, src, to))


def sent(intent, pieces: list[bytes], time: int = 10**9):
    """The rows of one datagram's pieces as its sender's raw socket makes them, and their headers."""
    rows, headers = [], np.zeros(len(pieces), HEADER)
    for number, data in enumerate(pieces):
        header, _ = ipv4.parse(data)
        ports = {} if header.offset else {"sport": 4000, "dport": 53}
        rows.append(packet(
            **{"src": header.src, "dst": header.dst, "protocol": "udp", "sport": 0, "dport": 0, "length": len(data),
               "fragment": header.fragment, "ttl": header.ttl, "time": time, "ingress": intent.endpoint_ids["default/p1"],
               **ports}))
        headers[number]["id"] = header.id
    return np.concatenate(rows), headers


def arrived(intent, name, pieces, lineage=None, state=None, forward=None, time=10**9):
    """What was delivered, frame by frame, and the bytes of every frame."""
    forward = forward or engine(name, intent)
    lineage = lineage or Lineage(Tunnels())
    wave, headers = sent(intent, pieces, time)
    delivered, seen = [], []
    for generation in generations(forward, wave, state or forward.new_state(), headers, events=True):
        rows = lineage.add(generation, pieces)
        seen += [data for one in rows for data in one.frames]
        delivered += [
            one.last for one, result in zip(rows, generation.results.results, strict=True)
            if result["verdict"] == Verdict.DELIVERED]
    return delivered, seen


@pytest.mark.parametrize("name", ["fast", "reference"])
@pytest.mark.parametrize(("dst", "modes", "narrow"), [
    (P5, {"ipip": "Never", "vxlan": "Always"}, 0), (P5, {"ipip": "Never", "vxlan": "Always"}, 1333),
    (P5, {"ipip": "Always"}, 1400), (API, {"ipip": "Always"}, 0)])
@pytest.mark.parametrize(("size", "mtu"), [(1400, 1500), (4000, 1500), (4000, 777), (300, 100)])
def test_what_arrives_in_pieces_is_what_was_sent(name, dst, modes, narrow, size, mtu):
    """Through NAT, tunnels and legs that are narrower than the nodes think; checksums cover the whole."""
    whole = datagram(dst, size)
    delivered, seen = arrived(linux(narrow=narrow, **modes), name, fragment(whole, mtu))
    made = reassemble(delivered)
    assert made is not None and ipv4.parse(made.packet)[1][8:] == ipv4.parse(whole)[1][8:]
    assert not dissect(made.packet).wrong and dissect(made.packet).fault is None
    assert not [data for data in seen if dissect(data).wrong]


def test_pieces_wait_from_one_wave_to_the_next():
    intent = linux(ipip="Always")
    forward, lineage = engine("reference", intent), Lineage(Tunnels())
    state, (first, second) = forward.new_state(), fragment(datagram(P5, 1000), 700)
    assert arrived(intent, "", [first], lineage, state, forward)[0] == []
    delivered, _ = arrived(intent, "", [second], lineage, state, forward, time=2 * 10**9)
    made = reassemble(delivered)
    assert made is not None and ipv4.parse(made.packet)[1] == ipv4.parse(datagram(P5, 1000))[1]


def test_what_was_given_up_is_not_put_into_the_next_one():
    intent = linux(ipip="Always")
    forward, lineage = engine("reference", intent), Lineage(Tunnels())
    state, good = forward.new_state(), fragment(datagram(P5, 1000), 700)
    _, wrong = fragment(datagram(P5, 1000), 500)[:2]           # overlaps the first
    assert arrived(intent, "", [good[0], wrong], lineage, state, forward)[0] == []
    delivered, _ = arrived(intent, "", good, lineage, state, forward, time=2 * 10**9)
    made = reassemble(delivered)
    assert made is not None and ipv4.parse(made.packet)[1] == ipv4.parse(datagram(P5, 1000))[1]


def test_an_error_quotes_the_whole_that_its_sender_saw():
    intent = linux(ipip="Always")
    forward, lineage, whole = engine("reference", intent), Lineage(Tunnels()), datagram(P5, 1000, ttl=1)
    wave, headers = sent(intent, fragment(whole, 700))
    for generation in generations(forward, wave, forward.new_state(), headers, events=True):
        rows = lineage.add(generation, fragment(whole, 700))
        if generation.causes is not None and generation.causes["relation"][0] == Relation.ERROR:
            told = rows[0].last
    message, quote = icmp.parse(ipv4.parse(told)[1])
    assert (message.type, message.code) == (11, 0) and quote == whole[:548]
