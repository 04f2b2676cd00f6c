"""Reports on a real Postgres: computed by a job from sync's orders, read over HTTP, erased with a user."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from pydantic import SecretStr

from services.analytics import app
from services.analytics.domain.report_set import reports_of
from services.analytics.domain.selections import Selection
from services.analytics.settings import Settings
from services.analytics.store import OrderReports
from services.analytics.store.order_reports import JOB
from services.analytics.store.sql import SQL
from services.analytics.worker import ReportComputation
from shared.jobs import JobWorker
from shared.postgres import Database
from shared.settings import AuthSettings, PostgresSettings
from tests.support.shop_dashboard import REPORTS, Read, headers, missing, rows
from tests.support.stack import Database as OwnDatabase
from tests.support.tenants import SECRET_KEY, Tenant, make_tenant
from tests.support.waiting import PATIENCE, eventually
from tests.unit.analytics.order_rows import lines_of, made_up_rows

ROWS = made_up_rows(120)


@dataclass
class Shop:
    """A tenant with orders, the job worker, and a client of the HTTP process."""

    tenant: Tenant
    database: Database
    reports: OrderReports
    jobs: JobWorker
    http: httpx.AsyncClient

    async def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of an answer, which must be 200."""
        answer = await self.http.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def add_orders(connection: asyncpg.Connection, tenant: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Store rows as sync does; each item is one line of its order."""
    orders = {row["order_id"]: row for row in rows}
    await connection.execute(
        "INSERT INTO sync.sources (id, tenant, name, kind, config) VALUES ($1, $1, 'erp', 'erp', '{}')",
        tenant,
    )
    await connection.executemany(
        "INSERT INTO sync.orders (tenant, kind, order_id, unified_customer_id, customer_name, city, "
        "province, ordered_at, line_count, content, source, source_id, status, bought) "
        "VALUES ($1, 'order', $2, $3, $4, $5, $6, $7, 1, '', 'erp', $8, $9, $10)",
        [
            (
                tenant, named(row), row["user_id"], row["customer_name"], row["city"], row["province"],
                row["ordered_at"], None if row["channel"] == "historical" else tenant, row["status"],
                row["is_bought"],
            )
            for row in orders.values()
        ],
    )  # fmt: skip
    await connection.executemany(
        "INSERT INTO sync.order_items (tenant, kind, order_id, product_id, n, product_name, category, price, "
        "quantity, ordered_at) VALUES ($1, 'order', $2, $3, 1, $4, $5, $6, $7, $8)",
        [
            (
                tenant, named(row), row["item_id"], row["name"], row["category"], row["price"],
                row["quantity"], row["ordered_at"],
            )
            for row in rows
        ],
    )  # fmt: skip


def named(row: Mapping[str, Any]) -> str:
    """The id of an order; an ERP's stores have a prefix of their own."""
    return f"pos-{row['order_id']}" if row["channel"] == "pos" else str(row["order_id"])


def expected(selection: Selection) -> dict[str, Any]:
    """The reports of the rows, as the domain computes them."""
    lines = lines_of(row | {"order_id": named(row)} for row in ROWS)
    today = datetime.now(UTC).date()
    return reports_of(lines.only(lines.mask_of(selection, today)), today)


@pytest_asyncio.fixture(scope="module")
async def shop(module_database: OwnDatabase) -> AsyncIterator[Shop]:
    settings = Settings(
        postgres=PostgresSettings(database_url=module_database.role_url("analytics")),
        auth=AuthSettings(endcap_secret_key=SecretStr(SECRET_KEY)),
    )
    tenant = await make_tenant(module_database, f"t-{uuid.uuid4().hex[:8]}")
    connection = await asyncpg.connect(module_database.url)
    await add_orders(connection, tenant.name, ROWS)
    await connection.close()
    database, serving = Database(settings.postgres, "analytics"), app.build(settings)
    reports = OrderReports(database)
    jobs = JobWorker(database, {JOB: ReportComputation(reports, settings).run})
    async with AsyncExitStack() as started:
        await database.start()
        started.push_async_callback(database.stop)
        await jobs.start()
        started.push_async_callback(jobs.stop)
        lifespan = LifespanManager(serving, startup_timeout=PATIENCE, shutdown_timeout=PATIENCE)
        await started.enter_async_context(lifespan)
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(serving),
            base_url="http://analytics",
            headers={"authorization": f"Bearer {tenant.read}"},
        )
        await started.enter_async_context(http)
        await reports.ask_for_all(tenant.name, "run:1")

        async def outcome() -> Any:
            return await database.fetchrow("SELECT status, error FROM jobs WHERE finished_at IS NOT NULL")

        assert tuple(await eventually(outcome, "the reports of a run")) == ("done", None)
        yield Shop(tenant, database, reports, jobs, http)


