"""Packets by hand: the fields of one PACKET record, written as people write them.

Takes addresses and protocols as text or numbers, gives a PACKET array of one row; ``numpy.concatenate``
makes a wave of several. Sets of packets come from :mod:`calisim.traffic.flows`.
"""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from ..errors import UsageError
from ..quantities import PROTOCOLS, parse_address
from ..vocabulary import PACKET, PacketFlag

TCP, UDP, ICMP, IPIP = 6, 17, 1, 4

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ECHO_REQUEST, ECHO_REPLY = 0x0800, 0x0000                   # type << 8 | code

DEFAULT_PORT = 80
FIRST_SOURCE_PORT = 40000
PORTS = {                                                   # of protocols that have some: source, destination if not said
    TCP: (FIRST_SOURCE_PORT, DEFAULT_PORT), UDP: (FIRST_SOURCE_PORT, DEFAULT_PORT), ICMP: (FIRST_SOURCE_PORT, ECHO_REQUEST),
}


def protocol_number(protocol: int | str) -> int:
    """``"tcp"`` or 6 → 6. Raises UsageError with the names there are."""
    if isinstance(protocol, str) and protocol.isdecimal():
        protocol = int(protocol)
    if isinstance(protocol, str):
        number = PROTOCOLS.get(protocol.lower())
        if number is None:
            raise UsageError(f"{protocol!r} is no protocol to send; write {', '.join(PROTOCOLS)} or a number from 0 to 255")
        return number
    if not 0 <= protocol <= 255:
        raise UsageError(f"{protocol} is no IP protocol number; they go from 0 to 255")
    return int(protocol)


def packet(**fields: Any) -> np.ndarray:
    """One packet. Fields as in PACKET; ``src``, ``dst`` and ``protocol`` may be text; ``df`` (True) sets the DF bit.

    What is not said: TCP segment in the middle of a connection (PSH+ACK) to port 80, TTL 64, 1000 bytes, DF; an echo
    request where the protocol is ICMP; no ports where the protocol has none.
    """
    _refuse_unknown(fields)
    protocol = protocol_number(fields.pop("protocol", TCP))
    df = fields.pop("df", True)
    sport, dport = PORTS.get(protocol, (0, 0))
    row = {
        "sport": sport, "dport": dport, "protocol": protocol, "tcp_flags": PSH | ACK if protocol == TCP else 0,
        "ttl": 64, "length": 1000, "fragment": PacketFlag.DF if df else 0,
        **{name: _number(name, value) for name, value in fields.items()},
    }
    made = np.zeros(1, dtype=PACKET)
    for name, value in row.items():
        most = np.iinfo(PACKET[name]).max
        if not 0 <= value <= most:
            raise UsageError(f"{name} {value} does not fit; it goes from 0 to {most}")
        made[name] = value
    return made


def _refuse_unknown(fields: dict[str, Any]) -> None:
    known = [*PACKET.names, "df"]  # type: ignore[misc]  # a structured dtype has names
    for name in fields:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            cure = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
            raise UsageError(f"a packet has no {name!r}; {cure}")


def _number(name: str, value: Any) -> int:
    if isinstance(value, str) and name in ("src", "dst"):
        try:
            return parse_address(value)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    return int(value)
