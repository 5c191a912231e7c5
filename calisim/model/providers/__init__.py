"""What a cloud allows, reserves and does to packets, whatever the scenario. One file each, found by its name.

Every number carries its source in :attr:`Provider.sources`. A new cloud is a new file with a ``PROVIDER``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules

from ...errors import UsageError


@dataclass(frozen=True, slots=True)
class Provider:
    """A profile: sizes in bytes of IP total length, counts of addresses and routes.

    ``reserved_first`` addresses at the start of a subnet (network address included) and ``reserved_last`` at its
    end belong to the cloud. ``gateway`` is the offset of the subnet's router. ``public_by_default``: nodes of a VPC with
    an internet gateway have a public address unless the scenario says otherwise.
    """

    name: str
    title: str
    mtu: int                              # of an interface
    fabric_mtu: int                       # largest packet between two interfaces
    internet_mtu: int                     # largest packet to or from the outside
    reserved_first: int
    reserved_last: int
    gateway: int
    source_dest_check: bool               # default of the flag
    routes_per_table: int
    security_groups: bool                 # interfaces are filtered
    internet_gateways: bool               # the outside is reached through a gateway that knows public addresses only
    decrements_ttl: bool
    routes_pods: bool
    public_by_default: bool = False
    blocked_protocols: frozenset[int] = frozenset()
    sources: Mapping[str, str] = field(default_factory=dict)


def names() -> tuple[str, ...]:
    """Every provider that there is a file for."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def provider(name: str) -> Provider:
    """The profile of that name. Raises UsageError with the known names."""
    if name not in names():
        raise UsageError(f"no provider is called {name!r}; there are {', '.join(names())}")
    profile: Provider = import_module(f".{name}", __name__).PROVIDER
    return profile