async def test_the_collaborative_reports_are_those_of_the_orders(shop: Shop) -> None:
    reports = expected(Selection())
    pairs = await shop.get("analytics/collaborative-pairs", time_filter="all", limit=5, offset=2)
    products = await shop.get("analytics/collaborative-products", time_filter="all", limit=500)
    customers = await shop.get("analytics/customer-similarity", time_filter="all", limit=3)
    metrics = await shop.get("analytics/collaborative-metrics", time_filter="all")
    graph = await shop.get("analytics/co-purchase-graph", time_filter="all", limit=7)

    assert pairs["pairs"] == reports["collaborative-pairs"].rows[2:7]
    assert (pairs["total_count"], pairs["next_offset"]) == (reports["collaborative-pairs"].total, 7)
    assert pairs["summary"] == reports["collaborative-pairs"].summary
    assert (products["products"], products["next_offset"]) == (reports["collaborative-products"].rows, None)
    assert customers["customers"] == reports["customer-similarity"].rows[:3]
    assert {name: metrics[name] for name in reports["collaborative-metrics"].summary} == reports[
        "collaborative-metrics"
    ].summary
    assert (len(graph["edges"]), graph["total_edges"]) == (7, reports["co-purchase-graph"].total)
    assert {edge["source"] for edge in graph["edges"]} <= {node["id"] for node in graph["nodes"]}


async def test_a_selection_that_nobody_asked_for_before_is_computed_by_the_worker(shop: Shop) -> None:
    chosen = {
        "time_filter": "2025-01-01:2026-06-30", "category": "C1,c2", "province": "punjab",
        "order_source": "pos",
    }  # fmt: skip

    answer = await shop.get("analytics/collaborative-products", **chosen, limit=50)

    selection = Selection.of("2025-01-01:2026-06-30", "c1,c2", "Punjab", None, "pos")
    report = expected(selection)["collaborative-products"]
    assert 0 < answer["total_count"] == report.total
    assert answer["products"] == report.rows[:50]
    assert await shop.reports.asked_selections(shop.tenant.name) == [selection.key]
    nobody = await shop.get("analytics/collaborative-products", city="Nowhere")
    assert (nobody["products"], nobody["total_count"]) == ([], 0)


@pytest.mark.parametrize(
    "parameters",
    [
        {"order_source": "fax"},
        {"time_filter": "2026-02-01:2026-01-01"},
        {"time_filter": "2026-02-31:2026-03-01"},
    ],
)
async def test_selections_that_can_not_be(shop: Shop, parameters: dict[str, str]) -> None:
    answer = await shop.http.get("/api/v1/analytics/collaborative-metrics", params=parameters)

    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidRequest")


NO_ROWS = {"analytics/customers/at-risk"}
"""Reports that these orders have no rows for; a unit test has them."""


def parameters_of(read: Read) -> tuple[str, dict[str, str]]:
    """The path below /api/v1 and the parameters of a request."""
    path, _, query = read.path.partition("?")
    return path, dict(parse_qsl(query, keep_blank_values=True))


@pytest.mark.parametrize("read", REPORTS, ids=lambda read: read.path.partition("?")[0])
async def test_a_shops_dashboard_finds_the_members_that_it_reads(shop: Shop, read: Read) -> None:
    path, parameters = parameters_of(read)
    answer = await shop.get(path, **parameters | {"time_filter": "custom"})

    assert not list(missing(answer, read.members))
    assert not list(missing(answer, read.needed))
    if path not in NO_ROWS:
        assert all(rows(answer, read.members).values())


