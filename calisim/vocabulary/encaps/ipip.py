"""IP-in-IP (RFC 2003) as Linux' ``tunl0`` does it: ttl inherit, nopmtudisc.

Measured on Linux 6.1: outer TTL is the inner one after the forwarding decrement, outer DSCP 0, ECN
inherited with CE → ECT(0), DF copied from the inner header, total length + 20.
"""

from .layout import Encapsulation

ENCAPSULATION = Encapsulation(
    name="ipip", code=1, title="IPIP", overhead=20, protocol=4, port=0, outer_ttl=0, copies_df=True, device="tunl0",
    mode_field="ipipMode", requirement="IP protocol 4",
)
