"""The IP pools that exist although no document in force gives one, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..quantities import Prefix, parse_prefix
from .documents import Document
from .resources import IPPool, Resources

_DEFAULT = parse_prefix("192.168.0.0/16")
# Where calico-node looks for its default pool when the node's own address lies in 192.168.0.0/16.
_FALLBACKS = tuple(parse_prefix(f"172.{octet}.0.0/16") for octet in range(16, 32))


def complete(
    resources: Resources, awaited: Iterable[Document], subnets: Sequence[Prefix], *, set_aside: bool,
) -> tuple[Resources, tuple[str, ...]]:
    """Resources with pools in any case, and the assumption that this took.

    ``awaited`` are documents of the scenario that are not in force: set aside, or applied by some step or variant.
    """
    if resources.pools:
        return resources, ()
    cidrs = _cidrs(awaited) or ([_DEFAULT] if set_aside else [])
    if cidrs:
        bare = tuple(IPPool(_name(cidr), cidr) for cidr in cidrs)
        listed = ", ".join(map(str, cidrs))
        return replace(resources, pools=bare), (
            f"No IP pool is in force, so pods have addresses from {listed} without natOutgoing and without encapsulation.",)
    cidr = next((one for one in (_DEFAULT, *_FALLBACKS) if not any(one.overlaps(subnet) for subnet in subnets)), _DEFAULT)
    pool = IPPool("default-ipv4-ippool", cidr, nat_outgoing=True)
    return replace(resources, pools=(pool,)), (
        f"No document gives an IP pool, so the default pool that calico-node makes is assumed: {cidr} with natOutgoing, "
        "without encapsulation.",)


def _cidrs(documents: Iterable[Document]) -> list[Prefix]:
    """Each CIDR of the documents' IPv4 pools once, in their order."""
    found: dict[Prefix, None] = {}
    for document in documents:
        try:
            found[parse_prefix(document.pool_cidr)] = None
        except ValueError:
            continue                  # no pool, or one that is refused when it is read
    return list(found)


def _name(cidr: Prefix) -> str:
    """The name that Calico's upgrade gives a v1 pool: its CIDR with dashes."""
    return str(cidr).replace(".", "-").replace("/", "-")
