"""`keys create --expires`: until when a key is accepted."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from shared.auth import hash_key
from shared.settings import KafkaSettings
from tests.support.engine import bootstrap, call, engine_environment
from tests.support.stack import Database, ObjectStore

NO_KAFKA = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1")


@pytest.fixture
def environment(database: Database, s3: ObjectStore, tmp_path: Path) -> dict[str, str]:
    return engine_environment(database, s3, NO_KAFKA, tmp_path)


async def test_a_key_expires_when_its_creator_said(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    bootstrap(environment, tmp_path / "keys.json")

    def create(*words: str) -> subprocess.CompletedProcess[str]:
        return call("keys", "create", *words, environment=environment)

    key = create("read", "--expires", "7d").stdout.strip()
    timed = create("admin", "--label", "timed", "--expires", "2100-02-03T04:05:00+02:00")
    refused = [create("read", "--expires", "yesterday"), create("aws", "--expires", "7d")]

    connection = await asyncpg.connect(database.role_url("tracker"))
    try:
        query = "SELECT expires_at FROM engine.keys_v1 WHERE key_hash = $1"
        expires_at = await connection.fetchval(query, hash_key(key))
    finally:
        await connection.close()
    assert timedelta(days=6, hours=23) < expires_at - datetime.now(UTC) <= timedelta(days=7)
    assert timed.returncode == 0, timed.stderr
    listed = call("keys", "list", environment=environment).stdout
    [line] = [line for line in listed.splitlines() if "timed" in line]
    assert "2100-02-03 02:05" in line
    assert [each.returncode for each in refused] == [2, 1]
    assert "neither a duration" in refused[0].stderr
