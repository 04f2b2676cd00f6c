"""A recommender with real components and no other services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.postgres import migrate
from shared.settings import KafkaSettings
from tests.component.recommender.world import World

if TYPE_CHECKING:
    from tests.support.stack import Components, PostgresServer


@pytest.fixture(scope="session")
async def views(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Yield the name of a template database with the schemas that the recommender reads."""
    with postgres_server.database() as database:
        for service in ("engine", "tracker", "sync", "loader", "recommender", "router"):
            await migrate(database.url, service, Path("services") / service / "migrations")
        yield database.url.rpartition("/")[2]


@pytest.fixture
async def world(
    postgres_server: PostgresServer, views: str, redis_url: str, kafka_settings: KafkaSettings, tmp_path: Path
) -> AsyncIterator[World]:
    """Yield a new database, Redis database and tenant."""
    with postgres_server.database(template=views) as database:
        world = World(database, redis_url, kafka_settings, tmp_path / "models")
        yield world
        await world.withdraw_campaigns()


@pytest.fixture(scope="module")
async def module_world(
    components: Components,
    postgres_server: PostgresServer,
    views: str,
    kafka_settings: KafkaSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    """Yield a database, Redis database and tenant that the tests of one module share."""
    with (
        postgres_server.database(template=views) as database,
        components.redis_database() as redis_url,
    ):
        world = World(database, redis_url, kafka_settings, tmp_path_factory.mktemp("module") / "models")
        yield world
        await world.withdraw_campaigns()
