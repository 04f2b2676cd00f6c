"""Erased users leave the event lake, with the files that had them."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from services.analytics.domain.lake_tables import BY_NAME
from services.analytics.domain.sql import checked
from services.analytics.store import Erasures, LakeMaintenance, QueryRunner
from services.engine.store.copies import lake_query
from shared.s3 import client
from tests.integration.analytics.conftest import Analytics
from tests.integration.analytics.test_erasures import NOW, Receipts, event, record
from tests.integration.analytics.test_lake import INTERACTIONS, ids, placed
from tests.support.erasures import erasure


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


async def test_an_erased_user_leaves_the_lake_with_all_files(analytics: Analytics, tenant: str) -> None:
    events = [
        event(tenant, "view", 1, user_id="ann"),
        event(tenant, "view", 2, session_id="visit"),
        event(tenant, "view", 3, user_id="bob"),
    ]
    await analytics.writer.write(INTERACTIONS, placed(events))
    await analytics.writer.write(BY_NAME["servings"], placed([record(tenant)]))
    await analytics.writer.write(INTERACTIONS, placed([event(tenant, "view", 4, user_id="ann")], begin=5))
    before = analytics.lake.open(tenant, "interactions").file_uris()
    maintenance = LakeMaintenance(analytics.database, analytics.lake, analytics.settings)
    await maintenance.maintain(tenant, "interactions")  # replaced files stay for an hour, but not erased ones
    before += analytics.lake.open(tenant, "interactions").file_uris()
    receipts = Receipts()
    erasures = Erasures(analytics.database, receipts, analytics.settings, analytics.writer)

    await erasures.erase(erasure("ann", tenant=tenant, session_ids=("visit",)))
    await analytics.writer.write(
        INTERACTIONS, placed([events[0], event(tenant, "view", 4, user_id="bob")], begin=9)
    )

    assert len(await ids(analytics, tenant)) == 2
    assert await ids(analytics, tenant, "servings") == []
    assert receipts.events[0].rows["event_lake"] == 4
    bucket = analytics.settings.s3.endcap_data_bucket
    objects = client(analytics.settings.s3).list_objects_v2(Bucket=bucket)["Contents"]
    keys = {each["Key"] for each in objects}
    assert not [uri for uri in before if uri.split("/", 3)[3] in keys]


async def test_a_row_of_a_clock_that_is_ahead_leaves_the_lake_and_stays_out(
    analytics: Analytics, tenant: str
) -> None:
    ahead = event(tenant, "view", 4, user_id="ann", received_at=NOW)
    await analytics.writer.write(INTERACTIONS, placed([ahead, event(tenant, "view", 4, user_id="bob")]))
    erasures = Erasures(analytics.database, Receipts(), analytics.settings, analytics.writer)

    await erasures.erase(erasure("ann", tenant=tenant, occurred_at=NOW + timedelta(minutes=1)))
    returned = event(tenant, "view", 2, user_id="ann")
    await analytics.writer.write(
        INTERACTIONS, placed([ahead.model_copy(update={"event_id": "replayed"}), returned], begin=5)
    )

    rows = analytics.lake.open(tenant, "interactions").to_pyarrow_table(columns=["user_id", "event_id"])
    of_ann = [row["event_id"] for row in rows.to_pylist() if row["user_id"] == "ann"]
    assert (of_ann, rows.num_rows) == ([returned.event_id], 2)


async def test_rows_of_a_person_are_counted_as_an_erasure_deletes_them(
    analytics: Analytics, tenant: str
) -> None:
    name = "ann's"
    events = [
        event(tenant, "view", 1, user_id=name, session_id="visit"),
        event(tenant, "view", 2, session_id="visit"),
        event(tenant, "view", 3, user_id="bob", session_id="visit"),
        event(tenant, "view", 4, session_id="other"),
    ]
    await analytics.writer.write(INTERACTIONS, placed(events))
    served = record(tenant)
    serving = served.servings[0].model_copy(update={"user_id": name})
    await analytics.writer.write(
        BY_NAME["servings"], placed([served.model_copy(update={"servings": (serving,)})])
    )
    runner = QueryRunner(analytics.database, analytics.lake, analytics.settings)

    answer = await runner.run(tenant, checked(lake_query(name), "duckdb"), 10, "count")

    counts = dict(answer["rows"])
    assert counts == {"interactions": 2, "orders": 0, "servings": 1, "exposures": 0}
    receipts = Receipts()
    erasures = Erasures(analytics.database, receipts, analytics.settings, analytics.writer)
    await erasures.erase(erasure(name, tenant=tenant, session_ids=("visit",)))
    assert receipts.events[0].rows["event_lake"] == sum(counts.values())
