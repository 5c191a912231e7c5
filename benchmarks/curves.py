"""Rates over nodes, flows, policies and wave size, as JSON; and as pictures where matplotlib is (pip install 'calisim[plots]').

    python -m benchmarks.curves curves.json [--quick]     # measure
    python -m benchmarks.curves curves.json --plot docs/images      # draw docs/images/performance.svg
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calisim.bench import rows, workloads
from calisim.bench.machine import commit, machine, now
from calisim.bench.measure import Row, measure

SIZES = {
    "nodes": [12, 100, 300, 1000, 5000], "flows": [1000, 10_000, 100_000, 1_000_000], "policies": [1, 10, 100, 1000],
    "wave": [100, 1000, 10_000, 65_536], "lookup": [12, 100, 300, 1000, 5000]}
QUICK = {name: sizes[:2] for name, sizes in SIZES.items()}
LABELS = {
    "nodes": ("nodes, 30 pods on each", "M packets/s"), "flows": ("flows, all established", "M packets/s"),
    "policies": ("policies, packets that open connections", "M packets/s"), "wave": ("packets in a wave", "M packets/s"),
    "lookup": ("nodes (each announces a block and a tunnel address)", "M lookups/s")}


def bench_of(folder: Path, nodes: int, policies: int = workloads.POLICIES) -> rows.Bench:
    bench = rows.Bench({**rows.FULL, "nodes": nodes}, folder)
    bench.__dict__["network"] = rows.network_of(workloads.write_scenario(folder, nodes, policies=policies))
    return bench


def path(bench: rows.Bench, *, flows: int = 100_000, size: int = workloads.WAVE, fresh: bool = False) -> Row:
    """15 % SNAT, 6 % lost; all flows are established but for ``fresh`` ones."""
    known = workloads.flows(bench.pods, flows, outside=rows.OUTSIDE, lost=rows.LOST)
    packets = known if fresh else workloads.packets_of(known, 1 << 19)
    forwarding = rows.Forwarding(bench, packets, size=size, fresh=fresh)
    for wave in [] if fresh else 3 * workloads.waves(known, workloads.WAVE):
        forwarding.engine.forward(wave, forwarding.state)
    return Row("", "", "packets", rows.own(forwarding, len(packets)), rounds=5)


def lookup(bench: rows.Bench) -> Row:
    work = rows.Lookup(bench, zipf=False)
    return Row("", "", "lookups", rows.own(work, len(work.addresses)), rounds=9)


def curves(sizes: dict[str, list[int]], nodes: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        made: dict[str, Callable[[int], Row]] = {
            "nodes": lambda size: path(bench_of(folder, size)), "lookup": lambda size: lookup(bench_of(folder, size)),
            "flows": lambda size: path(shared, flows=size), "wave": lambda size: path(shared, size=size),
            "policies": lambda size: path(bench_of(folder, nodes, size), fresh=True)}
        shared, found = bench_of(folder, nodes), {}
        for name, make in made.items():
            found[name] = []
            for size in sizes[name]:
                print(f"{name} {size:,} …", file=sys.stderr)
                found[name].append({"at": size, "nanoseconds": measure(make(size))[0].nanoseconds()})
    return {"date": now(), "commit": commit(), "machine": machine(), "nodes": nodes, "curves": found}


def plot(document: dict[str, Any], folder: Path) -> None:
    """All curves in one picture: the median, and the band from the best round to the worst."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "calisim"          # same figures, same bytes
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 3, figsize=(11, 6), layout="constrained")
    panels[1, 2].axis("off")
    for (name, points), axes in zip(document["curves"].items(), panels.flat, strict=False):
        at = [point["at"] for point in points]
        best, middle, worst = ([1e3 / point["nanoseconds"][key] for point in points] for key in ("min", "median", "max"))
        axes.fill_between(at, worst, best, alpha=0.25, linewidth=0)
        axes.plot(at, middle, marker="o")
        axes.set(xscale="log", ylim=(0, 1.08 * max(best)), xlabel=LABELS[name][0], ylabel=LABELS[name][1])
        axes.grid(alpha=0.3)
    cpu, nodes = document["machine"]["cpu"], document["nodes"]
    figure.suptitle(f"{cpu}, {document['date'][:10]}; {nodes:,} nodes where it is not said otherwise")
    figure.savefig(folder / "performance.svg", metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    target = Path(sys.argv[1])
    if "--plot" in sys.argv:
        plot(json.loads(target.read_text()), Path(sys.argv[-1]))
        return
    quick = "--quick" in sys.argv
    target.write_text(json.dumps(curves(QUICK if quick else SIZES, 60 if quick else 1000), indent=1) + "\n")


if __name__ == "__main__":
    main()
