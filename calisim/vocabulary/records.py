"""Layouts of the records that both languages share (numpy dtypes; C structs are generated from them).

Addresses and ports are in host order, lengths in bytes of IP total length, times in nanoseconds.
``PACKET`` goes in, ``RESULT`` comes out, row by row; ``EVENT`` is one crossing of one interface.
Index 0 of every table is *nothing*: a zeroed table drops instead of crashing.
"""

from __future__ import annotations

import numpy as np

_u8, _u16, _u32, _u64 = "<u1", "<u2", "<u4", "<u8"


# Of an address the bits that choose a cell of the root, of a branch, of a leaf: a table of longest match (fib/lpm.py)
LPM_BITS = (16, 10, 6)


def _record(*fields: tuple[str, str], size: int) -> np.dtype:
    dtype = np.dtype(list(fields), align=True)
    assert dtype.itemsize == size, f"record is {dtype.itemsize} bytes, planned {size}"
    return dtype


# What these mean field by field is in fields.py, as is CONNECTION. HEADER: what a packet has beyond PACKET, row by row.
PACKET = _record(
    ("src", _u32), ("dst", _u32), ("sport", _u16), ("dport", _u16),
    ("protocol", _u8), ("tcp_flags", _u8), ("ttl", _u8), ("tos", _u8),
    ("length", _u16), ("fragment", _u16),
    ("ingress", _u32),
    ("time", _u64), size=32,
)

HEADER = _record(
    ("outer_src", _u32), ("outer_dst", _u32), ("outer_sport", _u16), ("outer_fragment", _u16),
    ("outer_ttl", _u8), ("outer_tos", _u8), ("encap", _u8), ("flags", _u8),
    ("id", _u16), ("outer_id", _u16), ("mtu", _u16), ("device", _u8),
    ("place", _u32),
    ("quote_src", _u32), ("quote_dst", _u32), ("quote_sport", _u16), ("quote_dport", _u16),
    ("quote_length", _u16), ("quote_fragment", _u16),
    ("quote_protocol", _u8), ("quote_ttl", _u8), ("quote_tos", _u8), ("resume", _u8),
    ("outer_length", _u16), ("largest", _u16), ("resume_at", _u32), ("datagram", _u32), ("outer_datagram", _u32), size=64,
)

RESULT = _record(
    ("verdict", _u8), ("reason", _u8), ("stage", _u8), ("encap", _u8),
    ("where", _u32),
    ("src", _u32), ("dst", _u32), ("sport", _u16), ("dport", _u16),
    ("outer_src", _u32), ("outer_dst", _u32), ("wire", _u16), ("hops", _u8), ("ttl", _u8),
    ("path", _u32), ("connection", _u32),
    ("detail", _u32), ("flags", _u32),
    size=48,
)

EVENT = _record(
    ("row", _u32), ("router", _u32), ("endpoint", _u32), ("detail", _u32),
    ("src", _u32), ("dst", _u32), ("sport", _u16), ("dport", _u16), ("length", _u16), ("fragment", _u16),
    ("outer_src", _u32), ("outer_dst", _u32), ("outer_length", _u16), ("outer_fragment", _u16),
    ("outer_sport", _u16), ("outer_ttl", _u8), ("outer_tos", _u8),
    ("protocol", _u8), ("tcp_flags", _u8), ("ttl", _u8), ("tos", _u8),
    ("device", _u8), ("direction", _u8), ("encap", _u8), ("stage", _u8),
    ("time", _u64),
    ("quote_src", _u32), ("quote_dst", _u32), ("quote_sport", _u16), ("quote_dport", _u16), size=80,
)

# Of a packet that a wave gave rise to (Results.born): the row it is about, who makes it (place id), what it is to that row
# (Relation); of an ICMP error DropReason, type and code.
BORN = _record(("parent", _u32), ("where", _u32), ("cause", _u8), ("type", _u8), ("code", _u8), ("relation", _u8), size=12)

