"""Facts across sections: names that must exist once, ends of traffic that somebody is, products that must stay in bounds.

Takes a file whose sections are well-formed (what was not has been left out and is listed in ``unsure``), gives problems.
What lies under the pods – VPCs, subnets, nodes' addresses – is judged in :mod:`calisim.scenario.cloud_checks`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path as FilePath
from pkgutil import iter_modules

from ..errors import Problem
from ..quantities import PROTOCOLS as NAMED
from ..quantities import plural
from ..selector import SelectorError, parse
from .cloud_checks import check_cloud
from .faults import MAX_PROBLEMS, fact_and_cure, nearest, problem
from .names import EVERY, Names, Reference, numbered, parse_reference
from .resources import Resources
from .scalars import EVERY_PROTOCOL
from .schema import CountSpec, Expectation, HostSpec, NodeGroup, PodGroup, ScenarioFile, Section, Spec, TrafficSet, VariantSpec
from .variants import BUILT_IN

MAX_NODES = 100_000
MAX_PODS = 2_000_000
NAMESPACE = "projectcalico.org/namespace"      # the label by which Calico's selectors know a pod's namespace
_PROVIDERS = FilePath(__file__).parents[1] / "model" / "providers"     # a provider is a file there; only its name counts here
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def check(
    file: ScenarioFile, resources: Resources, unsure: Collection[str] = (), lost_subnets: Collection[str] = (),
) -> list[Problem]:
    """All problems between sections. ``unsure``: keys of ``spec`` under which names were left out with their faults."""
    spec = file.spec
    hidden = {"nodes": ("node", "pod"), "pods": ("pod",), "hosts": ("host",)}       # perNode pods are named after nodes
    names = Names(spec, resources, frozenset(chain.from_iterable(hidden.get(key, ()) for key in unsure)))
    found = (
        _provider(spec), check_cloud(spec, names, lost_subnets), _unique(spec), _spelled(spec), _pods(spec, names),
        _amounts(spec, names), _traffic(spec, names), _variants(spec), _expectations(spec, names, unsure))
    return list(islice(chain.from_iterable(found), MAX_PROBLEMS))


def _provider(spec: Spec) -> Iterator[Problem]:
    known = sorted(module.name for module in iter_modules([str(_PROVIDERS)]))
    if spec.provider not in known:
        yield problem(spec, "provider", f"{spec.provider!r} is no provider", nearest(spec.provider, known))


def _unique(spec: Spec) -> Iterator[Problem]:
    """Names that two groups have; a group without a count can also be named like a counted one's member."""
    own = [one for one in spec.variants if isinstance(one, VariantSpec)]
    kinds: list[tuple[str, Iterable[Section], str]] = [
        ("node group", spec.nodes, "name"), ("host", spec.hosts, "name"), ("traffic set", spec.traffic, "name"),
        ("step", spec.steps, "title"), ("variant", own, "name")]
    for kind, sections, field in kinds:
        yield from _repeated(kind, ((getattr(section, field), section) for section in sections), field)
    yield from _repeated("pod group", ((f"{group.namespace}/{group.name}", group) for group in spec.pods), "name")
    counts = {group.name: group.count for group in spec.nodes if group.count is not None}
    for group in spec.nodes:
        base, number = numbered(group.name)
        if group.count is None and 1 <= number <= counts.get(base, 0):
            yield problem(group, "name", f"{group.name} is also a node of group {base}", "give it another name")


def _repeated(kind: str, sections: Iterable[tuple[str, Section]], field: str) -> Iterator[Problem]:
    first: dict[str, Section] = {}
    for name, section in sections:
        if name in first:
            yield problem(section, field, f"there are two {kind}s called {name} (the first in line {first[name].mark.line})",
                          "give one of them another name")
        first.setdefault(name, section)


def _spelled(spec: Spec) -> Iterator[Problem]:
    """Names and labels that Kubernetes would not take."""
    groups: list[NodeGroup | PodGroup | HostSpec] = [*spec.nodes, *spec.pods, *spec.hosts]
    for group in groups:
        if not _NAME.fullmatch(group.name):
            yield problem(group, "name", f"{group.name!r} is no name", "lower-case letters, digits, - and . only")
        for key, value in getattr(group, "labels", {}).items():
            if not _LABEL_VALUE.fullmatch(value):
                yield problem(group, "labels", f"{value!r} is no value of a label",
                              "up to 63 letters, digits, -, _ and ., beginning and ending with a letter or digit", key)


def _pods(spec: Spec, names: Names) -> Iterator[Problem]:
    for group in spec.pods:
        if group.count is not None and group.per_node is not None:
            yield problem(group, "per_node", "count and perNode exclude each other", "keep one of the two")
        if group.node is not None and group.nodes is not None:
            yield problem(group, "nodes", "node and nodes exclude each other", "keep one of the two")
        if group.node is not None and not names.has_node(group.node) and "node" not in names.unsure:
            yield problem(group, "node", f"there is no node {group.node}", names.nearest_node(group.node))
        if group.nodes is not None:
            try:
                parse(group.nodes)
            except SelectorError as error:
                yield _not_a_selector(group, "nodes", error)
        if group.ip is not None and (group.per_node is not None or (group.count or 1) > 1):
            yield problem(group, "ip", "one address cannot belong to several pods", "leave out count and perNode")


