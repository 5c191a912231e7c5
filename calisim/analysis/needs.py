"""What a variant needs of the cloud, and how many of this traffic's packets die where it is forgotten.

Nothing here is looked up in a table of good advice: for each candidate the one thing is taken away, the
control plane decides again and the same packets are sent again. A need is reported when packets die without it
(or when it is structural: BGP's own port, which this traffic does not use but all routes come from).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..model.topology import Topology, build
from ..quantities import format_address, plural
from ..vocabulary import Encap
from ..vocabulary.encaps import encapsulation
from . import edits
from .network import Network, Progress
from .run import Run, outcome_of, successes


@dataclass(frozen=True, slots=True)
class Example:
    """One packet that dies: who sent it to whom, and why it died."""

    sender: str
    receiver: str
    reason: str


@dataclass(frozen=True, slots=True)
class Need:
    """One requirement. ``lost`` is None where it is structural and no packet count is possible."""

    need: str
    why: str
    lost: int | None
    example: Example | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    need: str
    why: str
    without: Callable[[], Topology]


def needs(network: Network, run: Run, progress: Progress | None = None) -> tuple[Need, ...]:
    """The needs of a network whose packets were sent in ``run`` (all traffic sets of the scenario)."""
    found = []
    for candidate in _candidates(network, run):
        altered = network.altered(candidate.without())
        say = progress and partial(_relay, progress, f"without {candidate.need}")
        again = altered.run(keep=False, progress=say)
        need = _compare(candidate, altered, run, again)
        if need is not None:
            found.append(need)
    return (*found, *_structural(network))


def _relay(progress: Progress, title: str, name: str, count: int) -> None:
    progress(f"{title}: {name}", count)


def _candidates(network: Network, run: Run) -> Iterator[_Candidate]:
    topology = network.topology
    nodes = topology.entities.nodes
    unchecked = [node for node in nodes if not node.source_dest_check]
    if unchecked and topology.provider.name == "aws":
        yield _Candidate(
            "source/destination check off",
            f"an instance may only send and receive its own addresses while it is on; it is off on "
            f"{len(unchecked):,} of {plural(len(nodes), 'node')}",
            partial(edits.source_dest_check(True), topology))
    if topology.resources.felix.aws_src_dst_check == "Disable":
        yield _Candidate(
            "IAM permission ec2:ModifyNetworkInterfaceAttribute",
            "FelixConfiguration awsSrcDstCheck: Disable turns the check off, which the nodes' role must allow",
            partial(_without_iam, network))
    yield from _filter_candidates(topology, run)
    entries = sum(route.via == "node" for vpc in topology.entities.vpcs.values()
                  for table in vpc.tables.values() for route in table.routes)
    if entries:
        yield _Candidate(
            f"{entries:,} route table entr{'y' if entries == 1 else 'ies'} to nodes",
            "the cloud's router learns nothing of pods by itself", partial(edits.without_node_routes, topology))
    if any(pool.nat_outgoing for pool in topology.resources.pools):
        yield _Candidate(
            "natOutgoing on the pool", "nobody outside the cluster has a route back to a pod's address",
            partial(edits.pools(nat_outgoing=False), topology))


def _filter_candidates(topology: Topology, run: Run) -> Iterator[_Candidate]:
    if not any(node.groups for node in topology.entities.nodes):
        return
    present = {outcome.encap for outcome, _ in run.tally}
    protocols = {1, 4, 6, 17, *run.protocols}
    for encap in sorted(present - {Encap.NONE}):
        wrapping = encapsulation(encap)
        yield _Candidate(
            f"{wrapping.requirement} in the security group", f"the cloud sees only the outer header of {wrapping.title}",
            partial(edits.without_protocol(wrapping.protocol, wrapping.port, protocols), topology))
    pod_prefixes = [pool.cidr for pool in topology.resources.pools]
    if Encap.NONE in present and pod_prefixes:
        yield _Candidate(
            "pod CIDR in the security group",
            "packets without an outer header show pod addresses; rules that list node addresses do not match them",
            partial(edits.without_addresses(pod_prefixes), topology))


def _without_iam(network: Network) -> Topology:
    scenario = network.scenario
    silent = replace(scenario.resources.felix, aws_src_dst_check="DoNothing")
    return build(replace(scenario, resources=replace(scenario.resources, felix=silent)))


def _compare(candidate: _Candidate, altered: Network, before: Run, after: Run) -> Need | None:
    """The need as measured, or None when no packet dies without it."""
    lost, example = 0, None
    for name, codes in before.codes.items():
        died = np.flatnonzero(successes(codes) & ~successes(after.codes[name]))
        lost += len(died)
        if len(died) and example is None:
            example = _example(altered, name, int(died[0]), int(after.codes[name][died[0]]))
    return Need(candidate.need, candidate.why, lost, example) if lost else None


def _example(network: Network, traffic: str, index: int, code: int) -> Example:
    ((sender, receiver),) = pairs_at(network, traffic, [index])
    outcome = outcome_of(code)
    return Example(sender, receiver, outcome.reason.name if outcome.reason else outcome.verdict.name.lower())


def pairs_at(network: Network, traffic: str, positions: Sequence[int]) -> list[tuple[str, str]]:
    """Names of sender and receiver of the packets at ascending positions of a traffic set."""
    names: list[tuple[str, str]] = []
    first = 0
    for wave in network.waves(network.traffic_sets(traffic)[0]):
        inside = [position - first for position in positions[len(names) :] if position < first + len(wave)]
        names += [pair_of(network, packet) for packet in wave[inside]]
        first += len(wave)
        if len(names) == len(positions):
            break
    return names


def pair_of(network: Network, packet: np.void) -> tuple[str, str]:
    """Names of sender and receiver of a packet; the address where nobody has it."""
    intent = network.intent
    receiver = intent.address_owners.get(int(packet["dst"]))
    name = intent.endpoint(receiver).name if receiver else format_address(int(packet["dst"]))
    return intent.endpoint(int(packet["ingress"])).name, name


def _structural(network: Network) -> Iterator[Need]:
    """BGP carries the routes of every pool that VXLAN does not."""
    pools = [pool for pool in network.topology.resources.pools if pool.vxlan_mode == "Never" and not pool.disabled]
    if pools and len(network.intent.routers) > 1 and network.topology.resources.bgp.node_to_node_mesh_enabled:
        yield Need("TCP 179 between nodes", "BGP; without it no node learns the others' pods (control plane)", None)
