"""Events sent from several threads while a test kills processes, and what became of each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from tests.support.shop import Shop
from tests.support.waiting import eventually

EVENTS_PER_POST = 20
ITEMS = [f"i-{number:04}" for number in range(1, EVENTS_PER_POST + 1)]
TENANT = "bursts"
"""A tenant of their own: in the shop's, each training of a later test would learn 70,000 events more."""


@dataclass
class Burst:
    """Events sent from several threads; each post ended acknowledged, refused or unknown."""

    shop: Shop
    key: str
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:10])
    acknowledged: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    refused: int = 0

    def post(self, number: int) -> None:
        """Send one batch; what a 503 or a broken connection means for it is unknown."""
        ids = [f"{self.mark}-{number}-{n}" for n in range(EVENTS_PER_POST)]
        events = [
            {"event_id": i, "user_id": f"u-{self.mark}-{number % 50}", "event_type": "view", "item_id": item}
            for i, item in zip(ids, ITEMS, strict=True)
        ]
        try:
            answer = self.shop.call(
                "POST", "tracker", "/v1/events", json=events, headers={"x-api-key": self.key}
            )
        except httpx.TransportError:
            self.unknown += ids
            return
        if answer.status_code == 200:
            self.acknowledged += ids
        elif answer.status_code >= 500:
            self.unknown += ids
        else:
            self.refused += len(ids)

    async def stored(self) -> dict[str, int]:
        """How often each event of this burst is in the tracker's store."""
        rows = await self.shop.query(
            "SELECT event_id, count(*) AS n FROM tracker.interactions WHERE event_id LIKE $1 GROUP BY 1",
            f"{self.mark}-%",
        )
        return {row["event_id"]: row["n"] for row in rows}

    async def settled(self) -> dict[str, int]:
        """Wait until everything that was acknowledged is stored; what is not then, the caller says."""

        async def all_stored() -> bool:
            return set(self.acknowledged) <= (await self.stored()).keys()

        with suppress(AssertionError):
            await eventually(all_stored, every=0.2)
        return await self.stored()


def make_burst_key(shop: Shop) -> str:
    """Create the tenant of the bursts; return an ingest key of it."""
    shop.boto3("personalize").create_dataset_group(name=TENANT)
    answer = shop.call(
        "POST",
        "engine",
        "/v1/keys",
        key="service",
        headers={"x-endcap-tenant": TENANT},
        json={"kind": "ingest"},
    )
    assert answer.is_success, answer.text
    return str(answer.json()["key"])


@contextmanager
def under_load(shop: Shop, key: str, *, posts: int) -> Iterator[Burst]:
    """Send a burst with an ingest key while the body of the `with` does harm; wait for the last answer."""
    burst = Burst(shop, key)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(burst.post, number) for number in range(posts)]
        yield burst
        for future in futures:
            future.result()


async def assert_nothing_lost_or_doubled(burst: Burst) -> None:
    stored = await burst.settled()
    lost = set(burst.acknowledged) - stored.keys()
    doubled = {identifier for identifier, n in stored.items() if n != 1}
    invented = stored.keys() - set(burst.acknowledged) - set(burst.unknown)
    found = {"lost": len(lost), "doubled": len(doubled), "invented": len(invented), "refused": burst.refused}
    if any(found.values()):
        # The log says why: a store that hangs is another thing than an event that is gone.
        print(burst.shop.endcap.log("tracker-worker")[-6000:])  # noqa: T201
        pytest.fail(f"{found} of {len(burst.acknowledged)} acknowledged, e.g. {sorted(lost)[:3]}")
