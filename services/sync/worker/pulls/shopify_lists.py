"""Read orders, products and customers of Shopify's Admin API (REST), sorted by their last change.

Pages follow the header `Link` (https://shopify.dev/docs/api/admin-rest/usage/pagination).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from services.sync.domain.pulls.configs import ShopifyApi
from services.sync.domain.webhooks.shopify import identifier
from services.sync.store.pulls import Pulled
from services.sync.store.source_api import SourceApi
from services.sync.worker.pulls.page import Days, Page
from shared.errors import Permanent

LISTS = {"products": "products/update", "customers": "customers/update", "orders": "orders/updated"}
"""The lists of the API, and the webhook topics by which their objects are read."""

_PAGE = 250
"""Objects of a page; the API's limit."""


class ShopifyLists:
    """The lists of products, customers and orders."""

    def __init__(self, config: ShopifyApi, api: SourceApi) -> None:
        self._config = config
        self._api = api

    async def pages(self, days: Days) -> AsyncIterator[Page]:
        """Yield what has changed since the first day. Raises Permanent and Transient as the API does."""
        zone = ZoneInfo(self._config.timezone)
        for name, topic in LISTS.items():
            if days.progress.get(name) == "done":
                continue
            since = datetime.combine(days.first, time(), zone).isoformat()
            since = days.progress.get(f"{name}_since", since)
            params: dict[str, Any] = {"limit": _PAGE, "updated_at_min": since, "order": "updated_at asc"}
            params |= {"status": "any"} if name == "orders" else {}
            path: str | None = f"/admin/api/{self._config.version}/{name}.json"
            while path is not None:
                answer = await self._api.get(path, params)
                entries = answer.document.get(name) if isinstance(answer.document, dict) else None
                if not isinstance(entries, list):
                    raise Permanent(f"The answer of {name}.json has no list of {name}.")
                objects = [Pulled(identifier(entry.get("id")) or "", {"object": entry}) for entry in entries]
                newest = [str(entry["updated_at"]) for entry in entries if entry.get("updated_at")]
                progress = {f"{name}_since": newest[-1]} if newest else {}
                path, params = answer.next_url, {}
                yield Page(topic, objects, progress | ({name: "done"} if path is None else {}))
