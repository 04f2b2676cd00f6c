"""bootstrap and keys: what a new installation gets, and how keys come and go."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.auth import decrypt, hash_key
from shared.settings import KafkaSettings
from tests.support.engine import bootstrap, call, engine_environment, run
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY

NO_KAFKA = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1")


@pytest.fixture
def environment(database: Database, s3: ObjectStore, tmp_path: Path) -> dict[str, str]:
    return engine_environment(database, s3, NO_KAFKA, tmp_path)


async def rows(database: Database, query: str, *arguments: Any) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(database.role_url("tracker"))
    try:
        return [dict(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


async def test_bootstrap_makes_a_tenant_that_the_other_services_can_see(
    database: Database, s3: ObjectStore, environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    done = run("services.engine", "bootstrap", "--keys", str(path), environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr

    keys = json.loads(path.read_text())
    assert set(keys) == {
        *("ingest", "read", "catalogue", "admin", "service"),
        *("tracking_id", "access_key_id", "secret_access_key"),
    }
    assert keys["service"] == SERVICE_KEY
    # One pair opens the object store and Endcap.
    assert (keys["access_key_id"], keys["secret_access_key"]) == (s3.access_key_id, s3.secret_access_key)
    [admin] = await rows(
        database, "SELECT * FROM engine.keys_v1 WHERE key_hash = $1", hash_key(keys["admin"])
    )
    assert (admin["tenant"], set(admin["scopes"])) == ("default", {"ingest", "read", "catalogue", "admin"})
    [pair] = await rows(database, "SELECT * FROM engine.aws_keys_v1")
    assert decrypt(pair["secret_encrypted"], SECRET_KEY) == keys["secret_access_key"]
    [tracker] = await rows(database, "SELECT * FROM engine.trackers_v1")
    assert (tracker["tenant"], tracker["tracking_id"]) == ("default", keys["tracking_id"])
    [account] = await rows(database, "SELECT * FROM engine.accounts_v1")
    assert (account["account"], account["tenant"]) == ("000000000000", "default")
    assert account["dataset_group_arn"].endswith(":dataset-group/default")
    buckets = {bucket["Name"] for bucket in s3.client().list_buckets()["Buckets"]}
    assert {"endcap-uploads", "endcap-data"} <= buckets


async def test_bootstrap_twice_changes_nothing(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    first = bootstrap(environment, path)

    second = bootstrap(environment, path)

    assert second == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(await rows(database, "SELECT * FROM engine.keys_v1")) == 5
    assert len(await rows(database, "SELECT * FROM engine.trackers_v1")) == 1


async def test_bootstrap_registers_the_keys_that_the_file_holds(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    known_keys = {
        "ingest": "ek_ingest_ours",
        "access_key_id": "ENDCOURS",
        "secret_access_key": "ours",
        "tracking_id": "our-tracker",
    }
    path.write_text(json.dumps(known_keys))

    keys = bootstrap(environment, path)

    assert known_keys.items() <= keys.items()
    assert await rows(
        database, "SELECT 1 FROM engine.keys_v1 WHERE key_hash = $1", hash_key("ek_ingest_ours")
    )
    assert [row["tracking_id"] for row in await rows(database, "SELECT * FROM engine.trackers_v1")] == [
        "our-tracker"
    ]


async def test_a_key_pair_of_the_trainers_own_is_registered_with_what_runs_need(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    own = {"TRAINER_AWS_ACCESS_KEY_ID": "endcap-trainer", "TRAINER_AWS_SECRET_ACCESS_KEY": "s" * 40}

    keys = bootstrap({**environment, **own}, tmp_path / "keys.json")

    pairs = await rows(database, "SELECT access_key_id, scopes, secret_encrypted FROM engine.aws_keys_v1")
    by_id = {pair["access_key_id"]: pair for pair in pairs}
    assert by_id.keys() == {keys["access_key_id"], "endcap-trainer"}
    assert set(by_id["endcap-trainer"]["scopes"]) == {"catalogue", "admin"}
    assert decrypt(by_id["endcap-trainer"]["secret_encrypted"], SECRET_KEY) == "s" * 40


async def test_the_tracker_is_announced(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    keys = bootstrap(environment, tmp_path / "keys.json")

    connection = await asyncpg.connect(database.url)
    try:
        [row] = await connection.fetch("SELECT * FROM engine.outbox")
    finally:
        await connection.close()
    assert (row["aggregatetype"], row["aggregateid"]) == ("trackers-v1", "default:default")
    assert json.loads(row["payload"])["tracking_id"] == keys["tracking_id"]


def test_an_object_store_that_stays_away_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    path = str(tmp_path / "keys.json")

    done = call(
        *("bootstrap", "--keys", path, "--wait", "1"),
        environment=environment | {"AWS_ENDPOINT_URL_S3": address},
    )

    assert done.returncode == 1
    assert "waiting for the object store" in done.stdout
    assert "bootstrap: The object store is not reachable" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_secret_key_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    del environment["ENDCAP_SECRET_KEY"]

    done = call("bootstrap", "--keys", str(tmp_path / "keys.json"), environment=environment)

    assert done.returncode == 1
    assert "ENDCAP_SECRET_KEY is not set" in done.stderr
    assert not (tmp_path / "keys.json").exists()


async def test_keys_are_made_listed_and_revoked(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    bootstrap(environment, tmp_path / "keys.json")

    def keys(*words: str) -> str:
        done = call("keys", *words, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    made = keys("create", "read", "--label", "dashboard", "--days", "30")
    pair = keys("create", "aws", "--account", "000000000001", "--label", "another account")

    listed = run("services.engine", "keys", "list", environment=environment).stdout
    assert made.startswith("ek_read_")
    assert made not in listed
    [line] = [line for line in listed.splitlines() if "dashboard" in line]
    identifier = line.split()[0]
    access_key_id = pair.splitlines()[0].removeprefix("AWS_ACCESS_KEY_ID=")
    assert access_key_id in listed
    keys("revoke", identifier)
    keys("revoke", access_key_id)
    assert not await rows(database, "SELECT 1 FROM engine.keys_v1 WHERE key_hash = $1", hash_key(made))
    [row] = await rows(database, "SELECT * FROM engine.aws_keys_v1 WHERE access_key_id = $1", access_key_id)
    assert not row["active"]


async def test_a_rotated_key_goes_on_until_its_users_have_changed_over(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    made = bootstrap(environment, tmp_path / "keys.json")

    def rotated(*words: str) -> str:
        done = call("keys", "rotate", *words, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    async def pairs() -> dict[str, tuple[bool, str]]:
        pairs = await rows(database, "SELECT * FROM engine.aws_keys_v1")
        return {row["access_key_id"]: (row["active"], row["account"]) for row in pairs}

    old = made["access_key_id"]
    new = rotated(old, "--hours", "24").splitlines()[0].removeprefix("AWS_ACCESS_KEY_ID=")
    assert await pairs() == {old: (True, "000000000000"), new: (True, "000000000000")}
    newest = rotated(new, "--hours", "0").splitlines()[0].removeprefix("AWS_ACCESS_KEY_ID=")
    assert await pairs() == {
        old: (True, "000000000000"),
        new: (False, "000000000000"),
        newest: (True, "000000000000"),
    }
    repeated = call("keys", "rotate", new, environment=environment)
    assert (repeated.returncode, "no active key" in repeated.stderr) == (1, True)

    [reader] = await rows(
        database, "SELECT id, scopes FROM engine.keys_v1 WHERE key_hash = $1", hash_key(made["read"])
    )
    key = rotated(reader["id"], "--hours", "1")
    [after] = await rows(database, "SELECT * FROM engine.keys_v1 WHERE key_hash = $1", hash_key(key))
    [before] = await rows(database, "SELECT * FROM engine.keys_v1 WHERE id = $1", reader["id"])
    assert key.startswith("ek_read_")
    assert (after["tenant"], after["scopes"]) == ("default", reader["scopes"])
    assert after["expires_at"] is None
    assert before["expires_at"] is not None


async def test_keys_have_origins_and_key_pairs_scopes_also_after_a_rotation(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    bootstrap(environment, tmp_path / "keys.json")

    def keys(*words: str) -> str:
        done = call("keys", *words, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    async def of_key(key: str) -> dict[str, Any]:
        [row] = await rows(database, "SELECT * FROM engine.keys_v1 WHERE key_hash = $1", hash_key(key))
        return row

    async def of_pair(printed: str) -> list[str]:
        identifier = printed.splitlines()[0].removeprefix("AWS_ACCESS_KEY_ID=")
        query = "SELECT scopes FROM engine.aws_keys_v1 WHERE access_key_id = $1"
        [row] = await rows(database, query, identifier)
        return list(row["scopes"])

    origins = ("--origin", "https://Shop.example/", "--origin", "http://localhost:3000")
    made = await of_key(keys("create", "storefront", *origins, "--require-origin"))
    rotated = await of_key(keys("rotate", made["id"]))
    pair = keys("create", "aws", "--scopes", "catalogue,ingest")
    pair_id = pair.splitlines()[0].removeprefix("AWS_ACCESS_KEY_ID=")

    for row in (made, rotated):
        assert row["scopes"] == ["ingest", "recommend"]
        assert row["allowed_origins"] == ["https://shop.example", "http://localhost:3000"]
        assert row["requires_origin"]
    assert "https://shop.example,http://localhost:3000" in keys("list")
    assert await of_pair(pair) == ["ingest", "catalogue"]
    assert await of_pair(keys("rotate", pair_id)) == ["ingest", "catalogue"]
    assert await of_pair(keys("create", "aws")) == ["ingest", "read", "catalogue", "admin"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "read", "--tenant", "nobody"), "There is no tenant nobody"),
        (("create", "aws", "--account", "12"), "is not an account"),
        (("create", "aws", "--origin", "https://shop.example"), "--origin is for the API keys of a tenant"),
        (("create", "ingest", "--require-origin"), "--require-origin needs --origin"),
        (("create", "storefront"), "name their origins"),
        (("create", "ingest", "--origin", "shop.example"), "is not an origin"),
        (("create", "ingest", "--scopes", "read"), "--scopes is for AWS key pairs"),
        (("revoke", "nothing"), "There is no active key nothing"),
    ],
)
def test_a_wrong_use_of_keys_is_explained(
    environment: dict[str, str], words: tuple[str, ...], sentence: str
) -> None:
    done = call("keys", *words, environment=environment)

    assert done.returncode == 1
    assert sentence in done.stderr


@pytest.mark.parametrize("words", [("bootstrap", "--help"), ("keys", "--help"), ("keys", "create", "--help")])
def test_every_command_explains_itself(environment: dict[str, str], words: tuple[str, ...]) -> None:
    done = call(*words, environment=environment)

    assert done.returncode == 0
    assert "usage: python -m services.engine" in done.stdout
