"""One call for every answer that can be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...analysis.compare import Comparison
from ...analysis.explain import Trace
from ...analysis.flows import Flows
from ...analysis.network import Network
from ...errors import UsageError
from . import comparison, journey, outcomes, topology
from .canvas import Picture

if TYPE_CHECKING:
    from ...analysis.run import Run


def plot(answer: Comparison | Trace | Network, run: Run | None = None) -> Picture:
    """The picture of a comparison, of a trace, of what exists in a network, or of what became of the packets of a run in it.

    The picture shows itself in a notebook; ``picture.svg()`` and ``picture.png()`` are its bytes.
    """
    if isinstance(answer, Comparison):
        return comparison.picture(answer)
    if isinstance(answer, Trace):
        return journey.picture(answer)
    if not isinstance(answer, Network):
        raise UsageError(f"there is no picture of a {type(answer).__name__}; of a run: plot(network, run)")
    if run is None:
        return topology.picture(answer)
    flows = Flows(answer)
    if len(run.packets):
        flows("", run.packets, run.results)
    return outcomes.picture(answer, run, flows)
