"""The items of every tenant in memory: from items-v1, and from sync's view until that topic is read."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.catalogue_index import CatalogueIndex
from services.recommender.domain.properties import flat_properties
from services.recommender.metrics import ITEM_BYTES, ITEMS, LONG_FACT_BYTES
from services.recommender.store import SQL
from services.recommender.store.periodic import run_safely
from shared.events import ItemChanged

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import SpillStorage
    from shared.kafka import StateTable
    from shared.postgres import Database

FIELDS = ("name", "category", "price", "currency", "created_at")
"""Fields of an item that filters can read."""
KAFKA_HEAD_START_SECONDS = 2.0
VIEW_READ_SECONDS = 10.0


class Catalogues:
    """The catalogue of every tenant. A part."""

    name = "catalogues"

    def __init__(self, database: Database, spill: SpillStorage | None = None) -> None:
        """Store properties that are too long for memory in `spill`."""
        self._database = database
        self._spill = spill
        self._by_tenant: dict[str, Catalogue] = {}
        self._indexes: dict[str, CatalogueIndex] = {}
        self._topic: StateTable[ItemChanged] | None = None
        self._task: asyncio.Task[None] | None = None

    def of(self, tenant: str) -> Catalogue:
        """Return the catalogue of a tenant; an empty one for a tenant that described no item."""
        catalogue = self._by_tenant.get(tenant)
        if catalogue is None:
            catalogue = self._by_tenant[tenant] = Catalogue(self._spill)
        return catalogue

    def index_of(self, tenant: str) -> CatalogueIndex:
        """Return the items of a tenant by age; it is built when it is first read."""
        index = self._indexes.get(tenant)
        if index is None:
            index = self._indexes[tenant] = CatalogueIndex(self.of(tenant))
        return index

    def follow(self, topic: StateTable[ItemChanged]) -> None:
        """Read the view until `topic` has been read."""
        self._topic = topic

    def apply(self, key: str, item: ItemChanged | None) -> None:
        """Apply a record of items-v1; None is a tombstone."""
        tenant, _, item_id = key.partition(":")
        if item is None:
            self.of(tenant).remove(item_id)
        else:
            self.of(tenant).put(
                item_id,
                item.name,
                item.price,
                available=item.available,
                as_of=item.occurred_at,
                properties=flat_properties({name: getattr(item, name) for name in FIELDS}, item.attributes),
            )

    def retain(self, keys: set[str]) -> None:
        """Remove the items that only the view had: `keys` are all keys of items-v1."""
        for tenant, catalogue in self._by_tenant.items():
            catalogue.retain(partial(_contains, keys, f"{tenant}:"))

    async def start(self) -> None:
        """Start to read the view, if the topic is not read within a short time."""
        ITEMS.set_function(lambda: sum(map(len, self._by_tenant.values())))
        ITEM_BYTES.set_function(lambda: sum(each.memory_bytes for each in self._by_tenant.values()))
        LONG_FACT_BYTES.set_function(lambda: self._spill.held_bytes if self._spill else 0)
        self._task = asyncio.create_task(self._read_until_caught_up(), name="catalogues")

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Return None: a failed read is repeated."""
        return None

    def ready(self) -> str | None:
        """Return None: an item that is not known yet is shown by its id."""
        return None

    async def _read_until_caught_up(self) -> None:
        await asyncio.sleep(KAFKA_HEAD_START_SECONDS)
        while self._topic is not None and not self._topic.caught_up:
            await run_safely(self._read_view)
            await asyncio.sleep(VIEW_READ_SECONDS)

    async def _read_view(self) -> None:
        item_ids: dict[str, set[str]] = {}
        rows = await self._database.fetch(*SQL.items())
        if self._topic is not None and self._topic.caught_up:
            return  # the rows may be older than the topic
        for row in rows:
            item_ids.setdefault(row["tenant"], set()).add(row["item_id"])
            self.of(row["tenant"]).put(
                row["item_id"],
                row["name"],
                row["price"],
                available=row["available"],
                as_of=row["updated_at"],
                properties=flat_properties({name: row[name] for name in FIELDS}, row["attributes"] or {}),
            )
        for tenant, known in item_ids.items():
            self.of(tenant).retain(known.__contains__)


def _contains(keys: set[str], prefix: str, item_id: str) -> bool:
    return prefix + item_id in keys
