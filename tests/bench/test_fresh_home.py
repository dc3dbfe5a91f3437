"""Homes drawn by a seed."""

from __future__ import annotations

from bench.speech.fresh_home import fresh_home
from bench.speech.homes import HELD_OUT, TUNING


def test_a_seed_always_draws_the_same_home() -> None:
    assert fresh_home(1) == fresh_home(1)
    assert fresh_home(1).said != fresh_home(2).said
    assert fresh_home(1).orders != fresh_home(2).orders


def test_each_order_has_one_place_for_a_name() -> None:
    assert {order.count("{}") for order in fresh_home(1).orders} == {1}


def test_brands_and_people_of_other_homes_are_left_out() -> None:
    used = {name.split()[0] for home in (TUNING, HELD_OUT) for name in home.said}
    drawn = {name.split()[0] for name in fresh_home(1).said[:48]}
    assert not drawn & used
