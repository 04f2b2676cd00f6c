"""Pools, notices and migrations over TLS, to a Postgres that refuses every other connection."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.components.postgres import ADMINISTRATOR
from deploy.local.ports import Ports
from deploy.local.stack import Stack
from shared.postgres import Database, migrate
from shared.settings import PostgresSettings
from tests.support.certificates import Certificates, make_certificates
from tests.support.folders import stack_folder
from tests.support.kafka import running
from tests.support.waiting import eventually

MIGRATION = "CREATE TABLE jobs (id int)"


@pytest.fixture(scope="module")
def secured() -> Iterator[tuple[str, Certificates]]:
    """The administrator's address of a server that accepts TLS only, and its certificates."""
    with stack_folder("tls") as folder:
        stack = Stack(folder, Ports.free(), {}, durable=False)
        stack.launch(["postgres"], ends_with_caller=True)
        try:
            stack.start("postgres")
            certificates = make_certificates(folder / "certificates")
            asyncio.run(_require_tls(stack.postgres_admin, certificates))
            yield stack.postgres_admin, certificates
        finally:
            stack.stop()


async def _require_tls(address: str, certificates: Certificates) -> None:
    connection = await asyncpg.connect(address)
    cluster = Path(await connection.fetchval("SHOW data_directory"))
    for source, name in ((certificates.certificate, "server.crt"), (certificates.key, "server.key")):
        shutil.copy(source, cluster / name)
        (cluster / name).chmod(0o600)
        if os.getuid() == 0:
            shutil.chown(cluster / name, ADMINISTRATOR)
    rules = cluster / "pg_hba.conf"
    rules.write_text("hostnossl all all all reject\n" + rules.read_text())
    await connection.execute("ALTER SYSTEM SET ssl = on")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()

    async def is_required() -> bool:
        try:
            await (await asyncpg.connect(address, ssl=False)).close()
        except asyncpg.InvalidAuthorizationSpecificationError:
            return True
        return False

    await eventually(is_required)


def settings(secured: tuple[str, Certificates], **changes: str) -> PostgresSettings:
    address, certificates = secured
    return PostgresSettings.model_validate(
        {
            "database_url": address,
            "database_ssl_mode": "verify-full",
            "database_ca_file": str(certificates.authority),
            **changes,
        }
    )


async def test_pools_and_notices_use_tls(secured: tuple[str, Certificates]) -> None:
    database = Database(settings(secured), "public")
    async with running(database):
        assert await database.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        notice = database.notices("jobs")
        await eventually(lambda: notice.heard)


async def test_migrations_use_tls(secured: tuple[str, Certificates], tmp_path: Path) -> None:
    (tmp_path / "0001_pre_jobs.sql").write_text(MIGRATION)

    assert await migrate(settings(secured).secured_url, "tracker", tmp_path) == ["0001_pre_jobs.sql"]


async def test_a_server_of_an_unknown_authority_is_refused(
    secured: tuple[str, Certificates], tmp_path: Path
) -> None:
    other = make_certificates(tmp_path).authority
    database = Database(settings(secured, database_ca_file=str(other)), "public")
    async with running(database):
        with pytest.raises(ssl.SSLCertVerificationError):
            await database.fetchval("SELECT 1")


@pytest.mark.parametrize("place", ["setting", "address"])
async def test_without_tls_the_server_refuses(secured: tuple[str, Certificates], place: str) -> None:
    plain = {"database_ssl_mode": "disable"}
    if place == "address":  # whose parameters override the settings
        plain = {"database_url": f"{secured[0]}?sslmode=disable"}
    database = Database(settings(secured, **plain), "public")
    async with running(database):
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await database.fetchval("SELECT 1")
