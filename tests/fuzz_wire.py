"""Mutated packets and captures against ``calisim.wire``: ``python tests/fuzz_wire.py [PACKETS] [CAPTURES]``.

Whatever the bytes, the parsers raise MalformedPacket or CaptureError and nothing else, and what was parsed is emitted as it was.
The defaults are 100,000 packets and 10,000 captures per format; ``tests/wire/test_mutations.py`` runs a few of each.
"""

from __future__ import annotations

import io
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from calisim.vocabulary import Direction
from calisim.wire import capture, ethernet, fragments, icmp, ipv4, linktypes, pcap, pcapng, tcp, udp, vxlan
from calisim.wire.dissect import assemble, dissect
from calisim.wire.frame import CaptureError, Frame
from calisim.wire.octets import MalformedPacket

POD, PEER, NODE, OTHER = 0x0A0A0002, 0x0A0A0142, 0xAC140005, 0xAC140105
MOST_FRAMES = 10_000                    # far more than a mutated capture of a few hundred bytes can hold


def packets() -> list[bytes]:
    """One of each kind, valid."""
    datagram = ipv4.emit(ipv4.Ipv4(POD, PEER, ipv4.UDP, id=7), udp.emit(udp.Udp(4000, 4001), b"query" * 9, POD, PEER))
    segment = tcp.emit(tcp.Tcp(4000, 4001, 1, 2, options=bytes.fromhex("020405b40103030a")), b"x" * 33, POD, PEER)
    stream = ipv4.emit(ipv4.Ipv4(POD, PEER, ipv4.TCP, options=bytes.fromhex("9404000001010100")), segment)
    ping = ipv4.emit(ipv4.Ipv4(POD, PEER, ipv4.ICMP), icmp.emit(icmp.echo(7, 1), b"01234567"))
    ipip = ipv4.emit(ipv4.Ipv4(NODE, OTHER, ipv4.IPIP), stream)
    frame = ethernet.emit(ethernet.Ethernet(b"\2" * 6, b"\4" * 6), datagram)
    tunnel = udp.emit(udp.Udp(40000, vxlan.PORT), vxlan.emit(vxlan.Vxlan(4096), frame), NODE, OTHER)
    error = icmp.emit(icmp.fragmentation_needed(1400), icmp.quote(ipip))
    return [datagram, stream, ping, ipip, ipv4.emit(ipv4.Ipv4(NODE, OTHER, ipv4.UDP), tunnel),
            ipv4.emit(ipv4.Ipv4(OTHER, NODE, ipv4.ICMP, tos=0xC0), error), *fragments.fragment(datagram, 48)]


def frames() -> list[Frame]:
    inside = packets()
    tagged = ethernet.Ethernet(b"\2" * 6, b"\4" * 6, tags=((ethernet.VLAN, 5),))
    cooked = bytes.fromhex("0004000100060242ac1400050000") + b"\x08\x00"
    cooked2 = bytes.fromhex("0800000000000003000104060242ac1400050000")
    made = [(linktypes.ETHERNET, ethernet.emit(tagged, inside[0])), (linktypes.RAW_IP, inside[1]),
            (linktypes.COOKED, cooked + inside[2]), (linktypes.COOKED2, cooked2 + inside[3])]
    return [Frame(10**18 + number, data, len(data), linktype, f"eth{number}", Direction(number & 1), "why" * number)
            for number, (linktype, data) in enumerate(made)]


def captures() -> dict[str, list[bytes]]:
    """Per format: small valid files."""
    found: dict[str, list[bytes]] = {"pcap": [], "pcapng": []}
    for frame in frames():
        stream = io.BytesIO()
        writer = pcap.Writer(stream, frame.linktype)
        for _ in range(3):
            writer.write(frame)
        found["pcap"].append(stream.getvalue())
    stream = io.BytesIO()
    section = pcapng.Writer(stream)
    for frame in frames():
        section.write(frame)
    return {**found, "pcapng": [stream.getvalue(), stream.getvalue() * 2]}


def mutate(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """One to four changes: bits, interesting values, cuts, repeats, a piece of another one."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        span = chance.choice((1, 2, 4, 8, 20))
        match chance.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at:at + span] = chance.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * span
            case 2:
                del changed[at:]
            case 3:
                del changed[at:at + span]
            case 4:
                changed[at:at] = changed[at:at + span]
            case _:
                start = chance.randrange(len(other) + 1)
                changed[at:at + span] = other[start:start + span]
    return bytes(changed)


def try_packet(data: bytes, valid: list[bytes]) -> str:
    """What became of it; every parser has seen it."""
    seen = dissect(data)
    assert assemble(seen.layers, seen.payload) == data, "what was parsed is emitted as it was, padding included"
    parsers: tuple[Callable[[], object], ...] = (
        lambda: ethernet.parse(data), lambda: tcp.parse(data), lambda: udp.parse(data), lambda: icmp.parse(data),
        lambda: vxlan.parse(data), lambda: udp.verify(data, 1, 2), lambda: tcp.verify(data, 1, 2), lambda: icmp.verify(data),
        lambda: ipv4.verify(data), lambda: fragments.reassemble([*valid[-3:], data]), lambda: fragments.fragment(data, 576),
        *(lambda linktype=linktype: linktypes.unwrap(Frame(0, data, 0, linktype)) for linktype in (1, 12, 113, 276, 99)),
    )
    for parse in parsers:
        try:
            parse()
        except MalformedPacket:
            pass
    return "malformed" if seen.fault else "wrong checksum" if seen.wrong else "read"


def try_capture(data: bytes) -> str:
    count = 0
    try:
        for frame in islice(capture.read(io.BytesIO(data)), MOST_FRAMES):
            count += 1
            try:
                linktypes.unwrap(frame)
            except MalformedPacket:
                pass
    except CaptureError as error:
        assert error.number == count + 1, "the error names the packet behind the last one that was read"
        assert 0 <= error.offset <= len(data)
        return "refused"
    assert count < MOST_FRAMES
    return "read"


def run(count_packets: int, count_captures: int, seed: int = 1) -> Iterator[tuple[str, Counter[str]]]:
    """Outcomes per kind of input."""
    chance = random.Random(seed)
    valid = packets()
    yield "packets", Counter(
        try_packet(mutate(chance.choice(valid), chance.choice(valid), chance), valid) for _ in range(count_packets))
    for name, files in captures().items():
        yield name, Counter(
            try_capture(mutate(chance.choice(files), chance.choice(files), chance)) for _ in range(count_captures))


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:3]]
    for kind, outcomes in run(*(asked + [100_000, 10_000][len(asked):])):
        print(f"{kind}: {outcomes.total():,}: " + ", ".join(f"{name} {count:,}" for name, count in outcomes.most_common()))
