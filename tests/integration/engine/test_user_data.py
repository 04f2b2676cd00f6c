"""The export of a person's data finds the rows of every service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson
import pytest

from services.engine.store import user_data
from services.engine.store.copies import Copies
from shared.kafka import DeadLetter, Place
from shared.kafka.records import Record
from shared.postgres import Database
from tests.support.stack import Database as MigratedDatabase

ROWS = """
INSERT INTO tracker.interactions (
    tenant, event_id, user_id, session_id, event_type, source, occurred_at, received_at, historical,
    fingerprint
)
SELECT tenant, event_id, user_id, session_id, 'view', 'events', now(), now(), false, 1 FROM (VALUES
    ('shop', 'e1', 'u1', 's1'), ('shop', 'e2', NULL, 's1'), ('shop', 'e3', 'u2', 's2'),
    ('shop', 'e4', NULL, 's2'), ('other', 'e5', 'u1', 's1')
) AS events (tenant, event_id, user_id, session_id);
INSERT INTO tracker.event_conflicts (tenant, event_id, fingerprint, event) VALUES
    ('shop', 'e1', 2, '{"user_id": "u1"}'), ('shop', 'e3', 2, '{"user_id": "u2"}');
INSERT INTO sync.orders (
    tenant, kind, order_id, unified_customer_id, ordered_at, line_count, content, source
) VALUES
    ('shop', 'order', '1', 'u1', now(), 1, 'x', 'endcap'),
    ('shop', 'order', '2', 'u2', now(), 1, 'x', 'endcap');
INSERT INTO recommender.overrides (tenant, user_id, item_id, score, expires_at)
VALUES ('shop', 'u1', 'i1', 1, now());
INSERT INTO router.exposed_units (tenant, experiment, version, unit, variant, first_at) VALUES
    ('shop', 'e', 1, 's1', 'a', now()), ('shop', 'e', 1, 'u2', 'a', now());
INSERT INTO trainer.runs (run, tenant, status, reasons, started_at, files_removed_at) VALUES
    (1, 'shop', 'completed', '{}', now(), now()), (2, 'shop', 'completed', '{}', now(), NULL),
    (3, 'shop', 'failed', '{}', now(), NULL), (4, 'other', 'completed', '{}', now(), NULL);
INSERT INTO analytics.logins (tenant, session_id, user_id, seen_at) VALUES ('shop', 's1', 'u1', now());
"""


@dataclass
class Letters:
    """Dead letters of the tenant, without Kafka."""

    values: list[bytes] = field(default_factory=list)

    async def newest(self, _: str, __: int) -> tuple[list[Any], bool]:
        return [Listed(letter(value)) for value in self.values], True


@dataclass
class Listed:
    letter: DeadLetter


def letter(value: bytes) -> DeadLetter:
    return DeadLetter(
        Place("interactions-v1-tracker-dlq", 0, 1), None, "tracker", "shop", 0, Record(b"", value), {}, 1
    )


@pytest.fixture
async def rows(database: MigratedDatabase) -> None:
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute(ROWS)
    finally:
        await connection.close()


@pytest.mark.usefixtures("rows")
async def test_the_rows_of_a_user_and_of_the_users_sessions_are_data(store: Database) -> None:
    letters = Letters([orjson.dumps({"user_id": "u1"}), orjson.dumps({"user_id": "u12"}), b"\xff", b""])

    data = await user_data.collect(store, letters, "shop", "u1")

    assert data.sessions == ["s1"]
    assert {name: len(rows) for name, rows in sorted(data.stores.items())} == {
        "analytics.logins": 1,
        "dead_letters": 1,
        "recommender.overrides": 1,
        "router.exposed_units": 1,
        "sync.orders": 1,
        "tracker.event_conflicts": 1,
        "tracker.events": 2,
    }
    assert {row["event_id"] for row in data.stores["tracker.events"]} == {"e1", "e2"}
    assert data.is_complete


@pytest.mark.usefixtures("rows")
async def test_an_export_has_a_limit(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_data, "MAX_ROWS", 2)

    data = await user_data.collect(store, Letters(), "shop", "u1")

    assert (sum(map(len, data.stores.values())), data.is_complete) == (2, False)


@pytest.mark.usefixtures("rows")
async def test_runs_whose_files_have_all_users_are_counted(store: Database) -> None:
    away = "http://127.0.0.1:9"

    counts = [await Copies(store, away, away, 5.0).count(tenant, "u1", {}) for tenant in ("shop", "new")]

    assert [each.runs["runs_with_files"] for each in counts] == [2, 0]
    assert [(each.redis, each.lake) for each in counts] == [(None, None)] * 2
