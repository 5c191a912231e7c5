"""The small scenario and networks of it, over the plain engine: these tests are about answers, not about engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from calisim.analysis.network import Network
from calisim.scenario.load import load
from calisim.scenario.scenario import Scenario

TWO_ZONES = str(Path(__file__).parent.parent / "cases" / "scenarios" / "two-zones.yaml")


@pytest.fixture(scope="session")
def two_zones() -> Scenario:
    return load(TWO_ZONES)


@pytest.fixture(scope="session")
def network() -> Callable[..., Network]:
    """``network("overlay-ipip", set=["…"], step=1)``."""

    def build(variant: str = "as-is", *, set: list[str] | None = None, step: int = 0) -> Network:
        return Network(load(TWO_ZONES, set=set or []), variant, step=step, engine="reference")

    return build
