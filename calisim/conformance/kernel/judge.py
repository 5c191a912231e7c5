"""Holds a prediction against what the kernel did: fate, every interface, every byte.

Bytes that a golden file masks differ from run to run; they must obey their rule instead: a port that was drawn lies in the
class of the kernel's, what the kernel kept (port, identification) is kept, checksums are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...wire import icmp, ipv4, tcp, udp, vxlan
from ...wire.dissect import dissect
from .decode import field_at, name_of, text
from .hops import Hop, innermost
from .play import Prediction

LOCAL_PORTS = range(32768, 61000)          # net.ipv4.ip_local_port_range, of VXLAN's source port
FATE = ("end", "ns", "dev", "pieces", "last_seen")
ERROR = ("type", "code", "src", "dst", "len", "mtu", "reached")


@dataclass(frozen=True, slots=True)
class Difference:
    """Why a packet does not agree. ``field`` is the first one that differs, ``ours`` and ``kernels`` the packets there."""

    message: str
    field: str = ""
    ours: bytes | None = None
    kernels: bytes | None = None


@dataclass
class Drawn:
    """Numbers drawn at random: which of ours stands for which of the kernel's, through a whole case. ``written``: ports and
    echo identifiers that the case writes, ``ids``: IPv4 identifications; all others are drawn, also where an error that was
    sent by hand quotes them."""

    written: frozenset[int] = frozenset()
    ids: frozenset[int] = frozenset()
    ours: dict[tuple[str, int], int] = field(default_factory=dict)

    def agrees(self, why: str, kernels: int, ours: int) -> bool:
        """Whether this pair is new, or the same as before."""
        return self.ours.setdefault((why, kernels), ours) == ours


def differs(prediction: Prediction, golden: Mapping[str, Any], drawn: Drawn) -> Difference | None:
    """None where calisim and the kernel agree about one packet."""
    if prediction.disagreement:
        return Difference(prediction.disagreement)
    found = _hops_differ(prediction, golden, drawn) or _fate_differs(prediction, golden)
    if found and prediction.unmodelled:
        return replace(found, message=f"not modelled yet: {prediction.unmodelled} ({found.message})")
    return found


def _fate_differs(prediction: Prediction, golden: Mapping[str, Any]) -> Difference | None:
    fate = golden["fate"]
    for key in FATE:
        if prediction.fate.get(key) != fate.get(key):
            return Difference(f"fate: {key} is {_said(prediction.fate.get(key))}, the kernel has {_said(fate.get(key))}", key)
    ours, kernels = (
        [{key: one.get(key) for key in ERROR} for one in side.get("icmp_errors", ())] for side in (prediction.fate, fate))
    if ours != kernels:
        return Difference(f"fate: ICMP errors are {_said(ours)}, the kernel has {_said(kernels)}", "icmp_errors")
    return None


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(map(str, value.values()))
    return "nothing" if value is None or value == [] else str(value)


def _hops_differ(prediction: Prediction, golden: Mapping[str, Any], drawn: Drawn) -> Difference | None:
    """Interfaces in their order, for each kind of packet apart; on each interface its packets in their order.

    Several fragments cross the same interfaces side by side; how they interleave is no rule.
    """
    table = [bytes.fromhex(packet) for packet in golden["bytes"]]
    theirs = [
        (Hop(hop["kind"], hop["ns"], hop["dev"], hop["dir"], table[hop["l3"]]), hop["mask"]) for hop in golden["hops"]]
    ours, kernels = _path(prediction.hops), _path([hop for hop, _ in theirs])
    for kind in dict.fromkeys([*ours, *kernels]):
        mine, other = ours.get(kind, []), kernels.get(kind, [])
        if set(mine) == set(other) and any(innermost(hop.data).is_fragment for hop in prediction.hops):
            other = mine
        for position in range(max(len(mine), len(other))):
            here = mine[position] if position < len(mine) else None
            there = other[position] if position < len(other) else None
            if here != there:
                return _astray(prediction, theirs, here, there)
            assert here is not None
            found = _interface_differs(
                here, [hop.data for hop in prediction.hops if hop.interface == here],
                [(hop.data, mask) for hop, mask in theirs if hop.interface == here], drawn)
            if found:
                return found
    return None


def _path(hops: Sequence[Hop]) -> dict[str, list[tuple[str, str, str, str]]]:
    """Interfaces in the order in which they were first crossed, by kind."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for interface in dict.fromkeys(hop.interface for hop in hops):
        found.setdefault(interface[0], []).append(interface)
    return found


def _astray(
    prediction: Prediction, theirs: Sequence[tuple[Hop, Any]], here: tuple[str, ...] | None, there: tuple[str, ...] | None,
) -> Difference:
    """The two are on different interfaces, or one of them is on none any more."""
    ours = next((hop.data for hop in prediction.hops if hop.interface == here), None)
    kernels = next((hop.data for hop, _ in theirs if hop.interface == there), None)
    return Difference(f"it is seen at {_where(here)}, the kernel has it at {_where(there)}", "interface", ours, kernels)


def _where(interface: tuple[str, ...] | None) -> str:
    if interface is None:
        return "no further interface"
    kind, namespace, device, direction = interface
    return f"{namespace} {device} {direction}{'' if kind == 'self' else f' ({kind})'}"


