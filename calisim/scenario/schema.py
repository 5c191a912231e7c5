"""The scenario file's shape: one pydantic model per YAML section; the editors' JSON Schema comes from them.

Keys are camelCase in YAML and snake_case here. Descriptions are what editors show and what the reference page is made of;
single values are :mod:`.scalars`, relations between sections :mod:`.checks`' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, Tag, model_validator
from pydantic.alias_generators import to_camel

from ..errors import Mark
from .resources import UNWRITTEN
from .scalars import (
    Address, Cidr, Duration, Era, Fate, Labels, Mtu, Port, PortSpec, Protocol, PublicAddress, Reason, RpFilter, Scope, Size,
    Stack, Wrapping,
)


class Place(NamedTuple):
    """Where a section stands: its mark, its path in the file, and the marks of all the file's values."""

    mark: Mark
    path: tuple[str | int, ...]
    marks: Mapping[tuple[str | int, ...], Mark]


class Section(BaseModel):
    """A mapping of the file. ``mark`` is where it stands, ``mark_of(field)`` where one of its values does."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid", frozen=True, strict=True)
    _place: Place | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _null_is_unsaid(cls, value: Any) -> Any:
        """A key without a value is as good as no key, as in Kubernetes."""
        if isinstance(value, dict) and None in value.values():
            return {key: inner for key, inner in value.items() if inner is not None}
        return {} if value is None else value

    @property
    def mark(self) -> Mark:
        return self._place.mark if self._place else UNWRITTEN

    def put(self, place: Place) -> None:
        """Tell the section where it was written; the reader does so once, right after making it."""
        self._place = place

    def path_of(self, field: str, *inner: str | int) -> tuple[str | int, ...]:
        """Path in the file of a value of this section, by the name of its field."""
        found = type(self).model_fields.get(field)
        return (*(self._place.path if self._place else ()), found.alias if found and found.alias else field, *inner)

    def mark_of(self, field: str, *inner: str | int) -> Mark:
        """The place of a value by the name of its field, or the section's own place if it is not written."""
        path = self.path_of(field, *inner)
        marks = self._place.marks if self._place else {}
        return marks.get(path) or marks.get(path[:len(path) - len(inner)], self.mark)

    @classmethod
    @cache
    def keys(cls) -> tuple[str, ...]:
        """The section's keys as the file spells them."""
        return tuple(found.alias or name for name, found in cls.model_fields.items())

    @classmethod
    @cache
    def nesting(cls) -> tuple[tuple[str, str], ...]:
        """(field, key) of those values that are or hold sections themselves."""
        return tuple((name, found.alias or name) for name, found in cls.model_fields.items() if _nests(found.annotation))


