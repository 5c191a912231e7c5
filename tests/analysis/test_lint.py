"""lint: each trap is found from the file alone, with its place; a sound scenario has none."""

from __future__ import annotations

import pytest

from calisim.analysis.lint import lint


def codes(network, **arguments):
    return {finding.code: finding for finding in lint(network(**arguments))}


def test_the_sound_scenario_has_no_errors(network):
    assert {finding.severity for finding in lint(network())} <= {"fact"}


@pytest.mark.parametrize(("code", "severity", "set_", "variant"), [
    ("CHECK_ON", "error", ["nodes.a.sourceDestCheck=true"], "as-is"),
    ("NO_IPIP", "error", ["vpcs.prod.securityGroups.nodes.ingress=[{protocol: tcp, from: nodes}]"], "as-is"),
    ("NO_VXLAN", "error", ["vpcs.prod.securityGroups.nodes.ingress=[{protocol: 4, from: nodes}]"], "overlay-vxlan"),
    ("SLASH_32", "warning", ["nodes.a.prefixLength=32"], "as-is"),
    ("MASKS_DIFFER", "error", ["nodes.*.prefixLength=24", "nodes.b.prefixLength=16"], "as-is"),
    ("MTU_MIXED", "warning", ["nodes.b.mtu=1500"], "as-is"),
    ("NO_TRAFFIC", "fact", ["traffic=[]", "expect=[]"], "as-is"),
])
def test_traps(network, code, severity, set_, variant):
    found = codes(network, variant=variant, set=set_)
    assert found[code].severity == severity and found[code].mark.file
    if severity == "error":
        assert found[code].cure


@pytest.mark.parametrize(("code", "set_", "variant"), [
    ("CHECK_ON", ["nodes.b.sourceDestCheck=true"], "as-is"),            # alone in its subnet: never native
    ("CHECK_ON", ["nodes.*.sourceDestCheck=true"], "overlay-ipip"),
    ("NO_IPIP", ["vpcs.prod.securityGroups.nodes.ingress=[{protocol: 4, from: 10.1.0.0/16}]"], "as-is"),
    ("NO_IPIP", ["vpcs.prod.securityGroups.nodes.ingress=[{protocol: tcp, from: nodes}]"], "calico-no-encap"),
    ("SLASH_32", ["nodes.a.prefixLength=32"], "overlay-ipip"),
    ("MASKS_DIFFER", ["nodes.*.prefixLength=16"], "as-is"),
])
def test_no_false_alarm(network, code, set_, variant):
    assert code not in codes(network, variant=variant, set=set_)


def test_overlapping_pool_and_nat(network, tmp_path):
    from calisim.analysis.network import Network
    from calisim.scenario.load import load

    from .conftest import TWO_ZONES

    pool = tmp_path / "pool.yaml"
    pool.write_text(
        "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: pods}\nspec: {cidr: 10.1.1.0/24, blockSize: 28}\n")
    found = {one.code: one for one in lint(Network(load(TWO_ZONES, apply=[str(pool)])))}
    assert found["POOL_OVERLAPS_SUBNET"].mark.file == str(pool)
    assert found["NAT_OFF"].severity == "warning" and "natOutgoing" in found["NAT_OFF"].cure


def test_addresses_that_ran_out(network):
    found = codes(network, set=["pods.web.perNode=200"])
    assert found["POD_WITHOUT_ADDRESS"].severity == "error" and found["IPAM"].severity == "error"
