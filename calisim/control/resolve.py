"""Topology → Intent: the one place where the order of the resolvers is written.

Objects are numbered as they are named: what is written in documents first, then, from a round number on, nodes and pods, so that
neither moves the other when it grows. Endpoints are the nodes, then the hosts, then the pods.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial
from itertools import accumulate, count, pairwise

from ..errors import Problem, ScenarioError
from ..model.entities import Host, Node, Subnet
from ..model.nodes import all_names
from ..model.topology import Topology
from ..parts import Parts, collector_paused
from ..quantities import Prefix, format_address, network_of
from ..scenario.resources import IPPool
from ..sequences import Joined, runs
from ..vocabulary import Encap, EndpointKind, RouterFlag, RpFilter
from ..vocabulary.chance import fnv1a_32
from .addresses import Addresses, Machine, allocate, asked
from .encapsulation import tunnel_of
from .endpoints import Homes, NodeObjects, PodEndpoints, PodObjects, Station
from .fabric import Wiring, wire
from .intent import Advert, Block, Endpoint, Intent, Peer, Pool, Router, RoutingInputs
from .mtu import device_mtu, pod_mtu
from .nat import nat_rule
from .objects import Objects
from .owners import Owners, era_of, owners
from .policy.resolve import police
from .routing import PodRoutes, RemoteRoutes, affine, export_allowed, own_routes
from .services import balance

_RP_FILTERS = {"off": RpFilter.OFF, "strict": RpFilter.STRICT, "loose": RpFilter.LOOSE}


@collector_paused()
def resolve(topology: Topology, parts: Parts | None = None) -> Intent:
    """All that the control plane decides. Raises ScenarioError where two things would have one address.

    ``parts`` are those of an earlier build (:mod:`calisim.parts`): what is decided from the same is taken over.
    """
    objects, parts = Objects(), parts or Parts()
    felix, era = topology.resources.felix, era_of(topology.settings.era)
    written = topology.resources.pools
    pools = tuple(_pool(pool, objects) for pool in written)
    enabled = {
        Encap.IPIP: _enabled(felix.ipip_enabled, pools, Encap.IPIP),
        Encap.VXLAN: _enabled(felix.vxlan_enabled, pools, Encap.VXLAN)}
    routes_by = owners(era, topology.resources.bgp.program_cluster_routes, felix.program_cluster_routes)
    wiring = wire(topology, objects, parts)
    addresses = _addresses(topology, enabled, parts)
    entities = topology.entities
    nodes, blocks = entities.nodes, addresses.blocks
    of_hosts = [objects.add("Host", host.name, host.mark) for host in entities.hosts]
    stations = _stations(topology, addresses)
    balanced = balance(topology, stations, addresses.pods, objects, _keys)
    policy = police(
        topology.resources.policy, entities, addresses.pods, objects, balanced.backends, stations, felix,
        cuts=topology.settings.policy_change == "cut", parts=parts)
    objects.leave_room()
    routers = _routers(topology, wiring, addresses, enabled, objects, parts)
    endpoints = _endpoints(topology, routers, addresses, of_hosts, objects, parts)
    _refuse_clashes(topology, endpoints, routers, wiring)
    writers = [routes_by.of(pool.ipip, pool.vxlan) for pool in pools]
    remote = parts.of("remote routes", RemoteRoutes, routes_by, writers, pools)
    owned = parts.of("affine", affine, routers, blocks)
    own = Joined(parts.each(
        "own routes", own_routes, owned, writers, [pool.decided_by for pool in pools],
        [subnet.decided_by for subnet in wiring.fabric.subnets]))
    peers = parts.each("peers", _peers, list(zip(runs(nodes), runs(routers), strict=True)))
    exports = [
        (export_allowed(pool, routes_by, inside_own_block=True), export_allowed(pool, routes_by, inside_own_block=False))
        for pool in pools]
    return Intent(
        name=topology.name, seed=topology.seed, routers=routers, endpoints=endpoints, pools=pools, blocks=blocks,
        adverts=_adverts(owned, addresses.borrowed, peers, exports, parts),
        nat=nat_rule(written, felix.nat_outgoing_exclusions, (_recorded(node) for node in nodes), felix.external_nodes),
        fabric=wiring.fabric, objects=objects.all, places=wiring.places,
        tunnel_senders=parts.of(
            "senders", _senders, parts.each("recorded", _addresses_of, peers), felix.external_nodes, topology.entities.hosts),
        remote_route=remote.remote_route, own_routes=own, pod_routes=PodRoutes(era, endpoints).of,
        assumptions=(*_assumptions(topology, routes_by), *balanced.assumptions), icmp_ratelimit=topology.settings.icmp_ratelimit,
        failures=(*addresses.failures, *wiring.failures), warnings=(*topology.warnings, *policy.warnings), policy=policy,
        services=balanced.services, service_names=balanced.names)


def _pool(pool: IPPool, objects: Objects) -> Pool:
    return Pool(
        pool.name, pool.cidr, pool.block_size, pool.ipip_mode, pool.vxlan_mode, pool.nat_outgoing, pool.disabled,
        not pool.disable_bgp_export, pool.node_selector, pool.namespace_selector, pool.allowed_uses,
        pool.assignment_mode == "Automatic", objects.add("IPPool", pool.name, pool.mark))


def _enabled(said: bool | None, pools: Sequence[Pool], encap: Encap) -> bool:
    """Felix' ipipEnabled or vxlanEnabled; not said: on where some pool, disabled ones counted, uses it."""
    return any(tunnel_of(pool.ipip, pool.vxlan)[0] is encap for pool in pools) if said is None else said


