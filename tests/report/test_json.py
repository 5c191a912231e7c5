"""The bytes of ``trace --json`` are those of the headers beside them, and of a capture of the same packets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import calisim
from calisim.quantities import format_address
from calisim.report.capture import Recording
from calisim.report.json import HEADERS, trace_document
from calisim.wire import ipv4

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("variant", ["overlay-ipip", "overlay-vxlan", "calico-no-encap"])
@pytest.mark.parametrize(
    ("receiver", "protocol", "size", "df"),
    [("shop/db-4", "tcp", 1000, True), ("host/api", "icmp", 84, True), ("shop/db-4", "udp", 20_000, False),
     ("shop/db-4", "132", 60, True)])
def test_bytes_say_what_the_headers_say(variant, receiver, protocol, size, df):
    network = calisim.load(ROOT / "scenarios" / "three-az.yaml").build(variant)
    port = 443 if protocol in ("tcp", "udp") else None
    told = json.loads(trace_document(network.trace("shop/web-a-1-0", receiver, port, protocol, size=size, df=df)))
    crossed = [step for way in ("request", "reply") for step in (told[way] or {"steps": []})["steps"] if step["interface"]]
    assert crossed and all("bytes" in step for step in crossed)
    for step in crossed:
        octets = bytes.fromhex(step["bytes"])
        assert len(octets) == min(HEADERS, step["headers"][0]["length"])
        for header in step["headers"]:
            parsed, rest = ipv4.parse(octets, cut=True)
            assert format_address(parsed.src) == header["src"] and parsed.ttl == header["ttl"]
            assert format_address(parsed.dst) == header["dst"] and parsed.protocol == header["protocol"]
            assert int.from_bytes(octets[2:4], "big") == header["length"]
            if header.get("offset"):
                break                                        # what follows is the middle of something
            octets = rest[30:] if header["layer"] == "outer" and header["protocol"] == 17 else rest


def test_a_crossing_is_found_among_the_frames():
    network = calisim.load(ROOT / "scenarios" / "three-az.yaml").build("overlay-vxlan")
    trace = network.trace("shop/web-a-1-0", "shop/db-4", 5432, "udp", size=20_000, df=False)
    recording = Recording(network.intent, trace.run())
    found = []
    generation = 0
    for way in trace.ways:
        for offspring in way.fates.family:
            found += [recording.octets(generation, number, 65535) for number in range(len(offspring.results.events))]
            generation += 1
    assert sorted(found) == sorted(frame.data for frame in recording.frames())
