"""numba: loops over records, compiled by LLVM. Two tables for longest match, and a pipeline with an open-addressing table.

The pipeline does for each packet what the fields of ``CLAIMS`` need, on both nodes: conntrack (a table of 32-byte entries,
first touched for a frame of packets, then used, so that cache misses overlap), longest match, policy for packets that open
connections, Linux' choice of a SNAT port with both directions entered, encapsulation across subnets, a counter for each
connection and packets and bytes for each interface.

What every packet needs is written out in the loops: an array that is handed to a function has its references counted by
atomic operations, even where the function is inlined, and that costs ten times what a lookup does.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...fib.lpm import build
from ...vocabulary import Device, DropReason, Encap, Verdict
from ..measure import Columns
from .cluster import Cluster

_FRAME = 256
_LOAD = 2                       # slots of the table for each entry there is room for
_POLICY, _NO_ROUTE, _TTL = int(DropReason.POLICY_INGRESS), int(DropReason.FABRIC_NO_ROUTE), int(DropReason.TTL_EXCEEDED)
_EXHAUSTED = int(DropReason.SNAT_PORTS_EXHAUSTED)
_DELIVERED, _DROPPED, _IPIP = int(Verdict.DELIVERED), int(Verdict.DROPPED), int(Encap.IPIP)
_VETH, _ETHERNET, _TUNNEL = int(Device.VETH), int(Device.ETHERNET), int(Device.IPIP)
_IN, _OUT = 0, 1
_FIELDS = {
    "verdict": np.uint8, "reason": np.uint8, "encap": np.uint8, "hops": np.uint8, "ttl": np.uint8, "src": np.uint32,
    "dst": np.uint32, "sport": np.uint16, "dport": np.uint16, "outer_src": np.uint32, "outer_dst": np.uint32, "wire": np.uint16}


class Dir24:
    """2²⁴ cells of 16 bits for the upper 24 bits; a cell with the top bit set names a group of 256 for the last 8."""

    def __init__(self, starts: np.ndarray, values: np.ndarray) -> None:
        """Of disjoint intervals and their values, below 2¹⁵ (DPDK's next hops have that bound, too)."""
        cell, flag = np.uint16, 1 << 15
        if values.max() >= flag:
            raise ValueError(f"{values.max()} does not fit a cell")
        ends = np.append(starts[1:], 1 << 32)
        mixed = np.unique(starts[starts & 255 != 0] >> 8)
        self.first: np.ndarray = np.empty(1 << 24, cell)
        for start, end, value in zip((starts + 255 >> 8).tolist(), (ends + 255 >> 8).tolist(), values.tolist(), strict=True):
            self.first[start:end] = value
        addresses = (mixed[:, None] << 8 | np.arange(256)).ravel()
        self.second: np.ndarray = values[np.searchsorted(starts, addresses, "right") - 1].astype(cell)
        self.first[mixed] = flag | np.arange(len(mixed))
        if len(mixed) >= flag:
            raise ValueError("too many groups for these cells")

    def lookup(self, addresses: np.ndarray, found: np.ndarray) -> np.ndarray:
        _lookup_24(self.first, self.second, addresses, found)
        return found


class Multibit:
    """16-10-6, the layout that calisim has, walked by a loop of one's own: small enough for the cache."""

    def __init__(self, starts: np.ndarray, values: np.ndarray) -> None:
        self.table = build(starts, values)

    def lookup(self, addresses: np.ndarray, found: np.ndarray) -> np.ndarray:
        _lookup_16(self.table, addresses, found)
        return found


@njit(nogil=True, boundscheck=False)
def _lookup_24(first, second, addresses, found):  # type: ignore[no-untyped-def]
    """Indexes are unsigned: else numba asks of each whether it counts from the end."""
    for i in range(len(addresses)):
        address = addresses[i]
        cell = np.uint32(first[np.uintp(address >> np.uint32(8))])
        if cell >> np.uint32(15):
            cell = np.uint32(second[np.uintp((cell & np.uint32(0x7FFF)) << np.uint32(8) | address & np.uint32(255))])
        found[i] = cell


@njit(nogil=True, boundscheck=False)
def _lookup_16(table, addresses, found):  # type: ignore[no-untyped-def]
    """Four at a time, which LLVM writes out; then what is left."""
    whole = len(addresses) & -4
    for start in range(0, whole, 4):
        for i in range(4):
            address = addresses[np.uintp(start + i)]
            branch = table[np.uintp(address >> np.uint32(16))]
            cell = table[np.uintp(branch + (address >> np.uint32(6) & np.uint32(1023)))]
            if cell >> np.uint32(31):
                cell = table[np.uintp((cell & np.uint32(0x7FFFFFFF)) + (address & np.uint32(63)))]
            found[np.uintp(start + i)] = cell
    for i in range(whole, len(addresses)):
        address = addresses[i]
        branch = table[np.uintp(address >> np.uint32(16))]
        cell = table[np.uintp(branch + (address >> np.uint32(6) & np.uint32(1023)))]
        if cell >> np.uint32(31):
            cell = table[np.uintp((cell & np.uint32(0x7FFFFFFF)) + (address & np.uint32(63)))]
        found[i] = cell


@njit(inline="always")
def _mix(a, b):  # type: ignore[no-untyped-def]
    """A multiply-xorshift of both words of a key."""
    h = (a ^ (b * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
    return h ^ (h >> np.uint64(32))


@njit(inline="always")
def _stir(state, word):  # type: ignore[no-untyped-def]
    state = (state + np.uint64(0x9E3779B97F4A7C15)) ^ word
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@njit(inline="always")
def _find(table, mask, a, b):  # type: ignore[no-untyped-def]
    """Slot of the key, or of the gap where it would be."""
    slot = _mix(a, b) & mask
    while table[slot, 0] != 0 and (table[slot, 0] != a or table[slot, 1] != b):
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(inline="always")
def _ends(src, dst):  # type: ignore[no-untyped-def]
    return np.uint64(src) << np.uint64(32) | np.uint64(dst)


@njit(inline="always")
def _rest(sport, dport, protocol, router):  # type: ignore[no-untyped-def]
    return (np.uint64(sport) << np.uint64(48) | np.uint64(dport) << np.uint64(32) | np.uint64(protocol) << np.uint64(24)
            | np.uint64(router))


@njit(inline="always")
def _free_port(table, mask, seed, key, packet, router, address):  # type: ignore[no-untyped-def]
    """nf_nat_l4proto_unique_tuple for ports from 1024 on: −1, or a port whose reply tuple nobody has."""
    attempts, turn = 128, 0
    while attempts >= 8:
        state = _stir(_stir(np.uint64(0), np.uint64(seed)), key)
        state = _stir(state, _ends(packet.src, packet.dst))
        state = _stir(state, np.uint64(packet.sport) << np.uint64(32) | np.uint64(packet.dport) << np.uint64(16)
                      | np.uint64(packet.protocol))
        offset = np.int64(_stir(state, np.uint64(turn)) % np.uint64(64512))
        for i in range(attempts):
            port = 1024 + (offset + i) % 64512
            slot = _find(table, mask, _ends(packet.dst, address), _rest(packet.dport, port, packet.protocol, router))
            if table[slot, 0] == 0:
                return port
        attempts >>= 1
        turn += 1
    return -1


@njit(inline="always")
def _enter(table, mask, a, b, value):  # type: ignore[no-untyped-def]
    slot = _find(table, mask, a, b)
    table[slot, 0], table[slot, 1], table[slot, 2], table[slot, 3] = a, b, value, np.uint64(1)


@njit(nogil=True, boundscheck=False)
def _forward(  # type: ignore[no-untyped-def]
    packets, prefixes, applications, allowed, home, router_address, router_key, router_subnet, low, high, seed, table, mask,
    links, verdict, reason, encap, hops, ttl, src, dst, sport, dport, outer_src, outer_dst, wire,
):
    """One wave; gives the number of entries made."""
    entries, touched, one = 0, np.uint64(0), np.uint64(1)
    owners = np.empty(_FRAME, np.uint32)
    for start in range(0, len(packets), _FRAME):
        end = min(start + _FRAME, len(packets))
        for i in range(start, end):                        # touch what the second pass needs: the misses overlap
            p = packets[i]
            branch = prefixes[np.uintp(p.dst >> np.uint32(16))]
            there = prefixes[np.uintp(branch + (p.dst >> np.uint32(6) & np.uint32(1023)))]
            if there >> np.uint32(31):
                there = prefixes[np.uintp((there & np.uint32(0x7FFFFFFF)) + (p.dst & np.uint32(63)))]
            owners[i - start] = there
            a, here = _ends(p.src, p.dst), home[p.ingress]
            touched ^= table[_mix(a, _rest(p.sport, p.dport, p.protocol, here)) & mask, 0]
            touched ^= table[_mix(a, _rest(p.sport, p.dport, p.protocol, there)) & mask, 0]
        for i in range(start, end):
            p = packets[i]
            here, there = home[p.ingress], owners[i - start]
            a = _ends(p.src, p.dst)
            b = _rest(p.sport, p.dport, p.protocol, here)
            verdict[i], reason[i], encap[i], hops[i] = _DROPPED, 0, 0, 1
            src[i], dst[i], sport[i], dport[i], ttl[i] = p.src, p.dst, p.sport, p.dport, p.ttl
            outer_src[i], outer_dst[i], wire[i] = 0, 0, 0
            links[here, _VETH, _IN, 0] += np.uint64(1)
            links[here, _VETH, _IN, 1] += np.uint64(p.length)
            slot = _mix(a, b) & mask
            while table[slot, 0] != 0 and (table[slot, 0] != a or table[slot, 1] != b):
                slot = (slot + one) & mask
            known = table[slot, 0] != 0
            if p.ttl <= 1:
                reason[i] = _TTL
                continue
            ttl[i] -= 1
            inside = low <= p.dst <= high
            if here == there and not known and not allowed[applications[p.dst - low], p.dport]:
                reason[i] = _POLICY
                continue
            if known:
                table[slot, 3] += np.uint64(1)
            elif inside:
                table[slot, 0], table[slot, 1], table[slot, 3] = a, b, one
                entries += 1
            else:
                port = _free_port(table, mask, seed, router_key[here], p, here, router_address[here])
                if port < 0:
                    reason[i] = _EXHAUSTED
                    continue
                table[slot, 0], table[slot, 1], table[slot, 2], table[slot, 3] = a, b, np.uint64(port), np.uint64(1)
                _enter(table, mask, _ends(p.dst, router_address[here]), _rest(p.dport, port, p.protocol, here), np.uint64(p.src))
                entries += 2
            if here == there:
                links[here, _VETH, _OUT, 0] += np.uint64(1)
                links[here, _VETH, _OUT, 1] += np.uint64(p.length)
                verdict[i] = _DELIVERED
                continue
            length = p.length
            if not inside:
                src[i], sport[i] = router_address[here], np.uint16(table[slot, 2])
            elif there and router_subnet[here] != router_subnet[there]:
                links[here, _TUNNEL, _OUT, 0] += np.uint64(1)
                links[here, _TUNNEL, _OUT, 1] += np.uint64(p.length)
                encap[i], outer_src[i], outer_dst[i] = _IPIP, router_address[here], router_address[there]
                length += 20
            wire[i] = length
            links[here, _ETHERNET, _OUT, 0] += np.uint64(1)
            links[here, _ETHERNET, _OUT, 1] += np.uint64(length)
            if not inside:
                links[0, _ETHERNET, _IN, 0] += np.uint64(1)           # of the host outside
                links[0, _ETHERNET, _IN, 1] += np.uint64(length)
                verdict[i] = _DELIVERED
                continue
            if there == 0:
                reason[i] = _NO_ROUTE
                continue
            hops[i] = 2
            ttl[i] -= 1
            links[there, _ETHERNET, _IN, 0] += np.uint64(1)
            links[there, _ETHERNET, _IN, 1] += np.uint64(length)
            if encap[i]:
                links[there, _TUNNEL, _IN, 0] += np.uint64(1)
                links[there, _TUNNEL, _IN, 1] += np.uint64(p.length)
            b = _rest(p.sport, p.dport, p.protocol, there)
            slot = _mix(a, b) & mask
            while table[slot, 0] != 0 and (table[slot, 0] != a or table[slot, 1] != b):
                slot = (slot + one) & mask
            if table[slot, 0] == 0:
                if not allowed[applications[p.dst - low], p.dport]:
                    reason[i] = _POLICY
                    continue
                table[slot, 0], table[slot, 1], table[slot, 3] = a, b, one
                entries += 1
            else:
                table[slot, 3] += np.uint64(1)
            links[there, _VETH, _OUT, 0] += np.uint64(1)
            links[there, _VETH, _OUT, 1] += np.uint64(p.length)
            verdict[i] = _DELIVERED
    table[mask + np.uint64(1), 0] = touched                # a row past the end: else the touching would be optimized away
    return entries


class Pipeline:
    """Holds the table of connections, which doubles when it is half full, and the counters of the interfaces."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._prefixes = Multibit(cluster.starts, cluster.owners)
        self._applications = np.zeros(cluster.pool[1] - cluster.pool[0] + 1, np.uint8)
        self._applications[cluster.pod_addresses - cluster.pool[0]] = cluster.pod_applications
        self.forget()

    def forget(self) -> None:
        """No connection, nothing counted."""
        self._entries, self._slots = 0, 1 << 12
        self._table = np.zeros((self._slots + 1, 4), np.uint64)
        self.links = np.zeros((len(self.cluster.router_address), len(Device), 2, 2), np.uint64)

    def forward(self, wave: np.ndarray) -> Columns:
        """The fields of RESULT that ``CLAIMS`` names."""
        c = self.cluster
        self._make_room(3 * len(wave))
        made = {name: np.empty(len(wave), kind) for name, kind in _FIELDS.items()}
        self._entries += _forward(
            wave, self._prefixes.table, self._applications, c.allowed, c.endpoint_router, c.router_address,
            c.router_key, c.router_subnet, c.pool[0], c.pool[1], c.seed, self._table, np.uint64(self._slots - 1), self.links,
            *(made[name] for name in (
                "verdict", "reason", "encap", "hops", "ttl", "src", "dst", "sport", "dport", "outer_src", "outer_dst", "wire")))
        return made

    def _make_room(self, more: int) -> None:
        if (self._entries + more) * _LOAD <= self._slots:
            return
        while (self._entries + more) * _LOAD > self._slots:
            self._slots *= 2
        table = np.zeros((self._slots + 1, 4), np.uint64)
        _rehash(self._table, table, np.uint64(self._slots - 1))
        self._table = table


@njit(nogil=True, boundscheck=False)
def _rehash(old, new, mask):  # type: ignore[no-untyped-def]
    for i in range(len(old) - 1):
        if old[i, 0]:
            slot = _find(new, mask, old[i, 0], old[i, 1])
            new[slot] = old[i]
