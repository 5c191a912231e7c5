"""Bytes of headers (and of whole packets) per second: the compiled deparser and ``calisim.wire``. Scapy: ``bench_rivals.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.conftest import per_second, pod_packets

from calisim.datapath.deparse import WHOLE, Deparser, Tunnels
from calisim.report.capture import tunnel_mac
from calisim.vocabulary import Encap
from calisim.wire import ethernet, ipv4, tcp, udp, vxlan

WAVE, FEW = 1 << 17, 2000
HEADERS = 64                                            # bytes: IP in IP and TCP; all but the TCP header of VXLAN


@pytest.fixture(scope="session")
def crossings(networks: Any) -> Any:
    """EVENTs of TCP packets of 1,000 bytes on their way through 300 nodes, and the tunnels' constants."""
    def make(variant: str) -> tuple[np.ndarray, Tunnels]:
        network = networks(300, variant)
        packets = pod_packets(network, WAVE)
        packets["length"], packets["protocol"], packets["tcp_flags"] = 1000, 6, 2
        events = network.engine.forward(packets, network.engine.new_state(), events=True).events
        assert events is not None
        macs = {router.address: tunnel_mac(router.name) for router in network.intent.routers}
        return events, Tunnels(network.intent.seed, macs=macs)

    return make


@pytest.mark.parametrize("variant", ["calico-no-encap", "overlay-ipip", "overlay-vxlan"])
@pytest.mark.parametrize("snap", [HEADERS, WHOLE], ids=["headers", "whole"])
def bench_deparse(benchmark: Any, crossings: Any, variant: str, snap: int) -> None:
    events, tunnels = crossings(variant)
    deparser = Deparser(events, tunnels)
    chunks = np.array_split(np.arange(len(events)), len(events) // 4096)          # as a capture is written
    benchmark.pedantic(lambda: [deparser.deparse(chunk, snap) for chunk in chunks], rounds=7, warmup_rounds=1)
    per_second(benchmark, len(events))


@pytest.mark.parametrize("encap", list(Encap), ids=lambda encap: encap.name.lower())
def bench_wire(benchmark: Any, encap: Encap) -> None:
    """The readable judge, on few packets."""
    def make() -> None:
        for sport in range(FEW):
            packet = ipv4.emit(ipv4.Ipv4(1, 2, ipv4.TCP), tcp.emit(tcp.Tcp(sport, 80), bytes(960), 1, 2))
            if encap is Encap.IPIP:
                ipv4.emit(ipv4.Ipv4(3, 4, ipv4.IPIP), packet)
            elif encap is Encap.VXLAN:
                frame = vxlan.emit(vxlan.Vxlan(4096), ethernet.emit(ethernet.Ethernet(bytes(6), bytes(6)), packet))
                ipv4.emit(ipv4.Ipv4(3, 4, ipv4.UDP), udp.emit(udp.Udp(sport, vxlan.PORT), frame, 3, 4))

    benchmark.pedantic(make, rounds=3, warmup_rounds=1)
    per_second(benchmark, FEW)