def _addresses(topology: Topology, enabled: Mapping[Encap, bool], parts: Parts) -> Addresses:
    entities, resources = topology.entities, topology.resources
    machines = Joined(parts.each("machines", _machines, runs(entities.nodes)))
    encaps = (tunnel_of(pool.ipip_mode, pool.vxlan_mode)[0] for pool in resources.pools)
    tunnels = [encap if enabled.get(encap) else Encap.NONE for encap in encaps]
    return parts.of(
        "addresses", partial(allocate, parts), machines, entities.pods,
        [asked(pool) for pool in resources.pools], tunnels, entities.namespaces, resources.reservations, resources.ipam)


def _machines(nodes: Sequence[Node]) -> tuple[Machine, ...]:
    return tuple(Machine(node.name, node.labels, node.ipip_address, node.vxlan_address) for node in nodes)


def _stations(topology: Topology, addresses: Addresses) -> Sequence[Station]:
    """The nodes, where a service or a host endpoint may ask about them."""
    resources = topology.resources
    if not resources.services and not resources.policy.host_endpoints:
        return ()
    nodes = topology.entities.nodes
    return tuple(
        Station(number, node.name, node.address, ipip, vxlan)
        for number, (node, ipip, vxlan) in enumerate(zip(nodes, addresses.ipip, addresses.vxlan, strict=True), start=1))


def _recorded(node: Node) -> int:
    return node.recorded[0] if node.recorded else node.address


def _routers(
    topology: Topology, wiring: Wiring, addresses: Addresses, enabled: Mapping[Encap, bool], objects: Objects, parts: Parts,
) -> Joined[Router]:
    felix, entities = topology.resources.felix, topology.entities
    configured = {"ipip": felix.ipip_mtu, "vxlan": felix.vxlan_mtu}
    devices = [name for name, encap in (("ipip", Encap.IPIP), ("vxlan", Encap.VXLAN)) if enabled[encap]]
    mesh = ("mesh",) if topology.resources.bgp.node_to_node_mesh_enabled else ()
    nodes = runs(entities.nodes)
    starts = list(accumulate(map(len, nodes), initial=0))
    cuts = [slice(first, last) for first, last in pairwise(starts)]
    keys = parts.of("keys", _keys_of, parts.each("keys of each", _hashes, nodes), entities.nodes)
    made = parts.each(
        "routers", _routers_of, [
            (run, cut.start, keys[cut], addresses.ipip[cut], addresses.vxlan[cut]) for run, cut in zip(nodes, cuts, strict=True)],
        entities.subnets, wiring.subnets, configured, devices, mesh, _RP_FILTERS[topology.settings.rp_filter],
        _common_flags(topology), _own_groups(topology, wiring), objects.next)
    objects.extend(NodeObjects(entities.nodes))
    return Joined(made)


def _own_groups(topology: Topology, wiring: Wiring) -> Mapping[tuple[str, str], int] | None:
    """Numbers of the security groups; None where the provider filters nothing."""
    return wiring.groups if topology.provider.security_groups else None


def _common_flags(topology: Topology) -> RouterFlag:
    """What the settings make of every node."""
    felix, settings = topology.resources.felix, topology.settings
    common = RouterFlag(0)
    if settings.filter == "calico":
        common |= RouterFlag.CALICO_FILTER
    if settings.nat_ports == "random-fully":
        common |= RouterFlag.RANDOM_FULLY
    if settings.filter == "calico" and felix.default_endpoint_to_host_action == "Drop":      # the manifests set Accept
        common |= RouterFlag.HOST_ACTION_DROP
    if felix.nat_outgoing_exclusions == "IPPoolsAndHostIPs":
        common |= RouterFlag.EXCLUDE_HOSTS
    if felix.allow_ipip_from_workloads:
        common |= RouterFlag.PODS_SEND_IPIP
    if felix.allow_vxlan_from_workloads:
        common |= RouterFlag.PODS_SEND_VXLAN
    return common


