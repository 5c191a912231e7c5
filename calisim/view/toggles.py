"""What of a scenario can be switched: encapsulation, natOutgoing, the source/destination check, protocol 4, policies, nodes.

Everything is derived from the network of the variant that the changes start from, and everything becomes a variant – the very
``set``, ``apply`` and ``delete`` that a scenario's own variants and steps are made of. Knows nothing of pages and servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..quantities import PROTOCOLS, parse_prefix, plural
from ..scenario.documents import by_reference
from ..scenario.scalars import EVERY_PROTOCOL
from ..scenario.schema import GroupRule, VariantSpec
from ..scenario.variants import AS_IS, BUILT_IN

if TYPE_CHECKING:
    from ..analysis.network import Network
    from ..model.entities import Node
    from ..scenario.documents import Document
    from ..scenario.resources import IPPool
    from ..scenario.scenario import Scenario

Choices = Mapping[str, str | bool]

MODES = {
    "none": ("Never", "Never"), "ipip": ("Always", "Never"), "ipip-cross": ("CrossSubnet", "Never"),
    "vxlan": ("Never", "Always"), "vxlan-cross": ("Never", "CrossSubnet")}
MODE_TITLES = {
    "none": "none", "ipip": "IPIP, Always", "ipip-cross": "IPIP, CrossSubnet", "vxlan": "VXLAN, Always",
    "vxlan-cross": "VXLAN, CrossSubnet"}
IPIP = PROTOCOLS["ipip"]
POLICIES = frozenset({
    "NetworkPolicy", "GlobalNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy", "policy"})
_DEFAULTS = {
    "block_size": "blockSize", "node_selector": "nodeSelector", "namespace_selector": "namespaceSelector", "disabled": "disabled",
    "disable_bgp_export": "disableBGPExport", "allowed_uses": "allowedUses", "assignment_mode": "assignmentMode"}


@dataclass(frozen=True, slots=True)
class Toggle:
    """Something that can be switched. ``value`` is what the scenario has; None: some of its nodes so, some otherwise."""

    id: str
    kind: str                                     # mode | nat | check | ipip | policy | down
    title: str
    value: str | bool | None
    note: str = ""

    def takes(self, value: object) -> bool:
        return isinstance(value, str) and value in MODES if self.kind == "mode" else isinstance(value, bool)

    def words(self, value: str | bool | None) -> str:
        if value is None:
            return "mixed"
        if self.kind == "mode":
            return MODE_TITLES[str(value)]
        return ("down" if value else "up") if self.kind == "down" else ("on" if value else "off")


@dataclass(frozen=True)
class Board:
    """All toggles of a scenario under the variant ``base``, and the edits that choices among them amount to."""

    scenario: Scenario                            # the file as it stands
    base: str
    network: Network                              # of the base
    toggles: Mapping[str, Toggle] = field(init=False)
    down: Mapping[str, Toggle] = field(init=False)

    def __post_init__(self) -> None:
        found = (*self._pools(), *self._checks(), *self._groups(), *self._policies())
        object.__setattr__(self, "toggles", {one.id: one for one in found})
        object.__setattr__(self, "down", {
            f"down/{node.name}": Toggle(f"down/{node.name}", "down", node.name, node.down)
            for node in self.network.topology.entities.nodes})

    # --- what there is ----------------------------------------------------------------------------------------------

    def _pools(self) -> Iterator[Toggle]:
        for pool in self._switchable():
            title = f"{pool.name}, {pool.cidr}"
            yield Toggle(f"mode/{pool.name}", "mode", title, _mode_of(pool))
            yield Toggle(f"nat/{pool.name}", "nat", title, pool.nat_outgoing)

    def _switchable(self) -> list[IPPool]:
        """Pools that pods may have addresses of."""
        return [pool for pool in self.network.scenario.resources.pools if "LoadBalancer" not in pool.allowed_uses]

    def _checks(self) -> Iterator[Toggle]:
        topology = self.network.topology
        if not topology.provider.source_dest_check or topology.resources.felix.aws_src_dst_check != "DoNothing":
            return                                # no such flag, or Felix sets it whatever the cloud was told
        zones: dict[str, list[bool]] = {}
        for node in topology.entities.nodes:
            zones.setdefault(node.zone or node.subnet, []).append(node.source_dest_check)
        for zone, flags in zones.items():
            on = sum(flags)
            yield Toggle(
                f"check/{zone}", "check", zone, on == len(flags) if on in (0, len(flags)) else None,
                plural(len(flags), "node") if on in (0, len(flags)) else f"on for {on:,} of {plural(len(flags), 'node')}")

    def _groups(self) -> Iterator[Toggle]:
        used = {(node.vpc, group) for node in self.network.topology.entities.nodes for group in node.groups}
        for name, vpc in self.network.scenario.spec.vpcs.items():
            for group, rules in vpc.security_groups.items():
                if (name, group) in used:
                    open_ = any(map(_covers, rules.ingress)) and any(map(_covers, rules.egress))
                    yield Toggle(f"ipip/{name}/{group}", "ipip", group, open_, f"VPC {name}")

    def _policies(self) -> Iterator[Toggle]:
        for reference, document in _references(self.network.scenario.documents):
            if document.kind in POLICIES:
                yield Toggle(f"policy/{reference}", "policy", reference.partition("/")[2], True, document.kind)

    # --- what is chosen ---------------------------------------------------------------------------------------------

    def settled(self, choices: Choices) -> dict[str, str | bool]:
        """The choices that mean something here: what the file no longer has, or has so already, is left out."""
        known = {**self.toggles, **self.down}
        return {id_: value for id_, value in choices.items() if id_ in known and known[id_].value != value}

    def check(self, choices: Mapping[str, object]) -> None:
        """Raises UsageError for what this scenario does not have."""
        for id_, value in choices.items():
            toggle = self.toggles.get(id_) or self.down.get(id_)
            if toggle is None:
                raise UsageError(f"there is nothing here to switch that is called {id_[:80]!r}")
            if not toggle.takes(value):
                raise UsageError(f"{id_} cannot be {str(value)[:40]!r}")

    def words(self, choices: Choices) -> list[tuple[str, str, str]]:
        """Each change as (what, before, now), in the order of the toggles."""
        heads = {
            "mode": "encapsulation", "nat": "natOutgoing", "check": "source/destination check", "ipip": "protocol 4 in group",
            "policy": "policy", "down": "node"}
        return [
            (f"{heads[one.kind]} {one.title}", one.words(one.value), one.words(choices[one.id]))
            for one in (*self.toggles.values(), *self.down.values()) if one.id in choices]

    def change(self, choices: Choices, name: str) -> VariantSpec:
        """The choices as a variant of that name, on top of what the base variant says itself."""
        own = self.scenario.own_variants.get(self.base)
        sets = {path: value for part in (self._check_sets, self._down_sets, self._group_sets) for path, value in part(choices)}
        before = {path: value for path, value in (own.set if own else {}).items() if path not in sets}
        return VariantSpec(
            name=name, set={**before, **sets}, apply=[*(own.apply if own else ()), *self._pool_documents(choices)],
            delete=[*(own.delete if own else ()), *(
                one.id.partition("/")[2] for one in self.toggles.values() if one.kind == "policy" and one.id in choices)])

    def _pool_documents(self, choices: Choices) -> Iterator[dict[str, Any]]:
        dictated = self.base in BUILT_IN and self.base != AS_IS          # what it says of the modes has to be said
        for pool in self._switchable():
            mode, nat = choices.get(f"mode/{pool.name}"), choices.get(f"nat/{pool.name}")
            if dictated or mode is not None or nat is not None:
                ipip, vxlan = MODES[str(mode)] if mode is not None else (pool.ipip_mode, pool.vxlan_mode)
                changed = replace(
                    pool, ipip_mode=ipip, vxlan_mode=vxlan, nat_outgoing=pool.nat_outgoing if nat is None else bool(nat))
                yield document_of(changed, self._written_cidr(pool))

    def _written_cidr(self, pool: IPPool) -> str:
        """A v1 pool is known by its CIDR as it was written."""
        written = (one.pool_cidr for one in self.network.scenario.documents if one.pool_cidr)
        return next((cidr for cidr in written if _same(cidr, pool)), str(pool.cidr))

    def _check_sets(self, choices: Choices) -> Iterator[tuple[str, bool]]:
        nodes = self.network.topology.entities.nodes
        wanted = {node.group: choices[f"check/{node.zone or node.subnet}"] for node in nodes
                  if f"check/{node.zone or node.subnet}" in choices}
        if wanted and len(wanted) == len(self.scenario.spec.nodes) and len(set(wanted.values())) == 1:
            yield "nodes.*.sourceDestCheck", bool(next(iter(wanted.values())))
        else:
            yield from ((f"nodes.{_key(group)}.sourceDestCheck", bool(value)) for group, value in wanted.items())

    def _down_sets(self, choices: Choices) -> Iterator[tuple[str, bool | list[str]]]:
        groups: dict[str, list[Node]] = {}
        for node in self.network.topology.entities.nodes:
            groups.setdefault(node.group, []).append(node)
        for group, members in groups.items():
            if any(f"down/{node.name}" in choices for node in members):
                down = [node.name for node in members if choices.get(f"down/{node.name}", node.down)]
                yield f"nodes.{_key(group)}.down", len(down) == len(members) if len(down) in (0, len(members)) else down

    def _group_sets(self, choices: Choices) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        for name, vpc in self.network.scenario.spec.vpcs.items():
            for group, rules in vpc.security_groups.items():
                wanted = choices.get(f"ipip/{name}/{group}")
                if wanted is None:
                    continue
                path = f"vpcs.{_key(name)}.securityGroups.{_key(group)}"
                if not wanted:
                    yield f"{path}.ingress", [_written(rule) for one in rules.ingress for rule in _without_ipip(one)]
                    continue
                for way, peer, listed in (("ingress", "from", rules.ingress), ("egress", "to", rules.egress)):
                    if not any(map(_covers, listed)):
                        more = [{"protocol": IPIP, peer: str(cidr)} for cidr in vpc.cidrs]
                        yield f"{path}.{way}", [*map(_written, listed), *more]


def document_of(pool: IPPool, cidr: str) -> dict[str, Any]:
    """The v3 document that says of a pool what is known of it."""
    bare = type(pool)(pool.name, pool.cidr)
    other = {
        key: list(value) if isinstance(value := getattr(pool, name), tuple) else value
        for name, key in _DEFAULTS.items() if getattr(pool, name) != getattr(bare, name)}
    spec = {"cidr": cidr, "ipipMode": pool.ipip_mode, "vxlanMode": pool.vxlan_mode, "natOutgoing": pool.nat_outgoing, **other}
    return {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": pool.name}, "spec": spec}


def _mode_of(pool: IPPool) -> str | None:
    return next((name for name, modes in MODES.items() if modes == (pool.ipip_mode, pool.vxlan_mode)), None)


def _same(cidr: str, pool: IPPool) -> bool:
    try:
        return parse_prefix(cidr) == pool.cidr
    except ValueError:
        return False                              # an IPv6 pool


def _covers(rule: GroupRule) -> bool:
    """Whether a rule lets IP-in-IP through."""
    return rule.protocol in EVERY_PROTOCOL or PROTOCOLS.get(str(rule.protocol), rule.protocol) == IPIP


def _without_ipip(rule: GroupRule) -> Iterable[GroupRule]:
    """What is left of a rule: one for all protocols becomes what people then write, TCP, UDP and ICMP."""
    if not _covers(rule):
        return [rule]
    if rule.protocol not in EVERY_PROTOCOL:
        return []
    return [rule.model_copy(update={"protocol": protocol}) for protocol in ("tcp", "udp", "icmp")]


def _written(rule: GroupRule) -> dict[str, Any]:
    """A rule as a scenario writes it."""
    fields = {"protocol": rule.protocol, "port": rule.port, "from": rule.source, "to": rule.destination}
    return {key: value for key, value in fields.items() if value is not None and (key, value) != ("protocol", "all")}


def _references(documents: Sequence[Document]) -> Iterator[tuple[str, Document]]:
    """Each document with the shortest reference that means it alone."""
    meant = by_reference(documents)
    for document in documents:
        alone = next((reference for reference in document.references if len(meant[reference]) == 1), None)
        if alone is not None:
            yield alone, document


def _key(name: str) -> str:
    """A name as an element of a path."""
    return f'"{name}"' if set(name) & set('.[]*') else name
