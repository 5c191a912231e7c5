"""Facts across sections: names that must exist once, ends of traffic that somebody is, products that must stay in bounds.

Takes a file whose sections are well-formed (what was not has been left out and is listed in ``unsure``), gives problems.
What lies under the pods – VPCs, subnets, nodes' addresses – is judged in :mod:`calisim.scenario.cloud_checks`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path as FilePath
from pkgutil import iter_modules

from .. import model
from ..errors import Problem
from ..quantities import plural
from ..selector import SelectorError, parse
from .cloud_checks import check_cloud
from .faults import nearest, problem
from .names import Names, Reference, parse_reference
from .resources import Resources
from .schema import Expectation, HostSpec, NodeGroup, PodGroup, ScenarioFile, Section, Spec, VariantSpec
from .variants import BUILT_IN

MAX_NODES = 100_000
MAX_PODS = 2_000_000
NAMESPACE = "projectcalico.org/namespace"      # the label by which Calico's selectors know a pod's namespace
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def check(file: ScenarioFile, resources: Resources, unsure: Collection[str] = ()) -> list[Problem]:
    """All problems between sections. ``unsure``: keys of ``spec`` under which something was left out."""
    spec = file.spec
    hidden = {"nodes": "node", "pods": "pod", "hosts": "host"}
    names = Names(spec, resources, frozenset(hidden[key] for key in unsure if key in hidden))
    problems = [*_provider(spec), *check_cloud(spec, names, unsure)]
    for checker in (_unique, _spelled, _pods, _amounts):
        problems += checker(spec, names)
    problems += _traffic(spec, names)
    problems += _variants_and_expectations(spec, names, unsure)
    return problems


def _provider(spec: Spec) -> list[Problem]:
    known = sorted(module.name for module in iter_modules([str(FilePath(model.__file__).parent / "providers")]))
    if spec.provider in known:
        return []
    return [problem(spec, "provider", f"{spec.provider!r} is no provider", nearest(spec.provider, known))]


def _unique(spec: Spec, names: Names) -> list[Problem]:
    """Names that two groups have; a group without a count can also be named like a counted one's member."""
    problems = []
    kinds: list[tuple[str, Iterable[Section], str]] = [
        ("node group", spec.nodes, "name"), ("host", spec.hosts, "name"), ("traffic set", spec.traffic, "name"),
        ("step", spec.steps, "title"), ("variant", [one for one in spec.variants if isinstance(one, VariantSpec)], "name")]
    for kind, sections, field in kinds:
        problems += _repeated(kind, ((getattr(section, field), section) for section in sections), field)
    problems += _repeated("pod group", ((f"{group.namespace}/{group.name}", group) for group in spec.pods), "name")
    for group in spec.nodes:
        base, _, _ = group.name.rpartition("-")
        if group.count is None and base and any(one.name == base for one in spec.nodes) and _counted_out(spec, group.name, base):
            problems.append(problem(group, "name", f"{group.name} is also a node of group {base}", "give it another name"))
    return problems


def _counted_out(spec: Spec, name: str, base: str) -> bool:
    digits = name[len(base) + 1:]
    counts = [one.count for one in spec.nodes if one.name == base and one.count is not None]
    return digits.isdecimal() and digits[0] != "0" and any(int(digits[:9]) <= count for count in counts)


def _repeated(kind: str, sections: Iterable[tuple[str, Section]], field: str) -> list[Problem]:
    first: dict[str, Section] = {}
    problems = []
    for name, section in sections:
        if name in first:
            problems.append(problem(section, field, f"there are two {kind}s called {name} (the first in line "
                                    f"{first[name].mark.line})", "give one of them another name"))
        first.setdefault(name, section)
    return problems


def _spelled(spec: Spec, names: Names) -> list[Problem]:
    """Names and labels that Kubernetes would not take."""
    problems = []
    groups: list[NodeGroup | PodGroup | HostSpec] = [*spec.nodes, *spec.pods, *spec.hosts]
    for group in groups:
        if not _NAME.fullmatch(group.name):
            problems.append(problem(group, "name", f"{group.name!r} is no name", "lower-case letters, digits, - and . only"))
        for key, value in getattr(group, "labels", {}).items():
            if not _LABEL_VALUE.fullmatch(value):
                problems.append(problem(group, "labels", f"{value!r} is no value of a label",
                                        "up to 63 letters, digits, -, _ and ., ends with a letter or digit", key))
    return problems


def _pods(spec: Spec, names: Names) -> list[Problem]:
    problems = []
    for group in spec.pods:
        if group.count is not None and group.per_node is not None:
            problems.append(problem(group, "per_node", "count and perNode exclude each other", "keep one of the two"))
        if group.node is not None and group.nodes is not None:
            problems.append(problem(group, "nodes", "node and nodes exclude each other", "keep one of the two"))
        if group.node is not None and not names.has_node(group.node) and "node" not in names.unsure:
            problems.append(problem(group, "node", f"there is no node {group.node}", names.nearest_node(group.node)))
        if group.nodes is not None:
            problems += _selector(group, "nodes", group.nodes)
        if group.ip is not None and (group.per_node is not None or (group.count or 1) > 1):
            problems.append(problem(group, "ip", "one address cannot belong to several pods", "leave out count and perNode"))
    return problems


