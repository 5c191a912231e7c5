"""The project as a whole: what it says of itself, and what its scenarios rest on."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml")) + sorted((ROOT / "scenarios" / "large").glob("*.yaml"))

# Paths of somebody's machine, other trees than this one, and unfinished work have no place in what is shipped.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w./-])/(?:home|root|Users)/\w"),
    "a neighbouring tree": re.compile(r"\.\./shared/(?!conformance\b)"),
    "a tracker's number": re.compile(r"(?i)(?<![\w/#])(?:issue|ticket) #?\d+"),
    "unfinished work": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"),
}


def shipped() -> list[Path]:
    """The text files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.decode().split("\0") if name and not name.endswith(".png")]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_speaks_of_itself_alone(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in shipped() if path != Path(__file__) and path.name != "LICENSE"
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN[what].search(line) and not re.search(r"https?://\S+/issues?/\d+", line)
    ]
    assert not found, "\n".join([f"{what}:", *found])


def test_makefile_tells_its_targets() -> None:
    """The head of the Makefile explains each target, and what CONTRIBUTING tells to run is there."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split())
    head = makefile[: makefile.index("PYTHON ")]
    assert targets - {"build", "requirements"} == set(re.findall(r"make (\w+)   ", head))
    told = set(re.findall(r"^make (\w+)", (ROOT / "CONTRIBUTING.md").read_text(), re.M))
    assert {"test", "lint", "fuzz"} <= told <= targets
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 10


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_says_what_it_rests_on(path: Path) -> None:
    text = path.read_text()
    head = text[: text.index("apiVersion:")]
    assert all(word in head for word in ("# Question", "# Answer", "# By hand")), "the header says question, answer and numbers"
    document = next(yaml.safe_load_all(text))
    metadata = document["metadata"]
    assert metadata["name"] == path.stem and metadata["description"]
    assert metadata["fidelity"] in ("documented", "measured", "assumed")
    assert metadata["sources"] and all(re.match(r"https://[\w.-]+/\S+$", source) for source in metadata["sources"])
    assert document["spec"]["expect"], "a scenario without expectations proves nothing"


def test_version_is_said_once() -> None:
    """In pyproject.toml; the package reads it from its own metadata."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())
    version = metadata["project"]["version"]
    assert version not in (ROOT / "calisim" / "__init__.py").read_text()
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert "## Unreleased" in changes or f"## {version}" in changes
