"""What the selectors of a policy mean together: one selector over all labels, as Calico's update processors make it.

In a namespaced policy a rule's selector is limited to the policy's namespace, unless a namespaceSelector is there;
``all()`` in one is "in some namespace", ``global()`` "in none". notSelector is never limited.
"""

from __future__ import annotations

from functools import lru_cache

from ...scenario.resources import EntityRule, Policy
from ...selector import And, Everything, Has, Node, Not, Or, Selector, parse
from .sight import ACCOUNT_PREFIX, NAMESPACE, NAMESPACE_PREFIX, SERVICE_ACCOUNT


def policy_selector(policy: Policy) -> Selector:
    """Whom the policy applies to."""
    terms = [_in_namespace(policy.namespace)] if policy.namespace else []
    if policy.namespace_selector:
        terms.append(_of_namespaces(policy.namespace_selector))
    if policy.service_account_selector:
        terms.append(_restated(_prefixed(policy.service_account_selector, ACCOUNT_PREFIX), SERVICE_ACCOUNT))
    terms.append(parse(policy.selector).root)
    return _all_of(terms)


def entity_selector(entity: EntityRule, namespace: str) -> Selector | None:
    """Whom one side of a rule chooses by labels; None where it does not ask. ``namespace``: the policy's, "" of a global one."""
    chosen: list[Node] = []
    if entity.service_account_selector:
        chosen.append(_prefixed(entity.service_account_selector, ACCOUNT_PREFIX))
    if entity.service_accounts:
        quoted = ", ".join(f"'{name}'" for name in entity.service_accounts)
        chosen.append(parse(f"{SERVICE_ACCOUNT} in {{{quoted}}}").root)
    if entity.selector:
        chosen.append(parse(entity.selector).root)
    if entity.namespace_selector:
        chosen.insert(0, _of_namespaces(entity.namespace_selector))
    elif namespace and (chosen or entity.not_selector):
        chosen.insert(0, _in_namespace(namespace))
    if chosen and entity.not_selector:
        chosen.append(Not(parse(entity.not_selector).root))
    return _all_of(chosen) if chosen else None


def excluded_selector(entity: EntityRule, namespace: str) -> Selector | None:
    """A notSelector that stands alone: it excludes whom it chooses and matches all others, unknown addresses too."""
    alone = entity.not_selector and entity_selector(entity, namespace) is None
    return parse(entity.not_selector) if alone else None


def _all_of(terms: list[Node]) -> Selector:
    return Selector(terms[0] if len(terms) == 1 else And(tuple(terms)))


@lru_cache(maxsize=4096)
def _in_namespace(name: str) -> Node:
    return parse(f"{NAMESPACE} == '{name}'").root


def _prefixed(text: str, prefix: str) -> Node:
    return parse(text).with_prefix(prefix).root


@lru_cache(maxsize=4096)
def _of_namespaces(text: str) -> Node:
    return _restated(_prefixed(text, NAMESPACE_PREFIX), NAMESPACE)


def _restated(node: Node, label: str) -> Node:
    """``all()`` is whoever has the label at all, ``global()`` who has it not."""
    match node:
        case Everything("all"):
            return Has(label)
        case Everything():
            return Not(Has(label))
        case Not(inner):
            return Not(_restated(inner, label))
        case And(terms):
            return And(tuple(_restated(term, label) for term in terms))
        case Or(terms):
            return Or(tuple(_restated(term, label) for term in terms))
        case _:
            return node
