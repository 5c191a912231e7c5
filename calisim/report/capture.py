"""A run as a capture: every crossing of an interface is a frame, its bytes made from the EVENT.

What no record of the model holds is made up so that any reader is content: IPv4 identifications count the packets, TCP
numbers follow each connection, payload is text in TCP and zeros in UDP. The last frame of a packet that did not arrive says
why in its comment. Times are those of the packets: all frames of one have the same, in the order of its journey.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.explain import headers_of, interface_of, where_of
from ..analysis.losses import loss_of
from ..analysis.telling import decider
from ..datapath.deparse import Deparser, Tunnels
from ..errors import UsageError
from ..traffic.batch import ACK, FIN, SYN, TCP
from ..vocabulary import Device, Direction, DropReason, Stage, Verdict
from ..wire import ipv4, tcp
from ..wire.frame import Frame
from ..wire.linktypes import IPV4

if TYPE_CHECKING:
    from ..analysis.network import Network, Progress
    from ..analysis.run import Run
    from ..control.intent import Intent

MOST_PACKETS = 100_000
"""Of one capture: some six frames each, of a thousand bytes 600 MB."""

AT_ONCE = 1024                       # frames whose bytes are made together: a megabyte or so
MODULUS = 2**32                      # of TCP's numbers


class Recording:
    """The frames of one run. ``interfaces`` names them as ``node/device``, ``run`` is what was recorded."""

    def __init__(self, intent: Intent, run: Run) -> None:
        assert run.events is not None
        self.run = run
        self.interfaces, self._interface = _interfaces(intent, run.events)
        self._intent, self._events = intent, run.events
        rows, first = np.unique(run.events["row"], return_index=True)
        self._last = np.append(first[1:], len(run.events)) - 1 if len(rows) else first
        packets = run.packets.copy()
        packets["src"][rows] = np.where(     # what the kernel chose
            packets["src"][rows] == 0, run.events["src"][first], packets["src"][rows])
        self._packets = packets
        self._deparser = Deparser(
            run.events, Tunnels(intent.seed, macs={router.address: tunnel_mac(router.name) for router in intent.routers}),
            numbers=tcp_numbers(packets, run.results))

    def __len__(self) -> int:
        return len(self._events)

    def frames(self) -> Iterator[Frame]:
        """All frames, packet by packet."""
        return self._frames(np.arange(len(self._events)))

    def by_interface(self) -> Iterator[tuple[str, Iterator[Frame]]]:
        """The frames of each interface."""
        order = np.argsort(self._interface, kind="stable")
        bounds = np.searchsorted(self._interface[order], np.arange(len(self.interfaces) + 1))
        for number, name in enumerate(self.interfaces):
            yield name, self._frames(order[bounds[number]:bounds[number + 1]])

    def unseen(self) -> dict[str, int]:
        """Packets that never were on an interface, by what became of them."""
        seen = np.zeros(len(self._packets), bool)
        seen[self._events["row"]] = True
        counts = Counter(_fate(result) for result in self.run.results[~seen])
        return dict(counts.most_common())

    def _frames(self, positions: np.ndarray) -> Iterator[Frame]:
        last = set(self._last.tolist())
        for start in range(0, len(positions), AT_ONCE):
            chunk = positions[start:start + AT_ONCE]
            made = self._deparser.deparse(chunk)
            for number, position in enumerate(chunk.tolist()):
                event, data = self._events[position], made.packet(number)
                yield Frame(
                    int(event["time"]), data, len(data), IPV4, self.interfaces[self._interface[position]],
                    Direction(int(event["direction"])), self._comment(event) if position in last else "")

    def _comment(self, event: np.void) -> str:
        """Why a packet got no further; nothing for one that arrived."""
        packet, result = self._packets[int(event["row"])], self.run.results[int(event["row"])]
        if Verdict(int(result["verdict"])).success:
            return ""
        loss = loss_of(self._intent, packet, result, headers_of(event))
        if loss is None:
            return _fate(result)
        return f"{loss.reason.name} at {loss.where}: {loss.sentence} {decider(loss.object).strip()}".rstrip()


def record(
    network: Network, traffic: str | None, *, replies: bool = False, progress: Progress | None = None,
) -> Recording:
    """Send the scenario's traffic, or one set of it, and keep every crossing. Refuses more packets than a capture holds."""
    from ..traffic.flows import plan

    sets = network.traffic_sets(traffic)
    sizes = {set_.name: plan(set_, network.intent, network.labels).packets for set_ in sets}
    if sum(sizes.values()) > MOST_PACKETS:
        large = max(sizes, key=lambda name: sizes[name])
        small = min(sizes, key=lambda name: sizes[name])
        cure = f"--traffic {small} sends {sizes[small]:,}" if sizes[small] <= MOST_PACKETS else "no set is small enough"
        raise UsageError(
            f"a capture holds at most {MOST_PACKETS:,} packets, this traffic has {sum(sizes.values()):,}: {cure}; "
            f"or let fewer endpoints send, for example --set traffic.{large}.from=NAMESPACE/POD")
    return Recording(network.intent, network.run(traffic, events=True, replies=replies, progress=progress))


