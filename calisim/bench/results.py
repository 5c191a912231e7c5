"""What a benchmark found, as the document that is kept, and how two of them compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from .machine import commit, machine, now, version
from .measure import Row, Timed
from .rows import Setting

NOISE = 1.3                     # a smaller factor between medians says nothing on a machine that others use, too


def row_document(row: Row, timed: list[Timed]) -> dict[str, Any]:
    """One row: calisim's figures, then those of the rivals with calisim's ratio to each."""
    own = timed[0]
    return {
        "id": row.id, "title": row.title, "unit": row.unit, "clock": "processor" if row.cpu else "wall", "rounds": row.rounds,
        **_figures(own), "facts": dict(row.facts()),
        "rivals": [
            {"name": rival.contender.name, "version": rival.contender.version, "note": rival.contender.note, **_figures(rival),
             "ratio": round(own.rate / rival.rate, 3), "claims": list(rival.claims), "agrees": rival.agrees}
            for rival in timed[1:]],
        "skipped": [{"name": name, "why": why} for name, why in row.skipped]}


def _figures(timed: Timed) -> dict[str, Any]:
    spread = {name: round(value, 3) for name, value in timed.nanoseconds().items()}
    return {"count": timed.contender.count, "perSecond": round(timed.rate, 3), "nanoseconds": spread, "digest": timed.digest}


def benchmark_document(setting: Setting, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "calisim/v1", "kind": "Benchmark", "version": version(), "commit": commit(), "date": now(),
        "machine": machine(), "setting": dict(setting), "rows": rows}


def disagreements(document: Mapping[str, Any]) -> list[str]:
    """Rows in which a rival's output is another than calisim's: one of the two is wrong."""
    return [
        f"{row['title']}: {rival['name']} gives other {', '.join(rival['claims'])}"
        for row in document["rows"] for rival in row["rivals"] if rival["agrees"] is False]


@dataclass(frozen=True)
class Change:
    """A row now and before, in nanoseconds per unit. ``factor``: median before by median now, above 1 it became faster."""

    title: str
    before: Mapping[str, float]
    now: Mapping[str, float]
    same_output: bool

    @property
    def factor(self) -> float:
        return self.before["median"] / self.now["median"]

    @property
    def verdict(self) -> str:
        """``slower`` and ``faster`` where the spreads do not touch and the medians are further apart than noise."""
        if self.now["min"] > self.before["max"] and self.factor <= 1 / NOISE:
            return "slower"
        if self.now["max"] < self.before["min"] and self.factor >= NOISE:
            return "faster"
        return "noise"


def compare(before: object, now: Mapping[str, Any], name: str) -> list[Change]:
    """Rows that both have, measured on the same workload. UsageError tells what is wrong with an earlier document."""
    rows = check(before, name)
    assert isinstance(before, Mapping)
    if before.get("setting") != now["setting"]:
        raise UsageError(
            f"{name} was measured with another setting ({before.get('setting')}, not {now['setting']}): "
            "call calisim bench with or without --quick as it was then")
    changes = [
        Change(row["title"], rows[row["id"]]["nanoseconds"], row["nanoseconds"], rows[row["id"]]["digest"] == row["digest"])
        for row in now["rows"] if row["id"] in rows]
    if not changes:
        raise UsageError(f"{name} has none of the rows that were measured")
    return changes


def check(before: object, name: str) -> dict[str, Any]:
    """Rows by id, each with the figures that a comparison needs; UsageError if the document is none of a benchmark."""
    wrong = UsageError(f"{name} is no benchmark of calisim: give a file that calisim bench --json -o FILE has written")
    if not isinstance(before, Mapping) or before.get("kind") != "Benchmark" or not isinstance(before.get("rows"), list):
        raise wrong
    for row in before["rows"]:
        spread = row.get("nanoseconds") if isinstance(row, Mapping) else None
        if not isinstance(spread, Mapping) or not isinstance(row.get("id"), str) or "digest" not in row or not all(
                isinstance(spread.get(key), int | float) and spread[key] > 0 for key in ("min", "median", "max")):
            raise wrong
    return {row["id"]: row for row in before["rows"]}


def elsewhere(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    """What makes figures hard to compare."""
    old = before.get("machine") if isinstance(before.get("machine"), Mapping) else {}
    assert isinstance(old, Mapping)
    for key in ("cpu", "cores", "python", "compiler"):
        if old.get(key) != now["machine"][key]:
            yield f"{key} was {old.get(key)}, is {now['machine'][key]}"
