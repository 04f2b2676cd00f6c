"""Messy CSV: every row is good or refused by itself, and its neighbours go on."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sync.domain.limits import MAX_COLUMNS
from services.sync.domain.line_reader import MAX_ROW_CHARACTERS
from services.sync.domain.table import MAX_RAW_CHARACTERS, Record, Table
from shared.errors import Permanent

HEADER = b"id,name,price\n"

text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=20).map(
    lambda value: value.strip("\ufeff")
)


def read(content: bytes, pieces: int = 7) -> tuple[Table, list[Record]]:
    table = Table()
    size = max(1, len(content) // pieces)
    records = []
    for start in range(0, len(content), size):
        records += table.feed(content[start : start + size])
    return table, records + table.close()


def good(records: list[Record]) -> list[list[str]]:
    return [record.fields for record in records if not record.problem]


def bad(records: list[Record]) -> list[tuple[int, str]]:
    return [(record.line, record.problem) for record in records if record.problem]


@given(rows=st.lists(st.lists(text, min_size=3, max_size=3), max_size=20), pieces=st.integers(1, 60))
def test_what_was_written_is_read_however_the_file_is_cut(rows: list[list[str]], pieces: int) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "name", "price"])
    writer.writerows(rows)

    _, records = read(out.getvalue().encode(), pieces)

    assert good(records) == rows
    assert bad(records) == []


@given(
    rows=st.lists(
        st.one_of(
            st.tuples(st.just("good"), st.from_regex(r"[a-z]{1,9},[a-z é]{1,9},[0-9]{1,3}", fullmatch=True)),
            st.tuples(
                st.just("bad"),
                st.sampled_from(['x,"left open,1', "too,few", "one,two,3,4", 'a,"b"c,1', "nul,\0,1"]),
            ),
        ),
        max_size=30,
    ),
    pieces=st.integers(1, 40),
)
def test_a_bad_row_spoils_no_other_row(rows: list[tuple[str, str]], pieces: int) -> None:
    content = HEADER + "".join(f"{row}\n" for _, row in rows).encode()

    _, records = read(content, pieces)

    assert good(records) == [row.split(",") for kind, row in rows if kind == "good"]
    assert [line for line, _ in bad(records)] == [
        line for line, (kind, _) in enumerate(rows, 2) if kind == "bad"
    ]


def test_bom_crlf_and_quotes() -> None:
    table, records = read(
        b'\xef\xbb\xbfid,name,price\r\n1,"7"" plate, white",2.5\r\n\r\n2,"two\r\nlines",3\r\n'
    )

    assert table.header == ["id", "name", "price"]
    assert good(records) == [["1", '7" plate, white', "2.5"], ["2", "two\r\nlines", "3"]]
    assert [record.line for record in records] == [2, 4]


def test_a_stray_quote_inside_a_field_is_text() -> None:
    assert good(read(HEADER + b'1,7" PLATE,2\n2,b,3\n')[1]) == [["1", '7" PLATE', "2"], ["2", "b", "3"]]


def test_latin_1_is_recognised() -> None:
    table, records = read(HEADER + "1,café crème,2\n2,£5 note,3\n".encode("latin-1"))

    assert table.encoding == "cp1252"
    assert good(records) == [["1", "café crème", "2"], ["2", "£5 note", "3"]]


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"\x81", b"caf\xe9"])
def test_a_row_with_bad_utf_8_among_good_ones_is_refused_alone(damage: bytes) -> None:
    content = HEADER + "1,café,2\n".encode() + b"2," + damage + b",3\n" + "3,crème,4\n".encode()

    table, records = read(content)

    assert table.encoding == "utf-8"
    assert good(records) == [["1", "café", "2"], ["3", "crème", "4"]]
    assert bad(records) == [(3, "bad_encoding")]
    records[1].raw.encode()  # The report can be written.


def test_bytes_that_are_no_text_in_an_ascii_file_are_refused_not_guessed() -> None:
    assert bad(read(HEADER + b"1,\xff\xfe,2\n2,b,3\n")[1]) == [(2, "bad_encoding")]


def test_a_huge_field_is_refused_and_never_held() -> None:
    content = HEADER + b"1," + b"x" * (MAX_ROW_CHARACTERS * 20) + b",2\n2,b,3\n"

    _, records = read(content, 50)

    assert bad(records) == [(2, "row_too_long")]
    assert good(records) == [["2", "b", "3"]]
    assert len(records[0].raw) < 3_000


def test_a_huge_last_line_without_an_end_is_refused() -> None:
    _, records = read(HEADER + b"1,a,2\n2," + b"x" * (MAX_ROW_CHARACTERS * 9), 50)

    assert good(records) == [["1", "a", "2"]]
    assert bad(records) == [(3, "row_too_long")]


def test_a_file_whose_every_row_leaves_a_quote_open_is_read_in_time() -> None:
    _, records = read(HEADER + b'1,"open,2\n' * 5_000, 3)

    assert len(bad(records)) == 5_000


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(delimiter: str) -> None:
    table, records = read(
        delimiter.join(["id", "name", "price"]).encode() + f"\n1{delimiter}a,b{delimiter}2".encode()
    )

    assert table.header == ["id", "name", "price"]
    assert good(records) == [["1", "a,b", "2"]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        ("id,name\n".encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02\n", "not text"),
        (b'id,"name\n1,2\n', "header is not valid"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_a_reason(content: bytes, sentence: str) -> None:
    with pytest.raises(Permanent, match=sentence):
        read(content)


@pytest.mark.parametrize(
    ("header", "expectation"),
    [
        (
            b",".join(b"c%d" % number for number in range(MAX_COLUMNS + 1)),
            "1,001 columns; 1,000 are allowed",
        ),
        (b"a" * (MAX_ROW_CHARACTERS + 1), "header is longer than 65,536 characters"),
    ],
)
def test_a_first_line_that_is_too_wide_or_too_long_is_refused(header: bytes, expectation: str) -> None:
    with pytest.raises(Permanent, match=expectation):
        read(header + b"\n1\n")


def test_the_cells_of_a_refused_row_are_not_kept() -> None:
    _, records = read(HEADER + b"," * 60_000 + b"\n1,2,3\n")

    assert (bad(records), records[0].fields) == ([(2, "ragged_row")], [])
    assert len(records[0].raw) <= MAX_RAW_CHARACTERS + 1
    assert good(records) == [["1", "2", "3"]]


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;\r"])
def test_a_first_line_that_names_the_separator_is_skipped_and_believed(first: str) -> None:
    table, records = read(f"{first}\nid;name,with,many,commas;price\n1;a,b;2\n".encode())

    assert table.header == ["id", "name,with,many,commas", "price"]
    assert [(record.line, record.fields) for record in records] == [(3, ["1", "a,b", "2"])]


def test_the_separator_may_be_a_tab_and_a_mapping_outranks_it() -> None:
    assert read(b"sep=\t\nid\tname\n1\ta\n")[0].header == ["id", "name"]
    table = Table(delimiter="|")
    table.feed(b"sep=;\nid|name\n")
    assert table.header == ["id", "name"]


@pytest.mark.parametrize("line", ["sep=a", "sep=", "sep=;;", "sep=;x"])
def test_any_other_first_line_names_the_columns(line: str) -> None:
    assert read(f"{line}\n".encode())[0].header == line.split(";")
    # Only the first line is one.
    assert read(b"\nsep=;\n")[0].header == ["sep=", ""]


def test_a_backslash_before_a_quote_is_text_or_escapes_it_and_spoils_no_other_row() -> None:
    rows = [
        *('1,"folder C:\\parts\\",2', '2,"5\\" disk \\n",3', '3,"5\\"",4', '4,"a \\\\ ""b"" \\"c\\", d",5'),
        *('5,"open \\",6,7', "6,last,8"),
    ]

    _, records = read(HEADER + "\n".join(rows).encode())

    assert good(records) == [
        ["1", "folder C:\\parts\\", "2"], ["2", '5" disk \\n', "3"], ["3", '5"', "4"],
        ["4", 'a \\ "b" "c", d', "5"], ["6", "last", "8"],
    ]  # fmt: skip
    assert bad(records) == [(6, "ragged_row")]


def test_what_reads_as_one_row_of_two_lines_and_as_two_rows_is_refused() -> None:
    _, records = read(HEADER + b'1,"5\\"",4\n2,7",5\n3,c,6\n')

    assert good(records) == [["2", '7"', "5"], ["3", "c", "6"]]
    assert bad(records) == [(2, "bad_quotes")]
