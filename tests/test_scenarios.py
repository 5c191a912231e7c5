"""The scenario library's expectations hold, through the command that a user would run."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from calisim.cli.main import main

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_expectations_hold(path: Path) -> None:
    outcome = CliRunner().invoke(main, ["check", str(path)])
    assert outcome.exit_code == 0, outcome.output
