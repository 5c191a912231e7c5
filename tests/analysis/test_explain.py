"""Journeys: every stage in order, both headers, the reply, and a loss with its object and cure."""

from __future__ import annotations

from pathlib import Path

import pytest

import calisim
from calisim.analysis.blockers import all_blockers
from calisim.analysis.explain import Request, trace
from calisim.errors import UsageError
from calisim.vocabulary import DropReason, Stage, Verdict


def stages(journey):
    return [step.stage.name for step in journey.steps]


def test_native_journey(network):
    told = network().trace("shop/web-a-1-0", "shop/web-a-2-0", port=80)
    assert told.verdict is Verdict.DELIVERED and told.reply is not None
    assert stages(told.request) == ["ENDPOINT", "FABRIC_OUT", "FABRIC", "FABRIC_IN", "DELIVER", "DELIVER"]
    assert "no route table" in told.request.steps[2].says
    assert all(len(step.headers) == 1 for step in told.request.steps)


def test_encapsulated_journey_shows_both_headers(network):
    told = network().trace("shop/web-a-1-0", "shop/web-b-1-0", port=80)
    assert "ENCAPSULATE" in stages(told.request) and "DECAPSULATE" in stages(told.request)
    leaving = next(step for step in told.request.steps if step.stage is Stage.FABRIC_OUT)
    outer, inner = leaving.headers
    assert (outer.layer, outer.protocol, outer.length, inner.layer, inner.length) == ("outer", 4, 1020, "inner", 1000)
    assert leaving.decided_by is not None and leaving.decided_by.kind == "IPPool" and leaving.decided_by.mark.line > 30


def test_translation_there_and_back(network):
    told = network().trace("shop/web-a-1-0", "host/api", port=443)
    there = [step for step in told.request.steps if step.stage is Stage.TRANSLATE]
    assert len(there) == 1 and "the source 192.168.0." in there[0].says
    assert told.reply is not None
    back = [step for step in told.reply.steps if step.stage is Stage.TRANSLATE]
    assert len(back) == 1 and "undone" in back[0].says


def test_a_public_address_is_put_in_and_taken_out_at_the_gateway(network):
    told = network(set=["nodes.a.count=1", "nodes.a.publicIP=198.51.100.7"]).trace("shop/web-a-1-0", "host/api", port=443)
    assert told.reply is not None
    there, back = ([(step.where, step.says) for step in one.steps if step.stage is Stage.TRANSLATE]
                   for one in (told.request, told.reply))
    assert [where for where, _ in there] == ["a-1", "vpc/prod"] and [where for where, _ in back] == ["vpc/prod", "a-1"]
    assert all("a node's public address, at the internet gateway" in says for says in (there[1][1], back[0][1]))


def test_loss_names_object_line_and_command(network):
    told = network(step=1).trace("shop/web-a-1-0", "shop/web-a-2-0", port=80)
    loss = told.request.loss
    assert told.reply is None and loss is not None and loss.reason is DropReason.SOURCE_CHECK and loss.where == "a-1"
    assert loss.object is not None and loss.object.name == "a-1" and loss.object.mark.line > 0
    assert "{" not in loss.sentence and "shop/web-a-1-0" in loss.sentence
    assert any("modify-instance-attribute" in command and "--no-source-dest-check" in command for command in told.request.cure)


def test_cure_of_the_file_itself_names_a_what_if(network):
    told = network(set=["nodes.a.sourceDestCheck=true"]).trace("shop/web-a-1-0", "shop/web-a-2-0")
    assert told.request.cure[-1].endswith("--set 'nodes.a.sourceDestCheck=false'")


