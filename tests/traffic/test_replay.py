"""Captures as traffic: what is read of a frame, who sends it, where waves end, what is left out, what a broken file leaves."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calisim.quantities import parse_address
from calisim.traffic import replay as module
from calisim.traffic.replay import Replay
from calisim.vocabulary import PACKET, PacketFlag
from calisim.wire import ethernet, icmp, ipv4, pcap, pcapng, tcp, udp, vxlan
from calisim.wire.fragments import fragment
from calisim.wire.frame import Frame
from calisim.wire.linktypes import COOKED, COOKED2, ETHERNET, RAW
from tests.clusters import FOUR_NODES, intent, pool

START = 1_700_000_000_000_000_123


@pytest.fixture(scope="module")
def cluster():
    """Pods web-0 … web-3 on four nodes, a host outside."""
    return intent(FOUR_NODES + "  pods:\n    - {name: web, namespace: shop, count: 4}\n"
                  "  hosts:\n    - {name: api, ip: 203.0.113.10}\n", pool())


def address(cluster, name: str) -> int:
    return cluster.endpoint(cluster.endpoint_ids[name]).address


def datagram(src: int, dst: int, sport: int = 1000, dport: int = 53, payload: bytes = b"question", **fields) -> bytes:
    return ipv4.emit(ipv4.Ipv4(src, dst, ipv4.UDP, **fields), udp.emit(udp.Udp(sport, dport), payload, src, dst))


def segment(src: int, dst: int, sport: int, dport: int, flags: int) -> bytes:
    return ipv4.emit(ipv4.Ipv4(src, dst, ipv4.TCP), tcp.emit(tcp.Tcp(sport, dport, flags=flags), b"", src, dst))


def echo(src: int, dst: int, kind: int, identifier: int = 7) -> bytes:
    return ipv4.emit(ipv4.Ipv4(src, dst, ipv4.ICMP), icmp.emit(icmp.Icmp(kind, 0, identifier << 16 | 1), b"ping"))


def file_of(packets, linktype: int = RAW, spacing: int = 1000) -> io.BytesIO:
    stream = io.BytesIO()
    writer = pcap.Writer(stream, linktype)
    for number, data in enumerate(packets):
        writer.write(Frame(START + number * spacing, data, len(data), linktype))
    return io.BytesIO(stream.getvalue())


def replayed(cluster, packets, **form) -> tuple[Replay, list[np.ndarray]]:
    replay = Replay(file_of(packets, **form), cluster)
    return replay, [wave for wave, _ in replay.waves()]


@pytest.fixture(scope="module")
def pair(cluster) -> tuple[int, int]:
    return address(cluster, "shop/web-0"), address(cluster, "shop/web-3")


def test_fields_of_a_packet(cluster, pair):
    data = datagram(*pair, 1234, 5353, b"x" * 100, ttl=17, tos=0xB8, fragment=PacketFlag.DF)
    _, [[row]] = replayed(cluster, [data])
    assert {name: int(row[name]) for name in PACKET.names} == {
        "src": pair[0], "dst": pair[1], "sport": 1234, "dport": 5353, "protocol": 17, "tcp_flags": 0, "ttl": 17, "tos": 0xB8,
        "length": 128, "fragment": PacketFlag.DF, "ingress": cluster.endpoint_ids["shop/web-0"], "time": START}


def test_options_move_the_ports(cluster, pair):
    data = datagram(*pair, 1234, 5353, options=b"\x01" * 40)
    _, [[row]] = replayed(cluster, [data])
    assert (row["sport"], row["dport"], row["length"]) == (1234, 5353, len(data))


def test_echo_has_identifier_and_type(cluster, pair):
    _, [[row]] = replayed(cluster, [echo(*pair, icmp.ECHO, 99)])
    assert (row["sport"], row["dport"]) == (99, 0x0800)


def framed(data: bytes, linktype: int, tags: int = 0) -> bytes:
    if linktype == ETHERNET:
        return ethernet.emit(ethernet.Ethernet(b"\2" * 6, b"\4" * 6, tags=((ethernet.VLAN, 5),) * tags), data) + b"\0" * 6
    if linktype == COOKED:
        return struct.pack("!HHHQH", 0, 1, 6, 0, ethernet.IPV4) + data
    return struct.pack("!HHIHBBQ", ethernet.IPV4, 0, 3, 1, 0, 6, 0) + data if linktype == COOKED2 else data


@pytest.mark.parametrize(("linktype", "tags"), [(ETHERNET, 0), (ETHERNET, 1), (ETHERNET, 2), (RAW, 0), (COOKED, 0), (COOKED2, 0)])
def test_every_link_type_gives_the_same_packet(cluster, pair, linktype, tags):
    data = datagram(*pair)
    _, [plain] = replayed(cluster, [data])
    replay, [wave] = replayed(cluster, [framed(data, linktype, tags)], linktype=linktype)
    assert np.array_equal(wave, plain) and not replay.left_out


@pytest.mark.parametrize("sign", "<>")
@pytest.mark.parametrize(("magic", "scale"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_byte_orders_and_resolutions(cluster, pair, sign, magic, scale):
    data = datagram(*pair)
    head = struct.pack(f"{sign}IHHiIII", magic, 2, 4, 0, 0, 65535, RAW)
    record = struct.pack(f"{sign}IIII", 1_700_000_000, 7, len(data), len(data)) + data
    [([row], _)] = Replay(io.BytesIO(head + record), cluster).waves()
    assert row["time"] == 1_700_000_000_000_000_000 + 7 * scale and row["src"] == pair[0]


def test_pcapng(cluster, pair):
    stream = io.BytesIO()
    writer = pcapng.Writer(stream)
    for name in ("eth0", "eth1"):
        data = datagram(*pair)
        writer.write(Frame(START, data, len(data), RAW, name))
    [(wave, _)] = Replay(io.BytesIO(stream.getvalue()), cluster).waves()
    assert len(wave) == 2 and set(wave["time"]) == {START}


def test_senders_of_every_kind(cluster, pair):
    node, host = address(cluster, "node/a-1"), parse_address("203.0.113.10")
    _, [wave] = replayed(cluster, [datagram(node, pair[0]), datagram(host, node), datagram(pair[0], host)])
    assert [cluster.endpoint(int(number)).name for number in wave["ingress"]] == ["node/a-1", "host/api", "shop/web-0"]


# --- waves

def sizes(waves) -> list[int]:
    return [len(wave) for wave in waves]


def test_an_answer_starts_the_next_wave(cluster, pair):
    a, b = pair
    replay, waves = replayed(cluster, [
        segment(a, b, 40000, 80, 2), segment(a, b, 40001, 80, 2),
        segment(b, a, 80, 40000, 18), segment(b, a, 80, 40001, 18),      # answers the wave before: stays in its own
        segment(a, b, 40000, 80, 16), segment(a, b, 40001, 80, 16)])
    assert sizes(waves) == [2, 2, 2] and (replay.sent, replay.waves_sent) == (6, 3)


def test_other_flows_and_retransmissions_answer_nothing(cluster, pair):
    a, b = pair
    _, waves = replayed(cluster, [
        segment(a, b, 40000, 80, 2), segment(a, b, 40000, 80, 2), segment(b, a, 80, 40001, 18), segment(b, a, 40000, 80, 2),
        datagram(b, a, 80, 40000)])
    assert sizes(waves) == [5]


def test_echo_replies_answer_requests_only(cluster, pair):
    a, b = pair
    _, waves = replayed(cluster, [
        echo(a, b, icmp.ECHO), echo(b, a, icmp.ECHO), echo(b, a, icmp.ECHO_REPLY, 8), echo(b, a, icmp.ECHO_REPLY)])
    assert sizes(waves) == [3, 1]


def test_protocols_without_ports_answer_by_address(cluster, pair):
    a, b = pair
    packets = [ipv4.emit(ipv4.Ipv4(*ends, 47), b"gre") for ends in ((a, b), (a, b), (b, a))]
    assert sizes(replayed(cluster, packets)[1]) == [2, 1]


def test_waves_do_not_depend_on_blocks(cluster, pair, monkeypatch):
    a, b = pair
    random = np.random.default_rng(5)
    ends = [(a, b) if forth else (b, a) for forth in random.integers(0, 2, 400)]
    packets = [datagram(src, dst, *((1, 2) if src == a else (2, 1))) for src, dst in ends]
    packets = [data if random.random() < 0.2 else datagram(a, b, 3, number) for number, data in enumerate(packets)]
    whole = sizes(replayed(cluster, packets)[1])
    assert len(whole) > 5
    for block in (1, 2, 7, 399):
        monkeypatch.setattr(module, "BLOCK", block)
        assert sizes(replayed(cluster, packets)[1]) == whole


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60), st.integers(1, 12))
def test_cuts_agree_with_the_rule_read_aloud(flows, longest):
    packets = np.zeros(len(flows), PACKET)
    for row, (flow, back) in zip(packets, flows, strict=True):
        ends = ((1, 10 + flow), (2, 20))
        (row["src"], row["sport"]), (row["dst"], row["dport"]) = reversed(ends) if back else ends
        row["protocol"] = 17
    expected, seen = [0], set()
    for position, (flow, back) in enumerate(flows):
        if (flow, not back) in seen or position - expected[-1] == longest:
            expected.append(position)
            seen = set()
        seen.add((flow, back))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONGEST_WAVE", longest)
        assert module._starts(packets) == expected


# --- fragments and errors

def test_fragments_are_sent_as_fragments(cluster, pair):
    whole = datagram(*pair, 1234, 5353, b"x" * 3000, id=77)
    replay = Replay(file_of(fragment(whole, 1500)), cluster)
    [(wave, headers)] = replay.waves()
    assert headers is not None and headers["id"].tolist() == [77, 77, 77] and not replay.left_out
    assert wave["fragment"].tolist() == [0x2000, 0x2000 | 185, 370]
    assert wave["length"].tolist() == [1500, 1500, 68]
    assert wave[["sport", "dport"]].tolist() == [(1234, 5353), (0, 0), (0, 0)]


def test_plain_packets_have_no_headers(cluster, pair):
    [(_, headers)] = Replay(file_of([datagram(*pair, id=5)]), cluster).waves()
    assert headers is None


def test_later_fragments_answer_nothing(cluster, pair):
    """They show no ports: two that go opposite ways may belong to different conversations."""
    a, b = pair
    there, back = (fragment(datagram(*flow, b"x" * 2000, id=9), 1500) for flow in ((a, b, 1, 2), (b, a, 3, 4)))
    assert sizes(replayed(cluster, [*there, *back])[1]) == [4]
    answer = fragment(datagram(b, a, 2, 1, b"x" * 2000, id=9), 1500)
    assert sizes(replayed(cluster, [*there, *answer])[1]) == [2, 2]


@pytest.mark.parametrize(("quoted", "ports"), [
    (lambda a, b: datagram(a, b, 1234, 53), (1234, 53)), (lambda a, b: segment(a, b, 40000, 80, 2), (40000, 80)),
    (lambda a, b: echo(a, b, icmp.ECHO, 99), (99, 0x0800)), (lambda a, b: ipv4.emit(ipv4.Ipv4(a, b, 47), b"12345678"), (0, 0))])
def test_errors_are_sent_with_what_they_quote(cluster, pair, quoted, ports):
    about = quoted(*pair)
    node = address(cluster, "node/a-2")
    error = ipv4.emit(
        ipv4.Ipv4(node, pair[0], ipv4.ICMP, tos=0xC0), icmp.emit(icmp.fragmentation_needed(1400), icmp.quote(about)))
    replay = Replay(file_of([about, error]), cluster)
    (_, plain), ([packet], [header]) = replay.waves()              # it answers the first, so it is the next wave
    assert plain is None and not replay.left_out
    assert (packet["sport"], packet["dport"], packet["ingress"]) == (0, 0x0304, cluster.endpoint_ids["node/a-2"])
    assert {name: int(header[name]) for name in header.dtype.names if header[name]} == {
        "mtu": 1400, "quote_src": pair[0], "quote_dst": pair[1], "quote_length": len(about), "quote_protocol": about[9],
        "quote_ttl": 64} | {name: port for name, port in zip(("quote_sport", "quote_dport"), ports, strict=True) if port}


def test_the_clouds_router_sends_its_errors(cluster, pair):
    subnet = cluster.fabric.subnets[0]
    error = ipv4.emit(
        ipv4.Ipv4(subnet.gateway, pair[0], ipv4.ICMP), icmp.emit(icmp.time_exceeded(), datagram(*pair)))
    [([packet], [header])] = Replay(file_of([error]), cluster).waves()
    assert packet["ingress"] == 0 and header["place"] == subnet.place


# --- what is left out

def test_reasons_are_counted_with_the_first_of_each(cluster, pair):
    a, b = pair
    node, other = address(cluster, "node/a-1"), address(cluster, "node/b-1")
    stranger = parse_address("198.51.100.7")
    good = datagram(a, b)
    quenched, of_an_error = (
        ipv4.emit(ipv4.Ipv4(a, b, ipv4.ICMP), icmp.emit(icmp.Icmp(kind, 0), quote)) for kind, quote in (
            (icmp.SOURCE_QUENCH, good[:28]),
            (icmp.UNREACHABLE, ipv4.emit(ipv4.Ipv4(b, a, ipv4.ICMP), icmp.emit(icmp.time_exceeded(), good[:28])))))
    arp = ethernet.emit(ethernet.Ethernet(b"\2" * 6, b"\4" * 6, ethernet.ARP), b"\0" * 28)
    tunnels = [
        ipv4.emit(ipv4.Ipv4(node, other, ipv4.IPIP), b"nonsense"),
        datagram(node, other, 50000, vxlan.PORT, vxlan.emit(vxlan.Vxlan(4096), arp)),
        datagram(node, other, 50000, vxlan.PORT, b"\0" * 40)]
    packets = [
        good, b"\x60" + b"\0" * 39, datagram(stranger, b), datagram(stranger, a), good[:10], b"\x41" + good[1:], good[:-1],
        quenched, of_an_error, *tunnels,
        datagram(a, b, vxlan.PORT, vxlan.PORT)]
    replay, [wave] = replayed(cluster, packets)
    assert {reason: (left.packets, left.number) for reason, left in replay.left_out.items()} == {
        "not IPv4": (2, 2), "sender unknown": (2, 3), "malformed": (5, 5),
        "ICMP other than echo, unreachable and time exceeded": (2, 8)}
    assert "198.51.100.7" in replay.left_out["sender unknown"].example
    assert (replay.read, replay.sent, len(wave)) == (13, 2, 2)


def test_what_nodes_have_encapsulated_is_opened(cluster, pair):
    a, b = pair
    node, other = address(cluster, "node/a-1"), address(cluster, "node/b-1")
    good = datagram(a, b)
    frame = ethernet.emit(ethernet.Ethernet(b"\2" * 6, b"\4" * 6), good)
    ipip = ipv4.emit(ipv4.Ipv4(node, other, ipv4.IPIP), good)
    replay, [wave] = replayed(cluster, [
        good, ipip, datagram(node, other, 50000, vxlan.PORT, vxlan.emit(vxlan.Vxlan(4096), frame)),
        datagram(node, other, 50000, 4790), ipv4.emit(ipv4.Ipv4(a, b, ipv4.IPIP), good),
        ipv4.emit(ipv4.Ipv4(node, other, ipv4.IPIP, fragment=PacketFlag.MF), good)])
    inner = wave[["src", "dst", "sport", "dport", "length", "ingress"]]
    assert replay.opened == 2 and inner[0] == inner[1] == inner[2]
    assert [cluster.endpoint(int(number)).name for number in wave["ingress"][3:]] == ["node/a-1", "shop/web-0"]
    assert wave["protocol"].tolist() == [17, 17, 17, 17, 4] and replay.left_out["fragment of a tunnel's packet"].packets == 1


def test_a_snapshot_of_the_headers_is_enough(cluster, pair):
    data = datagram(*pair, payload=b"x" * 1000)
    stream = io.BytesIO()
    writer = pcap.Writer(stream, RAW)
    for kept in (28, 27):
        writer.write(Frame(START, data[:kept], len(data), RAW))
    replay = Replay(io.BytesIO(stream.getvalue()), cluster)
    [([row], _)] = replay.waves()
    assert row["length"] == 1028 and replay.left_out["malformed"].packets == 1


@pytest.mark.parametrize("change", [
    lambda data: data[:32] + b"\x10" + data[33:],        # TCP data offset 4
    lambda data: data[:32] + b"\xf0" + data[33:],        # … beyond the packet
    lambda data: data[:2] + b"\x00\x13" + data[4:],      # total length below the header
    lambda data: data[:2] + b"\xff\xff" + data[4:],      # … beyond what there was
])
def test_broken_headers_are_malformed(cluster, pair, change):
    replay, waves = replayed(cluster, [change(segment(*pair, 1, 2, 2))])
    assert replay.left_out["malformed"].packets == 1 and not waves


def test_an_unknown_link_type_is_named(cluster):
    replay, waves = replayed(cluster, [b"\0" * 60], linktype=105)
    assert not waves and "105" in replay.left_out["malformed"].example


@given(st.binary(max_size=120))
def test_any_bytes_are_sent_or_left_out(cluster, data):
    replay, waves = replayed(cluster, [data])
    assert replay.sent + sum(left.packets for left in replay.left_out.values()) == 1 == replay.read
    assert sum(map(len, waves)) == replay.sent


def test_time_does_not_run_backwards(cluster, pair):
    replay, waves = replayed(cluster, [datagram(*pair)] * 3, spacing=-5)
    assert set(np.concatenate(waves)["time"]) == {START} and replay.reordered == 2


# --- broken files

def test_a_truncated_file_keeps_what_was_read(cluster, pair):
    whole = file_of([datagram(*pair)] * 5).getvalue()
    replay = Replay(io.BytesIO(whole[:-3]), cluster)
    assert sizes(wave for wave, _ in replay.waves()) == [4]
    assert replay.error is not None and replay.error.number == 5 and "packet 5" in str(replay.error)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xd4\xc3\xb2\xa1", b"\x1f\x8b\x08"])
def test_no_capture_at_all(cluster, content):
    replay = Replay(io.BytesIO(content), cluster)
    assert list(replay.waves()) == [] and replay.error is not None and replay.read == 0


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
@given(edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6), end=st.integers(0, 2000))
def test_mutated_captures_end_in_an_account(cluster, pair, form, edits, end):
    stream = io.BytesIO()
    writer = pcap.Writer(stream, ETHERNET) if form == "pcap" else pcapng.Writer(stream)
    for number, data in enumerate([datagram(*pair), segment(*pair, 1, 2, 2), echo(*pair, icmp.ECHO), datagram(*pair[::-1])] * 3):
        kept = framed(data, ETHERNET, number % 2)
        writer.write(Frame(START + number, kept, len(kept), ETHERNET, f"eth{number % 2}"))
    content = bytearray(stream.getvalue())
    for position, value in edits:
        content[position % len(content)] = value
    replay = Replay(io.BytesIO(bytes(content[:end])), cluster)
    assert sum(len(wave) for wave, _ in replay.waves()) == replay.sent
    assert replay.sent + sum(left.packets for left in replay.left_out.values()) == replay.read
