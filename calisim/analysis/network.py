"""A Network: one scenario under one variant, from the written words to the engine, each floor built when first asked for.

This is the Python door of calisim: ``calisim.load("x.yaml").build("overlay-ipip").run()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import UsageError
from ..parts import Parts
from ..quantities import parse_duration, plural
from ..scenario.scenario import Scenario

if TYPE_CHECKING:
    import networkx
    import numpy as np

    from ..control.intent import Intent, Route
    from ..datapath.engine import Engine
    from ..datapath.stacks import Stacks
    from ..fib.image import FibImage
    from ..model.topology import Topology
    from ..scenario.schema import TrafficSet
    from ..traffic.flows import Flows
    from ..traffic.replay import Replay
    from .explain import Trace
    from .run import Run
    from .sending import Watch, Wave

Progress = Callable[[str, int], None]
"""Called with what is being done and how many packets are through so far."""

DEFAULT_WAIT = 1_000_000        # nanoseconds between two traffic sets


class Network:
    """A scenario under a variant, ready to carry packets. ``parts`` may be those of networks that were built before.

    ``topology`` what exists, ``intent`` what the control plane decided, ``image`` the compiled tables,
    ``graph`` the networkx graph, ``labels`` of the pods by endpoint id, ``scopes`` who is near whom.
    """

    def __init__(
        self, scenario: Scenario, variant: str = "as-is", *, step: int = 0, engine: str = "fast", parts: Parts | None = None,
    ) -> None:
        self.variant, self.step, self.engine_name = variant, step, engine
        self.scenario = (scenario.after_steps(step) if step else scenario).with_variant(variant)
        self._parts = parts or Parts()

    def __repr__(self) -> str:
        return f"<Network {self.scenario.name}, variant {self.variant}>"

    @cached_property
    def _plans(self) -> dict[str, tuple[TrafficSet, Flows]]:
        """Who sends what to whom, by the name of the scenario's sets."""
        return {}

    @cached_property
    def topology(self) -> Topology:
        from ..model.topology import build

        return build(self.scenario, self._parts)

    @cached_property
    def intent(self) -> Intent:
        from ..control.resolve import resolve

        return resolve(self.topology, self._parts)

    @cached_property
    def image(self) -> FibImage:
        from ..fib.compiler import compile

        return compile(self.intent, self._parts)

    @cached_property
    def engine(self) -> Engine:
        from ..datapath.engine import engine

        return engine(self.engine_name, self.intent, self.image if self.engine_name == "fast" else None)

    @property
    def graph(self) -> networkx.Graph:
        return self.topology.graph

    @cached_property
    def labels(self) -> Mapping[int, Mapping[str, str]]:
        """Labels of the pods as Calico's selectors see them, by endpoint id; equal pods share one mapping."""
        entities = self.topology.entities
        ids = self.intent.endpoint_ids
        shared: dict[tuple[int, str], Mapping[str, str]] = {}
        labels: dict[int, Mapping[str, str]] = {}
        for pod in entities.pods:
            key = (id(pod.labels), pod.namespace)
            if key not in shared:
                shared[key] = _pod_labels(pod.labels, pod.namespace, entities.namespaces.get(pod.namespace, {}))
            labels[ids[pod.id]] = shared[key]
        return labels

    @cached_property
    def stacks(self) -> Stacks:
        """The stacks of endpoints that answer by themselves."""
        from ..datapath.stacks import Stacks

        return Stacks(self.intent)

    @cached_property
    def scopes(self) -> Any:
        from .scopes import Scopes

        return Scopes(self.intent)

    def release(self) -> None:
        """Forget the tables of the engine (they are made again when they are needed): many networks fit the memory."""
        for name in ("engine", "image"):
            self.__dict__.pop(name, None)

    def changed(self, scenario: Scenario) -> Network:
        """The network of this one's scenario with a change (``network.scenario.edited(…)``: variant and steps are in it already).
        What is made of the same as here is taken over, and a state of this network's engine goes on with the other's:
        connections live on."""
        network = Network(scenario, scenario.variant, engine=self.engine_name, parts=self._parts.branch())
        network.step = self.step
        return network

    def altered(self, topology: Topology) -> Network:
        """The same network with another topology: what if one thing were different?"""
        network = Network.__new__(Network)
        network.variant, network.step, network.engine_name = self.variant, self.step, self.engine_name
        network.scenario, network._parts = self.scenario, self._parts.branch()
        network.__dict__["topology"] = topology
        return network

    def routes(self, node: str) -> tuple[Route, ...]:
        """The main routing table of a node, as ``ip route`` shows it."""
        return self.intent.routes_of(self.router_id(node))

    def router_id(self, node: str) -> int:
        """The id of a node by name (with or without ``node/``)."""
        name = node.removeprefix("node/")
        for router in self.intent.routers:
            if router.name == name:
                return router.id
        raise UsageError(f"there is no node {name!r}{_did_you_mean(name, [router.name for router in self.intent.routers])}")

    def endpoint_id(self, text: str) -> int:
        """The id of the one endpoint that a text names: NAMESPACE/POD, node/NAME, host/NAME, an address or a bare name."""
        from ..traffic.endpoints import resolve_endpoints

        found = resolve_endpoints(text, self.intent, self.labels)
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(self.intent.endpoint(number).name for number in found[:4])
            raise UsageError(f"{text!r} names {plural(len(found), 'endpoint')} ({names} …); name one of them")
        raise UsageError(f"{text!r} selects nobody")

    def traffic_sets(self, name: str | None = None) -> Sequence[Any]:
        """All traffic sets of the scenario in order, or the one of that name."""
        sets = self.scenario.spec.traffic
        if name is None:
            return sets
        chosen = [set_ for set_ in sets if set_.name == name]
        if not chosen:
            raise UsageError(f"there is no traffic set {name!r}{_did_you_mean(name, [set_.name for set_ in sets])}")
        return chosen

    def waves(self, traffic_set: Any) -> Iterator[np.ndarray]:
        """The packets of a traffic set, wave by wave."""
        from ..traffic.flows import plan

        known = self._plans.get(traffic_set.name)
        if known is None or known[0] is not traffic_set:
            known = traffic_set, plan(traffic_set, self.intent, self.labels)
            if any(one is traffic_set for one in self.scenario.spec.traffic):
                self._plans[traffic_set.name] = known
        return known[1].waves()

    def run(
        self, packets: np.ndarray | str | Replay | None = None, *, threads: int = 1, events: bool = False, replies: bool = False,
        errors: bool = False, keep: bool = True, progress: Progress | None = None, watch: Watch | None = None,
    ) -> Run:
        """Send packets and tell what became of them.

        ``packets``: an array of :data:`calisim.PACKET` (one wave), the name of a traffic set, None for all the
        scenario's sets in order, or a capture's :meth:`replay`. Connections, ports and counters live on from wave to wave.
        ``replies`` sends an answer for every packet that arrived, as the wave after it (endpoints whose ``stack`` is ``answer``
        need no such word), ``errors`` the ICMP errors about those that did not. ``keep=False`` adds up without
        holding packets and results (and of a replay without each packet's fate). ``watch`` sees every wave as it comes out.
        """
        from ..traffic.replay import Replay
        from .sending import send

        sets: Sequence[Any]
        stream: Iterator[tuple[str, Wave]]
        codes = True
        if packets is None or isinstance(packets, str):
            sets = self.traffic_sets(packets)
            stream = _timed((set_.name, wait_of(set_), self.waves(set_)) for set_ in sets)
        elif isinstance(packets, Replay):
            stream, codes = ((packets.name, wave) for wave in packets.waves()), keep
        else:
            stream = iter([("", (packets, None))])
        return send(
            self, stream, threads=threads, events=events, errors=errors, replies=replies, keep=keep, codes=codes,
            asks=not isinstance(packets, Replay), progress=progress, watch=watch)

    def replay(self, stream: BinaryIO, name: str = "replay") -> Replay:
        """A capture file (pcap or pcapng) as packets of this network's endpoints, to be given to :meth:`run`."""
        from ..traffic.replay import Replay

        return Replay(stream, self.intent, name)

    def trace(
        self, a: str, b: str, port: int | None = None, protocol: str = "tcp", *, size: int = 1000, df: bool = True, ttl: int = 64,
    ) -> Trace:
        """The journey of one packet from ``a`` to ``b`` and of the answer to it, told stage by stage."""
        from .explain import Request, trace

        return trace(self, Request(a, b, protocol, port, size, df, ttl))