def test_all_blockers_removes_one_after_the_other(network):
    closed = network(set=[
        "nodes.*.sourceDestCheck=true", "vpcs.prod.securityGroups.nodes.ingress=[{protocol: tcp, port: 22, from: 0.0.0.0/0}]"])
    blockers = all_blockers(closed, Request("shop/web-a-1-0", "shop/web-a-2-0", port=80))
    met = [(one.way, one.loss.reason.name, one.loss.where) for one in blockers.found]
    assert met == [
        ("request", "SOURCE_CHECK", "a-1"), ("request", "SG_INGRESS", "a-2"), ("request", "DEST_CHECK", "a-2")]
    assert blockers.cleared and blockers.end.verdict is Verdict.DELIVERED


def test_blockers_on_the_way_back_are_found(network):
    one_sided = network(set=["nodes.b.sourceDestCheck=true"], step=0)
    told = all_blockers(network("calico-no-encap"), Request("shop/web-a-1-0", "shop/web-b-1-0"))
    assert [one.loss.reason.name for one in told.found] == ["FABRIC_NO_ROUTE"] and told.cleared
    assert all_blockers(one_sided, Request("shop/web-a-1-0", "shop/web-b-1-0")).found == ()


def test_too_large_a_packet_tells_size_limit_and_what_fits(network):
    net = network("overlay-ipip", set=["nodes.*.mtu=1500"])
    told = net.trace("shop/web-a-1-0", "shop/web-b-1-0", size=1481)
    assert told.request.loss is not None
    assert "1,481 bytes" in told.request.loss.sentence and "1,480" in told.request.loss.sentence
    assert all_blockers(net, Request("shop/web-a-1-0", "shop/web-b-1-0", size=1481)).cleared
    assert net.trace("shop/web-a-1-0", "shop/web-b-1-0", size=1480).verdict is Verdict.DELIVERED


def test_what_cannot_be_cured_ends_the_search(network):
    blockers = all_blockers(network(), Request("host/api", "shop/web-a-1-0"))
    assert len(blockers.found) == 1 and not blockers.cleared and blockers.found[0].cure.commands


def test_ttl_is_a_blocker_of_the_packet(network):
    blockers = all_blockers(network(), Request("shop/web-a-1-0", "shop/web-b-1-0", ttl=1))
    assert [one.loss.reason.name for one in blockers.found] == ["TTL_EXCEEDED"] and blockers.cleared


def test_node_and_address_as_ends(network):
    net = network()
    assert net.trace("node/a-1", "shop/web-b-1-0", protocol="icmp").verdict is Verdict.DELIVERED
    assert net.trace("shop/web-a-1-0", "198.51.100.9").verdict is Verdict.EXITED
    with pytest.raises(UsageError, match="did you mean"):
        net.trace("shop/web-a-1-0", "shop/web-b-1-7")


def test_text_of_a_trace(network):
    text = str(trace(network(), Request("shop/web-a-1-0", "shop/web-b-1-0", port=80)))
    assert text.startswith("Request\n  1. a-1 cali") and text.endswith("Verdict: request delivered, reply delivered")
    assert "outer  IPIP 10.1.0." in text and "inner  TCP 192.168.0." in text


def test_who_is_told_of_a_loss(network):
    """The pod's own node speaks to it; a loss that no router speaks of is silent."""
    net = network()
    told = net.trace("shop/web-a-1-0", "shop/web-b-1-0", ttl=1).request.told
    assert len(told) == 1 and told[0].startswith("a-1 answers 192.168.") and told[0].endswith("(time exceeded), which arrives")
    assert f"     Told    {told[0]}" in str(net.trace("shop/web-a-1-0", "shop/web-b-1-0", ttl=1))
    assert net.trace("shop/web-a-1-0", "shop/web-b-1-0", size=9500).request.told == ()


def test_a_service_is_told_by_name_both_ways():
    path = str(Path(__file__).resolve().parents[2] / "scenarios" / "s07-node-ports.yaml")
    told = calisim.load(path).build().trace("shop/client", "svc/shop/far", protocol="udp")
    assert told.verdict is Verdict.DELIVERED and told.reply is not None
    chosen = next(step for step in told.request.steps if step.stage is Stage.BALANCE)
    assert "an endpoint of the service shop/far:dns" in chosen.says and chosen.where == "gate"
    assert chosen.decided_by is not None and (chosen.decided_by.kind, chosen.decided_by.name) == ("Service", "shop/far")
    assert any("in the name of the service shop/far:dns" in step.says for step in told.reply.steps)


