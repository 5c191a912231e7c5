"""What is answered all at once is what IPAM answers request by request; where hosts disturb each other nothing is."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from calisim.control.addresses import Machine, _one_by_one, allocate
from calisim.control.undisturbed import serve
from calisim.model.entities import Pod, Pods, Replicas
from calisim.parts import Parts
from calisim.quantities import parse_prefix
from calisim.scenario.resources import IPAMConfiguration, IPPool
from calisim.vocabulary import Encap

POOL = IPPool("main", parse_prefix("10.0.0.0/24"), 28)
HOSTS = [f"node-{number}" for number in range(20)]


@st.composite
def groups(draw: st.DrawFn, hosts: list[str]) -> Pods:
    made = []
    for number in range(draw(st.integers(0, 5))):
        some = draw(st.lists(st.sampled_from(hosts), min_size=1, max_size=len(hosts), unique=True))
        nodes = tuple(draw(st.sampled_from([hosts, some])))
        per_node = draw(st.integers(0, 3))
        if per_node:
            nodes = tuple(node for node in nodes for _ in range(per_node))
        size = len(nodes) if per_node else draw(st.integers(1, 3 * len(nodes)))
        made.append(Replicas(Pod(f"g{number}", "shop", "", {}), nodes[:size], size, per_node))
    return Pods(made)


@given(data=st.data(), count=st.integers(1, 20), encap=st.sampled_from([Encap.NONE, Encap.IPIP, Encap.VXLAN]))
def test_all_at_once_is_one_by_one(data: st.DataObject, count: int, encap: Encap) -> None:
    machines = [Machine(name, {}, None, None) for name in HOSTS[:count]]
    pods = data.draw(groups(HOSTS[:count]))
    given_ = (machines, pods, [POOL, replace(POOL, name="off", disabled=True)], [encap, Encap.NONE], {}, (), IPAMConfiguration())
    assert allocate(Parts(), *given_) == _one_by_one(*given_)


def pods_on(*nodes: str, each: int = 1) -> Pods:
    return Pods(Replicas(Pod(f"g{number}", "shop", "", {}), nodes, len(nodes)) for number in range(each))


def test_hosts_whose_walks_cross_claim_in_the_order_in_which_they_first_ask() -> None:
    machines = [Machine(name, {}, None, None) for name in HOSTS]
    pool = replace(POOL, cidr=parse_prefix("10.0.0.0/23"), block_size=28)
    for order in (HOSTS, HOSTS[::-1]):
        served = serve(Parts(), [tuple(HOSTS)], [{} for _ in HOSTS], pods_on(*order), pool, IPAMConfiguration(), tunnels=False)
        assert served is not None
        asked = (machines, pods_on(*order), [pool], [Encap.NONE], {}, (), IPAMConfiguration())
        assert _one_by_one(*asked).pods == served.pods
    assert len({*served.networks}) == 20


def test_who_may_be_disturbed_is_served_one_by_one() -> None:
    labels = [{"disk": "ssd"}] * 2
    usual = IPAMConfiguration()
    assert serve(Parts(), [tuple(HOSTS[:2])], labels, pods_on(*HOSTS[:2], each=15), POOL, usual, tunnels=True) is not None
    for pods, pool, configuration in (
        (pods_on(*HOSTS[:2], each=16), POOL, usual),                         # a second block is needed, with the tunnel's address
        (pods_on(*HOSTS[:17]), POOL, usual),                                 # more hosts than blocks
        (pods_on(*HOSTS[:2]), replace(POOL, node_selector="disk == 'hdd'"), usual),
        (pods_on(*HOSTS[:2]), replace(POOL, namespace_selector="all()"), usual),
        (pods_on(*HOSTS[:2]), replace(POOL, assignment_mode="Manual"), usual),
        (pods_on(*HOSTS[:2]), replace(POOL, allowed_uses=("Workload",)), usual),
        (pods_on(*HOSTS[:2]), POOL, replace(usual, auto_allocate_blocks=False)),
        (Pods([Replicas.of(Pod("p", "shop", HOSTS[0], {}, address=POOL.cidr.network))]), POOL, usual),
        (Pods([Replicas.of(Pod("p", "shop", HOSTS[0], {}, pools=("main",)))]), POOL, usual),
    ):
        hosts = HOSTS[:max(2, len({pod.node for pod in pods}))]
        assert serve(Parts(), [tuple(hosts)], labels, pods, pool, configuration, tunnels=True) is None
