"""The JSON Schema of the scenario file, made from the models, for editors that complete and check while one writes.

``python -m calisim.scenario.json_schema`` writes ``schema.json`` anew; the package ships that file.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from .schema import ScenarioFile

FILE = "schema.json"


class _Untitled(GenerateJsonSchema):
    """Without pydantic's titles, which only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def generate() -> str:
    """The schema as text, keys as in the file."""
    schema: dict[str, Any] = ScenarioFile.model_json_schema(by_alias=True, schema_generator=_Untitled)
    heading = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "calisim scenario (calisim/v1)"}
    return json.dumps({**heading, **schema, "title": heading["title"]}, indent=1, ensure_ascii=False) + "\n"


def shipped() -> Path:
    """Where the installed package has its schema."""
    return Path(str(files(__package__) / FILE))


if __name__ == "__main__":
    shipped().write_text(generate(), encoding="utf-8")
