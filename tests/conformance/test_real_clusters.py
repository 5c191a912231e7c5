"""Two published clusters rebuilt: their nodes' names, addresses and pools in, their routing tables and IPAM figures out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from calisim import conformance
from calisim.quantities import format_address
from calisim.report import iproute
from calisim.report.ipam import table
from tests.clusters import intent, pool

ROOT = Path(__file__).parents[2]
KOPS = ROOT / conformance.data_directory("k8s") / "real-kops-us-east-1"
NATIVE_VXLAN = ROOT / conformance.data_directory("k8s") / "real-native-vxlan-eu-west-1"


def read(path: Path) -> str:
    if not path.is_file():
        pytest.skip(f"no conformance data: {path} is absent (set CALISIM_CONFORMANCE)")
    return path.read_text()


def as_published(lines) -> list[str]:
    """Without what depends on the machine: name of the NIC, names of veths, the container engine's bridge, blanks."""
    kept = [re.sub(r"\bens5\b", "eth0", re.sub(r"\bcali[0-9a-f]{11}\b", "cali", text)).strip() for text in lines]
    return [text for text in kept if text and "docker0" not in text]


def subnet(cidr: str) -> str:
    """The head of a scenario with one subnet, before Felix gave workload routes a metric."""
    return (
        "  settings: {era: '3.21'}\n"
        f"  vpcs:\n    v:\n      cidrs: [{cidr}]\n      subnets:\n        s: {{zone: z, cidr: {cidr}}}\n  nodes:\n")


def test_kops_us_east_1():
    real = read(KOPS / "ip-route-node1.txt").splitlines()
    facts = json.loads(read(KOPS / "expected.json"))
    nodes = re.findall(r"^(ip-\S+)\s.*?(172\.20\.\d+\.\d+)", read(KOPS / "get-nodes-wide.txt"), re.MULTILINE)
    here = re.findall(r"^(100\.\S+) dev cali", "\n".join(real), re.MULTILINE)
    spec = subnet("172.20.32.0/19") + "".join(
        f"    - {{name: {name}, subnet: s, address: {address}}}\n" for name, address in nodes)
    spec += "  pods:\n" + "".join(f"    - {{name: p{n}, node: {nodes[0][0]}, ip: {ip}}}\n" for n, ip in enumerate(here))
    other = next(pod for pod in facts["pods"] if pod["node"] != nodes[0][0])
    spec += f"    - {{name: other, node: {other['node']}, ip: {other['ip']}}}\n"
    made = intent(spec, pool("100.96.0.0/11", ipipMode="CrossSubnet", natOutgoing=True) + "---\n" + read(KOPS / "node.json"))
    owners = {str(block.prefix): format_address(made.router(block.affinity).address) for block in made.blocks}
    assert owners == facts["blocks"]
    assert as_published(iproute.lines(made, 1)) == as_published(real)
    router = made.router(1)
    assert (router.pod_mtu, router.inputs.ipip_mtu, router.inputs.mtu) == tuple(
        facts["facts"][key] for key in ("pod_mtu", "tunl0_mtu", "node_mtu"))


@pytest.mark.parametrize("mode", ["native", "vxlan"])
def test_native_and_vxlan_eu_west_1(mode):
    real = read(NATIVE_VXLAN / f"ip-route-control1-{mode}.txt").splitlines()
    facts = json.loads(read(NATIVE_VXLAN / "expected.json"))["facts"]
    nodes = json.loads(read(NATIVE_VXLAN / "node-annotations.json"))
    here = re.findall(r"^(10\.48\.\S+) dev cali", "\n".join(real), re.MULTILINE)
    spec = subnet(facts["subnet"]) + "".join(f"    - {{name: {node['name']}, subnet: s}}\n" for node in nodes)
    pods = [("control1", ip) for ip in here] + [
        ("worker2", "10.48.128.1"), ("worker1", "10.48.128.193"), ("worker2", "10.48.0.1"), ("worker1", "10.48.0.193")]
    spec += "  pods:\n" + "".join(f"    - {{name: p{n}, node: {node}, ip: {ip}}}\n" for n, (node, ip) in enumerate(pods))
    documents = "---\n" + read(NATIVE_VXLAN / f"ippool-{mode}.yaml") + pool("10.48.128.0/24", "second")
    for node in nodes:
        documents += "---\n" + json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": node}) + "\n"
    made = intent(spec, documents)
    assert as_published(iproute.lines(made, 1)) == as_published(real)
    assert made.router(1).inputs.vxlan_mtu == (facts["vxlan_dev_mtu"] if mode == "vxlan" else 0)
    assert made.router(1).pod_mtu == (facts["vxlan_dev_mtu"] if mode == "vxlan" else facts["native_pod_mtu"])


def test_calicoctl_ipam_show():
    real = read(NATIVE_VXLAN / "calicoctl-ipam-show.txt")
    used = re.findall(r"\| IP Pool\s+\| (\S+)\s+\|\s+\d+ \| (\d+) ", real)
    spec = subnet("10.0.1.0/24") + "    - {name: n, count: 3, subnet: s}\n  pods:\n" + "".join(
        f"    - {{name: p{number}, count: {count}, pools: [{cidr}]}}\n" for number, (cidr, count) in enumerate(used))
    documents = "".join(pool(cidr, f"pool-{number}") for number, (cidr, _) in enumerate(used))
    assert table(intent(spec, documents)) == real.strip()
