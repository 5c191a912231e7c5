"""VXLAN (RFC 7348) as Calico's ``vxlan.calico`` does it: VNI 4096, UDP port 4789, no learning.

Measured on Linux 6.1: outer TTL 64 whatever the inner has, DF 0, DSCP 0, ECN inherited with CE → ECT(0),
source port from a hash of the inner flow in 32768..60999, total length + 50 (IP, UDP, VXLAN, Ethernet).
"""

from .layout import Encapsulation

ENCAPSULATION = Encapsulation(
    name="vxlan", code=2, title="VXLAN", overhead=50, protocol=17, port=4789, outer_ttl=64, copies_df=False,
    device="vxlan.calico", mode_field="vxlanMode", requirement="UDP port 4789",
)
