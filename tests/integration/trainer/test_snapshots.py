"""A snapshot: the tenant's data at one moment, in Personalize's formats."""

from __future__ import annotations

import asyncio
import csv
import io
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from services.engine.computations import csv_reader
from services.engine.domain import schemas
from services.trainer.domain import EXCLUDED_TYPES, schema
from services.trainer.store import Upload
from services.trainer.store.files import PART_BYTES
from services.trainer.store.sql import SQL
from shared.errors import Transient
from shared.events.values import EARLIEST, LARGEST, LATEST
from tests.integration.trainer.conftest import NOON, Trainer

PREFIX = "default/runs/7/snapshot/"


async def taken(trainer: Trainer, **more: Any) -> dict[str, Any]:
    given = {"half_life_seconds": 30 * 86_400.0, "length": 100} | more
    return await trainer.snapshots.take("default", PREFIX, **given)


def rows(trainer: Trainer, name: str) -> list[dict[str, str]]:
    """The rows of a CSV file, read as the engine does."""
    reader = csv.DictReader(
        io.StringIO(trainer.text(f"{PREFIX}{name}.csv")), escapechar="\\", doublequote=False
    )
    return sorted(reader, key=lambda row: tuple(row.values()))


def ids(trainer: Trainer, name: str) -> set[str]:
    lines = trainer.text(f"{PREFIX}{name}.jsonl").splitlines()
    return {next(iter(orjson.loads(line).values())) for line in lines}


async def test_a_row_is_one_user_item_second_and_type(trainer: Trainer) -> None:
    for value in (1.5, 2.5):
        await trainer.happened("u1", "i1", value=value, occurred_at=NOON + timedelta(milliseconds=10 * value))
    await trainer.happened("u1", "i1", event_type="view")
    await trainer.happened(None, "i2", session_id="order:536365")
    await trainer.happened(None, "i3", session_id="s-1", event_type="view")
    await trainer.happened("u1", "i1", event_type="remove_from_cart")
    await trainer.happened("u1", "i1", event_type="impression")
    await trainer.happened("u1", None, event_type="search")
    await trainer.happened("u9", "i9", tenant="other")

    files = await taken(trainer)

    epoch = str(int(NOON.timestamp()))
    assert [tuple(row.values()) for row in rows(trainer, "interactions")] == [
        ("u1", "i1", epoch, "purchase", "2.5"),
        ("u1", "i1", epoch, "view", ""),
    ]
    assert files["interactions"].rows == 2
    assert files["interactions"].bytes == len(trainer.text(f"{PREFIX}interactions.csv"))


