"""A source of a tenant and its inbox, without HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import SecretStr

from services.sync.store import Erasures, FollowedOrders, Inbox, Sources
from services.sync.worker import InboxReader, RecordMerge
from tests.integration.sync.shop import TENANT, Shop
from tests.support.tenants import SECRET_KEY


@dataclass
class SourceOfShop:
    """A webhook source, whose deliveries `send` stores and `merge` merges."""

    shop: Shop
    id: str
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @classmethod
    async def add(cls, shop: Shop, config: Mapping[str, Any], name: str = "web") -> SourceOfShop:
        """Add a source to the shop."""
        sources = Sources(shop.pool, SecretStr(SECRET_KEY))
        assert await sources.add(
            TENANT, name, {"kind": "webhook"} | dict(config), {"secret": "s"}, enabled=True
        )
        (source,) = await sources.of_tenant(TENANT, name)
        return cls(shop, source.id)

    @property
    def reader(self) -> InboxReader:
        """Return a worker's reader of the inbox."""
        pool = self.shop.pool
        merge = RecordMerge(FollowedOrders(), self.shop.catalogue, Erasures(pool))
        return InboxReader(pool, Inbox(pool), merge)

    async def send(self, topic: str, body: Any, *, delivery: str | None = None) -> bool:
        """Store a delivery; return whether it is new."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        identity = delivery or f"d{next(self.numbers)}"
        return await Inbox(self.shop.pool).add(self.id, TENANT, topic, identity, content)

    async def merge(self, *deliveries: tuple[str, Any]) -> list[str]:
        """Store deliveries, merge all that wait, and return the state of every delivery."""
        for topic, body in deliveries:
            await self.send(topic, body)
        while await self.reader.read():
            pass
        return [row["status"] for row in await self.shop.rows("SELECT status FROM inbox ORDER BY seq")]

    async def bought(self) -> dict[str, float]:
        """Return what remains of each line of the orders, by line key."""
        rows = await self.shop.rows("SELECT line_key, remaining FROM order_items ORDER BY line_key")
        return {row["line_key"]: row["remaining"] for row in rows}
