"""No encapsulation: pod addresses on the wire."""

from .layout import Encapsulation

ENCAPSULATION = Encapsulation(
    name="none", code=0, title="native", overhead=0, protocol=0, port=0, outer_ttl=0, copies_df=True, device="eth0",
    mode_field="", requirement="pod addresses",
)
