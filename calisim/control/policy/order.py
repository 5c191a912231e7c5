"""Who is asked first: tiers by order, then by name; policies of a tier by order, then by their full name.

Source: Felix' policy sorter. No order means last.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from ...scenario.resources import Policy, Tier

_KINDS = {                                # as Calico calls what it converts
    "AdminNetworkPolicy": "KubernetesAdminNetworkPolicy",
    "BaselineAdminNetworkPolicy": "KubernetesBaselineAdminNetworkPolicy",
    "ClusterNetworkPolicy": "KubernetesClusterNetworkPolicy",
}


def ordered_tiers(tiers: Iterable[Tier]) -> list[Tier]:
    return sorted(tiers, key=lambda tier: (tier.order is None, tier.order or 0, tier.name))


def ordered_policies(policies: Iterable[Policy]) -> list[Policy]:
    return sorted(policies, key=lambda policy: (inf if policy.order is None else policy.order, _full_name(policy)))


def _full_name(policy: Policy) -> str:
    return f"{policy.name}/{policy.namespace}/{_KINDS.get(policy.kind, policy.kind)}"
