"""What Calico could be told instead: the built-in variants as edits of the pools, and which ones a call means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..errors import UsageError
from .resources import Resources


@dataclass(frozen=True, slots=True)
class Variant:
    """The encapsulation modes that every pool gets; None = as the documents say."""

    id: str
    ipip_mode: str | None
    vxlan_mode: str | None

    def edit(self, resources: Resources) -> Resources:
        if self.ipip_mode is None or self.vxlan_mode is None:
            return resources
        pools = tuple(pool if "LoadBalancer" in pool.allowed_uses else
                      replace(pool, ipip_mode=self.ipip_mode, vxlan_mode=self.vxlan_mode) for pool in resources.pools)
        return replace(resources, pools=pools)


AS_IS = "as-is"
BUILT_IN: Mapping[str, Variant] = {variant.id: variant for variant in (
    Variant("overlay-ipip", "Always", "Never"),
    Variant("overlay-vxlan", "Never", "Always"),
    Variant("calico-cross-subnet", "CrossSubnet", "Never"),
    Variant("calico-cross-subnet-vxlan", "Never", "CrossSubnet"),
    Variant("calico-no-encap", "Never", "Never"),
    Variant(AS_IS, None, None),
)}
CLASSIC = ("overlay-ipip", "calico-cross-subnet", "calico-no-encap")       # compared where the scenario names none


def select(text: str, own: Iterable[str]) -> tuple[str, ...]:
    """``--variants a,b`` → ids in that order; ``all`` = the built-in ones and the scenario's own."""
    known = tuple(dict.fromkeys([*BUILT_IN, *own]))
    wanted = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if "all" in wanted:
        return known
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise UsageError(f"no variant {', '.join(unknown) or 'is named'}; there are {', '.join(known)} and all")
    return wanted