async def test_no_member_that_a_page_needs_is_missing_in_a_shop_without_orders(
    shop: Shop, module_database: OwnDatabase
) -> None:
    nobody = await make_tenant(module_database, f"t-{uuid.uuid4().hex[:8]}")
    credentials = headers(nobody.read)
    queued = await shop.http.post("/api/v1/ml/precompute", headers=credentials)
    repeated = await shop.http.post("/api/v1/ml/precompute", headers=credentials)
    for read in REPORTS:
        answer = await shop.http.get(f"/api/v1/{read.path}", headers=credentials)

        assert answer.status_code == 200, read.path
        assert not list(missing(answer.json(), read.needed)), read.path
        assert not any(rows(answer.json(), read.members).values()), read.path

    assert (queued.status_code, queued.json()["status"]) == (202, "queued")
    assert repeated.json()["status"] == "running"


async def test_the_city_and_the_cohorts_of_orders(shop: Shop) -> None:
    city = await shop.get("analytics/geographic/city-performance/lahore")
    elsewhere = await shop.http.get("/api/v1/analytics/geographic/city-performance/nowhere")
    cohorts = await shop.get("analytics/cohorts")

    assert city["city"] == "Lahore"
    assert city["total_orders"] > 0
    assert elsewhere.status_code == 404
    assert cohorts["cohorts"][0].keys() >= {"cohort", "customers", "retention"}


async def test_a_login_answers_the_read_key_that_is_its_password(shop: Shop) -> None:
    async def login(password: str) -> httpx.Response:
        body = {"email": "ann@shop.example", "password": password}
        return await shop.http.post("/api/v1/auth/login", json=body, headers={"authorization": "Bearer null"})

    accepted = await login(shop.tenant.read)
    refused = [(await login(password)).status_code for password in (shop.tenant.ingest, "wrong")]
    token = accepted.json()["access_token"]
    person = await shop.http.get("/api/v1/auth/me", headers={"authorization": f"Bearer {token}"})
    nobody = await shop.http.get("/api/v1/auth/me", headers={"authorization": "Bearer null"})

    assert (accepted.status_code, refused) == (200, [401, 401])
    cookie = accepted.headers["set-cookie"]
    assert cookie.startswith(f"endcap_login={shop.tenant.read}; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/api/v1", "Max-Age=86400"} <= set(cookie.split("; "))
    assert person.json() == {
        "id": shop.tenant.name, "email": shop.tenant.name, "full_name": None, "is_active": True,
    }  # fmt: skip
    assert nobody.status_code == 401


async def test_exports_are_csv_that_no_spreadsheet_runs(shop: Shop) -> None:
    whole = await shop.http.get("/api/v1/export/dashboard-csv", params={"sections": "orders,geographic"})
    segment = await shop.http.get("/api/v1/export/rfm-campaign-csv", params={"segment": "Lost"})
    unknown = await shop.http.get("/api/v1/export/rfm-campaign-csv", params={"segment": "=1+1"})

    assert whole.headers["content-disposition"] == 'attachment; filename="endcap-orders-geographic.csv"'
    titles = [line.split(",")[0] for line in whole.text.splitlines()]
    assert [title for title in titles if title in {"orders", "provinces", "cities"}] == [
        "orders", "provinces", "cities",
    ]  # fmt: skip
    assert titles.count("order_id") == 1
    assert segment.text.splitlines()[1].startswith("customer_id,customer_name,customer_phone")
    assert unknown.status_code == 404


async def test_an_erased_customer_is_in_no_report(shop: Shop) -> None:
    before = await shop.get("analytics/customer-similarity", limit=500)
    user = before["customers"][0]["customer_id"]

    count = await shop.database.fetchval(*SQL.erase_from_reports(tenant=shop.tenant.name, user_id=user))

    after = await shop.get("analytics/customer-similarity", limit=500)
    assert count > 1
    assert after["customers"] == before["customers"][1:]
