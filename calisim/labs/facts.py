"""The facts that a lab may ask the simulator for, by name. Each takes a network and what it is asked about.

A fact is a word or a number, computed anew whenever it is asked for: no lab file holds one. Adding a fact is adding a function
that is ``known``; its keyword arguments are what ``about:`` may say.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..analysis.network import Network
from ..analysis.run import total
from ..errors import UsageError
from ..quantities import format_address, parse_address, plural
from ..report.iproute import destination
from ..scenario.schema import CountSpec
from ..vocabulary import AdjacencyKind, Device, EndpointKind, Verdict

if TYPE_CHECKING:
    from ..analysis.explain import Trace
    from ..analysis.run import Outcome, Run, Tally
    from ..control.intent import Route
    from .schema import Probe
    from .world import World

Fact = str | int
MOST_STEPS = 50                    # of a story whose every state is run
FACTS: dict[str, Callable[..., Fact]] = {}
_RUNS: WeakKeyDictionary[Network, Run] = WeakKeyDictionary()      # the whole traffic of a network that is asked more than once


def known(function: Callable[..., Fact]) -> Callable[..., Fact]:
    """A function whose name a lab may ask for."""
    FACTS[function.__name__] = function
    return function


def fact(world: World, probe: Probe) -> Fact:
    """What the simulator says."""
    function = FACTS.get(probe.fact)
    if function is None:
        raise UsageError(f"there is no fact {probe.fact!r}; there are {', '.join(FACTS)}")
    arguments = {"source" if key == "from" else key: value for key, value in probe.about.items()}
    if "world" in inspect.signature(function).parameters:
        arguments["world"] = world
    network = world.network(probe)
    try:
        return function(network, **arguments)
    except (TypeError, ValueError) as error:            # what a lab's author wrote behind about:
        raise UsageError(f"fact {probe.fact} about {probe.about}: {error}") from None


# One packet -----------------------------------------------------------------------------------------------------------------


def _trace(network: Network, source: str, to: str, port: int, protocol: str, size: int) -> Trace:
    return network.trace(source, to, port, protocol, size=size)


@known
def fate(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """delivered, dropped, exited, refused: what becomes of the request."""
    return _trace(network, source, to, port, protocol, size).request.verdict.name.lower()


@known
def exchange(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """delivered where request and answer arrive; else how the exchange ends."""
    return _trace(network, source, to, port, protocol, size).verdict.name.lower()


@known
def reason(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """The drop reason of the request, or none."""
    loss = _trace(network, source, to, port, protocol, size).request.loss
    return loss.reason.name if loss else "none"


@known
def fate_or_reason(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """The drop reason of the request; where it is not dropped, its fate."""
    journey = _trace(network, source, to, port, protocol, size).request
    return journey.loss.reason.name if journey.loss else journey.verdict.name.lower()


@known
def how(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """How the request crosses the wire: native, ipip, vxlan – or lost."""
    journey = _trace(network, source, to, port, protocol, size).request
    if not journey.verdict.success:
        return "lost"
    protocols = {header.protocol for step in journey.steps for header in step.headers if header.layer == "outer"}
    return "native" if not protocols else "ipip" if 4 in protocols else "vxlan"


@known
def lost_at(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """Where the request is dropped (a node, vpc/NAME …), or nowhere."""
    loss = _trace(network, source, to, port, protocol, size).request.loss
    return loss.where if loss else "nowhere"


@known
def wire_protocol(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """The IP protocol number of the header that whoever dropped the request looked at; 0 where it is not lost."""
    loss = _trace(network, source, to, port, protocol, size).request.loss
    return loss.header.protocol if loss else 0


@known
def arrives_at(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """The node (or host) that hands the request to its receiver, or nowhere."""
    journey = _trace(network, source, to, port, protocol, size).request
    return journey.steps[-1].where if journey.verdict is Verdict.DELIVERED else "nowhere"


@known
def ttl(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """The TTL with which the receiver gets the request; 0 where it does not arrive."""
    journey = _trace(network, source, to, port, protocol, size).request
    return journey.steps[-1].headers[-1].ttl if journey.verdict is Verdict.DELIVERED else 0


@known
def largest(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp") -> Fact:
    """The largest request with DF, in bytes, that arrives; 0 where not even the smallest does."""
    low, high = 0, 65536
    while high - low > 1:
        middle = (low + high) // 2
        passes = middle >= 40 and _trace(network, source, to, port, protocol, middle).request.verdict.success
        low, high = (middle, high) if passes or middle < 40 else (low, middle)
    return low if low >= 40 else 0


@known
def translated_port(network: Network, *, source: str, to: str, port: int = 80, protocol: str = "tcp", size: int = 1000) -> Fact:
    """The destination port of the request where it ends: behind a service, the port of the endpoint that was chosen."""
    journey = _trace(network, source, to, port, protocol, size).request
    assert journey.result is not None, "every journey has the RESULT of its packet"
    return int(journey.result["dport"])


# Routes ---------------------------------------------------------------------------------------------------------------------


def _best(network: Network, node: str, to: str) -> Route:
    try:
        address = parse_address(to)
    except ValueError:
        address = network.intent.endpoint(network.endpoint_id(to)).address
    matching = [one for one in network.routes(node) if address in one.prefix]
    if not matching:
        raise UsageError(f"{node} has no route to {to}")
    return max(matching, key=lambda one: (one.prefix.length, -one.metric))


@known
def route(network: Network, *, node: str, to: str) -> Fact:
    """The destination of the route that matches best on a node, as ``ip route`` prints it."""
    return destination(_best(network, node, to))


@known
def prefix_length(network: Network, *, node: str, to: str) -> Fact:
    """The length of the best match on a node: 32 for a single address, 0 for the default route."""
    return _best(network, node, to).prefix.length


@known
def next_hop(network: Network, *, node: str, to: str) -> Fact:
    """Where a node hands a packet to: an address, pod, link or nobody."""
    best = _best(network, node, to)
    kinds = {AdjacencyKind.LOCAL: "pod", AdjacencyKind.DROP: "nobody", AdjacencyKind.ATTACHED: "link"}
    return kinds.get(best.adjacency.kind) or format_address(best.adjacency.next_hop)


@known
def device(network: Network, *, node: str, to: str) -> Fact:
    """The kind of interface of the best route: veth, eth0, tunl0, vxlan.calico or none."""
    best = _best(network, node, to)
    return "veth" if best.adjacency.device is Device.VETH else best.interface or "none"


@known
def rerouted(network: Network, *, world: World) -> Fact:
    """Pods that some node reaches in another way (interface, next hop) than when the scenario was handed out; none."""
    before, now = _ways(Network(world.first)), _ways(network)
    return ", ".join(sorted({pod for node, pod in before if before[node, pod] != now.get((node, pod))})) or "none"


def _ways(network: Network) -> dict[tuple[str, str], tuple[Fact, Fact]]:
    pods = [one.name for one in network.intent.endpoints if one.kind is EndpointKind.POD]
    nodes = [one.name for one in network.intent.routers]
    return {
        (node, pod): (next_hop(network, node=node, to=pod), device(network, node=node, to=pod)) for node in nodes for pod in pods}


@known
def address(network: Network, *, of: str) -> Fact:
    """The address of an endpoint."""
    return format_address(network.intent.endpoint(network.endpoint_id(of)).address)


# Whole traffic --------------------------------------------------------------------------------------------------------------


@known
def packets(network: Network, **filters: Any) -> Fact:
    """How many packets of the scenario's traffic had that outcome (keys of a scenario's ``count:``)."""
    wanted = CountSpec.model_validate(filters)

    def agrees(outcome: Outcome) -> bool:
        return (
            wanted.fate in (None, outcome.verdict.name.lower()) and wanted.reason in (None, outcome.reason.name)
            and wanted.encap in (None, outcome.encap.name.lower()) and wanted.snat in (None, outcome.snat)
            and wanted.scope in (None, outcome.scope))

    return _tally(network, [wanted.traffic] if wanted.traffic else None).total(agrees).packets


@known
def arrived(network: Network, *, traffic: str) -> Fact:
    """all, some or nothing: what arrived of a traffic set, those before it sent first."""
    tally = _tally(network, [traffic])
    return "all" if tally.success == tally.sent else "some" if tally.success else "nothing"


@known
def overhead(network: Network, *, traffic: list[str] | None = None) -> Fact:
    """Bytes of outer headers that the traffic puts on the first node's wire."""
    return _tally(network, traffic).total().overhead


