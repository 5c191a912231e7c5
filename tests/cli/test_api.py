"""The Python door: ``import calisim`` is enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import calisim
from calisim.errors import UsageError

TWO_ZONES = str(Path(__file__).parents[1] / "cases" / "scenarios" / "two-zones.yaml")


def test_load_build_run_and_trace():
    network = calisim.load(TWO_ZONES, set=["nodes.*.sourceDestCheck=true"]).build("overlay-ipip", engine="reference")
    assert network.run().tally.success == 36
    assert network.trace("shop/web-a-1-0", "shop/web-b-1-0", port=80).verdict.success
    assert network.graph.number_of_nodes() > 10 and network.routes("a-1")


def test_packets_are_records():
    network = calisim.load(TWO_ZONES).build(engine="reference")
    ids = network.intent.endpoint_ids
    wave = np.zeros(1, calisim.PACKET)
    wave["src"], wave["dst"] = (network.intent.endpoint(ids[f"shop/web-{name}-0"]).address for name in ("a-1", "b-1"))
    wave["protocol"], wave["length"], wave["ttl"], wave["ingress"] = 17, 100, 64, ids["shop/web-a-1-0"]
    run = network.run(wave)
    assert run.results.dtype == calisim.RESULT and run.results["wire"][0] == 120
    assert run.tallies[""].sent == 1


def test_public_names():
    for name in calisim.__all__:
        assert getattr(calisim, name) is not None
    with pytest.raises(AttributeError):
        _ = calisim.nothing


def test_one_text_is_one_edit(tmp_path):
    pool = tmp_path / "pool.yaml"
    pool.write_text("apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: more}\nspec: {cidr: 10.99.0.0/16}\n")
    loaded = calisim.load(TWO_ZONES, set="nodes.a.count=5", apply=str(pool))
    assert loaded.spec.nodes[0].count == 5 and "more" in [pool.name for pool in loaded.resources.pools]
    again = calisim.load(TWO_ZONES).edited(set="nodes.a.count=5", apply=pool)
    assert again.spec.nodes[0].count == 5 and "more" in [pool.name for pool in again.resources.pools]


def test_a_scenario_says_which_it_is():
    loaded = calisim.load(TWO_ZONES)
    assert repr(loaded) == f"<Scenario {loaded.name} from {TWO_ZONES}, variant as-is>"
    assert repr(loaded.with_variant("overlay-ipip")).endswith("variant overlay-ipip>")


def test_answers_say_in_one_line_what_they_are():
    loaded = calisim.load(TWO_ZONES)
    network = loaded.build("overlay-ipip")
    for answer in (network, network.run(), calisim.compare(loaded, ["as-is"]), network.trace("shop/web-a-1-0", "shop/web-b-1-0")):
        assert "\n" not in repr(answer) and repr(answer).startswith(f"<{type(answer).__name__} ")


def test_every_answer_has_its_picture():
    pytest.importorskip("matplotlib", reason="no tests of pictures: matplotlib is not installed")
    loaded = calisim.load(TWO_ZONES)
    network = loaded.build("calico-no-encap")
    run = network.run()
    for picture, word in (
        (calisim.plot(network), b"shop/web-a-1-0"), (calisim.plot(network, run), b"FABRIC_NO_ROUTE"),
        (calisim.plot(calisim.compare(loaded, ["as-is"])), b"pod MTU"),
        (calisim.plot(network.trace("shop/web-a-1-0", "shop/web-b-1-0")), b"never reached"),
    ):
        assert word in picture.svg() and picture.png() == picture._repr_png_()[0]
    assert b"to us-east-1b" in calisim.plot(network, run).svg()
    assert b"to us-east-1b" not in calisim.plot(network, network.run(keep=False)).svg()      # nobody kept who sent to whom
    with pytest.raises(UsageError, match="plot\\(network, run\\)"):
        calisim.plot(run)
