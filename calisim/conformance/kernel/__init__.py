"""Cases of the Linux kernel: what it did with each packet, against what both engines say of it.

A folder holds one folder a case: ``case.json`` (the cluster and its packets) and ``golden.json`` (what was seen at every
interface). ``case`` makes an Intent of the first, ``packets`` the bytes that are sent, ``play`` runs them, ``hops`` names the
interfaces, ``judge`` compares. The golden file is read by the judge alone: predictions are made without it.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...wire.dissect import dissect
from ...wire.ipv4 import Ipv4
from ..files import case_folders, read_json
from . import case as cases
from .decode import text
from .judge import Difference, Drawn, differs
from .play import Player, Prediction

MAX_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class PacketResult:
    """One packet of a case: ``difference`` is None where calisim and the kernel agree."""

    id: str
    hops: int                              # that the kernel's packet, its errors and its replies crossed
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class KernelResult:
    """One case; ``fault`` says why it could not be run, which is a failure."""

    name: str
    packets: tuple[PacketResult, ...] = ()
    fault: str = ""
    predictions: tuple[Prediction, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.fault and not self.mismatches

    @property
    def mismatches(self) -> list[PacketResult]:
        return [packet for packet in self.packets if packet.difference is not None]


def run(directory: str | os.PathLike[str], names: Iterable[str] | None = None) -> list[KernelResult]:
    """Every case of the folder (or those named), in the order of their names."""
    return [judged(folder) for folder in case_folders(Path(directory), "case.json", "kernel", names)]


def judged(folder: Path) -> KernelResult:
    """Predict a case, then compare. What cannot be run or compared is a failure that says why."""
    try:
        case = cases.read(folder)
        predictions = tuple(Player(case).play())
    except Exception as error:             # whatever is wrong with the case: it is told, and the other cases run
        return KernelResult(folder.name, fault=f"the case cannot run: {_said(error)}")
    try:
        golden = _golden(folder / "golden.json")
        drawn = Drawn(case.written, _identifications(case, predictions))
        return KernelResult(folder.name, _compared(predictions, golden, drawn), predictions=predictions)
    except Exception as error:
        return KernelResult(folder.name, fault=f"golden.json cannot be compared: {_said(error)}", predictions=predictions)


def _said(error: Exception) -> str:
    """What is wrong with a file, in the words of its author."""
    match error:
        case OSError():
            return error.strerror or str(error)
        case json.JSONDecodeError():
            return f"it is not JSON: {error}"
        case KeyError():
            return f"{error} is missing, or nothing that it may say"
        case ValueError() | struct.error():
            return str(error)
        case _:
            return f"it is not of the form of a case ({type(error).__name__}: {error})"


def _golden(path: Path) -> list[dict[str, Any]]:
    packets = read_json(path, MAX_BYTES)["packets"]
    assert isinstance(packets, list)
    return packets


def _compared(
    predictions: Sequence[Prediction], golden: Sequence[dict[str, Any]], drawn: Drawn,
) -> tuple[PacketResult, ...]:
    if [one.id for one in predictions] != [one["id"] for one in golden]:
        raise ValueError("case.json and golden.json have different packets")
    return tuple(
        PacketResult(prediction.id, len(packet["hops"]), differs(prediction, packet, drawn))
        for prediction, packet in zip(predictions, golden, strict=True))


def _identifications(case: cases.Case, predictions: Sequence[Prediction]) -> frozenset[int]:
    """IPv4 identifications that senders wrote; a socket's kernel writes its own."""
    return frozenset(
        layer.header.id for spec, one in zip(case.packets, predictions, strict=True) if spec.get("inject") != "socket"
        for data in one.sent for layer in dissect(data).layers if isinstance(layer.header, Ipv4) and not layer.quoted)


def emitted(result: KernelResult) -> str:
    """The predictions of a case in golden.json's own form."""
    return json.dumps({"case": result.name, "packets": [_emitted(one) for one in result.predictions]}, indent=1) + "\n"


def _emitted(prediction: Prediction) -> dict[str, Any]:
    table = list(dict.fromkeys(hop.data for hop in prediction.hops))
    hops = [
        {"kind": hop.kind, "ns": hop.namespace, "dev": hop.device, "dir": hop.direction, "text": text(hop.data),
         "l3": table.index(hop.data)} for hop in prediction.hops]
    sent = {"sent": prediction.sent[0].hex()} if len(prediction.sent) == 1 else {}
    return {
        "id": prediction.id, "from": prediction.sender, **sent, "fate": dict(prediction.fate), "hops": hops,
        "bytes": [data.hex() for data in table]}
