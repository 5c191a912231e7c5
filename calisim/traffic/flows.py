"""Traffic sets → waves of packets, and the answers that receivers give.

Takes the scenario's traffic sets and the Intent's endpoints; gives PACKET arrays of at most
2**20 rows, made column by column. Knows nothing of what becomes of a packet, but for the RESULT of a wave
whose answers are wanted.
"""

from __future__ import annotations

import numpy as np

from ..control.intent import Intent
from ..vocabulary import PACKET, PacketFlag, Verdict
from .batch import ACK, ECHO_REPLY, ECHO_REQUEST, FIN, ICMP, PSH, RST, SYN, TCP

ANSWER_DELAY = 1_000                 # ns between a packet and its answer: nothing expires, the order in time is kept
BARE_SEGMENT = 40                    # bytes of a TCP segment without options and payload


def answered(wave: np.ndarray, results: np.ndarray) -> np.ndarray:
    """Which rows get an answer: delivered, and of a kind that a stack answers (no RST, bare ACK or echo reply)."""
    flags, protocol = wave["tcp_flags"], wave["protocol"]
    segment = ((flags & (SYN | FIN | PSH)) != 0) & ((flags & RST) == 0)
    echo = wave["dport"] == ECHO_REQUEST
    asks = np.where(protocol == TCP, segment, np.where(protocol == ICMP, echo, True))
    return (results["verdict"] == Verdict.DELIVERED) & asks


def reply_wave(wave: np.ndarray, results: np.ndarray, intent: Intent) -> np.ndarray:
    """The answers to the delivered packets as the next wave, in the order of :func:`answered` rows.

    The receiver swaps the tuple as it saw it (after NAT): SYN → SYN-ACK, other segments → ACK, echo request →
    reply, anything else → as much back.
    """
    rows = np.flatnonzero(answered(wave, results))
    asked, seen = wave[rows], results[rows]
    answers = np.zeros(len(rows), dtype=PACKET)
    answers["src"], answers["dst"] = seen["dst"], seen["src"]
    echo, tcp = asked["protocol"] == ICMP, asked["protocol"] == TCP
    answers["sport"] = np.where(echo, seen["sport"], seen["dport"])
    answers["dport"] = np.where(echo, ECHO_REPLY, seen["sport"])
    opens = (asked["tcp_flags"] & (SYN | ACK)) == SYN
    answers["tcp_flags"] = np.where(tcp, np.where(opens, SYN | ACK, ACK), 0)
    answers["length"] = np.where(tcp, BARE_SEGMENT, asked["length"])
    answers["ttl"], answers["protocol"] = 64, asked["protocol"]
    answers["fragment"] = asked["fragment"] & PacketFlag.DF
    answers["time"] = asked["time"] + ANSWER_DELAY
    answers["ingress"] = _endpoints_at(seen["dst"], intent)
    return answers


def _endpoints_at(addresses: np.ndarray, intent: Intent) -> np.ndarray:
    """Endpoint ids by address; 0 where nobody has it."""
    if not intent.address_owners:
        return np.zeros(len(addresses), dtype=np.uint32)
    known = np.array(sorted(intent.address_owners.items()), dtype=np.uint32)
    at = np.minimum(np.searchsorted(known[:, 0], addresses), len(known) - 1)
    return np.where(known[at, 0] == addresses, known[at, 1], 0).astype(np.uint32)
