"""What the items of a tenant take: nothing twice, nothing long in memory, nothing of what is gone."""

from __future__ import annotations

import errno
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.recommender.domain import catalogue as module
from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.facts import Value
from services.recommender.domain.shapes import MOST_SHAPES, Shapes
from services.recommender.store.overflow import Overflow

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LONG = {f"column{n}": "x" * 100 for n in range(300)}


def put(catalogue: Catalogue, item: str, minute: int = 0, **facts: Value) -> None:
    name, price = facts.get("name"), facts.get("price")
    catalogue.put(
        item,
        None if name is None else str(name),
        None if price is None else float(price),
        available=True,
        as_of=NOW + timedelta(minutes=minute),
        facts=facts,
    )


@pytest.fixture
def overflow(tmp_path: Path) -> Overflow:
    return Overflow(tmp_path / "models")


@pytest.mark.parametrize("available", [True, False])
@pytest.mark.parametrize(
    "facts",
    [
        {"name": "Cup", "price": 2.5, "category": "tea|green"},
        {"name": "Cup", "price": 0.0},
        {"name": "an attribute's", "price": "dear"},
        {"category": "tea"},
        {},
    ],
)
def test_facts_are_what_was_put(facts: dict[str, Value], *, available: bool) -> None:
    shop = Catalogue()
    name = "Cup" if facts.get("name") == "Cup" else None
    price = facts["price"] if isinstance(facts.get("price"), float) else None

    shop.put("a", name, price, available=available, as_of=NOW, facts=facts)  # type: ignore[arg-type]

    assert shop.facts("a") == facts
    assert {key: shop.fact("a", (key,)) for key in facts} == facts
    assert (shop.facts("unknown"), shop.fact("unknown", ("price",)), shop.fact("a", ("colour",))) == (
        {},
        None,
        None,
    )


def test_long_facts_are_read_from_the_file_and_their_room_is_used_again(overflow: Overflow) -> None:
    shop = Catalogue(overflow)
    for minute in range(20):
        put(shop, "long", minute, **LONG, version=float(minute))
        put(shop, "short", minute, category="tea")

    assert shop.facts("long") == {**LONG, "version": 19.0}
    assert shop.facts("short") == {"category": "tea"}
    assert shop.memory_bytes < 2_000
    held = overflow.held_bytes
    assert held > 30_000
    assert overflow._end <= 2 * 65_536  # the old and the new state at once, never twenty of them
    shop.remove("long")
    assert (overflow.held_bytes, shop.facts("long")) == (0, {})


def test_pieces_of_the_file_never_overlap(overflow: Overflow) -> None:
    chance = random.Random(3)
    held: list[tuple[int, bytes]] = []
    for _ in range(2_000):
        if held and chance.random() < 0.45:
            offset, content = held.pop(chance.randrange(len(held)))
            assert overflow.get(offset, len(content)) == content
            overflow.drop(offset, len(content))
        else:
            content = chance.randbytes(chance.randint(1, 5_000))
            offset = overflow.put(content) or 0
            held.append((offset, content))
    assert all(overflow.get(offset, len(content)) == content for offset, content in held)
    assert overflow.held_bytes == sum(len(content) for _, content in held)


def test_a_full_disk_leaves_long_facts_in_memory(overflow: Overflow, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    shop = Catalogue(overflow)
    monkeypatch.setattr(os, "pwrite", full)

    put(shop, "a", **LONG)

    assert shop.facts("a") == LONG
    assert overflow.held_bytes == 0


def test_columns_have_their_names_once_and_made_up_ones_do_not_stay() -> None:
    shapes = Shapes()
    packed = shapes.pack({"category": "tea", "price": 2.0})
    assert b"category" not in packed
    assert shapes.unpack(packed) == {"category": "tea", "price": 2.0}

    for n in range(MOST_SHAPES + 50):
        own = {f"made-up-{n}": float(n)}
        assert shapes.unpack(shapes.pack(own)) == own
    assert shapes.unpack(shapes.pack(LONG)) == LONG  # type: ignore[arg-type]
    assert len(shapes._names) == MOST_SHAPES
    assert shapes.unpack(packed) == {"category": "tea", "price": 2.0}


def test_removed_items_take_no_memory_and_are_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMOVED", 100)
    monkeypatch.setattr(module, "REBUILD_AT", 10)
    shop = Catalogue()
    for n in range(1_000):
        put(shop, f"item {n}", category="tea")
    put(shop, "stays", category="tea", price=2.0)
    before = shop.version

    for n in range(1_000):
        shop.remove(f"item {n}")

    assert (len(shop), shop.version) == (1, before + 1_000)
    assert shop.facts("stays") == {"category": "tea", "price": 2.0}
    assert shop.memory_bytes == pytest.approx(module.ENTRY_BYTES + 110, abs=40)
    assert len(shop._cards) == 101
    assert [shop.withheld(item) for item in ("item 999", "item 900", "stays")] == [True, True, False]
    assert shop.allowed([("item 999", 1.0), ("stays", 0.5)], set(), 5) == [("stays", 0.5)]


def test_an_item_that_comes_back_is_shown_again() -> None:
    shop = Catalogue()
    put(shop, "a", category="tea")
    shop.remove("a")
    shop.remove("a")

    put(shop, "a", 1, category="bolt")

    assert (shop.withheld("a"), shop.facts("a"), len(shop), shop._removed) == (
        False, {"category": "bolt"}, 1, {},
    )  # fmt: skip
