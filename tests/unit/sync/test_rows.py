"""Rows of each kind of file, and what is refused with which reason."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.sync.domain import builtin_mappings
from services.sync.domain.cells import RowRejected
from services.sync.domain.date_order import DateOrder
from services.sync.domain.mapping import FILE_FIELDS, Kind, Mapping, find_columns
from services.sync.domain.order_rows import INHERITED_KIND, OrderRow, order_row_parser
from services.sync.domain.rows import PutRow, interaction_row_parser, item_row_parser, user_row_parser
from shared.errors import Permanent
from shared.events import InteractionRecorded

RETAIL = [*builtin_mappings.ONLINE_RETAIL.columns.values()]
NATIVE = [*FILE_FIELDS["orders"].fields]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def retail(
    invoice: str = "536365",
    code: str = "85123a",
    name: str = "HEART",
    quantity: str = "6.0",
    date: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850",
) -> OrderRow:
    mapping = DateOrder(builtin_mappings.ONLINE_RETAIL).resolved_mapping()
    places = find_columns(mapping, "orders", RETAIL)
    cells = [invoice, code, name, quantity, date, price, customer, "United Kingdom"]
    assert RETAIL[1:3] == ["StockCode", "Description"]
    return order_row_parser(mapping, places, len(RETAIL))(cells)


def native(mapping: Mapping = builtin_mappings.ENDCAP, **cells: str) -> OrderRow:
    values = {
        "order_id": "1",
        "ordered_at": "2026-03-01T12:00:00Z",
        "product_id": "a",
        "quantity": "1",
        **cells,
    }
    reader = order_row_parser(mapping, find_columns(mapping, "orders", NATIVE), len(NATIVE))
    return reader([values.get(name, "") for name in NATIVE])


def put(kind: Kind, header: str, row: str) -> PutRow:
    names = header.split(",")
    reader = {"items": item_row_parser, "users": user_row_parser}[kind]
    return reader(builtin_mappings.ENDCAP, find_columns(builtin_mappings.ENDCAP, kind, names), len(names))(
        row.split(",")
    )


def interaction(header: str, row: str) -> InteractionRecorded:
    names = header.split(",")
    mapping = builtin_mappings.detect("interactions", names)
    places = find_columns(mapping, "interactions", names)
    reader = interaction_row_parser(mapping, places, len(names), tenant="default", received_at=NOON)
    return reader(row.split(","))


def rejection(call: object, *arguments: object, **values: object) -> str:
    assert callable(call)
    with pytest.raises(RowRejected) as error:
        call(*arguments, **values)
    return error.value.code


def test_an_order_line_of_online_retail() -> None:
    assert retail() == OrderRow(
        "order", "536365", None, "17850", None, datetime(2010, 12, 1, 8, 26, tzinfo=UTC), "85123A",
        "HEART", None, 6.0, 2.55, "GBP", None, None, "United Kingdom",
    )  # fmt: skip


def test_a_guests_line_has_no_user() -> None:
    assert retail(customer="").user_id is None


def test_a_spreadsheets_customer_and_date_are_understood() -> None:
    row = retail(customer="17850.0", date="12/1/2010 8:26")

    assert (row.user_id, row.ordered_at) == ("17850", datetime(2010, 12, 1, 8, 26, tzinfo=UTC))


@pytest.mark.parametrize("code", [*sorted(builtin_mappings.ONLINE_RETAIL.service_codes), "m", "bank charges"])
def test_service_codes_are_refused(code: str) -> None:
    assert rejection(retail, code=code) == "service_code"


def test_the_first_rule_wins() -> None:
    assert rejection(retail, invoice="C1", code="POST", price="0", quantity="x") == "service_code"
    assert rejection(retail, invoice="C1", price="0") == "price_not_positive"


@pytest.mark.parametrize("price", ["0", "0.0", "-11062.06"])
def test_what_costs_nothing_is_refused(price: str) -> None:
    assert rejection(retail, price=price) == "price_not_positive"


def test_an_invoice_with_c_takes_goods_back() -> None:
    row = retail(invoice="C536379", quantity="-12")

    assert (row.kind, row.quantity) == ("cancellation", -12.0)


def test_a_native_line_with_everything() -> None:
    row = native(
        line="3", user_id="u", customer_name="Ada", product_name="Cup", category="Kitchen", quantity="2",
        price="9.90", currency="EUR", city="Graz", province="Styria", country="Austria",
    )  # fmt: skip

    assert row == OrderRow(
        "order", "1", 3, "u", "Ada", NOON, "a", "Cup", "Kitchen", 2.0, 9.9, "EUR", "Graz", "Styria",
        "Austria",
    )  # fmt: skip


def test_a_native_cancellation_counts_below_zero() -> None:
    row = native(kind="Cancellation", quantity="2")

    assert (row.kind, row.quantity) == ("cancellation", -2.0)


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"order_id": " "}, "missing_value"),
        ({"product_id": ""}, "missing_value"),
        ({"quantity": ""}, "missing_value"),
        ({"order_id": "x" * 257}, "too_long"),
        ({"product_name": "x" * 2_001}, "too_long"),
        ({"quantity": "two"}, "bad_number"),
        ({"quantity": "nan"}, "bad_number"),
        ({"quantity": "1e999"}, "bad_number"),
        ({"quantity": "1_000"}, "bad_number"),
        ({"quantity": "٣"}, "bad_number"),
        ({"price": "1,50"}, "bad_number"),
        ({"line": "-1"}, "bad_number"),
        ({"line": "9" * 12}, "bad_number"),
        ({"quantity": "0"}, "quantity_not_positive"),
        ({"quantity": "-1"}, "quantity_not_positive"),
        ({"quantity": "0", "kind": "cancellation"}, "quantity_not_positive"),
        ({"price": "-1"}, "price_negative"),
        ({"kind": "perhaps"}, "bad_value"),
        ({"ordered_at": "yesterday"}, "bad_date"),
        ({"ordered_at": "2026-02-30"}, "bad_date"),
        ({"ordered_at": "0001-01-01T00:00:00+14:00"}, "bad_date"),
        ({"ordered_at": "99999999999999999999"}, "bad_date"),
        ({"ordered_at": "1969-12-31"}, "bad_date"),
    ],
)
def test_a_bad_cell_refuses_the_line_with_its_reason(cells: dict[str, str], code: str) -> None:
    assert rejection(native, **cells) == code


def test_a_row_without_a_date_waits_for_that_of_its_order() -> None:
    row = native(ordered_at=" ", quantity="-2")

    assert (row.ordered_at, row.kind, row.quantity) == (None, INHERITED_KIND, -2.0)
    assert native(ordered_at="", kind="order").kind == "order"
    assert rejection(native, ordered_at="", quantity="0") == "quantity_not_positive"


@pytest.mark.parametrize(
    "date", ["2026-03-01 12:00", "2026-03-01T13:00:00+01:00", "1772366400", "1772366400000"]
)
def test_dates_in_common_shapes(date: str) -> None:
    assert native(ordered_at=date).ordered_at == NOON


def test_a_mapping_of_ones_own() -> None:
    mapping = Mapping.parse_json(
        '{"columns": {"order_id": "Beleg-Nr", "ordered_at": "Datum", "product_id": "Artikel",'
        ' "quantity": "Menge", "price": "Preis"}, "date_format": "%d.%m.%Y %H:%M",'
        ' "timezone": "Europe/Vienna", "decimal": ",", "constants": {"currency": "EUR"}}'
    )
    header = ["BELEG NR", "Datum", "Artikel", "Menge", "Preis"]
    reader = order_row_parser(mapping, find_columns(mapping, "orders", header), len(header))

    row = reader(["7", "01.03.2026 13:00", "x", "1,5", "2,50"])

    assert (row.order_id, row.ordered_at, row.quantity, row.price, row.currency) == (
        "7", NOON, 1.5, 2.5, "EUR",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("[]", "not valid"),
        ('{"colums": {}}', "colums"),
        ('{"timezone": "Mars/Base"}', "Mars/Base"),
        ('{"delimiter": "\\n"}', "separate columns"),
        ('{"constants": {"currency": "\\u0000"}}', "NUL"),
        ('{"columns": {"item_id": "\\u0000"}}', "NUL"),
        ('{"date_formats": ["%d\\u0000"]}', "NUL"),
        ('{"date_format": "%d %d"}', "twice"),
        ('{"date_format": "%Q"}', "bad directive"),
        ('{"cancellation_prefix": "\\u0000"}', "NUL"),
        ('{"service_codes": ["\\u0000"]}', "NUL"),
        ("{", "not valid"),
    ],
)
def test_a_mapping_that_is_wrong_says_so(document: str, sentence: str) -> None:
    with pytest.raises(Permanent, match=sentence):
        Mapping.parse_json(document)


def test_missing_columns_are_named_with_what_was_found() -> None:
    with pytest.raises(Permanent, match=r"columns order_id and ordered_at.*has: foo, product_id, quantity"):
        find_columns(builtin_mappings.ENDCAP, "orders", ["foo", "product_id", "quantity"])


def test_a_mapping_to_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(Permanent, match=r"Preis \(for price\)"):
        find_columns(Mapping(columns={"price": "Preis"}), "orders", NATIVE)


def test_a_mapping_of_a_field_that_is_none_is_named() -> None:
    with pytest.raises(Permanent, match="colour"):
        find_columns(Mapping(columns={"colour": "x"}), "orders", NATIVE)


def test_a_column_that_stands_twice_is_ambiguous() -> None:
    with pytest.raises(Permanent, match="2 times"):
        find_columns(builtin_mappings.ENDCAP, "items", ["item_id", "Item ID"])


def test_the_source_is_recognised_by_the_header() -> None:
    assert builtin_mappings.detect("orders", RETAIL) is builtin_mappings.ONLINE_RETAIL
    assert builtin_mappings.detect("orders", NATIVE) is builtin_mappings.ENDCAP
    with pytest.raises(Permanent, match="endcap, online-retail"):
        builtin_mappings.by_name("shopware")


def test_an_item_with_attributes() -> None:
    row = put("items", "item_id,name,price,available,Colour,size", "a,Cup,2.5,no,red,")

    assert row == PutRow("a", {"name": "Cup", "price": 2.5, "available": False}, {"Colour": "red"})


def test_a_user_with_attributes() -> None:
    row = put("users", "user_id,city,Tier", "u,Graz,gold")

    assert row == PutRow("u", {"city": "Graz"}, {"Tier": "gold"})


def test_an_interaction_of_a_file_is_historical_and_keeps_its_time() -> None:
    event = interaction(
        "user_id,event_type,item_id,timestamp,value,page", "u,Product Viewed,a,1772366400,2,home"
    )

    assert (event.user_id, event.item_id, event.event_type, event.sender_type) == (
        "u",
        "a",
        "view",
        "Product Viewed",
    )
    assert (event.occurred_at, event.value, event.properties) == (NOON, 2.0, {"page": "home"})
    assert (event.source, event.historical) == ("import", True)


def test_personalizes_columns_are_understood() -> None:
    event = interaction("USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP", "u,a,click,3,1772366400")

    assert (event.user_id, event.item_id, event.value) == ("u", "a", 3.0)


def test_equal_interactions_have_one_id_and_others_another() -> None:
    header = "user_id,event_type,item_id,timestamp,page"
    first = interaction(header, "u,view,a,1772366400,home")

    assert first.event_id == interaction(header, "u,View,a,1772366400,home").event_id
    for other in ("v,view,a,1772366400,home", "u,view,b,1772366400,home", "u,view,a,1772366401,home",
                  "u,click,a,1772366400,home", "u,view,a,1772366400,cart"):  # fmt: skip
        assert interaction(header, other).event_id != first.event_id


def test_a_senders_own_id_is_kept() -> None:
    assert interaction("event_id,session_id,event_type,timestamp", "e1,s,view,1772366400").event_id == "e1"


def test_an_interaction_needs_somebody() -> None:
    code = rejection(interaction, "user_id,session_id,event_type,timestamp", ",,view,1772366400")

    assert code == "missing_value"
