"""Encapsulations: one file each, holding everything that is true of that encapsulation.

Adding one is adding a file with an ``ENCAPSULATION`` and naming it here; the tables of the core, the
scenario's spelling and the reports follow from it.
"""

from __future__ import annotations

from enum import IntEnum

from . import ipip, none, vxlan
from .layout import Encapsulation

ENCAPSULATIONS: tuple[Encapsulation, ...] = (none.ENCAPSULATION, ipip.ENCAPSULATION, vxlan.ENCAPSULATION)


class Encap(IntEnum):
    """How a packet is wrapped on the wire between nodes; codes are those of ``ENCAPSULATIONS``."""

    NONE = none.ENCAPSULATION.code
    IPIP = ipip.ENCAPSULATION.code
    VXLAN = vxlan.ENCAPSULATION.code


def encapsulation(encap: int) -> Encapsulation:
    """The description of an encapsulation by its code."""
    return ENCAPSULATIONS[encap]


__all__ = ["ENCAPSULATIONS", "Encap", "Encapsulation", "encapsulation"]
