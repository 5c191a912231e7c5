"""What the Linux kernel did, byte for byte: the recorded cases as far as they must agree, and the judge that compares.

``tests/cases/kernel`` holds situations of our own that were put to a kernel (6.18, network namespaces), so that both
are tested without the conformance data.
"""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from calisim import conformance
from calisim.cli.main import cli
from calisim.conformance import kernel
from calisim.errors import UsageError
from calisim.quantities import parse_address
from calisim.vocabulary import PacketFlag
from calisim.wire import icmp, ipv4, tcp, udp

ROOT = Path(__file__).parents[2]
DATA = ROOT / conformance.data_directory("kernel")
OWN = ROOT / "tests" / "cases" / "kernel"
CASES = sorted(path.parent.name for path in OWN.glob("*/case.json"))

NODE = parse_address("172.16.9.5").to_bytes(4, "big")

RECORDED = sorted(path.parent.name for path in DATA.glob("*/case.json"))


def told(result: kernel.KernelResult) -> list[str]:
    """The fault of a case, or the messages of its mismatches."""
    return [result.fault] if result.fault else [f"{one.id}: {one.difference.message}" for one in result.mismatches]


@pytest.mark.parametrize("name", RECORDED or ["any"])
def test_a_recorded_case_agrees(name):
    if not RECORDED:
        pytest.skip(f"no conformance data: {DATA} is absent (set CALISIM_CONFORMANCE)")
    assert told(kernel.judged(DATA / name)) == []


@pytest.mark.parametrize("name", CASES)
def test_our_own_case_agrees(name):
    result = kernel.judged(OWN / name)
    assert told(result) == [] and result.packets


@pytest.fixture()
def folder(tmp_path):
    """A case of its own to be spoilt."""
    shutil.copytree(OWN / "times", tmp_path / "cases" / "times")
    return tmp_path / "cases" / "times"


