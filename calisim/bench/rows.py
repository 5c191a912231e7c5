"""The rows of the table: for each what calisim does, which rivals do it too, and what they must agree on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..fib.lpm import Intervals
from ..vocabulary import DropReason, ResultFlag, Verdict
from . import workloads
from .digest import columns_of
from .machine import version, version_of
from .measure import Columns, Contender, Row
from .rivals import missing, vectors
from .rivals.cluster import CLAIMS, Cluster, cluster_of

if TYPE_CHECKING:
    from ..analysis.network import Network
    from ..fib.image import FibImage

Setting = dict[str, int]
FULL: Setting = {
    "nodes": 5000, "lookups": 1 << 22, "packets": 1 << 20, "flows": 100_000, "manyFlows": 1_000_000, "few": 20_000, "rounds": 5}
QUICK: Setting = {
    "nodes": 60, "lookups": 1 << 18, "packets": 1 << 17, "flows": 10_000, "manyFlows": 50_000, "few": 2_000, "rounds": 3}
"""How much of everything; ``few`` is what slow rivals get."""

OUTSIDE, LOST = 0.15, 0.06


@dataclass
class Bench:
    """One cluster and the rows that are measured on it; ``folder`` holds its scenario files."""

    setting: Setting
    folder: Path

    @cached_property
    def path(self) -> str:
        return workloads.write_scenario(self.folder, self.setting["nodes"])

    @cached_property
    def network(self) -> Network:
        return network_of(self.path)

    @cached_property
    def pods(self) -> workloads.Pods:
        return workloads.pods_of(self.network.intent)

    @cached_property
    def cluster(self) -> Cluster:
        return cluster_of(self.network.intent, self.pods)

    @cached_property
    def traffic(self) -> Traffic:
        return Traffic(self)

    @cached_property
    def absent(self) -> Mapping[str, str]:
        return missing(["numba", "pytricia", "py-radix", "scapy"])

    def skipped(self, *names: str) -> list[tuple[str, str]]:
        return [(name, self.absent[name]) for name in names if name in self.absent]

    @property
    def rounds(self) -> int:
        return self.setting["rounds"]


def network_of(path: str) -> Network:
    """As a user's program makes one."""
    from ..analysis.network import Network
    from ..scenario.load import load

    return Network(load(path))


class Forwarding:
    """calisim at work on packets: the engine over one state, as a program of its user's would drive it."""

    def __init__(self, bench: Bench, packets: np.ndarray, *, size: int = workloads.WAVE, threads: int = 1, fresh: bool = False):
        self.engine, self.waves, self.threads, self.fresh = bench.network.engine, workloads.waves(packets, size), threads, fresh
        self.state = self.engine.new_state()
        self.results: list[np.ndarray] = []
        self._links = self.state.links.copy()

    def reset(self) -> None:
        if self.fresh:
            self.state = self.engine.new_state()
        self._links = self.state.links.copy()
        self.results = []

    def work(self) -> None:
        self.results = [self.engine.forward(wave, self.state, threads=self.threads).results for wave in self.waves]
        self.counted = self.state.links          # who sends so much looks at the counters, and only then they are added up

    def output(self) -> Columns:
        """Every field of the results and of the connections, and the counters."""
        state = self.state
        counters = {name: getattr(state, name) for name in ("links", "drops", "verdicts", "hits")}
        return {
            **columns_of(np.concatenate(self.results)), **counters, **columns_of(state.connections(), "connection.")}

    def claimed(self, count: int, names: Sequence[str]) -> Columns:
        """What a rival of the first ``count`` packets should have; the counters are those of the last round."""
        results = np.concatenate(self.results)[:count]
        return {name: self.state.links - self._links if name == "links" else results[name] for name in names}


