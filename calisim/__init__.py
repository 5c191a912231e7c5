"""calisim – what does a packet meet on its way through a Kubernetes cluster with Calico on AWS?

Five values are handed from floor to floor, each frozen once made::

    scenario file ─► Scenario ─► Topology ─► Intent ─► FibImage ─► compiled core ─┐
    (what the         what the    what        what the  the same    same records,   ├─► Run ─► analysis ─► report
     user wrote)      user wrote  exists      control   as flat     must agree      │          answers     text, JSON
                                              plane     arrays      bit for bit     │
                                              decided └───────────► reference ──────┘

Floors, each importing only from lower ones::

    9 cli          command line: one file per command
    8 conformance  judges: recorded behaviour of the real thing against this model
      bench        how fast, against what one would take instead
      labs         teaching labs: texts and data, judged by the simulator
      view         the journey page, alive: follows the file, switches things
    7 report       answers → text, JSON, JUnit XML, the journey page (HTML), pictures, diagrams
    6 analysis     run → answers, one question per file
    5 datapath     what happens to packets, twice: reference (plain Python) and fast (Cython)
      traffic      traffic sets → packets
    4 fib          Intent → integer tables
    3 control      Topology → Intent: IPAM, routing, encapsulation, NAT
    2 model        Scenario → Topology; what a cloud provider allows
    1 scenario     text → Scenario
    0 vocabulary   reasons, stages, record layouts; errors, quantities, selector, parts

In Python::

    import calisim

    network = calisim.load("scenarios/three-az.yaml").build("calico-cross-subnet")
    run = network.run()                          # every traffic set; run.tally, run.results
    print(network.trace("shop/web-a-1-0", "shop/db-0", port=5432))
    calisim.compare(network.scenario)            # the same traffic through all variants
    calisim.plot(network, run).svg()             # a picture of a network, a run, a trace, a comparison

In a notebook all of them show themselves.

Everything is imported when it is first used, so ``import calisim`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from .analysis.compare import Comparison, compare
    from .analysis.explain import Trace
    from .analysis.network import Network
    from .analysis.run import Run
    from .report.plots.picture import plot
    from .scenario.scenario import Scenario
    from .vocabulary import CONNECTION, EVENT, HEADER, PACKET, RESULT

    __version__: str

__all__ = [
    "CONNECTION", "EVENT", "HEADER", "PACKET", "RESULT", "Comparison", "Network", "Run", "Scenario", "Trace", "__version__",
    "compare", "load", "plot",
]

_HOMES = {
    "CONNECTION": "vocabulary", "EVENT": "vocabulary", "HEADER": "vocabulary", "PACKET": "vocabulary", "RESULT": "vocabulary",
    "Comparison": "analysis.compare", "Trace": "analysis.explain", "compare": "analysis.compare", "plot": "report.plots.picture",
    "Network": "analysis.network", "Run": "analysis.run", "Scenario": "scenario.scenario",
}


def load(
    path: str | PathLike[str], *, set: str | Iterable[str] = (), apply: str | PathLike[str] | Iterable[str | PathLike[str]] = (),
) -> Scenario:
    """Read a scenario file; ``set`` and ``apply`` (one or several) change it as ``--set PATH=VALUE`` and ``--apply FILE`` do.

    Raises :class:`calisim.errors.ScenarioError` with every problem of the file, its place and its cure.
    """
    from .report import notebook  # noqa: F401 – and with it what gives Scenario its build(), and all answers their HTML
    from .scenario.load import load as read

    return read(path, set=set, apply=apply)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version(__name__)
        except PackageNotFoundError:
            return "(not installed)"
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
