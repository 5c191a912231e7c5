"""Instructions per packet, counted by Valgrind's callgrind: what it costs, however busy the machine is.

    python benchmarks/instructions.py            # count, compare with instructions.json; exit 1 where it takes more
    python benchmarks/instructions.py --write    # record what it takes now

Counts are a compiler's: they are compared where the recorded one is at work. Each wave is sent four times: the first packets of
flows open connections (new), the second ones walk through every stage and are followed by the flow cache (walked), the third ones
take its short cut step by step (asked), the fourth ones are trusted with it (established).
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
RECORD = HERE / "instructions.json"
TOLERANCE = 0.1                     # of the recorded count
NODES, PACKETS, LOOKUPS = 30, 3000, 65536
AGES = ("new", "walked", "asked", "established")
SWITCH = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(const char* name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""


def compiler() -> str:
    return subprocess.run(["cc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()


def lacking() -> str:
    """What the count needs and this machine has not; empty: nothing."""
    if not shutil.which("valgrind"):
        return "valgrind is not installed (apt-get install valgrind)"
    if not shutil.which("cc"):
        return "there is no C compiler to make callgrind's switch with"
    return ""


def count() -> dict[str, float]:
    """Instructions per packet (or lookup, or crossing) of each piece of work."""
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder))
        return counted(Path(folder), __file__)


def counted(folder: Path, script: str) -> dict[str, float]:
    """Runs ``script --work folder`` under callgrind; it uses :func:`counter` and prints the units of each piece of work."""
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", f"{folder}/switch.so", "-x", "c", "-"], input=SWITCH, text=True, check=True)
    environment = {
        **os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": "65536"}       # tables come from the kernel, zeroed: what was freed before does not matter
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out",
         sys.executable, script, "--work", str(folder)], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    units = json.loads(done.stdout)
    return {name: round(total / units[name], 1) for name, total in _totals(folder).items()}


def counter(folder: Path) -> Callable[..., None]:
    """In the counted process: calls with a name, and counts what happens in them."""
    switch = ctypes.CDLL(f"{folder}/switch.so")

    def under(name: str, call: Callable[..., object], *arguments: object) -> None:
        switch.begin()
        call(*arguments)
        switch.end(name.encode())

    return under


def _totals(folder: Path) -> dict[str, int]:
    """Instructions between begin and end, by the name given at the end."""
    found = {}
    for path in sorted(folder.glob("out.*")):
        text = path.read_text(errors="replace")
        name = re.search(r"^desc: Trigger: Client Request: (\S+)", text, re.MULTILINE)
        total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
        if name and total:
            found[name[1]] = int(total[1])
    return found


def _prepare(folder: Path) -> None:
    """The tables and packets; so the counted process reads nothing but arrays."""
    from calisim.bench import rows, workloads

    bench = rows.Bench({**rows.QUICK, "nodes": NODES}, folder)
    pods = bench.pods
    bench.network.image.save(folder / "image.npz")
    np.savez(
        folder / "packets.npz", pods=workloads.flows(pods, PACKETS, lost=0.06), snat=workloads.flows(pods, PACKETS, outside=1.0),
        usual=workloads.flows(pods, PACKETS, outside=0.15, lost=0.06), addresses=workloads.destinations(pods, LOOKUPS))


def work(folder: Path) -> dict[str, int]:
    """Runs under callgrind; gives the units of each piece of work."""
    from calisim import _fastpath
    from calisim.datapath.deparse import Deparser, Tunnels
    from calisim.datapath.fast import FastEngine
    from calisim.fib.image import FibImage

    under = counter(folder)
    image, packets = FibImage.load(folder / "image.npz"), dict(np.load(folder / "packets.npz"))
    engine, units = FastEngine(image), {}

    addresses = packets.pop("addresses")
    tables = _fastpath.Tables(**image.arrays, places=image.places, objects=image.objects)
    under("lookup", _fastpath.lookup, tables, addresses, np.zeros(len(addresses), np.uint32))
    units["lookup"] = len(addresses)
    for name, wave in packets.items():
        state = engine.new_state()
        for age in AGES:
            under(f"{name}-{age}", engine.forward, wave, state)
            units[f"{name}-{age}"] = len(wave)
    events = engine.forward(packets["usual"], engine.new_state(), events=True).events
    deparser, which = Deparser(events, Tunnels(1)), np.arange(len(events))
    under("bytes", deparser.deparse, which, 64)
    return {**units, "bytes": len(events)}


def judge(now: dict[str, float], recorded: dict[str, float]) -> list[str]:
    """What takes more than was recorded, or was never recorded."""
    return [
        f"{name}: {now.get(name)} instructions, recorded {recorded.get(name)}" for name in sorted(now.keys() | recorded.keys())
        if name not in now or name not in recorded or now[name] > recorded[name] * (1 + TOLERANCE)]


def main() -> int:
    if "--work" in sys.argv:
        print(json.dumps(work(Path(sys.argv[-1]))))
        return 0
    if missing := lacking():
        print(f"skipped: {missing}", file=sys.stderr)
        return 0
    now, record = count(), json.loads(RECORD.read_text()) if RECORD.exists() else {"compiler": compiler(), "instructions": {}}
    if "--write" in sys.argv:
        RECORD.write_text(json.dumps({"compiler": compiler(), "nodes": NODES, "instructions": now}, indent=1) + "\n")
        return 0
    for name, value in now.items():
        print(f"{name:18} {value:9,.1f} instructions, recorded {record['instructions'].get(name, '–')}")
    if record["compiler"] != compiler():
        print(f"skipped: recorded with compiler {record['compiler']}, this is {compiler()}", file=sys.stderr)
        return 0
    wrong = judge(now, record["instructions"])
    print("\n".join(wrong), file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    sys.exit(main())