class RivalForwarding:
    """A rival's pipeline at the same work."""

    def __init__(self, pipeline: Any, packets: np.ndarray, size: int = workloads.WAVE, *, fresh: bool = False) -> None:
        self.pipeline, self.waves, self.fresh = pipeline, workloads.waves(packets, size), fresh
        self.made: list[Columns] = []
        self._links: np.ndarray | None = None

    def reset(self) -> None:
        if self.fresh:
            self.pipeline.forget()
        self._links = self.pipeline.links.copy() if hasattr(self.pipeline, "links") else None
        self.made = []

    def work(self) -> None:
        self.made = [self.pipeline.forward(wave) for wave in self.waves]

    def output(self) -> Columns:
        columns = {name: np.concatenate([one[name] for one in self.made]) for name in CLAIMS}
        return columns if self._links is None else {**columns, "links": self.pipeline.links - self._links}

    def contender(self, name: str, version: str, note: str = "") -> Contender:
        return Contender(name, version, sum(map(len, self.waves)), self.work, self.output, self.reset, note)


def own(forwarding: Any, count: int, note: str = "") -> Contender:
    return Contender("calisim", version(), count, forwarding.work, forwarding.output, forwarding.reset, note)


# -- route lookup -----------------------------------------------------------------------------------------------------------

class Lookup:
    """The longest match alone; the answer is the number of the prefix, whatever an implementation calls it inside."""

    def __init__(self, bench: Bench, *, zipf: bool) -> None:
        from .. import _fastpath

        self.prefixes = [advert.prefix for advert in bench.network.intent.adverts]
        self.intervals = Intervals(self.prefixes)
        self.addresses = workloads.destinations(bench.pods, bench.setting["lookups"], zipf=zipf)
        self.found = np.zeros(len(self.addresses), np.uint32)
        image = bench.network.image
        self._tables = _fastpath.Tables(**image.arrays, places=image.places, objects=image.objects)
        self._lookup = _fastpath.lookup

    def work(self) -> None:
        self._lookup(self._tables, self.addresses, self.found)

    def reset(self) -> None:
        self.found[:] = 0

    def prefix(self) -> np.ndarray:
        """A class never spans two prefixes, so one address of each tells which it belongs to."""
        classes, where, numbers = np.unique(self.found, return_index=True, return_inverse=True)
        named: np.ndarray = self.intervals.match(self.addresses[where])[numbers]
        return named

    def output(self) -> Columns:
        return {"prefix": self.prefix() + 1}

    def claimed(self, count: int, names: Sequence[str]) -> Columns:
        return {"prefix": self.prefix()[:count] + 1}

    def rival(
        self, name: str, version: str, match: Callable[[], Any], count: int, note: str = "", *, first: int = 0,
    ) -> Contender:
        """Gives prefix numbers from ``first`` on, one less for none."""
        found: list[Any] = []

        def work() -> None:
            found[:] = [match()]

        return Contender(
            name, version, count, work, lambda: {"prefix": np.asarray(found[0]).astype(np.int64) + 1 - first}, note=note)


def lookup_row(bench: Bench, *, zipf: bool) -> Row:
    from .rivals import tries

    lookup, few = Lookup(bench, zipf=zipf), bench.setting["few"]
    addresses, starts, matches = lookup.addresses, lookup.intervals.starts, lookup.intervals.matches
    numbered = [(prefix.network, prefix.length, number) for number, prefix in enumerate(lookup.prefixes)]
    rivals = [
        lookup.rival("numpy", np.__version__, lambda: vectors.lookup(starts, matches, addresses), len(addresses), "searchsorted"),
        lookup.rival("Python", "", tries.dictionary(numbered, addresses[:few]), few, "a dictionary for each prefix length")]
    if "numba" not in bench.absent:
        from .rivals.jit import Dir24, Multibit

        for kind, note in ((Dir24, "DIR-24-8"), (Multibit, "16-10-6")):
            table, found = kind(starts, matches + 1), np.zeros(len(addresses), np.uint32)
            rivals.append(lookup.rival(
                "numba", version_of("numba"), partial(table.lookup, addresses, found), len(addresses), note, first=1))
    if "pytricia" not in bench.absent:
        rivals.append(lookup.rival("pytricia", version_of("pytricia"), tries.pytricia(numbered, addresses[:few]), few))
    if "py-radix" not in bench.absent:
        rivals.append(lookup.rival("py-radix", version_of("py-radix"), tries.radix(numbered, addresses[:few]), few))
    shape = "Zipf" if zipf else "uniform"
    return Row(
        f"lookup-{shape.lower()}", f"route lookup alone, {shape}", "lookups", own(lookup, len(addresses)), rivals, lookup.claimed,
        bench.skipped("numba", "pytricia", "py-radix"), lambda: {"prefixes": len(numbered)}, 3 * bench.rounds)