def _nests(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return True
    return any(_nests(part) for part in get_args(annotation))


def _variant_kind(value: Any) -> str:
    return "own" if isinstance(value, dict) else "name"


_DELETED = "documents taken out after all is applied, as `KIND/NAME` or `KIND/NAMESPACE/NAME`"


class Metadata(Section):
    name: str = Field(description="shown in reports")
    description: str = Field("", description="what the scenario shows")
    sources: list[str] = Field([], description="where its facts come from: links")
    fidelity: str = Field("", description="how far to trust them: documented, measured or assumed")


class Settings(Section):
    nat_ports: Literal["random-fully", "keep"] = Field(
        "random-fully", description="how MASQUERADE chooses ports: at random (what Calico's rules ask for), or the original "
        "one if it is free")
    rp_filter: RpFilter = Field("strict", description="`net.ipv4.conf.*.rp_filter` of every interface")
    filter: Literal["calico", "none"] = Field(
        "calico", description="`none` leaves out what Felix programs: anti-spoofing, dropping INVALID packets, tunnels from "
        "strangers, the pod-to-host action, policy")
    policy_change: Literal["keep", "cut"] = Field(
        "keep", description="what becomes of an established connection that the policy of now would not let begin (after a "
        "step, or when a state goes on under another network): Calico keeps it; `cut` drops its packets, in both directions")
    icmp_ratelimit: int = Field(
        0, ge=0, le=2**31 - 1, json_schema_extra={"unit": "ms"}, description="`net.ipv4.icmp_ratelimit`: how often a node or a "
        "Linux router may send an ICMP error to one receiver, after a burst of six. 0: always. The kernel's default is 1000")
    stack: Stack = Field("silent", description="whether pods and hosts answer by themselves; each may say otherwise")
    era: Era = Field(
        "3.32", description="the Calico version whose behaviour is modelled; from 3.33 on Felix owns the routes of IPIP pools")


class SubnetSpec(Section):
    cidr: Cidr = Field(description="inside a CIDR of the VPC, not overlapping others; on `aws` /16 to /28")
    zone: str = Field("", description="availability zone")
    route_table: str = Field("main", description="name of a route table of the VPC")
    network_acl: str = Field("", description="name of a NACL; without one everything passes")
    mtu: Mtu | None = Field(None, description="the provider's if not said; on `linux` also that of the router's leg")


class GroupRule(Section):
    protocol: Protocol = Field("all", description="what it allows")
    port: PortSpec | None = Field(None, description="only together with a protocol; for ICMP the type; every one if not said")
    source: str | None = Field(
        None, alias="from", description="in `ingress`: a prefix, or a group of the same VPC; everybody if not said")
    destination: str | None = Field(None, alias="to", description="in `egress`: the same")


class SecurityGroupSpec(Section):
    ingress: list[GroupRule] = Field([], description="what may come in; nothing if not said")
    egress: list[GroupRule] = Field(
        default_factory=lambda: [GroupRule(destination="0.0.0.0/0")], description="what may leave; everything if not said")


class RouteSpec(Section):
    to: Cidr = Field(description="destination; the longest match counts")
    via: str = Field(description="`node/NAME`, `igw`, `nat/NAME` (what lies behind is `undetermined`) or `blackhole`")


class RouteTableSpec(Section):
    routes: list[RouteSpec] = Field([], description="besides those to the VPC's own CIDRs, which are always there")
    internet: bool = Field(
        True, description="add `0.0.0.0/0 via igw` where the VPC has an internet gateway and no route of its own says "
        "otherwise")


class AclRuleSpec(Section):
    rule: int = Field(ge=1, le=32766, description="the lowest number that matches decides")
    action: Literal["allow", "deny"] = Field(description="what becomes of what matches")
    protocol: Protocol = Field("all", description="of the packet on the wire")
    port: PortSpec | None = Field(None, description="destination port; every one if not said")
    cidr: Cidr = Field("0.0.0.0/0", validate_default=True, description="the other side's address")


class NetworkAclSpec(Section):
    ingress: list[AclRuleSpec] = Field([], description="into the subnet; no match denies")
    egress: list[AclRuleSpec] = Field([], description="out of the subnet; no match denies")


class VpcSpec(Section):
    cidrs: list[Cidr] = Field(min_length=1, description="on `aws` /16 to /28; VPCs do not overlap: an address means one thing")
    internet_gateway: bool = Field(False, description="whether it has one, `igw` in route tables")
    subnets: dict[str, SubnetSpec] = Field({}, description="where nodes are")
    security_groups: dict[str, SecurityGroupSpec] = Field({}, description="what nodes' interfaces let in and out, stateful")
    route_tables: dict[str, RouteTableSpec] = Field({}, description="`main` always exists")
    network_acls: dict[str, NetworkAclSpec] = Field({}, description="what subnets let in and out, stateless")


class Limits(Section):
    routes_per_table: int | None = Field(
        None, ge=1, description="the provider's if not said (aws: 500); routes beyond it are not installed: an outcome, not an "
        "error")
    mtu: Mtu | None = Field(None, description="largest IP packet between two nodes; the provider's if not said (aws: 9001)")
    internet_mtu: Mtu | None = Field(
        None, description="largest IP packet to or from the outside; the provider's if not said (aws: 1500)")
    blocked_protocols: list[int] | None = Field(
        None, description="IP protocols that the fabric does not carry; the provider's if not said")
    packets: int = Field(50_000_000, ge=1, description="most packets that one traffic set may make")


class NodeGroup(Section):
    name: str = Field(description="of the node, or of a group: with `count: 4` a node `a` becomes `a-1` … `a-4`")
    count: int | None = Field(None, ge=0, le=100_000, description="one node, without a number in its name, if not said")
    subnet: str = Field(description="its name, or `VPC/NAME` where two VPCs have one of that name")
    address: Address | None = Field(None, description="only without `count`; the subnet's next free one if not said")
    first_address: Address | None = Field(None, description="the first node's; the others follow")
    prefix_length: int | None = Field(
        None, ge=0, le=32, description="what Calico recorded with the node's address and `CrossSubnet` is decided with; the "
        "subnet's if not said")
    security_groups: list[str] = Field(
        [], description="on `aws` a node without any is in the VPC's group `default`: the one you define, else AWS' own (in "
        "from its members, out to everybody)")
    source_dest_check: bool | None = Field(
        None, description="source/destination check; the provider's if not said (aws: `true`)")
    instance_type: str = Field("", description="shown only")
    labels: Labels = Field({}, description="besides `kubernetes.io/hostname`, `topology.kubernetes.io/zone` and `…/region`")
    mtu: Mtu | None = Field(None, description="of eth0; the subnet's if not said")
    public_ip: PublicAddress | None = Field(
        None, alias="publicIP", description="`true`: some address that nobody needs to know; an address: reachable from "
        "outside by it. If not said `true` on `aws` where the VPC has an internet gateway")
    down: bool | list[str] = Field(
        False, description="neither sends nor receives: all of the group, or its nodes of these names")


class PortName(Section):
    name: str = Field("", description="by which a service may mean it")
    port: int = Field(ge=1, le=65535, description="its number")
    protocol: Literal["TCP", "UDP", "SCTP"] = Field("TCP", description="as Kubernetes spells it")


class PodGroup(Section):
    name: str = Field(description="of the pod, or of a group")
    namespace: str = Field("default", description="Kubernetes namespace")
    labels: Labels = Field({}, description="what selectors ask for")
    count: int | None = Field(
        None, ge=0, le=1_000_000, description="so many, `db-0` … `db-23`, on the nodes in turn; one pod of the group's own "
        "name if not said")
    per_node: int | None = Field(
        None, ge=0, le=10_000, description="instead of `count`: so many on each node, `web-NODE-0` … `web-NODE-7`")
    node: str | None = Field(None, description="all on this node")
    nodes: str | None = Field(None, description="only on nodes whose labels this selector chooses; all if not said")
    ip: Address | None = Field(None, description="of a single pod (`cni.projectcalico.org/ipAddrs`); from IPAM if not said")
    pools: list[str] = Field(
        [], description="names or CIDRs of the pools to take addresses from (`cni.projectcalico.org/ipv4pools`)")
    ports: list[PortName] = Field([], description="where the pod's processes listen; on every port where none is written")
    stack: Stack | None = Field(None, description="whether it answers by itself; `settings.stack` if not said")
    service_account: str = Field("default", description="policy can select pods by it")


class HostSpec(Section):
    name: str = Field(description="in ends of traffic `host/NAME`")
    ip: Address = Field(description="inside a subnet the host is there, any other is on the internet")
    stack: Stack | None = Field(None, description="`answer`: it answers by itself, on every port; `settings.stack` if not said")


class TrafficSet(Section):
    name: str = Field(description="under which it is counted")
    source: str = Field(alias="from", description="who sends: an end, as said above")
    destination: str = Field(alias="to", description="to whom, besides ends also `svc/NAMESPACE/NAME`")
    protocol: Protocol = Field(
        "tcp", description="not `all`; TCP packets are segments in the middle of a connection, ICMP echo requests")
    port: Port | None = Field(None, description="destination port; a service's own where it has only one of that protocol")
    sport: Port | None = Field(
        None, description="source port, for ICMP the identifier; counts up from 40000 per sender if not said")
    size: Size = Field(1000, description="IP total length as the sender makes it")
    packets: int = Field(1, ge=1, description="for each pair")
    ttl: int = Field(64, ge=0, le=255, description="as the sender makes it")
    tos: int = Field(0, ge=0, le=255, description="DSCP and ECN, the whole octet")
    df: bool = Field(True, description="don't-fragment bit")
    wait: Duration | None = Field(None, description="pause after the last packet of the set before; 1ms if not said")


class VariantSpec(Section):
    name: str = Field(description="by which `--variants` and expectations mean it")
    set: dict[str, Any] = Field({}, description="path to value, as `--set`")
    apply: list[str | dict[str, Any]] = Field(
        [], description="files beside the scenario or below it, or documents written in place, as `--apply`")
    delete: list[str] = Field([], description=_DELETED)


VariantOrName = Annotated[Annotated[str, Tag("name")] | Annotated[VariantSpec, Tag("own")], Discriminator(_variant_kind)]


class Step(Section):
    title: str = Field(description="shown in the story")
    set: dict[str, Any] = Field({}, description="path to value, as `--set`")
    apply: list[str | dict[str, Any]] = Field(
        [], description="files beside the scenario or below it, or documents written in place, as `--apply`")
    delete: list[str] = Field([], description=_DELETED)
    pools: Literal["none"] | None = Field(
        None, description="`none` sets the pool documents aside until a step applies pools again")


class CountSpec(Section):
    encap: Wrapping | None = Field(None, description="how they were wrapped")
    fate: Fate | None = Field(None, description="what became of them")
    reason: Reason | None = Field(None, description="why they were dropped")
    scope: Scope | None = Field(None, description="how near their ends are to each other")
    traffic: str | None = Field(None, description="the set that they belong to; all if not said")
    snat: bool | None = Field(None, description="whether their source address was translated")


class Expectation(Section):
    source: str | None = Field(None, alias="from", description="an end; every pair of `from` × `to` is asked")
    destination: str | None = Field(None, alias="to", description="an end, or `svc/NAMESPACE/NAME`")
    protocol: Protocol = Field("tcp", description="of the packet that is sent, not `all`")
    port: Port | None = Field(None, description="its destination port")
    size: Size | None = Field(None, description="its IP total length; 1000 if not said")
    scope: Scope | None = Field(None, description="only the pairs of this scope")
    fate: Fate | None = Field(None, description="what becomes of it; `continued`: fragments that wait for others")
    reason: Reason | None = Field(None, description="why it is dropped")
    encap: Wrapping | None = Field(None, description="how it is wrapped")
    snat: bool | None = Field(None, description="whether its source address is translated")
    count: CountSpec | None = Field(
        None, description="instead of a pair: how many packets of the traffic match all that is said")
    value: int | None = Field(None, alias="is", description="that number")
    variant: str | None = Field(None, description="under which; as-is if not said")
    step: int | str | None = Field(
        None, description="after which step, by number from 1 or title; the file as it stands if not said")


class Spec(Section):
    provider: str = Field(
        "aws", description="what carries packets between nodes: `aws` a VPC; `linux` one plain Linux router; `plain` a fabric "
        "that routes every pod and drops nothing")
    seed: int = Field(
        1, ge=0, le=2**63 - 1, description="every random choice (NAT ports, …) is a function of it; same seed, same bytes out")
    settings: Settings = Field(Settings(), description="how kernels and Calico are set up")
    vpcs: dict[str, VpcSpec] = Field(min_length=1, description="networks of the cloud")
    limits: Limits = Field(Limits(), description="overrides of the provider's profile, and of calisim's own bounds")
    nodes: list[NodeGroup] = Field([], description="machines of the cluster")
    pods: list[PodGroup] = Field([], description="what runs on them")
    hosts: list[HostSpec] = Field([], description="machines outside the cluster")
    traffic: list[TrafficSet] = Field([], description="what is sent, set after set")
    variants: list[VariantOrName] = Field(
        [], description="what `calisim compare` compares, built-in ones by name; `overlay-ipip`, `calico-cross-subnet` and "
        "`calico-no-encap` where none is written")
    steps: list[Step] = Field([], description="a story, each step keeping what went before")
    expect: list[Expectation] = Field([], description="what `calisim check` verifies")
    manifests: list[str] = Field(
        [], description="files with more Calico and Kubernetes documents, inside the scenario's folder; they come after the "
        "file's own")


class ScenarioFile(Section):
    api_version: Literal["calisim/v1"] = Field(description="the format's version")
    kind: Literal["Scenario"] = Field(description="what the document is")
    metadata: Metadata = Field(description="what the scenario is about")
    spec: Spec = Field(description="what it says")


@cache
def section_at(path: tuple[str | int, ...]) -> type[Section] | None:
    """The model of the section at a path of the file; None for plain values, lists and mappings of names."""
    kinds: tuple[Any, ...] = (ScenarioFile,)
    for element in path:
        kinds = tuple(inner for kind in kinds for inner in _inside(kind, element))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def _inside(kind: Any, element: str | int) -> Iterable[Any]:
    """The types that a value inside a value of that type may have, unions taken apart."""
    if isinstance(kind, type) and issubclass(kind, Section):
        found = [field.annotation for name, field in kind.model_fields.items() if (field.alias or name) == element]
    else:
        wanted = list if isinstance(element, int) else dict
        found = [get_args(kind)[-1]] if get_origin(kind) is wanted else []
    return [part for annotation in found for part in _alternatives(annotation)]


def _alternatives(annotation: Any) -> Iterable[Any]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [part for member in get_args(annotation) for part in _alternatives(member)]
    return [annotation]
