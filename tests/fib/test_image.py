"""Saved images come back the same, and what is not one is refused with a sentence."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from calisim.errors import StaleBuildError, UsageError
from calisim.fib import lpm
from calisim.fib.compiler import compile
from calisim.fib.image import FibImage, freeze
from calisim.vocabulary import EndpointKind
from tests.balancing import served
from tests.intents import three_zones
from tests.policing import policed


@pytest.fixture
def image() -> FibImage:
    return compile(three_zones().build())


def test_save_and_load_inverse(image: FibImage, tmp_path: Path) -> None:
    path = tmp_path / "fib.npz"
    image.save(path)
    again = FibImage.load(path)
    assert again.digest == image.digest
    assert [name for name, _, _ in again.describe()] == list(image.arrays)
    assert list(tmp_path.iterdir()) == [path]            # no temporary file stays


def test_save_leaves_nothing_where_it_fails(image: FibImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "savez_compressed", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        image.save(tmp_path / "fib.npz")
    assert not list(tmp_path.iterdir())


def test_load_rejects_what_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "fib.npz"
    with pytest.raises(UsageError, match="not a saved FIB image"):
        FibImage.load(path)
    path.write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(UsageError, match="not a saved FIB image"):
        FibImage.load(path)


def test_load_rejects_other_layouts_and_changed_contents(image: FibImage, tmp_path: Path) -> None:
    path = tmp_path / "fib.npz"
    arrays = dict(image.arrays)
    np.savez(path, places=3, objects=0, digest=image.digest, **{**arrays, "rows": arrays["rows"].astype(np.uint64)})
    with pytest.raises(StaleBuildError, match="rows differs"):
        FibImage.load(path)
    np.savez(path, places=image.places, objects=image.objects, digest=image.digest, **{**arrays, "rows": arrays["rows"] ^ 1})
    with pytest.raises(UsageError, match="damaged"):
        FibImage.load(path)


def test_check_wants_nobody_as_endpoint_0(image: FibImage) -> None:
    """Who names no endpoint at all is taken for that one."""
    endpoints = image.endpoints.copy()
    endpoints["kind"][0] = EndpointKind.POD
    with pytest.raises(UsageError, match=r"inconsistent \(endpoint 0\)"):
        FibImage(**{**image.arrays, "endpoints": endpoints}, places=image.places, objects=image.objects).check()


def test_check_wants_every_router_to_be_an_endpoint(image: FibImage) -> None:
    """A router's id is its node's: who meets one looks into the endpoints."""
    routers = np.zeros(len(image.endpoints) + 1, image.routers.dtype)          # one too many
    routers[:len(image.routers)] = image.routers
    with pytest.raises(UsageError, match=r"inconsistent \(nodes\)"):
        FibImage(**{**image.arrays, "routers": routers}, places=len(routers), objects=image.objects).check()


def test_what_is_frozen_nobody_writes_to_by_another_name() -> None:
    octets = np.zeros(64, np.uint8)
    table = freeze(octets[16:].view("<u4"))
    for array in (table, octets):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_table_is_looked_through_again_as_long_as_its_memory_may_change(image: FibImage) -> None:
    memory = image.residents.copy()
    residents = memory[:]
    residents.flags.writeable = False
    again = FibImage(**{**image.arrays, "residents": residents}, places=image.places, objects=image.objects)
    again.check()
    memory[-1] = len(image.endpoints)
    with pytest.raises(UsageError, match=r"inconsistent \(residents\)"):
        again.check()


@pytest.mark.parametrize(("table", "field"), [
    ("lpm", None), ("rows", None), ("residents", None), ("target_rows", None), ("adjacencies", "fallback"), ("routers", "group"),
    ("routers", "rules_in"), ("subnets", "table"), ("endpoints", "router"), ("classes", "interface"), ("adjacencies", "reason"),
    ("routers", "mtu"),
])
def test_check_rejects_indices_beyond_their_table(image: FibImage, table: str, field: str | None) -> None:
    image.check()
    array = image.arrays[table].copy()
    (array if field is None else array[field]).reshape(-1)[-1] = 70_000 if field == "mtu" else 200
    spoilt = FibImage(**{**image.arrays, table: array}, places=image.places, objects=image.objects)
    with pytest.raises(UsageError, match="inconsistent"):
        spoilt.check()


def test_what_was_checked_before_is_held_against_other_tables(image: FibImage) -> None:
    image.check()
    fewer = FibImage(**{**image.arrays, "adjacencies": image.adjacencies[:-1]}, places=image.places, objects=image.objects)
    with pytest.raises(UsageError, match="inconsistent"):
        fewer.check()
    image.rows.flags.writeable = True                    # whoever does that has to be looked at again
    image.rows[0, -1] = len(image.adjacencies)
    with pytest.raises(UsageError, match=r"inconsistent \(rows\)"):
        image.check()


def spoilt_tables(table: np.ndarray) -> dict[str, np.ndarray]:
    """Tables of longest match in which some lookup would read what it must not, or find a place instead of a class."""
    root, deeper = table[:lpm.ROOT].tolist(), table[lpm.ROOT:] >= lpm.DEEPER
    leaf, end, last = lpm.ROOT + int(deeper.argmax()), max(root) + lpm.BRANCH, len(table) - 1
    assert deeper.any() and end + lpm.LEAF <= len(table)
    changes = {
        "a root cell far outside": (7, 2**32 - 1), "a root cell one too far": (7, len(table) - lpm.BRANCH + 1),
        "a root cell into leaves": (7, len(table) - lpm.BRANCH), "a root cell to itself": (7, 7),
        "a root cell one too near": (7, lpm.ROOT - 1), "a branch's cell far outside": (leaf, 2**32 - 1),
        "a branch's cell one too far": (leaf, lpm.DEEPER + len(table) - lpm.LEAF + 1),
        "a branch's cell to a branch": (leaf, lpm.DEEPER + end - 1), "a branch's cell to the root": (leaf, lpm.DEEPER),
        "a leaf's cell deeper": (last, lpm.DEEPER + end), "a class too high in a leaf": (last, lpm.DEEPER - 1),
        "a class too high in a branch": (end - 1, lpm.DEEPER - 1), "the first class too high": (lpm.ROOT, lpm.DEEPER - 1)}
    found = {}
    for name, (cell, value) in changes.items():
        found[name] = table.copy()
        found[name][cell] = value
    return {**found, "nothing": table[:0], "half a root": table[:lpm.ROOT // 2], "no branch": table[:lpm.ROOT],
            "no leaf": table[:end], "a leaf too short": table[:-1]}


@pytest.mark.parametrize("table", ["lpm", "peers"])
def test_check_rejects_tables_that_a_lookup_would_leave(table: str) -> None:
    image = policed_image()
    image.check()
    for name, spoilt in spoilt_tables(image.arrays[table]).items():
        with pytest.raises(UsageError, match=rf"inconsistent \({table}\)"):
            FibImage(**{**image.arrays, table: spoilt}, places=image.places, objects=image.objects).check()
            pytest.fail(name)


def policed_image() -> FibImage:
    """With a bit of everything that policy's tables hold, indexes too."""
    for seed in range(100):
        rng = Random(seed)
        image = compile(policed(three_zones().build(), rng, rules=100))
        if len(image.indexes) > 2 and len(image.terms) > 5 and image.endpoints["ingress"].any():
            return image
    raise AssertionError("the generator makes no such policy any more")


