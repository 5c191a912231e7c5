"""Every wrong file of cases/errors gives exactly the text beside it: all problems, each with place, line, path and cure.

``python -m tests.scenario.test_goldens`` writes the texts anew; read the difference before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calisim.errors import ScenarioError
from calisim.scenario.load import load

CASES = Path(__file__).parents[1] / "cases" / "errors"
NAMES = sorted(path.stem for path in CASES.glob("*.yaml"))


def complaint(name: str) -> str:
    """What the user is told about a wrong file."""
    with pytest.raises(ScenarioError) as caught:
        load(f"{name}.yaml")
    return f"{caught.value}\n"


@pytest.mark.parametrize("name", NAMES)
def test_wrong_file_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    assert complaint(name) == (CASES / f"{name}.txt").read_text(encoding="utf-8")


def test_there_are_cases() -> None:
    assert len(NAMES) >= 25


if __name__ == "__main__":
    os.chdir(CASES)
    for case in NAMES:
        (CASES / f"{case}.txt").write_text(complaint(case), encoding="utf-8")