# owner: router whose advert made the route; that router itself looks at fallback, the next best one without its adverts.
ADJACENCY = _record(
    ("kind", _u8), ("encap", _u8), ("device", _u8), ("reason", _u8),   # reason: of kind DROP
    ("next_hop", _u32),                        # ATTACHED: 0; REMOTE: on-link address; TUNNEL: outer destination
    ("mtu", _u32), ("detail", _u32), ("owner", _u32), ("fallback", _u32),
    ("length", _u8), ("flags", _u8), size=28,  # prefix length of the route; AdjacencyFlag
)

# One cell of the address space's partition: what is true of all its addresses, whoever looks.
CLASS = _record(
    ("base", _u32), ("residents", _u32),       # endpoint of an address: FibImage.residents[residents + address - base]
    ("holder", _u32), ("holder_detail", _u32),  # router that drops what is left of the block (blackhole); decider
    ("interface", _u32), ("host", _u32),       # endpoint with this address inside the fabric; host outside it
    ("public", _u32),                          # router that the internet gateway gives this address
    ("flags", _u16), ("holder_length", _u8), size=32,
)

ROUTER = _record(
    ("address", _u32), ("key", _u32), ("group", _u32), ("subnet", _u32),
    ("ipip_address", _u32), ("vxlan_address", _u32), ("public_address", _u32),
    ("link", _u32), ("link_mask", _u32), ("mtu", _u32), ("detail", _u32),
    ("rules_in", _u32), ("rules_in_count", _u32), ("rules_out", _u32), ("rules_out_count", _u32),
    ("groups", _u64),                          # bit set of its security groups
    ("flags", _u32), ("group_detail", _u32),
    ("rp_filter", _u8), ("rp_filter_veth", _u8), ("rp_filter_tunnel", _u8), size=88,
)

ENDPOINT = _record(
    ("address", _u32), ("router", _u32), ("subnet", _u32), ("mtu", _u32),
    ("detail", _u32),                          # its own object, which decides about its node's route to it, too
    ("ingress", _u32), ("egress", _u32),       # the first TIER of the program that polices it, 0: nothing does
    ("kind", _u8), size=32,
)

# acl_*: rules of a NACL; filtered_* 0: it has none and everything passes.
SUBNET = _record(
    ("network", _u32), ("mask", _u32), ("gateway", _u32), ("table", _u32), ("place", _u32), ("detail", _u32),
    ("acl_in", _u32), ("acl_in_count", _u32), ("acl_out", _u32), ("acl_out_count", _u32),
    ("filtered_in", _u8), ("filtered_out", _u8), ("mtu", _u16), size=44,
)

# What a stack has learnt of a path: whoever has address src sends at most mtu bytes to dst until expires. Sorted by src, dst.
PMTU = _record(("src", _u32), ("dst", _u32), ("mtu", _u32), ("expires", _u64), size=24)

# What holds for the network between the nodes as a whole (one record).
FABRIC = _record(
    ("seed", _u64), ("mtu", _u32), ("internet_mtu", _u32), ("gateway_place", _u32), ("flags", _u32), ("detail", _u32),
    ("outside_address", _u32), ("icmp_ratelimit", _u32), size=40,
)

# A security-group or NACL rule. protocol 256 = all; group 0 = match by prefix; action 1 allow, 0 deny.
RULE = _record(
    ("network", _u32), ("mask", _u32), ("protocol", _u16), ("low", _u16), ("high", _u16), ("action", _u8),
    ("group", _u64), ("detail", _u32), size=32,
)

# A tier of a program of policy, or one of the profiles after them; a program is a run of these up to the last. steps:
# FibImage.steps[steps:][:count], its rules in order. end, end_detail: what it says where no rule decides. index: how to find
# the rules that can match, 0: they are tried one by one. last: 0, or (PolicyAction) how the program ends where nothing decides.
TIER = _record(
    ("steps", _u32), ("count", _u32), ("index", _u32), ("end_detail", _u32), ("end", _u8), ("last", _u8), size=20,
)

