"""Who exists by name, without counting anybody out; and how the ends of traffic and expectations are named.

``count: 4`` of node ``a`` means ``a-1`` … ``a-4``: whether a name exists is computed from the groups, so that
five thousand nodes cost no more than one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from ..quantities import parse_address
from ..selector import Selector, parse
from .resources import Resources, ServiceResource
from .schema import NodeGroup, PodGroup, Spec

EVERY = "*"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,2}")
_ADDRESS_LIKE = re.compile(r"[\d.]+|[\da-fA-F]*:[\da-fA-F:.]*")
_NUMBERED = re.compile(r"(.+)-(0|[1-9][0-9]{0,8})")
_MOST_CANDIDATES = 1000           # names that a did-you-mean looks through


@dataclass(frozen=True, slots=True)
class Reference:
    """An end of traffic: ``kind`` is selector, address, node, host, svc, pod (with namespace) or name (any of them).

    The name ``*`` of a node or host means all of them.
    """

    kind: str
    name: str
    namespace: str = ""
    address: int = 0
    selector: Selector | None = None


def parse_reference(text: str) -> Reference:
    """``NAMESPACE/POD``, ``node/NAME``, ``host/NAME`` (or ``*``), ``svc/NAMESPACE/NAME``, an address, a bare name or a selector.

    Raises ValueError (SelectorError with a column for selectors).
    """
    text = text.strip()
    if text in ("node/*", "host/*"):
        return Reference(text.partition("/")[0], EVERY)
    if not text:
        raise ValueError("this is empty: write all() for every pod")
    if _ADDRESS_LIKE.fullmatch(text):
        return Reference("address", text, address=parse_address(text))
    if not _NAME.fullmatch(text):
        return Reference("selector", text, selector=parse(text))
    kind, _, rest = text.partition("/")
    if not rest:
        return Reference("name", text)
    if kind == "svc":
        namespace, _, name = rest.partition("/")
        if not name:
            raise ValueError(f"{text} names no service: write svc/NAMESPACE/NAME")
        return Reference("svc", name, namespace)
    if "/" in rest:
        raise ValueError(f"{text} names nothing: write NAMESPACE/POD, node/NAME, host/NAME or svc/NAMESPACE/NAME")
    return Reference(kind, rest) if kind in ("node", "host") else Reference("pod", rest, kind)


@dataclass(slots=True)
class Names:
    """The names of a scenario. ``unsure`` are the lists whose faults hide some of their names: node, pod, host."""

    spec: Spec
    resources: Resources
    unsure: frozenset[str] = frozenset()
    _nodes: dict[str, NodeGroup] = field(default_factory=dict)
    _pods: dict[tuple[str, str], PodGroup] = field(default_factory=dict)
    _written_pods: set[tuple[str, str]] = field(default_factory=set)
    _hosts: set[str] = field(default_factory=set)
    _services: dict[str, ServiceResource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._nodes = {group.name: group for group in self.spec.nodes}
        self._pods = {(group.namespace, group.name): group for group in self.spec.pods}
        self._written_pods = {(pod.namespace, pod.name) for pod in self.resources.pods}
        self._hosts = {host.name for host in self.spec.hosts}
        self._services = {f"{service.namespace}/{service.name}": service for service in self.resources.services}

    def has_node(self, name: str) -> bool:
        group = self._nodes.get(name)
        if group is not None and group.count is None:
            return True
        base, number = numbered(name)
        group = self._nodes.get(base)
        return group is not None and group.count is not None and 1 <= number <= group.count

    def has_pod(self, namespace: str, name: str) -> bool:
        if (namespace, name) in self._written_pods:
            return True
        group = self._pods.get((namespace, name))
        if group is not None and group.count is None and group.per_node is None:
            return True
        rest, number = numbered(name)
        for base, node in _splits(rest):
            group = self._pods.get((namespace, base))
            if group is None:
                continue
            if not node and group.per_node is None and 0 <= number < (group.count or 0):
                return True
            if node and 0 <= number < (group.per_node or 0) and self.has_node(node):
                return True
        return False

    def has_host(self, name: str) -> bool:
        return name in self._hosts

    def bearers(self, name: str) -> list[str]:
        """Everybody whom a bare name could mean, by their full names."""
        found = [f"node/{name}"] if self.has_node(name) else []
        found += [f"host/{name}"] if self.has_host(name) else []
        namespaces = dict.fromkeys(space for space, _ in [*self._pods, *self._written_pods])
        return found + [f"{space}/{name}" for space in namespaces if self.has_pod(space, name)]

    def unknown(self, reference: Reference) -> str:
        """Why nobody has that name, or "" if somebody does (or it cannot be told)."""
        kind, name = reference.kind, reference.name
        if kind == "name":
            bearers = self.bearers(name)
            if len(bearers) > 1:
                return f"{name} could be {' or '.join(bearers)}: write which"
            return "" if bearers or self.unsure else f"nobody is called {name}{self._nearest(name)}"
        if kind == "svc":
            return self._unknown_service(f"{reference.namespace}/{name}")
        known = {"node": self.has_node(name), "host": self.has_host(name), "pod": self.has_pod(reference.namespace, name)}
        if name == EVERY or kind in self.unsure or known.get(kind, True):
            return ""
        if kind == "pod":
            return f"there is no pod {reference.namespace}/{name}{self._nearest(f'{reference.namespace}/{name}')}"
        return f"there is no {kind} {name}{self._nearest(f'{kind}/{name}')}"

    def is_headless_over(self, reference: Reference, labels: Mapping[str, str], namespace: str) -> bool:
        """Whether a service stands for its pods and these labels are of some of them."""
        service = self._services.get(f"{reference.namespace}/{reference.name}")
        if service is None or not service.headless or namespace != service.namespace:
            return False
        return service.selector is not None and service.selector.items() <= labels.items()

    def _unknown_service(self, name: str) -> str:
        if name in self._services or "pod" in self.unsure:          # a faulty document may have been the service
            return ""
        near = difflib.get_close_matches(name, islice(self._services, _MOST_CANDIDATES), 1)
        return f"there is no service {name}: {f'did you mean svc/{near[0]}?' if near else 'add its Service document'}"

    def nearest_node(self, name: str) -> str:
        near = difflib.get_close_matches(name, islice(self._node_names(), _MOST_CANDIDATES), 1)
        return f"did you mean {near[0]}?" if near else "name a node of the scenario"

    def node_count(self) -> int:
        return sum(1 if group.count is None else group.count for group in self.spec.nodes)

    def pod_count(self, group: PodGroup, nodes: int) -> int:
        """How many pods a group has at most (its nodes selector is not asked)."""
        if group.per_node is not None:
            return group.per_node * (1 if group.node else nodes)
        return 1 if group.count is None else group.count

    def _nearest(self, name: str) -> str:
        every = (f"node/{one}" for one in self._node_names()), (f"host/{one}" for one in self._hosts), self._pod_names()
        full = [one for names in every for one in islice(names, _MOST_CANDIDATES)]
        candidates = full if "/" in name else [one.partition("/")[2] for one in full]
        near = difflib.get_close_matches(name, candidates, 1)
        return f": did you mean {near[0]}?" if near else ""

    def _node_names(self) -> Iterator[str]:
        for group in self.spec.nodes:
            yield from [group.name] if group.count is None else (f"{group.name}-{n}" for n in range(1, group.count + 1))

    def _pod_names(self) -> Iterator[str]:
        yield from (f"{space}/{name}" for space, name in self._written_pods)
        for group in self.spec.pods:
            base = f"{group.namespace}/{group.name}"
            if group.per_node is not None:
                yield from (f"{base}-{node}-{n}" for node in self._node_names() for n in range(group.per_node))
            else:
                yield from [base] if group.count is None else (f"{base}-{n}" for n in range(group.count))


def numbered(name: str) -> tuple[str, int]:
    """``a-12`` → ("a", 12); ("", -1) where no number ends the name."""
    found = _NUMBERED.fullmatch(name)
    return (found[1], int(found[2])) if found else ("", -1)


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """Every way to read ``web-a-1`` as GROUP or GROUP-NODE."""
    if text:
        yield text, ""
    for position, letter in enumerate(text):
        if letter == "-":
            yield text[:position], text[position + 1:]
