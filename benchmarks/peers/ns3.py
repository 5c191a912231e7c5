"""ns-3: UDP datagrams from a host over three routers to another, point-to-point links, global routing.

    python -m benchmarks.peers.ns3 [PACKETS]    # pip install ns3; skipped with a word where it is not

The proof of the work: the receiver's application has got every packet. A packet-hop is one packet over one link.
"""

from __future__ import annotations

import sys
import time

PACKETS, LINKS, ROUNDS = 20_000, 4, 3


def simulate(packets: int) -> float:
    """Packet-hops per second of one run."""
    from ns import ns

    nodes = ns.NodeContainer()
    nodes.Create(LINKS + 1)
    ns.InternetStackHelper().Install(nodes)
    link = ns.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns.StringValue("100Gbps"))
    link.SetChannelAttribute("Delay", ns.StringValue("1us"))
    addresses = ns.Ipv4AddressHelper()
    for number in range(LINKS):
        devices = link.Install(nodes.Get(number), nodes.Get(number + 1))
        addresses.SetBase(ns.Ipv4Address(f"10.1.{number}.0"), ns.Ipv4Mask("255.255.255.0"))
        interfaces = addresses.Assign(devices)
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
    server = ns.UdpServerHelper(9)
    servers = server.Install(nodes.Get(LINKS))
    client = ns.UdpClientHelper(interfaces.GetAddress(1).ConvertTo(), 9)
    for name, value in (("MaxPackets", ns.UintegerValue(packets)), ("PacketSize", ns.UintegerValue(64)),
                        ("Interval", ns.TimeValue(ns.MicroSeconds(1)))):
        client.SetAttribute(name, value)
    clients = client.Install(nodes.Get(0))
    servers.Start(ns.Seconds(0))
    clients.Start(ns.Seconds(1))
    start = time.perf_counter()
    ns.Simulator.Run()
    seconds = time.perf_counter() - start
    received = servers.Get(0).GetObject[ns.UdpServer]().GetReceived()
    ns.Simulator.Destroy()
    assert received == packets, f"{received} of {packets} packets arrived"
    return packets * LINKS / seconds


def main() -> None:
    try:
        import ns  # noqa: F401
    except ImportError:
        print("skipped: ns-3 is not installed (pip install ns3)")
        return
    rates = sorted(simulate(int(sys.argv[1]) if len(sys.argv) > 1 else PACKETS) for _ in range(ROUNDS))
    print(f"ns-3: {rates[ROUNDS // 2] / 1e6:.3f} M packet-hops/s ({rates[0] / 1e6:.3f} to {rates[-1] / 1e6:.3f}), {LINKS} links")


if __name__ == "__main__":
    main()
