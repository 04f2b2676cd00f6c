"""The lines of batch segment jobs."""

from __future__ import annotations

import pytest

from services.engine.worker.segmenting import conditions
from shared.errors import Permanent


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ITEMS.genres = "Comedy" AND ITEMS.brand = "X"', [("genres", "Comedy"), ("brand", "X")]),
        ("items.GENRES='a and b'", [("GENRES", "a and b")]),
        (
            'Items . price=2.5 and Items.name = "six \\"inches\\""',
            [("price", "2.5"), ("name", 'six "inches"')],
        ),
    ],
)
def test_conditions_are_read(text: str, expected: list[tuple[str, str]]) -> None:
    assert conditions(text) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "character 1,"),
        ('USERS.city = "Ulm"', "character 1,"),
        ('ITEMS.a = "b" OR ITEMS.c = "d"', "AND at character 15,"),
        ('ITEMS.a = "b" AND', "character 18,"),
        ('ITEMS.a > "b"', "character 1,"),
        ('ITEMS.a IN ("b")', "character 1,"),
    ],
)
def test_errors_point_at_the_place(text: str, place: str) -> None:
    with pytest.raises(Permanent, match=place):
        conditions(text)
