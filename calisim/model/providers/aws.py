"""An AWS VPC: routes know interfaces, not pods; interfaces check sources and destinations."""

from . import Provider

_GUIDE = "docs.aws.amazon.com/vpc/latest/userguide"
_EC2 = "docs.aws.amazon.com/AWSEC2/latest/UserGuide"

PROVIDER = Provider(
    name="aws", title="AWS VPC",
    mtu=9001, fabric_mtu=9001, internet_mtu=1500,
    reserved_first=4, reserved_last=1, gateway=1,
    source_dest_check=True, routes_per_table=500,
    security_groups=True, internet_gateways=True, public_by_default=True,
    decrements_ttl=False, routes_pods=False,
    sources={
        "mtu": f"{_EC2}/network_mtu.html: jumbo frames inside a VPC",
        "fabric_mtu": f"{_EC2}/network_mtu.html",
        "internet_mtu": f"{_EC2}/network_mtu.html: 1500 through an internet gateway",
        "reserved_first": f"{_GUIDE}/subnet-sizing.html: network, router, DNS, future use",
        "reserved_last": f"{_GUIDE}/subnet-sizing.html: broadcast is not supported",
        "gateway": f"{_GUIDE}/subnet-sizing.html: network address + 1",
        "source_dest_check": f"{_EC2}/using-eni.html: on unless switched off, for each interface",
        "routes_per_table": f"{_GUIDE}/amazon-vpc-limits.html: non-propagated routes, 500 since June 2025, 50 before; adjustable",
        "security_groups": f"{_GUIDE}/security-group-rules.html: no inbound rule by default, all outbound",
        "internet_gateways": f"{_GUIDE}/VPC_Internet_Gateway.html: one-to-one translation of mapped addresses only",
        "public_by_default": "instances of a public subnet usually get one; say publicIP: false where they do not",
        "decrements_ttl": "a Calico traceroute on AWS shows no hop between two nodes",
        "routes_pods": f"{_GUIDE}/VPC_Route_Tables.html: no match, no delivery",
    },
)
