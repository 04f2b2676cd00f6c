"""Lines of a batch inference: what is asked, and what stands in the place of a bad one."""

from __future__ import annotations

import pytest

from services.engine.worker.inference import Line, parse_line


def test_a_good_line_asks_for_its_user() -> None:
    assert parse_line(b'{"userId": "7"}\n', "userId") == Line({"userId": "7"}, "7")


def test_members_beside_the_id_are_echoed() -> None:
    line = parse_line(b'{"itemId": "7", "filterValues": {"A": "\\"b\\""}}', "itemId")

    assert line.query == "7"
    assert line.given["filterValues"] == {"A": '"b"'}


def test_a_recipe_for_everybody_needs_no_user() -> None:
    assert parse_line(b"{}", "userId", optional=True).query == ""


@pytest.mark.parametrize(
    ("raw", "given", "error"),
    [
        (b"nonsense\r\n", "nonsense", "The line is not valid JSON."),
        (b"[1]", [1], "The line is not a JSON object."),
        (b"{}", {}, "The line needs a userId of 1 to 256 characters, as text."),
        (b'{"userId": 7}', {"userId": 7}, "The line needs a userId of 1 to 256 characters, as text."),
        (b'{"itemId": "7"}', {"itemId": "7"}, "The line needs a userId of 1 to 256 characters, as text."),
    ],
)
def test_a_bad_line_says_why(raw: bytes, given: object, error: str) -> None:
    assert parse_line(raw, "userId") == Line(given, None, error)
