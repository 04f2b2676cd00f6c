"""Read the two lists of an ERP day by day.

A request names whole days and a limit; there are no pages, and a full answer may be cut without a word. So a
full answer of several days is read again in halves, and one of a single day with a larger limit. Some servers
have a cap below the limit: a round number of orders is read again in the same way. What a single day still
hides is a warning of the run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta

from services.sync.domain.pulls import erp
from services.sync.domain.pulls.configs import Erp
from services.sync.store.pulls import Pulled
from services.sync.store.source_api import SourceApi
from services.sync.worker.pulls.page import Days, Page

MAX_LIMIT = 100_000
_ROUND = 50
"""A count of orders that this number divides may be the cap of a server; arbitrary."""


class ErpLists:
    """The lists of online orders and of stores' orders."""

    def __init__(self, config: Erp, api: SourceApi) -> None:
        self._config = config
        self._api = api

    async def pages(self, days: Days) -> AsyncIterator[Page]:
        """Yield the orders of the days, the stores' first. Raises Permanent and Transient as the API does."""
        for topic, path in (("store", self._config.store_path), ("online", self._config.online_path)):
            if path is None:
                continue
            first = days.begin_of(topic)
            while first <= days.last:
                last = min(first + timedelta(days=self._config.window_days - 1), days.last)
                async for page in self._window(topic, path, first, last):
                    yield page
                first = last + timedelta(days=1)

    async def _window(self, topic: str, path: str, first: date, last: date) -> AsyncIterator[Page]:
        """Yield the orders of some days, in as many requests as their number needs."""
        limit = self._config.limit
        orders = await self._orders(path, first, last, limit)
        if _may_be_cut(len(orders), limit) and first < last:
            middle = first + (last - first) // 2
            for part in ((first, middle), (middle + timedelta(days=1), last)):
                async for page in self._window(topic, path, *part):
                    yield page
            return
        warnings: list[str] = []
        while _may_be_cut(len(orders), limit):
            larger = min(limit * 10, MAX_LIMIT)
            larger_answer = await self._orders(path, first, last, larger) if larger > limit else orders
            if len(larger_answer) <= len(orders):
                warnings.append(
                    f"The answer for {first} of {path} has {len(orders)} orders for any limit; it may be cut."
                )
                orders = _merged(orders, larger_answer)
                break
            orders, limit = _merged(orders, larger_answer), larger
        objects = [Pulled(erp.identity(order), {"day": str(first), "object": order}) for order in orders]
        progress = {topic: str(last + timedelta(days=1))}
        yield Page(topic, objects, progress, tuple(warnings))

    async def _orders(self, path: str, first: date, last: date, limit: int) -> list[erp.Body]:
        params = {"start_date": str(first), "end_date": str(last), "limit": limit}
        return erp.objects((await self._api.get(path, params)).document)


def _may_be_cut(count: int, limit: int) -> bool:
    return count >= limit or (count >= _ROUND and count % _ROUND == 0)


def _merged(orders: list[erp.Body], newer: list[erp.Body]) -> list[erp.Body]:
    """Return all orders of two answers; the later answer holds, and orders that only the first has stay."""
    known = {erp.identity(order) for order in newer}
    return [*(order for order in orders if erp.identity(order) not in known), *newer]