def spoil(folder, change, name="golden.json"):
    """Change what the kernel is said to have done (or what it was asked); the messages that follow."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    return told(kernel.judged(folder))


def packet(golden, identity):
    return next(one for one in golden["packets"] if one["id"] == identity)


def flip(golden, identity, index, offset, mask=0x01):
    """One bit of one of the packets seen."""
    data = bytearray.fromhex(packet(golden, identity)["bytes"][index])
    data[offset] ^= mask
    packet(golden, identity)["bytes"][index] = data.hex()


@pytest.mark.parametrize("offset,field", [
    (1, "IPv4 TOS"), (5, "IPv4 identification"), (6, "IPv4 flags and offset"), (8, "IPv4 TTL"), (15, "IPv4 source address"),
    (21, "TCP source port"), (25, "TCP sequence number"), (33, "TCP offset and flags"), (37, "TCP checksum"),
])
def test_every_byte_counts_and_its_field_is_named(folder, offset, field):
    messages = spoil(folder, lambda golden: flip(golden, "syn", 1, offset))
    assert len(messages) == 1 and messages[0].startswith(f"syn: at alpha eth0 out {field}: byte {offset} is "), messages


def test_a_change_on_a_bridge_port_is_not_hidden(folder):
    def change(golden):
        syn = packet(golden, "syn")
        syn["bytes"].append(bytes.fromhex(syn["bytes"][1]).replace(b"\x3f\x06", b"\x3e\x06").hex())
        next(hop for hop in syn["hops"] if hop["ns"] == "sub-red")["l3"] = len(syn["bytes"]) - 1

    assert spoil(folder, change)[0].startswith("syn: at sub-red p-alpha in IPv4 TTL")


def test_a_missing_and_an_additional_hop(folder):
    assert spoil(folder, lambda golden: packet(golden, "syn")["hops"].pop())[0] == (
        "syn: it is seen at ext eth0 in, the kernel has it at no further interface")
    hop = {"kind": "self", "ns": "ext", "dev": "lo", "dir": "in", "l3": 0, "mask": []}
    assert spoil(folder, lambda golden: packet(golden, "synack")["hops"].append(hop))[1] == (
        "synack: it is seen at no further interface, the kernel has it at ext lo in")


def test_another_fate(folder):
    assert spoil(folder, lambda golden: packet(golden, "synack")["fate"].update(ns="two")) == [
        "synack: fate: ns is web, the kernel has two"]


def drawn_port(golden, identity, port):
    """Let the kernel have drawn another port wherever the packet shows one."""
    one = packet(golden, identity)
    for hop in one["hops"]:
        for offset, length, why in hop["mask"]:
            if why == "nat-port":
                data = bytearray.fromhex(one["bytes"][hop["l3"]])
                data[offset:offset + length] = port.to_bytes(2, "big")
                one["bytes"][hop["l3"]] = data.hex()


def test_a_drawn_port_obeys_its_class_and_stays(folder):
    messages = spoil(folder, lambda golden: drawn_port(golden, "other", 700))
    assert "is of another class of ports than the kernel's 700" in messages[0]
    shutil.copy(OWN / "times" / "golden.json", folder)
    original = json.loads((folder / "golden.json").read_text())
    theirs = next(
        int.from_bytes(bytes.fromhex(packet(original, "pod-out")["bytes"][hop["l3"]])[20:22], "big")
        for hop in packet(original, "pod-out")["hops"] if hop["mask"])
    messages = spoil(folder, lambda golden: drawn_port(golden, "clash", theirs))
    assert f"where the kernel keeps {theirs} and calisim had" in messages[0]


def test_masked_checksums_must_be_right(folder, monkeypatch):
    """A frame with a wrong checksum is found although the golden file masks it."""
    from calisim.report import frames

    def frame(*arguments):
        data = bytearray(made(*arguments))
        if data[9] == ipv4.TCP and data[12:16] == NODE and int.from_bytes(data[20:22], "big") != 6000:
            data[36] ^= 1                  # only where NAT drew a port, so that the golden file masks it
        return bytes(data)

    made = frames.frame
    monkeypatch.setattr(frames, "frame", frame)
    messages = told(kernel.judged(folder))
    assert any("TCP checksum: it is wrong" in message for message in messages)


def test_disagreeing_engines_are_told(folder, monkeypatch):
    from calisim.conformance.kernel import play

    class Other(play.Player):
        def __init__(self, case):
            super().__init__(case)
            content = {**case.content, "random_fully": True}
            other = play.engine("reference", kernel.cases.intent_of(content, case.intent.objects[0].mark))
            self._engines[1] = other, other.new_state()

    monkeypatch.setattr(kernel, "Player", Other)
    assert told(kernel.judged(folder))[0].startswith("syn: the engines differ: sport is ")


def test_a_case_that_cannot_run_is_a_failure(folder):
    assert spoil(folder, lambda case: case.pop("nodes"), "case.json") == [
        "the case cannot run: 'nodes' is missing, or nothing that it may say"]
    (folder / "case.json").write_text("{")
    assert told(kernel.judged(folder))[0].startswith("the case cannot run: it is not JSON: ")


def test_a_case_without_end_is_refused(folder):
    (folder / "case.json").unlink()
    (folder / "case.json").symlink_to("/dev/zero")
    assert "has more than 16,777,216 bytes" in told(kernel.judged(folder))[0]


def test_what_the_model_does_not_know_is_named(folder):
    """Sending router, kernel settings: a difference is put down to them, never passed over."""
    assert "not modelled yet: packets of the router itself" in spoil(
        folder, lambda case: case["packets"][-2].update({"from": "router"}), "case.json")[0]
    shutil.copy(OWN / "times" / "case.json", folder)
    settings = {"alpha": {"ipv4/ip_default_ttl": 9}}
    assert spoil(folder, lambda case: case["sysctl"].update(settings), "case.json") == []
    assert "not modelled yet: alpha ipv4/ip_default_ttl" in spoil(folder, lambda golden: flip(golden, "syn", 1, 8))[0]


def test_without_golden_it_is_a_failure_that_still_predicts(folder):
    (folder / "golden.json").unlink()
    result = kernel.judged(folder)
    assert result.fault == "golden.json cannot be compared: No such file or directory"
    assert not result.ok and len(result.predictions) == 18


def test_other_packets_than_in_the_case(folder):
    assert "different packets" in spoil(folder, lambda golden: golden["packets"].pop())[0]


@pytest.mark.parametrize("name", CASES)
def test_what_is_emitted_agrees_with_itself_and_needs_no_golden(name, tmp_path):
    """Predictions have golden.json's form and come from case.json alone."""
    (tmp_path / "in" / name).mkdir(parents=True)
    shutil.copy(OWN / name / "case.json", tmp_path / "in" / name)
    call("kernel", str(tmp_path / "in"), "--emit", str(tmp_path / "out"), code=1)
    shutil.copy(tmp_path / "out" / name / "golden.json", tmp_path / "in" / name)
    content = json.loads((tmp_path / "out" / name / "golden.json").read_text())
    for one in content["packets"]:
        for hop in one["hops"]:
            hop["mask"] = []
    (tmp_path / "in" / name / "golden.json").write_text(json.dumps(content))
    assert told(kernel.judged(tmp_path / "in" / name)) == []
    assert any(one["hops"] and one["fate"]["end"] == "delivered" for one in content["packets"])


