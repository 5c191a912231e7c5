"""VXLAN headers (RFC 7348): what stands between UDP and the inner Ethernet frame."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..vocabulary.encaps.vxlan import ENCAPSULATION
from .octets import MalformedPacket, Octets, SameOctets, require

PORT = ENCAPSULATION.port
VNI_VALID = 0x08
SIZE = 8
_HEADER = struct.Struct("!II")


@dataclass(frozen=True, slots=True)
class Vxlan:
    """``reserved`` are the 24 bits behind the flags and the 8 behind the VNI; a sender sets them 0, Linux drops others."""

    vni: int
    flags: int = VNI_VALID
    reserved: tuple[int, int] = (0, 0)


def parse(data: SameOctets) -> tuple[Vxlan, SameOctets]:
    require(data, SIZE, "VXLAN header")
    first, second = _HEADER.unpack_from(data)
    if not first >> 24 & VNI_VALID:
        raise MalformedPacket(f"VXLAN flags 0x{first >> 24:02x} hold no VNI")
    return Vxlan(second >> 8, first >> 24, (first & 0xFFFFFF, second & 0xFF)), data[SIZE:]


def emit(header: Vxlan, frame: Octets) -> bytes:
    behind_flags, behind_vni = header.reserved
    return b"".join((_HEADER.pack(header.flags << 24 | behind_flags, header.vni << 8 | behind_vni), frame))
