"""A defect halts a consumer; the bad records of one tenant do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from shared.kafka import halting
from shared.kafka.deadletters import Failure
from shared.kafka.halting import BadRecordCounter, Halt


def fed(run: BadRecordCounter, tenants: list[str]) -> int | None:
    """Which record in order halts the run."""
    for place, tenant in enumerate(tenants, start=1):
        if run.is_too_many_with(tenant):
            return place
        run.add(tenant)
    return None


def test_bad_records_of_all_tenants_halt_at_the_limit() -> None:
    assert fed(BadRecordCounter(200, 3), [f"shop-{n % 7}" for n in range(1_000)]) == 200


@given(st.lists(st.sampled_from(["one", "two"]), max_size=1_000))
def test_those_of_fewer_tenants_never_halt(tenants: list[str]) -> None:
    assert fed(BadRecordCounter(60, 3), tenants) is None


def test_where_there_is_one_shop_alone_its_records_halt() -> None:
    assert fed(BadRecordCounter(200, 1), ["shop"] * 300) == 200


def test_a_flood_of_one_tenant_does_not_bring_the_others_nearer_to_the_limit() -> None:
    assert fed(BadRecordCounter(9, 3), ["flood"] * 500 + ["a"] * 3 + ["b"] * 2) is None
    assert fed(BadRecordCounter(9, 3), ["flood"] * 500 + ["a"] * 3 + ["b"] * 3) == 506


def test_a_good_record_begins_the_count_anew() -> None:
    run = BadRecordCounter(6, 3)
    assert fed(run, ["a", "b", "c", "a", "b"]) is None
    run.good()
    assert fed(run, ["a", "b", "c", "a", "b"]) is None
    assert run.is_too_many_with("c")


def test_a_refusal_and_an_unknown_version_are_no_defects() -> None:
    assert not Failure("DataError", "", 1, refused=True).is_a_defect
    assert not Failure("unsupported_version", "", 1).is_a_defect
    assert Failure("not_json", "", 1).is_a_defect
    assert Failure("ZeroDivisionError", "", 3).is_a_defect


def test_a_halt_is_tried_again_less_and_less_often_and_fails_liveness_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr(halting, "monotonic", lambda: now)
    halt, labels = Halt("puts-v1", "sync"), {"topic": "puts-v1", "group": "sync"}
    assert (halt.reason, halt.lasting(), halt.end()) == (None, None, False)

    assert [halt.begin("stopped") for _ in range(6)] == [30, 60, 120, 240, 300, 300]
    assert halt.reason is not None
    assert halt.reason.startswith("reading puts-v1 as sync stopped")
    assert REGISTRY.get_sample_value("endcap_kafka_consumer_halted", labels) == 1
    assert halt.lasting() is None
    now += halting.LASTING_SECONDS + 1
    assert halt.lasting() == halt.reason

    assert halt.end()
    assert not halt.reason
    assert REGISTRY.get_sample_value("endcap_kafka_consumer_halted", labels) == 0
    assert halt.begin("stopped again") == 30