def _amounts(spec: Spec, names: Names) -> list[Problem]:
    """Counts that are fine alone and too many together."""
    nodes = names.node_count()
    pods = sum(names.pod_count(group, nodes) for group in spec.pods)
    problems = []
    if nodes > MAX_NODES:
        problems.append(problem(spec, "nodes", f"these are {plural(nodes, 'node')}", f"calisim builds up to {MAX_NODES:,}"))
    if pods > MAX_PODS:
        problems.append(problem(spec, "pods", f"these are {plural(pods, 'pod')}", f"calisim builds up to {MAX_PODS:,}"))
    return problems


def _selector(section: Section, field: str, text: str) -> list[Problem]:
    try:
        parse(text)
    except SelectorError as error:
        return [_not_a_selector(section, field, error)]
    return []


def _not_a_selector(section: Section, field: str, error: SelectorError) -> Problem:
    return problem(section, field, f"this is no selector: {error}", "for example app == 'web' && tier in {'a', 'b'}, or all()")


def _end(section: Section, field: str, text: str, names: Names, problems: list[Problem]) -> Reference | None:
    """The reference that a text is, if it is one and names somebody."""
    try:
        reference = parse_reference(text)
    except SelectorError as error:
        problems.append(_not_a_selector(section, field, error))
        return None
    except ValueError as error:
        message, _, hint = str(error).partition(": ")
        problems.append(problem(section, field, message, hint))
        return None
    if unknown := names.unknown(reference):
        message, _, hint = unknown.partition(": ")
        hint = hint or "write NAMESPACE/POD, node/NAME, host/NAME, an address or a selector"
        problems.append(problem(section, field, message, hint))
        return None
    return reference


def _traffic(spec: Spec, names: Names) -> list[Problem]:
    problems: list[Problem] = []
    nodes = names.node_count()
    counts = [(names.pod_count(group, nodes), {**group.labels, NAMESPACE: group.namespace}) for group in spec.pods]
    counts += [(1, {**pod.labels, NAMESPACE: pod.namespace}) for pod in names.resources.pods]
    everybody = max(sum(count for count, _ in counts), 1)
    for one in spec.traffic:
        ends = _end(one, "source", one.source, names, problems), _end(one, "destination", one.destination, names, problems)
        if everybody ** 2 * one.packets <= spec.limits.packets:
            continue
        packets = one.packets
        for end in ends:
            packets *= _members(end, counts) if end is not None else 0
        if packets > spec.limits.packets:
            problems.append(problem(one, "source", f"this traffic set makes {plural(packets, 'packet')}, limits.packets allows "
                                    f"{spec.limits.packets:,}", "choose fewer ends, fewer packets, or raise limits.packets"))
    return problems


def _members(end: Reference, counts: Iterable[tuple[int, Mapping[str, str]]]) -> int:
    selector = end.selector
    return 1 if selector is None else sum(count for count, labels in counts if selector.matches(labels))


def _variants_and_expectations(spec: Spec, names: Names, unsure: Collection[str]) -> list[Problem]:
    problems: list[Problem] = []
    own = [one.name for one in spec.variants if isinstance(one, VariantSpec)]
    known = list(dict.fromkeys([*BUILT_IN, *own]))
    for position, one in enumerate(spec.variants):
        if isinstance(one, str) and one not in known:
            problems.append(problem(spec, "variants", f"there is no variant {one}", nearest(one, known), position))
        elif isinstance(one, VariantSpec) and one.name in BUILT_IN:
            problems.append(problem(one, "name", f"{one.name} is a variant of calisim's own", "choose another name"))
    for expectation in spec.expect:
        if expectation.variant is not None and expectation.variant not in known and "variants" not in unsure:
            problems.append(problem(expectation, "variant", f"there is no variant {expectation.variant}",
                                    nearest(expectation.variant, known)))
        if "steps" not in unsure:
            problems += _step(spec, expectation)
        problems += _expectation(spec, expectation, names, unsure)
    return problems


def _step(spec: Spec, expectation: Expectation) -> list[Problem]:
    step, titles = expectation.step, [one.title for one in spec.steps]
    if step is None or step in titles or (isinstance(step, int) and 1 <= step <= len(titles)):
        return []
    if isinstance(step, int):
        return [problem(expectation, "step", f"there is no step {step}", f"the scenario has {plural(len(titles), 'step')}")]
    return [problem(expectation, "step", f"there is no step {step!r}", nearest(step, titles))]


def _expectation(spec: Spec, one: Expectation, names: Names, unsure: Collection[str]) -> list[Problem]:
    problems: list[Problem] = []
    if one.count is not None:
        if one.value is None:
            problems.append(problem(one, "count", "a count needs the number that is expected", "add is: NUMBER"))
        sets, wanted = [traffic.name for traffic in spec.traffic], one.count.traffic
        if wanted is not None and wanted not in sets and "traffic" not in unsure:
            problems.append(problem(one.count, "traffic", f"there is no traffic set {wanted}", nearest(wanted, sets)))
    elif one.source is None or one.destination is None:
        field = "destination" if one.source is not None else "source"
        problems.append(problem(one, field, "an expectation is about a pair or a count",
                                "write from: and to:, or count: with is:"))
    for field, text in (("source", one.source), ("destination", one.destination)):
        if text is not None:
            _end(one, field, text, names, problems)
    return problems
