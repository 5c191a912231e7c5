"""A run as a capture: every crossing of an interface is a frame, its bytes made from the EVENT.

What no record of the model holds is made up so that any reader is content: IPv4 identifications count the packets, TCP
numbers follow each connection, payload is text in TCP and zeros in UDP. The last frame of a packet that did not arrive says
why in its comment. Times are those of the packets: all frames of one have the same, in the order of its journey.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.explain import headers_of, interface_of, where_of
from ..analysis.losses import loss_of
from ..analysis.run import REASONS
from ..analysis.telling import decider
from ..datapath.deparse import Deparser, Tunnels
from ..datapath.settling import heirs_of
from ..errors import UsageError
from ..traffic.batch import ACK, FIN, SYN, TCP
from ..vocabulary import EVENT, HEADER, PACKET, RESULT, Device, Direction, PacketFlag, Relation, Stage, Verdict
from ..wire import ipv4, tcp
from ..wire.frame import Frame
from ..wire.linktypes import IPV4

if TYPE_CHECKING:
    from ..analysis.network import Network, Progress
    from ..analysis.run import Run
    from ..control.intent import Intent
    from ..datapath.generations import Generation

MOST_PACKETS = 100_000
"""Of one capture: some six frames each, of a thousand bytes 600 MB."""

AT_ONCE = 1024                       # frames whose bytes are made together: a megabyte or so
MODULUS = 2**32                      # of TCP's numbers


class Recording:
    """The frames of one run, those of all that its packets gave rise to among them. ``interfaces`` names them as
    ``node/device``, ``run`` is what was recorded."""

    def __init__(self, intent: Intent, run: Run) -> None:
        assert run.events is not None
        self.run = run
        self._intent, self._rows = intent, _Rows(run)
        self._events = self._rows.events
        self.interfaces, self._interface = _interfaces(intent, self._events)
        last = np.append(self._events["row"][1:] != self._events["row"][:-1], True)[:len(self._events)]
        self._last = frozenset(np.flatnonzero(last).tolist())
        self._deparser = Deparser(
            self._events, Tunnels(intent.seed, macs={router.address: tunnel_mac(router.name) for router in intent.routers}),
            headers=self._rows.headers, numbers=self._rows.numbers, wholes=self._rows.wholes)

    def __len__(self) -> int:
        return len(self._events)

    def frames(self) -> Iterator[Frame]:
        """All frames in order of time; what happens at the same time packet by packet, each with what it gave rise to."""
        return self._frames(self._rows.order)

    def by_interface(self) -> Iterator[tuple[str, Iterator[Frame]]]:
        """The frames of each interface."""
        order = self._rows.order[np.argsort(self._interface[self._rows.order], kind="stable")]
        bounds = np.searchsorted(self._interface[order], np.arange(len(self.interfaces) + 1))
        for number, name in enumerate(self.interfaces):
            yield name, self._frames(order[bounds[number]:bounds[number + 1]])

    def octets(self, generation: int, event: int, snap: int) -> bytes:
        """The first bytes of one crossing: an EVENT by its position among those of a generation, counted over all families."""
        return self._deparser.deparse(self._rows.position[[self._rows.starts[generation] + event]], snap).packet(0)

    def unseen(self) -> dict[str, int]:
        """Packets that never were on an interface, by what became of them."""
        assert self.run.events is not None
        seen = np.zeros(len(self.run.packets), bool)
        seen[self.run.events["row"]] = True
        counts = Counter(_fate(result) for result in self.run.results[~seen])
        return dict(counts.most_common())

    def _frames(self, positions: np.ndarray) -> Iterator[Frame]:
        for start in range(0, len(positions), AT_ONCE):
            chunk = positions[start:start + AT_ONCE]
            made = self._deparser.deparse(chunk)
            for number, position in enumerate(chunk.tolist()):
                event, data = self._events[position], made.packet(number)
                yield Frame(
                    int(event["time"]), data, len(data), IPV4, self.interfaces[self._interface[position]],
                    Direction(int(event["direction"])), self._comment(event) if position in self._last else "")

    def _comment(self, event: np.void) -> str:
        """Why a packet got no further; nothing for one that arrived."""
        row = int(event["row"])
        packet, result = self._rows.packets[row], self._rows.results[row]
        if Verdict(int(result["verdict"])).success or self._rows.goes_on[row]:
            return ""
        loss = loss_of(self._intent, packet, result, headers_of(event))
        if loss is None:
            return _fate(result)
        return f"{loss.reason.name} at {loss.where}: {loss.sentence} {decider(loss.object).strip()}".rstrip()


class _Rows:
    """All packets of a run by row: those that were sent as in the run, behind them what they gave rise to.

    ``headers`` with the identification that a packet has in common with its pieces, ``numbers`` of TCP, ``wholes`` the length of
    the datagram of which a row is a piece, ``goes_on`` whether other rows tell its fate; ``events`` by row, ``order`` is that
    of their frames. The n-th event of a generation is at ``position[starts[generation] + n]``.
    """

    def __init__(self, run: Run) -> None:
        assert run.events is not None
        families = run.families
        generations = [generation for family in families for generation in family]
        sent = np.cumsum([0, *(len(family[0].packets) for family in families)])
        rows, extra = [], int(sent[-1])
        for family, start in zip(families, sent, strict=False):
            rows.append(np.arange(start, start + len(family[0].packets)))
            for generation in family[1:]:
                rows.append(np.arange(extra, extra + len(generation.packets)))
                extra += len(generation.packets)
        place = np.argsort(np.concatenate([np.empty(0, np.int64), *rows]))        # where in the order of generations a row stands
        self.packets = np.concatenate([np.empty(0, PACKET), *(one.packets for one in generations)])[place]
        self.results = np.concatenate([np.empty(0, RESULT), *(one.results.results for one in generations)])[place]
        self.headers = np.concatenate([np.empty(0, HEADER), *(
            np.zeros(len(one.packets), HEADER) if one.headers is None else one.headers for one in generations)])[place]
        heirs = [heirs_of(family) if len(family) > 1 else np.full(len(family[0].packets), -1) for family in families]
        self.goes_on = (np.concatenate([np.empty(0, np.int64), *heirs]) >= 0)[place]
        self._inherit(run, families, rows)
        events = [one.results.events.copy() for one in generations if one.results.events is not None]
        for mine, numbers in zip(events, rows, strict=True):
            mine["row"] = numbers[mine["row"]]
        together = np.concatenate([np.empty(0, EVENT), *events])
        sorting = np.argsort(together["row"], kind="stable")
        self.events = together[sorting]
        self.starts = np.cumsum([0, *map(len, events)])
        self.position = np.argsort(sorting, kind="stable")
        self.order = np.lexsort((self.events["row"], self._roots[self.events["row"]], self.events["time"]))

    def _inherit(self, run: Run, families: Sequence[Sequence[Generation]], rows: Sequence[np.ndarray]) -> None:
        """What pieces and wholes have of the packet that was sent."""
        assert run.events is not None
        seen, first = np.unique(run.events["row"], return_index=True)
        packets = run.packets.copy()
        packets["src"][seen] = np.where(packets["src"][seen] == 0, run.events["src"][first], packets["src"][seen])    # as chosen
        count = len(self.packets)
        self.numbers, self.wholes = np.zeros((count, 2), np.int64), self.packets["length"].copy()
        self.numbers[:len(packets)] = tcp_numbers(packets, run.results)
        self.headers["id"] = np.where(self.headers["id"], self.headers["id"], np.arange(count) % 0xFFFF + 1)
        self._roots = np.arange(count)
        position = 0
        for family in families:
            for number, generation in enumerate(family):
                own = rows[position]
                if number:
                    assert generation.causes is not None
                    parent = rows[position - 1][generation.causes["parent"]]
                    self._roots[own] = self._roots[parent]
                    same = np.isin(generation.causes["relation"], (Relation.PIECE, Relation.WHOLE))
                    piece = self.packets["fragment"][own] & int(PacketFlag.MF | PacketFlag.OFFSET) != 0
                    self.numbers[own[same]] = self.numbers[parent[same]]
                    for name in ("id", "encap"):               # encap: whether the outer header is the first sender's
                        self.headers[name][own[same]] = self.headers[name][parent[same]]
                    self.wholes[own[same & piece]] = self.wholes[parent[same & piece]]
                position += 1


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
    return Recording(network.intent, network.run(traffic, events=True, errors=True, replies=replies, progress=progress))


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
        return REASONS[int(result["reason"])].name
    if verdict is Verdict.CONTINUED:
        return "waits for the rest of its datagram, which never comes"
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
