"""check: what holds passes, what does not tells what happened instead and how to see it."""

from __future__ import annotations

from calisim.analysis.expectations import check
from calisim.scenario.load import load

from .conftest import TWO_ZONES


def checked(*expectations, set_=()):
    text = "[" + ", ".join(expectations) + "]"
    return check(load(TWO_ZONES, set=[*set_, f"expect={text}"]), engine="reference")


def test_the_files_own_expectations_hold(two_zones):
    assert [one.passed for one in check(two_zones, engine="reference")] == [True] * 4


def test_a_pair_that_fails_tells_what_happened_and_the_trace():
    (one,) = checked(
        "{from: shop/web-a-1-0, to: shop/web-a-2-0, port: 80, fate: delivered, encap: ipip, variant: calico-no-encap}")
    assert not one.passed
    assert one.instead == "1 of 1 packet not, shop/web-a-1-0 → shop/web-a-2-0: delivered (native)"
    assert one.command == f"calisim trace {TWO_ZONES} shop/web-a-1-0 shop/web-a-2-0 --port 80 --variant calico-no-encap"
    assert one.mark.file


def test_all_pairs_have_to_agree():
    (one,) = checked("{from: all(), to: all(), fate: delivered, encap: ipip}")
    assert not one.passed and one.instead.startswith("14 of 30 packets not")


def test_scope_chooses_pairs():
    assert all(one.passed for one in checked(
        "{from: all(), to: all(), scope: same-node, encap: none, fate: delivered}",
        "{from: all(), to: all(), scope: other-subnet, encap: ipip, fate: delivered}",
        "{from: all(), to: host/api, port: 443, snat: true, fate: delivered}"))


def test_an_expectation_about_nobody_fails():
    (one,) = checked("{from: app == 'nobody', to: all(), fate: delivered}")
    assert not one.passed and "no packet was sent" in one.instead


def test_counts_with_step_and_traffic():
    right, wrong = checked("{count: {reason: SOURCE_CHECK, traffic: mesh}, is: 8, step: 1}", "{count: {encap: ipip}, is: 1}")
    assert right.passed
    assert not wrong.passed and wrong.instead == "16 packets" and wrong.command == f"calisim run {TWO_ZONES}"


def test_loss_is_an_expectation_too():
    (one,) = checked("{from: shop/web-a-1-0, to: shop/web-a-2-0, fate: dropped, reason: SOURCE_CHECK, step: check on}")
    assert one.passed
