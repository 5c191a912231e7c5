"""The map in as much detail as there is room for: nothing gets lost without a word about it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import calisim
from calisim.report.atlas import MOST_HOSTS, MOST_SUBNETS, atlas, lines

ROOT = Path(__file__).parents[2]
TWO_ZONES = ROOT / "tests" / "cases" / "scenarios" / "two-zones.yaml"


def made(path=TWO_ZONES, *edits):
    return atlas(calisim.load(path, set=edits).build())


def inside(found):
    return [node for cloud in found.clouds for subnet in cloud.subnets for node in subnet.inside]


def test_a_small_map_has_everything():
    found = made()
    assert found.note == "" and found.says == "3 nodes, 6 pods"
    assert [[pod.name for pod in node.inside] for node in inside(found)] == [
        [f"shop/web-{node}-{number}" for number in range(2)] for node in ("a-1", "a-2", "b-1")]
    assert [(host.name, host.at) for host in found.hosts] == [("host/api", None)]
    assert list(lines(found))[:4] == [
        "two-zones · as-is: 3 nodes, 6 pods", "VPC prod  10.1.0.0/16, internet gateway",
        "  subnet zone-a  10.1.0.0/24 · us-east-1a",
        "    node a-1  10.1.0.4"]


@pytest.mark.parametrize(("edits", "note", "nodes"), [
    (["pods.web.perNode=20"], "pods are shown by their number", 3),
    (["nodes.a.count=120"], "nodes and pods are shown by their number", 0)])
def test_of_many_the_number_is_shown(edits, note, nodes):
    found = made(TWO_ZONES, *edits)
    assert found.note == note and len(inside(found)) == nodes
    said = "\n".join(lines(found))
    assert note in said and ("20 pods" in said if nodes else "120 nodes, 240 pods" in said)


def test_what_there_is_no_room_for_is_counted(tmp_path):
    scenario, *documents = yaml.safe_load_all(TWO_ZONES.read_text())
    subnets, hosts = scenario["spec"]["vpcs"]["prod"]["subnets"], scenario["spec"]["hosts"]
    subnets.update({f"s{number}": {"cidr": f"10.1.{number}.0/24"} for number in range(2, 92)})
    hosts += [{"name": f"h{number}", "ip": f"198.51.100.{number}"} for number in range(1, 21)]
    path = tmp_path / "many.yaml"
    path.write_text(yaml.safe_dump_all([scenario, *documents], sort_keys=False))
    found = made(path)
    assert sum(len(cloud.subnets) for cloud in found.clouds) == MOST_SUBNETS and len(found.hosts) == MOST_HOSTS
    assert found.note == "32 subnets left out; 9 hosts left out"


def test_a_host_in_a_subnet_is_there():
    host, = made(TWO_ZONES, "hosts.api.ip=10.1.1.77").hosts
    assert host.at == (0, 1) and host.says == ("10.1.1.77", "in subnet zone-b")
