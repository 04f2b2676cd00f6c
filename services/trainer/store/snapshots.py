"""Snapshots of the data of a tenant, as files in the object store."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from services.trainer.domain import EXCLUDED_TYPES, SIMILAR, TOGETHER, StoredFile
from services.trainer.store.sql import SQL
from shared.events.values import EARLIEST, LARGEST, LATEST

if TYPE_CHECKING:
    from services.trainer.store.files import Files
    from shared.postgres import Connection, Database

IDS_PER_FETCH = 10_000
LISTS_PER_FETCH = 1_000
COPY_SECONDS = 4 * 3600.0
MAX_CATEGORIES = 2_000
"""Categories that have a popularity list, the most popular ones. Arbitrary: a fifth of the lists that a
recommender keeps in memory."""

_TOGETHER = {"most_items": 50, "least_common": 2, "shrinkage": 10}
"""Bounds of baskets and pairs. The shrinkage is that of similar items, the others are arbitrary.

A pair in one basket is chance, and a basket of 51 items has 2,550 pairs.
"""

LATE = timedelta(minutes=1)
"""The time within which a transaction that stores interactions is committed. Arbitrary."""

MAX_NEW_ITEMS = 20_000
"""New items that get lists in one run, so that a new catalogue does not take hours. Arbitrary."""

_TIMES = {"earliest": EARLIEST, "latest": LATEST}

_TEXT_COLUMNS = {
    "interactions": ["USER_ID", "ITEM_ID", "EVENT_TYPE"],
    "items": ["ITEM_ID", "ITEM_NAME", "CATEGORY"],
    "users": ["USER_ID", "CITY", "PROVINCE", "COUNTRY"],
    "popularity": ["list", "item_id"],
}
"""Columns of each file that are quoted, so that COPY escapes their backslashes."""


@dataclass(frozen=True, slots=True)
class OverlayScope:
    """The scope of a run that computes some lists: for users and items without one in generation `base`.

    With a `vip_share` above 0 that share of the customers, by what they spent in the `window_days` before the
    newest purchase, is in it, too. `last_import` is the time of the newest snapshot that was imported, and
    `length` the number of items in a list.
    """

    base: int
    vip_share: float
    window_days: int
    last_import: datetime
    length: int


@dataclass(frozen=True, slots=True)
class OverlayCounts:
    """The numbers of users and items whose lists are in an overlay; a user may be valuable and new."""

    vip_users: int
    new_users: int
    new_items: int


class Snapshots:
    """Writes snapshots in the formats of Personalize, from one REPEATABLE READ transaction over the views."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database = database
        self._files = files

    async def take(
        self,
        tenant: str,
        prefix: str,
        *,
        half_life_seconds: float,
        length: int,
        together_length: int = 25,
        categories: int = MAX_CATEGORIES,
    ) -> dict[str, StoredFile]:
        """Write all files of a snapshot below `prefix`, as of the same moment, and return them by name.

        The `categories` most popular ones have a popularity list, each of at most `length` items. The lists
        of items bought together, of at most `together_length` items, are in the format of batch jobs.
        """
        rows: dict[str, Any] = {"tenant": tenant, "excluded": list(EXCLUDED_TYPES)}
        popular = {
            "half_life_seconds": half_life_seconds,
            "length": length,
            "categories": categories,
            **rows,
            **_TIMES,
        }
        taken: dict[str, StoredFile] = {}
        async with self._database.transaction("repeatable_read", readonly=True) as connection:
            await connection.execute(*SQL.configure_snapshot())
            for name, statement in (
                (
                    "interactions",
                    SQL.interactions_csv(**rows, **_TIMES, largest=LARGEST, stored_since=EARLIEST),
                ),
                ("items", SQL.items_csv(tenant=tenant, **_TIMES, largest=LARGEST)),
                ("users", SQL.users_csv(tenant=tenant)),
                ("popularity", SQL.popularity_csv(**popular)),
            ):
                taken[name] = await self._csv(connection, f"{prefix}{name}.csv", name, statement)
            for name, member, statement in (
                ("user-ids", "userId", SQL.user_ids(**rows)),
                ("item-ids", "itemId", SQL.item_ids(**rows)),
            ):
                taken[name] = await self._ids(connection, f"{prefix}{name}.jsonl", member, statement)
            together = SQL.bought_together(tenant=tenant, length=together_length, **_TOGETHER, **_TIMES)
            taken[TOGETHER] = await self._lines(connection, f"{prefix}{TOGETHER}.jsonl", together)
        return taken

    async def take_overlay(
        self, tenant: str, prefix: str, scope: OverlayScope
    ) -> tuple[dict[str, StoredFile], OverlayCounts]:
        """Write the files of a run that computes some lists, as of the same moment; return them by name.

        These are the interactions stored since the last import, the users to score, and the lists of new
        items, in the format of batch jobs.
        """
        rows: dict[str, Any] = {"tenant": tenant, "excluded": list(EXCLUDED_TYPES)}
        users = SQL.overlay_user_ids(
            **rows, base=scope.base, share=scope.vip_share, window_days=scope.window_days, largest=LARGEST
        )
        lists = SQL.new_item_lists(
            **rows,
            base=scope.base,
            length=scope.length,
            most_items=MAX_NEW_ITEMS,
            shrinkage=_TOGETHER["shrinkage"],
        )
        statement = SQL.interactions_csv(
            **rows, **_TIMES, largest=LARGEST, stored_since=scope.last_import - LATE
        )
        taken: dict[str, StoredFile] = {}
        async with self._database.transaction("repeatable_read", readonly=True) as connection:
            await connection.execute(*SQL.configure_snapshot())
            taken["interactions"] = await self._csv(
                connection, f"{prefix}interactions.csv", "interactions", statement
            )
            members = await connection.fetch(*users, timeout=COPY_SECONDS)
            taken[SIMILAR] = await self._lines(connection, f"{prefix}{SIMILAR}.jsonl", lists)
        async with self._files.upload(f"{prefix}user-ids.jsonl") as upload:
            for row in members:
                await upload.write(orjson.dumps({"userId": row["id"]}) + b"\n")
            taken["user-ids"] = await upload.finish(len(members))
        counts = OverlayCounts(
            vip_users=sum(row["is_vip"] for row in members),
            new_users=sum(row["is_new"] for row in members),
            new_items=taken[SIMILAR].rows,
        )
        return taken, counts

    async def describe_excluded(self, tenant: str) -> list[str]:
        """Return a sentence for each kind of value that a snapshot excludes.

        Values out of bounds were stored before there were bounds, so their number does not grow.
        """
        bounds = {"largest": LARGEST, "excluded": list(EXCLUDED_TYPES), **_TIMES}
        async with self._database.transaction("repeatable_read", readonly=True) as connection:
            await connection.execute(*SQL.configure_snapshot())
            row = await connection.fetchrow(*SQL.excluded_rows(tenant=tenant, **bounds), timeout=COPY_SECONDS)
        assert row is not None
        years = f"not between the years {EARLIEST.year} and {LATEST.year}"
        sentences = {
            "interactions": f"interactions are left out: their time is {years}",
            "unknown_items": "events are left out: the catalogue does not have their items",
            "interaction_values": f"interactions have a value beyond {LARGEST:g}; they count without it",
            "item_prices": f"items have a price beyond {LARGEST:g}; they count without it",
            "item_times": f"items have a creation time that is {years}; they count as of unknown age",
        }
        return [f"{row[name]} {sentence}" for name, sentence in sentences.items() if row[name]]

    async def _csv(
        self, connection: Connection, key: str, name: str, statement: tuple[Any, ...]
    ) -> StoredFile:
        """COPY a query to a CSV file that escapes quotes and backslashes as Personalize expects."""
        async with self._files.upload(key) as upload:
            tag = await connection.copy_from_query(
                *statement,
                output=upload.write,
                timeout=COPY_SECONDS,
                format="csv",
                header=True,
                escape="\\",
                force_quote=_TEXT_COLUMNS[name],
            )
            return await upload.finish(int(tag.split()[-1]))

    async def _ids(
        self, connection: Connection, key: str, member: str, statement: tuple[Any, ...]
    ) -> StoredFile:
        """Write the input of a batch inference job: JSON Lines with one id each."""
        rows = 0
        async with self._files.upload(key) as upload:
            cursor = await connection.cursor(*statement, timeout=COPY_SECONDS)
            while chunk := await cursor.fetch(IDS_PER_FETCH, timeout=COPY_SECONDS):
                lines = [orjson.dumps({member: row["id"]}) + b"\n" for row in chunk]
                await upload.write(b"".join(lines))
                rows += len(chunk)
            return await upload.finish(rows)

    async def _lines(self, connection: Connection, key: str, statement: tuple[Any, ...]) -> StoredFile:
        """Write the lists of items, one row each, as a batch inference job does."""
        rows = 0
        async with self._files.upload(key) as upload:
            cursor = await connection.cursor(*statement, timeout=COPY_SECONDS)
            while chunk := await cursor.fetch(LISTS_PER_FETCH, timeout=COPY_SECONDS):
                lines = [
                    orjson.dumps(
                        {
                            "input": {"itemId": row["id"]},
                            "output": {"recommendedItems": row["items"], "scores": row["scores"]},
                            "error": None,
                        }
                    )
                    + b"\n"
                    for row in chunk
                ]
                await upload.write(b"".join(lines))
                rows += len(chunk)
            return await upload.finish(rows)

    async def popularity_lines(self, snapshot_key: str, key: str) -> StoredFile:
        """Convert the popularity rows of a snapshot to batch output, and return the file."""
        rows = 0
        async with self._files.upload(key) as upload:
            async for name, items, scores in self._lists(snapshot_key):
                line = {
                    "input": {"listId": name},
                    "output": {"recommendedItems": items, "scores": scores},
                    "error": None,
                }
                await upload.write(orjson.dumps(line) + b"\n")
                rows += 1
            return await upload.finish(rows)

    async def _lists(self, key: str) -> AsyncIterator[tuple[str, list[str], list[float]]]:
        """Yield (list, items, scores) of rows that are sorted by list."""
        text = b"".join([chunk async for chunk in self._files.chunks(key)]).decode()
        reader = csv.DictReader(io.StringIO(text), escapechar="\\", doublequote=False)
        current: str | None = None
        items: list[str] = []
        scores: list[float] = []
        for row in reader:
            if row["list"] != current:
                if current is not None:
                    yield current, items, scores
                current, items, scores = row["list"], [], []
            items.append(row["item_id"])
            scores.append(float(row["score"]))
        if current is not None:
            yield current, items, scores
