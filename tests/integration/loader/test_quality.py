"""The quality of lists: measured after a load, counted again when it is old, shown as gauges and by HTTP."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client import REGISTRY

from services.loader.store import Quality
from tests.integration.loader.conftest import Loader
from tests.support.batches import STARTED_AT, Batch
from tests.support.tenants import Tenant

INTERACTIONS = (
    "INSERT INTO tracker.interactions (tenant, event_id, user_id, session_id, event_type, item_id, source, "
    "occurred_at, received_at, historical, fingerprint) "
    "SELECT 'default', place::text, user_id, 's', event_type, item_id, 'events', now(), now(), false, 0 "
    "FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY "
    "AS e (user_id, item_id, event_type, place)"
)
EVENTS = [
    ("ann", "a", "view"),
    ("ann", "b", "view"),
    ("bob", "a", "purchase"),
    ("bob", "a", "view"),
    ("cat", "c", "impression"),
    ("order:1", "a", "purchase"),
    (None, "b", "view"),
]
"""Ann and Bob have an interaction; Cat was only shown an item, and the others are nobody's."""


async def a_shop(loader: Loader) -> None:
    await loader.administrator.execute(
        "INSERT INTO sync.items (tenant, item_id, available) "
        "SELECT 'default', * FROM unnest($1::text[], $2::bool[])",
        ["a", "b", "c", "old"],
        [True, True, True, False],
    )
    await loader.administrator.execute(INTERACTIONS, *map(list, zip(*EVENTS, strict=True)))


def a_batch(run: int, of_ann: list[str], **others: list[str]) -> Batch:
    users = [("ann", of_ann), *others.items()]
    return Batch.of(
        run, {"user-personalization": users, "similar-items": [("a", ["b"])], "popularity": [("all", ["a"])]}
    )


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"endcap_loader_{name}", {"tenant": "default", **labels})


async def test_lists_are_measured_when_they_are_loaded_and_compared_with_those_before(
    loader: Loader, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    await a_shop(loader)
    await loader.load(a_batch(1, ["a", "b"], bob=["b", "a"]))
    await loader.measurement.run()
    await loader.load(a_batch(2, ["b", "a"], dan=["a"]))
    await loader.measurement.run()

    report = (await http.get("/v1/quality", headers={"x-api-key": tenant.read})).json()
    second, first = [each for each in report["generations"] if each["recipe"] == "user-personalization"]
    assert (first["generation"], first["previous"], first["active"]) == (1, None, False)
    assert (first["lists"], first["compared"], first["changed_share"]) == (2, 0, None)
    assert (first["listed_items"], first["catalogue_items"], first["gini"]) == (2, 3, pytest.approx(1 / 3))
    # Interactions: a 4 times, b twice. Lists of places b, a, a.
    assert second["popularity_lift"] == pytest.approx((2 * 4 + 2) / 3 / ((16 + 4) / 6) - 1)
    assert (second["generation"], second["previous"], second["active"]) == (2, 1, True)
    assert (second["lists"], second["compared"], second["changed_share"]) == (2, 1, 1.0)
    assert second["rank_overlap"] == pytest.approx(0.5)
    users, items = sorted(report["coverage"], key=lambda each: each["kind"], reverse=True)
    assert (users["known"], users["listed"], users["share"]) == (2, 1, 0.5)
    assert (items["known"], items["listed"]) == (3, 1)

    lists = {"recipe": "user-personalization"}
    assert gauge("coverage_share", kind="users") == 0.5
    assert gauge("run_started_timestamp_seconds", **lists) == STARTED_AT.timestamp()
    assert gauge("rank_overlap", **lists) == pytest.approx(0.5)
    assert gauge("changed_lists_share", **lists) == 1.0
    assert gauge("catalogue_share", **lists) == pytest.approx(2 / 3)
    assert gauge("listed_items_gini", **lists) == pytest.approx(second["gini"])


async def test_one_process_measures_and_every_one_shows_the_results(loader: Loader) -> None:
    await a_shop(loader)
    await loader.load(a_batch(1, ["a"]))
    await loader.measurement.run()
    await loader.administrator.execute(
        "UPDATE loader.coverage SET listed = 2, measured_at = now() - interval '2 hours'"
    )

    async with Quality(loader.database).turn() as is_first:
        await loader.measurement.run()
        assert (is_first, gauge("coverage_share", kind="users")) == (True, 1.0)
    await loader.measurement.run()

    assert gauge("coverage_share", kind="users") == 0.5


async def test_a_shop_without_events_has_no_coverage_and_a_tenant_without_lists_no_gauge(
    loader: Loader, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    await loader.measurement.run()
    before = gauge("run_started_timestamp_seconds", recipe="popularity")
    await loader.load(a_batch(1, ["a"]))
    await loader.measurement.run()

    report = (await http.get("/v1/quality", headers={"x-api-key": tenant.read})).json()

    assert [(each["known"], each["share"]) for each in report["coverage"]] == [(0, None), (0, None)]
    assert (before, gauge("coverage_share", kind="users")) == (None, None)
    refused = await http.get("/v1/quality", headers={"x-api-key": tenant.ingest})
    assert refused.status_code == 403
