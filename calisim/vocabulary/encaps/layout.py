"""The shape of an encapsulation's description."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """All that the datapath and the reports need to know of one encapsulation (IPv4 underlay).

    ``overhead`` is in bytes of IP total length; ``protocol`` is the outer IP protocol; ``port`` the outer
    destination port or 0. ``outer_ttl`` 0 means *inherit the inner TTL*. ``copies_df`` tells whether the
    outer DF is the inner one's; otherwise it is 0. ``device`` is the node's device; ``mode_field`` the
    field of an IPPool that turns it on.
    """

    name: str
    code: int
    title: str
    overhead: int
    protocol: int
    port: int
    outer_ttl: int
    copies_df: bool
    device: str
    mode_field: str
    requirement: str    # what the underlay must let through, as a person would say it
