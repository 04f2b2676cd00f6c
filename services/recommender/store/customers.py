"""Customers of a place or a segment, read from the views of sync and the tracker."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.recommender.store import SQL
from services.recommender.store.guarded_database import GuardedDatabase

if TYPE_CHECKING:
    from services.recommender.domain.segments import Segment
    from services.recommender.store.lists import Location
    from shared.postgres import Database

QUERY_SECONDS = 5.0
"""Time limit of a query; these read many rows, so they have a database guard of their own."""
CACHE_SECONDS = 60.0
MAX_CACHED = 256


@dataclass(frozen=True, slots=True)
class Customer:
    """A user with name and place, as far as they are known."""

    user_id: str
    name: str | None
    city: str | None
    province: str | None


class Customers:
    """Reads customers; each result is used for `CACHE_SECONDS`."""

    def __init__(self, database: Database) -> None:
        self._database = GuardedDatabase(database, QUERY_SECONDS)
        self._cache: OrderedDict[Hashable, tuple[float, list[Customer]]] = OrderedDict()

    async def of_place(self, tenant: str, location: Location, limit: int) -> list[Customer]:
        """Return customers of a place, the most recently changed first; letter case does not count."""
        city, province, country = location
        statement = SQL.customers_of_place(
            tenant=tenant, city=city, province=province, country=country, limit=limit
        )
        return await self._read((tenant, location, limit), statement)

    async def of_segment(
        self, tenant: str, segment: Segment, location: Location, limit: int
    ) -> list[Customer]:
        """Return customers of a segment, of a place if one is named, those who spent most first."""
        city, province, country = location
        statement = SQL.customers_of_segment(
            tenant=tenant,
            city=city,
            province=province,
            country=country,
            min_days=segment.min_days,
            max_days=segment.max_days,
            min_orders=segment.min_orders,
            max_orders=segment.max_orders,
            min_spent=segment.min_spent,
            limit=limit,
        )
        return await self._read((tenant, segment, location, limit), statement)

    async def find(self, tenant: str, phone: str | None, email: str | None) -> str | None:
        """Return the user with a telephone number or an e-mail address; None if nobody has it.

        Ids of users may begin with the number and an underscore.
        """
        if not phone and not email:
            return None
        rows = await self._database.fetch(*SQL.customer_by_contact(tenant=tenant, phone=phone, email=email))
        return None if not rows else rows[0]["user_id"]

    async def _read(self, key: Hashable, statement: tuple[Any, ...]) -> list[Customer]:
        cached = self._cache.get(key)
        now = time.monotonic()
        if cached is not None and now - cached[0] < CACHE_SECONDS:
            return cached[1]
        rows = await self._database.fetch(*statement)
        if rows is None:
            return [] if cached is None else cached[1]
        customers = [Customer(row["user_id"], row["name"], row["city"], row["province"]) for row in rows]
        self._cache[key] = (now, customers)
        self._cache.move_to_end(key)
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return customers
