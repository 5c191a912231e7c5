"""Every loss that a small scenario can cause: told in a whole sentence, with a cure; where the cure is an edit, it works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calisim.analysis.blockers import all_blockers
from calisim.analysis.explain import Request
from calisim.analysis.needs import pair_of
from calisim.analysis.network import Network
from calisim.scenario.load import load
from calisim.vocabulary import DropReason, PacketFlag, Verdict

CASES = Path(__file__).parents[1] / "cases" / "reasons"
CURED = {
    "address_unused", "dest_check", "endpoint_down", "fabric_mtu", "fabric_no_route", "fabric_protocol", "igw_no_public_address",
    "mtu_exceeded", "nacl_in", "nacl_out", "policy_egress", "policy_ingress", "route_quota", "rpf", "sg_egress", "sg_ingress",
    "source_check", "ttl_exceeded", "tunnel_unknown_sender",
}
NOT_ONE_PACKET = {"snat_ports_exhausted", "ct_invalid", "spoofed_source"}       # a second packet, or one made by hand
SENT = sorted(path.stem for path in CASES.glob("*.yaml") if "." not in path.stem and path.stem not in NOT_ONE_PACKET)


def blockers_of(case: str):
    network = Network(load(CASES / f"{case}.yaml"), engine="reference")
    run = network.run()
    packet = run.packets[int(np.flatnonzero(run.results["verdict"] == Verdict.DROPPED)[0])]
    sender, receiver = pair_of(network, packet)
    protocol, port = int(packet["protocol"]), int(packet["dport"])
    df = bool(packet["fragment"] & PacketFlag.DF)
    return all_blockers(network, Request(
        sender, receiver, protocol, port if protocol in (6, 17) else None, int(packet["length"]), df, int(packet["ttl"])))


@pytest.mark.parametrize("case", SENT)
def test_a_loss_is_told_and_cured(case):
    blockers = blockers_of(case)
    first = blockers.found[0]
    assert first.loss.reason is DropReason[case.upper()]
    assert first.loss.sentence and "{" not in first.loss.sentence and "  " not in first.loss.sentence
    assert "( )" not in first.loss.sentence and "()" not in first.loss.sentence
    assert first.cure.commands and all(command.strip() for command in first.cure.commands)
    assert blockers.cleared == (case in CURED)


@pytest.mark.parametrize("way", ["ingress", "egress"])
def test_a_security_group_is_opened_in_the_direction_that_lost_the_packet(way):
    [command] = blockers_of(f"sg_{way}").found[0].cure.commands
    assert command.startswith(f"aws ec2 authorize-security-group-{way} ")
