"""Packets by hand: what a writer leaves out, and what he gets wrong."""

import pytest

from calisim.errors import UsageError
from calisim.quantities import parse_address
from calisim.traffic.batch import ACK, PSH, packet, protocol_number
from calisim.vocabulary import PACKET, PacketFlag


def test_what_is_not_said_is_a_segment_of_a_running_connection():
    (one,) = packet(src="10.0.0.1", dst="10.0.0.2", ingress=3)
    assert one.dtype == PACKET
    assert (one["src"], one["dst"], one["ingress"]) == (parse_address("10.0.0.1"), parse_address("10.0.0.2"), 3)
    assert (one["protocol"], one["tcp_flags"], one["dport"], one["ttl"], one["length"]) == (6, PSH | ACK, 80, 64, 1000)
    assert one["fragment"] == PacketFlag.DF


def test_icmp_is_an_echo_request_and_others_have_no_ports():
    (echo,) = packet(protocol="icmp", df=False)
    assert (echo["protocol"], echo["dport"], echo["tcp_flags"], echo["fragment"]) == (1, 0x0800, 0, 0)
    (gre,) = packet(protocol=47)
    assert (gre["sport"], gre["dport"]) == (0, 0)


@pytest.mark.parametrize(("fields", "says"), [
    ({"lenght": 60}, "did you mean 'length'"),
    ({"dst": "10.0.0.300"}, "octets go from 0 to 255"),
    ({"ttl": 256}, "ttl 256 does not fit; it goes from 0 to 255"),
    ({"length": -1}, "length -1 does not fit"),
    ({"protocol": "tpc"}, "tcp, udp, icmp, ipip, ip-in-ip, gre, esp, sctp"),
    ({"protocol": 256}, "from 0 to 255"),
])
def test_rejects(fields, says):
    with pytest.raises(UsageError, match=says):
        packet(**fields)


@pytest.mark.parametrize(("text", "number"), [
    ("tcp", 6), ("UDP", 17), ("ipip", 4), ("gre", 47), ("sctp", 132), ("94", 94), (1, 1)])
def test_protocols_by_name_and_number(text, number):
    assert protocol_number(text) == number


def test_a_scenario_names_the_protocols_that_can_be_sent():
    """What the schema takes for traffic is what the sender knows, but for *all*."""
    from calisim.scenario.scalars import PROTOCOLS

    assert {name: protocol_number(name) for name in PROTOCOLS[:-2]} == {
        "tcp": 6, "udp": 17, "icmp": 1, "ipip": 4, "ip-in-ip": 4, "gre": 47, "esp": 50, "sctp": 132}
