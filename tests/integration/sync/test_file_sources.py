"""Files of a folder and of a bucket that is tied to a tenant are imported once per version."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from services.sync.store import FilePlaces, Pulls, Sources
from services.sync.worker import FileRuns, Puller
from shared.errors import Permanent
from shared.settings import S3Settings
from tests.integration.sync.runs import a_run
from tests.integration.sync.shop import TENANT, Shop
from tests.integration.sync.uploads import a_notice
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY

CSV = "user_id,item_id,event_type,timestamp\nu1,i1,view,2026-11-01T00:00:00Z\n"
LINES = '{"user_id": "u2", "item_id": "i1", "event_type": "view", "timestamp": "2026-11-01T00:00:00Z"}\n'


class Runs:
    """A source of files, and its runs with the imports that they queue."""

    def __init__(self, shop: Shop, s3: ObjectStore, folder: Path | None) -> None:
        self.shop, self.sources, self.pulls = (
            shop,
            Sources(shop.pool, SecretStr(SECRET_KEY)),
            Pulls(shop.pool),
        )
        self.settings = S3Settings(
            aws_endpoint_url_s3=s3.endpoint,
            aws_region=s3.region,
            aws_access_key_id=s3.access_key_id,
            aws_secret_access_key=SecretStr(s3.secret_access_key),
            endcap_data_bucket=shop.files.data_bucket,
            endcap_uploads_bucket=shop.files.uploads_bucket,
        )
        places = FilePlaces(shop.pool, self.settings, None if folder is None else str(folder))
        runs = FileRuns(places, shop.imports, self.pulls, shop.files, max_bytes=10_000)
        self.puller = Puller(self.sources, self.pulls, runs, allow_internal=False)

    async def add(self, config: dict[str, Any], **secrets: str) -> None:
        whole = {"every_hours": 0.1, "full_every_days": 7} | config
        assert await self.sources.add(TENANT, "files", whole, secrets, enabled=True)

    async def run(self) -> list[tuple[str, str]]:
        """Run once; return the kind and the name of all imports so far."""
        (source,) = await self.sources.of_tenant(TENANT, "files")
        await self.puller.run(a_run(self.shop, source.id))
        rows = await self.shop.rows("SELECT id, kind, filename FROM imports ORDER BY filename, created_at")
        for row in rows:
            await self.shop.run(row["id"])
        return [(row["kind"], row["filename"]) for row in rows]


async def allow(database: Database, bucket: str, prefix: str) -> None:
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute(
            "INSERT INTO engine.bucket_grants (account, tenant, bucket, prefix, read_only) "
            "VALUES ('000000000000', $1, $2, $3, true)",
            TENANT,
            bucket,
            prefix,
        )
    finally:
        await connection.close()


async def test_a_bucket_of_the_shop_starts_imports_and_a_training(
    shop: Shop, s3: ObjectStore, database: Database
) -> None:
    client, name = s3.client(), f"shop-data-{shop.files.data_bucket[-12:]}"
    client.create_bucket(Bucket=name)
    runs = Runs(shop, s3, None)
    await runs.add({"kind": "bucket", "bucket": name, "prefix": "datasets/"})
    with pytest.raises(Permanent, match="buckets allow"):
        await runs.run()
    await allow(database, name, "datasets/")
    client.put_object(Bucket=name, Key="datasets/interactions.csv", Body=CSV.encode())
    client.put_object(Bucket=name, Key="datasets/interactions-2.jsonl.gz", Body=gzip.compress(LINES.encode()))
    client.put_object(Bucket=name, Key="datasets/readme.txt", Body=b"no")
    client.put_object(Bucket=name, Key="datasets/interactions-0.csv.gz", Body=b"\x1f\x8bdamaged")
    client.put_object(Bucket=name, Key="other/users.csv", Body=b"no")

    for _ in range(2):
        imported = await runs.run()

    assert imported == [("interactions", "interactions-2.jsonl.gz"), ("interactions", "interactions.csv")]
    events = await shop.published("interactions-v1")
    assert sorted(event["user_id"] for event in events) == ["u1", "u2"]
    assert await shop.published("training-requests-v1")
    client.put_object(Bucket=name, Key="datasets/interactions.csv", Body=(CSV + CSV.splitlines()[1]).encode())
    assert len(await runs.run()) == 3
    assert len(await shop.published("interactions-v1")) == 2


async def test_a_notice_of_a_bucket_makes_its_sources_due(shop: Shop, s3: ObjectStore) -> None:
    runs = Runs(shop, s3, None)
    await runs.add({"kind": "bucket", "bucket": "shop-data", "prefix": ""})
    await shop.pool.execute("UPDATE sources SET next_pull_at = now() + interval '1 hour'")

    await shop.handlers.objects_created([a_notice("shop-data", "users.csv")])

    assert await runs.pulls.begin_due() == 1


async def test_the_shared_buckets_are_no_sources(shop: Shop, s3: ObjectStore) -> None:
    runs = Runs(shop, s3, None)
    await runs.add({"kind": "bucket", "bucket": shop.files.data_bucket, "prefix": ""})

    with pytest.raises(Permanent, match="shared"):
        await runs.run()


async def test_a_folder_is_read_without_what_is_under_way_or_leads_out(
    shop: Shop, s3: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "secret").write_text(CSV)
    old = time.time() - 60
    for name in ("interactions.csv", "interactions-large.csv"):
        (tmp_path / "shop" / name).write_text(CSV if name == "interactions.csv" else CSV * 1_000)
        os.utime(tmp_path / "shop" / name, (old, old))
    (tmp_path / "shop" / "interactions-new.csv").write_text(CSV)
    (tmp_path / "shop" / "interactions-link.csv").symlink_to(tmp_path / "secret")
    runs = Runs(shop, s3, tmp_path)
    await runs.add({"kind": "folder", "path": "shop"})

    for _ in range(2):
        assert await runs.run() == [("interactions", "interactions.csv")]

    (source,) = await runs.sources.of_tenant(TENANT, "files")
    assert "interactions-large.csv" in source.pull_warnings[0]
    for path in ("../", "/etc", "none"):
        config = {"kind": "folder", "path": path, "every_hours": 1, "full_every_days": 7}
        await runs.sources.change(TENANT, "files", config, None, enabled=True)
        with pytest.raises(Permanent, match="SYNC_SOURCE_FOLDER"):
            await runs.run()
