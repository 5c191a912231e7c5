"""The topology as a networkx graph: one vertex per thing, one edge per link; attributes are the entities' own."""

from __future__ import annotations

import networkx

from .entities import Entities


def draw(entities: Entities) -> networkx.Graph:
    """Vertices ``kind/name`` with ``kind`` and ``entity``; a node's interface is the edge to its subnet."""
    graph = networkx.Graph()
    for vpc in entities.vpcs.values():
        graph.add_node(f"vpc/{vpc.name}", kind="vpc", entity=vpc)
        graph.add_node(f"router/{vpc.name}", kind="router", entity=vpc)
        graph.add_edge(f"vpc/{vpc.name}", f"router/{vpc.name}")
        if vpc.internet_gateway:
            graph.add_node(f"igw/{vpc.name}", kind="igw", entity=vpc)
            graph.add_edge(f"router/{vpc.name}", f"igw/{vpc.name}")
    for subnet in entities.subnets.values():
        graph.add_node(f"subnet/{subnet.name}", kind="subnet", entity=subnet)
        graph.add_edge(
            f"router/{subnet.vpc}", f"subnet/{subnet.name}", address=subnet.gateway, table=subnet.table, acl=subnet.acl)
    for node in entities.nodes:
        graph.add_node(f"node/{node.name}", kind="node", entity=node)
        graph.add_edge(
            f"subnet/{node.subnet}", f"node/{node.name}", interface="eth0", address=node.address, mtu=node.mtu,
            source_dest_check=node.source_dest_check, groups=node.groups)
    graph.add_nodes_from((f"pod/{pod.id}", {"kind": "pod", "entity": pod}) for pod in entities.pods)
    graph.add_edges_from((f"node/{pod.node}", f"pod/{pod.id}", {"interface": "veth"}) for pod in entities.pods)
    for host in entities.hosts:
        graph.add_node(f"host/{host.name}", kind="host", entity=host)
        inside = next((subnet for subnet in entities.subnets.values() if host.address in subnet.prefix), None)
        for vpc in entities.vpcs.values() if inside is None else ():
            graph.add_edge(f"igw/{vpc.name}" if vpc.internet_gateway else f"router/{vpc.name}", f"host/{host.name}")
        if inside is not None:
            graph.add_edge(f"subnet/{inside.name}", f"host/{host.name}", address=host.address)
    return graph