def _amounts(spec: Spec, names: Names) -> Iterator[Problem]:
    """Counts that are fine alone and too many together."""
    nodes = names.node_count()
    pods = sum(names.pod_count(group, nodes) for group in spec.pods)
    if nodes > MAX_NODES:
        yield problem(spec, "nodes", f"these are {plural(nodes, 'node')}", f"calisim builds up to {MAX_NODES:,}")
    if pods > MAX_PODS:
        yield problem(spec, "pods", f"these are {plural(pods, 'pod')}", f"calisim builds up to {MAX_PODS:,}")


def _not_a_selector(section: Section, field: str, error: SelectorError) -> Problem:
    return problem(section, field, f"this is no selector: {error}", "for example app == 'web' && tier in {'a', 'b'}, or all()")


def _end(section: Section, field: str, text: str, names: Names) -> tuple[Reference | None, Problem | None]:
    """The reference that a text is, or why it names nobody."""
    try:
        reference = parse_reference(text)
        sentence = names.unknown(reference)
    except SelectorError as error:
        return None, _not_a_selector(section, field, error)
    except ValueError as error:
        sentence = str(error)
    if not sentence and reference.kind == "svc" and field == "source":
        sentence = f"{text} is a service, which only receives: name the pods behind it"
    if not sentence:
        return reference, None
    message, hint = fact_and_cure(sentence)
    return None, problem(section, field, message, hint or "write NAMESPACE/POD, node/NAME, host/NAME, an address or a selector")


def _traffic(spec: Spec, names: Names) -> Iterator[Problem]:
    nodes = names.node_count()
    counts = [(names.pod_count(group, nodes), {**group.labels, NAMESPACE: group.namespace}) for group in spec.pods]
    counts += [(1, {**pod.labels, NAMESPACE: pod.namespace}) for pod in names.resources.pods]
    everybody = max(sum(count for count, _ in counts), nodes, len(spec.hosts), 1)
    for one in spec.traffic:
        yield from _one_protocol(one)
        packets = one.packets
        for field, text in (("source", one.source), ("destination", one.destination)):
            end, fault = _end(one, field, text, names)
            if fault is not None:
                yield fault
            if everybody ** 2 * one.packets > spec.limits.packets:
                packets *= _members(end, counts, names)
        if packets > spec.limits.packets:
            yield problem(one, "source", f"this traffic set makes {plural(packets, 'packet')}, limits.packets allows "
                          f"{spec.limits.packets:,}", "choose fewer ends, fewer packets, or raise limits.packets")


def _one_protocol(one: TrafficSet | Expectation) -> Iterator[Problem]:
    """A rule may be about every protocol, a packet has one."""
    if one.protocol in EVERY_PROTOCOL:
        yield problem(one, "protocol", f"{one.protocol} is what a rule may match; a packet has one protocol",
                      f"write {', '.join(NAMED)} or a number from 0 to 255")


def _members(end: Reference | None, counts: Iterable[tuple[int, Mapping[str, str]]], names: Names) -> int:
    """How many endpoints a reference can mean at most."""
    if end is not None and end.name == EVERY:
        return names.node_count() if end.kind == "node" else len(names.spec.hosts)
    if end is not None and end.kind == "svc":
        return max(1, sum(count for count, labels in counts if names.is_headless_over(end, labels, labels[NAMESPACE])))
    if end is None or end.selector is None:
        return 1
    return sum(count for count, labels in counts if end.selector.matches(labels))


def _known_variants(spec: Spec) -> list[str]:
    return list(dict.fromkeys([*BUILT_IN, *(one.name for one in spec.variants if isinstance(one, VariantSpec))]))


def _variants(spec: Spec) -> Iterator[Problem]:
    known = _known_variants(spec)
    for position, one in enumerate(spec.variants):
        if isinstance(one, str) and one not in known:
            yield problem(spec, "variants", f"there is no variant {one}", nearest(one, known), position)
        elif isinstance(one, VariantSpec) and one.name in BUILT_IN:
            yield problem(one, "name", f"{one.name} is a variant of calisim's own", "choose another name")


def _expectations(spec: Spec, names: Names, unsure: Collection[str]) -> Iterator[Problem]:
    known, titles, sets = _known_variants(spec), [one.title for one in spec.steps], [one.name for one in spec.traffic]
    for one in spec.expect:
        if one.variant is not None and one.variant not in known and "variants" not in unsure:
            yield problem(one, "variant", f"there is no variant {one.variant}", nearest(one.variant, known))
        if "steps" not in unsure:
            yield from _step(one, titles)
        yield from _one_protocol(one)
        if one.count is not None:
            yield from _count(one, one.count, sets if "traffic" not in unsure else None)
        elif one.source is None or one.destination is None:
            yield problem(one, "destination" if one.source is not None else "source", "an expectation is about a pair or a count",
                          "write from: and to:, or count: with is:")
        for field, text in (("source", one.source), ("destination", one.destination)):
            fault = _end(one, field, text, names)[1] if text is not None else None
            if fault is not None:
                yield fault


def _step(one: Expectation, titles: list[str]) -> Iterator[Problem]:
    step = one.step
    if isinstance(step, int) and not 1 <= step <= len(titles):
        yield problem(one, "step", f"there is no step {step}", f"the scenario has {plural(len(titles), 'step')}")
    elif isinstance(step, str) and step not in titles:
        yield problem(one, "step", f"there is no step {step!r}", nearest(step, titles))


def _count(one: Expectation, count: CountSpec, sets: list[str] | None) -> Iterator[Problem]:
    if one.value is None:
        yield problem(one, "count", "a count needs the number that is expected", "add is: NUMBER")
    if count.traffic is not None and sets is not None and count.traffic not in sets:
        yield problem(count, "traffic", f"there is no traffic set {count.traffic}", nearest(count.traffic, sets))