def _routers_of(
    item: tuple[Sequence[Node], int, Sequence[int], Sequence[int], Sequence[int]], subnets: Mapping[str, Subnet],
    subnet_ids: Mapping[str, int], configured: Mapping[str, int], devices: Sequence[str], mesh: tuple[str, ...],
    rp_filter: RpFilter, common: RouterFlag, groups: Mapping[tuple[str, str], int] | None, first_object: int,
) -> tuple[Router, ...]:
    """``item``: nodes, how many there are before them, their keys and their tunnel addresses."""
    nodes, before, *columns = item
    routers = []
    for number, node, key, ipip, vxlan in zip(count(before + 1), nodes, *columns, strict=False):
        subnet = subnets[node.subnet]
        mtus = [device_mtu(name, node.mtu, configured[name]) if name in devices else 0 for name in ("ipip", "vxlan")]
        inputs = _inputs(
            network_of(*node.recorded) if node.recorded else None, subnet.prefix, subnet.gateway, node.mtu, *mtus, node.vpc,
            () if node.cluster_id else mesh)
        routers.append(Router(
            number, key, node.name, node.address, inputs, subnet_ids[node.subnet], node.zone, ipip, vxlan,
            pod_mtu(node.mtu, devices, configured), rp_filter,
            _flags(common, node.source_dest_check, node.down, node.public_address is not None),
            tuple(groups[node.vpc, name] for name in node.groups) if groups is not None else (), node.public_address or 0,
            first_object + number - 1))
    return tuple(routers)


_inputs = lru_cache(maxsize=1 << 16)(RoutingInputs)            # nodes that see alike share one


@cache
def _flags(common: RouterFlag, check: bool, down: bool, public: bool) -> RouterFlag:
    flags = common | RouterFlag.SOURCE_DEST_CHECK if check else common
    flags |= RouterFlag.DOWN if down else RouterFlag(0)
    return flags | RouterFlag.PUBLIC if public else flags


def _hashes(nodes: Sequence[Node]) -> array[int]:
    return array("q", [fnv1a_32(node.name) for node in nodes])


def _keys_of(hashes: Sequence[array[int]], nodes: Sequence[Node]) -> Sequence[int]:
    """What :func:`_keys` gives, which nearly always are the hashes."""
    keys = array("q")
    for some in hashes:
        keys += some
    different = set(keys)
    return keys if len(different) == len(keys) and 0 not in different else array("q", _keys([node.name for node in nodes]))


def _keys(names: Sequence[str]) -> list[int]:
    """A number for each name that depends on the name alone, but for the rare pair with one hash."""
    taken: set[int] = {0}
    keys = []
    for name in names:
        key, attempt = fnv1a_32(name), 0
        while key in taken:
            attempt += 1
            key = fnv1a_32(f"{name}#{attempt}")
        taken.add(key)
        keys.append(key)
    return keys


def _endpoints(
    topology: Topology, routers: Sequence[Router], addresses: Addresses, of_hosts: Sequence[int], objects: Objects, parts: Parts,
) -> Joined[Endpoint]:
    """``of_hosts``: their objects."""
    entities = topology.entities
    usual = topology.settings.stack == "answer"
    nodes = parts.each("endpoints of nodes", _of_routers, runs(routers))
    hosts = []
    outside = topology.limits.internet_mtu or topology.provider.internet_mtu
    for number, (host, decider) in enumerate(zip(entities.hosts, of_hosts, strict=True), start=len(routers) + 1):
        mtu = next((subnet.mtu for subnet in entities.subnets.values() if host.address in subnet.prefix), outside)
        hosts.append(Endpoint(
            number, EndpointKind.HOST, f"host/{host.name}", host.address, 0, mtu, "eth0", decider,
            usual if host.answers is None else host.answers))
    mtus = parts.each("MTUs of pods", _pod_mtus, runs(routers))
    homes = parts.of("homes", Homes, all_names(parts, entities.nodes), mtus)
    pods = parts.of(
        "endpoints of pods", PodEndpoints, entities.pods, homes, addresses.pods, usual, len(routers) + len(hosts) + 1,
        objects.next)
    objects.extend(PodObjects(entities.pods))
    return parts.of("endpoints", Joined, (*nodes, tuple(hosts), pods))


def _of_routers(routers: Sequence[Router]) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(router.id, EndpointKind.NODE, f"node/{router.name}", router.address, router.id, router.inputs.mtu, "eth0",
                 router.decided_by)
        for router in routers)


def _pod_mtus(routers: Sequence[Router]) -> tuple[int, ...]:
    return tuple(router.pod_mtu for router in routers)


