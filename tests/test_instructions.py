"""Instructions per packet stay what was recorded: the regression that a busy machine's clock cannot show."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "instructions.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("instructions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_packet_takes_more_instructions_than_recorded(script):
    if missing := script.lacking():
        pytest.skip(missing)
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=300, check=False)
    if "skipped:" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, f"{done.stdout}{done.stderr}meant? python benchmarks/instructions.py --write"


def test_more_is_told_and_less_is_not(script):
    recorded = {"a": 100.0, "b": 100.0, "c": 100.0}
    assert script.judge({"a": 109.0, "b": 50.0, "c": 111.0}, recorded) == ["c: 111.0 instructions, recorded 100.0"]


def test_nothing_is_recorded_or_counted_alone(script):
    assert len(script.judge({"new": 1.0}, {"gone": 1.0})) == 2


def test_record_is_whole(script):
    record = json.loads(script.RECORD.read_text())
    assert record["compiler"] and {"lookup", "bytes", "usual-established", "snat-new"} <= record["instructions"].keys()
