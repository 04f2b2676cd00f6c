"""The control plane over a database of its own, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.settings import Settings
from services.engine.store.keys import Keys
from shared.aws import PageTokens
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.support.control_plane import ACCOUNT, STORE_KEY_ID
from tests.support.stack import Database as MigratedDatabase
from tests.support.tenants import SECRET_KEY


@pytest.fixture
async def store(database: MigratedDatabase) -> AsyncIterator[Database]:
    pool = Database(PostgresSettings(database_url=database.role_url("engine")), "engine")
    await pool.start()
    await Keys(pool).add_account(ACCOUNT)
    await Keys(pool).add_account("000000000001")
    await Keys(pool).add_pair(
        STORE_KEY_ID,
        "secret of the store",
        account=ACCOUNT,
        secret_key=SECRET_KEY,
        label="also of the object store",
        opens_store=True,
    )
    yield pool
    await pool.stop()


@pytest.fixture
def dispatcher(store: Database) -> OperationDispatcher:
    return OperationDispatcher(store, Settings(), PageTokens())
