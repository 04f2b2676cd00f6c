"""Columns without a field: kept, cut to what PutItems keeps, or left out, and no reason to refuse a row."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import orjson
import pytest

from services.sync.domain import builtin_mappings
from services.sync.domain.catalogue import State
from services.sync.domain.imports import Import
from services.sync.domain.mapping import Kind, Mapping, find_columns
from services.sync.domain.rows import interaction_row_parser, item_row_parser, user_row_parser
from shared.events.fields import MOST_PROPERTY_BYTES

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CUT = Counter[str]


def described(text: str, name: str = "Body (HTML)") -> tuple[dict[str, str], CUT]:
    """Return the attributes of an item with one column beside its id, and the columns that were cut."""
    header, shortened = ["item_id", name], Counter[str]()
    reader = item_row_parser(
        builtin_mappings.ENDCAP, find_columns(builtin_mappings.ENDCAP, "items", header), 2, shortened
    )
    return reader(["hat", text]).attributes, shortened


@pytest.mark.parametrize("length", [2_001, 19_000, 60_000])
def test_a_long_text_is_kept(length: int) -> None:
    text = "<p>" + "w" * length + "</p>"

    assert described(text) == ({"Body (HTML)": text}, {})


@pytest.mark.parametrize("letter", ["w", "é", "\u20ac", "\U0001f600", '"', "\x01"])
def test_a_text_beyond_what_a_property_holds_is_cut_and_counted(letter: str) -> None:
    text = letter * 120_000

    kept, shortened = described(text)

    assert shortened == {"Body (HTML)": 1}
    assert text.startswith(kept["Body (HTML)"])
    assert 0.999 * MOST_PROPERTY_BYTES < len(orjson.dumps(kept)) - 1 <= MOST_PROPERTY_BYTES
    # The next step takes it.
    State("hat").put({}, kept, 1)


def test_a_column_whose_name_is_too_long_is_left_out_and_counted() -> None:
    assert described("red", "n" * 2_001) == ({}, {"n" * 2_000: 1})
    assert described("", "n" * 2_001) == ({}, {})


@pytest.mark.parametrize("kind", ["users", "interactions"])
def test_users_and_interactions_keep_long_columns_too(kind: Kind) -> None:
    header, shortened = ["user_id", "event_type", "timestamp", "note"], Counter[str]()
    cells = ["u", "view", "1772366400", "\u20ac" * 40_000]
    places = find_columns(Mapping(), kind, header)
    if kind == "users":
        kept = user_row_parser(Mapping(), places, 4, shortened)(cells).attributes["note"]
    else:
        reader = interaction_row_parser(Mapping(), places, 4, shortened, tenant="shop", received_at=NOON)
        kept = (reader(cells).properties or {})["note"]

    assert 33_000 < len(kept) < 40_000
    assert shortened == {"note": 1}


def test_an_import_counts_cut_cells_by_column() -> None:
    import_, shortened = (
        Import("i", "shop", "items", "f.csv", "request", "b", "k", None, 1, NOON),
        Counter(a=2, b=1),
    )

    import_.count_shortened(shortened)
    import_.count_shortened(shortened)
    import_.count_shortened(Counter(a=1))

    assert import_.shortened == {"a": 3, "b": 1}
    import_.restart()
    assert import_.shortened == {}
