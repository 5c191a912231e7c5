"""The scenario library's expectations hold, through the command that a user would run."""

from __future__ import annotations

import json
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


def test_the_two_documents_of_the_story_change_what_they_say() -> None:
    """Fed to `compare --apply -`: the first encapsulates across subnets and takes NAT away, the second has both."""
    path = str(ROOT / "scenarios" / "three-az.yaml")
    lost = {}
    for name in ("document-1.yaml", "document-2.yaml"):
        document = (ROOT / "scenarios" / "three-az" / name).read_text()
        outcome = CliRunner().invoke(cli, ["compare", path, "--variants", "as-is", "--apply", "-", "--json"], input=document)
        assert outcome.exit_code == 0, outcome.output
        (variant,) = json.loads(outcome.stdout)["variants"]
        assert variant["scopes"]["other-subnet"]["encap"] == {"none": 0, "ipip": 28800, "vxlan": 0}
        lost[name] = variant["packets"]["dropped"]
    assert lost == {"document-1.yaml": {"IGW_NO_PUBLIC_ADDRESS": 96}, "document-2.yaml": {}}
