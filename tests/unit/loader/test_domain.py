from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loader.domain import (
    BatchRefused,
    InvalidLine,
    Limits,
    LoadCounts,
    Manifest,
    parse_line,
    require_complete,
    require_plausible,
)

LIMITS = Limits(least_share_of_last=0.5, most_unknown_items=0.2, most_rejected_lines=0.01)


def a_line(user: str = "17850", items: tuple[str, ...] = ("85123A", "71053"), **changes: Any) -> bytes:
    scores = [round(0.5 / rank, 7) for rank in range(1, len(items) + 1)]
    output = {"recommendedItems": list(items), "scores": scores}
    return orjson.dumps({"input": {"userId": user}, "output": output, "error": None} | changes)


def a_manifest(rows: int = 1, key: str = "default/runs/7/out/users.out", **changes: Any) -> bytes:
    file = {"key": key, "rows": rows, "bytes": 10, "sha256": hashlib.sha256(b"").hexdigest()}
    return orjson.dumps(
        {
            "version": 1,
            "tenant": "default",
            "run": 7,
            "started_at": "2026-01-01T02:00:00Z",
            "completed_at": "2026-01-01T02:01:00Z",
            "recipes": {"user-personalization": {"job_name": "run-7", "files": [file]}},
        }
        | changes
    )


def read(text: bytes) -> Manifest:
    return Manifest.read(text, tenant="default", run=7)


MANIFEST = read(a_manifest())


def some_counts(*lines: bytes, recipe: str = "user-personalization", catalogue: str = "") -> LoadCounts:
    counts = LoadCounts(catalogue=frozenset(catalogue))
    for number, line in enumerate(lines, start=1):
        counts.add(recipe, "file.out", number, line)
    return counts


def test_a_captured_line_becomes_pairs_in_their_order() -> None:
    entry = parse_line(a_line(), "user-personalization")

    assert entry.id == "17850"
    assert entry.items == b'[["85123A",0.5],["71053",0.25]]'
    assert entry.item_ids == ["85123A", "71053"]


def test_recipes_without_scores_get_such_that_sorting_keeps_the_order() -> None:
    line = orjson.dumps(
        {"input": {"itemId": "105"}, "output": {"recommendedItems": ["a", "b", "c"]}, "error": None}
    )

    assert parse_line(line, "similar-items").items == b'[["a",1.0],["b",0.5],["c",0.3333333]]'


def test_a_popularity_line_is_named_by_its_list() -> None:
    line = orjson.dumps(
        {"input": {"listId": "country:Germany"}, "output": {"recommendedItems": ["a"]}, "error": None}
    )

    assert parse_line(line, "popularity").id == "country:Germany"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (a_line(output=None, error="user not found"), "has the error 'user not found'"),
        (a_line(input={"itemId": "105"}), "has no input.userId"),
        (a_line(input={"userId": 17850}), "has no input.userId"),
        (a_line(input={"userId": ""}), "has no input.userId"),
        (a_line(user="x" * 257), "has no input.userId"),
        (a_line(user="a\x00b"), "has no input.userId"),
        (a_line(output=None), "has no output.recommendedItems"),
        (a_line(output={"recommendedItems": [1]}), "has no output.recommendedItems"),
        (a_line(items=("a\x00b",)), "has no output.recommendedItems"),
        (a_line(output={"recommendedItems": ["a"], "scores": []}), "has output.scores"),
        (a_line(output={"recommendedItems": ["a"], "scores": ["1"]}), "has output.scores"),
        (a_line(output={"recommendedItems": ["a"], "scores": [True]}), "has output.scores"),
    ],
)
def test_a_line_that_holds_no_list_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(InvalidLine, match=reason):
        parse_line(line, "user-personalization")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_line_whatever_breaks_the_load(line: bytes) -> None:
    counts = some_counts(line)

    assert counts.rows.total() + counts.rejected.total() == 1


