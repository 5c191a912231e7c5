"""DPDK: rte_lpm and rte_fib (DIR-24-8) on calisim's prefixes and addresses, bulks of 64.

    python -m benchmarks.peers.dpdk [NODES]     # needs libdpdk-dev; skipped with a word where it is not
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from calisim.bench.digest import digest
from calisim.bench.measure import Contender, Row, measure
from calisim.bench.rows import FULL, Bench, Lookup

ROUNDS = 9


def lacking() -> str:
    """What it needs and is not there; empty: nothing."""
    if not shutil.which("pkg-config") or subprocess.run(
            ["pkg-config", "--exists", "libdpdk"], capture_output=True, check=False).returncode:
        return "DPDK is not installed (apt-get install libdpdk-dev pkg-config)"
    return "" if shutil.which("cc") else "there is no C compiler"


def compare(nodes: int, folder: Path) -> list[tuple[str, float, float, float, str]]:
    """Name, least, median and most nanoseconds per lookup, digest of the answers; calisim first."""
    bench = Bench({**FULL, "nodes": nodes}, folder)
    found = []
    for zipf in (False, True):
        shape, lookup = "Zipf" if zipf else "uniform", Lookup(bench, zipf=zipf)
        row = Row("", "", "lookups", Contender("calisim", "", len(lookup.addresses), lookup.work), rounds=ROUNDS)
        spread = measure(row)[0].nanoseconds()
        found.append((f"calisim, {shape}", *spread.values(), digest({"prefix": lookup.prefix() + 1})))
        found += [(f"{name}, {shape}", *rest) for name, *rest in _dpdk(lookup, folder)]
    return found


def _dpdk(lookup: Lookup, folder: Path) -> list[tuple[str, float, float, float, str]]:
    program, count = folder / "dpdk", len(lookup.addresses)
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libdpdk"], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["cc", "-O3", "-march=native", "-o", program, Path(__file__).with_suffix(".c"), *flags], check=True)
    rules = [(prefix.network, prefix.length, number + 1) for number, prefix in reversed(list(enumerate(lookup.prefixes)))]
    np.array(rules, np.uint32).tofile(folder / "prefixes")
    lookup.addresses.tofile(folder / "addresses")
    done = subprocess.run(
        [program, "--no-huge", "--no-pci", "--no-telemetry", "-m", "1024", "-l", "0", "--log-level", "1",
         "--force-max-simd-bitwidth=512", "--", folder / "prefixes", folder / "addresses", folder / "out", str(ROUNDS)],
        capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"DPDK: {done.stderr.strip()}")
    answers = np.fromfile(folder / "out", np.uint32).reshape(2, count)
    made = []
    for line, answer in zip(done.stdout.splitlines()[-2:], answers, strict=True):
        name, *rounds = line.split()
        times = [float(one) for one in rounds]
        made.append((name, min(times), median(times), max(times), digest({"prefix": answer})))
    return made


def main() -> None:
    if missing := lacking():
        print(f"skipped: {missing}")
        return
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else FULL["nodes"]
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'':18} {'M lookups/s':>12} {'ns: best':>9} {'median':>7} {'worst':>7}  digest")
        for name, least, middle, most, told in compare(nodes, Path(folder)):
            print(f"{name:18} {1e3 / middle:12,.0f} {least:9.2f} {middle:7.2f} {most:7.2f}  {told}")


if __name__ == "__main__":
    main()
