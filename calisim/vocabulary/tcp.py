"""TCP connections as Linux' conntrack tracks them: classes of flags, transitions, time-outs. Data alone, for both languages.

Measured on Linux 6.18, row by row as far as forwarding shows them (tests/cases/kernel/tcp-*); the rest of the rows and the
defaults of the time-outs are those of nf_conntrack_proto_tcp.c.
"""

from __future__ import annotations

from enum import IntEnum

from .stages import ConnectionState

_FIN, _SYN, _RST, _PSH, _ACK, _URG = 1, 2, 4, 8, 16, 32


class TcpClass(IntEnum):
    """What conntrack sees of the flags. NONE: no stack sends them."""

    NONE = 0
    SYN = 1
    SYNACK = 2
    FIN = 3
    ACK = 4
    RST = 5


class Transition(IntEnum):
    """What a packet may do instead of leading to a state."""

    IGNORE = 254       # it belongs to the connection and changes nothing
    INVALID = 255      # it belongs to no connection


_CLASSES = {
    _SYN: TcpClass.SYN, _SYN | _URG: TcpClass.SYN, _SYN | _ACK: TcpClass.SYNACK, _FIN | _ACK: TcpClass.FIN,
    _FIN | _ACK | _URG: TcpClass.FIN, _ACK: TcpClass.ACK, _ACK | _URG: TcpClass.ACK, _RST: TcpClass.RST,
    _RST | _ACK: TcpClass.RST,
}

TCP_CLASSES = tuple(_CLASSES.get(flags & ~_PSH, TcpClass.NONE) for flags in range(64))
"""By the low six bits of the flags; PSH says nothing."""

# The state after. "~": ignored, "-": invalid; a class that is not there is invalid everywhere.
_TRANSITIONS = """
before       |  original: SYN   SYNACK    FIN         ACK          RST   |  reply: SYN   SYNACK    FIN         ACK          RST
NONE         |  SYN_SENT        -         -           ESTABLISHED  -     |  -            -         -           -            -
SYN_SENT     |  SYN_SENT        -         -           -            CLOSE |  SYN_SENT2    SYN_RECV  -           ~            CLOSE
SYN_SENT2    |  SYN_SENT2       SYN_RECV  -           -            CLOSE |  SYN_SENT2    SYN_RECV  -           ~            CLOSE
SYN_RECV     |  ~               SYN_RECV  FIN_WAIT    ESTABLISHED  CLOSE |  -            ~         FIN_WAIT    SYN_RECV     CLOSE
ESTABLISHED  |  ~               -         FIN_WAIT    ESTABLISHED  CLOSE |  -            ~         FIN_WAIT    ESTABLISHED  CLOSE
FIN_WAIT     |  ~               -         LAST_ACK    CLOSE_WAIT   CLOSE |  -            ~         LAST_ACK    CLOSE_WAIT   CLOSE
CLOSE_WAIT   |  ~               -         LAST_ACK    CLOSE_WAIT   CLOSE |  -            ~         LAST_ACK    CLOSE_WAIT   CLOSE
LAST_ACK     |  ~               -         LAST_ACK    TIME_WAIT    CLOSE |  -            ~         LAST_ACK    TIME_WAIT    CLOSE
TIME_WAIT    |  SYN_SENT        -         TIME_WAIT   TIME_WAIT    CLOSE |  SYN_SENT     ~         TIME_WAIT   TIME_WAIT    CLOSE
CLOSE        |  SYN_SENT        -         CLOSE       CLOSE        CLOSE |  -            ~         CLOSE       CLOSE        CLOSE
"""
_COLUMNS = (TcpClass.SYN, TcpClass.SYNACK, TcpClass.FIN, TcpClass.ACK, TcpClass.RST)


def _transitions() -> tuple[tuple[tuple[int, ...], ...], ...]:
    """[0 original, 1 reply][class][state before]."""
    signs = {"~": Transition.IGNORE, "-": Transition.INVALID, **ConnectionState.__members__}
    table = [[[int(Transition.INVALID)] * len(ConnectionState) for _ in TcpClass] for _ in range(2)]
    for line in _TRANSITIONS.strip().splitlines()[1:]:
        before, *directions = line.split("|")
        for number, direction in enumerate(directions):
            for kind, after in zip(_COLUMNS, direction.split(), strict=True):
                table[number][kind][ConnectionState[before.strip()]] = int(signs[after])
    return tuple(tuple(tuple(row) for row in direction) for direction in table)


TCP_TRANSITIONS = _transitions()

_TIMEOUTS = {
    ConnectionState.SYN_SENT: 120, ConnectionState.SYN_RECV: 60, ConnectionState.ESTABLISHED: 432_000,
    ConnectionState.FIN_WAIT: 120, ConnectionState.CLOSE_WAIT: 60, ConnectionState.LAST_ACK: 30, ConnectionState.TIME_WAIT: 120,
    ConnectionState.CLOSE: 10, ConnectionState.SYN_SENT2: 120,
}

TCP_TIMEOUTS = tuple(_TIMEOUTS.get(state, 0) for state in ConnectionState)
"""Seconds by state: the defaults of net.netfilter.nf_conntrack_tcp_timeout_*."""

TCP_UNACKNOWLEDGED_TIMEOUT = 300
"""... of ESTABLISHED while no answer, or no acknowledgement of data, was seen (nf_conntrack_tcp_timeout_unacknowledged)."""
