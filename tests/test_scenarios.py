"""The scenario library's expectations hold, through the command that a user would run."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import calisim
from calisim.cli.main import cli

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_expectations_hold(path: Path) -> None:
    outcome = CliRunner().invoke(cli, ["check", str(path)])
    assert outcome.exit_code == 0, outcome.output


def test_nodes_of_one_subnet_share_their_rows() -> None:
    """What makes 5,000 nodes affordable: the forwarding table has a row per kind of node, not per node."""
    network = calisim.load(str(ROOT / "scenarios" / "three-az.yaml")).build()
    assert len(network.intent.routers) == 12
    assert network.image.rows.shape[0] == 3
