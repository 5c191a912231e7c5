"""Chains → programs: for each identity and direction the tiers that apply, in order, and the profiles; equal ones once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...scenario.resources import Policy, PolicyResources, PolicyRule, Profile
from ...vocabulary import PolicyAction
from ..objects import Objects
from ..policing import Identity, Program, ProgramTier
from .labels import Workload
from .order import enforced_kind, ordered_policies, ordered_tiers
from .rules import Chains
from .scopes import policy_selector

DIRECTIONS = ("ingress", "egress")
_ENDS = {"Deny": PolicyAction.DENY, "Pass": PolicyAction.PASS}
_EVERYTHING = PolicyRule("Allow", name="everything")
_NOTHING = PolicyRule("Deny", name="everything")
DEFAULT_ALLOW = "projectcalico-default-allow"
NAMESPACE_PROFILES = "kns.*"              # a namespace's profile allows everything, whatever the namespace


@dataclass(slots=True)
class Programs:
    """The register of programs, and what they are made of."""

    resources: PolicyResources
    chains: Chains
    objects: Objects
    known: dict[Program, int] = field(default_factory=dict)
    profiles: dict[tuple[str, str], int] = field(default_factory=dict)     # (name, direction) → chain
    undescribed: dict[str, None] = field(default_factory=dict)
    _tiers: dict[str, tuple[int, PolicyAction]] = field(default_factory=dict)
    _policies: dict[int, dict[str, int]] = field(default_factory=dict)     # id of a policy → its chains

    def __post_init__(self) -> None:
        for tier in ordered_tiers(self.resources.tiers):
            self._tiers[tier.name] = (self.objects.add("Tier", tier.name, tier.mark), _ENDS[tier.default_action])

    def identities(self, workloads: Sequence[Workload]) -> tuple[Identity, ...]:
        enforced = [policy for policy in self.resources.policies if not policy.staged]
        now = self._of_policies(enforced, workloads)
        with_staged = self._as_if_in_force(enforced)
        then = now if with_staged == enforced else self._of_policies(with_staged, workloads)
        return tuple(
            Identity(workload.labels, *now[number], *then[number]) for number, workload in enumerate(workloads))

    def _as_if_in_force(self, enforced: list[Policy]) -> list[Policy]:
        """Staged policies in the place of those that they would replace or remove; Learn and Ignore do nothing."""
        def place(policy: Policy) -> tuple[str, str, str]:
            return enforced_kind(policy), policy.namespace, policy.name

        staged = [policy for policy in self.resources.policies if policy.staged in ("Set", "Delete")]
        replaced = {place(policy) for policy in staged}
        kept = [policy for policy in enforced if place(policy) not in replaced]
        return [*kept, *(policy for policy in staged if policy.staged == "Set")] if staged else enforced

    def _of_policies(self, policies: Iterable[Policy], workloads: Sequence[Workload]) -> list[tuple[int, int]]:
        """(ingress, egress) programs of each workload."""
        ranks = {tier.name: rank for rank, tier in enumerate(ordered_tiers(self.resources.tiers))}
        per_workload: list[dict[str, dict[str, list[int]]]] = [{way: {} for way in DIRECTIONS} for _ in workloads]
        for policy in sorted(ordered_policies(policies), key=lambda policy: ranks[policy.tier]):
            if policy.do_not_track or policy.pre_dnat:
                continue                             # of host endpoints only
            chosen = self.chains.sets.identities(policy_selector(policy))
            for way in DIRECTIONS if chosen else ():
                if way.capitalize() in policy.types:
                    chain = self.chain(policy, way)
                    for identity in chosen:
                        per_workload[identity - 1][way].setdefault(policy.tier, []).append(chain)
        return [
            (self._program(tiers["ingress"], workload, "ingress"), self._program(tiers["egress"], workload, "egress"))
            for tiers, workload in zip(per_workload, workloads, strict=True)]

    def chain(self, policy: Policy, way: str) -> int:
        chains = self._policies.setdefault(id(policy), {})
        if way not in chains:
            number = next(iter(chains.values()), 0)
            decided_by = self.chains.all[number - 1].decided_by if number else self._object(policy)
            chains[way] = self.chains.of_policy(policy, decided_by, way)
        return chains[way]

    def _object(self, policy: Policy) -> int:
        name = f"{policy.namespace}/{policy.name}" if policy.namespace else policy.name
        return self.objects.add(policy.kind, name, policy.mark)

    def _program(self, tiers: Mapping[str, list[int]], workload: Workload, way: str) -> int:
        profiles = (NAMESPACE_PROFILES,) if workload.profiles is None else workload.profiles
        made = Program(
            tuple(self.tier(name, chains) for name, chains in tiers.items()),
            tuple(self.profile(name, way) for name in profiles))
        return self.add(made)

    def add(self, made: Program) -> int:
        return self.known.setdefault(made, len(self.known) + 1)

    def tier(self, name: str, chains: Sequence[int]) -> ProgramTier:
        decided_by, end = self._tiers[name]
        return ProgramTier(tuple(chains), end, decided_by)

    def profile(self, name: str, way: str) -> int:
        if (name, way) not in self.profiles:
            profile = next((one for one in self.resources.profiles if one.name == name), None) or self._unwritten(name)
            number = self.objects.add("Profile", name, profile.mark)
            for direction in DIRECTIONS:
                self.profiles[name, direction] = self.chains.of_profile(profile, number, direction)
        return self.profiles[name, way]

    def _unwritten(self, name: str) -> Profile:
        """A namespace's profile allows everything, a service account's says nothing; Felix puts a deny for one it misses."""
        if name.startswith("kns.") or name == DEFAULT_ALLOW:
            return Profile(name, (_EVERYTHING,), (_EVERYTHING,))
        if name.startswith("ksa."):
            return Profile(name)
        self.undescribed[name] = None
        return Profile(name, (_NOTHING,), (_NOTHING,))
