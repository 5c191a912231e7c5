"""The control plane's judges on cases of our own: each agrees with a right one and says how it differs from a wrong one."""

from __future__ import annotations

import pytest

from calisim.conformance.control import TOPICS

POOL = {"cidr": "10.0.0.0/25", "blockSize": 26}


def steps(*steps, **case):
    return {"pools": [POOL], "steps": list(steps), **case}


RIGHT = [
    ("ipam_autoassign", steps({"host": "a", "num": 2, "expect_count": 2, "expect_new_block": True})),
    ("ipam_autoassign", steps({"host": "a", "num": 65, "max_blocks": 1, "expect_count": 64, "expect_error": "BlockLimit"})),
    ("ipam_autoassign", steps({"host": "a", "num": 65, "expect_count": 64, "expect_error": "BlockLimit"}, maxBlocksPerHost=1)),
    ("ipam_autoassign", steps(
        {"host": "a", "num": 64}, {"host": "b", "num": 64}, {"host": "c", "num": 1, "expect_count": 0},
        config={"strictAffinity": True})),
    ("ipam_autoassign", steps({"host": "a", "num": 1, "from_pools": ["10.7.0.0/24"], "expect_error": "NoQualifiedPool"})),
    ("ipam_autoassign", steps(
        {"host": "a", "num": 64}, {"release": ["10.0.0.7", "10.0.0.71", "10.0.0.3"]},
        {"host": "a", "num": 2, "expect": ["10.0.0.3", "10.0.0.7"]}, reservations=["10.0.0.64/26"])),
    ("bird_pool_filters", {
        "bgp_programClusterRoutes": "Enabled", "local_subnet": "10.1.0.0/24",
        "pool": {"cidr": "10.2.0.0/16", "ipipMode": "CrossSubnet"},
        "kernel": {"action": "accept", "owner": "bird", "tunnel": {"next_hop_in": "10.1.0.0/24", "then": "", "else": "tunl0"}},
        "export": "accept"}),
    ("encap_decision", {
        "encapsulation": "ipip", "mode": "CrossSubnet", "src_node_cidr": "10.1.0.1/23", "dst_node_cidr": "10.1.1.1/24",
        "expected": "no-encap"}),
    ("encap_decision", {
        "encapsulation": "vxlan", "mode": "CrossSubnet", "src_node_cidr": "10.1.0.1", "dst_node_cidr": "10.1.0.2",
        "expected": "vxlan"}),
    ("mtu", {"host_mtu": 2000, "enabled": ["vxlan6", "wg"], "configured": {"vxlan6": 1990}, "pod_mtu": 1940}),
    ("nat_outgoing", {
        "pools": [{"cidr": "10.0.0.0/16", "natOutgoing": True}], "host_ips": ["192.0.2.1"],
        "natOutgoingExclusions": "IPPoolsAndHostIPs",
        "src": "10.0.0.1", "dst": "192.0.2.1", "masquerade": False}),
]


@pytest.mark.parametrize("topic,case", RIGHT)
def test_a_right_case_agrees(topic, case):
    assert TOPICS[topic](case) is None


WRONG = [
    ("ipam_autoassign", steps({"host": "a", "num": 2, "expect_count": 3}), "step 1: expect_count is 2, expected 3"),
    ("ipam_autoassign", steps({"host": "a"}, {"host": "a", "expect_borrowed": 1}), "step 2: expect_borrowed"),
    ("ipam_autoassign", steps({"host": "a", "expect": ["10.9.0.0"]}), "addresses"),
    ("ipam_autoassign", steps({"host": "a", "expect_within": ["10.9.0.0/24"]}), "not within"),
    ("ipam_autoassign", steps({"host": "a", "expect_error": "BlockLimit"}), "error is None"),
    ("ipam_autoassign", steps({"host": "a", "num": 99, "max_blocks": 1, "expect_count": 64}), "error is BlockLimit"),
    ("bird_pool_filters", {
        "bgp_programClusterRoutes": None, "local_subnet": "10.1.0.0/24",
        "pool": {"cidr": "10.2.0.0/16", "disableBGPExport": True},
        "kernel": {"action": "accept", "owner": "bird"}, "export": "accept"}, "export is reject"),
    ("encap_decision", {
        "encapsulation": "ipip", "mode": "Always", "src_node_cidr": "10.1.0.1/23", "dst_node_cidr": "10.1.1.1/24",
        "expected": "no-encap"}, "encapsulation is ipip"),
    ("mtu", {"host_mtu": 1500, "enabled": ["ipip"], "configured": {}, "pod_mtu": 1500}, "pod MTU is 1480"),
    ("nat_outgoing", {"pools": [{"cidr": "10.0.0.0/16"}], "src": "10.0.0.1", "dst": "192.0.2.1", "masquerade": True},
     "masquerade is False"),
]


@pytest.mark.parametrize("topic,case,told", WRONG)
def test_a_wrong_case_is_told(topic, case, told):
    assert told in (TOPICS[topic](case) or "")
