"""The scenario file's shape: one pydantic model per YAML section; the editors' JSON Schema comes from them.

Keys are camelCase in YAML and snake_case here. Types say what a value means (:class:`Prefix`, addresses as
integers); relations between sections are :mod:`calisim.scenario.checks`' business.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PrivateAttr, WithJsonSchema
from pydantic.alias_generators import to_camel

from ..errors import Mark
from ..quantities import Prefix, format_address, parse_address, parse_prefix
from .resources import UNWRITTEN


def _prefix(value: Any) -> Prefix:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an IPv4 prefix; write it as text, for example 10.0.0.0/16")
    return parse_prefix(value)


def _address(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an IPv4 address; write it as text, for example 10.0.0.1")
    return parse_address(value)


Cidr = Annotated[
    Any, BeforeValidator(_prefix), PlainSerializer(str), WithJsonSchema({"type": "string", "examples": ["10.0.0.0/16"]})]
Address = Annotated[
    Any, BeforeValidator(_address), PlainSerializer(format_address), WithJsonSchema({"type": "string", "examples": ["10.0.0.1"]})]
Labels = dict[str, str]
Protocol = Annotated[int | str, Field(description="tcp, udp, icmp, ipip, all, or a number 0..255")]
PortSpec = Annotated[int | str, Field(description="a port, or a range as 1000-2000")]


class Section(BaseModel):
    """A mapping of the file. ``mark`` is where it stands, ``mark_of(key)`` where one of its values does."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid", frozen=True)
    _mark: Mark = PrivateAttr(default=UNWRITTEN)
    _marks: dict[str, Mark] = PrivateAttr(default_factory=dict)

    @property
    def mark(self) -> Mark:
        return self._mark

    def mark_of(self, key: str) -> Mark:
        return self._marks.get(key, self._mark)


class Metadata(Section):
    name: str
    description: str = ""
    sources: list[str] = []
    fidelity: str = ""


class Settings(Section):
    nat_ports: Literal["random-fully", "keep"] = "random-fully"
    rp_filter: Literal["strict", "loose", "off"] = "strict"
    filter: Literal["calico", "none"] = "calico"
    era: str = Field("3.32", description="Calico version whose behaviour is modelled; from 3.33 on Felix owns IPIP routes")


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
    cidr: Cidr = Prefix(0, 0)


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
    public_ip: bool | Address | None = Field(None, alias="publicIP", description="true, false or the address")
    down: bool = False


class PortName(Section):
    name: str = ""
    port: int = Field(ge=1, le=65535)
    protocol: str = "TCP"


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
    ports: list[PortName] = []


class HostSpec(Section):
    name: str
    ip: Address


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
    wait: str | None = Field(None, description="time since the set before, e.g. 10min; 1ms if not said")


class VariantSpec(Section):
    name: str
    set: dict[str, Any] = {}
    apply: list[str] = []


class Step(Section):
    title: str
    set: dict[str, Any] = {}
    apply: list[str] = []
    pools: Literal["none"] | None = None


class CountSpec(Section):
    encap: str | None = None
    fate: str | None = None
    reason: str | None = None
    scope: str | None = None
    traffic: str | None = None
    snat: bool | None = None


class Expectation(Section):
    source: str | None = Field(None, alias="from")
    destination: str | None = Field(None, alias="to")
    protocol: Protocol = "tcp"
    port: int | None = Field(None, ge=0, le=65535)
    size: int | None = Field(None, ge=20, le=65535)
    scope: str | None = None
    fate: str | None = None
    reason: str | None = None
    encap: str | None = None
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
    variants: list[str | VariantSpec] = []
    steps: list[Step] = []
    expect: list[Expectation] = []
    manifests: list[str] = Field([], description="files with Calico and Kubernetes documents, relative to this file")


class ScenarioFile(Section):
    api_version: Literal["calisim/v1"]
    kind: Literal["Scenario"]
    metadata: Metadata
    spec: Spec
