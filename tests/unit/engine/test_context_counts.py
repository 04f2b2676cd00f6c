"""The values of the interactions' own columns, counted by item."""

from __future__ import annotations

import pyarrow as pa
import pytest

from services.engine.computations import context_counts
from services.engine.computations.context_counts import ContextCounter
from shared.models import Context, Ids

ITEMS = Ids.of(["coffee", "tea"])


def rows(*pairs: tuple[str, str | None], column: str = "DAY_PART") -> pa.Table:
    return pa.table({"ITEM_ID": [pair[0] for pair in pairs], column: [pair[1] for pair in pairs]})


def counts(context: Context) -> dict[str, dict[str, float]]:
    """How often each item was met with each value."""
    found = {}
    for value in range(len(context.values)):
        some = slice(context.offsets[value], context.offsets[value + 1])
        items = [ITEMS[item] for item in context.items[some].tolist()]
        found[context.values[value]] = dict(zip(items, context.counts[some].tolist(), strict=True))
    return found


def test_files_are_added_up_and_rows_without_a_value_are_left_out() -> None:
    tally = ContextCounter(["DAY_PART", "DEVICE"])
    tally.add(rows(("coffee", "morning"), ("coffee", "morning"), ("tea", "evening"), ("tea", None)))
    tally.add(rows(("coffee", "morning"), ("coffee", "evening"), ("unknown", "morning")))
    tally.add(rows(("tea", "phone"), column="DEVICE"))

    context = tally.context(["DAY_PART", "DEVICE", "NOTE"], ITEMS)

    assert context.columns == ("DAY_PART", "DEVICE", "NOTE")
    assert context.counted == ("DAY_PART", "DEVICE")
    assert counts(context) == {
        "0:evening": {"coffee": 1, "tea": 1},
        "0:morning": {"coffee": 3},
        "1:phone": {"tea": 1},
    }
    assert context.totals.tolist() == [[4, 1], [0, 1]]


def test_texts_that_are_encoded_by_file_count_too() -> None:
    tally = ContextCounter(["DAY_PART"])
    for item in ("coffee", "tea"):
        table = rows((item, "morning"))
        tally.add(table.set_column(0, "ITEM_ID", table["ITEM_ID"].dictionary_encode()))
    assert counts(tally.context(["DAY_PART"], ITEMS)) == {"0:morning": {"coffee": 1, "tea": 1}}


def test_rare_values_of_a_column_with_many_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_counts, "MAX_VALUES", 2)
    tally = ContextCounter(["DAY_PART"])
    tally.add(rows(*[("tea", f"once {n}") for n in range(9)], *[("tea", "b")] * 3, *[("coffee", "a")] * 2))
    assert counts(tally.context(["DAY_PART"], ITEMS)) == {"0:a": {"coffee": 2}, "0:b": {"tea": 3}}


def test_without_columns_there_is_nothing_to_count() -> None:
    assert ContextCounter([]).context(None, ITEMS).columns is None
    assert ContextCounter(["DAY_PART"]).context([], ITEMS).columns == ()
