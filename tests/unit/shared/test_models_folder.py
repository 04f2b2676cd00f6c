"""Ids that are found without a dictionary, and folders that are whole or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Permanent
from shared.models import (
    Attributes,
    Histories,
    Ids,
    Model,
    Neighbours,
    Scoring,
    ScoringComponent,
    SeenItems,
    fingerprint,
    load,
    save,
)


def model(users: int = 2, items: int = 3) -> Model:
    return Model(
        recipe="test",
        scoring=Scoring(kind="user", scored=True),
        items=Ids.of([f"item {number} ☕" for number in range(items)]),
        users=Ids.of([f"user {number}" for number in range(users)]),
        popularity=np.ones(items, np.float32),
        histories=Histories(
            np.zeros(users + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, np.int64)
        ),
        older=SeenItems(np.zeros(users + 1, np.int64), np.zeros(0, np.int32)),
        components=(
            ScoringComponent(
                "self",
                Neighbours(
                    np.arange(items + 1), np.arange(items, dtype=np.int32), np.ones(items, np.float32)
                ),
            ),
        ),
        notes={"why": "ünïcode"},
    )


@given(st.lists(st.text(), unique=True), st.text())
def test_ids_are_found_and_nothing_else(strings: list[str], other: str) -> None:
    ids = Ids.of(strings)
    assert ids.strings == strings
    assert [ids[number] for number in range(len(ids))] == strings
    assert [ids.find(text) for text in strings] == list(range(len(strings)))
    assert ids.find(other) == (strings.index(other) if other in strings else None)
    assert ids.find_all([*strings, other])[: len(strings)].tolist() == list(range(len(strings)))


def test_two_ids_of_one_digest_are_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Ids.of(["a", "b", "c"])
    alike = Ids(plain.text, plain.offsets, np.zeros(3, np.uint64), np.arange(3, dtype=np.int32))
    monkeypatch.setattr("shared.models.ids._digest", lambda _: 0)
    assert [alike.find(text) for text in "abcd"] == [0, 1, 2, None]
    assert alike.find_all(list("cadb")).tolist() == [2, 0, -1, 1]


def test_a_large_folder_is_mapped_not_read(tmp_path: Path) -> None:
    save(model(users=100_000), tmp_path)
    loaded = load(tmp_path)
    assert loaded.users.find("user 99999") == 99_999
    assert isinstance(loaded.users.digests.base, np.memmap)
    assert type(loaded.users.digests) is np.ndarray


def test_the_same_model_makes_the_same_bytes(tmp_path: Path) -> None:
    save(model(), tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")


def test_a_folder_from_before_there_were_kinds_of_tables_is_read(tmp_path: Path) -> None:
    save(model(), tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    for name in ("kind", "settings", "arrays"):
        del meta["parts"][0][name]
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    assert load(tmp_path).components[0].table.arrays().keys() == {"offsets", "items", "weights"}


def test_every_byte_and_name_counts_in_the_fingerprint(tmp_path: Path) -> None:
    save(model(), tmp_path)
    whole = fingerprint(tmp_path)
    (tmp_path / "popularity.npy").rename(tmp_path / "renamed.npy")
    renamed = fingerprint(tmp_path)
    (tmp_path / "renamed.npy").write_bytes(b"x")
    assert len({whole, renamed, fingerprint(tmp_path)}) == 3


def test_meta_says_what_the_arrays_are(tmp_path: Path) -> None:
    save(model(), tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text(encoding="utf-8"))
    assert meta["format"] == 2
    assert (meta["users"], meta["items"]) == (2, 3)
    assert meta["parts"] == [
        {
            "name": "self",
            "weight": 1.0,
            "decay": 1.0,
            "unit": "event",
            "kind": "neighbours",
            "settings": {},
            "arrays": ["items", "offsets", "weights"],
        }
    ]
    assert meta["notes"] == {"why": "ünïcode"}


def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="is not a whole model"):
        load(tmp_path)
    save(model(), tmp_path)
    (tmp_path / "items-text.npy").unlink()
    with pytest.raises(Permanent, match=r"is not a whole model.*items-text\.npy"):
        load(tmp_path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    save(model(), tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text(encoding="utf-8"))
    (tmp_path / "meta.json").write_text(json.dumps({**meta, "format": 3}), encoding="utf-8")
    with pytest.raises(Permanent, match="has format 3, this program reads formats up to 2"):
        load(tmp_path)


def test_a_model_without_anybody_answers(tmp_path: Path) -> None:
    save(model(users=0, items=0), tmp_path)
    empty = load(tmp_path)
    assert empty.recommend(user_id="x", item_id="y", history=[("z", "view", 1)], exclude={"z"}) == []
    assert list(empty.recommend_many(["x"], 5)) == [("x", [], [])]


def described() -> Model:
    return replace(
        model(users=2, items=3),
        item_attributes=Attributes.of(
            {
                "PRICE": np.array([1.5, np.nan, 3.0]),
                "GENRES": np.array(["a|ü", None, ""], object),
                "odd/../name": np.array([True, False, None], object),
            },
            {"PRICE": "float"},
        ),
        user_attributes=Attributes.of({"CITY": np.array(["Köln", "Łódź"], object)}),
        first_event_times=np.array([5, 0, 7]),
        newest_event_time=9,
    )


def test_attributes_travel_with_the_model(tmp_path: Path) -> None:
    save(described(), tmp_path)
    loaded = load(tmp_path)
    items = loaded.item_attributes
    assert list(items.columns) == ["PRICE", "GENRES", "odd/../name"]
    np.testing.assert_array_equal(items.values("PRICE"), [1.5, np.nan, 3.0])
    assert items.values("GENRES").tolist() == ["a|ü", None, None]
    assert items.values("odd/../name").tolist() == ["true", "false", None]
    assert items.values("nothing") is None
    assert items.kinds == {"PRICE": "float"}
    assert items.row(0) == {"PRICE": 1.5, "GENRES": "a|ü", "odd/../name": "true"}
    assert items.row(1) == {"odd/../name": "false"}
    assert loaded.user_attributes.row(1) == {"CITY": "Łódź"}
    assert (loaded.first_event_times.tolist(), loaded.newest_event_time) == ([5, 0, 7], 9)


def test_a_folder_of_the_first_format_is_still_read(tmp_path: Path) -> None:
    save(described(), tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    del meta["attributes"], meta["newest"]
    (tmp_path / "meta.json").write_text(json.dumps({**meta, "format": 1}))
    for file in [*tmp_path.glob("*-column*.npy"), tmp_path / "born.npy"]:
        file.unlink()
    loaded = load(tmp_path)
    assert loaded.item_attributes.columns == {}
    assert (len(loaded.first_event_times), loaded.newest_event_time) == (0, 0)
    assert loaded.items.strings == described().items.strings