def file_names(interfaces: tuple[str, ...]) -> dict[str, str]:
    """A file name for each interface, no two alike."""
    names: dict[str, str] = {}
    for interface in interfaces:
        stem = name = re.sub(r"[^\w.-]", "_", interface)
        number = 1
        while name in names.values():
            number += 1
            name = f"{stem}_{number}"
        names[interface] = name
    return {interface: f"{name}.pcap" for interface, name in names.items()}


def tunnel_mac(node: str) -> bytes:
    """Of vxlan.calico: Felix takes the letter f and five bytes of the SHA-1 of the node's name."""
    return b"f" + hashlib.sha1(node.encode(), usedforsecurity=False).digest()[:5]


def _fate(result: np.void) -> str:
    verdict = Verdict(int(result["verdict"]))
    if verdict is Verdict.DROPPED:
        return next(reason.name for reason in DropReason if reason == result["reason"])
    return f"{verdict.name.lower()} at stage {Stage(int(result['stage'])).name.lower()}"


def _interfaces(intent: Intent, events: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The interfaces that were crossed, and which one each event is of."""
    own = (events["device"] == Device.VETH) | (events["router"] == 0)       # a veth is its pod's, a host's interface the host's
    key = events["router"].astype(np.uint64) << np.uint64(40) | events["device"]
    key |= np.where(own, events["endpoint"], 0).astype(np.uint64) << np.uint64(8)
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    return tuple(f"{where_of(intent, event)}/{interface_of(intent, event)}" for event in events[first]), number


def tcp_numbers(packets: np.ndarray, results: np.ndarray) -> np.ndarray:
    """Sequence and acknowledgement number of every packet, as if each connection had begun with 0."""
    numbers = np.zeros((len(packets), 2), np.int64)
    following: dict[tuple[Any, ...], int] = {}                         # by tuple as sent and as it arrived (NAT)
    columns = ("src", "dst", "sport", "dport")
    for row in np.flatnonzero(packets["protocol"] == TCP).tolist():
        packet, result = packets[row], results[row]
        flags = int(packet["tcp_flags"])
        src, dst, sport, dport = sent = tuple(packet[column].item() for column in columns)
        seq = following.get(sent, 0 if flags & SYN else 1)
        ack = following.get((dst, src, dport, sport), 1) if flags & ACK else 0
        numbers[row] = seq, ack
        payload = int(packet["length"]) - ipv4.SIZE - tcp.SIZE
        after = (seq + max(payload, 0) + bool(flags & SYN) + bool(flags & FIN)) % MODULUS
        following[sent] = following[tuple(result[column].item() for column in columns)] = after
    return numbers
