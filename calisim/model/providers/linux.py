"""Subnets joined by one plain Linux router with a leg to the outside: it decrements TTL, filters and translates nothing."""

from . import Provider

_RFC = "RFC 1812 (requirements for IPv4 routers)"

PROVIDER = Provider(
    name="linux", title="Linux router",
    mtu=1500, fabric_mtu=1500, internet_mtu=1500,
    reserved_first=2, reserved_last=1, gateway=1,
    source_dest_check=False, routes_per_table=1_000_000,
    security_groups=False, internet_gateways=False,
    decrements_ttl=True, routes_pods=False,
    sources={
        "mtu": "RFC 894: Ethernet carries IP packets of up to 1500 bytes",
        "fabric_mtu": "RFC 894",
        "internet_mtu": "RFC 894",
        "reserved_first": "RFC 950: the all-zero host number; the router has the first usable address",
        "reserved_last": "RFC 919: directed broadcast",
        "gateway": "convention: the router has the first usable address",
        "source_dest_check": "a switch port delivers by MAC address, whatever the IP header says",
        "routes_per_table": "the kernel's FIB is bounded by memory only",
        "security_groups": "no netfilter rules on the router",
        "internet_gateways": "the router's outside leg translates nothing",
        "decrements_ttl": f"{_RFC} §5.3.1",
        "routes_pods": "it has routes to its own links and a default route only",
    },
)
