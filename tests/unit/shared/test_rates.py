"""Token buckets: the calls of a key per second."""

from __future__ import annotations

from shared.rates import MOST_BUCKETS, TokenBuckets


def taken(buckets: TokenBuckets, key: str, *times: float) -> list[bool]:
    return [buckets.wait_seconds(key, at) == 0.0 for at in times]


def test_a_second_holds_so_many_calls_and_the_next_one_more() -> None:
    buckets = TokenBuckets(3)

    assert taken(buckets, "a", 10.0, 10.0, 10.0, 10.0) == [True, True, True, False]
    assert taken(buckets, "a", 10.34, 10.34) == [True, False]
    assert taken(buckets, "b", 10.0) == [True]


def test_tokens_are_saved_up_to_the_burst_and_no_further() -> None:
    buckets = TokenBuckets(2, burst_seconds=2.0)
    taken(buckets, "a", 0.0)

    assert taken(buckets, "a", *[1000.0] * 5) == [True, True, True, True, False]


def test_less_than_one_a_second_is_possible() -> None:
    assert taken(TokenBuckets(0.5), "a", 0.0, 1.0, 2.0) == [True, False, True]


def test_a_refused_caller_learns_when_the_next_token_comes() -> None:
    buckets = TokenBuckets(0.5)
    buckets.wait_seconds("a", 0.0)

    assert buckets.wait_seconds("a", 0.5) == 1.5


def test_zero_sets_no_limit_and_keeps_nothing() -> None:
    buckets = TokenBuckets(0)

    assert all(taken(buckets, "a", *[0.0] * 100))
    assert not buckets._buckets


def test_the_number_of_buckets_is_bounded() -> None:
    buckets = TokenBuckets(1)
    for number in range(MOST_BUCKETS + 5):
        buckets.wait_seconds(str(number), 0.0)

    assert len(buckets._buckets) == MOST_BUCKETS
    assert taken(buckets, str(MOST_BUCKETS), 0.0) == [False]
