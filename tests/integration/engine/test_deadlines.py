"""The gauges of what has to be renewed in time: keys and models."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client import REGISTRY

from services.engine.jobs.deadlines import Deadlines
from services.engine.store.keys import Keys
from services.engine.store.tenant_keys import TenantKeys
from shared.auth import new_api_key
from shared.postgres import Database
from tests.support.control_plane import ACCOUNT

NOW = datetime.now(UTC)


def gauges(name: str) -> dict[str, float]:
    """Return the values of a gauge by its second label."""
    return {
        sample.labels["key" if "key" in sample.labels else "campaign"]: sample.value
        for family in REGISTRY.collect()
        if family.name == f"endcap_engine_{name}_timestamp_seconds"
        for sample in family.samples
    }


async def test_a_key_is_shown_until_it_has_a_successor(store: Database) -> None:
    await store.execute(
        "INSERT INTO tenants (id, account, dataset_group) VALUES ('shop', $1, 'shop')", ACCOUNT
    )
    month, week = NOW + timedelta(days=30), NOW + timedelta(days=7)
    ids = {
        label: await Keys(store).add(
            new_api_key("read"), tenant="shop", scopes=["read"], label=label, expires_at=expires_at
        )
        for label, expires_at in (("reports", month), ("visit", week), ("always", None))
    }

    await Deadlines(store).run()
    before = gauges("key_expiry")
    await TenantKeys(store, "shop", 10).rotate(ids["reports"], NOW + timedelta(days=1))
    await Deadlines(store).run()

    assert before == {ids["reports"]: month.timestamp()}
    assert gauges("key_expiry") == {}


async def test_the_training_of_each_served_model_is_shown(store: Database) -> None:
    await store.execute(
        "INSERT INTO tenants (id, account, dataset_group) VALUES ('shop', $1, 'shop')", ACCOUNT
    )
    await store.execute(
        "INSERT INTO resources (account, tenant, type, path, arn, name, status, document, facts, created_at) "
        "VALUES ($1, 'shop', 'solution-version', 'v', 'arn:v', 'v', 'ACTIVE', '{}', '{}', $2), "
        "($1, 'shop', 'campaign', 'campaign/live', 'arn:c', 'live', 'ACTIVE', '{}', $3, now()), "
        "($1, 'shop', 'campaign', 'campaign/new', 'arn:n', 'new', 'CREATE PENDING', '{}', $3, now())",
        ACCOUNT,
        NOW,
        {"solution_version_arn": "arn:v", "model_uri": "s3://models/v"},
    )

    await Deadlines(store).run()

    assert gauges("model_trained") == {"live": NOW.timestamp()}