@pytest.mark.parametrize(("table", "field"), [
    ("peers", None), ("tiers", "steps"), ("tiers", "count"), ("tiers", "index"), ("tiers", "end_detail"), ("steps", None),
    ("matches", "src"), ("matches", "dst"), ("matches", "terms"), ("matches", "term_count"), ("matches", "detail"),
    ("terms", "atom"), ("indexes", "peers"), ("indexes", "edges"), ("indexes", "edge_count"), ("indexes", "words"),
    ("endpoints", "ingress"), ("endpoints", "egress"), ("endpoints", "detail"), ("maps", None)])
def test_check_rejects_tables_of_policy_that_lead_nowhere(table: str, field: str | None) -> None:
    image = policed_image()
    image.check()
    array = image.arrays[table].copy()
    (array if field is None else array[field]).reshape(-1)[-1] = 60_000_000
    with pytest.raises(UsageError, match="inconsistent"):
        FibImage(**{**image.arrays, table: array}, places=image.places, objects=image.objects).check()


def test_check_rejects_a_program_without_an_end() -> None:
    image = policed_image()
    tiers = image.tiers.copy()
    tiers["last"][-1] = 0
    with pytest.raises(UsageError, match="ends of programs"):
        FibImage(**{**image.arrays, "tiers": tiers}, places=image.places, objects=image.objects).check()


def test_tables_are_values(image: FibImage) -> None:
    with pytest.raises(ValueError, match="read-only"):
        image.rows[0, 0] = 1


@pytest.fixture
def services() -> FibImage:
    """An image whose services, endpoints and source ranges are not empty."""
    for seed in range(100):
        image = compile(served(three_zones().build(), Random(seed)))
        if min(len(image.ranges), len(image.backends)) > 2 and image.services["own_count"].any():
            return image
    raise AssertionError("the generator makes no such services")


@pytest.mark.parametrize(("table", "field", "what"), [
    ("frontends", "service", "frontends"), ("frontends", "sources", "source ranges"), ("services", "backends", "backends"),
    ("services", "count", "backends"), ("services", "own", "own backends"), ("services", "own_count", "own backends")])
def test_check_rejects_services_that_lead_nowhere(services: FibImage, table: str, field: str, what: str) -> None:
    array = getattr(services, table).copy()
    array[field][np.flatnonzero(array[field])[0]] = 0xFFFFFFFF
    with pytest.raises(UsageError, match=f"inconsistent .{what}."):
        FibImage(**{**services.arrays, table: array}, places=services.places, objects=services.objects).check()


@pytest.mark.parametrize("change", ["full", "odd", "none"])
def test_check_rejects_a_table_of_services_in_which_a_search_never_ends(services: FibImage, change: str) -> None:
    frontends = services.frontends.copy()
    frontends["service"] = np.maximum(frontends["service"], change == "full")
    frontends = {"full": frontends, "odd": frontends[:-1], "none": frontends[:0]}[change]
    with pytest.raises(UsageError, match="size of frontends"):
        FibImage(**{**services.arrays, "frontends": frontends}, places=services.places, objects=services.objects).check()
