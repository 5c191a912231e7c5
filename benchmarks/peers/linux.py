"""Linux: pod, node and host as network namespaces joined by veth, MASQUERADE on the node. What Mininet and kind rest on.

    python -m benchmarks.peers.linux            # as root; skipped with a word where it cannot be done

One process sends, and its core does all of the node's and the host's work: that is how veth works. The proof of the work: a
rule at the host counts what arrives with the node's address as its source, and nothing else does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

SECONDS, ROUNDS = 1.0, 5
POD, NODE_IN, NODE_OUT, HOST, PORT = "10.65.0.2", "10.65.0.1", "10.66.0.1", "10.66.0.2", 9000


def lacking() -> str:
    """What it needs and is not there; empty: nothing."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "Linux namespaces need root on Linux"
    for tool in ("ip", "iptables", "cc"):
        if not shutil.which(tool):
            return f"there is no {tool}"
    name = f"calisim-{os.getpid()}-probe"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "namespaces cannot be made here"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


def call(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def measure(sockets: int, *, masquerade: bool) -> list[float]:
    """Packets per second of each round, as the host counted them."""
    spaces = {role: f"calisim-{os.getpid()}-{role}" for role in ("pod", "node", "host")}
    with ExitStack() as last:
        folder = last.enter_context(tempfile.TemporaryDirectory())
        blaster = f"{folder}/blaster"
        call("cc", "-O2", "-o", blaster, str(Path(__file__).with_name("masquerade.c")))
        for space in spaces.values():
            call("ip", "netns", "add", space)
            last.callback(call, "ip", "netns", "del", space)
        _wire(spaces, masquerade=masquerade)
        rates = []
        for _ in range(ROUNDS + 1):                          # the first opens the connections
            before = _arrived(spaces["host"])
            told = call("ip", "netns", "exec", spaces["pod"], blaster, HOST, str(PORT), str(sockets), str(SECONDS))
            sent, seconds = told.split()
            arrived = _arrived(spaces["host"]) - before
            assert arrived <= int(sent)
            rates.append(arrived / float(seconds))
        return rates[1:]


def _wire(spaces: dict[str, str], *, masquerade: bool) -> None:
    def inside(role: str, *words: str) -> None:
        call("ip", "netns", "exec", spaces[role], *words)

    for left, right, one, other in (("pod", "node", POD, NODE_IN), ("node", "host", NODE_OUT, HOST)):
        call("ip", "link", "add", f"to-{right}", "netns", spaces[left], "type", "veth",
             "peer", f"to-{left}", "netns", spaces[right])
        inside(left, "ip", "addr", "add", f"{one}/24", "dev", f"to-{right}")
        inside(right, "ip", "addr", "add", f"{other}/24", "dev", f"to-{left}")
        inside(left, "ip", "link", "set", f"to-{right}", "up")
        inside(right, "ip", "link", "set", f"to-{left}", "up")
    inside("pod", "ip", "route", "add", "default", "via", NODE_IN)
    inside("host", "ip", "route", "add", "10.65.0.0/24", "via", NODE_OUT)
    inside("node", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    if masquerade:
        inside("node", "iptables", "-t", "nat", "-A", "POSTROUTING", "-s", f"{POD}/32", "-j", "MASQUERADE", "--random-fully")
    source = NODE_OUT if masquerade else POD
    inside("host", "iptables", "-A", "INPUT", "-s", source, "-p", "udp", "--dport", str(PORT), "-j", "DROP")


def _arrived(host: str) -> int:
    """Packets that the host's one rule has counted."""
    listed = call("ip", "netns", "exec", host, "iptables", "-nvxL", "INPUT")
    found = re.search(r"^\s*(\d+)\s+\d+\s+DROP\b", listed, re.MULTILINE)
    assert found
    return int(found[1])


def main() -> None:
    if missing := lacking():
        print(f"skipped: {missing}")
        return
    print(f"Linux {os.uname().release}: pod → node → host by veth, one sender, {SECONDS:g} s × {ROUNDS}")
    for sockets in (1, 64, 1000):
        for masquerade in (False, True):
            rates = sorted(measure(sockets, masquerade=masquerade))
            least, middle, most = (rate / 1e6 for rate in (rates[0], rates[len(rates) // 2], rates[-1]))
            print(f"{sockets:5} flows, {'MASQUERADE' if masquerade else 'forwarded '}: "
                  f"{middle:.3f} M packets/s ({least:.3f} to {most:.3f})")


if __name__ == "__main__":
    main()
