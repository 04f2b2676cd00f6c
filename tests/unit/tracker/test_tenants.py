"""Which tenant a trackingId or an ARN means, from the topic and from the views."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.tracker.store import Tenants
from shared.auth import Principal
from shared.aws import Arn
from shared.events import TrackerChanged

EVERYTHING = frozenset({"ingest", "read", "admin"})
PAIR = Principal(None, "000000000000", EVERYTHING, "sigv4")
KEY = Principal("shop", None, EVERYTHING, "key")
GROUP = "arn:aws:personalize:eu:000000000000:dataset-group/shop"


class Views:
    """Stands for the engine's views."""

    def __init__(self) -> None:
        self.trackers: dict[str, dict[str, str]] = {}
        self.groups = [{"tenant": "shop", "dataset_group_arn": GROUP, "account": "000000000000"}]
        self.queries = 0

    async def fetchrow(self, _: str, tracking_id: str) -> dict[str, str] | None:
        self.queries += 1
        return self.trackers.get(tracking_id)

    async def fetch(self, _: str, tenant: str | None, account: str | None) -> list[dict[str, str]]:
        return [group for group in self.groups if tenant == group["tenant"] or account == group["account"]]


@pytest.fixture
def views() -> Views:
    return Views()


@pytest.fixture
def tenants(views: Views) -> Tenants:
    return Tenants(views)  # only these two methods are used


def changed(**fields: Any) -> TrackerChanged:
    known: dict[str, Any] = {
        "event_id": "e",
        "tenant": "shop",
        "occurred_at": datetime(2026, 11, 21, tzinfo=UTC),
        "name": "web",
        "arn": "arn:aws:personalize:eu:1:event-tracker/0a1b2c3d",
        "tracking_id": "t",
        "status": "ACTIVE",
    }
    return TrackerChanged(**known | fields)


async def test_a_tracker_of_the_topic_needs_no_view(tenants: Tenants, views: Views) -> None:
    tenants.tracker_changed("shop:web", changed())

    assert await tenants.of_tracking_id("t", KEY) == "shop"
    assert await tenants.of_tracking_id("t", PAIR) == "shop"
    assert views.queries == 0


async def test_the_view_is_asked_before_a_tracker_is_unknown(tenants: Tenants, views: Views) -> None:
    views.trackers["t"] = {"tenant": "shop", "status": "ACTIVE"}

    assert await tenants.of_tracking_id("t", KEY) == "shop"
    assert await tenants.of_tracking_id("another", KEY) is None
    assert views.queries == 2


async def test_a_deleted_tracker_is_unknown_at_once(tenants: Tenants, views: Views) -> None:
    views.trackers["t"] = {"tenant": "shop", "status": "ACTIVE"}
    assert await tenants.of_tracking_id("t", KEY) == "shop"
    tenants.tracker_changed("shop:web", changed())

    views.trackers.clear()
    tenants.tracker_changed("shop:web", None)

    assert await tenants.of_tracking_id("t", KEY) is None


async def test_a_tracker_that_is_not_active_takes_nothing(tenants: Tenants) -> None:
    tenants.tracker_changed("shop:web", changed(status="DELETE PENDING"))

    assert await tenants.of_tracking_id("t", KEY) is None


@pytest.mark.parametrize(
    "stranger",
    [
        Principal("other", None, EVERYTHING, "key"),
        Principal(None, "111111111111", EVERYTHING, "sigv4"),
        Principal(None, None, EVERYTHING, "service"),
    ],
)
async def test_an_unknown_caller_can_not_use_it(tenants: Tenants, stranger: Principal) -> None:
    tenants.tracker_changed("shop:web", changed())

    assert await tenants.of_tracking_id("t", stranger) is None


async def test_a_group_that_is_newer_than_the_cache_is_found(tenants: Tenants, views: Views) -> None:
    assert await tenants.of_dataset(Arn("dataset", "shop/ITEMS"), PAIR) == "shop"
    assert await tenants.of_dataset(Arn("dataset", "new/ITEMS"), PAIR) is None

    arn = GROUP.replace("shop", "new")
    views.groups.append({"tenant": "new-2", "dataset_group_arn": arn, "account": "000000000000"})
    tenants.tracker_changed("new-2:web", changed(tenant="new-2", tracking_id="u"))

    assert await tenants.of_dataset(Arn("dataset", "new/ITEMS"), PAIR) == "new-2"
    assert await tenants.of_tracking_id("u", PAIR) == "new-2"
    assert await tenants.of_dataset(Arn("dataset", "new/ITEMS"), KEY) is None
