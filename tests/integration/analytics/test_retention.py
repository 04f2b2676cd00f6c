"""Facts go when no record can refer to them, and a replay does not count them a second time."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from services.analytics.store import Counting, Retention
from tests.integration.analytics.conftest import Analytics
from tests.integration.analytics.test_erasures import event, figures, record


async def test_what_is_deleted_is_not_counted_again(analytics: Analytics) -> None:
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    served = record(tenant)
    events = [event(tenant, "view", 1, user_id="ann"), event(tenant, "purchase", 2, user_id="ann", price=1.0)]
    await analytics.counting.add_servings([served])
    await analytics.counting.add_events(events)
    before = await figures(analytics, tenant)
    # The settings of an installation that keeps facts for half an hour: everything above is older.
    later = analytics.settings.model_copy(update={"facts_days": -1, "attribution_days": 0.0001})

    await Retention(analytics.database, later).run()
    await Counting(analytics.database, later).add_servings([served])
    await Counting(analytics.database, later).add_events(events)

    assert await figures(analytics, tenant) == before
    for table in ("servings", "purchases", "orders", "counted_events"):
        assert await analytics.database.fetch(f"SELECT FROM {table} WHERE tenant = $1", tenant) == [], table


async def test_figures_of_hours_go_before_those_of_days(analytics: Analytics) -> None:
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    old = datetime.now(UTC) - timedelta(days=200)
    for grain in ("hour", "day"):
        await analytics.database.execute(
            "INSERT INTO measures VALUES ($1, $2, $3, 'orders', 1)", tenant, grain, old
        )

    await Retention(analytics.database, analytics.settings).run()

    rows = await figures(analytics, tenant)
    assert [row[1] for row in rows] == ["day"]