@known
def wire(network: Network, *, traffic: list[str] | None = None) -> Fact:
    """Bytes of the traffic on the first node's wire, outer headers included."""
    return _tally(network, traffic).total().wire


def _tally(network: Network, traffic: list[str] | None) -> Tally:
    """Of some traffic sets or all; all are sent, because what went before leaves its traces in stateful filters."""
    run = _RUNS.get(network) or _RUNS.setdefault(network, network.run(keep=False))
    return run.tally if traffic is None else total(run.tallies[network.traffic_sets(name)[0].name] for name in traffic)


@known
def most_lost_of(network: Network) -> Fact:
    """The traffic set that loses most packets, or none."""
    _tally(network, None)
    tallies = _RUNS[network].tallies
    worst = max(tallies, key=lambda name: tallies[name].sent - tallies[name].success)
    return worst if tallies[worst].sent > tallies[worst].success else "none"


@known
def most_lost_at(network: Network, *, traffic: str | None = None) -> Fact:
    """The place where most packets of the traffic are lost."""
    results = network.run(traffic).results
    lost = results[results["verdict"] == Verdict.DROPPED]
    if not len(lost):
        return "nowhere"
    place, _ = Counter(lost["where"].tolist()).most_common(1)[0]
    return network.intent.places[place - 1]


