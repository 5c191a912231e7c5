"""What became of the packets of a wave when all that they gave rise to has come to its end.

A packet that went on as other packets (CONTINUED) has the fate of these: cut, it arrived if all its pieces did, else it has the
fate of the first piece that did not; held, it has that of the datagram it became part of. A piece whose datagram never
became whole stays CONTINUED at DEFRAGMENT. RESULT's other fields tell of the whole journey: hops and flags add up, ``wire`` is
what all pieces took on the sending node's interface (at most 65,535: the field's room), the connection is the first node's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..vocabulary import HEADER, Encap, PacketFlag, Relation, ResultFlag, Stage, Verdict
from .generations import Generation

_PIECE = int(PacketFlag.MF | PacketFlag.OFFSET)
_KEY = np.dtype([
    ("where", "<u4"), ("src", "<u4"), ("dst", "<u4"), ("number", "<u4"), ("protocol", "<u2"), ("numbered", "u1"),
    ("outer", "u1")])
# Which piece tells the fate of its packet: a lost one, an unknown one, one that waits; else a delivered, an exited one.
_RANK = np.full(256, 2, np.int64)
_RANK[[Verdict.DROPPED, Verdict.REFUSED, Verdict.UNDETERMINED, Verdict.DELIVERED, Verdict.EXITED]] = 0, 0, 1, 3, 4
_SAME_LEG = (Stage.DECAPSULATE, Stage.CONNTRACK, Stage.FRAGMENT, Stage.FABRIC_OUT)     # to resume there is no further hop
_WIRE_ROOM = 0xFFFF


def continued(results: np.ndarray) -> np.ndarray:
    """Which rows go on as other packets."""
    return results["verdict"] == Verdict.CONTINUED


def settled(family: Sequence[Generation]) -> np.ndarray:
    """RESULT rows of the first wave of a family (a wave and all its offspring): the fate of each when all is over."""
    first = family[0].results.results
    if not continued(first).any():
        return first
    return _Tree(family).fates[:len(first)]


def heirs_of(family: Sequence[Generation]) -> np.ndarray:
    """For all packets of a family, one generation after the other: the row of the one that tells its fate (-1: itself)."""
    return _Tree(family).heirs


def lineage(family: Sequence[Generation], row: int) -> list[tuple[int, int]]:
    """The packets that tell the story of a row of the first wave, as (generation, row): itself, then of its pieces the one that
    has its fate, then the datagram that this became part of, and so on."""
    tree = _Tree(family)
    heirs, story = tree.heirs, [row]
    while heirs[story[-1]] >= 0:
        story.append(int(heirs[story[-1]]))
    generation = np.searchsorted(tree.start, story, side="right") - 1
    return [(int(number), one - int(tree.start[number])) for number, one in zip(generation, story, strict=True)]


def root_rows(family: Sequence[Generation]) -> list[np.ndarray]:
    """For every generation: from which row of the first wave each packet stems."""
    roots = [np.arange(len(family[0].packets))]
    for generation in family[1:]:
        assert generation.causes is not None
        roots.append(roots[-1][generation.causes["parent"]])
    return roots


def with_path(results: np.ndarray) -> np.ndarray:
    """The rows with the path class that their other fields say."""
    verdict, reason, encap, hops = (results[name].astype(np.uint32) for name in ("verdict", "reason", "encap", "hops"))
    results["path"] = verdict | reason << 3 | encap << 9 | np.minimum(hops, 15) << 12 | (results["flags"] & 0xFF) << 16
    return results


class _Tree:
    """All rows of a family one after the other (those of each generation from ``start`` on): ``fates``, their RESULTs when all
    is over, and ``heirs``, the row that tells each one's fate (-1: it does so itself)."""

    def __init__(self, family: Sequence[Generation]) -> None:
        self._family = family
        self.start = np.cumsum([0, *(len(generation.packets) for generation in family)])
        self.fates = np.concatenate([generation.results.results for generation in family])
        self._own = self.fates.copy()
        self._headers = np.concatenate([
            np.zeros(len(generation.packets), HEADER) if generation.headers is None else generation.headers
            for generation in family])
        self._lengths = np.concatenate([generation.packets["length"] for generation in family]).astype(np.int64)
        self.heirs = np.full(len(self.fates), -1, np.int64)
        self._whole, self._before, self._total = self._datagrams()
        for number in range(len(family) - 1, -1, -1):
            self._fold(number)

    def _fold(self, number: int) -> None:
        """Settle what one generation has left to others."""
        start, end = self.start[number], self.start[number + 1]
        rows = start + np.flatnonzero(continued(self._own[start:end]))
        held = rows[self._whole[rows] >= 0]
        if len(held):
            self._take(held, self._whole[held], self._share(held))
        if number + 1 < len(self._family):
            self._gather(number)

    def _gather(self, number: int) -> None:
        """The fates of packets that were cut, from their pieces."""
        causes = self._family[number + 1].causes
        assert causes is not None
        children = np.flatnonzero(causes["relation"] == Relation.PIECE)
        if not len(children):
            return
        parents = causes["parent"][children].astype(np.int64)
        rows = self.start[number + 1] + children
        fates = self.fates[rows]
        order = np.lexsort((rows, _RANK[fates["verdict"]], parents))
        cut, first = np.unique(parents[order], return_index=True)
        wire = np.bincount(parents, fates["wire"], int(cut[-1]) + 1)[cut].astype(np.int64)
        self._take(self.start[number] + cut, rows[order][first], wire)

    def _take(self, rows: np.ndarray, heirs: np.ndarray, wire: np.ndarray) -> None:
        """Each row gets the fate of its heir, told as the end of its own journey."""
        own, fate = self._own[rows], self.fates[heirs]
        made = fate.copy()
        early = (own["hops"] <= 1) & np.isin(own["stage"], (Stage.ENDPOINT, Stage.DEFRAGMENT))     # conntrack has not seen it yet
        flags = np.where(early, fate["flags"], fate["flags"] & ~np.uint32(ResultFlag.NEW))
        made["flags"] = own["flags"] | flags
        made["connection"] = np.where(early, fate["connection"], own["connection"])
        again = (fate["hops"] > 0) & np.isin(self._headers["resume"][heirs], _SAME_LEG)
        made["hops"] = np.minimum(own["hops"].astype(np.int64) + fate["hops"] - again, 255)
        made["wire"] = np.where(own["wire"], own["wire"], np.minimum(wire, _WIRE_ROOM))
        arrived = np.isin(fate["verdict"], (Verdict.DELIVERED, Verdict.EXITED))
        made["detail"] = np.where(arrived & (own["detail"] != 0), own["detail"], fate["detail"])
        plain = fate["encap"] == Encap.NONE
        for name in ("encap", "outer_src", "outer_dst"):
            made[name] = np.where(plain, own[name], fate[name])
        self.fates[rows] = with_path(made)
        self.heirs[rows] = heirs

    # --- pieces and the datagrams that they became

    def _datagrams(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For every row: the row of the datagram that it became part of (-1: of none), the bytes of that datagram's pieces
        before it, and of all of them."""
        count = int(self.start[-1])
        whole, before, total = np.full(count, -1, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
        held = np.flatnonzero(continued(self._own) & (self._own["stage"] == Stage.DEFRAGMENT))
        closing, made = self._wholes()
        if not len(held) or not len(closing):
            return whole, before, total
        # A piece belongs to the datagram of its key that was completed first after it (or by it).
        _, numbers = np.unique(np.concatenate([self._keys(held), self._keys(closing)]), return_inverse=True)
        key = numbers.reshape(-1).astype(np.uint64) << np.uint64(36)
        piece: np.ndarray = key[:len(held)] | held.astype(np.uint64)
        closed: np.ndarray = key[len(held):] | closing.astype(np.uint64)
        order = np.argsort(closed)
        at = np.searchsorted(closed[order], piece)
        nearest = order[np.minimum(at, len(order) - 1)]
        same = (at < len(order)) & (closed[nearest] >> np.uint64(36) == piece >> np.uint64(36))
        whole[held[same]] = made[nearest[same]]
        held = held[same]
        held = held[np.argsort(whole[held], kind="stable")]
        lengths = self._lengths[held]
        _, first, size = np.unique(whole[held], return_index=True, return_counts=True)
        sums = np.cumsum(lengths)
        base = (sums - lengths)[first]
        before[held] = sums - lengths - np.repeat(base, size)
        total[held] = np.repeat(np.add.reduceat(lengths, first), size)
        return whole, before, total

    def _wholes(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the pieces that closed a datagram, and of the datagrams."""
        closing, made = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for number, generation in enumerate(self._family):
            if generation.causes is None:
                continue
            rows = np.flatnonzero(generation.causes["relation"] == Relation.WHOLE)
            closing.append(self.start[number - 1] + generation.causes["parent"][rows].astype(np.int64))
            made.append(self.start[number] + rows)
        return np.concatenate(closing), np.concatenate(made)

    def _keys(self, rows: np.ndarray) -> np.ndarray:
        """What says which pieces belong together."""
        packets = np.concatenate([generation.packets for generation in self._family])[rows]
        headers, results = self._headers[rows], self._own[rows]
        outer = (headers["encap"] != Encap.NONE) & (headers["outer_fragment"] & _PIECE != 0)
        datagram = np.where(outer, headers["outer_datagram"], headers["datagram"])
        keys = np.zeros(len(rows), _KEY)
        keys["where"], keys["outer"], keys["numbered"] = results["where"], outer, datagram != 0
        keys["src"] = np.where(outer, headers["outer_src"], results["src"])
        keys["dst"] = np.where(outer, headers["outer_dst"], results["dst"])
        keys["number"] = np.where(datagram, datagram, np.where(outer, headers["outer_id"], headers["id"]))
        keys["protocol"] = np.where(outer, 256 + headers["encap"].astype(np.int64), packets["protocol"])
        return keys

    def _share(self, held: np.ndarray) -> np.ndarray:
        """Of the bytes that a datagram took on the first wire what is each piece's: by length, so that the sum is right."""
        wire, before, total = self.fates["wire"][self._whole[held]].astype(np.int64), self._before[held], self._total[held]
        return wire * (before + self._lengths[held]) // total - wire * before // total
