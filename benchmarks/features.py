"""Where the time goes: what a packet costs with one feature after the other left out.

    python -m benchmarks.features            # a table: instructions (with valgrind) and nanoseconds per packet

Each kind of traffic is sent four times: the first packets of flows open connections, the second ones walk through every stage
and are followed by the flow cache, the third ones take its short cut step by step, the fourth ones are trusted with it.
Nanoseconds are the best of some rounds in which all kinds
take turns: on a busy machine only the instructions tell. Counters cannot be left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.instructions import counted, counter, lacking
from calisim.bench import rows, workloads
from calisim.bench.machine import machine
from calisim.datapath.fast import FastEngine
from calisim.fib.image import FibImage

NODES, FLOWS, COUNTED, ROUNDS = 60, 16_000, 3000, 9
AGES = ("first", "second", "third", "fourth")
WHOLE, NO_POLICIES, NO_GROUPS, NO_NAT = "whole", "no-policies", "no-groups", "no-nat"
KINDS: dict[str, dict[str, Any]] = {          # network, packets, how they are sent
    "to another subnet: everything": {"of": WHOLE, "which": "far"},
    "… without policies": {"of": NO_POLICIES, "which": "far"},
    "… without security groups": {"of": NO_GROUPS, "which": "far"},
    "… without tunnel and cloud router (one subnet)": {"of": WHOLE, "which": "near"},
    "… without fabric and second leg (one node)": {"of": WHOLE, "which": "same"},
    "… lost by its TTL at the first node": {"of": WHOLE, "which": "dying"},
    "… in waves of 1,000": {"of": WHOLE, "which": "far", "size": 1000},
    "… in waves of 100": {"of": WHOLE, "which": "far", "size": 100},
    "… with events": {"of": WHOLE, "which": "far", "events": True},
    "to a host outside: SNAT": {"of": WHOLE, "which": "outside"},
    "… without SNAT (lost at the gateway)": {"of": NO_NAT, "which": "outside"},
}
Call = Callable[[], Any]


def prepare(folder: Path) -> None:
    """Tables and packets as files."""
    changes: dict[str, Callable[[str], str]] = {
        WHOLE: str, NO_POLICIES: str, NO_GROUPS: str, NO_NAT: lambda text: text.replace(", natOutgoing: true", "")}
    for name, change in changes.items():
        path = folder / f"{name}.yaml"
        path.write_text(change(workloads.scenario_text(NODES, policies=0 if name == NO_POLICIES else workloads.POLICIES)))
        network = rows.network_of(str(path))
        routers = network.image.routers.copy()
        if name == NO_GROUPS:                              # which no scenario of AWS can be without
            routers["groups"] = 0
        replace(network.image, routers=routers).save(folder / f"{name}.npz")
    intent, pods = network.intent, workloads.pods_of(network.intent)
    node = np.array([0, *(end.router for end in intent.endpoints)])
    subnet = np.array([0, *(router.subnet for router in intent.routers)])
    ids = {end.address: end.id for end in intent.endpoints}
    packets = workloads.flows(pods, 80 * FLOWS)
    one, other = node[packets["ingress"]], node[[ids[address] for address in packets["dst"].tolist()]]
    far = packets[subnet[one] != subnet[other]][:FLOWS]
    dying = far.copy()
    dying["ttl"] = 1
    np.savez(
        folder / "packets.npz", far=far, near=packets[(one != other) & (subnet[one] == subnet[other])][:FLOWS],
        same=packets[one == other][:FLOWS], dying=dying, outside=workloads.flows(pods, FLOWS, outside=1.0))


def calls(folder: Path, most: int) -> dict[str, Callable[[], list[Call]]]:
    """By kind: what makes a new state and gives what is done to it, in the order of AGES."""
    packets = np.load(folder / "packets.npz")
    engines = {name: FastEngine(FibImage.load(folder / f"{name}.npz")) for name in (WHOLE, NO_POLICIES, NO_GROUPS, NO_NAT)}

    def kind(of: str, which: str, size: int = workloads.WAVE, *, events: bool = False) -> list[Call]:
        engine = engines[of]
        state, waves = engine.new_state(), workloads.waves(packets[which][:most], size)
        return [lambda: [engine.forward(wave, state, events=events) for wave in waves]] * len(AGES)

    return {name: partial(kind, **fields) for name, fields in KINDS.items()}


def nanoseconds(folder: Path) -> dict[str, list[float]]:
    best = {name: [float("inf")] * len(AGES) for name in KINDS}
    made = calls(folder, FLOWS)
    for _ in range(ROUNDS):
        for name, make in made.items():
            for age, call in enumerate(make()):
                begin = time.process_time_ns()
                call()
                best[name][age] = min(best[name][age], (time.process_time_ns() - begin) / FLOWS)
    return best


def work(folder: Path) -> dict[str, int]:
    """Runs under callgrind."""
    under, units = counter(folder), {}
    for number, make in enumerate(calls(folder, COUNTED).values()):
        for age, call in enumerate(make()):
            under(f"{number}-{age}", call)
            units[f"{number}-{age}"] = COUNTED
    return units


def main() -> None:
    if "--work" in sys.argv:
        print(json.dumps(work(Path(sys.argv[-1]))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        instructions = {} if lacking() else counted(folder, __file__)
        best = nanoseconds(folder)
    print(f"{machine()}\n")
    print(f"| {NODES} nodes: instructions (ns) of a packet | {' | '.join(AGES)} |\n|---|{'---|' * len(AGES)}")
    for number, kind in enumerate(KINDS):
        cells = [f"{instructions.get(f'{number}-{age}', 0):,.0f} ({best[kind][age]:,.0f})" for age in range(len(AGES))]
        print(f"| {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
