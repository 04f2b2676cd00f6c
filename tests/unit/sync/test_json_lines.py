"""JSON Lines become rows of CSV, and bad lines rows that are rejected."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pytest

from services.sync.domain.json_lines import MAX_LINE_BYTES, as_csv, is_json_lines, to_csv
from services.sync.domain.limits import MAX_COLUMNS
from services.sync.domain.table import Table
from shared.errors import Permanent


def rows(text: str) -> list[tuple[list[str], str]]:
    target = io.BytesIO()
    to_csv(io.BytesIO(text.encode()), target)
    table = Table()
    records = [*table.feed(target.getvalue()), *table.close()]
    return [(table.header or [], ""), *((record.fields, record.problem) for record in records)]


def test_members_of_all_objects_are_columns() -> None:
    text = '{"user_id": "u1", "n": 1.5}\n\n{"user_id": "ü,\\"2", "ok": true, "tags": ["a"], "x": null}\n'

    header, first, second = rows(text)

    assert header[0] == ["user_id", "n", "ok", "tags", "x"]
    assert first[0] == ["u1", "1.5", "", "", ""]
    assert second[0] == ['ü,"2', "", "true", '["a"]', ""]


def test_a_line_that_is_no_object_is_a_row_that_is_rejected() -> None:
    *_, bad = rows('{"a": 1, "b": 2}\n[1, 2]\n')

    assert bad[1]


@pytest.mark.parametrize(
    ("head", "expected"), [(b'\xef\xbb\xbf {"a": 1}', True), (b"a,b\n", False), (b"", False)]
)
def test_the_first_character_tells_json_lines_from_csv(head: bytes, expected: object) -> None:
    file = io.BytesIO(head)

    assert is_json_lines(file) is expected
    assert file.tell() == 0


def test_too_many_members_are_refused() -> None:
    line = "{" + ",".join(f'"c{number}": 1' for number in range(MAX_COLUMNS + 1)) + "}"

    with pytest.raises(Permanent, match="members"):
        rows(line)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(("text", "expected"), [(b'{"a": 1}\n', b"a\r\n1\r\n"), (b"a\n1\n", None)])
def test_json_lines_become_csv_and_csv_stays_as_it_is(
    pack: Callable[[bytes], bytes], text: bytes, expected: bytes | None
) -> None:
    content = as_csv(io.BytesIO(pack(text)), io.BytesIO(), 1_000).read()

    assert content == (pack(text) if expected is None else expected)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}', "a line of more than"),
        (b'{"a": 1}\n' * 10_000, "more than 50,000 bytes"),
        (b'{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}\n' + b"{}\n" * 12_000, "as CSV"),
    ],
)
def test_what_unpacks_to_too_much_is_refused(text: bytes, sentence: str) -> None:
    with pytest.raises(Permanent, match=sentence):
        as_csv(io.BytesIO(gzip.compress(text)), io.BytesIO(), 50_000)


def test_damaged_gzip_is_refused() -> None:
    packed = gzip.compress(b'{"a": 1}\n' * 100)

    with pytest.raises(Permanent, match="unpacked"):
        as_csv(io.BytesIO(packed[:-12]), io.BytesIO(), 1_000)