# The cloud and the story ----------------------------------------------------------------------------------------------------


@known
def rules(network: Network, *, group: str) -> Fact:
    """How many ingress rules a security group has."""
    return sum(
        len(one.ingress) for vpc in network.topology.entities.vpcs.values() for one in vpc.groups.values() if one.name == group)


@known
def open_rules(network: Network) -> Fact:
    """How many ingress rules of all security groups admit the whole world."""
    groups = [one for vpc in network.topology.entities.vpcs.values() for one in vpc.groups.values()]
    return sum(rule.prefix is not None and rule.prefix.length == 0 for one in groups for rule in one.ingress)


@known
def wide_rules(network: Network) -> Fact:
    """How many ingress rules of all security groups admit every protocol."""
    groups = [one for vpc in network.topology.entities.vpcs.values() for one in vpc.groups.values()]
    return sum(rule.protocol is None for one in groups for rule in one.ingress)


@known
def rules_for(network: Network, *, protocol: int) -> Fact:
    """How many ingress rules of all security groups name that protocol number."""
    groups = [one for vpc in network.topology.entities.vpcs.values() for one in vpc.groups.values()]
    return sum(rule.protocol == protocol for one in groups for rule in one.ingress)


@known
def ipip_mode(network: Network) -> Fact:
    """Always, CrossSubnet or Never: the mode of the first pool."""
    return network.intent.pools[0].ipip


@known
def nat_outgoing(network: Network) -> Fact:
    """yes or no: whether the first pool has it."""
    return "yes" if network.intent.pools[0].nat_outgoing else "no"


@known
def checks_on(network: Network) -> Fact:
    """On how many nodes the source/destination check is on."""
    return sum(node.source_dest_check for node in network.topology.entities.nodes)


@known
def steps(network: Network) -> Fact:
    """How many steps the scenario's story has."""
    return len(network.scenario.spec.steps)


@known
def lost_in_story(network: Network, *, traffic: str) -> Fact:
    """Packets and answers of a traffic set lost over the scenario's story: before its first step, and after each of them."""
    scenario = network.scenario
    if len(scenario.spec.steps) > MOST_STEPS:
        told = plural(len(scenario.spec.steps), "step")
        raise UsageError(f"{told} under steps: are more than the {MOST_STEPS} that are looked at here")
    states = (Network(scenario, step=number) for number in range(len(scenario.spec.steps) + 1))
    tallies = (state.run(traffic, replies=True, keep=False).tally for state in states)
    return sum(tally.sent - tally.success for tally in tallies)
