"""TCP connections as conntrack sees them, step by step, as a kernel was measured (tests/cases/kernel/tcp-*)."""

import pytest

from calisim.traffic.batch import ACK, FIN, PSH, RST, SYN
from calisim.vocabulary import ConnectionState, DropReason, ResultFlag
from calisim.vocabulary.tcp import TCP_CLASSES, TCP_TRANSITIONS, TcpClass, Transition
from tests.datapath.conftest import DELIVERED, fate_of, text
from tests.intents import three_zones

API, NODE, P1, P2 = "203.0.113.10", "10.0.1.11", "10.244.1.2", "10.244.1.3"
SECOND = 1_000_000_000
FLAGS = {"S": SYN, "A": ACK, "F": FIN, "R": RST, "P": PSH, "U": 32, "0": 0}
INVALID, SAME, GONE = "invalid", "same", "gone"


class Talk:
    """A pod (c) and a host outside (s), a second apart; the node between them masquerades and drops what is INVALID."""

    def __init__(self, network, sport=5000):
        self.network, self.sport, self.time = network, sport, 0

    def say(self, step):
        """``cSA``: the client sends SYN and ACK."""
        who, letters = step[0], step[1:]
        self.time += SECOND
        common = {"tcp_flags": sum(FLAGS[letter] for letter in letters), "time": self.time}
        if who == "c":
            return self.network.send("default/p1", API, sport=self.sport, dport=80, **common)
        return self.network.send("host/api", NODE, sport=80, dport=self.sport, **common)

    def entry(self):
        entries = self.network.state.connections()
        return entries[-1] if len(entries) else None


def after(talk, step):
    """What a step leads to, in the words of the tables below."""
    before = talk.entry()
    result = talk.say(step)
    if fate_of(result) == DropReason.CT_INVALID:
        return INVALID
    assert fate_of(result) == DELIVERED
    assert text(result["src"] if step[0] == "c" else result["dst"]) == (NODE if step[0] == "c" else P1)
    entry = talk.entry()
    if entry is None:
        return GONE
    if before is not None and (entry["ordinal"], entry["state"], entry["expires"]) == tuple(
            before[name] for name in ("ordinal", "state", "expires")):
        assert entry["packets"] + entry["reply_packets"] == before["packets"] + before["reply_packets"] + 1
        return SAME
    opened = "new " if before is None or entry["ordinal"] != before["ordinal"] else ""
    assert bool(result["flags"] & ResultFlag.NEW) == bool(opened)
    return f"{opened}{ConnectionState(entry['state']).name} {(int(entry['expires']) - talk.time) // SECOND}"


OPEN = "cS: new SYN_SENT 120, sSA: SYN_RECV 60, cA: ESTABLISHED 432000"


@pytest.mark.parametrize("story", [
    f"{OPEN}, cFA: FIN_WAIT 120, sA: CLOSE_WAIT 60, sFA: LAST_ACK 30, cA: TIME_WAIT 120, cA: TIME_WAIT 120, "
    "cS: new SYN_SENT 120, sSA: SYN_RECV 60",
    f"{OPEN}, sFA: FIN_WAIT 120, cFA: LAST_ACK 30, sFA: LAST_ACK 30, sA: TIME_WAIT 120, sFA: TIME_WAIT 120",
    f"{OPEN}, cPA: ESTABLISHED 300, sA: ESTABLISHED 432000, sPA: ESTABLISHED 300, cPA: ESTABLISHED 300, sA: ESTABLISHED 432000",
    f"{OPEN}, cR: CLOSE 10, cA: CLOSE 10, sSA: same, cR: CLOSE 10, cS: new SYN_SENT 120",
    f"{OPEN}, cR: CLOSE 10, sSA: same, cS: same",
    f"{OPEN}, sR: CLOSE 10, cS: same, cS: same, sSA: SYN_RECV 60, cA: ESTABLISHED 432000",
    f"{OPEN}, sR: CLOSE 10, cFA: CLOSE 10, sFA: CLOSE 10, sS: invalid, cSA: invalid",
    f"{OPEN}, cS: same, sA: ESTABLISHED 432000, cR: CLOSE 10, cS: new SYN_SENT 120, sSA: SYN_RECV 60",
    f"{OPEN}, cS: same, sSA: SYN_RECV 60, cA: ESTABLISHED 432000",
    f"{OPEN}, cS: same, sRA: CLOSE 10, cS: same",
    f"{OPEN}, cF: invalid, cSF: invalid, cFPU: invalid, c0: invalid, sS: invalid, cSA: invalid, sSA: same, "
    "cA: ESTABLISHED 432000",
    f"{OPEN}, cFA: FIN_WAIT 120, cSA: invalid, sS: invalid, sSA: same, cS: same, cA: CLOSE_WAIT 60, cSA: invalid, sS: invalid, "
    "cS: same, sSA: SYN_RECV 60",
    f"{OPEN}, sFA: FIN_WAIT 120, cFA: LAST_ACK 30, cS: same, sA: same, sA: TIME_WAIT 120",
    f"{OPEN}, sFA: FIN_WAIT 120, cFA: LAST_ACK 30, cS: same, cA: TIME_WAIT 120, cSA: invalid, sSA: same",
    f"{OPEN}, cFA: FIN_WAIT 120, sFA: LAST_ACK 30, cSA: invalid, sS: invalid, sSA: same, cA: TIME_WAIT 120",
    "cS: new SYN_SENT 120, cS: same, cA: invalid, cFA: invalid, sFA: invalid, cSA: invalid, cR: gone",
    "cS: new SYN_SENT 120, sRA: gone",
    "cS: new SYN_SENT 120, sA: same, cS: SYN_SENT 120, cR: CLOSE 10, cS: new SYN_SENT 120",
    "cS: new SYN_SENT 120, sA: same, sRA: CLOSE 10, cS: same",
    "cS: new SYN_SENT 120, sSA: SYN_RECV 60, sA: SYN_RECV 60, sSA: same, cSA: SYN_RECV 60, cS: same, sSA: SYN_RECV 60, "
    "sR: CLOSE 10",
    "cS: new SYN_SENT 120, sSA: SYN_RECV 60, cFA: FIN_WAIT 120",
    "cS: new SYN_SENT 120, sS: SYN_SENT2 119, sA: same, cA: invalid, sS: SYN_SENT2 120, cS: SYN_SENT2 120, sSA: SYN_RECV 60",
    "cS: new SYN_SENT 120, sS: SYN_SENT2 119, cSA: SYN_RECV 60, sSA: same, cA: ESTABLISHED 432000",
    "cS: new SYN_SENT 120, sS: SYN_SENT2 119, cSA: SYN_RECV 60, sA: ESTABLISHED 432000, cA: ESTABLISHED 432000",
    "cS: new SYN_SENT 120, sS: SYN_SENT2 119, cSA: SYN_RECV 60, cS: same, sA: SYN_RECV 60",
    "cA: new ESTABLISHED 300, cA: ESTABLISHED 300, sA: ESTABLISHED 300, cA: ESTABLISHED 432000, sPA: ESTABLISHED 300, "
    "cA: ESTABLISHED 432000, cR: CLOSE 10",
    "cPA: new ESTABLISHED 300, sPA: ESTABLISHED 300, sA: ESTABLISHED 432000, cR: CLOSE 10",
    "cSU: new SYN_SENT 120", "cSP: new SYN_SENT 120", "cAU: new ESTABLISHED 300",
])
def test_what_a_connection_goes_through(net, story):
    """Each step: the flags of a packet of the client (c) or the server (s), and what they make of the connection."""
    talk = Talk(net(three_zones()))
    for line in story.split(", "):
        step, told = line.split(": ")
        assert (line, after(talk, step)) == (line, told)


