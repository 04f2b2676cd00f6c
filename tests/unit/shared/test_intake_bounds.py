"""Every intake of values has the same bounds, and names the values that it refuses.

A door takes one value as a number (or a time) and gives what it accepted, or the sentence of its refusal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.sync.domain.mapping import Mapping
from services.tracker.domain.formats.backend import TrackCart, TrackPurchase, parse_cart, parse_purchase
from services.tracker.domain.outcomes import Rejected
from services.tracker.domain.personalize import interactions as put_events
from services.trainer.api.runs import RunRequest
from shared.aws.personalize.events import PutEventsRequest
from shared.errors import Permanent
from tests.unit.shared.intakes import (
    NOW,
    REFUSALS,
    a_row,
    accepted,
    an_event,
    an_experiment,
    an_order,
    context,
    imported,
    item_of,
    ordered_at,
    posted,
)

NUMBERS: dict[str, Callable[[str], Any]] = {
    **{
        f"POST /v1/events: {name}": (
            lambda text, name=name: getattr(accepted(posted(an_event(**{name: text}))[0]), name)
        )
        for name in ("value", "price", "quantity")
    },
    "track/cart: quantity": lambda text: parse_cart(
        TrackCart.model_validate_json(f'{{"userId": "u", "productId": "p", "quantity": {text}}}'), context()
    )[0].quantity,
    **{
        f"track/purchase: {name}": (
            lambda text, name=name: getattr(
                parse_purchase(
                    TrackPurchase.model_validate_json(
                        f'{{"userId": "u", "items": [{{"productId": "p", "{name}": {text}}}]}}'
                    ),
                    context(),
                )[0],
                name,
            )
        )
        for name in ("quantity", "price")
    },
    "PutEvents: eventValue": lambda text: put_events(
        PutEventsRequest.model_validate_json(
            f'{{"trackingId": "t", "sessionId": "s", "eventList": [{{"eventType": "v", "sentAt": 1795000000, '
            f'"eventValue": {text}}}]}}'
        ),
        context(),
    )[0].value,
    "PutEvents: price among the properties": lambda text: put_events(
        PutEventsRequest.model_validate(
            {
                "trackingId": "t",
                "sessionId": "s",
                "eventList": [{"eventType": "v", "sentAt": 1795000000, "properties": f'{{"price": {text}}}'}],
            }
        ),
        context(),
    )[0].price,
    "PutItems: price": lambda text: item_of(f'{{"price": {text}}}')["price"],
    "PutItems: price as text": lambda text: item_of(f'{{"PRICE": "{text}"}}')["price"],
    "order file: price": lambda text: an_order(price=text).price,
    "order file: quantity": lambda text: an_order(quantity=text).quantity,
    "item file: price": lambda text: a_row("items", item_id="i", price=text).fields["price"],
    **{
        f"interaction file: {name}": (
            lambda text, name=name: getattr(
                a_row("interactions", event_type="v", timestamp="2026-03-01", user_id="u", **{name: text}),
                name,
            )
        )
        for name in ("value", "price", "quantity")
    },
    "engine CSV: EVENT_VALUE float": lambda text: imported("float", text),
    "engine CSV: EVENT_VALUE double": lambda text: imported("double", text),
}  # fmt: skip


@pytest.mark.parametrize("door", NUMBERS)
def test_a_number_within_bounds_comes_through(door: str) -> None:
    for text in ("1000000000000", "1e12", "2.5", "1e-300"):
        assert NUMBERS[door](text) == pytest.approx(float(text), rel=1e-7, abs=1e-37)


@pytest.mark.parametrize("door", NUMBERS)
@pytest.mark.parametrize("text", ["1e13", "1e39", "1.7e308", f"1{'0' * 40}"])
def test_a_number_beyond_is_refused_with_a_sentence(door: str, text: str) -> None:
    with pytest.raises(REFUSALS) as caught:
        NUMBERS[door](text)

    assert len(str(caught.value)) > 20


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", f"1{'0' * 400}", f"1{'0' * 5000}"])
@pytest.mark.parametrize("field", ["value", "colour", "properties"])
def test_a_number_that_json_can_not_hold_spoils_no_other_value(text: str, field: str) -> None:
    bad = an_event(**{field: text if field != "properties" else f'{{"deep": [{text}]}}'})

    before, found, after = posted(f"[{an_event()}, {bad}, {an_event()}]")

    assert accepted(before).item_id == accepted(after).item_id == "i"
    assert isinstance(found, Rejected)
    assert found.reason


TIMES: dict[str, Callable[[str], Any]] = {
    "PutItems": lambda text: item_of(json.dumps({"CREATION_TIMESTAMP": text}))["created_at"],
    "item file": lambda text: a_row("items", item_id="i", created_at=text).fields["created_at"],
    "order file": ordered_at,
    "interaction file": lambda text: (
        a_row("interactions", event_type="v", timestamp=text, user_id="u").occurred_at
    ),
}


@pytest.mark.parametrize("door", TIMES)
def test_a_time_comes_through_in_utc(door: str) -> None:
    for text in ("2026-03-01T00:00:00+23:59", "2026-03-01T00:00:00-23:59", "1772323200"):
        found = TIMES[door](text)
        assert found.utcoffset() == timedelta()
    assert TIMES[door]("2026-03-01T00:00:00+02:00") == datetime(2026, 2, 28, 22, tzinfo=UTC)


@pytest.mark.parametrize("door", TIMES)
@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "3000-01-01T00:00:00Z",
        "1e18",
        "-1e18",
        "1e400",
        "",
    ],
)
def test_a_time_beyond_is_refused_with_a_sentence(door: str, text: str) -> None:
    if (door, text) == ("item file", ""):
        return  # an empty cell says nothing

    with pytest.raises(REFUSALS) as caught:
        TIMES[door](text)

    assert len(str(caught.value)) > 15


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-11-21T08:00:00+23:59"]
)
def test_the_time_of_an_event_is_moved_within_bounds(text: str) -> None:
    (found,) = posted(an_event(timestamp=json.dumps(text)))

    assert found.occurred_at.utcoffset() == timedelta()
    assert NOW - timedelta(days=7300) <= found.occurred_at <= NOW + timedelta(minutes=5)
    assert found.properties == {"timestamp_adjusted_from": text} or text.endswith("+23:59")


@pytest.mark.parametrize(
    ("seconds", "why"), [("32503680000", "milliseconds"), ("-30610224001", "seconds since")]
)
def test_times_of_the_engines_files_have_the_same_bounds(seconds: str, why: str) -> None:
    assert imported("long", "32503679999", name="CREATION_TIMESTAMP") == 32503679999
    assert imported("long", "-30610224000", name="CREATION_TIMESTAMP") == -30610224000

    with pytest.raises(Permanent, match=why):
        imported("long", seconds, name="CREATION_TIMESTAMP")


@pytest.mark.parametrize("text", ["1e39", "inf", "-inf", "1e300"])
def test_metadata_of_the_engines_files_fits_32_bits(text: str) -> None:
    assert imported("double", "1.7e15", name="SEEN_AT") == 1.7e15
    assert math.isnan(imported("double", "nan", name="SEEN_AT"))

    with pytest.raises(Permanent, match=r"row 2 .*SEEN_AT is beyond"):
        imported("double", text, name="SEEN_AT")


def said_by_a_mapping(**fields: Any) -> Mapping:
    return Mapping.parse_json(json.dumps(fields))


TEXTS: dict[str, Callable[[str], Any]] = {
    "POST /v1/events": lambda text: accepted(posted(an_event(city=json.dumps(text)))[0]).city,
    "POST /v1/events: a property": lambda text: accepted(
        posted(an_event(mood=json.dumps(text)))[0]
    ).properties,
    "PutItems": lambda text: item_of(json.dumps({"name": text})),
    "PutItems: an attribute": lambda text: item_of(json.dumps({"colour": {"deep": text}})),
    "experiment: salt": lambda text: an_experiment(salt=text).salt,
    "run: reason": lambda text: RunRequest(reason=text).reason,
    "mapping: a column": lambda text: said_by_a_mapping(columns={"price": text}),
    "mapping: a constant": lambda text: said_by_a_mapping(constants={"city": text}),
    "mapping: a format of dates": lambda text: said_by_a_mapping(date_formats=[text]),
    "mapping: a prefix": lambda text: said_by_a_mapping(cancellation_prefix=text),
    "mapping: its name": lambda text: Mapping.parse_json("{}", text),
}  # fmt: skip


@pytest.mark.parametrize("door", TEXTS)
@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_nothing_can_store_is_refused(door: str, text: str) -> None:
    assert TEXTS[door]("a\u0001é👍") is not None

    with pytest.raises(REFUSALS):
        TEXTS[door](text)
