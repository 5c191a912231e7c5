"""What a single value of a scenario file may be: prefixes, addresses, protocols, ports, durations, words out of a few.

Each type says how it is read and how the JSON Schema shows it (``format`` and ``unit`` are words for people).
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from ..quantities import PROTOCOLS as NAMED
from ..quantities import Prefix, format_address, parse_address, parse_duration, parse_prefix
from ..vocabulary import DropReason


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
        cure = f"did you mean {near[0]}?" if near else f"there are {', '.join(list(DropReason.__members__)[1:])}"
        raise ValueError(f"{_short(value)} is no drop reason: {cure}")
    return name


EVERY_PROTOCOL = ("all", "-1")
PROTOCOLS = (*NAMED, *EVERY_PROTOCOL)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_WIRE = {"enum": list(PROTOCOLS)}, {"type": "integer", "minimum": 0, "maximum": 255}


def _as(kind: str, example: Any, **schema: Any) -> WithJsonSchema:
    """How editors and the reference see a value of text: what it is, and one of them."""
    return WithJsonSchema({**(schema or {"type": "string"}), "format": kind, "examples": [example]})


Cidr = Annotated[Prefix, PlainValidator(_prefix), PlainSerializer(str), _as("prefix", "10.0.0.0/16")]
Address = Annotated[int, PlainValidator(_address), PlainSerializer(format_address), _as("address", "10.0.0.1")]
PublicAddress = Annotated[
    bool | int, PlainValidator(_public_address), _as("bool or address", "198.51.100.7", type=["boolean", "string"])]
Protocol = Annotated[int | str, PlainValidator(_protocol), _as("protocol", "tcp", anyOf=list(_WIRE))]
PortSpec = Annotated[int | str, PlainValidator(_ports), _as("port or range", "1000-2000", type=["integer", "string"])]
Era = Annotated[str, PlainValidator(_era), _as("version", "3.32")]
Reason = Annotated[str, PlainValidator(_reason), _as("drop reason", "SOURCE_CHECK", enum=list(DropReason.__members__)[1:])]
Duration = Annotated[str, PlainValidator(_duration), _as("duration", "10min")]
RpFilter = Annotated[Literal["strict", "loose", "off"], BeforeValidator(_rp_filter)]
Fate = Literal["delivered", "exited", "dropped", "refused", "undetermined", "continued"]
Scope = Literal["same-node", "same-subnet", "other-subnet", "other-vpc", "external", "node"]
Wrapping = Literal["none", "ipip", "vxlan"]
Stack = Literal["answer", "silent"]
Labels = dict[str, str]
Port = Annotated[int, Field(ge=0, le=65535)]
Mtu = Annotated[int, Field(ge=576, le=65535, json_schema_extra={"unit": "bytes"})]
Size = Annotated[int, Field(ge=20, le=65535, json_schema_extra={"unit": "bytes"})]