@pytest.mark.parametrize("flags", ["SA", "R", "RA", "FA", "F", "0", "P", "U", "SF", "SR", "FR", "SAU", "RU", "SFRPAU"])
def test_what_opens_no_connection(net, flags):
    assert after(Talk(net(three_zones())), f"c{flags}") == INVALID


def test_ten_seconds_after_an_rst_the_node_forgets_the_pod(net):
    """tcp-times – what comes then from outside is for the node itself, and is picked up as its own."""
    for late, receiver in ((10 * SECOND - 1, P1), (10 * SECOND, NODE)):
        network = net(three_zones())
        talk = Talk(network)
        for step in ("cS", "sSA", "cA", "sR"):
            talk.say(step)
        talk.time += late - SECOND
        assert text(talk.say("sA")["dst"]) == receiver


def test_who_reopens_may_get_another_port(net):
    """The entry is gone, and its port with it: whoever holds it now keeps it."""
    network = net(three_zones())
    talk = Talk(network)
    for step in ("cS", "sSA", "cA", "cR"):
        talk.say(step)
    again = network.send("default/p1", API, sport=talk.sport, dport=80, tcp_flags=SYN, time=talk.time)
    assert (again["sport"], again["connection"]) == (talk.sport, 2)
    other = network.send("default/p2", API, sport=talk.sport, dport=80, tcp_flags=SYN, time=talk.time)
    assert other["sport"] != talk.sport and other["connection"] == 3


def test_the_server_may_reopen_a_connection_that_both_have_closed(net):
    """tcp-states:server-reopens-server-syn – it is for whoever has the address now: the node itself."""
    network = net(three_zones())
    talk = Talk(network)
    for step in ("cS", "sSA", "cA", "cFA", "sFA", "cA"):
        talk.say(step)
    assert text(talk.say("sS")["dst"]) == NODE
    (entry,) = network.state.connections()
    assert (text(entry["src"]), text(entry["dst"]), entry["state"]) == (API, NODE, ConnectionState.SYN_SENT)


def test_what_is_invalid_leaves_a_node_without_calicos_filter_untranslated(net):
    network = net(three_zones(calico=False))
    talk = Talk(network)
    for step in ("cS", "sSA", "cA"):
        talk.say(step)
    before = talk.entry()
    assert text(talk.say("cSA")["src"]) == P1
    answer = talk.say("sS")
    assert (fate_of(answer), text(answer["dst"]), int(answer["connection"])) == (DELIVERED, NODE, 0)
    assert talk.entry() == before


def test_every_state_and_class_has_its_transition():
    """A packet leads to a state of the table, is ignored or invalid; what no stack sends is invalid in every state."""
    states = {state for state in ConnectionState if state is not ConnectionState.NEW}
    for direction in TCP_TRANSITIONS:
        for kind in TcpClass:
            assert set(direction[kind]) <= states | set(Transition)
        assert set(direction[TcpClass.NONE]) == {Transition.INVALID}
        assert {direction[TcpClass.RST][state] for state in states - {ConnectionState.NONE}} == {ConnectionState.CLOSE}
    assert len(TCP_CLASSES) == 64 and sum(kind != TcpClass.NONE for kind in TCP_CLASSES) == 18
