"""The scenario file's shape: one pydantic model per YAML section; the editors' JSON Schema comes from them.

Keys are camelCase in YAML and snake_case here. Types say what a value means (:class:`Prefix`, addresses as
integers); relations between sections are :mod:`calisim.scenario.checks`' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import (
    BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, PlainSerializer, PlainValidator, PrivateAttr, Tag,
    WithJsonSchema, model_validator,
)
from pydantic.alias_generators import to_camel

from ..errors import Mark
from ..quantities import PROTOCOLS as NAMED
from ..quantities import Prefix, format_address, parse_address, parse_duration, parse_prefix
from ..vocabulary import DropReason
from .resources import UNWRITTEN


def _text(value: Any, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"text is expected, not {_short(value)}; {example}")
    return value


def _short(value: Any) -> str:
    return f"{str(value)[:40]!r}" if isinstance(value, str) else str(value)[:40]


def _prefix(value: Any) -> Prefix:
    return parse_prefix(_text(value, "for example 10.0.0.0/16"))


def _address(value: Any) -> int:
    return parse_address(_text(value, "for example 10.0.0.1"))


def _public_address(value: Any) -> bool | int:
    return value if isinstance(value, bool) else _address(value)


def _protocol(value: Any) -> int | str:
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        text = str(value).lower()
        if text in PROTOCOLS:
            return text
        if re.fullmatch(r"[0-9]{1,3}", text) and int(text) <= 255:
            return int(text)
    raise ValueError(f"{_short(value)} is no protocol: write {', '.join(PROTOCOLS[:-1])} or a number from 0 to 255")


def _ports(value: Any) -> int | str:
    found = _RANGE.fullmatch(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if found is None or not int(found[1]) <= int(found[2] or found[1]) <= 65535:
        raise ValueError(f"{_short(value)} is no port: write a number from 0 to 65535, or a range as 1000-2000")
    return value if found[2] else int(found[1])


def _duration(value: Any) -> str:
    parse_duration(_text(value, "for example 10min"))
    return str(value)


def _era(value: Any) -> str:
    if not re.fullmatch(r"[23]\.[0-9]{1,2}", _text(value, 'write it in quotes, for example "3.32"')):
        raise ValueError(f'{_short(value)} is no version of Calico: write for example "3.32"')
    return str(value)


def _rp_filter(value: Any) -> Any:
    return "off" if value is False else value          # YAML reads the bare word off as false


def _reason(value: Any) -> str:
    name = _text(value, "for example SOURCE_CHECK")
    if name not in DropReason.__members__ or name == "NONE":
        near = get_close_matches(name.upper(), DropReason.__members__, 1)
        cure = f"did you mean {near[0]}?" if near else "calisim explain lists them"
        raise ValueError(f"{_short(value)} is no drop reason: {cure}")
    return name


def _variant_kind(value: Any) -> str:
    return "own" if isinstance(value, dict) else "name"


EVERY_PROTOCOL = ("all", "-1")
PROTOCOLS = (*NAMED, *EVERY_PROTOCOL)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_TEXT = {"type": "string"}
_DELETED = "documents as KIND/NAME or KIND/NAMESPACE/NAME, taken out after all is applied"

Cidr = Annotated[Prefix, PlainValidator(_prefix), PlainSerializer(str), WithJsonSchema(_TEXT | {"examples": ["10.0.0.0/16"]})]
Address = Annotated[
    int, PlainValidator(_address), PlainSerializer(format_address), WithJsonSchema(_TEXT | {"examples": ["10.0.0.1"]})]
PublicAddress = Annotated[bool | int, PlainValidator(_public_address), WithJsonSchema({"type": ["boolean", "string"]})]
Labels = dict[str, str]
Protocol = Annotated[
    int | str, PlainValidator(_protocol), Field(description="tcp, udp, icmp, ipip, all, or a number 0..255"),
    WithJsonSchema({"anyOf": [{"enum": list(PROTOCOLS)}, {"type": "integer", "minimum": 0, "maximum": 255}]})]
PortSpec = Annotated[
    int | str, PlainValidator(_ports), Field(description="a port, or a range as 1000-2000"),
    WithJsonSchema({"type": ["integer", "string"]})]
Era = Annotated[str, PlainValidator(_era), WithJsonSchema(_TEXT | {"examples": ["3.32"]})]
Reason = Annotated[str, PlainValidator(_reason), WithJsonSchema({"enum": list(DropReason.__members__)[1:]})]
Fate = Literal["delivered", "exited", "dropped", "refused", "undetermined", "continued"]
Scope = Literal["same-node", "same-subnet", "other-subnet", "other-vpc", "external", "node"]
Wrapping = Literal["none", "ipip", "vxlan"]
Stack = Literal["answer", "silent"]
Duration = Annotated[str, PlainValidator(_duration), WithJsonSchema(_TEXT | {"examples": ["10min"]})]


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


class Metadata(Section):
    name: str
    description: str = ""
    sources: list[str] = []
    fidelity: str = ""


class Settings(Section):
    nat_ports: Literal["random-fully", "keep"] = "random-fully"
    rp_filter: Annotated[Literal["strict", "loose", "off"], BeforeValidator(_rp_filter)] = "strict"
    filter: Literal["calico", "none"] = "calico"
    policy_change: Literal["keep", "cut"] = Field(
        "keep", description="what becomes of established connections that policy would not allow now; Calico keeps them")
    icmp_ratelimit: int = Field(
        0, ge=0, le=2**31 - 1, description="net.ipv4.icmp_ratelimit, ms; 0: no limit (the kernel's default is 1000)")
    stack: Stack = Field("silent", description="do pods and hosts answer by themselves (echo reply, RST, port unreachable …)?")
    era: Era = Field("3.32", description="Calico version whose behaviour is modelled; from 3.33 on Felix owns IPIP routes")


class SubnetSpec(Section):
    cidr: Cidr
    zone: str = ""
    route_table: str = "main"
    network_acl: str = Field("", description="name of a NACL; empty lets everything pass")
    mtu: int | None = Field(None, ge=576, le=65535, description="bytes; the provider's value if not said")


class GroupRule(Section):
    protocol: Protocol = "all"
    port: PortSpec | None = None
    source: str | None = Field(None, alias="from")
    destination: str | None = Field(None, alias="to")


class SecurityGroupSpec(Section):
    ingress: list[GroupRule] = []
    egress: list[GroupRule] = Field(default_factory=lambda: [GroupRule(destination="0.0.0.0/0")])


class RouteSpec(Section):
    to: Cidr
    via: str = Field(description="node/NAME, igw, nat/NAME or blackhole")


class RouteTableSpec(Section):
    routes: list[RouteSpec] = []
    internet: bool = Field(True, description="add 0.0.0.0/0 via igw where the VPC has one and no route says otherwise")


class AclRuleSpec(Section):
    rule: int = Field(ge=1, le=32766)
    action: Literal["allow", "deny"]
    protocol: Protocol = "all"
    port: PortSpec | None = None
    cidr: Cidr = Field("0.0.0.0/0", validate_default=True)


class NetworkAclSpec(Section):
    ingress: list[AclRuleSpec] = []
    egress: list[AclRuleSpec] = []


class VpcSpec(Section):
    cidrs: list[Cidr] = Field(min_length=1)
    internet_gateway: bool = False
    subnets: dict[str, SubnetSpec] = {}
    security_groups: dict[str, SecurityGroupSpec] = {}
    route_tables: dict[str, RouteTableSpec] = {}
    network_acls: dict[str, NetworkAclSpec] = {}


class Limits(Section):
    """Overrides of the provider's profile, and of calisim's own bounds."""

    routes_per_table: int | None = Field(None, ge=1)
    mtu: int | None = Field(None, ge=576, le=65535, description="largest IP packet the fabric carries, bytes")
    internet_mtu: int | None = Field(None, ge=576, le=65535)
    blocked_protocols: list[int] | None = None
    packets: int = Field(50_000_000, ge=1, description="most packets that one traffic set may make")


class NodeGroup(Section):
    name: str
    count: int | None = Field(None, ge=0, le=100_000)
    subnet: str
    address: Address | None = Field(None, description="only without count; else the subnet's next free one")
    first_address: Address | None = Field(None, description="the first node's; the others follow")
    prefix_length: int | None = Field(None, ge=0, le=32, description="recorded by Calico; the subnet's if not said")
    security_groups: list[str] = []
    source_dest_check: bool | None = Field(None, description="the provider's default if not said (aws: true)")
    instance_type: str = ""
    labels: Labels = {}
    mtu: int | None = Field(None, ge=576, le=65535, description="of eth0, bytes")
    public_ip: PublicAddress | None = Field(None, alias="publicIP", description="true, false or the address")
    down: bool | list[str] = Field(False, description="all of them, or the names of those that are down")


class PortName(Section):
    name: str = ""
    port: int = Field(ge=1, le=65535)
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


class PodGroup(Section):
    name: str
    namespace: str = "default"
    labels: Labels = {}
    count: int | None = Field(None, ge=0, le=1_000_000)
    per_node: int | None = Field(None, ge=0, le=10_000)
    node: str | None = Field(None, description="all on this node")
    nodes: str | None = Field(None, description="only on nodes that this selector chooses")
    ip: Address | None = None
    pools: list[str] = []
    ports: list[PortName] = Field([], description="on these its processes listen; on all where none is named")
    stack: Stack | None = Field(None, description="settings.stack if not said")
    service_account: str = "default"


class HostSpec(Section):
    name: str
    ip: Address
    stack: Stack | None = Field(None, description="settings.stack if not said")


class TrafficSet(Section):
    name: str
    source: str = Field(alias="from")
    destination: str = Field(alias="to")
    protocol: Protocol = "tcp"
    port: int | None = Field(None, ge=0, le=65535)
    sport: int | None = Field(None, ge=0, le=65535)
    size: int = Field(1000, ge=20, le=65535, description="IP total length in bytes as the sender makes it")
    packets: int = Field(1, ge=1)
    ttl: int = Field(64, ge=0, le=255)
    tos: int = Field(0, ge=0, le=255)
    df: bool = True
    wait: Duration | None = Field(None, description="time since the set before, e.g. 10min; 1ms if not said")


class VariantSpec(Section):
    name: str
    set: dict[str, Any] = {}
    apply: list[str | dict[str, Any]] = Field([], description="files relative to the scenario, or documents as they are")
    delete: list[str] = Field([], description=_DELETED)


class Step(Section):
    title: str
    set: dict[str, Any] = {}
    apply: list[str | dict[str, Any]] = Field([], description="files relative to the scenario, or documents as they are")
    delete: list[str] = Field([], description=_DELETED)
    pools: Literal["none"] | None = None


class CountSpec(Section):
    encap: Wrapping | None = None
    fate: Fate | None = None
    reason: Reason | None = None
    scope: Scope | None = None
    traffic: str | None = None
    snat: bool | None = None


class Expectation(Section):
    source: str | None = Field(None, alias="from")
    destination: str | None = Field(None, alias="to")
    protocol: Protocol = "tcp"
    port: int | None = Field(None, ge=0, le=65535)
    size: int | None = Field(None, ge=20, le=65535)
    scope: Scope | None = None
    fate: Fate | None = None
    reason: Reason | None = None
    encap: Wrapping | None = None
    snat: bool | None = None
    count: CountSpec | None = None
    value: int | None = Field(None, alias="is")
    variant: str | None = None
    step: int | str | None = None


class Spec(Section):
    provider: str = "aws"
    seed: int = Field(1, ge=0, le=2**63 - 1)
    settings: Settings = Settings()
    vpcs: dict[str, VpcSpec] = Field(min_length=1)
    limits: Limits = Limits()
    nodes: list[NodeGroup] = []
    pods: list[PodGroup] = []
    hosts: list[HostSpec] = []
    traffic: list[TrafficSet] = []
    variants: list[Annotated[Annotated[str, Tag("name")] | Annotated[VariantSpec, Tag("own")], Discriminator(_variant_kind)]] = []
    steps: list[Step] = []
    expect: list[Expectation] = []
    manifests: list[str] = Field([], description="files with Calico and Kubernetes documents, relative to this file")


class ScenarioFile(Section):
    api_version: Literal["calisim/v1"]
    kind: Literal["Scenario"]
    metadata: Metadata
    spec: Spec


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
