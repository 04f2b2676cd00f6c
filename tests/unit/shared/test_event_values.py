"""The bounds of values: those of intake are inside of those of events."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.events import CacheRefreshed, CampaignChanged, FilterChanged, ItemChanged, TrackerChanged
from shared.events import values as bounds

NUMBER = TypeAdapter(bounds.Number)
INSTANT = TypeAdapter(bounds.Instant)
MINUTES = st.integers(-1439, 1439)
STATE = {"event_id": "e", "tenant": "shop", "occurred_at": "2026-01-01T00:00:00Z", "name": "n", "arn": "a"}
CAMPAIGN = STATE | {
    "status": "ACTIVE",
    "recipe": "aws-sims",
    "solution_version_arn": "v",
    "model_uri": "s3://data/shop/models/n/",
    "model_sha256": "0" * 64,
}


@given(number=st.floats() | st.integers(-(10**400), 10**400))
@example(1e12)
@example(math.nextafter(1e12, math.inf))
@example(1e39)
def test_a_number_of_intake_fits_every_later_step(number: float) -> None:
    try:
        accepted = NUMBER.validate_python(number)
    except ValidationError:
        return
    assert bounds.is_usable(accepted)
    assert math.isfinite(accepted * 2**50)
    assert abs(accepted) < 3.4e38


@given(
    naive=st.datetimes(),
    minutes=MINUTES,
)
@example(datetime.fromisoformat("9999-12-31T23:59:59"), -14 * 60)
@example(datetime.fromisoformat("0001-01-01T00:00:00"), 14 * 60)
@example(datetime.fromisoformat("2999-12-31T23:59:00"), -1)
def test_a_time_of_intake_is_in_utc_and_any_contract_takes_it(naive: datetime, minutes: int) -> None:
    time = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    try:
        accepted = bounds.instant(time)
    except ValueError:
        assert not bounds.EARLIEST <= time < bounds.LATEST
        return
    assert accepted == time
    assert accepted.tzinfo is UTC
    assert INSTANT.validate_python(time.isoformat()) == time


@given(seconds=st.floats() | st.integers(-(10**20), 10**20))
def test_seconds_since_1970_are_bounded_like_times(seconds: float) -> None:
    try:
        accepted = bounds.instant_of_epoch(seconds)
    except ValueError:
        return
    assert bounds.instant(accepted) == accepted


@given(naive=st.datetimes(), minutes=MINUTES)
def test_a_time_that_a_contract_takes_has_a_counterpart_in_every_zone(naive: datetime, minutes: int) -> None:
    time = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    try:
        accepted = INSTANT.validate_python(time.isoformat())
    except ValidationError:
        return
    for offset in (-1439, -840, 0, 840, 1439):
        assert accepted.astimezone(timezone(timedelta(minutes=offset))) == accepted


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_contract_refuses_a_time_that_nothing_can_store(at: str) -> None:
    for field in ("occurred_at", "created_at"):
        item = {"event_id": "e", "tenant": "shop", "occurred_at": "2026-01-01T00:00:00Z", "item_id": "i"}
        with pytest.raises(ValidationError, match=field):
            ItemChanged.model_validate(item | {field: at})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_sha256", "../victim"),
        ("model_sha256", "A" * 64),
        ("model_sha256", "0" * 63),
        ("model_sha256", "0" * 64 + "\n"),
        ("name", "../victim"),
        ("name", "recommender/../victim"),
        ("name", ""),
        ("tenant", "Shop"),
        ("tenant", "a/b"),
        ("tenant", ".."),
        ("recipe", "a/b"),
        ("model_uri", "s3://data/../victim"),
        ("model_uri", "s3://data"),
        ("model_uri", "file:///etc/passwd"),
        ("config", {"a": "\0"}),
    ],
)
def test_a_campaign_that_could_lead_elsewhere_is_refused(field: str, value: Any) -> None:
    assert CampaignChanged.model_validate(CAMPAIGN | {"name": "recommender/you"})
    with pytest.raises(ValidationError, match=field):
        CampaignChanged.model_validate(CAMPAIGN | {field: value})


@pytest.mark.parametrize(
    ("event", "document"),
    [
        (FilterChanged, STATE | {"status": "ACTIVE", "expression": "x", "name": "a/b"}),
        (TrackerChanged, STATE | {"status": "ACTIVE", "tracking_id": "t", "name": "../a"}),
        (CacheRefreshed, STATE | {"activation": 2**63, "generations": {}}),
        (CacheRefreshed, STATE | {"activation": 1, "generations": {"a/b": 1}}),
        (CacheRefreshed, STATE | {"activation": 1, "generations": {"a": 2**63}}),
    ],
)
def test_names_and_numbers_of_states_are_those_of_their_producers(event: Any, document: Any) -> None:
    with pytest.raises(ValidationError):
        event.model_validate(document)
