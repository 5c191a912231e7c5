"""Every drop reason that the model can give is caused by the smallest scenario that does so, in both engines."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import calisim
from calisim.traffic.batch import packet
from calisim.vocabulary import DropReason, Verdict

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "cases" / "reasons"

# What nothing that is modelled can cause yet, and what it waits for. A case for one of these fails the test below.
NOT_YET_CAUSED = {
    DropReason.HOST_PORT_TAKEN: "host ports",
    DropReason.ECN_ILLEGAL: "queues that mark congestion: nothing here turns ECT into CE; traffic sets write no outer header",
    DropReason.CHECKSUM: "packets as bytes",
    DropReason.QUEUE_FULL: "queues",
}
CAUSED = [reason for reason in DropReason if reason is not DropReason.NONE and reason not in NOT_YET_CAUSED]


def case_of(reason: DropReason) -> Path:
    return CASES / f"{reason.name.lower()}.yaml"


def crafted(network: Any, path: Path) -> np.ndarray | None:
    """The packets that stand beside a case as ``<reason>.packets.yaml``: ``from``, ``to`` and fields of PACKET."""
    beside = path.with_suffix(".packets.yaml")
    if not beside.exists():
        return None
    rows = []
    for fields in yaml.safe_load(beside.read_text()):
        sender = network.intent.endpoint(network.endpoint_id(fields.pop("from")))
        receiver = network.intent.endpoint(network.endpoint_id(fields.pop("to")))
        rows.append(packet(**{"src": sender.address, "dst": receiver.address, "ingress": sender.id, **fields}))
    return np.concatenate(rows)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("reason", CAUSED, ids=lambda reason: reason.name)
def test_case_drops_for_exactly_this_reason(reason: DropReason, engine: str) -> None:
    path = case_of(reason)
    network = calisim.load(str(path)).build(engine=engine)
    run = network.run(crafted(network, path))
    lost = run.results[run.results["verdict"] == Verdict.DROPPED]
    assert len(lost) and {DropReason(code).name for code in lost["reason"]} == {reason.name}
    assert not (run.results["verdict"] == Verdict.UNDETERMINED).any()


def test_every_reason_has_a_case_or_waits_for_something() -> None:
    have = {path.stem.upper() for path in CASES.glob("*.yaml") if not path.stem.endswith(".packets")}
    assert have == {reason.name for reason in CAUSED}


@pytest.mark.parametrize("engine", ["reference", "stages"])
def test_engines_name_no_reason_without_a_case(engine: str) -> None:
    """A reason that an engine's source names but that nothing can cause is either dead code or lacks its case."""
    folder = ROOT / "calisim" / "datapath" / engine
    named: set[str] = set()
    for path in folder.glob("*.py"):
        named |= {node.attr for node in ast.walk(ast.parse(path.read_text()))
                  if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "DropReason"}
    for path in folder.glob("*.pxd"):
        text = path.read_text()
        named |= {reason.name for reason in DropReason if f"DROP_{reason.name}" in text}
    unreachable = {reason.name for reason in NOT_YET_CAUSED} & named
    # RFC 6040 asks for the first; no router here turns ECT into CE. The second is also loadBalancerSourceRanges' answer.
    assert unreachable <= {"ECN_ILLEGAL", "POLICY_INGRESS"}


def test_every_verdict_says_what_it_means() -> None:
    assert [verdict.name for verdict in Verdict if not verdict.sentence] == ["NONE"]


def test_verdicts_are_parted_into_success_and_failure() -> None:
    for verdict in Verdict:
        assert not (verdict.success and verdict.failure)
        assert (verdict.success or verdict.failure) == (verdict not in (Verdict.NONE, Verdict.UNDETERMINED, Verdict.CONTINUED))


CODES = {
    "NONE": 0, "SPOOFED_SOURCE": 1, "RPF": 2, "MARTIAN": 3, "TTL_EXCEEDED": 4, "NO_ROUTE": 5, "BLACKHOLE": 6, "UNREACHABLE": 7,
    "MTU_EXCEEDED": 8, "POLICY_EGRESS": 9, "POLICY_INGRESS": 10, "CT_INVALID": 11, "SNAT_PORTS_EXHAUSTED": 12, "NO_ENDPOINTS": 13,
    "HOST_PORT_TAKEN": 14, "SOURCE_CHECK": 15, "DEST_CHECK": 16, "SG_EGRESS": 17, "SG_INGRESS": 18, "NACL_OUT": 19, "NACL_IN": 20,
    "FABRIC_NO_ROUTE": 21, "FABRIC_NO_OWNER": 22, "FABRIC_PROTOCOL": 23, "FABRIC_MTU": 24, "ROUTE_QUOTA": 25,
    "IGW_NO_PUBLIC_ADDRESS": 26, "TUNNEL_UNKNOWN_SENDER": 27, "ENCAP_FROM_POD": 28, "ECN_ILLEGAL": 29, "MALFORMED": 30,
    "CHECKSUM": 31, "ADDRESS_UNUSED": 32, "ENDPOINT_DOWN": 33, "FORWARDING_LOOP": 34, "QUEUE_FULL": 35,
}


def test_codes_never_change() -> None:
    """Saved results and others' scripts hold them; a new reason gets a new code."""
    assert {reason.name: reason.value for reason in DropReason if reason.name in CODES} == CODES
    assert len({reason.value for reason in DropReason}) == len(DropReason)


def test_every_reason_says_what_happened_and_what_to_do() -> None:
    for reason in DropReason:
        if reason is not DropReason.NONE:
            assert reason.sentence and reason.remedy and reason.stage.name != "NONE", reason.name
