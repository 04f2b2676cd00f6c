"""Pages of items, categories, users and orders, for display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from services.sync.domain.search_words import words_query
from services.sync.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Database

ItemSort = Literal["id", "name", "price", "-price", "newest"]

MAX_COUNT = 10_000
"""Items that are counted for a total. Arbitrary: nobody turns so many pages."""
MAX_CATEGORIES = 500


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """A selection of items: those with ids, of a category, with words, available or not; None is any."""

    category: str | None = None
    search: str | None = None
    available: bool | None = None
    sort: ItemSort = "id"
    limit: int = 50
    offset: int = 0
    item_ids: tuple[str, ...] | None = None


class Listings:
    """Lists of a tenant's shop, for display."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def items(self, tenant: str, query: ItemQuery) -> tuple[list[dict[str, Any]], int]:
        """Return a page of items, and the number of all that match, counted up to `MAX_COUNT`."""
        words = None if query.search is None else words_query(query.search)
        if words == "":  # a search without a word matches nothing
            return [], 0
        matching = {
            "tenant": tenant,
            "available": query.available,
            "category": query.category,
            "words": words,
            "item_ids": query.item_ids,
        }
        page = {"sort": query.sort, "limit": query.limit, "offset": query.offset}
        rows = await self._database.fetch(*SQL.list_items(**matching, **page))
        total = await self._database.fetchval(*SQL.count_items(**matching, most=MAX_COUNT))
        return [dict(row) for row in rows], int(total or 0)

    async def categories(self, tenant: str) -> list[dict[str, Any]]:
        """Return the categories of available items with their numbers of items, the largest first."""
        rows = await self._database.fetch(*SQL.list_categories(tenant=tenant, limit=MAX_CATEGORIES))
        return [dict(row) for row in rows]

    async def users(self, tenant: str, *, after: str, limit: int) -> list[dict[str, Any]]:
        """Return the users whose ids follow `after`, sorted by id."""
        rows = await self._database.fetch(*SQL.list_users(tenant=tenant, after=after, limit=limit))
        return [dict(row) for row in rows]

    async def orders(self, tenant: str, user_id: str, limit: int) -> list[dict[str, Any]]:
        """Return the newest orders and cancellations of a user, each with its lines."""
        query = SQL.orders_of_user(tenant=tenant, user_id=user_id, limit=limit)
        orders = [dict(row) for row in await self._database.fetch(*query)]
        order_ids = [order["order_id"] for order in orders]
        lines = await self._database.fetch(*SQL.lines_of_orders(tenant=tenant, order_ids=order_ids))
        by_order: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for line in lines:
            by_order.setdefault((line["kind"], line["order_id"]), []).append(dict(line))
        return [{**order, "lines": by_order.get((order["kind"], order["order_id"]), [])} for order in orders]
