"""The memory of a tenant's items: nothing twice, nothing long, nothing of removed items."""

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
from services.recommender.domain.properties import PropertyValue
from services.recommender.domain.property_codec import MAX_NAME_SETS, PropertyCodec
from services.recommender.store.spill_file import SpillFile

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LONG = {f"column{n}": "x" * 100 for n in range(300)}


def put(catalogue: Catalogue, item: str, minute: int = 0, **properties: PropertyValue) -> None:
    name, price = properties.get("name"), properties.get("price")
    catalogue.put(
        item,
        None if name is None else str(name),
        None if price is None else float(price),
        available=True,
        as_of=NOW + timedelta(minutes=minute),
        properties=properties,
    )


@pytest.fixture
def spill_file(tmp_path: Path) -> SpillFile:
    return SpillFile(tmp_path / "models")


@pytest.mark.parametrize("available", [True, False])
@pytest.mark.parametrize(
    "properties",
    [
        {"name": "Cup", "price": 2.5, "category": "tea|green"},
        {"name": "Cup", "price": 0.0},
        {"name": "an attribute's", "price": "dear"},
        {"category": "tea"},
        {},
    ],
)
def test_properties_are_returned_as_they_were_put(
    properties: dict[str, PropertyValue], *, available: bool
) -> None:
    shop = Catalogue()
    name = "Cup" if properties.get("name") == "Cup" else None
    price = properties["price"] if isinstance(properties.get("price"), float) else None

    shop.put("a", name, price, available=available, as_of=NOW, properties=properties)  # type: ignore[arg-type]

    assert shop.properties("a") == properties
    assert {key: shop.property_value("a", (key,)) for key in properties} == properties
    assert (
        shop.properties("unknown"),
        shop.property_value("unknown", ("price",)),
        shop.property_value("a", ("colour",)),
    ) == (
        {},
        None,
        None,
    )


def test_long_properties_are_in_the_file_and_their_space_is_reused(spill_file: SpillFile) -> None:
    shop = Catalogue(spill_file)
    for minute in range(20):
        put(shop, "long", minute, **LONG, version=float(minute))
        put(shop, "short", minute, category="tea")

    assert shop.properties("long") == {**LONG, "version": 19.0}
    assert shop.properties("short") == {"category": "tea"}
    assert shop.memory_bytes < 2_000
    held = spill_file.held_bytes
    assert held > 30_000
    assert spill_file._end <= 2 * 65_536  # the old and the new state at once, never twenty of them
    shop.remove("long")
    assert (spill_file.held_bytes, shop.properties("long")) == (0, {})


def test_blocks_of_the_file_never_overlap(spill_file: SpillFile) -> None:
    rng = random.Random(3)
    held: list[tuple[int, bytes]] = []
    for _ in range(2_000):
        if held and rng.random() < 0.45:
            offset, content = held.pop(rng.randrange(len(held)))
            assert spill_file.get(offset, len(content)) == content
            spill_file.drop(offset, len(content))
        else:
            content = rng.randbytes(rng.randint(1, 5_000))
            offset = spill_file.put(content) or 0
            held.append((offset, content))
    assert all(spill_file.get(offset, len(content)) == content for offset, content in held)
    assert spill_file.held_bytes == sum(len(content) for _, content in held)


def test_a_full_disk_leaves_long_properties_in_memory(
    spill_file: SpillFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    shop = Catalogue(spill_file)
    monkeypatch.setattr(os, "pwrite", full)

    put(shop, "a", **LONG)

    assert shop.properties("a") == LONG
    assert spill_file.held_bytes == 0


def test_sets_of_names_are_stored_once_and_up_to_a_limit() -> None:
    codec = PropertyCodec()
    encoded = codec.encode({"category": "tea", "price": 2.0})
    assert b"category" not in encoded
    assert codec.decode(encoded) == {"category": "tea", "price": 2.0}

    for n in range(MAX_NAME_SETS + 50):
        own = {f"made-up-{n}": float(n)}
        assert codec.decode(codec.encode(own)) == own
    assert codec.decode(codec.encode(LONG)) == LONG  # type: ignore[arg-type]
    assert len(codec._names) == MAX_NAME_SETS
    assert codec.decode(encoded) == {"category": "tea", "price": 2.0}


def test_removed_items_release_memory_and_are_withdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMOVED_ITEMS", 100)
    monkeypatch.setattr(module, "COMPACT_AFTER_REMOVALS", 10)
    shop = Catalogue()
    for n in range(1_000):
        put(shop, f"item {n}", category="tea")
    put(shop, "stays", category="tea", price=2.0)
    before = shop.version

    for n in range(1_000):
        shop.remove(f"item {n}")

    assert (len(shop), shop.version) == (1, before + 1_000)
    assert shop.properties("stays") == {"category": "tea", "price": 2.0}
    assert shop.memory_bytes == pytest.approx(module.ENTRY_BYTES + 110, abs=40)
    assert len(shop._prefixes) == 101
    assert [shop.is_withdrawn(item) for item in ("item 999", "item 900", "stays")] == [True, True, False]
    assert shop.visible([("item 999", 1.0), ("stays", 0.5)], set(), 5) == [("stays", 0.5)]


def test_an_item_that_is_put_after_its_removal_is_shown() -> None:
    shop = Catalogue()
    put(shop, "a", category="tea")
    shop.remove("a")
    shop.remove("a")

    put(shop, "a", 1, category="bolt")

    assert (shop.is_withdrawn("a"), shop.properties("a"), len(shop), shop._removed) == (
        False, {"category": "bolt"}, 1, {},
    )  # fmt: skip
