"""Relations between sections at their edges: the last value that is right, the first that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from calisim.errors import ScenarioError
from calisim.scenario.load import load

BASE = """\
apiVersion: calisim/v1
kind: Scenario
metadata: {name: edges}
spec:
  provider: %(provider)s
  limits: {packets: %(packets)s}
  vpcs:
    prod:
      cidrs: [%(vpc)s]
      internetGateway: %(gateway)s
      subnets: {a: {cidr: %(a)s}, b: {cidr: %(b)s}}
      securityGroups: {web: {ingress: [{from: %(from)s, %(rule)s}]}}
      routeTables: {main: {routes: [{to: 10.9.0.0/16, via: %(via)s}]}}
  nodes:
    - {name: n, subnet: a, count: %(count)s, firstAddress: %(first)s}
    - {name: m, subnet: b, securityGroups: [%(group)s]}
  pods:
    - {name: web, perNode: %(pods)s}
  hosts: [{name: out, ip: %(host)s}]
  traffic:
    - {name: all, from: %(sender)s, to: all()}
"""
RIGHT = {
    "provider": "aws", "packets": 1024, "vpc": "10.0.0.0/16", "gateway": "false", "a": "10.0.0.0/28", "b": "10.0.0.16/28",
    "from": "web", "rule": "protocol: tcp, port: 1-65535", "via": "node/n-3", "count": 3,
    "first": "10.0.0.4", "group": "default", "pods": 8,
    "host": "10.0.0.10", "sender": "all()",
}


def problems(folder: Path, **changes: object) -> list[str]:
    (folder / "s.yaml").write_text(BASE % {**RIGHT, **changes})
    try:
        load(folder / "s.yaml")
    except ScenarioError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    return []


@pytest.mark.parametrize("changes", [
    {}, {"a": "10.0.0.0/17", "b": "10.0.128.0/17"}, {"count": 11, "host": "203.0.113.1", "packets": 9216},
    {"first": "10.0.0.12"}, {"via": "igw", "gateway": "true"},
    {"via": "blackhole"}, {"via": "nat/any"}, {"from": "default"}, {"from": "0.0.0.0/0"}, {"rule": "protocol: all"},
    {"rule": "port: 4, protocol: 6"},
    {"vpc": "10.0.0.0/8", "provider": "linux"}, {"b": "10.0.0.16/30", "provider": "linux"}, {"sender": "node/*"},
    {"sender": "host/out"}, {"sender": "10.200.0.1"}, {"sender": "web-n-1-7"}, {"sender": "default/web-m-0"},
    {"sender": "has(app)"},
    {"host": "10.0.0.7"}, {"count": 0, "via": "node/m"}, {"provider": "plain"},
], ids=str)
def test_right_up_to_the_edge(tmp_path: Path, changes: dict[str, object]) -> None:
    assert problems(tmp_path, **changes) == []


@pytest.mark.parametrize(("changes", "told"), [
    ({"a": "10.0.0.0/15"}, "subnets.a.cidr: 10.0.0.0/15 is in no CIDR"),
    ({"b": "10.0.0.8/29"}, "subnets.b.cidr: 10.0.0.8/29 overlaps subnet a"),
    ({"b": "10.0.0.16/29"}, "10.0.0.16/29 is no size of a subnet"), ({"vpc": "10.0.0.0/15"}, "10.0.0.0/15 is no size of a VPC"),
    ({"count": 12}, "has room for 11 nodes, not for 12"), ({"first": "10.0.0.13"}, "10.0.0.15 is reserved in subnet a"),
    ({"first": "10.0.0.3"}, "10.0.0.3 is reserved"), ({"first": "10.0.0.16"}, "10.0.0.16 is outside subnet a"),
    ({"host": "10.0.0.6"}, "10.0.0.6 belongs to host out already"), ({"via": "igw"}, "VPC prod has no internet gateway"),
    ({"via": "node/n-4"}, "there is no node n-4"), ({"via": "node"}, "is no target of a route"), ({"via": "nat"}, "is no target"),
    ({"via": "igw/x", "gateway": "true"}, "is no target"), ({"from": "wep"}, "has no security group wep"),
    ({"from": "10.0.0.1/8"}, "host bits"),
    ({"rule": "port: 5"}, "a port says nothing"), ({"rule": "port: 9-1, protocol: tcp"}, "is no port"),
    ({"group": "wep"}, "no security group wep"),
    ({"packets": 1023}, "this traffic set makes 1,024 packets"), ({"pods": 500_001}, "perNode: 500001 is too large"),
    ({"sender": "web-n-1-8"}, "nobody is called web-n-1-8"), ({"sender": "node/n-0"}, "there is no node n-0"),
    ({"sender": "svc/a/b"}, "there is no service a/b"),
    ({"sender": "''"}, "this is empty"), ({"provider": "asw"}, "'asw' is no provider"),
], ids=str)
def test_wrong_beyond_the_edge(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    found = problems(tmp_path, **changes)
    assert any(told in one for one in found), found


def test_thousands_of_problems_are_cut_short(tmp_path: Path) -> None:
    nodes = "".join(f"    - {{name: x{number}, subnet: nowhere-{number}}}\n" for number in range(3000))
    text = (BASE % RIGHT).replace("  pods:\n", nodes + "  pods:\n")
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "s.yaml")
    assert len(caught.value.problems) == 100
