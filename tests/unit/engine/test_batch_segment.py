"""The lines of batch segment jobs."""

from __future__ import annotations

import pyarrow as pa
import pytest

from services.engine.computations.batch_segment import Line, SegmentFinder, conditions
from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset
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


def test_a_line_that_is_nested_too_deep_is_an_error_in_its_place() -> None:
    deep = b'{"itemId": ' + b"[" * 400 + b"]" * 400 + b"}"

    rows = pa.table({"USER_ID": ["u", "v"] * 9, "ITEM_ID": list("abc") * 6, "TIMESTAMP": list(range(18))})
    segments = SegmentFinder(
        RECIPES["aws-item-affinity"].fit(Dataset.from_arrow(rows), TrainingConfig(), silent)
    )

    assert segments.parse(deep) == Line(deep.decode(), error="The line is nested too deep.")
