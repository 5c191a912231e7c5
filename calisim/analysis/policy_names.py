"""What a class of addresses is called, and which of its members stands for it in an example."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..datapath.reference.police import ICMP, Flow
from ..quantities import format_address, plural
from .policy_book import Book
from .policy_services import Service
from .policy_space import AddressClass, Space
from .policy_words import shortened

_EPHEMERAL = 40000


@dataclass(frozen=True)
class Names:
    """Names for the classes of one space, in the words of its first world."""

    space: Space

    @cached_property
    def book(self) -> Book:
        return Book(self.space.worlds[0].network)

    @cached_property
    def _classes(self) -> dict[int, str]:
        return {}

    def of(self, number: int) -> str:
        """``shop/web-* (48 pods)``, ``10.0.0.0/8``, ``outside``."""
        if number not in self._classes:
            one = self.space.classes[number]
            self._classes[number] = self._pods(one) if one.count else self._outside(one)
        return self._classes[number]

    def _pods(self, one: AddressClass) -> str:
        if one.count == 1:
            return self.endpoint(int(one.members[0]))
        groups = dict.fromkeys(self.workload(int(number)) for number in one.members)
        return f"{shortened(list(groups), 3)} ({plural(one.count, 'pod')})"

    def _outside(self, one: AddressClass) -> str:
        owner = self.book.owner(one.addresses[0]) if one.net and one.net.length == 32 else None
        return (f"{one.net} ({owner.name})" if owner else str(one.net)) if one.net else "outside"

    def workload(self, endpoint: int) -> str:
        """The group that a pod was counted from; a pod that stands alone is its own."""
        pod = self.book.pod(self.book.intent.endpoint(endpoint))
        assert pod is not None
        return f"{pod.namespace}/{pod.group}-*" if pod.group and pod.group != pod.name else pod.id

    def endpoint(self, number: int) -> str:
        return self.book.intent.endpoint(number).name

    def example(self, source: int, destination: int, service: Service, world: int = 0) -> Flow | None:
        """A flow of that kind; None where there is none: a lonely pod cannot talk to another of its class."""
        first, second = self.space.classes[source], self.space.classes[destination]
        src, dst = first.addresses[world], second.addresses[world]
        if source == destination and first.count:
            if first.count == 1:
                return None
            intent = self.space.worlds[world].network.intent
            name = self.endpoint(int(second.members[1]))
            dst = intent.endpoint(intent.endpoint_ids[name]).address
        low, high = service.sports
        sport = _EPHEMERAL if low <= _EPHEMERAL <= high else low
        first_port, last_port = service.dports
        dport = min(max(first_port, 1), last_port)
        if service.protocol in ICMP:
            dport = service.icmp[0] << 8 | service.icmp[1]
            sport = 0
        return Flow(src, dst, service.number, sport, dport, service.icmp)

    def address(self, address: int, world: int = 0) -> str:
        """The owner's name, else the address."""
        owner = Book(self.space.worlds[world].network).owner(address)
        return owner.name if owner else format_address(address)
