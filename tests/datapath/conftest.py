"""Every hand-derived expectation of this folder is asked of both engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from calisim.datapath.engine import engine
from calisim.datapath.results import Born
from calisim.quantities import format_address
from calisim.traffic.batch import packet
from calisim.traffic.flows import reply_wave
from calisim.vocabulary import DropReason, EndpointKind, Stage, Verdict
from tests.intents import Cluster

DELIVERED, EXITED, UNDETERMINED = Verdict.DELIVERED, Verdict.EXITED, Verdict.UNDETERMINED


class Net:
    """A hand-made cluster under one engine, with one state: packets sent one after the other know of each other."""

    def __init__(self, cluster: Cluster, engine_name: str) -> None:
        self.intent = cluster.build()
        self.engine_name = engine_name
        self.engine = engine(engine_name, self.intent)
        self.state = self.engine.new_state()
        self.wave = packet()
        self.results = np.zeros(0)
        self.events = np.zeros(0)
        self.born: Born | None = None

    def become(self, cluster: Cluster) -> None:
        """The cluster changes; what its nodes know stays."""
        self.intent = cluster.build()
        self.engine = engine(self.engine_name, self.intent)

    def packet(self, sender: str, dst: str, **fields: Any) -> np.ndarray:
        """A packet as its sender makes it: pods and hosts from their own address, nodes let the kernel choose."""
        endpoint = self.intent.endpoint(self.intent.endpoint_ids[sender])
        source = 0 if endpoint.kind is EndpointKind.NODE else endpoint.address
        return packet(**{"src": source, "dst": dst, "ingress": endpoint.id, **fields})

    def send_wave(self, *packets: np.ndarray, headers: np.ndarray | None = None) -> np.ndarray:
        self.wave = np.concatenate(packets)
        outcome = self.engine.forward(self.wave, self.state, headers, events=True, offspring=True)
        self.results, self.events, self.born = outcome.results, outcome.events, outcome.born
        return self.results

    def send(self, sender: str, dst: str, header: np.ndarray | None = None, **fields: Any) -> np.void:
        """One packet, its RESULT."""
        return self.send_wave(self.packet(sender, dst, **fields), headers=header)[0]

    def errors(self) -> list[str]:
        """The ICMP errors about the last wave: type/code, source (0.0.0.0: the kernel chooses), receiver, MTU, quoted TTL."""
        assert self.born is not None
        return [
            f"{c['type']}/{c['code']} {text(p['src'])} > {text(p['dst'])} mtu {h['mtu']} quoted ttl {h['quote_ttl']}"
            for p, h, c in zip(self.born.packets, self.born.headers, self.born.causes, strict=True)]

    def send_errors(self) -> np.ndarray:
        """What the last wave gave rise to, as the next one."""
        assert self.born is not None
        return self.send_wave(self.born.packets, headers=self.born.headers)

    def reply(self, **fields: Any) -> np.void:
        """The answer to the packet that was just delivered, its RESULT."""
        back = reply_wave(self.wave, self.results, self.intent)
        assert len(back) == 1, "the last packet was not delivered, or is of a kind that nobody answers"
        for name, value in fields.items():
            back[name] = value
        return self.send_wave(back)[0]

    def fate(self, sender: str, dst: str, **fields: Any) -> Verdict | DropReason:
        """How it ended: the reason of a loss, else the verdict."""
        return fate_of(self.send(sender, dst, **fields))

    def where(self) -> str:
        """The place where the last packet ended; "" for hosts."""
        number = int(self.results[-1]["where"])
        return self.intent.places[number - 1] if number else ""

    def decided_by(self) -> tuple[str, str]:
        """Kind and name of the object that decided the last packet's fate."""
        decider = self.intent.object(int(self.results[-1]["detail"]))
        return (decider.kind, decider.name) if decider else ("", "")

    def route(self) -> list[str]:
        """The interfaces that the last packet crossed, as tcpdump would name them."""
        devices, ways = {1: "veth", 2: "eth0", 3: "tunl0", 4: "vxlan"}, ("in", "out")
        names = ["host", *(router.name for router in self.intent.routers)]
        return [f"{names[e['router']]} {devices[int(e['device'])]} {ways[e['direction']]}" for e in self.events]


def fate_of(result: np.void) -> Verdict | DropReason:
    reason = DropReason(result["reason"])
    return Verdict(result["verdict"]) if reason is DropReason.NONE else reason


def stage_of(result: np.void) -> Stage:
    return Stage(result["stage"])


def text(address: int) -> str:
    return format_address(int(address))


@pytest.fixture(params=["reference", "fast"])
def net(request: pytest.FixtureRequest) -> Callable[[Cluster], Net]:
    """Makes a :class:`Net` of a cluster."""
    return lambda cluster: Net(cluster, request.param)