# -- whole path -------------------------------------------------------------------------------------------------------------

def path_row(
    bench: Bench, name: str, title: str, packets: np.ndarray, *, with_numpy: bool = True, fresh: bool = False,
) -> Row:
    forwarding = Forwarding(bench, packets, fresh=fresh)
    rivals = []
    if with_numpy:
        rivals.append(RivalForwarding(vectors.Pipeline(bench.cluster), packets).contender("numpy", np.__version__))
    if "numba" not in bench.absent:
        from .rivals.jit import Pipeline

        rivals.append(
            RivalForwarding(Pipeline(bench.cluster), packets, fresh=fresh).contender("numba", version_of("numba")))
    return Row(
        name, title, "packets", own(forwarding, len(packets)), rivals, forwarding.claimed, bench.skipped("numba"),
        lambda: {"connections": len(forwarding.state.connections())}, bench.rounds)


def exhausted_row(bench: Bench) -> Row:
    """A node has no port left for a destination: each attempt costs Linux' whole search and is lost."""
    attempts = bench.setting["packets"] // 4
    packets = workloads.crowd(bench.network.intent, 3 * workloads.NAT_PORTS + attempts)
    filling, packets = np.split(packets, [3 * workloads.NAT_PORTS])
    forwarding, rivals = Forwarding(bench, packets), []
    forwarding.engine.forward(filling, forwarding.state)
    if "numba" not in bench.absent:
        from .rivals.jit import Pipeline

        rival = RivalForwarding(Pipeline(bench.cluster), packets)
        rival.pipeline.forward(filling)
        rivals.append(rival.contender("numba", version_of("numba")))
    return Row(
        "snat-exhausted", "SNAT ports exhausted", "attempts", own(forwarding, attempts), rivals, forwarding.claimed,
        bench.skipped("numba"), lambda: {
            "connections": len(forwarding.state.connections()),
            "lost": int(np.count_nonzero(np.concatenate(forwarding.results)["reason"] == DropReason.SNAT_PORTS_EXHAUSTED))},
        bench.rounds)