def test_predictions_are_never_written_over_what_the_kernel_did(folder):
    before = (folder / "golden.json").read_text()
    result = CliRunner().invoke(cli, ["conformance", "kernel", str(folder.parent), "--emit", str(folder.parent)])
    assert result.exit_code != 0
    assert (folder / "golden.json").read_text() == before


def call(*arguments, code):
    result = CliRunner().invoke(cli, ["conformance", *arguments], prog_name="calisim")
    assert result.exit_code == code, result.output
    return result


def test_the_table_and_both_packets_of_a_mismatch(folder):
    assert "1 of 1 cases, 18 of 18 packets and" in call("kernel", str(folder.parent), code=0).output
    spoil(folder, lambda golden: flip(golden, "syn", 1, 8))
    output = call("kernel", str(folder.parent), code=1).output
    assert "times syn: at alpha eth0 out IPv4 TTL: byte 8 is 0x3f, the kernel has 0x3e" in output.replace("\n", " ")
    assert "calisim 172.16.9.5>198.51.100.7 ttl 63" in output and "kernel  172.16.9.5>198.51.100.7 ttl 62" in output


def test_json(folder):
    spoil(folder, lambda golden: flip(golden, "syn", 1, 8))
    answer = json.loads(call("kernel", str(folder.parent), "--json", code=1).stdout)
    case, = answer["cases"]
    assert (answer["kind"], case["id"], case["ok"], case["enginesAgree"]) == ("Conformance", "times", False, True)
    assert [one["packet"] for one in case["mismatches"]] == ["syn"] and answer["totals"]["packetsAgree"] == 17
    assert len(case["mismatches"][0]["calisim"]) == len(case["mismatches"][0]["kernel"])


def test_calls_that_are_wrong(tmp_path):
    for arguments in (["kernel", str(tmp_path)], ["kernel", str(OWN), "--case", "none"], ["calico", str(OWN), "--emit", "x"]):
        assert isinstance(CliRunner().invoke(cli, ["conformance", *arguments]).exception, (UsageError, SystemExit))


def test_fragments_of_a_sender():
    whole = ipv4.emit(ipv4.Ipv4(parse_address("10.0.0.1"), parse_address("10.0.0.2"), 17, id=7), bytes(range(100)))
    made = [ipv4.parse(data) for data in kernel.play.packets.split(whole, {"frag": 63})]
    assert [(header.length, header.offset, header.more_fragments, header.id) for header, _ in made] == [
        (60, 0, True, 7), (60, 40, True, 7), (40, 80, False, 7)]
    assert b"".join(body for _, body in made) == bytes(range(100))
    assert not any(header.fragment & PacketFlag.DF for header, _ in made)


def test_pieces_as_a_case_lists_them():
    whole = ipv4.emit(ipv4.Ipv4(1, 2, 17, 64, 4, 7), bytes(range(100)))
    said = {"pieces": [{"at": 48, "size": 52, "df": True, "ttl": 9}, {"at": 0, "size": 24, "mf": False, "tos": 3}]}
    (last, end), (first, start) = map(ipv4.parse, kernel.play.packets.split(whole, said))
    assert (last.offset, last.more_fragments, last.dont_fragment, last.ttl, last.tos) == (48, False, True, 9, 4)
    assert (first.offset, first.more_fragments, first.dont_fragment, first.ttl, first.tos) == (0, False, False, 64, 3)
    assert (start, end) == (bytes(range(24)), bytes(range(48, 100)))


@pytest.mark.parametrize("case,identity", [("pieces", "tunnel-unequal"), ("cut-on-the-way", "pieces-of-pieces")])
def test_every_byte_of_a_later_piece_counts(tmp_path, case, identity):
    shutil.copytree(OWN / case, tmp_path / case)
    golden = json.loads((OWN / case / "golden.json").read_text())
    later = [index for index, data in enumerate(packet(golden, identity)["bytes"]) if int(data[12:16], 16) & PacketFlag.OFFSET]
    messages = spoil(tmp_path / case, lambda golden: flip(golden, identity, later[-1], -1))
    assert len(messages) == 1 and messages[0].startswith(f"{identity}: at ") and "payload" in messages[0], messages


