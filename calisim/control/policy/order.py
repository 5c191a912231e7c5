"""Who is asked first: tiers by order, then by name; policies of a tier by order, then by their full name.

Source: Felix' policy sorter. No order means last.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from ...scenario.resources import Policy, Tier


def ordered_tiers(tiers: Iterable[Tier]) -> list[Tier]:
    return sorted(tiers, key=lambda tier: (tier.order is None, tier.order or 0, tier.name))


def ordered_policies(policies: Iterable[Policy]) -> list[Policy]:
    return sorted(policies, key=lambda policy: (inf if policy.order is None else policy.order, _full_name(policy)))


def enforced_kind(policy: Policy) -> str:
    """Calico's kind of the policy, for a staged one of that which it would become."""
    return (policy.calico_kind or policy.kind).removeprefix("Staged")


def _full_name(policy: Policy) -> str:
    return f"{policy.name}/{policy.namespace}/{enforced_kind(policy)}"