async def test_what_was_stored_without_a_bound_is_left_out_and_said(trainer: Trainer) -> None:
    """One value of 1e39, or of 1e-50, made every later snapshot fail; imports take these files."""
    for number, value in enumerate((1e39, 1.7e308, math.nan, 1e-50, -2.5)):
        await trainer.happened(f"u{number}", "i1", value=value)
    for year in (9999, 500):
        await trainer.happened("late", "i2", occurred_at=datetime(year, 6, 1, tzinfo=UTC))
    await trainer.item("i1", price=1e39, created_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    await trainer.item("i2", price=1e-50, created_at=datetime(1000, 1, 1, tzinfo=UTC))
    await trainer.item("i3", price=2.5, created_at=NOON, name="a" * 3)

    files = await taken(trainer)
    said = await trainer.snapshots.describe_excluded("default")

    assert {row["USER_ID"]: row["EVENT_VALUE"] for row in rows(trainer, "interactions")} == {
        "u0": "", "u1": "", "u2": "", "u3": "0", "u4": "-2.5"
    }  # fmt: skip
    assert [(row["PRICE"], row["CREATION_TIMESTAMP"]) for row in rows(trainer, "items")] == [
        ("", str(int(NOON.timestamp()))), ("0", "-30610224000"), ("2.5", str(int(NOON.timestamp())))
    ]  # fmt: skip
    assert files["popularity"].rows == 1
    years = "not between the years 1000 and 3000"
    assert said == [
        f"2 interactions are left out: their time is {years}",
        "3 interactions have a value beyond 1e+12; they count without it",
        "1 items have a price beyond 1e+12; they count without it",
        f"1 items have a creation time that is {years}; they count as of unknown age",
    ]
    for kind in ("INTERACTIONS", "ITEMS"):
        text = trainer.text(f"{PREFIX}{kind.lower()}.csv").encode()
        stream: Any = io.BufferedReader(io.BytesIO(text))  # type: ignore[type-var]
        assert list(csv_reader.batches(stream, schemas.parse(schema(kind)), "snapshot.csv"))


async def test_a_session_trains_as_the_user_who_first_logged_in_to_it(trainer: Trainer) -> None:
    await trainer.happened(None, "i1", session_id="s-1", event_type="view")
    await trainer.happened("u1", None, session_id="s-1", event_type="search", occurred_at=NOON + timedelta(1))
    await trainer.happened("u2", "i2", session_id="s-1", occurred_at=NOON + timedelta(2))
    await trainer.happened("u3", "i3", session_id="s-1", tenant="other")

    await taken(trainer)

    assert [(row["USER_ID"], row["ITEM_ID"]) for row in rows(trainer, "interactions")] == [
        ("u1", "i1"),
        ("u2", "i2"),
    ]


async def test_known_users_get_lists_and_guests_do_not(trainer: Trainer) -> None:
    await trainer.happened("u1", "i1", source="order")
    await trainer.happened(None, "i2", session_id="order:536365", source="order")
    await trainer.happened(None, "i2", session_id="s-1")
    await trainer.item("i3")
    await trainer.item("i4", available=False)

    files = await taken(trainer)

    assert ids(trainer, "user-ids") == {"u1"}
    assert ids(trainer, "item-ids") == {"i1", "i2", "i3"}
    assert (files["user-ids"].rows, files["item-ids"].rows) == (1, 3)


async def test_texts_keep_their_quotes_backslashes_and_line_ends(trainer: Trainer) -> None:
    name = 'a "wide", 5\\10\nset | ä'
    await trainer.happened("u1", 'i"1\\')
    await trainer.item('i"1\\', name=name, category="c" * 2000, price=2.5, created_at=NOON)
    await trainer.item("plain")
    await trainer.user("u1", city="Köln", country="Germany")
    await taken(trainer)

    first, second = rows(trainer, "items")
    assert (first["ITEM_ID"], first["ITEM_NAME"]) == ('i"1\\', name)
    assert (first["PRICE"], len(first["CATEGORY"])) == ("2.5", 1000)
    assert second["CREATION_TIMESTAMP"] == str(int(NOON.timestamp()))
    assert [tuple(row.values()) for row in rows(trainer, "users")] == [("u1", "Köln", "", "Germany")]
    assert ids(trainer, "item-ids") == {'i"1\\', "plain"}


async def popularity(trainer: Trainer, **more: Any) -> dict[str, dict[str, float]]:
    files = await taken(trainer, **more)
    written = await trainer.snapshots.popularity_lines(files["popularity"].key, "default/runs/7/lists.out")
    lines = [orjson.loads(line) for line in trainer.text("default/runs/7/lists.out").splitlines()]
    assert written.rows == len(lines)
    return {
        line["input"]["listId"]: dict(
            zip(line["output"]["recommendedItems"], line["output"]["scores"], strict=True)
        )
        for line in lines
    }


async def test_popularity_counts_users_and_not_events(trainer: Trainer) -> None:
    for _ in range(5):
        await trainer.happened("u1", "often")
    await trainer.happened("u1", "wide")
    await trainer.happened("u2", "wide")

    assert (await popularity(trainer))["all"] == {"wide": 2.0, "often": 1.0}


async def test_popularity_decays_from_the_newest_interaction(trainer: Trainer) -> None:
    await trainer.happened("u1", "new")
    await trainer.happened("u1", "old", occurred_at=NOON - timedelta(days=30))
    await trainer.happened("u1", "ancient", occurred_at=NOON - timedelta(days=36_500))

    lists = await popularity(trainer)

    assert lists["all"] == {"new": 1.0, "old": 0.5, "ancient": 0.0}
    assert list(lists["all"]) == ["new", "old", "ancient"]


async def test_popularity_is_known_by_place_and_category(trainer: Trainer) -> None:
    await trainer.item("i1", category='Tea "green"')
    await trainer.item("gone", available=False)
    await trainer.user("u2", city="Paris", country="France")
    await trainer.happened("u1", "i1", country="Germany", province="Bayern", city="München")
    await trainer.happened("u2", "i1")
    await trainer.happened("u2", "gone")

    assert await popularity(trainer) == {
        "all": {"i1": 2.0},
        'category:Tea "green"': {"i1": 2.0},
        "city:München": {"i1": 1.0},
        "city:Paris": {"i1": 1.0},
        "country:France": {"i1": 1.0},
        "country:Germany": {"i1": 1.0},
        "province:Bayern": {"i1": 1.0},
    }


async def test_no_plan_of_a_snapshot_compares_each_row_with_each_other(trainer: Trainer) -> None:
    """Without statistics, as after a first import, the popularity of 95,000 interactions took minutes."""
    rows: dict[str, Any] = {"tenant": "default", "excluded": list(EXCLUDED_TYPES)}
    times = {"earliest": EARLIEST, "latest": LATEST}
    statements = (
        SQL.interactions_csv(**rows, **times, largest=LARGEST, stored_since=EARLIEST),
        SQL.items_csv(tenant="default", **times, largest=LARGEST),
        SQL.users_csv(tenant="default"),
        SQL.popularity_csv(half_life_seconds=86_400.0, length=100, categories=10, **rows, **times),
        SQL.user_ids(**rows),
        SQL.item_ids(**rows),
        SQL.excluded_rows(**rows, **times, largest=LARGEST),
    )
    plans = []
    async with trainer.database.transaction("repeatable_read", readonly=True) as connection:
        await connection.execute(*SQL.configure_snapshot())
        for query, *values in statements:
            lines = await connection.fetch(f"EXPLAIN {query}", *values)
            plans.append("\n".join(line[0] for line in lines))

    assert [plan for plan in plans if "Nested Loop" in plan] == []
    assert any("Join" in plan for plan in plans)


async def test_a_list_has_only_its_best(trainer: Trainer) -> None:
    for number in range(5):
        for user in range(number + 1):
            await trainer.happened(f"u{user}", f"i{number}")

    assert (await popularity(trainer, length=2))["all"] == {"i4": 5.0, "i3": 4.0}


async def test_a_snapshot_of_nothing_says_so(trainer: Trainer) -> None:
    files = await taken(trainer)

    assert {name: file.rows for name, file in files.items()} == dict.fromkeys(files, 0)


async def test_a_large_file_is_sent_in_parts_and_summed_up(trainer: Trainer) -> None:
    line = b"x" * 999 + b"\n"
    async with trainer.files.upload("default/runs/7/large") as upload:
        for _ in range(3 * PART_BYTES // 1000):
            await upload.write(line)
        written = await upload.finish(3 * PART_BYTES // 1000)

    described = await trainer.files.describe("default/runs/7/large")
    assert described == written
    assert written.bytes > 2 * PART_BYTES


async def half_an_upload(trainer: Trainer) -> Upload:
    upload = trainer.files.upload("default/runs/7/cut")
    await upload.write(b"x" * (PART_BYTES + 1))
    return upload


async def test_an_upload_that_is_cut_off_is_not_there_and_can_be_cleared(trainer: Trainer) -> None:
    await half_an_upload(trainer)  # and its process dies

    assert await trainer.files.keys("default/runs/7/") == []
    await trainer.files.abort_uploads("default/runs/7/")
    uploads = trainer.client.list_multipart_uploads(Bucket=trainer.bucket, Prefix="default/runs/7/")
    assert uploads.get("Uploads", []) == []


async def test_a_run_that_breaks_off_leaves_no_upload(trainer: Trainer) -> None:
    with pytest.raises(RuntimeError, match="the power is out"):
        async with await half_an_upload(trainer):
            raise RuntimeError("the power is out")

    uploads = trainer.client.list_multipart_uploads(Bucket=trainer.bucket, Prefix="default/runs/7/")
    assert uploads.get("Uploads", []) == []


async def test_files_go_with_their_run_and_no_other(trainer: Trainer) -> None:
    for run in (7, 77):
        await trainer.files.put_json(f"default/runs/{run}/_manifest.json", {"run": run})
    await trainer.files.delete("default/runs/7/")

    assert await trainer.files.get_json("default/runs/7/_manifest.json") is None
    assert await trainer.files.get_json("default/runs/77/_manifest.json") == {"run": 77}


async def test_an_object_store_that_is_away_is_tried_again_later(trainer: Trainer) -> None:
    trainer.client.meta.events.register("before-send.s3", lambda **_: (_ for _ in ()).throw(OSError("away")))

    with pytest.raises(Transient, match="broke off"):
        await asyncio.wait_for(trainer.files.keys("default/"), 60)