def test_a_rejected_line_is_kept_with_its_place_and_what_postgres_can_hold_of_it() -> None:
    counts = some_counts(a_line(), b"\x00" + b"y" * 5000)

    (reject,) = counts.rejects
    assert (reject.file, reject.line) == ("file.out", 2)
    assert len(reject.text) == 1000
    assert "\x00" not in reject.text


def test_only_so_many_rejected_lines_are_kept_but_all_are_counted() -> None:
    counts = LoadCounts(max_rejects=3)
    for number in range(10):
        counts.add("user-personalization", "file.out", number, b"{")

    assert len(counts.rejects) == 3
    assert counts.rejected.total() == 10


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "is broken"),
        (a_manifest(version=2), "has version 2"),
        (a_manifest(run=8), "is that of run 8"),
        (a_manifest(tenant="other"), "tenant other"),
        (a_manifest(recipes={}), "is broken"),
        (a_manifest(recipes={"A:B": {"files": []}}), "is broken"),
        (a_manifest(key="other/runs/7/out"), "does not belong to tenant default"),
        (a_manifest(key="default/../other/out"), "does not belong to tenant default"),
    ],
)
def test_a_manifest_that_is_not_this_runs_own_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(BatchRefused, match=reason):
        read(text)


def test_a_batch_with_fewer_lines_than_its_manifest_says_is_rejected() -> None:
    with pytest.raises(BatchRefused, match="have 1 lines, but the manifest says 2"):
        require_complete(read(a_manifest(rows=2)), some_counts(a_line()))


def test_a_batch_without_a_single_list_is_refused() -> None:
    with pytest.raises(BatchRefused, match="no list that can be used"):
        require_complete(read(a_manifest(rows=0)), some_counts())


def test_up_to_one_in_a_hundred_lines_may_have_errors() -> None:
    good = [a_line(user=str(number)) for number in range(99)]
    require_plausible(MANIFEST, some_counts(*good, b"{"), LIMITS, last_rows={})

    with pytest.raises(BatchRefused, match=r"2 of 100 lines .* line 99 of file.out is not JSON"):
        require_plausible(MANIFEST, some_counts(*good[:98], b"{", b"{"), LIMITS, last_rows={})


def test_a_recipe_may_not_lose_more_than_half_of_its_lists() -> None:
    counts = some_counts(*[a_line(user=str(number)) for number in range(5)])
    require_plausible(MANIFEST, counts, LIMITS, last_rows={"user-personalization": 10})

    with pytest.raises(BatchRefused, match="has 5 lists, fewer than 50% of the 11"):
        require_plausible(MANIFEST, counts, LIMITS, last_rows={"user-personalization": 11})


def test_a_recipe_whose_files_are_empty_has_lost_all_of_its_lists() -> None:
    recipes: dict[str, Any] = {"user-personalization": {"files": []}, "popularity": {"files": []}}
    manifest, counts = read(a_manifest(recipes=recipes)), some_counts(a_line())
    require_plausible(manifest, counts, LIMITS, last_rows={"user-personalization": 1})

    with pytest.raises(BatchRefused, match="popularity has 0 lists, fewer than 50% of the 7"):
        require_plausible(manifest, counts, LIMITS, last_rows={"popularity": 7})


def test_items_that_nobody_knows_are_refused_when_they_are_many() -> None:
    line = a_line(items=("a", "b", "c", "d", "e"))
    counts = some_counts(line, catalogue="abcd")
    require_plausible(MANIFEST, counts, LIMITS, last_rows={})

    with pytest.raises(BatchRefused, match="2 of the 5 items"):
        require_plausible(MANIFEST, some_counts(line, catalogue="abc"), LIMITS, last_rows={})


def test_a_list_loses_the_items_that_the_catalogue_does_not_have() -> None:
    line = a_line(items=("a", "invented", "b"))
    known = parse_line(line, "user-personalization", frozenset("ab"))
    no_catalogue = parse_line(line, "user-personalization")

    assert [item for item, _ in orjson.loads(known.items)] == ["a", "b"]
    assert known.unknown_ids == {"invented"}
    assert [item for item, _ in orjson.loads(no_catalogue.items)] == ["a", "invented", "b"]
