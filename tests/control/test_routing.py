"""Routing tables, derived by hand: blocks are found in the tables by owner, everything else is written out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calisim.control.encapsulation import encapsulate
from calisim.control.owners import era_of, owners
from calisim.quantities import Prefix, format_address, network_of, parse_address, parse_prefix
from calisim.report.iproute import lines
from calisim.vocabulary import AdjacencyKind, Device, DropReason, Encap
from tests.clusters import FOUR_NODES, TWO_SUBNETS, address, document, intent, is_drop, lookup, pool, routes

PODS = "  pods:\n    - {name: web, perNode: 1}\n"
OLD = "  settings: {era: '3.28'}\n"


def blocks(made):
    """Blocks by the name of their node, as text."""
    return {made.router(block.affinity).name: str(block.prefix) for block in made.blocks}


def interface(made, name):
    return made.endpoint(made.endpoint_ids[name]).interface


def test_cross_subnet_by_bird_line_by_line():
    made = intent(OLD + FOUR_NODES + PODS, pool(ipipMode="CrossSubnet"))
    own = blocks(made)
    base = parse_prefix(own["a-1"]).network
    expected = {
        f"blackhole {own['a-1']} proto bird",
        f"{format_address(base + 1)} dev {interface(made, 'default/web-a-1-0')} scope link",
        f"{own['a-2']} via 172.20.32.5 dev eth0 proto bird",
        f"{own['b-1']} via 172.20.64.4 dev tunl0 proto bird onlink",
        f"{own['b-2']} via 172.20.64.5 dev tunl0 proto bird onlink",
    }
    assert set(routes(made, 1)) == expected
    assert made.router(1).ipip_address == base


def test_the_link_of_a_node():
    made = intent(FOUR_NODES)
    assert lines(made, 1) == [
        "default via 172.20.32.1 dev eth0 proto dhcp src 172.20.32.4 metric 100",
        "172.20.32.0/19 dev eth0 proto kernel scope link src 172.20.32.4",
        "172.20.32.1 dev eth0 proto dhcp scope link src 172.20.32.4 metric 100",
    ]


def test_workload_routes_have_a_metric_since_3_32():
    assert any(text.endswith("scope link metric 1024") for text in routes(intent(FOUR_NODES + PODS, pool()), 1))


def test_always_tunnels_inside_a_subnet_too():
    made = intent(FOUR_NODES + PODS, pool(ipipMode="Always"))
    assert f"{blocks(made)['a-2']} via 172.20.32.5 dev tunl0 proto bird onlink" in routes(made, 1)


def test_never_goes_to_the_gateway_across_subnets():
    made = intent(FOUR_NODES + PODS, pool())
    assert f"{blocks(made)['a-2']} via 172.20.32.5 dev eth0 proto bird" in routes(made, 1)
    assert f"{blocks(made)['b-1']} via 172.20.32.1 dev eth0 proto bird" in routes(made, 1)
    adjacency = lookup(made, 1, address(made, "default/web-b-1-0")).adjacency
    assert (adjacency.kind, adjacency.next_hop) == (AdjacencyKind.REMOTE, parse_address("172.20.32.1"))


def test_vxlan_goes_to_the_peers_tunnel_address():
    made = intent(FOUR_NODES + PODS, pool(vxlanMode="CrossSubnet"))
    own = blocks(made)
    vtep = format_address(made.router(3).vxlan_address)
    assert vtep == own["b-1"].partition("/")[0]
    assert f"{own['b-1']} via {vtep} dev vxlan.calico onlink" in routes(made, 1)
    assert f"{own['a-2']} via 172.20.32.5 dev eth0 proto 80" in routes(made, 1)
    assert f"blackhole {own['a-1']} proto 80" in routes(made, 1)
    adjacency = lookup(made, 1, address(made, "default/web-b-1-0")).adjacency
    assert (adjacency.encap, adjacency.device, format_address(adjacency.next_hop)) == (Encap.VXLAN, Device.VXLAN, "172.20.64.4")
    assert adjacency.mtu == 8951


RECORDED_32 = """\
---
apiVersion: v1
kind: Node
metadata: {name: a-1, annotations: {projectcalico.org/IPv4Address: 172.20.32.4/32}}
"""


@pytest.mark.parametrize("mode,device", [("ipipMode", "tunl0"), ("vxlanMode", "vxlan.calico")])
def test_a_recorded_slash_32_tunnels_everything_but_only_on_that_node(mode, device):
    made = intent(FOUR_NODES + PODS, pool(**{mode: "CrossSubnet"}) + RECORDED_32)
    assert lookup(made, 1, address(made, "default/web-a-2-0")).interface == device
    assert lookup(made, 2, address(made, "default/web-a-1-0")).interface == "eth0"


def test_different_masks_make_encapsulation_asymmetric():
    wide = RECORDED_32.replace("/32", "/16")
    made = intent(FOUR_NODES + PODS, pool(ipipMode="CrossSubnet") + wide)
    there, back = lookup(made, 1, address(made, "default/web-b-1-0")), lookup(made, 3, address(made, "default/web-a-1-0"))
    assert (there.interface, format_address(there.via)) == ("eth0", "172.20.32.1")
    assert (back.interface, format_address(back.via)) == ("tunl0", "172.20.32.4")


def test_felix_has_no_native_route_to_a_next_hop_that_is_on_no_link():
    wide = RECORDED_32.replace("/32", "/16")
    made = intent(FOUR_NODES + PODS, pool(vxlanMode="CrossSubnet") + wide)
    assert lookup(made, 1, address(made, "default/web-b-1-0")).prefix == Prefix(0, 0)


def test_a_borrowed_address_is_a_slash_32_of_its_user_and_beats_the_owners_blackhole():
    made = intent(FOUR_NODES + "  pods:\n    - {name: first, node: a-1}\n    - {name: second, node: b-1}\n", pool("10.9.0.0/26"))
    assert [str(block.prefix) for block in made.blocks] == ["10.9.0.0/26"] and made.router(made.blocks[0].affinity).name == "a-1"
    assert address(made, "default/second") == "10.9.0.1"
    assert "10.9.0.1 via 172.20.32.1 dev eth0 proto bird" in routes(made, 1)
    assert lookup(made, 1, "10.9.0.2").adjacency.reason is DropReason.BLACKHOLE
    assert "10.9.0.1 via 172.20.64.4 dev eth0 proto bird" in routes(made, 4)
    assert "10.9.0.0/26 via 172.20.64.1 dev eth0 proto bird" in routes(made, 4)
    assert [str(advert.prefix) for advert in made.adverts if advert.borrowed] == ["10.9.0.1/32"]


def test_a_borrowed_vtep_is_directly_on_the_device():
    made = intent(FOUR_NODES, pool("10.9.0.0/26", vxlanMode="Always"))
    borrower = made.router(2)
    owner = made.router(made.blocks[0].affinity)
    assert owner.name == "a-1"
    assert f"{format_address(borrower.vxlan_address)} dev vxlan.calico scope link" in routes(made, 1)


def test_blocks_of_one_address_have_no_blackhole():
    made = intent(OLD + FOUR_NODES + "  pods:\n    - {name: web, node: a-1}\n", pool("10.9.0.0/24", blockSize=32))
    web = address(made, "default/web")
    assert routes(made, 1) == [f"{web} dev {interface(made, 'default/web')} scope link"]
    assert routes(made, 2) == [f"{web} via 172.20.32.4 dev eth0 proto bird"]


@pytest.mark.parametrize("mode,heard", [({"ipipMode": "Always"}, False), ({}, False), ({"vxlanMode": "Always"}, True)])
def test_disable_bgp_export_silences_bird_only(mode, heard):
    made = intent(FOUR_NODES + PODS, pool(disableBGPExport=True, **mode))
    remote = blocks(made)["b-1"]
    assert any(text.startswith(remote) for text in routes(made, 1)) is heard
    assert not is_drop(lookup(made, 3, address(made, "default/web-b-1-0")))


def test_without_a_mesh_nobody_learns_from_bird():
    made = intent(FOUR_NODES + PODS, pool(ipipMode="Always") + document("BGPConfiguration", nodeToNodeMeshEnabled=False))
    assert [text.split()[0] for text in routes(made, 1)] == ["blackhole", address(made, "default/web-a-1-0")]
    vxlan = intent(FOUR_NODES + PODS, pool(vxlanMode="Always") + document("BGPConfiguration", nodeToNodeMeshEnabled=False))
    assert len(routes(vxlan, 1)) == 5


REFLECTOR = """\
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: b-2}
spec: {bgp: {ipv4Address: 172.20.64.5/19, routeReflectorClusterID: 244.0.0.1}}
"""


def test_a_reflector_is_outside_the_mesh_on_both_sides():
    made = intent(FOUR_NODES + PODS, pool(ipipMode="Always") + REFLECTOR)
    assert len([text for text in routes(made, 4) if "via" in text]) == 0
    assert len([text for text in routes(made, 1) if "via" in text]) == 2
    assert any("reflectors" in text for text in made.assumptions)


def test_era_3_33_lets_felix_write_ipip_routes():
    made = intent("  settings: {era: '3.33'}\n" + FOUR_NODES + PODS, pool(ipipMode="CrossSubnet"))
    own = blocks(made)
    assert f"{own['b-1']} via 172.20.64.4 dev tunl0 proto 80 onlink" in routes(made, 1)
    assert f"blackhole {own['a-1']} proto 80" in routes(made, 1)
    native = intent("  settings: {era: '3.33'}\n" + FOUR_NODES + PODS, pool())
    assert f"blackhole {blocks(native)['a-1']} proto bird" in routes(native, 1)


@pytest.mark.parametrize("era,bgp,felix,ipip,native", [
    ("3.32", None, None, "bird", "bird"), ("3.33", None, None, "felix", "bird"),
    ("3.32", "Disabled", "Enabled", "felix", "felix"), ("3.32", "Disabled", None, "", ""),
    ("3.31", "EnabledNoEncapOnly", "EnabledIPIPOnly", "felix", "bird"), ("3.33", "Enabled", "Disabled", "bird", "bird"),
    ("3.33", "Newer", None, "felix", "bird"), ("2.6", "Newer", None, "bird", "bird"),
    ("3.32", "Enabled", "Enabled", "bird", "bird"),
])
def test_who_owns_which_pools(era, bgp, felix, ipip, native):
    who = owners(era_of(era), bgp, felix)
    assert (who.of("Always", "Never"), who.of("Never", "Never"), who.of("Never", "CrossSubnet")) == (ipip, native, "felix")
    assert bool(who.contested) is (bgp == felix == "Enabled")


def test_nobody_writes_routes_that_nobody_owns():
    made = intent(FOUR_NODES + PODS, pool() + document("BGPConfiguration", programClusterRoutes="Disabled"))
    assert [text.split()[0] for text in routes(made, 1)] == [address(made, "default/web-a-1-0")]


def test_an_unknown_own_prefix_is_another_subnet_to_felix():
    peer = parse_address("10.0.0.2")
    assert encapsulate("Never", "CrossSubnet", None, peer) is Encap.VXLAN
    assert encapsulate("CrossSubnet", "Never", network_of(peer, 24), peer) is Encap.NONE


def test_ipip_switched_off_in_felix_leaves_no_tunnel_device():
    made = intent(FOUR_NODES + PODS, pool(ipipMode="Always") + document("FelixConfiguration", ipipEnabled=False))
    assert not any("tunl0" in text for text in routes(made, 1))
    assert made.router(1).ipip_address == 0 and made.router(1).pod_mtu == 9001


MODES = st.sampled_from(
    [{"ipipMode": "Always"}, {"ipipMode": "CrossSubnet"}, {"vxlanMode": "CrossSubnet"}, {"vxlanMode": "Always"}, {}])


@settings(max_examples=25)
@given(
    mode=MODES, count=st.integers(1, 3), length=st.sampled_from([26, 28, 29, 30, 32]), pods=st.integers(1, 5),
    masks=st.booleans())
def test_every_pod_is_routed_by_every_other_node_to_its_node(mode, count, length, pods, masks):
    """The pool is too small for a block each, so borrowing happens, too."""
    mask = ", prefixLength: 32" if masks else ""
    made = intent(
        TWO_SUBNETS + f"  nodes:\n    - {{name: a, count: {count}, subnet: a{mask}}}\n    - {{name: b, count: 2, subnet: b}}\n"
        f"  pods:\n    - {{name: web, perNode: {pods}}}\n", pool("10.9.0.0/26", blockSize=length, **mode))
    own = [endpoint for endpoint in made.endpoints if endpoint.name.startswith("default/")]
    assert len({endpoint.address for endpoint in own}) == len(own)
    for endpoint in own:
        for router in made.routers:
            found = lookup(made, router.id, endpoint.address)
            if router.id == endpoint.router:
                assert found.adjacency.endpoint == endpoint.id
                continue
            target, near = made.router(endpoint.router).address, router.inputs.link
            kind, hop = found.adjacency.kind, found.adjacency.next_hop
            assert found.prefix.length >= length
            if kind is AdjacencyKind.TUNNEL:
                assert hop == target
            else:
                assert (kind, hop) == (AdjacencyKind.REMOTE, target if target in near else router.inputs.gateway)


def test_ordinal_0_is_the_tunnel_devices_and_pods_follow():
    made = intent(FOUR_NODES + PODS, pool(ipipMode="Always"))
    for block in made.blocks:
        ordinals = {ordinal: made.endpoint(endpoint) for ordinal, endpoint in made.allocations[block.prefix].items()}
        assert {endpoint.router for endpoint in ordinals.values()} == {block.affinity}
        assert [ordinals[0].name, ordinals[1].name] == [f"node/{made.router(block.affinity).name}",
                                                        f"default/web-{made.router(block.affinity).name}-0"]
