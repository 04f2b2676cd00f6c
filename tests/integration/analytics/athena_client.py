"""A client of Athena and Glue, whose tenant has four interactions of now."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
from asgi_lifespan import LifespanManager
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from services.analytics import app
from services.analytics.domain.lake_tables import BY_NAME
from shared.events import InteractionRecorded
from shared.kafka import Positioned
from shared.settings import AuthSettings
from tests.support.stack import Database as OwnDatabase
from tests.support.stack import ObjectStore
from tests.support.tenants import SECRET_KEY, Tenant, make_tenant
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.integration.analytics.conftest import Analytics

EVENTS = (
    ("ann", "purchase", "i1"),
    ("ann", "view", "i2"),
    ("bob", "purchase", "i1"),
    ("ann", "purchase", "i2"),
)


@dataclass
class Client:
    """Calls operations, signed with a tenant's key pair, as an SDK does."""

    http: httpx.AsyncClient
    tenant: Tenant
    s3: Any
    bucket: str
    environment: dict[str, str]
    """Variables of another process of the service."""

    async def send(self, target: str, **body: Any) -> httpx.Response:
        scope = "glue" if target.startswith("AWSGlue") else "athena"
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": target}
        url = f"{self.http.base_url}/"
        request = AWSRequest("POST", url, headers=headers, data=json.dumps(body))
        pair = Credentials(self.tenant.access_key_id, self.tenant.secret_access_key)
        SigV4Auth(pair, scope, "eu-west-1").add_auth(request)
        return await self.http.post("/", content=json.dumps(body), headers=dict(request.headers.items()))

    async def athena(self, operation: str, **body: Any) -> dict[str, Any]:
        answer = await self.send(f"AmazonAthena.{operation}", **body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def finished(self, query: str, **more: Any) -> dict[str, Any]:
        """Start a query and return it when it has ended."""
        started = await self.athena("StartQueryExecution", QueryString=query, **more)
        return await self.ended(started["QueryExecutionId"])

    async def ended(self, identifier: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.athena("GetQueryExecution", QueryExecutionId=identifier)
                execution: dict[str, Any] = answer["QueryExecution"]
                if execution["Status"]["State"] not in {"QUEUED", "RUNNING"}:
                    return execution
                await asyncio.sleep(0.2)

    async def rows(self, identifier: str, **more: Any) -> list[list[str | None]]:
        answer = await self.athena("GetQueryResults", QueryExecutionId=identifier, **more)
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in answer["ResultSet"]["Rows"]]


@asynccontextmanager
async def athena_client(
    analytics: Analytics, database: OwnDatabase, s3: ObjectStore, bucket: str
) -> AsyncIterator[Client]:
    """Yield a client of the service in this process."""
    # The key pair of the tenant is the object store's too, as with `make run`.
    pair = (s3.access_key_id, s3.secret_access_key)
    tenant = await make_tenant(database, "athena", "000000000077", pair=pair)
    now = datetime.now(UTC)
    events = [
        InteractionRecorded(
            event_id=f"e{number}",
            tenant=tenant.name,
            occurred_at=now,
            received_at=now,
            user_id=user,
            event_type=kind,
            item_id=item,
        )
        for number, (user, kind, item) in enumerate(EVENTS)
    ]
    records = [Positioned(each, 3, number) for number, each in enumerate(events)]
    await analytics.writer.write(BY_NAME["interactions"], records)
    settings = analytics.settings.model_copy(
        update={
            "auth": AuthSettings(endcap_secret_key=SECRET_KEY),
            "s3": analytics.settings.s3.model_copy(update={"endcap_uploads_bucket": bucket}),
        }
    )
    environment = {
        **database.environment,
        **s3.environment,
        "ENDCAP_DATA_BUCKET": bucket,
        "ENDCAP_UPLOADS_BUCKET": bucket,
        "ENDCAP_SECRET_KEY": SECRET_KEY,
    }
    service = app.build(settings)
    async with (
        LifespanManager(service),
        httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://analytics") as http,
    ):
        yield Client(http, tenant, s3.client(), bucket, environment)
