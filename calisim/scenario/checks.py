"""Facts across sections: names that must exist, CIDRs that must fit, products that must stay in bounds."""

from __future__ import annotations

from ..errors import Problem
from .resources import Resources
from .schema import ScenarioFile


def check(file: ScenarioFile, resources: Resources) -> list[Problem]:
    """All problems of a file whose every section is well-formed."""
    return []
