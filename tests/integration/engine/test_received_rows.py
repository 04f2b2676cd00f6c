"""What trains along with imported rows: events of the tracker, and what was put about items and users."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import pyarrow.parquet as pq
import pytest

from services.engine.computations.model_training import ignored_values
from services.engine.domain import schemas
from services.engine.jobs.received_rows import write_training_files
from services.engine.store import deleted_users
from services.engine.training.recipes import RECIPES, Dataset
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.support.stack import Database as MigratedDatabase

SECOND = 1_700_000_000
ITEMS = schemas.Schema(
    (
        schemas.Column("PRICE", "float"),
        schemas.Column("ITEM_ID", "string"),
        schemas.Column("CATEGORY_L1", "string", categorical=True),
        schemas.Column("CREATION_TIMESTAMP", "long", nullable=True),
        schemas.Column("PURCHASE_COUNT", "int"),
    )
)
INTERACTIONS = schemas.Schema(
    (
        *(schemas.Column(name, "string") for name in ("USER_ID", "ITEM_ID", "EVENT_TYPE")),
        schemas.Column("TIMESTAMP", "long"),
        schemas.Column("DAY_PART", "string", nullable=True, categorical=True),
        schemas.Column("NOTE", "string", nullable=True),
    )
)
USERS = schemas.Schema((schemas.Column("USER_ID", "string"), schemas.Column("CITY", "string")))


@pytest.fixture
async def store(database: MigratedDatabase) -> AsyncIterator[Database]:
    pool = Database(PostgresSettings(database_url=database.role_url("engine")), "engine")
    await pool.start()
    yield pool
    await pool.stop()


@pytest.fixture
async def shop(database: MigratedDatabase) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(database.url)
    yield connection
    await connection.close()


async def happened(
    shop: asyncpg.Connection[Any],
    user: str | None,
    item: str | None,
    *,
    session: str | None = None,
    second: int = SECOND,
    source: str = "personalize",
    received: int | None = None,
) -> None:
    await shop.execute(
        "INSERT INTO tracker.interactions (tenant, event_id, user_id, session_id, item_id, event_type, "
        "source, occurred_at, received_at, historical, fingerprint) "
        "VALUES ('t', $1, $2, $3, $4, 'view', $5, to_timestamp($6), coalesce(to_timestamp($7), now()), "
        "false, 0)",
        uuid.uuid4().hex,
        user,
        session,
        item,
        source,
        second + 0.9,
        received,
    )


async def collected(
    store: Database, folder: Path, *, sessions: bool = False, **known: schemas.Schema
) -> dict[str, Any]:
    files = await write_training_files(store, "t", known, folder, sessions=sessions)
    return {kind: pq.read_table(path).to_pylist() for kind, path in files.items()}


async def test_a_session_trains_as_the_user_who_first_logged_in_to_it(
    store: Database, shop: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    await happened(shop, None, "i1", session="s-1")
    await happened(shop, "ann", None, session="s-1", second=SECOND + 5)
    await happened(shop, "bob", "i2", session="s-1", second=SECOND + 9)
    await happened(shop, None, "i3", session="s-2")
    await happened(shop, "ann", "i4", source="import")

    rows = (await collected(store, tmp_path))["INTERACTIONS"]

    assert {(row["USER_ID"], row["ITEM_ID"], row["TIMESTAMP"]) for row in rows} == {
        ("ann", "i1", SECOND),
        ("bob", "i2", SECOND + 9),
    }


async def test_an_event_of_a_clock_that_is_ahead_does_not_train_after_a_deletion(
    store: Database, shop: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    await happened(shop, "ann", "i1", second=SECOND + 240, received=SECOND)
    await happened(shop, "ann", "i2", second=SECOND + 240, received=SECOND + 240)
    await happened(shop, "bob", "i1", second=SECOND + 240, received=SECOND)
    users = ["ann", "bob"]
    assert await deleted_users.count_received(store, "t", users) == 3

    await shop.execute(
        "INSERT INTO engine.deleted_users (tenant, user_id, deleted_at) "
        "VALUES ('t', 'ann', to_timestamp($1))",
        SECOND + 60,
    )

    for known in ({}, {"INTERACTIONS": INTERACTIONS}):
        rows = (await collected(store, tmp_path, **known))["INTERACTIONS"]
        assert {(row["USER_ID"], row["ITEM_ID"]) for row in rows} == {("ann", "i2"), ("bob", "i1")}
    assert await deleted_users.count_received(store, "t", users) == 2


async def test_a_session_without_a_user_trains_for_recipes_of_sessions_alone(
    store: Database, shop: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    """Sessions that never log in were users of every model, and so of its segments."""
    for second in range(3):
        await happened(shop, None, "i1", session="null", second=SECOND + second)

    schemas_known: tuple[dict[str, Any], ...] = ({}, {"INTERACTIONS": INTERACTIONS})
    for known in schemas_known:
        assert "INTERACTIONS" not in await collected(store, tmp_path, **known)
        rows = (await collected(store, tmp_path, sessions=True, **known))["INTERACTIONS"]
        assert [row["USER_ID"] for row in rows] == ["null"] * 3
    assert {recipe.name for recipe in RECIPES.values() if recipe.trains_sessions} == {"endcap-session"}

    await happened(shop, "ann", None, session="null", second=SECOND + 5)
    assert {row["USER_ID"] for row in (await collected(store, tmp_path))["INTERACTIONS"]} == {"ann"}


async def test_an_event_brings_what_its_properties_say_of_the_datasets_columns(
    store: Database, shop: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    await happened(shop, "ann", "i1")
    await happened(shop, "bob", "i2")
    await shop.execute(
        'UPDATE tracker.interactions SET properties = \'{"dayPart": "morning", "note": "a"}\' '
        "WHERE user_id = 'ann'"
    )

    rows = (await collected(store, tmp_path, INTERACTIONS=INTERACTIONS))["INTERACTIONS"]

    assert {(row["USER_ID"], row["DAY_PART"]) for row in rows} == {("ann", "morning"), ("bob", None)}
    assert all("NOTE" not in row for row in rows), "only categorical columns tell circumstances"


async def test_values_that_were_stored_without_a_bound_train_as_none(
    store: Database, shop: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    """1e39 is infinite in 32 bits; the interaction counts, and its value is reported as left out."""
    for number, value in enumerate((1e39, -1.7e308, 1e13, float("nan"), 1e-50, 2.5)):
        await happened(shop, f"u{number}", "i1")
        await shop.execute(
            "UPDATE tracker.interactions SET value = $1 WHERE user_id = $2", value, f"u{number}"
        )
    await shop.execute(
        "INSERT INTO sync.items (tenant, item_id, category, price, attributes) VALUES "
        "('t', 'i1', 'tea', 1e39, '{}'), ('t', 'i2', 'tea', 1e-50, '{}')"
    )

    files = await write_training_files(store, "t", {"ITEMS": ITEMS}, tmp_path)
    dataset = Dataset.from_arrow(pq.read_table(files["INTERACTIONS"]), pq.read_table(files["ITEMS"]))

    assert len(dataset) == 6
    assert np.nan_to_num(dataset.values, nan=-1).tolist() == [-1, -1, -1, -1, 0, 2.5]
    assert np.nan_to_num(dataset.item_columns["PRICE"], nan=-1).tolist() == [-1, 0]
    assert ignored_values(dataset.dropped_values) == [
        "3 interactions have an EVENT_VALUE beyond 1e+12; they count without it."
    ]


async def test_what_was_put_is_in_the_schemas_columns(
    store: Database, shop: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    await shop.execute(
        "INSERT INTO sync.items (tenant, item_id, category, price, created_at, attributes) VALUES "
        "('t', 'i1', 'tea', 2.5, to_timestamp($1), '{\"purchaseCount\": \"7\"}'), ('t', 'i2', NULL, NULL, "
        "NULL, '{\"purchase_count\": \"many\"}'), ('u', 'i3', NULL, 1, NULL, '{}')",
        SECOND,
    )
    await shop.execute("INSERT INTO sync.users (tenant, user_id, city) VALUES ('t', 'ann', 'Köln')")

    found = await collected(store, tmp_path, ITEMS=ITEMS, USERS=USERS)

    assert sorted(found["ITEMS"], key=lambda row: str(row["ITEM_ID"])) == [
        {
            "PRICE": 2.5,
            "ITEM_ID": "i1",
            "CATEGORY_L1": "tea",
            "CREATION_TIMESTAMP": SECOND,
            "PURCHASE_COUNT": 7,
        },
        {
            "PRICE": None,
            "ITEM_ID": "i2",
            "CATEGORY_L1": None,
            "CREATION_TIMESTAMP": None,
            "PURCHASE_COUNT": None,
        },
    ]
    assert found["USERS"] == [{"USER_ID": "ann", "CITY": "Köln"}]
    assert "INTERACTIONS" not in found


async def test_a_column_that_was_put_comes_before_the_field_that_it_stands_for(
    store: Database, shop: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    schema = schemas.Schema(
        (
            schemas.Column("ITEM_ID", "string"),
            schemas.Column("PRICE", "string", nullable=True),
            schemas.Column("CREATION_TIMESTAMP", "long", nullable=True),
            schemas.Column("IN_STOCK", "int", nullable=True),
            schemas.Column("AVAILABLE", "string", nullable=True),
            schemas.Column("CATEGORY_L1", "string", nullable=True),
            schemas.Column("PRODUCT_CATEGORY", "string", nullable=True),
        )
    )
    await shop.execute(
        "INSERT INTO sync.items (tenant, item_id, category, price, available, attributes) VALUES "
        "('t', 'i1', 'tea', 2.5, true, $1)",
        '{"price": "2.50", "creationTimestamp": 1700000000000, "inStock": 7, "available": "Y"}',
    )

    found = await collected(store, tmp_path, ITEMS=schema)

    assert list(found["ITEMS"][0].values()) == ["i1", "2.50", None, 7, "Y", "tea", None]


async def test_without_a_dataset_nothing_says_which_columns_there_are(
    store: Database, shop: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    await shop.execute("INSERT INTO sync.items (tenant, item_id) VALUES ('t', 'i1')")

    assert await collected(store, tmp_path) == {}
