"""CSV as Amazon Personalize takes it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.engine.computations import csv_reader
from services.engine.domain.schemas import Column, Schema
from shared.errors import Permanent

SCHEMA = Schema(
    (
        Column("USER_ID", "string"),
        Column("ITEM_ID", "string"),
        Column("TIMESTAMP", "long"),
        Column("EVENT_VALUE", "float", nullable=True),
    )
)
HEADER = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_VALUE\n"


def read(text: str | bytes, schema: Schema = SCHEMA) -> list[dict[str, Any]]:
    content = text.encode() if isinstance(text, str) else text
    stream = io.BufferedReader(io.BytesIO(content))  # type: ignore[type-var]
    return [row for batch in csv_reader.batches(stream, schema, "a.csv") for row in batch.to_pylist()]


def refusal(text: str | bytes, schema: Schema = SCHEMA) -> str:
    with pytest.raises(Permanent) as caught:
        read(text, schema)
    return str(caught.value)


def test_columns_are_found_by_name_in_any_order_and_others_are_ignored() -> None:
    rows = read("EXTRA,TIMESTAMP,event_value,ITEM_ID,USER_ID\nx,5,1.5,i,u\n")

    assert rows == [{"USER_ID": "u", "ITEM_ID": "i", "TIMESTAMP": 5, "EVENT_VALUE": 1.5}]


def test_a_byte_order_mark_and_windows_line_ends_are_no_data() -> None:
    rows = read(("\ufeff" + HEADER + "u,i,5,\n").replace("\n", "\r\n"))

    assert rows == [{"USER_ID": "u", "ITEM_ID": "i", "TIMESTAMP": 5, "EVENT_VALUE": None}]


def test_both_ways_of_quoting_a_quote_are_understood() -> None:
    text = HEADER + '"a ""b"", c","d \\"e\\"\nf",5,\n'

    assert read(text)[0]["USER_ID"] == 'a "b", c'
    assert read(text)[0]["ITEM_ID"] == 'd "e"\nf'


def test_ids_stay_text() -> None:
    assert read(HEADER + "007,85123A,5,\n")[0] == {
        "USER_ID": "007",
        "ITEM_ID": "85123A",
        "TIMESTAMP": 5,
        "EVENT_VALUE": None,
    }


def test_missing_columns_are_named_in_the_services_words() -> None:
    assert refusal("USER_ID,EVENT_VALUE\nu,1\n") == (
        "Input CSV is missing the following columns:[ITEM_ID, TIMESTAMP]"
    )


def test_a_column_that_is_there_twice_is_refused_and_an_exact_name_outranks_another_case() -> None:
    assert refusal("USER_ID,ITEM_ID,ITEM_ID,TIMESTAMP,EVENT_VALUE\nu,i,j,5,\n") == (
        "Input CSV has more than one of the following columns:[ITEM_ID]"
    )
    assert read("X,X,user_id," + HEADER + "1,2,no,u,i,5,\n")[0]["USER_ID"] == "u"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("u,i,5,\nu,,6,\n", "ITEM_ID is empty, and the schema doesn't allow that."),
        ("u,i,5,\nu,i,1553631760123,\n", "TIMESTAMP is not in seconds since 1970"),
        (f"u,i,5,\n{'u' * 257},i,5,\n", "USER_ID is longer than 256 characters."),
        ("u,i,5,\nu,i,yesterday,\n", "TIMESTAMP has the value 'yesterday', which is no long."),
        ("u,i,5,\nu,i,5,dear\n", "EVENT_VALUE has the value 'dear', which is no float."),
        ("u,i,5,\nu,i,5,1,2\n", "it has 5 values, and the header 4 columns."),
        ("u,i,5,\nu\0,i,5,\n", "USER_ID holds a NUL character"),
        ("u,i,5,\nu,i,-9223372036854775808,\n", "TIMESTAMP is not in seconds since 1970"),
        ('"a\nb",i,5,\n\n\nu,i,never,\n', "TIMESTAMP has the value 'never'"),
    ],
)
@pytest.mark.parametrize("before", [0, 5000])
def test_a_bad_row_is_named_as_a_spreadsheet_counts_it(
    rows: str, sentence: str, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1000)
    place = f"a.csv, row {3 + before} (the header is row 1): "

    assert refusal(HEADER + "u,i,5,\n" * before + rows).startswith(place + sentence)


def test_a_list_of_users_has_no_other_column() -> None:
    def users(text: str) -> list[dict[str, Any]]:
        stream = io.BufferedReader(io.BytesIO(text.encode()))  # type: ignore[type-var]
        schema = Schema((Column("USER_ID", "string"),))
        return [
            row
            for batch in csv_reader.batches(stream, schema, "gone.csv", exact=True)
            for row in batch.to_pylist()
        ]

    assert users("user_id\nu\n") == [{"USER_ID": "u"}]
    with pytest.raises(
        Permanent, match=r"gone\.csv has the columns USER_ID, CITY; it must have USER_ID and no other"
    ):
        users("USER_ID,CITY\nu,Ulm\n")


def test_a_wrong_value_is_named_as_the_schema_names_its_column() -> None:
    assert refusal("extra,item_id,user_id,event_value,timestamp\nx,i,u,1,soon\n") == (
        "a.csv, row 2 (the header is row 1): TIMESTAMP has the value 'soon', which is no long."
    )


def test_a_long_category_is_refused_and_a_long_text_is_not() -> None:
    text = "ITEM_ID,A\ni," + "x" * 1001 + "\n"
    columns = (Column("ITEM_ID", "string"), Column("A", "string", categorical=True))

    assert "A is longer than 1000 characters" in refusal(text, Schema(columns))
    assert read(text, Schema((columns[0], Column("A", "string"))))


def test_what_a_text_has_beyond_the_longest_is_cut_off() -> None:
    columns = (Column("ITEM_ID", "string"), Column("A", "string", nullable=True, textual=True))

    [row, empty] = read("ITEM_ID,A\ni," + "é" * 20_001 + "\nj,\n", Schema(columns))

    assert row["A"] == "é" * 20_000
    assert empty["A"] is None


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\n"])
def test_a_file_without_a_header_is_refused(content: bytes) -> None:
    assert "a.csv is" in refusal(content)


def test_a_file_with_the_line_ends_of_an_old_mac_is_refused_with_a_sentence() -> None:
    assert "is not the header" in refusal((HEADER + "u,i,5,1\n").replace("\n", "\r"))


def test_other_encodings_are_refused() -> None:
    assert "is not UTF-8" in refusal(HEADER.encode() + "Jürgen,i,5,\n".encode("latin-1"))


def test_the_types_of_a_schema_are_the_types_of_the_columns() -> None:
    schema = Schema(
        (
            Column("ITEM_ID", "string"),
            Column("STOCK", "int"),
            Column("PRICE", "double"),
            Column("SOLD", "boolean"),
        )
    )

    rows = read("ITEM_ID,STOCK,PRICE,SOLD\na,3,2.5,true\n", schema)

    assert rows == [{"ITEM_ID": "a", "STOCK": 3, "PRICE": 2.5, "SOLD": True}]


def test_a_file_of_more_columns_than_anybody_has_is_refused() -> None:
    header = ",".join(f"C{number}" for number in range(1_001))

    assert refusal(f"{header}\n") == "a.csv has 1,001 columns; 1,000 are allowed."


NOTES = Schema((Column("ITEM_ID", "string"), Column("NOTE", "string", nullable=True)))


def notes(rows: str) -> list[tuple[str, str | None]]:
    return [(row["ITEM_ID"], row["NOTE"]) for row in read(f"ITEM_ID,NOTE\n{rows}", NOTES)]


def test_backslashes_as_spreadsheets_write_them_lose_no_row() -> None:
    rows = 'SKU\\123,plain\nb,"folder C:\\parts\\"\nc,last\n'

    assert notes(rows) == [("SKU\\123", "plain"), ("b", "folder C:\\parts\\"), ("c", "last")]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"say \\"hi\\", ok"', 'say "hi", ok'),
        ('"say ""hi"", ok"', 'say "hi", ok'),
        ('"C:\\\\parts\\\\"', "C:\\parts\\"),
        ("C:\\\\parts", "C:\\parts"),
        ('say \\"hi\\"', 'say "hi"'),
        ("a\\, b", "a, b"),
        ('"a\\, b"', "a\\, b"),
        ('"two\\"\nlines"', 'two"\nlines'),
        ('7" plate', '7" plate'),
        ('"C:\\new\\table"', "C:\\new\\table"),
        ('"closed" loosely', "closed loosely"),
        ('"a\\b ""c"" \\"d\\""', 'a\\b "c" "d"'),
    ],
)
def test_a_row_is_read_as_the_guide_asks_or_else_by_rfc_4180(cell: str, text: str) -> None:
    assert notes(f"a,{cell}\nb,last\n") == [("a", text), ("b", "last")]


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize(
    "rows",
    [
        'b,"open\nc,last',
        'b,"open\nc,"x"\nd,last',
        'b,"a" b "c"\nd,"e',
        # As the guide asks one row of two lines; after RFC 4180 two rows.
        'b,"x\\"\nc,y"',
    ],
)
@pytest.mark.parametrize("before", [0, 5000])
def test_a_quote_that_is_not_closed_fails_the_import_with_its_row(
    rows: str, end: str, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1000)
    good = "a,x\n\n" + '"a\n",\\x\n' * before

    sentence = refusal(f"ITEM_ID,NOTE\n{good}{rows}{end}", NOTES)

    assert sentence.startswith(f"a.csv, row {3 + before} (the header is row 1): ")
    assert "quoted text is not closed" in sentence or "one row with a line break" in sentence


def test_a_row_longer_than_a_block_is_refused_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1000)

    assert refusal(f"ITEM_ID,NOTE\na,x\nb,{'x' * 3000}\n", NOTES) == (
        "a.csv, row 3 (the header is row 1): the row is longer than 1,000 bytes."
    )


TEXTS = st.text(st.sampled_from('ab,"\\\n '), max_size=8)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_no_row_of_rfc_4180_disappears(rows: list[tuple[str, str]], quoting: Any) -> None:
    file = io.StringIO()
    writer = csv.writer(file, quoting=quoting, lineterminator="\n")
    writer.writerows((f"i{first}", second) for first, second in rows)
    try:
        found = notes(file.getvalue())
    except Permanent:
        return  # with the row's number
    assert len(found) == len(rows)
    for (first, second), row in zip(rows, found, strict=True):
        if "\\" not in first + second:
            assert row == (f"i{first}", second or None)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8), st.sampled_from(['""', '\\"']))
def test_what_the_guide_asks_for_is_read_as_it_was_meant(rows: list[tuple[str, str]], quote: str) -> None:
    def written(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', quote) + '"'

    file = "".join(f"{written('i' + first)},{written(second)}\n" for first, second in rows)
    try:
        found = notes(file)
    except Permanent as error:
        sentence = str(error)
    else:
        assert found == [(f"i{first}", second or None) for first, second in rows]
        return
    # Only where RFC 4180 reads it as other rows.
    assert "one row with a line break" in sentence
