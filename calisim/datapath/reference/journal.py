"""What an engine writes down about a wave: events, counters and one RESULT per packet."""

from __future__ import annotations

import numpy as np

from ...control.intent import Intent
from ...vocabulary import EVENT, RESULT, Device, Direction, DropReason, Encap, Stage, Verdict
from ...vocabulary.encaps import encapsulation
from .state import ReferenceState
from .walk import Header, JourneyEnds, Walk

FRAG_NEEDED = 0x0304                       # ICMP type << 8 | code


class Journal:
    """Collects the events of a wave if they are wanted; counts them in any case."""

    def __init__(self, intent: Intent, state: ReferenceState, rows: int, *, events: bool) -> None:
        self.results = np.zeros(rows, dtype=RESULT)
        self._intent, self._state = intent, state
        self._lessons: list[tuple[int, Header, int, int]] = []         # row, quote, MTU, time
        self._events: list[dict[str, int]] | None = [] if events else None

    def cross(
        self, walk: Walk, router: int, device: Device, direction: Direction, stage: Stage, *, endpoint: int = 0, detail: int = 0,
    ) -> None:
        """A packet crosses an interface as it is now."""
        counters = self._state.links[router, device, direction]
        counters[0] += np.uint64(1)
        counters[1] += np.uint64(walk.wire.length)
        if self._events is None:
            return
        event = {
            "row": walk.row, "router": router, "endpoint": endpoint, "detail": detail, "device": device, "direction": direction,
            "stage": stage, "time": walk.time, "tcp_flags": walk.tcp_flags, **_fields(walk.inner),
        }
        if walk.outer is not None:
            event |= {
                "encap": walk.encap, "outer_src": walk.outer.src, "outer_dst": walk.outer.dst,
                "outer_length": walk.outer.length, "outer_fragment": walk.outer.fragment,
                "outer_sport": walk.outer.sport, "outer_ttl": walk.outer.ttl, "outer_tos": walk.outer.tos,
            }
        if walk.quoted is not None:
            event |= {f"quote_{name}": getattr(walk.quoted, name) for name in ("src", "dst", "sport", "dport")}
        self._events.append(event)

    def finish(self, walk: Walk, end: JourneyEnds) -> None:
        """Write the RESULT of a packet and count how it ended."""
        inner, outer, encap = walk.inner, walk.last_outer, walk.last_encap
        hops = walk.hops & 0xFF
        result = {
            "verdict": end.verdict, "reason": end.reason, "stage": end.stage, "encap": encap, "where": end.where,
            "src": inner.src, "dst": inner.dst, "sport": inner.sport, "dport": inner.dport, "ttl": inner.ttl,
            "outer_src": outer.src if outer else 0, "outer_dst": outer.dst if outer else 0,
            "wire": walk.wire_length, "hops": hops, "path": _path(end, encap, hops, walk.flags),
            "connection": walk.connection, "detail": walk.decider if end.verdict.success else end.detail,
            "flags": walk.flags,
        }
        for name, value in result.items():
            self.results[walk.row][name] = value
        if self._is_lesson(walk, end):
            assert walk.quoted is not None
            self._lessons.append((walk.row, walk.quoted, walk.told_mtu, walk.time))
        self._state.verdicts[end.verdict] += np.uint64(1)
        if end.reason is not DropReason.NONE:
            self._state.drops[end.where, end.reason] += np.uint64(1)

    def _is_lesson(self, walk: Walk, end: JourneyEnds) -> bool:
        """Whether a stack learns a path MTU: a pod of any packet of its own, a node of the IPIP packets that it made."""
        quote = walk.quoted
        if quote is None or walk.inner.dport != FRAG_NEEDED or end.verdict is not Verdict.DELIVERED or not end.where:
            return False
        if quote.src != walk.inner.dst or walk.sent_encapsulated:
            return False
        router = self._intent.router(end.where)
        if quote.src not in self._intent.local_addresses(router.id):
            return True
        return quote.protocol == encapsulation(Encap.IPIP).protocol and quote.src == router.address

    def teach(self) -> None:
        """What was learnt holds from the next wave on."""
        for _, quote, mtu, time in sorted(self._lessons, key=lambda lesson: lesson[0]):
            self._state.learn(quote, mtu, time)

    def events(self) -> np.ndarray | None:
        """EVENT records by row, each row's in the order of its journey."""
        if self._events is None:
            return None
        made = np.zeros(len(self._events), dtype=EVENT)
        for record, event in zip(made, sorted(self._events, key=lambda event: event["row"]), strict=True):
            for name, value in event.items():
                record[name] = value
        return made


def _fields(header: Header) -> dict[str, int]:
    return {
        name: getattr(header, name)
        for name in ("src", "dst", "sport", "dport", "protocol", "ttl", "tos", "length", "fragment")}


def _path(end: JourneyEnds, encap: Encap, hops: int, flags: int) -> int:
    """The shape of the journey as one number."""
    return end.verdict | end.reason << 3 | encap << 9 | min(hops, 15) << 12 | (flags & 0xFF) << 16