class Traffic:
    """The packets of the rows about whole paths, each made when it is first asked for."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._setting = bench, bench.setting

    @cached_property
    def pods(self) -> np.ndarray:
        return workloads.flows(self._bench.pods, self._setting["flows"], lost=LOST)

    @cached_property
    def usual(self) -> np.ndarray:
        return workloads.flows(self._bench.pods, self._setting["flows"], outside=OUTSIDE, lost=LOST)

    @cached_property
    def masked(self) -> np.ndarray:
        return workloads.flows(self._bench.pods, self._setting["manyFlows"], outside=1.0)

    def of(self, known: np.ndarray, *, zipf: bool = False) -> np.ndarray:
        return workloads.packets_of(known, self._setting["packets"], zipf=zipf)


def shaped_row(bench: Bench, name: str, title: str, packets: np.ndarray, *, size: int = workloads.WAVE, threads: int = 1) -> Row:
    """Against calisim itself with one thread and waves of 64 k: all its fields must be the same (of connections and of drops,
    too, but for the wave in which a connection was made)."""
    forwarding, plain = Forwarding(bench, packets, size=size, threads=threads), Forwarding(bench, packets)

    def claimed(count: int, names: Sequence[str]) -> Columns:
        made = forwarding.output()
        return {name: made[name] for name in names}

    def output() -> Columns:
        made = dict(plain.output())
        if size != workloads.WAVE:                          # the order of legs differs, and with it who comes first
            return {name: made[name] for name in CLAIMS if name != "sport"}
        return made

    rival = Contender("one thread, 64 k", own(plain, 0).version, len(packets), plain.work, output, plain.reset)
    return Row(name, f"{title} (of: whole path, uniform)", "packets", own(forwarding, len(packets)), [rival], claimed,
               rounds=bench.rounds, cpu=threads == 1)


def run_row(bench: Bench, packets: np.ndarray) -> Row:
    """``Network.run``: connections begin anew, and everything is added up for a report."""
    network, made = bench.network, list[Any]()

    def work() -> None:
        made[:] = [network.run(packets)]

    def output() -> Columns:
        return {**columns_of(made[0].results), "codes": made[0].codes[""]}

    return Row("run", "Network.run, new flows, added up for a report", "packets",
               Contender("calisim", version(), len(packets), work, output), rounds=bench.rounds)


# -- bytes ------------------------------------------------------------------------------------------------------------------

def bytes_row(bench: Bench) -> Row:
    from .headers import Headers

    headers = Headers(bench.network, workloads.flows(bench.pods, bench.setting["packets"] // 4), bench.setting["few"] // 10)
    rivals = []
    if "scapy" not in bench.absent:
        rivals.append(Contender(
            "scapy", version_of("scapy"), headers.few, headers.prepare_scapy(), headers.scapy_output))
    return Row("bytes", "headers as bytes (first 64 of each crossing)", "packets", own(headers, headers.count), rivals,
               headers.claimed, bench.skipped("scapy"), rounds=bench.rounds)


# -- building and starting --------------------------------------------------------------------------------------------------

_FIRST_PACKET = """
import re, resource, sys, time
start = time.perf_counter()
import calisim
from calisim.bench.workloads import flows, pods_of
network = calisim.load(sys.argv[1]).build()
engine = network.engine
seconds = time.perf_counter() - start
packet = flows(pods_of(network.intent), 1)
start = time.perf_counter()
engine.forward(packet, engine.new_state())
seconds += time.perf_counter() - start
try:                   # getrusage tells a child of its parent's peak, too
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, peak * 1024, network.image.digest[:16], network.image.nbytes)
"""


def build_row(bench: Bench) -> Row:
    """In a process of its own, for the sake of its peak memory."""
    told: list[str] = []

    def work() -> None:
        told[:] = _python(["-c", _FIRST_PACKET, bench.path]).split()

    return Row(
        "build", "from YAML to the first packet", "builds", Contender(
            "calisim", version(), 1, work, lambda: {"image": np.array([int(told[2], 16)], np.uint64)}),
        facts=lambda: {"tableBytes": int(told[3]), "peakBytes": int(told[1])}, rounds=max(1, bench.rounds // 2), cpu=False,
        warm=False)


class Rebuild:
    """The cluster changes under a state that lives on, up to its first packet; ``change``: keywords of :meth:`Scenario.edited`.

    ``packets`` are those of the same pods after the change: their ids may be other ones. All but the first one show afterwards
    that their connections live on.
    """

    def __init__(self, bench: Bench, change: Mapping[str, str]) -> None:
        self.first, self.change = bench.network, change
        self.before = workloads.flows(bench.pods, 10_000)
        self.state: Any = None
        self.network: Network = self._changed()
        endpoints = self.network.image.endpoints
        order = np.argsort(endpoints["address"])
        self.packets = self.before.copy()
        self.packets["ingress"] = order[np.searchsorted(endpoints["address"], self.before["src"], sorter=order)]

    def _changed(self) -> Network:
        return self.first.changed(self.first.scenario.edited(**self.change))

    def reset(self) -> None:
        self.state = self.first.engine.new_state()
        self.first.engine.forward(self.before, self.state)

    def work(self) -> None:
        self.network = self._changed()
        self.first_result = self.network.engine.forward(self.packets[:1], self.state).results

    def output(self) -> Columns:
        others = self.network.engine.forward(self.packets[1:], self.state).results
        self.results = np.concatenate([self.first_result, others])
        return {**columns_of(self.results), "image": _number_of(self.network.image)}

    def kept(self) -> int:
        """Percent of the packets that arrive and did not have to open their connection again."""
        arrived = self.results["verdict"] == int(Verdict.DELIVERED)
        return int(100 * np.mean(arrived & (self.results["flags"] & int(ResultFlag.NEW) == 0)))


def _number_of(image: FibImage) -> np.ndarray:
    return np.array([int(image.digest[:15], 16)])


def rebuild_row(bench: Bench, name: str, title: str, path: str, **change: str) -> Row:
    """``path``: the file of the cluster as it is after the change."""
    rebuild = Rebuild(bench, change)
    images: list[FibImage] = []

    def full() -> None:
        network = network_of(path)
        network.engine.forward(rebuild.packets[:1], network.engine.new_state())
        images[:] = [network.image]

    return Row(
        f"rebuild-{name}", f"rebuilt after {title}, connections live on", "builds",
        Contender("calisim", version(), 1, rebuild.work, rebuild.output, rebuild.reset),
        [Contender("full build", version(), 1, full, lambda: {"image": _number_of(images[0])})],
        lambda count, names: {"image": _number_of(rebuild.network.image)},
        facts=lambda: {"connectionsKept": rebuild.kept()}, rounds=max(1, bench.rounds // 2), warm=False)


def start_row(bench: Bench, name: str, title: str, arguments: list[str]) -> Row:
    python = Contender("Python alone", ".".join(map(str, sys.version_info[:3])), 1, lambda: _python(["-c", "pass"]))
    started = Contender("calisim", version(), 1, lambda: _python(arguments))
    return Row(f"start-{name}", title, "starts", started, [python], rounds=2 * bench.rounds, cpu=False)


def _python(arguments: list[str]) -> str:
    """What such a process prints; it imports this very package."""
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def rows(bench: Bench) -> dict[str, Callable[[], Row]]:
    """All rows by id, in the order of the table; each is prepared when it is called."""
    traffic = bench.traffic
    return {
        "lookup-uniform": lambda: lookup_row(bench, zipf=False),
        "lookup-zipf": lambda: lookup_row(bench, zipf=True),
        "path-pods-uniform": lambda: path_row(
            bench, "path-pods-uniform", "whole path, nothing to SNAT, uniform", traffic.of(traffic.pods)),
        "path-pods-zipf": lambda: path_row(
            bench, "path-pods-zipf", "whole path, nothing to SNAT, Zipf", traffic.of(traffic.pods, zipf=True)),
        "path-uniform": lambda: path_row(
            bench, "path-uniform", "whole path, established, 15 % SNAT, uniform", traffic.of(traffic.usual)),
        "path-zipf": lambda: path_row(
            bench, "path-zipf", "whole path, established, 15 % SNAT, Zipf", traffic.of(traffic.usual, zipf=True)),
        "snat-established": lambda: path_row(
            bench, "snat-established", "100 % SNAT, established", traffic.masked, with_numpy=False),
        "snat-new": lambda: path_row(
            bench, "snat-new", "100 % SNAT, new", traffic.masked, with_numpy=False, fresh=True),
        "snat-exhausted": lambda: exhausted_row(bench),
        "threads-2": lambda: shaped_row(bench, "threads-2", "two threads", traffic.of(traffic.usual), threads=2),
        "waves-1000": lambda: shaped_row(bench, "waves-1000", "waves of 1,000", traffic.of(traffic.usual), size=1000),
        "run": lambda: run_row(bench, traffic.of(traffic.usual)),
        "bytes": lambda: bytes_row(bench),
        "build": lambda: build_row(bench),
        "rebuild-join": lambda: rebuild_row(
            bench, "join", "one node joins", workloads.write_scenario(bench.folder, bench.setting["nodes"] + 1),
            set=workloads.joining(bench.setting["nodes"])),
        "rebuild-pool": lambda: rebuild_row(
            bench, "pool", "one pool changes its mode", workloads.write_scenario(
                bench.folder, bench.setting["nodes"], mode="Always"), apply=workloads.write_pool(bench.folder, "Always")),
        "start-import": lambda: start_row(bench, "import", "import calisim", ["-c", "import calisim"]),
        "start-help": lambda: start_row(bench, "help", "calisim --help", ["-m", "calisim", "--help"]),
    }


ROWS = (
    "lookup-uniform", "lookup-zipf", "path-pods-uniform", "path-pods-zipf", "path-uniform", "path-zipf", "snat-established",
    "snat-new", "snat-exhausted", "threads-2", "waves-1000", "run", "bytes", "build", "rebuild-join", "rebuild-pool",
    "start-import", "start-help")
"""Ids, in the order of the table."""