def test_a_missing_piece_is_found(tmp_path):
    shutil.copytree(OWN / "pieces", tmp_path / "pieces")

    def change(golden):
        hops = packet(golden, "tunnel-unequal")["hops"]
        hops.remove(next(hop for hop in hops if hop["ns"] == "far" and hop["l3"] == hops[-1]["l3"]))

    assert spoil(tmp_path / "pieces", change) == ["tunnel-unequal: 2 packets at far eth0 in, the kernel has 1"]


def test_pieces_of_a_packet_encapsulated_by_hand_are_played(folder):
    """The receiving node makes the outer packet whole and gives the pod what was inside, in one piece."""
    case = json.loads((OWN / "errors-and-tunnels" / "case.json").read_text())
    case["pools"] = [{**pool, "mode": "ipip"} for pool in case["pools"]]
    here, there = list(case["pods"].values())[:2]
    case["packets"] = [{
        "id": "wrapped", "from": "ext", "outer": {"dst": case["nodes"][here["node"]]["ip"]}, "frag": 500,
        "ip": {"src": there["ip"], "dst": here["ip"], "total": 1200}, "udp": {"sport": 1, "dport": 2}}]
    (folder / "case.json").write_text(json.dumps(case))
    one, = kernel.judged(folder).predictions
    assert not one.disagreement and one.fate["end"] == "delivered" and one.fate["pieces"] == 1
    lengths = {hop.direction: [] for hop in one.hops}
    for hop in one.hops:
        if hop.namespace in ("ext", next(iter(case["pods"]))):
            lengths[hop.direction].append(len(hop.data))
    assert lengths == {"out": [500, 500, 260], "in": [1200]}


def test_a_silent_router_still_cuts():
    """Its errors are not sent; pieces are no errors."""
    result = kernel.judged(OWN / "cut-on-the-way")
    assert told(result) == []
    assert not any(hop.kind == "error" for one in result.predictions for hop in one.hops)
    assert any(one.fate.get("pieces") == 2 for one in result.predictions)


@pytest.mark.parametrize("flags,answer", [
    (tcp.Flag.SYN, (tcp.Flag.RST | tcp.Flag.ACK, 0, 105)), (tcp.Flag.FIN, (tcp.Flag.RST | tcp.Flag.ACK, 0, 105)),
    (tcp.Flag.ACK | tcp.Flag.PSH, (tcp.Flag.RST, 77, 0)), (tcp.Flag.RST, None)])
def test_a_stack_resets_what_nobody_listens_to(flags, answer):
    asked = tcp.emit(tcp.Tcp(6000, 80, 100, 77, flags), b"four", 1, 2)
    told = kernel.play.stack.answer(ipv4.emit(ipv4.Ipv4(1, 2, ipv4.TCP, 9, 0xBB, 7), asked), 1)
    if answer is None:
        assert told is None
        return
    header, segment = ipv4.parse(told)
    reset, payload = tcp.parse(segment)
    assert (header.src, header.dst, header.ttl, header.tos, header.id, header.dont_fragment) == (2, 1, 64, 0xB8, 0, True)
    assert (reset.sport, reset.dport, reset.window, payload) == (80, 6000, 0, b"")
    assert (reset.flags, reset.seq, reset.ack) == answer and tcp.verify(segment, 2, 1)


def test_what_nobody_wrote_is_drawn_even_where_an_error_quotes_it():
    """Golden files mask it on the packet alone, not where an error made by hand has it."""
    quoted = ipv4.emit(ipv4.Ipv4(1, 2, ipv4.UDP, id=8), udp.emit(udp.Udp(40000, 53), b"", 1, 2))
    error = ipv4.emit(ipv4.Ipv4(3, 1, ipv4.ICMP, id=7), icmp.emit(icmp.unreachable(3), quoted))
    judge = importlib.import_module("calisim.conformance.kernel.judge")

    def masks(ports, ids):
        return list(judge._drawn_fields(error, error, judge.Drawn(frozenset(ports), frozenset(ids))))

    assert masks({53}, {7, 8}) == [[48, 2, "nat-port"], [54, 2, "l4-csum"], [22, 2, "l4-csum"]]
    assert masks({53, 40000}, {7}) == [[32, 2, "ip-id"], [38, 2, "ip-csum"], [22, 2, "l4-csum"]]
    assert masks({53, 40000}, {7, 8}) == []