def _refuse_clashes(
    topology: Topology, endpoints: Sequence[Endpoint], routers: Sequence[Router], wiring: Wiring,
) -> None:
    """A pod or tunnel address that a node, a host or a subnet's router has, too: nothing could tell the two apart.

    Pods and tunnels have addresses of pools, nodes and routers those of subnets.
    """
    pools = [pool.cidr for pool in topology.resources.pools]
    others = [*(subnet.prefix for subnet in topology.entities.subnets.values()),
              *(Prefix(host.address, 32) for host in topology.entities.hosts)]
    if not any(pool.overlaps(other) for pool in pools for other in others):
        return
    taken = {subnet.gateway: f"the router of subnet {subnet.name}" for subnet in wiring.fabric.subnets}
    pods = len(endpoints) - len(topology.entities.pods)
    taken.update((endpoint.address, endpoint.name) for endpoint in endpoints[:pods])
    taken.pop(0, None)                                # the address of who has none
    clashes = [
        (address, f"a tunnel device of {router.name}")
        for router in routers for address in (router.ipip_address, router.vxlan_address) if address in taken]
    if any(address in pool for pool in pools for address in taken):
        clashes += [
            (endpoint.address, f"pod {endpoint.name}") for endpoint in endpoints[pods:] if endpoint.address in taken]
    if not clashes:
        return
    address, name = clashes[0]
    pool = next(pool for pool in topology.resources.pools if address in pool.cidr)
    more = f" ({len(clashes) - 1:,} more like this)" if len(clashes) > 1 else ""
    raise ScenarioError([Problem(
        pool.mark, f"IPPool {pool.name}", f"{format_address(address)} would belong to {name} and to {taken[address]}{more}",
        "choose a pool CIDR that overlaps no subnet and no host")])


def _adverts(
    owned: Sequence[tuple[Sequence[Router], Sequence[Block]]], borrowed: Mapping[Prefix, Sequence[tuple[int, int]]],
    peers: Sequence[Sequence[Peer]], exports: Sequence[tuple[bool, bool]], parts: Parts,
) -> Joined[Advert]:
    """Every block of a node, and every address that another node than the block's uses. ``exports``: whether whole blocks and
    single addresses of each pool are told."""
    known = Joined(peers)
    items = []
    for (routers, blocks), mine in zip(owned, peers, strict=True):
        lent = [
            (block.prefix, [(address, user, known[user - 1]) for address, user in borrowed[block.prefix]])
            for block in blocks if block.prefix in borrowed] if borrowed else ()
        items.append((routers[0].id, blocks, mine, lent))
    return Joined(parts.each("adverts", _of_blocks, items, exports))


def _of_blocks(
    item: tuple[int, Sequence[Block], Sequence[Peer], Iterable[tuple[Prefix, Sequence[tuple[int, int, Peer]]]]],
    exports: Sequence[tuple[bool, bool]],
) -> tuple[Advert, ...]:
    """``item``: the first of some nodes, their blocks, these nodes themselves, and who has borrowed which address of a block."""
    first, blocks, peers, lent = item
    users = dict(lent)
    adverts = []
    for block in blocks:
        whole, single = exports[block.pool]
        adverts.append(Advert(block.prefix, block.affinity, block.pool, whole, peer=peers[block.affinity - first]))
        adverts += [
            Advert(Prefix(address, 32), user, block.pool, single, borrowed=True, peer=peer)
            for address, user, peer in users.get(block.prefix, ())]
    return tuple(adverts)


def _peers(item: tuple[Sequence[Node], Sequence[Router]]) -> tuple[Peer, ...]:
    return tuple(
        Peer(_recorded(node), router.vxlan_address, node.vpc, router.inputs.mesh) for node, router in zip(*item, strict=True))


def _addresses_of(peers: Sequence[Peer]) -> tuple[int, ...]:
    return tuple(peer.address for peer in peers)


def _senders(recorded: Iterable[Sequence[int]], external: Sequence[Prefix], hosts: Iterable[Host]) -> frozenset[int]:
    """Nodes as Calico recorded them, and those hosts that externalNodesList names."""
    named = (host.address for host in hosts if any(host.address in prefix for prefix in external))
    return frozenset(named).union(*recorded)


def _assumptions(topology: Topology, routes_by: Owners) -> tuple[str, ...]:
    resources = topology.resources
    said = list(topology.assumptions)
    if routes_by.contested:
        said.append("BIRD and Felix both program cluster routes, so real ones would flap; BIRD's are taken.")
    if any(document.cluster_id for document in resources.nodes.values()) and any(
            node.cluster_id for node in topology.entities.nodes):
        said.append("Route reflectors leave the mesh, and BGPPeer documents are not modelled: they exchange no routes.")
    if resources.felix.disable_conntrack_invalid_check:
        said.append("disableConntrackInvalidCheck is not modelled: INVALID packets are dropped.")
    return tuple(said)