def _interface_differs(
    interface: tuple[str, ...], ours: Sequence[bytes], kernels: Sequence[tuple[bytes, Any]], drawn: Drawn,
) -> Difference | None:
    if len(ours) != len(kernels):
        return Difference(
            f"{len(ours)} packets at {_where(interface)}, the kernel has {len(kernels)}", "pieces",
            ours[0] if ours else None, kernels[0][0] if kernels else None)
    for mine, (other, said) in zip(ours, kernels, strict=True):
        mask = [*said, *(one for one in _drawn_fields(other, mine, drawn) if one not in said)]
        fault = _bytes_differ(mine, other, mask) or _rule_broken(mine, other, mask, drawn)
        if fault:
            return Difference(f"at {_where(interface)} {fault}", fault.partition(":")[0], mine, other)
    return None


def _drawn_fields(packet: bytes, ours: bytes, drawn: Drawn) -> Iterator[list[Any]]:
    """Masks for ports and identifications that nobody wrote, in either packet, and the checksums over them."""
    layers = dissect(packet).layers

    def is_drawn(offset: int, written: frozenset[int]) -> bool:
        return not written & {int.from_bytes(one[offset:offset + 2], "big") for one in (packet, ours)}

    quoting: list[list[Any]] = []                  # the checksum of the ICMP error around a quote
    for layer, inner in zip(layers, (*layers[1:], None), strict=False):
        at, checksum = layer.start, 0
        fields: tuple[int, ...] = ()
        match layer.header:
            case ipv4.Ipv4() if is_drawn(at + 4, drawn.ids):
                yield from ([at + 4, 2, "ip-id"], [at + 10, 2, "ip-csum"])
                yield from quoting
            case udp.Udp() if not (inner and isinstance(inner.header, vxlan.Vxlan)):
                fields, checksum = (0, 2), 6
            case tcp.Tcp():
                fields, checksum = (0, 2), 16
            case icmp.Icmp(icmp.ECHO | icmp.ECHO_REPLY):
                fields, checksum = (4,), 2
            case icmp.Icmp():
                quoting.append([at + 2, 2, "l4-csum"])
        if unwritten := [at + offset for offset in fields if is_drawn(at + offset, drawn.written)]:
            yield from ([offset, 2, "nat-port"] for offset in unwritten)
            yield from ([[at + checksum, 2, "l4-csum"]] if at + checksum + 2 <= len(packet) else [])
            yield from quoting


def _bytes_differ(ours: bytes, kernels: bytes, mask: Sequence[Sequence[Any]]) -> str:
    """The first field outside the mask that differs, with both values."""
    ours = ours[:len(kernels)] if _is_cut(kernels) else ours
    hidden = {offset + step for offset, length, _ in mask for step in range(length)}
    fields = {
        offset: field_at(kernels if offset < len(kernels) else ours, offset) for offset in range(max(len(ours), len(kernels)))
        if offset not in hidden and ours[offset:offset + 1] != kernels[offset:offset + 1]}
    if not fields:
        return ""
    # a checksum differs because of what it covers, so it is named only where nothing else differs
    offset = min(fields, key=lambda offset: (fields[offset].endswith("checksum"), offset))
    return f"{fields[offset]}: byte {offset} is {_octet(ours, offset)}, the kernel has {_octet(kernels, offset)}"


def _is_cut(packet: bytes) -> bool:
    """Whether a capture's snapshot length cut the packet: it says that it is longer than what is there."""
    return len(packet) >= 20 and int.from_bytes(packet[2:4], "big") > len(packet)


def _octet(packet: bytes, offset: int) -> str:
    return f"0x{packet[offset]:02x}" if offset < len(packet) else "beyond the end"


def _rule_broken(ours: bytes, kernels: bytes, mask: Sequence[Sequence[Any]], drawn: Drawn) -> str:
    """What the masked bytes must obey."""
    for fault in _wrong_checksums(ours, kernels):
        return fault
    for offset, length, why in mask:
        mine, other = (int.from_bytes(packet[offset:offset + length], "big") for packet in (ours, kernels))
        field = field_at(kernels, offset)
        if why == "vxlan-sport" and mine not in LOCAL_PORTS:
            return f"{field}: {mine} is no local port ({LOCAL_PORTS.start}..{LOCAL_PORTS.stop - 1})"
        if why == "nat-port" and not _is_echo(kernels, offset) and _port_class(mine) != _port_class(other):
            return f"{field}: {mine} is of another class of ports than the kernel's {other}"
        if why in ("nat-port", "vxlan-sport") and not drawn.agrees(why, other, mine):
            return f"{field}: {mine}, where the kernel keeps {other} and calisim had {drawn.ours[why, other]}"
    return ""


def _wrong_checksums(ours: bytes, kernels: bytes) -> Iterator[str]:
    """Checksums of ours that are wrong while the kernel's are right."""
    right = {layer.start for layer in dissect(kernels).layers if layer.right}
    found = dissect(ours)
    for layer in found.wrong:
        if layer.start in right:
            yield f"{name_of(layer, found.layers)} checksum: it is wrong"


def _is_echo(packet: bytes, offset: int) -> bool:
    return any(isinstance(layer.header, icmp.Icmp) and layer.start + 4 == offset for layer in dissect(packet).layers)


def _port_class(port: int) -> int:
    """The classes in which MASQUERADE looks for a port: 1..511, 600..1023, 1024..65535; -1 is none of them."""
    if port >= 1024:
        return 2
    return 1 if port >= 600 else 0 if 1 <= port < 512 else -1


def side_by_side(difference: Difference) -> list[str]:
    """Both packets, header by header."""
    lines = []
    for name, packet in (("calisim", difference.ours), ("kernel", difference.kernels)):
        lines.append(f"{name:8}{'–' if packet is None else text(packet)}")
    return lines
