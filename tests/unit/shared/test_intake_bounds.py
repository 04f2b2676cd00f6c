"""Every intake of values has the same bounds, and names the values that it refuses.

A door takes one value as a number (or a time) and gives what it accepted, or the sentence of its refusal.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.engine.computations import csv_reader
from services.engine.domain.schemas import Column, Schema
from services.engine.jobs.received_rows import _state_cells
from services.router.domain.experiments import Definition
from services.sync.domain import builtin_mappings
from services.sync.domain.catalogue import State, item_changed, merge_put, user_changed
from services.sync.domain.cells import RowRejected
from services.sync.domain.mapping import Kind, Mapping, find_columns
from services.sync.domain.order_rows import order_row_parser
from services.sync.domain.orders import StagedLine, assemble_orders
from services.sync.domain.rows import interaction_row_parser, item_row_parser
from services.tracker.api.events import _records
from services.tracker.domain.batch import parse_events
from services.tracker.domain.dataset_schema import DatasetSchema
from services.tracker.domain.formats.backend import TrackCart, TrackPurchase, parse_cart, parse_purchase
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import Rejected
from services.tracker.domain.personalize import interactions as put_events
from services.tracker.domain.personalize import item_puts, user_puts
from services.trainer.api import RunRequest
from shared.aws import WireError
from shared.aws.personalize.events import PutEventsRequest, PutItemsRequest, PutUsersRequest
from shared.errors import Permanent
from shared.events import ItemChanged, ItemPut, UserChanged, UserPut, values
from shared.events.field_aliases import ITEM_FIELDS
from shared.kafka import encoded

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def context() -> IngestContext:
    numbers = count(1)
    return IngestContext("shop", NOW, NOW - timedelta(days=7300), lambda: f"new-{next(numbers)}")


def posted(body: str) -> list[Any]:
    """The events of a body of POST /v1/events, each an interaction or why it was rejected."""
    return parse_events(_records(body.encode(), "application/json"), context(), max_bytes=None)


def accepted(found: Any) -> Any:
    if isinstance(found, Rejected):
        raise Permanent(found.reason)
    return found


def an_event(**members: str) -> str:
    said = {"user_id": '"u"', "event_type": '"view"', "item_id": '"i"', **members}
    return f"{{{', '.join(f'{json.dumps(name)}: {text}' for name, text in said.items())}}}"


def item_of(properties: str) -> dict[str, Any]:
    """The fields of an item as the tracker accepts them and sync then merges them."""
    request = {"datasetArn": "arn:aws:personalize:eu-west-1:0:dataset/shop/ITEMS"}
    request |= {"items": [{"itemId": "i", "properties": properties}]}  # type: ignore[dict-item]
    (put,) = item_puts(PutItemsRequest.model_validate(request), context(), None, None)
    return merged(put).fields


def merged(put: ItemPut | UserPut) -> State:
    """The state that sync makes of a put, from the put as it lies in Kafka."""
    state = State("i", is_new=True)
    merge_put(state, type(put).model_validate_json(encoded(put, "tracker", "").value or b""), NOW)
    return state


def a_row(kind: Kind, **cells: str) -> Any:
    made = {"orders": order_row_parser, "items": item_row_parser}.get(kind)
    names = list(cells)
    places = find_columns(builtin_mappings.ENDCAP, kind, names)
    if made is None:
        reader: Any = interaction_row_parser(
            builtin_mappings.ENDCAP, places, len(names), tenant="shop", received_at=NOW
        )
    else:
        reader = made(builtin_mappings.ENDCAP, places, len(names))
    return reader(list(cells.values()))


def an_order(**cells: str) -> Any:
    said = {"order_id": "1", "ordered_at": "2026-03-01", "product_id": "a", "quantity": "1", "price": "1"}
    return a_row("orders", **said | cells)


def ordered_at(text: str) -> Any:
    """The time of an order of one row: a row without one is refused when its order is settled."""
    ((order, rejected),) = assemble_orders([StagedLine(2, an_order(ordered_at=text))])
    if order is None:
        raise RowRejected(rejected[0].code, rejected[0].detail)
    return order.ordered_at


def imported(kind: str, text: str, **column: str) -> Any:
    """A cell of a CSV file of the engine."""
    name = column.get("name", "EVENT_VALUE")
    schema = Schema((Column("ITEM_ID", "string"), Column(name, kind, nullable=True)))
    stream: Any = io.BufferedReader(io.BytesIO(f"ITEM_ID,{name}\ni,{text}\n".encode()))  # type: ignore[type-var]
    (batch,) = csv_reader.batches(stream, schema, "a.csv")
    return batch.column(1).to_pylist()[0]


def an_experiment(**fields: Any) -> Definition:
    variants = [{"name": "a"}, {"name": "b"}]
    said = {"name": "x", "surface": "recommendations", "variants": variants} | fields
    return Definition.model_validate(said)


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
REFUSALS = (Permanent, RowRejected, ValidationError, WireError)


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
def test_a_number_that_json_can_not_hold_takes_no_neighbour_with_it(text: str, field: str) -> None:
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


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["1e39", "1772366400", "9999-12-31T23:59:59-14:00", "true", " ", "2.5", "𝟙"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
NAMES = ("price", "name", "CATEGORY_L1", "currency", "in_stock", "CREATION_TIMESTAMP", "city", "state", "hue")
names = st.sampled_from(NAMES)
types = st.sampled_from(["string", "int", "long", "float", "double", "boolean"])
schemas = st.none() | st.lists(types, min_size=len(NAMES), max_size=len(NAMES))


def says(value: Any) -> bool:
    return any(one not in (None, "") for one in value) if isinstance(value, list) else value not in (None, "")


def columns(kind: Literal["item", "user"], types: list[str] | None) -> DatasetSchema | None:
    fields = [{"name": name, "type": ["null", each]} for name, each in zip(NAMES, types or (), strict=False)]
    return DatasetSchema.parse(kind, json.dumps({"fields": fields})) if types else None


@given(properties=st.dictionaries(names, json_values, min_size=1, max_size=4), types=schemas)
@example({"CREATION_TIMESTAMP": "9999-12-31T23:59:59-14:00"}, None)
@example({"CREATION_TIMESTAMP": "1700000000000"}, ["long"] * len(NAMES))
@example({"CATEGORY_L1": ["a", "b"]}, ["string"] * len(NAMES))
@example({"CREATION_TIMESTAMP": []}, ["string"] * len(NAMES))
@example({"name": 2147483648.0}, ["int"] * len(NAMES))
@example({"price": 1e38, "in_stock": 7}, ["double"] * len(NAMES))
def test_what_the_tracker_takes_of_items_and_users_sync_can_merge_and_publish(
    properties: dict[str, Any], types: list[str] | None
) -> None:
    """After a 2xx no later step may refuse: the put, the merged state and its event; and no cell is lost."""
    text = json.dumps(properties)
    items = {"datasetArn": "arn:aws:personalize:eu-west-1:0:dataset/shop/ITEMS"}
    users = {"datasetArn": "arn:aws:personalize:eu-west-1:0:dataset/shop/USERS"}
    try:
        item_request = PutItemsRequest.model_validate(
            items | {"items": [{"itemId": "i", "properties": text}]}
        )
        user_request = PutUsersRequest.model_validate(
            users | {"users": [{"userId": "u", "properties": text}]}
        )
        (item,) = item_puts(item_request, context(), None, columns("item", types))
        (user,) = user_puts(user_request, context(), None, columns("user", types))
    except REFUSALS:
        return

    item_state, user_state = merged(item), merged(user)
    changed = ItemChanged.model_validate_json(item_changed("shop", item_state, NOW).model_dump_json())
    UserChanged.model_validate_json(user_changed("shop", user_state, NOW).model_dump_json())

    assert changed.price is None or values.is_usable(changed.price)
    assert changed.created_at is None or values.EARLIEST <= changed.created_at < values.LATEST
    if types is not None:
        assert changed.available, "a column hides no item"
        schema = Schema(tuple(Column(*each, nullable=True) for each in zip(NAMES, types, strict=True)))
        row = {name: getattr(changed, name) for name in ITEM_FIELDS} | {"id": "i"}
        cells = _state_cells("ITEMS", schema)({**row, "attributes": changed.attributes})
        trained = dict(zip(NAMES, cells, strict=True))
        lost = {name for name, value in properties.items() if says(value) and trained[name] is None}
        assert lost <= {"CREATION_TIMESTAMP"}


def test_several_categories_are_one_text() -> None:
    assert item_of('{"CATEGORY_L1": ["Tea", "Green"]}') == {"category": "Tea|Green"}
    assert item_of('{"CATEGORY_L1": []}') == {"category": None}
    with pytest.raises(WireError, match=r"items\.0\.properties: name is \['x'\], which is not a text"):
        item_of('{"name": ["x"]}')


def test_a_put_that_no_state_could_take_is_refused() -> None:
    assert item_of(json.dumps({"colour": "a" * 31_000}, ensure_ascii=False)) == {}

    with pytest.raises(WireError, match=r"'colour' has 120,0\d\d bytes; 100,000 are allowed"):
        item_of(json.dumps({"colour": "👍" * 30_000}, ensure_ascii=False))
    with pytest.raises(WireError, match="1,001 properties in one put"):
        item_of(json.dumps({str(n): n for n in range(1_001)}))