def build(scenario: Scenario, variant: str = "as-is", *, engine: str = "fast") -> Network:
    """The network of a scenario under a variant; ``Network(…, step=n)`` is the state after the story's first n steps."""
    return Network(scenario, variant, engine=engine)


# ``scenario.build("overlay-ipip")``: floor 1 must not know floor 6, so the method is given to it from here.
setattr(Scenario, "build", build)  # noqa: B010 – a plain assignment would be a type error


def wait_of(traffic_set: Any) -> int:
    """Nanoseconds between the set before and this one."""
    return DEFAULT_WAIT if traffic_set.wait is None else parse_duration(traffic_set.wait)


def _timed(sets: Any) -> Iterator[tuple[str, tuple[np.ndarray, None]]]:
    """Waves with their set's name; each set starts its wait after the last packet of the set before."""
    clock = 0
    for name, wait, waves in sets:
        start, last = clock + wait, clock + wait
        for wave in waves:
            wave["time"] += start
            if len(wave):
                last = max(last, int(wave["time"].max()))
            yield name, (wave, None)
        clock = last


def _pod_labels(labels: Mapping[str, str], namespace: str, namespace_labels: Mapping[str, str]) -> Mapping[str, str]:
    return {
        **{f"pcns.{key}": value for key, value in namespace_labels.items()}, **labels,
        "projectcalico.org/namespace": namespace, "projectcalico.org/orchestrator": "k8s",
    }


def _did_you_mean(wrong: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    if not names:
        return "; there is none at all"
    close = get_close_matches(wrong, names[:5000], 3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    shown = ", ".join(names[:6])
    return f"; there are {shown}{' …' if len(names) > 6 else ''}"