# A HostEndpoint: the first TIERs of its programs, and of the failsafes that are asked before them; 0: none.
GUARD = _record(
    ("ingress", _u32), ("egress", _u32), ("forward_ingress", _u32), ("forward_egress", _u32), ("pre_dnat", _u32),
    ("untracked_ingress", _u32), ("untracked_egress", _u32), ("detail", _u32),
    ("failsafe_in", _u32), ("failsafe_out", _u32), ("failsafe_untracked_in", _u32), ("failsafe_untracked_out", _u32), size=48,
)

# A rule of policy: addresses answer src and dst (atoms, 0 anybody), protocol 256 = all, low <= dport <= high, and each group of
# FibImage.terms[terms:][:term_count] holds.
MATCH = _record(
    ("src", _u32), ("dst", _u32), ("terms", _u32), ("term_count", _u32), ("detail", _u32),
    ("protocol", _u16), ("low", _u16), ("high", _u16), ("action", _u8), size=28,
)

# What else a rule may ask: kind of value inside low..high, of a packet of that protocol (256 = all), by an address of that
# atom. Terms are alternatives up to the last of their group; flags of that one say whether the group is negated.
TERM = _record(
    ("atom", _u32), ("low", _u16), ("high", _u16), ("protocol", _u16), ("kind", _u8), ("flags", _u8), size=12,
)

# Which rules of a long TIER can match: a set of bits, one for each, by the peer of its other end (FibImage.maps[peers + peer])
# and one by protocol << 16 | dport (maps[edges:][:edge_count], ascending; sets follow). A set in FibImage.bits: a bit for each of
# its words that is not 0, then the words, 64 bits each.
INDEX = _record(
    ("peers", _u32), ("edges", _u32), ("edge_count", _u32), ("words", _u32), ("by_dst", _u8), size=20,
)

# A route of a cloud route table.
TARGET = _record(("kind", _u32), ("router", _u32), ("place", _u32), ("detail", _u32), size=16)

# A tracked connection: both tuples, one cache line. key = ROUTER.key of the router that tracks it.
CONNECTION = _record(
    ("key", _u32), ("ordinal", _u32),
    ("src", _u32), ("dst", _u32), ("sport", _u16), ("dport", _u16),
    ("reply_src", _u32), ("reply_dst", _u32), ("reply_sport", _u16), ("reply_dport", _u16),
    ("created", _u64), ("expires", _u64), ("packets", _u32), ("reply_packets", _u32),
    ("protocol", _u8), ("state", _u8), ("flags", _u8), ("history", _u8), ("wave", _u32), size=64,
)

# Where a service is found: a slot of an open-addressing table, service 0: empty. address 0: on the nodes' own addresses.
# sources: FibImage.ranges[sources:][:source_count] under FrontendFlag.RANGED.
FRONTEND = _record(
    ("address", _u32), ("service", _u32), ("sources", _u32), ("source_count", _u32),
    ("port", _u16), ("protocol", _u8), ("flags", _u8), size=20,
)

# A port of a service: its endpoints are FibImage.backends[backends:][:count], in kube-proxy's order, and of what follows at
# own, ascending by router and then in that order, each node takes its own ones. affinity (ns): 0 without.
SERVICE = _record(
    ("affinity", _u64), ("key", _u32), ("detail", _u32), ("backends", _u32), ("count", _u32), ("own", _u32), ("own_count", _u32),
    size=32,
)

# An endpoint of a service.
BACKEND = _record(("address", _u32), ("router", _u32), ("port", _u16), size=12)

# A range of addresses that may ask for a service.
RANGE = _record(("network", _u32), ("mask", _u32), size=8)

# Session affinity: the endpoint (address, port) that a service port (ServicePort.key) gives to a client at the router with
# that key, until expires. Sorted by key, service, client.
AFFINITY = _record(
    ("key", _u32), ("service", _u32), ("client", _u32), ("address", _u32), ("port", _u16), ("expires", _u64), size=32,
)
