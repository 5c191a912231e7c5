"""Calico's IPAM: which host gets which block, and which address of it. Stateful, like the datastore it stands for.

Rules as libcalico-go/lib/ipam has them: pools by name, a start block fixed for each host, ordinals first in first
out, at most 20 blocks a host, borrowing unless strictAffinity forbids it. Addresses are integers. Knows hosts by
name and labels only; nothing of nodes, pods or routes.

Two things are this model's own: for blocks of one address Calico starts at a place drawn from the clock, here it is the
host's as for all others; and a host's blocks are tried in the order of their names, as the datastore lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from ..quantities import Prefix, format_address, plural
from ..scenario.resources import IPAMConfiguration, IPPool
from ..selector import parse
from .start_block import start_index

DEFAULT_MAX_BLOCKS = 20          # of one host, where neither the request nor IPAMConfiguration says otherwise
MINIMUM_RECLAIM_AGE = 60.0       # seconds before another host may take an empty block


class Failure(Enum):
    """Why a request got less than it asked for."""

    NO_QUALIFIED_POOL = "NoQualifiedPool"
    BLOCK_LIMIT = "BlockLimit"
    NO_FREE_ADDRESS = "NoFreeAddress"
    NOT_IN_POOL = "NotInPool"
    IN_USE = "AlreadyExists"
    STRICT_AFFINITY = "StrictAffinity"


@dataclass(slots=True, eq=False)
class AllocationBlock:
    """A block of the datastore: ``affinity`` is its host, ``free`` the ordinals, the next one to be used last."""

    prefix: Prefix
    pool: int
    affinity: str
    free: list[int]
    claimed: float = 0.0
    used: set[int] = field(default_factory=set)                # ordinals

    @property
    def sort_key(self) -> str:
        """The datastore's own name of the block; lists come back in this order."""
        return f"{format_address(self.prefix.network).replace('.', '-')}-{self.prefix.length}"

    def take(self, count: int) -> list[int]:
        """So many addresses, or all that are free if there are fewer."""
        network, free = self.prefix.network, self.free
        ordinals = free[:-count - 1:-1]
        del free[len(free) - len(ordinals):]
        self.used.update(ordinals)
        return [network + ordinal for ordinal in ordinals]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a request got. ``borrowed`` are those of ``addresses`` that lie in blocks of other hosts."""

    addresses: tuple[int, ...] = ()
    borrowed: tuple[int, ...] = ()
    new_blocks: tuple[Prefix, ...] = ()
    failure: Failure | None = None
    message: str = ""


@dataclass(slots=True, eq=False)
class _Source:
    """A pool with its walk: ``unclaimed`` blocks that could still be made, ``room`` free addresses in those that exist."""

    index: int
    pool: IPPool
    size: int                             # addresses of a block
    count: int                            # blocks of the pool
    unclaimed: int = 0
    overlapping: tuple[_Source, ...] = ()
    blocks: dict[int, AllocationBlock] = field(default_factory=dict)    # by number inside the pool
    starts: dict[str, int] = field(default_factory=dict)

    def start(self, host: str) -> int:
        """Number of the block at which this host begins its walk."""
        if host not in self.starts:
            self.starts[host] = start_index(host, self.count)
        return self.starts[host]

    def number(self, address: int) -> int:
        return (address - self.pool.cidr.network) // self.size

    def prefix(self, number: int) -> Prefix:
        return Prefix(self.pool.cidr.network + number * self.size, self.pool.block_size)

    def walk(self, host: str) -> Iterator[int]:
        start = self.start(host)
        yield from range(start, self.count)
        yield from range(start)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """The pools that one kind of request may use, in order, or why there are none."""

    sources: tuple[_Source, ...]
    usable: frozenset[int] = frozenset()          # their numbers
    selecting: frozenset[int] = frozenset()       # pools that select the host, whatever the use
    failure: Failure | None = None
    message: str = ""


Refuse = Callable[[int, int, Assignment], None]


class Ipam:
    """Blocks and addresses of a cluster; ``now`` (seconds) is the clock that block affinities age by."""

    def __init__(
        self, pools: Sequence[IPPool], *, reservations: Iterable[Prefix] = (), configuration: IPAMConfiguration | None = None,
        host_labels: Mapping[str, Mapping[str, str]] | None = None,
        namespace_labels: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.pools = tuple(pools)
        self.configuration = configuration or IPAMConfiguration()
        self.now = 0.0
        self.blocks: dict[Prefix, AllocationBlock] = {}
        self.borrowed: dict[int, str] = {}        # address in the block of another → host
        self._reservations = tuple(reservations)
        self._host_labels, self._namespace_labels = host_labels or {}, namespace_labels or {}
        self._sources = tuple(self._source(index, pool) for index, pool in enumerate(self.pools))
        for source in self._sources:
            source.overlapping = tuple(
                other for other in self._sources if other is not source and other.pool.cidr.overlaps(source.pool.cidr))
            source.unclaimed = source.count
        self._enabled = sorted((one for one in self._sources if not one.pool.disabled), key=lambda source: source.pool.name)
        self._by_name = {
            key: source for source in reversed(self._enabled) for key in (source.pool.name, str(source.pool.cidr))}
        self._affine: dict[str, list[AllocationBlock]] = {}
        self._plans: dict[tuple[str, str | None, tuple[str, ...], str], _Plan] = {}
        self._chosen: dict[tuple[str, tuple[int, ...]], _Plan] = {}         # by the use and the pools that it may have
        self._room = [0] * len(self.pools)
        self._walked: dict[tuple[str, int], int] = {}        # how far a host has come on its walk for addresses to borrow
        self._serving: dict[tuple[str | None, tuple[str, ...]], dict[str, AllocationBlock]] = {}     # see assign_rounds

    # -- requests ------------------------------------------------------------------------------------------------

    def assign(
        self, host: str, count: int = 1, *, use: str = "Workload", namespace: str | None = None, pools: Sequence[str] = (),
        max_blocks: int = 0,
    ) -> Assignment:
        """Up to ``count`` addresses for ``host``; ``pools`` are names or CIDRs and switch every selector off."""
        plan = self._plan(host, namespace, tuple(pools), use)
        if plan.failure is not None:
            return Assignment(failure=plan.failure, message=plan.message)
        if not pools:
            self._release_unselected(host, plan)
        addresses: list[int] = []
        new: list[Prefix] = []
        eligible = [block for block in self._affine.get(host, ()) if block.pool in plan.usable]
        for block in eligible:
            addresses += self._take(block, count - len(addresses))
        limits = [value for value in (max_blocks, self.configuration.max_blocks_per_host) if value]
        limit = min(limits, default=DEFAULT_MAX_BLOCKS)
        owned = len(eligible)
        while len(addresses) < count and self.configuration.auto_allocate_blocks:
            if owned >= limit:
                return Assignment(
                    tuple(addresses), (), tuple(new), Failure.BLOCK_LIMIT,
                    f"the node has {plural(owned, 'block')}, and {limit} is its limit")
            claimed = self._claim(host, plan)
            if claimed is None:
                break
            owned += 1
            new.append(claimed.prefix)
            addresses += self._take(claimed, count - len(addresses))
        own = len(addresses)
        if own < count and not self.configuration.strict_affinity:
            self._borrow(host, plan, count, addresses)
        if len(addresses) == count:
            return Assignment(tuple(addresses), tuple(addresses[own:]), tuple(new))
        dry = ", ".join(str(source.pool.cidr) for source in plan.sources)
        strict = self.configuration.strict_affinity and any(self._room[source.index] for source in plan.sources)
        message = (
            f"no block of {dry} is free, and strictAffinity forbids to borrow" if strict
            else f"no IPs available in pools {dry}")
        return Assignment(
            tuple(addresses), tuple(addresses[own:]), tuple(new),
            Failure.STRICT_AFFINITY if strict else Failure.NO_FREE_ADDRESS, message)

    def assign_rounds(
        self, hosts: Sequence[str], rounds: int, namespace: str | None, pools: tuple[str, ...], refuse: Refuse,
    ) -> Iterator[list[int]]:
        """So many workloads on each host, everybody's first before anybody's second: the addresses that :meth:`assign` gives
        them. Who gets none has 0, and ``refuse`` hears what it says instead, with the round and the position of the host.

        While the block that served a host's last such request has an address, hosts do not come into each other's way.
        """
        serving = self._serving.setdefault((namespace, pools), {})
        done, different = 0, len(set(hosts)) == len(hosts)
        while done < rounds:
            yield self._assign_round(hosts, namespace, pools, serving, partial(refuse, done))
            done += 1
            blocks = [serving[host] for host in hosts if host in serving] if different and done < rounds else []
            if len(blocks) == len(hosts):
                easy = min(rounds - done, min(len(block.free) for block in blocks))
                yield from map(list, zip(*(self._take(block, easy) for block in blocks), strict=True))
                done += easy

    def _assign_round(
        self, hosts: Sequence[str], namespace: str | None, pools: tuple[str, ...], serving: dict[str, AllocationBlock],
        refuse: Callable[[int, Assignment], None],
    ) -> list[int]:
        addresses, room = [], self._room
        for at, host in enumerate(hosts):
            block = serving.get(host)
            if block is not None and block.free:
                ordinal = block.free.pop()
                block.used.add(ordinal)
                room[block.pool] -= 1
                addresses.append(block.prefix.network + ordinal)
                continue
            answer = self.assign(host, namespace=namespace, pools=pools)
            addresses += answer.addresses or (0,)
            if answer.failure is not None:
                refuse(at, answer)
            elif (found := self.block_of(answer.addresses[0])) is not None and found.affinity == host:
                serving[host] = found
        return addresses

    def assign_address(self, host: str, address: int) -> Assignment:
        """That very address, wherever it lies in an enabled pool; no selector is asked."""
        source = next((source for source in self._sources if address in source.pool.cidr and not source.pool.disabled), None)
        text = format_address(address)
        if source is None:
            return Assignment(failure=Failure.NOT_IN_POOL, message=f"{text} is not in a configured and enabled pool")
        block = self.block_of(address)
        new: tuple[Prefix, ...] = ()
        if block is None:
            block = self._create(source, source.number(address), host)
            new = (block.prefix,)
        ordinal = address - block.prefix.network
        if ordinal in block.used:
            return Assignment(failure=Failure.IN_USE, message=f"{text} is in use already")
        if block.affinity != host and self.configuration.strict_affinity:
            return Assignment(
                failure=Failure.STRICT_AFFINITY,
                message=f"{text} lies in a block of {block.affinity}, and strictAffinity forbids to borrow it")
        if ordinal in block.free:                 # reserved ordinals are not, and may be asked for by name
            block.free.remove(ordinal)
            self._room[block.pool] -= 1
        block.used.add(ordinal)
        if block.affinity != host:
            self.borrowed[address] = host
        return Assignment((address,), () if block.affinity == host else (address,), new)

    def release(self, addresses: Iterable[int]) -> None:
        """Give addresses back: ordinals go to the end of their block's queue, lowest first."""
        for address in sorted(addresses):
            block = self.block_of(address)
            if block is None or address - block.prefix.network not in block.used:
                continue
            block.used.remove(address - block.prefix.network)
            self.borrowed.pop(address, None)
            if not any(address in reserved for reserved in self._reservations):
                block.free.insert(0, address - block.prefix.network)
                self._room[block.pool] += 1
        self._walked.clear()
        self._serving.clear()

    def block_of(self, address: int) -> AllocationBlock | None:
        """The block that holds an address, if it exists."""
        for source in self._sources:
            if address in source.pool.cidr:
                block = source.blocks.get(source.number(address))
                if block is not None:
                    return block
        return None

    # -- pools ---------------------------------------------------------------------------------------------------

    def qualifying(self, host: str, use: str, namespace: str | None = None) -> tuple[IPPool, ...]:
        """The pools that an automatic request of this host would use, in order."""
        return tuple(source.pool for source in self._plan(host, namespace, (), use).sources)

    def _plan(self, host: str, namespace: str | None, requested: tuple[str, ...], use: str) -> _Plan:
        key = (host, namespace, requested, use)
        if key not in self._plans:
            self._plans[key] = self._choose(*key)
        return self._plans[key]

    def _choose(self, host: str, namespace: str | None, requested: tuple[str, ...], use: str) -> _Plan:
        enabled = self._enabled
        if not enabled:
            return _Plan((), failure=Failure.NO_QUALIFIED_POOL, message="no IP pool is enabled")
        if requested:
            unknown = [name for name in requested if name not in self._by_name]
            if unknown:
                message = f"pool {', '.join(unknown)} was asked for, but is unknown or disabled"
                return _Plan((), failure=Failure.NO_QUALIFIED_POOL, message=message)
            chosen = [self._by_name[name] for name in requested]
        else:
            chosen = [source for source in enabled if self._selects(source.pool, host, namespace)]
            if not chosen:
                return _Plan((), failure=Failure.NO_QUALIFIED_POOL, message="no IP pool selects the node")
        key = use, tuple(source.index for source in chosen)
        if key not in self._chosen:
            self._chosen[key] = self._among(chosen, use)
        return self._chosen[key]

    def _among(self, chosen: Sequence[_Source], use: str) -> _Plan:
        """The plan of a request that may have addresses of these pools."""
        usable = tuple(source for source in chosen if use in source.pool.allowed_uses)
        if not usable:
            names = ", ".join(source.pool.name for source in chosen)
            return _Plan((), failure=Failure.NO_QUALIFIED_POOL, message=f"allowedUses of {names} do not include {use}")
        return _Plan(usable, frozenset(source.index for source in usable), frozenset(source.index for source in chosen))

    def _selects(self, pool: IPPool, host: str, namespace: str | None) -> bool:
        return (
            pool.assignment_mode == "Automatic"
            and parse(pool.node_selector).matches(self._host_labels.get(host, {}))
            and (not pool.namespace_selector
                 or parse(pool.namespace_selector).matches(self._namespace_labels.get(namespace or "", {})))
        )

    # -- blocks --------------------------------------------------------------------------------------------------

    def _source(self, index: int, pool: IPPool) -> _Source:
        length = max(pool.block_size, pool.cidr.length)       # a disabled pool may be smaller than a block
        return _Source(index, pool, 1 << (32 - length), 1 << (length - pool.cidr.length))

    def _create(self, source: _Source, number: int, host: str) -> AllocationBlock:
        prefix = source.prefix(number)
        reserved = {
            ordinal for taken in self._reservations if taken.overlaps(prefix)
            for ordinal in range(max(taken.network - prefix.network, 0), min(taken.last - prefix.network + 1, source.size))}
        block = AllocationBlock(prefix, source.index, host, list(range(source.size - 1, -1, -1)), self.now)
        if reserved:
            block.free = [ordinal for ordinal in block.free if ordinal not in reserved]
        self.blocks[prefix] = source.blocks[number] = block
        source.unclaimed -= 1
        self._room[source.index] += len(block.free)
        for other in source.overlapping:          # v1 pools may overlap: one block, known to both
            if other.pool.block_size == source.pool.block_size and other.pool.cidr.covers(prefix):
                other.blocks[other.number(prefix.network)] = block
                other.unclaimed -= 1
        self._walked.clear()
        affine = self._affine.setdefault(host, [])
        affine.append(block)
        if len(affine) > 1:
            affine.sort(key=lambda each: each.sort_key)
        self._forget(host)
        return block

    def _delete(self, block: AllocationBlock) -> None:
        del self.blocks[block.prefix]
        self._forget(block.affinity)
        self._room[block.pool] -= len(block.free)
        for source in self._sources:
            number = source.number(block.prefix.network)
            if source.blocks.get(number) is block:
                del source.blocks[number]
                source.unclaimed += 1

    def _forget(self, host: str) -> None:
        """Its blocks are other ones now."""
        for serving in self._serving.values():
            serving.pop(host, None)

    def _take(self, block: AllocationBlock, wanted: int) -> list[int]:
        taken = block.take(wanted)
        self._room[block.pool] -= len(taken)
        return taken

    def _claim(self, host: str, plan: _Plan) -> AllocationBlock | None:
        """The first block of the walk that does not exist yet, else an empty one that its host left idle."""
        for source in plan.sources:
            if source.unclaimed:
                for number in source.walk(host):
                    if number not in source.blocks and self._claimable(source, source.prefix(number)):
                        return self._create(source, number, host)
        idle = [
            block for source in plan.sources for block in source.blocks.values()
            if not block.used and block.affinity != host and self.now - block.claimed >= MINIMUM_RECLAIM_AGE
        ] if self.now >= MINIMUM_RECLAIM_AGE else []
        for block in idle:
            self._affine[block.affinity].remove(block)
            self._delete(block)
            source = self._sources[block.pool]
            return self._create(source, source.number(block.prefix.network), host)
        return None

    def _claimable(self, source: _Source, prefix: Prefix) -> bool:
        """Neither wholly reserved nor across a block of an overlapping pool."""
        if any(reserved.covers(prefix) for reserved in self._reservations):
            return False
        return not any(
            other.pool.block_size != source.pool.block_size
            and any(block.prefix.overlaps(prefix) for block in other.blocks.values())
            for other in source.overlapping)

    def _borrow(self, host: str, plan: _Plan, count: int, addresses: list[int]) -> None:
        for source in plan.sources:
            while len(addresses) < count and (self._room[source.index] or source.overlapping):
                lender = self._lender(host, source)
                if lender is None:
                    break
                taken = self._take(lender, count - len(addresses))
                addresses += taken
                self.borrowed.update(dict.fromkeys(taken, host))

    def _lender(self, host: str, source: _Source) -> AllocationBlock | None:
        """The next block of the walk with a free address. Blocks only fill up, so the walk goes on where it stopped."""
        key = (host, source.index)
        start = source.start(host)
        for offset in range(self._walked.get(key, 0), source.count):
            block = source.blocks.get((start + offset) % source.count)
            if block is not None and block.free:
                self._walked[key] = offset
                return block
        self._walked[key] = source.count
        return None

    def _release_unselected(self, host: str, plan: _Plan) -> None:
        """Empty blocks in pools that no longer select their host go back."""
        stale = [block for block in self._affine.get(host, ()) if not block.used and block.pool not in plan.selecting]
        for block in stale:
            self._affine[host].remove(block)
            self._delete(block)

