"""State of the compiled engine: connections and counters as numpy arrays – the only thing that forwarding changes.

Connections carry the key of their router and ordinals are kept by key, so that a state can be carried on to the image of a
network to which nodes have been added (:meth:`State.fit`). All that belongs to a router lies in one of the :mod:`.shards`, as
many as threads have ever been asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from .._fastpath import EVEN_ROWS, HOME_NOT_KNOWN, RIDE_SIZE, SHARDS, WAVE_NUMBER, pay_all
from ..fib.image import FibImage
from ..vocabulary import PMTU, ConnectionFlag, EndpointKind, RouterFlag
from .fragments import Fragments
from .shards import Common, Counters, Shard

_MOST_UNSETTLED = 1 << 30                  # packets; a flow counts its own in 31 bits
_LEAST_PATH_MTU = 552                      # net.ipv4.route.min_pmtu
_PATH_LIFETIME = 600_000_000_000           # net.ipv4.route.mtu_expires, ns


class State:
    """``shards`` with connections, affinities and counters (Counters says which), what they have in common, and what stacks
    know: paths' MTUs, how many errors may be sent, the pieces that wait."""

    def __init__(self, image: FibImage) -> None:
        self.keys = image.routers["key"]
        self._image = image
        self._common = Common.of(len(self.keys), sourced=_sticks(image))
        self.shards = [Shard(0, self._common, Counters.of(image), Counters.room(image))]
        self.homes = np.empty(0, np.uint8)                            # shard of each endpoint's router, with more than one shard
        self.icmp_tokens: dict[tuple[int, int], tuple[int, int]] = {}  # (router key, or place after the last), to whom
        self._known_paths: dict[tuple[int, int], tuple[int, int]] = {}      # source, destination: MTU, until when
        self.fragments = Fragments()
        self.wave = 0                                                 # number of the last wave
        self.lively = 0                                               # number of the last one in which short cuts were taken
        self.latest = 0                                               # the latest packet time seen
        self._unsettled = 0                                           # packets of waves since all flows were settled, at most
        self._paid = True                                             # nothing is owed to connections
        self._rides = np.empty(0, np.uint8)

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """For all shards but one, which is the caller's."""
        return ThreadPoolExecutor(SHARDS - 1, "calisim")

    def dismiss(self) -> None:
        """The next threads are others: an executor that was interrupted takes some for idle that are not, and asks nobody."""
        vars(self).pop("threads", None)

    @property
    def links(self) -> np.ndarray:
        return self._counted("links")

    @property
    def drops(self) -> np.ndarray:
        return self._counted("drops")

    @property
    def verdicts(self) -> np.ndarray:
        return self._counted("verdicts")

    @property
    def hits(self) -> np.ndarray:
        return self._counted("hits")

    def _counters(self) -> Counters:
        return Counters(self.links, self.drops, self.verdicts, self.hits)

    def _counted(self, name: str) -> np.ndarray:
        try:
            others = [self.threads.submit(shard.ledger.settle) for shard in self.shards[1:]]
            self.shards[0].ledger.settle()         # here, where its flows are in the cache
            for other in others:
                other.result()
        except BaseException:
            self.dismiss()
            raise
        counted, *more = [getattr(shard.counters, name) for shard in self.shards]
        for some in more:                          # in place: memory that is new to the process takes longer
            counted += some
            some[...] = 0
        return counted

    def rides(self, packets: int) -> np.ndarray:
        """Room for each shard to write down, of each of so many packets of a wave, that a short cut is trusted with it."""
        room = packets * RIDE_SIZE
        if packets <= EVEN_ROWS and len(self._rides) < room:
            self._rides = np.empty(room, np.uint8)
        self._paid = False
        return self._rides

    def _pay(self) -> None:
        """Connections get what short cuts owe to them."""
        if not self._paid:
            pay_all([shard.ledger for shard in self.shards], self.wave)
            self._paid = True

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many there are: connections, affinities, flows."""
        connections, sessions, flows, *_ = zip(*(shard.ledger.counts for shard in self.shards), strict=True)
        return sum(connections), sum(sessions), sum(flows)

    def connections(self) -> np.ndarray:
        """What is alive at the latest packet time seen, sorted by router key, kind (conntrack first) and ordinal."""
        self._pay()
        records = [shard.connections for shard in self.shards]
        alive = np.concatenate([some[some["expires"] > self.latest] for some in records])
        alive["wave"] &= WAVE_NUMBER
        return alive[np.lexsort((alive["ordinal"], alive["flags"] & ConnectionFlag.TRACKED_BY_FABRIC, alive["key"]))]

    def affinities(self) -> np.ndarray:
        """AFFINITY records that hold at the latest packet time seen, sorted by router key, service and client."""
        alive = np.concatenate([shard.sessions[shard.sessions["expires"] > self.latest] for shard in self.shards])
        return alive[np.lexsort((alive["client"], alive["service"], alive["key"]))]

    def path_mtus(self) -> np.ndarray:
        """PMTU records that hold at the latest packet time seen."""
        return self._common.paths[self._common.paths["expires"] > self.latest]

    def learn(self, lessons: Iterable[tuple[int, int, int, int]]) -> None:
        """Source, destination, MTU and time of what frag-needed errors quote (ip_rt_update_pmtu): never more than is known."""
        for src, dst, told, time in lessons:
            expires = min(time + _PATH_LIFETIME, 2**64 - 1)
            mtu, until = self._known_paths.get((src, dst), (0, 0))
            if until <= time:
                self._known_paths[src, dst] = max(told, _LEAST_PATH_MTU), expires
                continue
            told = min(mtu, _LEAST_PATH_MTU) if told < _LEAST_PATH_MTU else told
            if told < mtu or (told == mtu and until <= time + _PATH_LIFETIME // 2):
                self._known_paths[src, dst] = told, expires
        self._common.paths = np.array([(*path, *known) for path, known in sorted(self._known_paths.items())], PMTU)
        self._forget_flows()

    def may_complain(self, where: int, receiver: int, time: int, span: int, *, no_route: bool) -> bool:
        """Whether one more ICMP error may be sent at ``time``: one each ``span`` ns, six after a silence; for want of a route
        one each second, five after a silence."""
        speaker = int(self.keys[where]) if where < len(self.keys) else len(self.keys) - 1 - where
        held, last = self.icmp_tokens.get((speaker, receiver), (60_000_000_000, time))
        held += max(0, time - last)
        cost = 1_000_000_000 if no_route else 0
        held = min(held, 5 * cost) if no_route else held
        allowed = held >= cost
        if allowed:
            held = min(held - cost, 6 * span)
            allowed = held >= span
            held -= span * allowed
        self.icmp_tokens[speaker, receiver] = held, max(last, time)
        return allowed

    def share(self, count: int) -> None:
        """Have at least so many shards (or as many as there may be)."""
        if min(count, SHARDS) > len(self.shards):
            self._distribute(min(count, SHARDS), self._counters())

    def _distribute(self, count: int, counters: Counters) -> None:
        """Routers in turn to so many shards, and to each what belongs to its routers, in its order."""
        self._pay()
        records = np.concatenate([known[known["expires"] > 0] for known in (shard.connections for shard in self.shards)])
        sessions = np.concatenate([shard.sessions[shard.sessions["expires"] > 0] for shard in self.shards])
        self._common.shards = (np.arange(len(self.keys)) % count).astype(np.uint8)
        self.shards = [
            Shard(number, self._common, Counters.of(self._image) if number else counters, Counters.room(self._image), count)
            for number in range(count)]
        for shard in self.shards:
            shard.take(*(known[self._shards_of(known["key"]) == shard.number] for known in (records, sessions)))
        endpoints = self._image.endpoints
        self.homes = self._common.shards[endpoints["router"]]
        self.homes[endpoints["kind"] == EndpointKind.HOST] = HOME_NOT_KNOWN

    def _shards_of(self, keys: np.ndarray) -> np.ndarray:
        """Of routers that are not there any more the first one."""
        at, known = self._numbers_of(keys)
        return np.where(known, self._common.shards[at], 0)

    def _numbers_of(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The routers with these keys, and whether there is one."""
        at = np.minimum(np.arange(len(keys)), len(self.keys) - 1)
        moved = np.flatnonzero(self.keys[at] != keys)                 # nearly none where nodes join or leave at the end
        if len(moved):
            order = np.argsort(self.keys)
            at[moved] = order[np.minimum(np.searchsorted(self.keys, keys[moved], sorter=order), len(order) - 1)]
        return at, self.keys[at] == keys

    def reckon(self, packets: int) -> None:
        """With a wave of so many."""
        self._unsettled += packets
        if self._unsettled > _MOST_UNSETTLED:
            self._pay()
            for shard in self.shards:
                shard.ledger.settle()
            self._unsettled = packets

    @property
    def untidy(self) -> bool:
        """It may pay to tidy."""
        return any(shard.untidy for shard in self.shards) or self.fragments.waiting

    def tidy(self, earliest: int) -> None:
        """Forget what is over at ``earliest``: pieces, and connections where they take up much of a table."""
        self.fragments.expire(earliest)
        untidy = [shard for shard in self.shards if shard.untidy]
        if untidy:
            self._pay()
            moved = untidy                         # or who knows
            try:
                moved = [shard for shard in untidy if shard.tidy(earliest)]
            finally:
                if moved:
                    self._forget_flows()

    def _forget_flows(self) -> None:
        """All shards at once: a Link to a Flow that is another one by now might lead to itself."""
        self._pay()
        for shard, blank in [(shard, shard.flows.blank()) for shard in self.shards]:
            shard.forget_flows(blank)

    def fit(self, image: FibImage) -> None:
        """Take on the routers and places of another image: what is kept by router follows its key, new routers begin at 0.
        Objects are numbered anew by each image."""
        if image is self._image:
            return
        old, new, ordinals, keys = self._counters(), Counters.room(image), self._common.ordinals, image.routers["key"]
        new.hits[:] = 0
        if np.array_equal(keys, self.keys) and old.drops.shape == new.drops.shape:
            self._image = image
            self._count_on(Counters(old.links, old.drops, old.verdicts, new.hits))
            return
        origin, known = self._numbers_of(keys)
        self._common.ordinals = np.zeros((len(keys), 2), np.uint32)
        for before, after in (
            (ordinals, self._common.ordinals), (old.links, new.links), (old.drops, new.drops[:len(keys)]),
        ):
            before.take(origin, axis=0, out=after, mode="clip")
            after[~known] = 0
        others = min(len(old.drops) - len(self.keys), len(new.drops) - len(keys))     # VPC routers and gateways stand last
        new.drops[len(keys):len(keys) + others] = old.drops[len(self.keys):len(self.keys) + others]
        new.drops[len(keys) + others:] = 0
        new.verdicts[:] = old.verdicts
        self.keys, self._image = keys, image
        self._common.shards = np.zeros(len(keys), np.uint8)
        self._count_on(new)

    def _count_on(self, counters: Counters) -> None:
        """With these counters, and without the flows, which rest on the tables."""
        sourced, self._common.sourced = self._common.sourced, self._common.sourced or _sticks(self._image)
        if len(self.shards) > 1:
            self._distribute(len(self.shards), counters)
            return
        self.shards[0].counters, self.shards[0].trial = counters, Counters.room(self._image)
        self._forget_flows()
        if sourced != self._common.sourced:
            self.shards[0].index_anew()


def _sticks(image: FibImage) -> bool:
    """Whether a router's masquerade asks which port a source had last."""
    return not (image.routers["flags"][1:] & RouterFlag.RANDOM_FULLY).all()
