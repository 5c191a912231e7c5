"""The reference page of the format: its examples load, and it names every key."""

from __future__ import annotations

import re
from pathlib import Path

from calisim.scenario import schema
from calisim.scenario.load import load

PAGE = (Path(__file__).parents[2] / "docs" / "scenario.md").read_text(encoding="utf-8")


def test_the_first_example_is_a_scenario(tmp_path: Path) -> None:
    example = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
    (tmp_path / "example.yaml").write_text(example)
    scenario = load(tmp_path / "example.yaml")
    assert scenario.name == "two-zones" and scenario.resources.pools[0].ipip_mode == "CrossSubnet"


def test_every_key_is_described() -> None:
    sections = [kind for kind in vars(schema).values() if isinstance(kind, type) and issubclass(kind, schema.Section)]
    keys = {key for section in sections for key in section.keys()}
    assert len(sections) > 15
    assert sorted(key for key in keys if not re.search(rf"\b{key}\b", PAGE)) == []
