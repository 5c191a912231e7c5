"""The networks of a student's scenario: as handed out and as it is now, each variant built once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..analysis.network import Network
from ..errors import UsageError
from ..parts import Parts
from ..quantities import plural
from ..scenario.load import load_text
from ..scenario.scenario import Scenario
from .schema import Probe

SCENARIO = "scenario.yaml"


@dataclass(frozen=True, eq=False)
class World:
    """``start`` is the text handed out, ``now`` the student's; ``answers`` what he wrote. ``judged``: claims by identity."""

    start: str
    now: str
    answers: dict[str, str] = field(default_factory=dict)
    judged: dict[int, tuple[object, Any]] = field(default_factory=dict)
    _parts: Parts = field(default_factory=Parts)
    _networks: dict[tuple[str, str, int, tuple[str, ...]], Network] = field(default_factory=dict)

    @cached_property
    def scenario(self) -> Scenario:
        """The student's scenario; raises with all its problems."""
        return load_text(self.now, SCENARIO)

    @cached_property
    def first(self) -> Scenario:
        """The scenario as handed out."""
        return load_text(self.start, SCENARIO) if self.start != self.now else self.scenario

    def network(self, probe: Probe) -> Network:
        """The network that a probe asks."""
        key = probe.on, probe.variant, probe.step, tuple(probe.set)
        if key not in self._networks:
            scenario = self.first if probe.on == "start" else self.scenario
            count = len(scenario.spec.steps)
            step = probe.step if probe.step >= 0 else count
            if step > count:
                raise UsageError(f"{SCENARIO} has {plural(count, 'step')} under steps:, the lab asks for what is after {step}")
            asked = scenario.edited(probe.set) if probe.set else scenario
            self._networks[key] = Network(asked, probe.variant, step=step, parts=self._parts)
        return self._networks[key]
