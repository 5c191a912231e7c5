"""The words of the trade: stages, verdicts, drop reasons, encapsulations and record layouts.

Imports nothing of calisim, so that ``setup.py`` can read it before the package is built and write
``_vocabulary.pxd`` from it: the compiled core and Python share one list of each.
"""

from __future__ import annotations

from .encaps import Encap
from .reasons import DropReason, Severity
from .records import (
    ADJACENCY, AFFINITY, BACKEND, BORN, CLASS, CONNECTION, ENDPOINT, EVENT, FABRIC, FRONTEND, GUARD, HEADER, INDEX, MATCH, PACKET,
    PMTU, RANGE, RESULT, ROUTER, RULE, SERVICE, SUBNET, TARGET, TERM, TIER,
)
from .stages import (
    AdjacencyFlag, AdjacencyKind, ClassFlag, ConnectionFlag, ConnectionHistory, ConnectionState, Device, Direction,
    EndpointKind, FabricFlag, FrontendFlag, HeaderFlag, PacketFlag, PolicyAction, Relation, ResultFlag, RouterFlag, RpFilter,
    Stage, TargetKind, TermFlag, TermKind, Verdict,
)

__all__ = [
    "ADJACENCY", "AFFINITY", "BACKEND", "BORN", "CLASS", "CONNECTION", "ENDPOINT", "EVENT", "FABRIC", "FRONTEND", "GUARD",
    "HEADER", "INDEX", "MATCH", "PACKET", "PMTU", "RANGE", "RESULT", "ROUTER", "RULE", "SERVICE", "SUBNET", "TARGET", "TERM",
    "TIER",
    "AdjacencyFlag", "AdjacencyKind", "ClassFlag", "ConnectionFlag", "ConnectionHistory", "ConnectionState", "Device",
    "Direction", "DropReason", "Encap", "EndpointKind", "FabricFlag", "FrontendFlag",
    "HeaderFlag", "PacketFlag", "PolicyAction", "Relation", "ResultFlag", "RouterFlag", "RpFilter", "Severity", "Stage",
    "TargetKind", "TermFlag", "TermKind", "Verdict",
]