def test_a_service_without_endpoints_is_told_and_who_hears_of_it():
    path = str(Path(__file__).resolve().parents[2] / "scenarios" / "s07-node-ports.yaml")
    told = calisim.load(path).build().trace("shop/client", "svc/shop/nobody")
    assert told.request.loss is not None and told.request.loss.reason is DropReason.NO_ENDPOINTS
    assert "svc/shop/nobody" in told.request.loss.sentence and "port unreachable" in told.request.told[0]


LINUX = ["provider=linux"]


def test_a_packet_that_is_cut_is_told_piece_by_piece(network):
    told = network("overlay-ipip", set=LINUX).trace("shop/web-a-1-0", "shop/web-b-1-0", protocol="udp", size=3000, df=False)
    turns = [step for step in told.request.steps if step.stage in (Stage.ENDPOINT, Stage.DEFRAGMENT, Stage.FRAGMENT)]
    said = [(step.where, step.says) for step in turns if "piece" in step.says]
    assert [where for where, _ in said] == ["shop/web-a-1-0", "a-1", "a-1", "b-1", "b-1"]
    assert said[0][1].startswith("3,000 bytes without DF are more than the 1,480 that its interface takes: cut into 3 pieces of "
                                 "1,476, 1,476 and 88 bytes")
    assert said[1][1] == "held until all pieces are here; then the datagram of 3,000 bytes is whole again"
    assert "leaves in pieces, too" in said[4][1] and told.verdict is Verdict.DELIVERED and told.reply is not None
    assert "piece from byte 0" in str(told)


def test_the_piece_that_is_lost_is_told_of(network):
    """Of what comes in pieces the node forwards none that its security group does not let in; all are lost, the first is told."""
    net = network("overlay-ipip", set=["vpcs.prod.securityGroups.nodes.ingress=[]"])
    told = net.trace("shop/web-a-1-0", "shop/web-b-1-0", protocol="udp", size=20000, df=False)
    assert told.request.loss is not None and told.request.loss.reason is DropReason.SG_INGRESS and told.request.cure
    assert "piece 1 is told of" in str(told) and told.reply is None


def test_the_outer_packet_is_cut_by_a_narrow_leg(network):
    net = network("overlay-vxlan", set=[*LINUX, "vpcs.prod.subnets.zone-b.mtu=1200", "nodes.b.mtu=1500"])
    told = net.trace("shop/web-a-1-0", "shop/web-b-1-0", size=1400)
    says = [step.says for step in told.request.steps]
    assert "1,450 bytes without DF are more than the next link takes: cut into 2 pieces of 1,196 and 274 bytes" in says[3]
    assert "held until all pieces are here; then the packet around it is whole again" in says
    assert told.verdict is Verdict.DELIVERED


def test_translations_are_told_of_pieces(network):
    told = network(set=LINUX).trace("shop/web-a-1-0", "host/api", protocol="udp", size=3000, df=False)
    assert told.reply is not None and told.verdict is Verdict.DELIVERED
    assert any("SNAT, remembered" in step.says for step in told.request.steps)
    assert any("the translation of the request, undone" in step.says for step in told.reply.steps)


def test_a_stack_that_says_no_refuses(network):
    net = network(set=["settings.stack=answer", "pods.web.ports=[{port: 443}]"])
    told = net.trace("shop/web-a-1-0", "shop/web-a-2-0", port=80)
    assert told.verdict is told.request.verdict is Verdict.REFUSED and "nobody listens on TCP port 80" in str(told)
    assert told.reply is not None and told.reply.verdict is Verdict.DELIVERED
    assert net.trace("shop/web-a-1-0", "shop/web-a-2-0", port=443).verdict is Verdict.DELIVERED
