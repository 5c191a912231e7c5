"""Peers that a machine lacks say so in one line, and those that are there do what they claim."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("peer", ["linux", "dpdk", "ns3"])
def test_what_is_missing_is_said_in_one_line(peer: str) -> None:
    """An empty PATH has no tools, an isolated Python no packages of others."""
    lost = "import os, sys; os.environ['PATH'] = ''; sys.modules['ns'] = None"
    code = f"{lost}; from benchmarks.peers import {peer}; {peer}.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.startswith("skipped: ") and done.stdout.count("\n") == 1, done.stderr


@pytest.mark.parametrize("source", ["dpdk.c", "masquerade.c"])
def test_what_a_peer_is_compiled_from_is_there_and_in_the_repository(source: str) -> None:
    peers = ROOT / "benchmarks" / "peers"
    assert (peers / source).read_text()
    untracked = subprocess.run(["git", "ls-files", "--error-unmatch", source], cwd=peers, capture_output=True, check=False)
    assert untracked.returncode != 1                       # 128: this is no repository
