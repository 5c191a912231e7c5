"""Headers as bytes: the compiled deparser over the crossings of a wave, and what one would otherwise take, Scapy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datapath.deparse import Deparser, Tunnels
from ..quantities import format_address
from ..vocabulary import Encap
from ..vocabulary.chance import draw
from .measure import Columns

if TYPE_CHECKING:
    from ..analysis.network import Network

SNAP = 64                       # bytes of each crossing: IP in IP and TCP
_CHUNK = 4096                   # crossings at a time, as a capture is written
_TEXT = b"calisim "             # what TCP's made-up payload repeats; UDP's is zeros
_WINDOW = 64240


class Headers:
    """The interface crossings of a wave without tunnels other than IPIP, as the first bytes of each."""

    def __init__(self, network: Network, packets: np.ndarray, few: int) -> None:
        engine, seed = network.engine, network.intent.seed
        events = engine.forward(packets, engine.new_state(), events=True).events
        assert events is not None
        self.events, self.seed, self.count, self.few = events, seed, len(events), min(few, len(events))
        self._deparser = Deparser(events, Tunnels(seed))
        self._chunks = [np.arange(start, min(start + _CHUNK, self.count)) for start in range(0, self.count, _CHUNK)]
        self._made: list[np.ndarray] = []
        self._scapy: list[bytes] = []

    def reset(self) -> None:
        self._made = []

    def work(self) -> None:
        self._made = [self._deparser.deparse(chunk, SNAP).octets for chunk in self._chunks]

    def output(self) -> Columns:
        return {"octets": np.concatenate(self._made)}

    def claimed(self, count: int, names: Sequence[str]) -> Columns:
        return {"octets": self._deparser.deparse(np.arange(count), SNAP).octets}

    def prepare_scapy(self) -> Callable[[], None]:
        """Fields as Scapy takes them, made before the clock runs; identifications of tunnels are given, they are drawn."""
        from scapy.layers.inet import IP, TCP, UDP
        from scapy.packet import Raw

        rows = [self._row(event) for event in self.events[:self.few]]

        def build(row: dict[str, Any]) -> bytes:
            if row["protocol"] == 6:
                segment = TCP(sport=row["sport"], dport=row["dport"], seq=0, ack=0, flags=row["flags"], window=_WINDOW)
                size, text = row["length"] - 40, _TEXT
            else:
                segment, size, text = UDP(sport=row["sport"], dport=row["dport"]), row["length"] - 28, b"\0"
            payload = Raw((text * (size // len(text) + 1))[:size])
            packet = IP(**row["inner"], flags="DF") / segment / payload
            if row["outer"]:
                packet = IP(**row["outer"], flags="DF") / packet
            return bytes(packet)[:SNAP]

        def work() -> None:
            self._scapy = [build(row) for row in rows]

        return work

    def scapy_output(self) -> Columns:
        return {"octets": np.frombuffer(b"".join(self._scapy), np.uint8)}

    def _row(self, event: np.void) -> dict[str, Any]:
        number = {name: int(event[name]) for name in event.dtype.names or ()}
        identification = number["row"] + 1 & 0xFFFF
        inner = _addresses(number, "") | {"id": identification}
        outer = {}
        if number["encap"] == Encap.IPIP:
            drawn = draw(
                self.seed, number["time"], identification << 16 | number["fragment"], number["src"] << 32 | number["dst"],
                number["outer_src"] << 32 | number["outer_dst"])
            outer = _addresses(number, "outer_") | {"id": drawn & 0xFFFF}
        return {name: number[name] for name in ("sport", "dport", "protocol", "length")} | {
            "flags": number["tcp_flags"], "inner": inner, "outer": outer}


def _addresses(number: dict[str, int], prefix: str) -> dict[str, Any]:
    """Fields of an IPv4 header as Scapy names them."""
    return {
        "src": format_address(number[f"{prefix}src"]), "dst": format_address(number[f"{prefix}dst"]),
        "ttl": number[f"{prefix}ttl"], "tos": number[f"{prefix}tos"]}
