"""A row of a wave and the packet on its way that it stands for: PACKET and HEADER in, PACKET and HEADER out.

Out go the packets that a journey gives rise to; they take along what their parent has become.
"""

from __future__ import annotations

import numpy as np

from ...control.intent import Endpoint
from ...vocabulary import HEADER, PACKET, Encap, PacketFlag, ResultFlag
from ...vocabulary.encaps import encapsulation
from .walk import ICMP, Header, Onward, Walk

UNREACHABLE, TIME_EXCEEDED = 3, 11         # ICMP types
OUTER = tuple(name for name in HEADER.names or () if name.startswith("outer_"))
POSITION = PacketFlag.DF | PacketFlag.MF | PacketFlag.OFFSET           # all but the reserved bit


def read(row: int, record: np.void, header: np.void, sender: Endpoint | None) -> Walk:
    """The packet of a row before its first step."""
    fields = {name: int(record[name]) for name in (
        "src", "dst", "sport", "dport", "protocol", "ttl", "tos", "length", "fragment")}
    inner = Header(**fields, id=int(header["id"]), datagram=int(header["datagram"]))
    walk = Walk(
        row=row, time=int(record["time"]), ingress=int(record["ingress"]), sender=sender, sent=header, inner=inner,
        tcp_flags=int(record["tcp_flags"]), largest=int(header["largest"]))
    _wrap(walk, header)
    _quote(walk, header)
    return walk


def _wrap(walk: Walk, header: np.void) -> None:
    """The outer header that a packet is sent with, if it is sent encapsulated in a way that is known."""
    code = int(header["encap"])
    walk.sent_encapsulated = code != Encap.NONE
    if code == Encap.NONE or code not in list(Encap):
        return
    layout = encapsulation(code)
    outer = Header(
        src=int(header["outer_src"]), dst=int(header["outer_dst"]), protocol=layout.protocol,
        sport=int(header["outer_sport"]) if layout.port else 0, dport=layout.port, ttl=int(header["outer_ttl"]),
        tos=int(header["outer_tos"]), length=walk.inner.length + layout.overhead,
        fragment=int(header["outer_fragment"]) & POSITION, id=int(header["outer_id"]), datagram=int(header["outer_datagram"]))
    if outer.is_piece:
        outer.length = int(header["outer_length"])
    walk.outer = walk.last_outer = outer
    walk.encap = walk.last_encap = Encap(code)
    walk.flags |= ResultFlag.ENCAP


def _quote(walk: Walk, header: np.void) -> None:
    """The header that an ICMP error is about; an error that quotes none, a piece or another error is not understood."""
    if walk.inner.is_later_piece:
        return
    if walk.inner.protocol != ICMP or walk.inner.icmp_type not in (UNREACHABLE, TIME_EXCEEDED) or header["quote_length"] < 20:
        return
    fields = {name: int(header[f"quote_{name}"]) for name in (
        "src", "dst", "sport", "dport", "protocol", "ttl", "tos", "length", "fragment")}
    quote = Header(**fields)
    understood = quote.protocol != ICMP or quote.icmp_type in (0, 8)
    if understood and not quote.is_later_piece:
        walk.quoted, walk.told_mtu = quote, int(header["mtu"])


def packet_row(walk: Walk) -> dict[str, int]:
    """The PACKET that the walk has become."""
    inner = {name: getattr(walk.inner, name) for name in PACKET.names or () if hasattr(walk.inner, name)}
    return {**inner, "tcp_flags": walk.tcp_flags, "ingress": walk.ingress, "time": walk.time}


def header_row(walk: Walk, onward: Onward) -> dict[str, int]:
    """Its HEADER, with the place from which it goes on."""
    row = {name: int(walk.sent[name]) for name in HEADER.names or ()}
    row |= dict.fromkeys(OUTER, 0)
    if walk.outer is not None:
        row |= {name: getattr(walk.outer, name.removeprefix("outer_")) for name in OUTER}
        row["outer_length"] = walk.outer.length if walk.outer.is_piece else 0
    if walk.quoted is not None:
        row |= {f"quote_{name}": getattr(walk.quoted, name) for name in ("src", "dst", "sport", "dport")}
    return row | {
        "encap": walk.encap, "id": walk.inner.id, "datagram": walk.inner.datagram, "largest": walk.largest,
        "resume": onward.resume, "resume_at": onward.resume_at, "device": onward.device,
        "place": row["place"] if onward.place is None else onward.place}


def records(rows: list[dict[str, int]], dtype: np.dtype) -> np.ndarray:
    """Rows as an array of records; what a row does not name is 0."""
    made = np.zeros(len(rows), dtype)
    for record, row in zip(made, rows, strict=True):
        for name, value in row.items():
            record[name] = value
    return made
