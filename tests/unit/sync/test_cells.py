"""Numbers and dates as sources write them: read as they were meant, or refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.sync.domain import builtin_mappings
from services.sync.domain.cells import RowRejected, date_parser, number_parser
from services.sync.domain.date_order import DateOrder
from services.sync.domain.mapping import Mapping
from shared.errors import Permanent

COMMA = Mapping(decimal=",")
POINT = Mapping()
OPEN = Mapping(source="erp", date_formats=("iso", "%m/%d/%Y", "%d/%m/%Y"))
EITHER = "05/12/2010"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.234", 1234.0), ("1.000", 1000.0), ("1.234,50", 1234.5), ("1.234.567,8", 1234567.8),
        ("-1.234,5", -1234.5), ("1234,5", 1234.5), ("0,500", 0.5), (",5", 0.5), ("12", 12.0),
        ("1 234,50", 1234.5), ("1\u00a0234,50", 1234.5), ("1\u202f234\u202f567", 1234567.0),
        ("1\u2009234", 1234.0), ("1'234,5", 1234.5), ("1\u2019234,5", 1234.5), ("1,234", 1.234),
        ("1,5e3", 1500.0),
    ],
)  # fmt: skip
def test_dots_group_thousands_where_the_decimal_mark_is_a_comma(text: str, value: float) -> None:
    assert number_parser(COMMA)(text, "price") == value


@pytest.mark.parametrize(
    "text",
    [
        *("1.5", "1.23", "1.2345", "12.34.567", "1234.567", "0.500", "1.234.50", "1,234.50", "1,234,567"),
        *("1.234 567", "1 234.567", "1.5e3", "1..234", ".234", "1 23", "1 2345", "12 34 567", "٣", "1.٢٣٤"),
    ],
)
def test_what_could_be_another_number_is_refused_with_a_decimal_comma(text: str) -> None:
    with pytest.raises(
        RowRejected, match=r"not a number like 1\.234,5: the mapping's decimal mark is a comma"
    ) as error:
        number_parser(COMMA)(text, "price")
    assert error.value.code == "bad_number"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.234", 1.234), ("1.000", 1.0), ("1,234.50", 1234.5), ("1,234,567", 1234567.0), ("1 234.5", 1234.5),
        ("1\u202f234", 1234.0), ("1'234'567.25", 1234567.25), ("-2e3", -2000.0),
    ],
)  # fmt: skip
def test_thousands_are_understood_with_a_decimal_point(text: str, value: float) -> None:
    assert number_parser(POINT)(text, "price") == value


@pytest.mark.parametrize(
    "text", ["1,234", "1,50", "1.234,50", "1.234.567", "1 234,5", "12,34.5", "1 23", "0,123.4"]
)
def test_what_could_be_another_number_is_refused_with_a_decimal_point(text: str) -> None:
    with pytest.raises(RowRejected, match=r"not a number like 1234\.5"):
        number_parser(POINT)(text, "price")


def resolved_formats(mapping: Mapping, *texts: str) -> tuple[str, ...]:
    order = DateOrder(mapping)
    for line, text in enumerate(texts, 2):
        order.observe(text, line)
    return order.resolved_mapping().date_formats


def test_one_row_proves_the_day_first_for_all() -> None:
    formats = resolved_formats(OPEN, EITHER, "07/12/2010", "", "soon", "2010-12-13", "13/12/2010")

    assert formats == ("iso", "%d/%m/%Y")
    read = date_parser(OPEN.model_copy(update={"date_formats": formats}))
    assert read(EITHER, "ordered_at") == datetime(2010, 12, 5, tzinfo=UTC)


def test_one_row_proves_the_month_first_for_all() -> None:
    assert resolved_formats(OPEN, EITHER, "12/13/2010") == ("iso", "%m/%d/%Y")
    assert resolved_formats(OPEN, "05/05/2010") == ("iso", "%m/%d/%Y")
    assert resolved_formats(OPEN, "2010-12-05", "never") == ("iso", "%m/%d/%Y")


def test_a_file_that_stays_ambiguous_is_refused_with_both_readings() -> None:
    with pytest.raises(Permanent) as error:
        resolved_formats(OPEN, "2010-12-13", EITHER, "07/12/2010")

    assert str(error.value) == (
        "The dates of the file can be read in two ways, and no row decides: '05/12/2010' on line 3 is "
        "2010-05-12 with the month first, and 2010-12-05 with the day first. Send it with the source erp and "
        'a mapping that decides: {"date_format": "%m/%d/%Y"} or {"date_format": "%d/%m/%Y"}.'
    )


def test_rows_that_contradict_each_other_are_named() -> None:
    with pytest.raises(
        Permanent, match=r"'12/13/2010' on line 2 has the month first, and '13/12/2010' on line 3"
    ):
        resolved_formats(OPEN, "12/13/2010", "13/12/2010")


def test_a_mapping_with_one_format_says_it_for_the_file() -> None:
    explicit = Mapping(date_formats=("%m/%d/%Y",))

    assert not DateOrder(explicit).is_ambiguous
    assert resolved_formats(explicit, EITHER) == ("%m/%d/%Y",)
    with pytest.raises(RowRejected, match="with day and month swapped it would be one"):
        date_parser(explicit)("13/12/2010", "ordered_at")


@pytest.mark.parametrize(
    ("piece", "may_match"),
    [
        (b"1,05/12/2010 08:26,x", True), (b"1,5/1/2010,x", True), (b"21/5/10 adjustment", False),
        (b"1,2010-12-05 08:26:00,1/2 LITRE", False),
        (b"1,2010-12-05 08:26:00,CUP / PLATE 3/", False), (b"", False), (b"1,05.12.2010,x", False),
    ],
)  # fmt: skip
def test_a_file_without_a_trace_of_such_a_date_needs_no_look_at_its_rows(
    piece: bytes, *, may_match: bool
) -> None:
    assert DateOrder(OPEN).may_match(piece) is may_match
    assert not DateOrder(POINT).may_match(piece)


def test_online_retail_leaves_it_to_the_rows_unless_the_mapping_says_it() -> None:
    assert DateOrder(builtin_mappings.ONLINE_RETAIL).is_ambiguous
    assert resolved_formats(builtin_mappings.ONLINE_RETAIL, "12/1/2010 8:26", "12/13/2010 8:26") == (
        "iso",
        "%m/%d/%Y %H:%M",
    )

    own = builtin_mappings.parse('{"date_format": "%d/%m/%Y %H:%M"}', "online-retail")

    assert own == builtin_mappings.ONLINE_RETAIL.model_copy(update={"date_formats": ("%d/%m/%Y %H:%M",)})
    assert not DateOrder(own).is_ambiguous


def test_a_mapping_with_columns_of_its_own_changes_no_built_in_one() -> None:
    own = builtin_mappings.parse('{"columns": {"order_id": "Nr"}}', "online-retail")

    assert (own.source, own.constants, own.positive_price) == ("online-retail", {}, False)
