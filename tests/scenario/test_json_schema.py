"""The shipped schema is the one that the models make, and says what a scenario may say."""

from __future__ import annotations

import json

from calisim.scenario.json_schema import generate, shipped
from calisim.scenario.schema import ScenarioFile, section_at


def test_shipped_schema_is_up_to_date() -> None:
    assert shipped().read_text(encoding="utf-8") == generate(), "run python -m calisim.scenario.json_schema"


def test_every_section_forbids_unknown_keys() -> None:
    for name, definition in json.loads(generate())["$defs"].items():
        assert definition["additionalProperties"] is False, name


def test_sections_are_found_by_path() -> None:
    assert section_at(()) is ScenarioFile
    found = section_at(("spec", "vpcs", "prod", "routeTables", "main", "routes", 3))
    assert found is not None and found.keys() == ("to", "via")
    assert section_at(("spec", "variants", 0)) is not None
    assert section_at(("spec", "nodes")) is section_at(("spec", "nodes", 0, "labels")) is section_at(("spec", "nope", 1)) is None
