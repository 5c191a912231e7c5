"""What the command line feels like before it does anything."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize("arguments", [["-c", "pass"], ["-c", "import calisim"], ["-m", "calisim", "--help"]], ids=" ".join)
def bench_start(benchmark: Any, arguments: list[str]) -> None:
    """The first is Python alone: subtract it."""
    start = {"check": True, "capture_output": True}
    benchmark.pedantic(subprocess.run, ([sys.executable, *arguments],), start, rounds=10, warmup_rounds=1)
