"""The overview on the figures that analytics counts in a real Postgres."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from services.analytics import app as analytics
from services.analytics.settings import Settings as AnalyticsSettings
from services.analytics.store import Counting
from shared.aws.personalize.recommendation_ids import RecommendationIds, signing_key
from shared.events import InteractionRecorded
from shared.events.servings import RecommendationServed, Serving
from shared.postgres import Database as Store
from shared.settings import PostgresSettings
from tests.component.dashboard.conftest import beside
from tests.support.stack import Database
from tests.support.tenants import SECRET_KEY, Tenant

NOW = datetime.now(UTC).replace(microsecond=0)


async def count_a_sale(database: Database, tenant: str) -> None:
    """Count an answer, a click on it, and the purchase that followed."""
    settings = AnalyticsSettings(postgres=PostgresSettings(database_url=database.role_url("analytics")))
    store = Store(settings.postgres, "analytics")
    await store.start()
    counting = Counting(store, settings)
    served_at = NOW - timedelta(minutes=1)
    identifier = RecommendationIds(signing_key(SECRET_KEY)).new(
        tenant, "placement/home", 1, round(served_at.timestamp() * 1000)
    )
    serving = Serving(
        recommendation_id=identifier, served_at=served_at, surface="placement", user_id="ann",
        placement="home", item_ids=("lamp", "rug"), strategies=("for-you", "popular"), source="redis",
    )  # fmt: skip
    record = RecommendationServed(
        event_id="s", tenant=tenant, occurred_at=NOW, process="p", sequence=1, servings=(serving,)
    )
    await counting.add_servings([record])
    events = [
        InteractionRecorded(
            event_id=uuid.uuid4().hex, tenant=tenant, occurred_at=NOW, received_at=NOW, user_id="ann",
            event_type=event_type, item_id="lamp", recommendation_id=identifier, price=price,
        )
        for event_type, price in (("click", None), ("purchase", 49.5))
    ]  # fmt: skip
    await counting.add_events(events)
    await store.stop()


async def test_a_sale_is_shown_with_its_placement_and_strategy(
    module_database: Database, shop: Tenant
) -> None:
    await count_a_sale(module_database, shop.name)

    async with beside(module_database, lambda: analytics.build(AnalyticsSettings())) as client:
        await client.post("/dashboard/sign-in", data={"key": shop.read})
        page = await client.get("/dashboard/overview", params={"figure": "revenue", "placement": "home"})

    assert page.status_code == 200
    text = " ".join(page.text.split())
    assert "Attributed revenue</dt><dd>49.5<small>100.0 % of all" in text
    assert "figure=revenue&amp;placement=home#groups" in text
    assert "Revenue by strategy of home" in text
    assert '<th scope="row">for-you</th>' in text
