"""What a variant needs of the cloud, and how many of this traffic's packets die where it is forgotten.

Nothing here is looked up in a table of good advice: for each candidate the one thing is taken away, the
control plane decides again and the same packets are sent again. A need is reported when packets die without it
(or when it is structural: BGP's own port, which this traffic does not use but all routes come from).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..model.topology import Topology, build
from ..quantities import format_address, plural
from ..vocabulary import DropReason, Encap, Verdict
from ..vocabulary.encaps import encapsulation
from . import edits
from .network import Network, Progress
from .run import Run, is_reply, outcome_of, reply_name, successes


@dataclass(frozen=True, slots=True)
class Example:
    """One packet that dies: who sent it to whom, and why it died."""

    sender: str
    receiver: str
    reason: str


@dataclass(frozen=True, slots=True)
class Need:
    """One requirement. ``lost`` is None where it is structural and no packet count is possible; ``met`` is False where
    the scenario itself has forgotten it, whole or in part, and ``lost`` die already. ``answers``: every request arrives
    without it, and ``lost`` and ``example`` are about the answers to them.
    """

    need: str
    why: str
    lost: int | None
    example: Example | None = None
    met: bool = True
    note: str = ""
    answers: bool = False

    @property
    def victims(self) -> str:
        """``96 packets`` or ``96 answers``."""
        return plural(self.lost or 0, "answer" if self.answers else "packet")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Something that may be needed. ``without`` are ways of forgetting it: the first that costs packets counts.

    ``supply`` puts it in place where the scenario lacks it, tried when packets died for one of the ``reasons``.
    """

    need: str
    why: str
    without: tuple[edits.Edit, ...]
    supply: edits.Edit | None = None
    reasons: frozenset[DropReason] = frozenset()
    note: str = ""                        # said where fewer packets die than the need is for
    touched: int = 0                      # packets that the need is for
    answers: bool = False                 # count the answers where all requests arrive without it


def needs(network: Network, run: Run, progress: Progress | None = None) -> tuple[Need, ...]:
    """The needs of a network whose packets were sent in ``run`` (all traffic sets of the scenario)."""
    found = []
    for candidate in _candidates(network, run):
        say = progress and partial(_relay, progress, f"without {candidate.need}")
        need = _measure(candidate, network, run, say)
        if need is None and candidate.answers:
            need = _measure(candidate, network, network.run(replies=True, keep=False, progress=say), say, replies=True)
        if need is not None:
            found.append(need)
    return (*found, *_structural(network))


def _measure(
    candidate: _Candidate, network: Network, run: Run, progress: Progress | None, *, replies: bool = False,
) -> Need | None:
    """The same packets with the thing in place and without it; None where nobody misses it. ``replies``: answers, too."""
    compared = _compare_answers if replies else _compare
    if candidate.supply is not None and candidate.reasons & run.tally.lost().keys():
        helped = network.altered(candidate.supply(network.topology))
        again = helped.run(keep=False, replies=replies, progress=progress)
        if again.tally.success > run.tally.success:
            return compared(candidate, network, again, run, met=False)
    for without in candidate.without:
        altered = network.altered(without(network.topology))
        after = altered.run(keep=False, replies=replies, progress=progress)
        need = compared(candidate, altered, run, after, met=True)
        if need is not None:
            return need
    return None


def _relay(progress: Progress, title: str, name: str, count: int) -> None:
    progress(f"{title}: {name}", count)


def _candidates(network: Network, run: Run) -> Iterator[_Candidate]:
    topology = network.topology
    if topology.provider.source_dest_check:
        on = sum(node.source_dest_check for node in topology.entities.nodes)
        yield _Candidate(
            "source/destination check off",
            f"while it is on, an instance may only send and receive its own addresses; here it is on for "
            f"{on:,} of {plural(len(topology.entities.nodes), 'node')}",
            (edits.source_dest_check(True),), edits.source_dest_check(False),
            frozenset({DropReason.SOURCE_CHECK, DropReason.DEST_CHECK}))
        if topology.resources.felix.aws_src_dst_check == "Disable":
            yield _Candidate(
                "IAM permission ec2:ModifyNetworkInterfaceAttribute",
                "FelixConfiguration awsSrcDstCheck: Disable turns the check off, which the nodes' role must allow",
                (partial(_without_iam, network),))
    yield from _filter_candidates(topology, run)
    entries = sum(route.via == "node" for vpc in topology.entities.vpcs.values()
                  for table in vpc.tables.values() for route in table.routes)
    if entries:
        yield _Candidate(
            f"{entries:,} route table entr{'y' if entries == 1 else 'ies'} to nodes",
            "the cloud's router learns nothing of pods by itself", (edits.without_node_routes,))
    if topology.resources.pools:
        yield _Candidate(
            "natOutgoing on the pool", "nobody outside the cluster has a route back to a pod's address",
            (edits.pools(nat_outgoing=False),), edits.pools(nat_outgoing=True),
            frozenset({DropReason.IGW_NO_PUBLIC_ADDRESS, DropReason.RPF, DropReason.SOURCE_CHECK, DropReason.FABRIC_NO_ROUTE}),
            answers=any(outcome.scope in ("external", "node") for outcome, _ in run.tally))      # else it translates nothing


