"""IPAM: who gets which block and which address of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calisim.control.ipam import Failure, Ipam
from calisim.control.start_block import start_index
from calisim.quantities import format_address, parse_address, parse_prefix
from calisim.scenario.resources import IPAMConfiguration, IPPool


def pool(cidr, size=26, name="", **more):
    return IPPool(name or cidr, parse_prefix(cidr), size, **more)


def text(answer):
    return [format_address(address) for address in answer.addresses]


def test_a_host_starts_at_its_own_block_and_goes_round():
    ipam = Ipam([pool("10.0.0.0/28", 30)])
    start = start_index("h", 4)
    blocks = [str(ipam.assign("h", 4).new_blocks[0]) for _ in range(4)]
    assert blocks == [f"10.0.0.{4 * ((start + step) % 4)}/30" for step in range(4)]


def test_ordinals_come_first_in_first_out_and_all_of_a_block_is_used():
    ipam = Ipam([pool("10.0.0.0/29", 29)])
    assert text(ipam.assign("h", 6)) == [f"10.0.0.{n}" for n in range(6)]
    ipam.release(map(parse_address, ("10.0.0.4", "10.0.0.1")))
    assert text(ipam.assign("h", 4)) == ["10.0.0.6", "10.0.0.7", "10.0.0.1", "10.0.0.4"]


def test_twenty_blocks_are_the_limit_and_nothing_is_borrowed_beyond():
    ipam = Ipam([pool("10.0.0.0/24", 30)])
    answer = ipam.assign("h", 100)
    assert (len(answer.addresses), answer.failure, answer.borrowed) == (80, Failure.BLOCK_LIMIT, ())
    assert "20" in answer.message


@pytest.mark.parametrize("request_limit,configured,blocks", [(3, 0, 3), (0, 2, 2), (5, 2, 2), (1, 9, 1), (30, 0, 30)])
def test_the_smaller_of_two_limits_holds(request_limit, configured, blocks):
    ipam = Ipam([pool("10.0.0.0/24", 30)], configuration=IPAMConfiguration(max_blocks_per_host=configured))
    assert len(ipam.assign("h", 250, max_blocks=request_limit).addresses) == 4 * blocks


def test_hosts_without_a_block_borrow_and_the_owner_stays():
    ipam = Ipam([pool("10.0.0.0/26")])
    ipam.assign("a")
    answer = ipam.assign("b", 2)
    assert text(answer) == ["10.0.0.1", "10.0.0.2"] and answer.borrowed == answer.addresses
    assert [block.affinity for block in ipam.blocks.values()] == ["a"]


def test_borrowing_walks_on_when_a_block_is_full():
    ipam = Ipam([pool("10.0.0.0/29", 30)])
    ipam.assign("a")
    ipam.assign("b")
    answer = ipam.assign("c", 8)
    assert len(answer.addresses) == 6 and answer.failure is Failure.NO_FREE_ADDRESS
    ipam.release([answer.addresses[0]])
    assert ipam.assign("d").addresses == answer.addresses[:1]


def test_strict_affinity_borrows_nothing():
    ipam = Ipam([pool("10.0.0.0/26")], configuration=IPAMConfiguration(strict_affinity=True))
    ipam.assign("a")
    answer = ipam.assign("b")
    assert (answer.addresses, answer.failure) == ((), Failure.STRICT_AFFINITY) and "strictAffinity" in answer.message
    assert ipam.assign_address("b", parse_address("10.0.0.9")).failure is Failure.STRICT_AFFINITY


def test_without_automatic_blocks_only_borrowing_is_left():
    ipam = Ipam([pool("10.0.0.0/25")], configuration=IPAMConfiguration(auto_allocate_blocks=False))
    assert ipam.assign("a").failure is Failure.NO_FREE_ADDRESS
    ipam.assign_address("a", parse_address("10.0.0.7"))
    assert len(ipam.assign("b").borrowed) == 1


def test_reserved_addresses_are_skipped_and_wholly_reserved_blocks_never_made():
    ipam = Ipam([pool("10.0.0.0/29", 30)], reservations=[parse_prefix("10.0.0.0/30"), parse_prefix("10.0.0.5/32")])
    assert text(ipam.assign("h", 8)) == ["10.0.0.4", "10.0.0.6", "10.0.0.7"]


def test_pools_are_taken_by_name_and_by_selectors():
    pools = [pool("10.2.0.0/24", name="c"), pool("10.1.0.0/24", name="b", node_selector="zone == 'b'"),
             pool("10.3.0.0/24", name="a", namespace_selector="team == 'x'"),
             pool("10.4.0.0/24", name="0", assignment_mode="Manual"), pool("10.5.0.0/24", name="1", disabled=True)]
    ipam = Ipam(pools, host_labels={"n": {"zone": "b"}}, namespace_labels={"shop": {"team": "x"}})

    def network(host, **asked):
        return format_address(ipam.assign(host, **asked).addresses[0] & 0xFFFFFF00)

    assert network("n") == "10.1.0.0"
    assert network("m") == "10.2.0.0"
    assert network("o", namespace="shop") == "10.3.0.0"
    assert network("o", namespace="other") == "10.2.0.0"
    assert network("m", pools=("b",)) == "10.1.0.0"
    assert network("m", pools=("10.4.0.0/24",)) == "10.4.0.0"
    assert ipam.assign("m", pools=("1",)).failure is Failure.NO_QUALIFIED_POOL
    assert ipam.assign("m", use="LoadBalancer").failure is Failure.NO_QUALIFIED_POOL


def test_a_second_pool_follows_when_the_first_has_no_block_left():
    ipam = Ipam([pool("10.0.0.0/30", 30, "a"), pool("10.1.0.0/30", 30, "b")])
    assert {format_address(address)[:4] for address in ipam.assign("h", 8).addresses} == {"10.0", "10.1"}


def test_asked_addresses():
    ipam = Ipam([pool("10.0.0.0/24"), pool("10.9.0.0/24", disabled=True)])
    asked = parse_address("10.0.0.70")
    assert ipam.assign_address("a", asked).addresses == (asked,)
    assert ipam.assign_address("b", asked).failure is Failure.IN_USE
    assert ipam.assign_address("b", parse_address("10.9.0.1")).failure is Failure.NOT_IN_POOL
    assert ipam.assign_address("b", asked + 1).borrowed == (asked + 1,)
    assert text(ipam.assign("a", 8)) == [f"10.0.0.{n}" for n in (64, 65, 66, 67, 68, 69, 72, 73)]


def test_an_empty_block_of_another_host_is_taken_after_a_minute():
    ipam = Ipam([pool("10.0.0.0/30", 30)], configuration=IPAMConfiguration(strict_affinity=True))
    ipam.release(ipam.assign("a").addresses)
    assert ipam.assign("b").failure is Failure.STRICT_AFFINITY
    ipam.now = 60.0
    assert str(ipam.assign("b").new_blocks[0]) == "10.0.0.0/30"
    assert ipam.assign("a").failure is Failure.STRICT_AFFINITY


def test_empty_blocks_in_pools_that_do_not_select_the_host_go_back():
    ipam = Ipam([pool("10.0.0.0/30", 30, "a", node_selector="has(x)"), pool("10.1.0.0/30", 30, "b")])
    ipam.release(ipam.assign("h", pools=("a",)).addresses)
    ipam.assign("h")
    assert [str(prefix) for prefix in ipam.blocks] == ["10.1.0.0/30"]


def test_blocks_of_one_address():
    ipam = Ipam([pool("10.0.0.0/30", 32)])
    assert sorted(text(ipam.assign("h", 4))) == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_overlapping_pools_share_blocks_and_never_an_address():
    ipam = Ipam([pool("10.0.0.0/24", name="a"), pool("10.0.0.0/25", name="b")])
    given_out = [address for pool_name in "ab" * 20 for address in ipam.assign("h", 3, pools=(pool_name,)).addresses]
    given_out += ipam.assign("h", 200).addresses
    assert len(given_out) == len(set(given_out)) == 256
    assert len(ipam.blocks) == 4


HOSTS = st.sampled_from(["a", "b", "c", "d"])
REQUEST = st.tuples(st.just("assign"), HOSTS, st.integers(1, 9))
RELEASE = st.tuples(st.just("release"), st.integers(0, 200), st.integers(1, 9))
ASKED = st.tuples(st.just("asked"), HOSTS, st.integers(0, 63))


@settings(max_examples=150)
@given(
    steps=st.lists(st.one_of(REQUEST, RELEASE, ASKED), max_size=30), strict=st.booleans(), limit=st.integers(0, 3),
    reserved=st.sampled_from(["10.0.0.9/32", "10.0.0.16/30", "10.0.0.32/28"]),
    second=st.sampled_from(["10.0.0.64/28", "10.0.0.0/27"]))
def test_no_address_twice_blocks_disjoint_and_books_balanced(steps, strict, limit, reserved, second):
    held: dict[int, str] = {}
    ipam = Ipam(
        [pool("10.0.0.0/26", 29, "a"), pool(second, 30, "b")], reservations=[parse_prefix(reserved)],
        configuration=IPAMConfiguration(strict_affinity=strict, max_blocks_per_host=limit))
    for kind, who, number in steps:
        if kind == "release":
            gone = sorted(held)[who % max(len(held), 1):][:number]
            ipam.release(gone)
            for address in gone:
                del held[address]
            continue
        if kind == "assign":
            answer = ipam.assign(who, number)
            assert (len(answer.addresses) < number) == (answer.failure is not None)
            assert not any(address in parse_prefix(reserved) for address in answer.addresses)
        else:
            answer = ipam.assign_address(who, parse_address("10.0.0.0") + number)
        assert not set(answer.addresses) & set(held)
        assert not (strict and answer.borrowed)
        held.update(dict.fromkeys(answer.addresses, who))
        for address in answer.borrowed:
            assert ipam.block_of(address).affinity != who
    blocks = list(ipam.blocks.values())
    assert not any(one.prefix.overlaps(other.prefix) for one in blocks for other in blocks if one is not other)
    assert held.keys() == {block.prefix.network + ordinal for block in blocks for ordinal in block.used}
    for block in blocks:
        assert not set(block.free) & set(block.used)
