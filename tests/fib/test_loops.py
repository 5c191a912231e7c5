"""The compiler's loops write to nothing but what they are handed, whatever they are handed."""

from collections.abc import Callable
from importlib import reload
from typing import Any

import numpy as np
import pytest

from calisim import fib
from calisim.errors import StaleBuildError
from calisim.fib import _loops
from calisim.fib.lpm import BRANCH, DEEPER, LEAF, ROOT
from calisim.vocabulary import ENDPOINT, EndpointKind


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def cells(count: int) -> np.ndarray:
    return np.zeros(count, np.uint32)


def room(*counts: int) -> list[np.ndarray]:
    return [np.zeros(count, np.int64) for count in counts]


def told(**other: Any) -> tuple[Any, ...]:
    """Two pods, 10.0.0.1 and 10.0.0.2, on routers 3 and 4."""
    turns = numbers(0, 2, 0, 0).reshape(1, 4)
    arguments = {
        "records": np.zeros(2, ENDPOINT), "kind": EndpointKind.POD, "decider": 7, "addresses": turns,
        "of_addresses": numbers(0x0A000001, 0x0A000002), "routers": turns, "of_routers": numbers(3, 4), "mtus": turns,
        "of_mtus": numbers(1480, 1450), "edges": numbers(0), "ingress": cells(1), "egress": cells(1)}
    return tuple((arguments | other).values())


def filled(starts: np.ndarray, *, branches: int = 1, leaves: int = 1, root: int = ROOT, places: int = 0) -> tuple[Any, ...]:
    return (cells(root), cells(BRANCH * branches), cells(LEAF * leaves), starts, np.arange(len(starts)),
            np.zeros(places or len(starts), np.int64), ROOT, DEEPER, 16, 6)


def test_endpoints_are_told() -> None:
    arguments = told()
    _loops.tell(*arguments)
    rows = [tuple(int(row[name]) for name in ("address", "router", "mtu", "detail", "kind")) for row in arguments[0]]
    assert rows == [(0x0A000001, 3, 1480, 7, EndpointKind.POD), (0x0A000002, 4, 1450, 8, EndpointKind.POD)]


def test_nothing_is_told_of_nobody() -> None:
    none = np.zeros((0, 4), np.int64)
    _loops.tell(*told(records=np.zeros(0, ENDPOINT), addresses=none, routers=none, mtus=none, edges=numbers()))


def test_all_addresses_are_filled_in_up_to_the_last_one() -> None:
    arguments = filled(numbers(0, 0xFFFFFFFF))
    _loops.fill(*arguments)
    root, branches, leaves = arguments[:3]
    assert root[-1] == ROOT and not root[:-1].any()
    assert branches[-1] == DEEPER and not branches[:-1].any()
    assert leaves[-1] == 1 and not leaves[:-1].any()


WRONG: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "too little room for what is found": (_loops.within, (numbers(0), numbers(1, 2), *room(1))),
    "room for fewer prefixes": (_loops.cut, (numbers(0), numbers(0), numbers(256), *room(0, 1, 3, 3))),
    "room for fewer starts": (_loops.cut, (numbers(0), numbers(0), numbers(256), *room(1, 1, 2, 3))),
    "room for fewer matches": (_loops.cut, (numbers(0), numbers(0), numbers(256), *room(1, 1, 3, 2))),
    "prefixes in the order of others": (_loops.cut, (numbers(1), numbers(0), numbers(256), *room(1, 1, 3, 3))),
    "a prefix before the first": (_loops.cut, (numbers(-1), numbers(0), numbers(256), *room(1, 1, 3, 3))),
    "fewer flags than prefixes": (_loops.inherit, (numbers(-1, 0), *room(1), np.zeros((1, 2), np.int64))),
    "fewer columns than prefixes": (_loops.inherit, (numbers(-1, 0), *room(2), np.zeros((1, 1), np.int64))),
    "a parent that is not there": (_loops.inherit, (numbers(-1, 2), *room(2), np.zeros((1, 2), np.int64))),
    "a small root": (_loops.fill, filled(numbers(0), root=ROOT - 1)),
    "fewer places than intervals": (_loops.fill, filled(numbers(0, 1 << 16), places=1)),
    "fewer branches than mixed /16s": (_loops.fill, filled(numbers(0, 1 << 10), branches=0)),
    "fewer leaves than mixed /26s": (_loops.fill, filled(numbers(0, 1), leaves=0)),
    "an interval before all": (_loops.fill, filled(numbers(-(1 << 16)))),
    "an interval after all": (_loops.fill, filled(numbers(0, 1 << 33))),
    "no interval": (_loops.overlay, (*room(0, 0, 0, 0, 0, 2, 2),)),
    "room for fewer changes": (_loops.overlay, (numbers(0), numbers(1), numbers(5), numbers(1), numbers(2), *room(2, 3))),
    "room for fewer changed": (_loops.overlay, (numbers(0), numbers(1), numbers(5), numbers(1), numbers(2), *room(3, 2))),
    "fewer sizes than stretches": (_loops.overlay, (numbers(0), numbers(1), numbers(5), numbers(), numbers(2), *room(3, 3))),
    "places behind the last one": (_loops.place, (cells(4), numbers(2), numbers(3), numbers(1), numbers(1))),
    "places before the first one": (_loops.place, (cells(4), numbers(-1), numbers(1), numbers(1), numbers(1))),
    "fewer counts than places": (_loops.place, (cells(4), numbers(2), numbers(), numbers(1), numbers(1))),
    "records of nothing": (_loops.tell, told(addresses=np.zeros((0, 4), np.int64))),
    "a gap before the first piece": (_loops.tell, told(routers=numbers(1, 2, 0, 0).reshape(1, 4))),
    "pieces of more numbers than there are": (_loops.tell, told(of_mtus=numbers(1480))),
    "pieces of no number": (_loops.tell, told(addresses=numbers(0, 0, 0, 0).reshape(1, 4))),
    "numbers before the first one": (_loops.tell, told(mtus=numbers(0, 1, 0, -1).reshape(1, 4))),
    "pieces that lack a column": (_loops.tell, told(mtus=numbers(0, 1, 0).reshape(1, 3))),
    "no program": (_loops.tell, told(edges=numbers(), ingress=cells(0), egress=cells(0))),
    "fewer programs than runs": (_loops.tell, told(egress=cells(0))),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_door_rejects(name: str) -> None:
    loop, arguments = WRONG[name]
    with pytest.raises(ValueError, match="do not belong together"):
        loop(*arguments)


def test_loops_of_another_vocabulary_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loops, "VOCABULARY", "another")
    with pytest.raises(StaleBuildError, match="another vocabulary: run pip install"):
        reload(fib)
