"""An ideal network: delivers to whoever has the address, pods included, and drops nothing. For policy and teaching."""

from . import Provider

PROVIDER = Provider(
    name="plain", title="ideal network",
    mtu=1500, fabric_mtu=65535, internet_mtu=65535,
    reserved_first=2, reserved_last=1, gateway=1,
    source_dest_check=False, routes_per_table=1_000_000,
    security_groups=False, internet_gateways=False,
    decrements_ttl=False, routes_pods=True,
    sources=dict.fromkeys((
        "mtu", "fabric_mtu", "internet_mtu", "reserved_first", "reserved_last", "gateway", "source_dest_check",
        "routes_per_table", "security_groups", "internet_gateways", "decrements_ttl", "routes_pods",
    ), "definition: a network that is never the reason"),
)
