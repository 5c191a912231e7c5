"""The reference page of the format: its examples load, and together they use every key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from calisim.analysis.expectations import check
from calisim.scenario import schema
from calisim.scenario.load import load
from docs.pages import ROOT, blocks

EXAMPLES = [block for block in blocks(ROOT / "docs" / "scenario.md") if block.language == "yaml"]


def reference() -> dict[str, Any]:
    """The parts of the page's scenario put together."""
    parts: dict[str, Any] = {}
    for block in EXAMPLES:
        if block.section == "The keys" and not block.mark:
            parts |= yaml.safe_load(block.text)
    metadata = parts.pop("metadata")
    return {"apiVersion": "calisim/v1", "kind": "Scenario", "metadata": metadata, "spec": parts}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for block in EXAMPLES:
        if block.mark == "file":
            (tmp_path / block.says).write_text(block.text)
    (tmp_path / "reference.yaml").write_text(yaml.safe_dump(reference(), sort_keys=False))
    return tmp_path / "reference.yaml"


def keys_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[type, str]]:
    """(section, key) of everything that is written."""
    section = schema.section_at(path)
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        if section is not None:
            yield section, key
        yield from keys_in(item, (*path, key))


def test_the_first_example_is_a_scenario(tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(EXAMPLES[0].text)
    scenario = load(tmp_path / "example.yaml")
    assert scenario.name == "two-zones" and scenario.resources.pools[0].ipip_mode == "CrossSubnet"


def test_the_examples_use_every_key_of_every_section() -> None:
    sections = [kind for kind in vars(schema).values() if isinstance(kind, type) and issubclass(kind, schema.Section)]
    every = {(section, key) for section in sections for key in section.keys()}
    assert len(sections) > 15
    assert sorted(f"{section.__name__}.{key}" for section, key in every - set(keys_in(reference()))) == []


def test_the_page_has_a_table_of_every_section() -> None:
    text = (ROOT / "docs" / "scenario.md").read_text()
    sections = [name for name, kind in vars(schema).items() if isinstance(kind, type) and issubclass(kind, schema.Section)]
    assert [name for name in sections if name != "Section" and f"<!-- keys of: {name} -->" not in text] == []


def test_what_the_examples_expect_holds(written: Path) -> None:
    answers = check(load(written))
    assert answers and [str(answer) for answer in answers if not answer.passed] == []
