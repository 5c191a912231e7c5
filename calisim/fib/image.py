"""FibImage: an Intent as named arrays of integers, with a digest. Serializable; the compiled core reads nothing else.

It knows what the arrays are called and that they belong together, not how they came about (:mod:`.compiler`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StaleBuildError, UsageError
from ..vocabulary import (
    ADJACENCY, BACKEND, CLASS, ENDPOINT, FABRIC, FRONTEND, GUARD, INDEX, MATCH, RANGE, ROUTER, RULE, SERVICE, SUBNET, TARGET,
    TERM, TIER, Device, DropReason, Encap, RouterFlag,
)
from . import lpm

DTYPES: dict[str, np.dtype] = {
    "lpm": np.dtype("<u4"), "classes": CLASS, "residents": np.dtype("<u4"), "rows": np.dtype("<u4"), "adjacencies": ADJACENCY,
    "routers": ROUTER, "endpoints": ENDPOINT, "subnets": SUBNET, "target_rows": np.dtype("<u4"), "targets": TARGET,
    "rules": RULE, "blocked": np.dtype("u1"), "fabric": FABRIC, "peers": np.dtype("<u4"), "atoms": np.dtype("<u4"), "tiers": TIER,
    "steps": np.dtype("<u4"), "matches": MATCH, "terms": TERM, "indexes": INDEX, "maps": np.dtype("<u4"), "bits": np.dtype("<u8"),
    "interfaces": np.dtype("<u4"), "guards": GUARD,
    "frontends": FRONTEND, "services": SERVICE, "backends": BACKEND, "ranges": RANGE,
}


@dataclass(frozen=True, eq=False)
class FibImage:
    """The tables of one cluster and one variant. Index 0 of each record table is *nothing*.

    ``lpm`` (16-10-6, address → class) · ``classes`` · ``residents`` (endpoint ids, block by block) · ``rows`` (FIB group ×
    class → adjacency) · ``adjacencies`` · ``routers`` · ``endpoints`` · ``subnets`` · ``target_rows`` (cloud route table ×
    class → target) · ``targets`` · ``rules`` (security groups, NACLs) · ``blocked`` (1 per IP protocol that the fabric
    refuses) · ``fabric`` (one record) · of policy (:mod:`.police`) ``peers`` (16-10-6, address → peer), ``atoms`` (peer → bits),
    ``tiers``, ``steps`` (→ match), ``matches``, ``terms``, ``indexes`` with their ``maps`` and ``bits``, ``interfaces``
    (router × device → guard), ``guards`` · of services (:mod:`.services`) ``frontends`` (a hash table), ``services``,
    ``backends``, ``ranges``.
    """

    lpm: np.ndarray
    classes: np.ndarray
    residents: np.ndarray
    rows: np.ndarray
    adjacencies: np.ndarray
    routers: np.ndarray
    endpoints: np.ndarray
    subnets: np.ndarray
    target_rows: np.ndarray
    targets: np.ndarray
    rules: np.ndarray
    blocked: np.ndarray
    fabric: np.ndarray
    peers: np.ndarray
    atoms: np.ndarray
    tiers: np.ndarray
    steps: np.ndarray
    matches: np.ndarray
    terms: np.ndarray
    indexes: np.ndarray
    maps: np.ndarray
    bits: np.ndarray
    interfaces: np.ndarray
    guards: np.ndarray
    frontends: np.ndarray
    services: np.ndarray
    backends: np.ndarray
    ranges: np.ndarray
    places: int
    objects: int

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name in DTYPES}

    @property
    def nbytes(self) -> int:
        """Bytes of all tables."""
        return sum(array.nbytes for array in self.arrays.values())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, layouts and contents: equal decisions, equal digest."""
        total = hashlib.sha256(f"places {self.places} objects {self.objects}".encode())
        for name, array in self.arrays.items():
            for field in array.dtype.names or ("",):              # column by column: padding is nobody's business
                column = array[field] if field else array
                total.update(f"{name} {field} {column.shape} {column.dtype.str}".encode())
                total.update(column.tobytes())
        return total.hexdigest()

    def check(self) -> None:
        """Every index inside its table, so that the compiled core can follow it blindly; UsageError names the table."""
        subnets, endpoints, routers = self.subnets, self.endpoints, self.routers
        bounds = {
            "lpm": (_most(self.lpm, lpm.most), len(self.classes)),
            "rows": (_most(self.rows), len(self.adjacencies)),
            "adjacencies": (_most(self.adjacencies, "fallback"), len(self.adjacencies)),
            "groups": (_most(routers, "group"), len(self.rows)), "routers": (_most(routers, "subnet"), len(subnets)),
            "residents": (_most(self.residents), len(endpoints)),
            "interfaces": (_most(self.classes, "interface"), len(endpoints)),
            "hosts": (_most(self.classes, "host"), len(endpoints)), "public": (_most(self.classes, "public"), len(routers)),
            "endpoints": (_most(endpoints, "router"), len(routers)),
            "subnets of endpoints": (_most(endpoints, "subnet"), len(subnets)),
            "tables": (_most(subnets, "table"), len(self.target_rows)),
            "target rows": (_most(self.target_rows), len(self.targets)),
            "targets": (_most(self.targets, "router"), len(routers)), "places": (_most(self.targets, "place"), self.places + 1),
            "places of subnets": (_most(subnets, "place"), self.places + 1),
            "gateway": (_most(self.fabric, "gateway_place"), self.places + 1),
            "routers as places": (len(routers) - 1, self.places + 1),
            "reasons": (_most(self.adjacencies, "reason"), len(DropReason)),
            "encapsulations": (_most(self.adjacencies, "encap"), len(Encap)),
            "devices": (_most(self.adjacencies, "device"), len(Device)), "endpoint 0": (_most(endpoints["kind"][:1]), 1),
            "longest packet": (_most(routers, "mtu"), 1 << 16),
            "nodes": (len(routers) - 1, len(endpoints)),                                          # an id is both's
        }
        for first, count in (("acl_in", "acl_in_count"), ("acl_out", "acl_out_count")):
            bounds[first] = _ends(subnets, first, count), len(self.rules) + 1
        for first, count in (("rules_in", "rules_in_count"), ("rules_out", "rules_out_count")):
            bounds[first] = _ends(routers, first, count), len(self.rules) + 1
        bounds |= self._bounds_of_policy() | self._bounds_of_services()
        for name, (most, limit) in bounds.items():
            if most >= limit:
                raise UsageError(f"the FIB image is inconsistent ({name}): compile the scenario again")

    def _bounds_of_policy(self) -> dict[str, tuple[int, int]]:
        tiers, matches, terms, indexes, endpoints = self.tiers, self.matches, self.terms, self.indexes, self.endpoints
        atoms, objects = self.atoms.shape[1] * 32, self.objects + 1
        bounds = {
            "peers": (_most(self.peers, lpm.most), len(self.atoms)),
            "tiers": (_ends(tiers, "steps", "count"), len(self.steps) + 1), "steps": (_most(self.steps), len(matches)),
            "programs": (max(_most(endpoints, "ingress"), _most(endpoints, "egress")), len(tiers)),
            "ends of programs": (_most(tiers["last"][-1:] == 0), 1), "indexes": (_most(tiers, "index"), len(indexes)),
            "sources": (_most(matches, "src"), atoms), "destinations": (_most(matches, "dst"), atoms),
            "ports": (_most(terms, "atom"), atoms), "terms": (_ends(matches, "terms", "term_count"), len(terms) + 1),
            "objects": (_most(matches, "detail"), objects), "ends": (_most(tiers, "end_detail"), objects),
            "objects of endpoints": (_most(endpoints, "detail"), objects),
            "objects of guards": (_most(self.guards, "detail"), objects), "guards": (_most(self.interfaces), len(self.guards)),
            "guarded routers": (
                _most(np.flatnonzero(self.routers["flags"] & RouterFlag.GUARDED)), len(self.interfaces)),
        }
        bounds |= {
            f"guards' {name}": (_most(self.guards, name), len(tiers))
            for name in self.guards.dtype.names or () if name != "detail"}
        for number in range(1, len(indexes)):
            one = {name: int(indexes[name][number]) for name in indexes.dtype.names or ()}
            peers = self.maps[one["peers"]:][:len(self.atoms)].astype(np.int64)
            sets = self.maps[one["edges"] + one["edge_count"]:][:one["edge_count"]].astype(np.int64)
            short = int(len(peers) < len(self.atoms) or not one["edge_count"] or len(sets) < one["edge_count"])
            most = _most(np.concatenate([peers, sets])) + one["words"] + -(-one["words"] // 64)
            bounds[f"index {number}"] = most, len(self.bits) + 1
            bounds[f"size of index {number}"] = short, 1
        return bounds

    def _bounds_of_services(self) -> dict[str, tuple[int, int]]:
        frontends, services = self.frontends, self.services
        size, used = len(frontends), int(np.count_nonzero(frontends["service"]))
        endless = int(size == 0 or size & (size - 1) != 0 or used == size)         # a search ends at an empty slot
        return {
            "size of frontends": (endless, 1), "frontends": (_most(frontends, "service"), len(services)),
            "source ranges": (_ends(frontends, "sources", "source_count"), len(self.ranges) + 1),
            "backends": (_ends(services, "backends", "count"), len(self.backends) + 1),
            "own backends": (_ends(services, "own", "own_count"), len(self.backends) + 1),
        }

    def describe(self) -> list[tuple[str, tuple[int, ...], int]]:
        """Name, shape and bytes of each table."""
        return [(name, array.shape, array.nbytes) for name, array in self.arrays.items()]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` that :meth:`load` reads; the file is whole or absent."""
        target = Path(path)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez_compressed(
                    file, allow_pickle=False, places=np.array(self.places), objects=np.array(self.objects),
                    digest=np.array(self.digest), **self.arrays)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise

    @staticmethod
    def load(path: str | os.PathLike[str]) -> FibImage:
        """Read what :meth:`save` wrote. Raises UsageError (no such image) or StaleBuildError (other layouts)."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in DTYPES}
                places, objects, digest = int(file["places"]), int(file["objects"]), str(file["digest"])
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UsageError(f"{path} is not a saved FIB image: {error}") from error
        for name, array in arrays.items():
            if array.dtype != DTYPES[name]:
                raise StaleBuildError(
                    f"{path} was saved by another version of calisim ({name} differs): compile the scenario again")
        image = FibImage(**arrays, places=places, objects=objects)
        if image.digest != digest:
            raise UsageError(f"{path} is damaged: its contents do not match its digest")
        return image


_Field = str | Callable[[np.ndarray], int]
_AT_ONCE, _MANY = 64, 4096                # records
_known_most: dict[tuple[int, _Field], tuple[weakref.ref[np.ndarray], int]] = {}


def _most(table: np.ndarray, field: _Field = "") -> int:
    """The largest number in a table or, ``field``, in one of its columns, or as a function finds it; -1 in an empty one.

    Of a table that nobody can write to any more it is looked for once: images of a cluster that changes share most of theirs.
    """
    final = _is_frozen(table)
    known, most = _known_most.get((id(table), field), (None, -1))
    if final and known is not None and known() is table:
        return most
    words = _words(table.dtype) if final and len(table) > _MANY else {}
    if field in words:                              # of all of them together: the memory is gone through once
        found = _most_of_words(table)
        for name, word in words.items():
            _remember(table, name, int(found[word]))
        return int(found[words[field]])
    if callable(field):
        most = field(table)
    else:
        most = int((table[field] if field else table).max(initial=0)) if len(table) else -1
    if final:
        _remember(table, field, most)
    return most


def _remember(table: np.ndarray, field: _Field, most: int) -> None:
    key = id(table), field
    _known_most[key] = weakref.ref(table, lambda _: _known_most.pop(key, None)), most


@cache
def _words(record: np.dtype) -> Mapping[_Field, int]:
    """The fields that are a 32-bit word, if a record is made of such: which one."""
    known: Mapping[str, Any] = record.fields or {}
    return {
        name: field[1] // 4 for name, field in known.items()
        if field[0] == np.uint32 and field[1] % 4 == record.itemsize % 4 == 0}


def _most_of_words(table: np.ndarray) -> np.ndarray:
    """The largest of each word, by many records at a time."""
    words = table.view(np.uint32).reshape(len(table), -1)
    whole = len(words) // _AT_ONCE * _AT_ONCE
    blocks = words[:whole].reshape(-1, _AT_ONCE * words.shape[1]).max(axis=0).reshape(_AT_ONCE, -1)
    return np.concatenate([blocks, words[whole:]]).max(axis=0)


def _ends(table: np.ndarray, first: str, count: str) -> int:
    """Where the last one of runs ends."""
    return _most(table, _last_end(first, count))


@cache
def _last_end(first: str, count: str) -> Callable[[np.ndarray], int]:
    return lambda table: int((table[first].astype(np.int64) + table[count]).max(initial=-1))


def freeze(array: np.ndarray) -> np.ndarray:
    """Tables are values: nobody writes to them after the compiler, and not to the memory that they are a part of either."""
    whole: Any = array
    while isinstance(whole, np.ndarray):
        whole.flags.writeable = False
        whole = whole.base
    return array


def _is_frozen(array: np.ndarray) -> bool:
    whole: Any = array
    while isinstance(whole, np.ndarray) and not whole.flags.writeable:
        whole = whole.base
    return whole is None
