"""Keys that the engine stores, looked up through its views with another service's role."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import SecretStr

from shared.auth import Authenticator, AuthError
from shared.postgres import Database
from shared.settings import AuthSettings, PostgresSettings
from tests.support.signing import BODY, signed
from tests.support.stack import Database as OwnDatabase
from tests.support.tenants import SECRET_KEY, make_tenant


@pytest_asyncio.fixture
async def callers(database: OwnDatabase) -> AsyncIterator[Authenticator]:
    opened = Database(PostgresSettings(database_url=database.role_url("tracker")), "tracker")
    await opened.start()
    yield Authenticator(opened, AuthSettings(endcap_secret_key=SecretStr(SECRET_KEY)))
    await opened.stop()


async def test_keys_and_key_pairs_are_found(callers: Authenticator, database: OwnDatabase) -> None:
    tenant = await make_tenant(database, "shop", "123456789012")

    async def caller(headers: list[tuple[bytes, bytes]], body: bytes = b"") -> object:
        return await callers.authenticate(
            headers, method="POST", path="/events", query="", body=body, client_host="10.0.0.1"
        )

    ingest = await callers.authenticate(
        [(b"x-api-key", tenant.ingest.encode())], method="GET", path="/", query="", body=b"", client_host=None
    )
    _, _, headers = signed(access_key_id=tenant.access_key_id, secret=tenant.secret_access_key)

    assert (ingest.tenant, ingest.scopes) == ("shop", {"ingest"})
    pair = await callers.authenticate(
        headers, method="POST", path="/events", query="", body=BODY, client_host=None
    )
    assert (pair.tenant, pair.account) == (None, "123456789012")
    with pytest.raises(AuthError):
        await caller([(b"x-api-key", b"ek_ingest_unknown")])
    with pytest.raises(AuthError):
        await caller(headers, b"another body")
