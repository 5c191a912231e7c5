"""Every field of the records that users hold in their hands is explained, and nothing else is."""

from __future__ import annotations

import pytest

from calisim.vocabulary import fields, records


@pytest.mark.parametrize("name", fields.MEANING)
def test_every_field_is_explained(name: str) -> None:
    assert tuple(fields.MEANING[name]) == getattr(records, name).names
    assert all(fields.MEANING[name].values())


def test_the_public_records_are_there() -> None:
    assert set(fields.MEANING) == {"PACKET", "HEADER", "RESULT", "EVENT", "CONNECTION"}
