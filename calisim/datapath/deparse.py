"""Bytes of many EVENTs at once, by the compiled core: what tcpdump would show on the interfaces that were crossed.

Takes events with what their rows have beyond them, gives one buffer with an offset for each packet. Payload is made up (see
``stages/deparse.pxd``); where real bytes are to be changed as the kernel changes them, see :mod:`calisim.report.frames`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..errors import UsageError
from ..vocabulary import EVENT, HEADER
from ..vocabulary.encaps.vxlan import ENCAPSULATION as VXLAN

WHOLE = 0xFFFF
"""A snap length that cuts nothing."""

_WORD = 2**64 - 1                # a draw takes its words modulo 2⁶⁴


@dataclass(frozen=True, slots=True)
class Tunnels:
    """What the tunnel devices of a cluster put on the wire beside the fields of an EVENT."""

    seed: int = 1
    vni: int = 4096
    port: int = VXLAN.port
    udp_checksum: bool = True                  # vxlan … udpcsum, as `ip link` makes the device unless told otherwise
    macs: Mapping[int, bytes] = field(default_factory=dict)     # VTEP's MAC by the address of its node


class Deparsed(NamedTuple):
    """Packet ``i`` is ``octets[offsets[i]:offsets[i + 1]]``, cut to the snap length; ``lengths`` are those on the wire."""

    octets: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray

    def packet(self, number: int) -> bytes:
        return bytes(self.octets[self.offsets[number]:self.offsets[number + 1]])


class Deparser:
    """Of the rows of one run: ``events`` sorted by row; ``headers``, ``numbers`` (TCP sequence and acknowledgement numbers)
    and ``wholes`` (bytes of the datagram of which a row is a piece; 0: of none) are row by row, or empty."""

    def __init__(
        self, events: np.ndarray, tunnels: Tunnels, *, headers: np.ndarray | None = None, numbers: np.ndarray | None = None,
        wholes: np.ndarray | None = None,
    ) -> None:
        self._events = np.ascontiguousarray(events, EVENT)
        self._headers = np.empty(0, HEADER) if headers is None else np.ascontiguousarray(headers, HEADER)
        self._numbers = np.empty((0, 2), np.uint32) if numbers is None else np.ascontiguousarray(numbers, np.uint32)
        self._wholes = np.empty(0, np.uint16) if wholes is None else np.ascontiguousarray(wholes, np.uint16)
        self._lengths = np.where(self._events["encap"] != 0, self._events["outer_length"], self._events["length"])
        self._tunnels = tunnels
        vteps = sorted(tunnels.macs)
        self._vteps = np.array(vteps, np.uint32)
        self._macs = np.frombuffer(b"".join(tunnels.macs[vtep] for vtep in vteps), np.uint8).reshape(-1, 6)

    def deparse(self, which: np.ndarray, snap: int = WHOLE) -> Deparsed:
        """The events at the positions ``which``. Raises UsageError for an EVENT that cannot be a packet's."""
        from .._fastpath import deparse

        which = np.ascontiguousarray(which, np.uint64)
        lengths = self._lengths[which]
        offsets = np.zeros(len(which) + 1, np.uint64)
        np.cumsum(np.minimum(lengths, snap), out=offsets[1:])
        octets = np.empty(int(offsets[-1]), np.uint8)
        tunnels = self._tunnels
        if not deparse(
            self._events, which, self._headers, self._numbers, self._wholes, self._vteps, self._macs,
            tunnels.seed & _WORD, tunnels.vni, tunnels.port, tunnels.udp_checksum, offsets, octets,
        ):
            raise UsageError("an EVENT is none of a packet of these rows: its length, encapsulation or row is out of range")
        return Deparsed(octets, offsets, lengths)
