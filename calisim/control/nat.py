"""natOutgoing as Felix programs it (felix/rules/nat.go): one rule for all pools together, destinations after DNAT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..quantities import Prefix
from ..scenario.resources import IPPool
from .intent import NatRule

LOAD_BALANCER_ONLY = ("LoadBalancer",)


def nat_rule(
    pools: Sequence[IPPool], exclusions: str = "IPPoolsOnly", hosts: Iterable[int] = (), external: Iterable[Prefix] = (),
) -> NatRule:
    """Masquerade what leaves pools with natOutgoing for addresses in no pool, disabled ones counted, LoadBalancer-only ones not.

    ``hosts`` and ``external`` (externalNodesList) are exempt, too, under ``IPPoolsAndHostIPs``.
    """
    counted = [pool for pool in pools if tuple(pool.allowed_uses) != LOAD_BALANCER_ONLY]
    sources = tuple(pool.cidr for pool in counted if pool.nat_outgoing)
    exempt = tuple(pool.cidr for pool in counted)
    if exclusions != "IPPoolsAndHostIPs":
        return NatRule(sources, exempt)
    return NatRule(sources, exempt + tuple(external), frozenset(hosts))
