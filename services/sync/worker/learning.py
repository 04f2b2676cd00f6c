"""The last steps of order files: what their lines say of items and users becomes the shop's state."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from services.sync.domain.catalogue import State, microseconds
from services.sync.domain.imports import Import

if TYPE_CHECKING:
    from services.sync.store import Catalogue, Imports, Orders
    from services.sync.store.orders import Fact
    from shared.postgres import Database

_CHUNK_FACTS = 5_000


class Learning:
    """Merges facts, each with the time of the order that it was said in."""

    def __init__(self, database: Database, imports: Imports, orders: Orders, catalogue: Catalogue) -> None:
        self._database = database
        self._imports = imports
        self._orders = orders
        self._catalogue = catalogue

    async def learn_items(self, account: Import) -> Import:
        """Merge what the file says of items behind the account's position."""
        facts = self._orders.item_facts(account.id, account.position.get("after", ""))
        async with aclosing(facts), aclosing(_chunks(facts)) as chunks:
            async for chunk in chunks:
                later = account.later()
                later.position = {"after": chunk[-1].id}
                ids = list(dict.fromkeys(fact.id for fact in chunk))
                async with self._database.transaction() as connection:
                    states = await self._catalogue.items_to_merge(connection, account.tenant, ids)
                    _merge(states, chunk)
                    changed = await self._catalogue.save_items(connection, account.tenant, states)
                    later.change(items=changed)
                    await self._imports.save(connection, later)
                account = later
        return await self._next(account, "users")

    async def learn_users(self, account: Import) -> Import:
        """Merge what the file says of users behind the account's position."""
        facts = self._orders.user_facts(account.id, account.position.get("after", ""))
        async with aclosing(facts), aclosing(_chunks(facts)) as chunks:
            async for chunk in chunks:
                later = account.later()
                later.position = {"after": chunk[-1].id}
                ids = list(dict.fromkeys(fact.id for fact in chunk))
                async with self._database.transaction() as connection:
                    states = await self._catalogue.users_to_merge(connection, account.tenant, ids)
                    _merge(states, chunk)
                    changed = await self._catalogue.save_users(connection, account.tenant, states)
                    later.change(users=changed)
                    await self._imports.save(connection, later)
                account = later
        return await self._next(account, "finish")

    async def _next(self, account: Import, step: Literal["users", "finish"]) -> Import:
        later = account.later()
        later.begin(step)
        async with self._database.transaction() as connection:
            await self._imports.save(connection, later)
        return later


async def _chunks(facts: AsyncGenerator[Fact, None]) -> AsyncGenerator[list[Fact], None]:
    """Facts in lists that never part what is said of one thing."""
    waiting: list[Fact] = []
    async for fact in facts:
        if len(waiting) >= _CHUNK_FACTS and fact.id != waiting[-1].id:
            yield waiting
            waiting = []
        waiting.append(fact)
    if waiting:
        yield waiting


def _merge(states: dict[str, State], facts: list[Fact]) -> None:
    for identity, said in groupby(facts, lambda fact: fact.id):
        for fact in said:
            if fact.field is not None:
                states[identity].put({fact.field: fact.value}, {}, microseconds(fact.said_at))