def _filter_candidates(topology: Topology, run: Run) -> Iterator[_Candidate]:
    if not any(node.groups for node in topology.entities.nodes):
        return
    present = {outcome.encap for outcome, _ in run.tally}
    protocols = {1, 4, 6, 17, *run.protocols}
    refused = frozenset({DropReason.SG_INGRESS, DropReason.SG_EGRESS})
    for encap in sorted(present - {Encap.NONE}):
        wrapping = encapsulation(encap)
        # Missing inbound only, nothing may be lost: a group tracks IP-in-IP by address pair, so whoever has sent gets packets
        # in (and a wave's packets are in flight together). Then it is left out in both directions.
        yield _Candidate(
            f"{wrapping.requirement} in the security group", f"the cloud sees only the outer header of {wrapping.title}",
            tuple(edits.without_protocol(wrapping.protocol, wrapping.port, protocols, egress=out) for out in (False, True)),
            edits.open_groups(wrapping.protocol, wrapping.port), refused,
            "later ones pass, for a group lets in what comes from where its node has sent to",
            run.tally.total(lambda outcome, encap=encap: outcome.encap == encap).packets)  # type: ignore[misc]
    pod_prefixes = [pool.cidr for pool in topology.resources.pools]
    if Encap.NONE in present and pod_prefixes:
        yield _Candidate(
            "pod CIDR in the security group",
            "packets without an outer header show pod addresses; rules that list node addresses do not match them",
            (edits.without_addresses(pod_prefixes),), edits.open_groups(None, 0, pod_prefixes), refused)


def _without_iam(network: Network, _: Topology) -> Topology:
    """The nodes as they are when Felix may not touch their flags."""
    scenario = network.scenario
    silent = replace(scenario.resources.felix, aws_src_dst_check="DoNothing")
    return build(replace(scenario, resources=replace(scenario.resources, felix=silent)))


def _compare(candidate: _Candidate, altered: Network, before: Run, after: Run, *, met: bool) -> Need | None:
    """The need as measured, or None when no packet dies without it."""
    lost, example = 0, None
    for name, codes in before.codes.items():
        died = np.flatnonzero(successes(codes) & ~successes(after.codes[name]))
        lost += len(died)
        if len(died) and example is None:
            example = _example(altered, name, int(died[0]), int(after.codes[name][died[0]]))
    note = candidate.note if lost < candidate.touched else ""
    return Need(candidate.need, candidate.why, lost, example, met, note) if lost else None


def _compare_answers(candidate: _Candidate, altered: Network, before: Run, after: Run, *, met: bool) -> Need | None:
    """As :func:`_compare`, for requests that arrive either way and whose answers do not."""
    lost, example = 0, None
    for name in filter(lambda name: not is_reply(name), before.codes):
        answers = _answers(after, name)
        died = np.flatnonzero(successes(_answers(before, name)) & (answers != 0) & ~successes(answers))
        lost += len(died)
        if len(died) and example is None:
            example = _example(altered, name, int(died[0]), int(answers[died[0]]))
    note = "the requests arrive, it is the answers that die"
    return Need(candidate.need, candidate.why, lost, example, met, note, answers=True) if lost else None


def _answers(run: Run, traffic: str) -> np.ndarray:
    """For every packet of a traffic set the outcome code of its answer; 0 where there was none (no packet's fate is 0)."""
    asked = run.codes[traffic]
    codes = np.zeros_like(asked)
    codes[(asked >> 3 & 7) == Verdict.DELIVERED] = run.codes.get(reply_name(traffic), ())
    return codes


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
        yield Need("TCP 179 between nodes", "control plane: BGP brings the routes to pods of other nodes", None)
