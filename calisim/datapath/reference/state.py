"""What outlives a wave: connections per router and counters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from ...control.intent import Intent
from ...vocabulary import AFFINITY, CONNECTION, PMTU, ConnectionFlag, Device, Direction, DropReason, Verdict
from .fragments import Reassembly
from .tracking import SECOND, Connection, ConnectionTable
from .walk import Header

LEAST_PATH_MTU = 552                       # net.ipv4.route.min_pmtu
PATH_LIFETIME = 600 * SECOND               # net.ipv4.route.mtu_expires


class ReferenceState:
    """Tables by ``Router.key`` and counters by link, by place and reason, by verdict, by object of policy."""

    def __init__(self, intent: Intent) -> None:
        self.conntrack: defaultdict[int, ConnectionTable] = defaultdict(ConnectionTable)
        self.groups: defaultdict[int, ConnectionTable] = defaultdict(ConnectionTable)
        self.links = np.zeros((len(intent.routers) + 1, len(Device), len(Direction), 2), dtype=np.uint64)
        self.drops = np.zeros((len(intent.places) + 1, len(DropReason)), dtype=np.uint64)
        self.verdicts = np.zeros(len(Verdict), dtype=np.uint64)
        self.hits = np.zeros(len(intent.objects) + 1, dtype=np.uint64)
        self._intent = intent
        self.icmp_credit: dict[tuple[int, int], tuple[int, int]] = {}     # (who, to whom): ns, when
        self.paths: dict[tuple[int, int], tuple[int, int]] = {}           # (source, destination): path MTU, until when
        self.fragments = Reassembly()
        self.affinity: dict[tuple[int, int, int], tuple[int, int, int]] = {}     # (router, service, client): address, port, until
        self.waves = 0                     # how many this state has seen
        self.latest = 0                    # time of the latest packet seen, ns

    def fit(self, intent: Intent) -> None:
        """Objects are numbered anew by each Intent."""
        if intent is not self._intent:
            self._intent, self.hits = intent, np.zeros(len(intent.objects) + 1, dtype=np.uint64)

    def path_mtu(self, src: int, dst: int, mtu: int, time: int) -> int:
        """The most that the stack with address ``src`` sends to ``dst`` in one piece, ``mtu`` by its interface."""
        learnt, expires = self.paths.get((src, dst), (mtu, 0))
        return min(mtu, learnt) if expires > time else mtu

    def learn(self, quote: Header, mtu: int, time: int) -> None:
        """A frag-needed narrows the path of what it quotes, for ten minutes; half of them must be over to say it again."""
        path = quote.src, quote.dst
        known, expires = self.paths.get(path, (0, 0))
        alive = expires > time
        new = max(mtu, LEAST_PATH_MTU)
        if alive and mtu < LEAST_PATH_MTU:
            new = min(new, known)
        if not alive or new < known or (new == known and expires <= time + PATH_LIFETIME // 2):
            self.paths[path] = new, min(time + PATH_LIFETIME, 2**64 - 1)

    def path_mtus(self) -> np.ndarray:
        """PMTU records that hold at the latest packet time, sorted by source and destination."""
        rows = [(*path, *known) for path, known in sorted(self.paths.items()) if known[1] > self.latest]
        return np.array(rows, PMTU)

    def affinities(self) -> np.ndarray:
        """AFFINITY records that hold at the latest packet time, sorted by router, service and client."""
        rows = [(*who, *endpoint) for who, endpoint in sorted(self.affinity.items()) if endpoint[2] > self.latest]
        return np.array(rows, AFFINITY)

    def connections(self) -> np.ndarray:
        """CONNECTION records of what is alive at the latest packet time, sorted by key, tracker and ordinal."""
        rows = sorted(self._live(), key=lambda row: (row[0], row[1], row[2].ordinal))
        found = np.zeros(len(rows), dtype=CONNECTION)
        for record, (key, flags, entry) in zip(found, rows, strict=True):
            record["key"], record["flags"], record["ordinal"] = key, flags, entry.ordinal
            for prefix, flow in (("", entry.original), ("reply_", entry.reply)):
                for name in ("src", "dst", "sport", "dport"):
                    record[prefix + name] = getattr(flow, name)
            record["protocol"] = entry.original.protocol
            for name in ("state", "history", "created", "expires", "packets", "reply_packets", "wave"):
                record[name] = getattr(entry, name)
        return found

    def _live(self) -> Iterator[tuple[int, int, Connection]]:
        for flags, tables in ((0, self.conntrack), (ConnectionFlag.TRACKED_BY_FABRIC, self.groups)):
            for key, table in tables.items():
                yield from ((key, flags, entry) for entry in table if entry.expires > self.latest)
