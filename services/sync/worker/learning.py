"""The last steps of order files, and the second of item and user files: the shop's state is merged.

Every item and user changes once in an import, however many rows speak of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

from services.sync.domain.catalogue import State
from services.sync.domain.imports import Import

if TYPE_CHECKING:
    from services.sync.store import Catalogue, Imports, Staging
    from services.sync.store.staging import Said
    from shared.postgres import Database

_CHUNK = 5_000


class Learning:
    """Merges what a file says, each field with the time when it was said."""

    def __init__(self, database: Database, imports: Imports, staging: Staging, catalogue: Catalogue) -> None:
        self._database = database
        self._imports = imports
        self._staging = staging
        self._catalogue = catalogue

    async def learn_items(self, account: Import) -> Import:
        """Merge what the file says of items behind the account's position."""
        said = self._staging.said_of("items", account, account.position.get("after", ""))
        async with aclosing(said), aclosing(_chunks(said)) as chunks:
            async for chunk in chunks:
                later, ids = _moved(account, chunk)
                async with self._database.transaction() as connection:
                    states = await self._catalogue.items_to_merge(connection, account.tenant, ids)
                    _merge(later, states, chunk)
                    changed = await self._catalogue.save_items(connection, account.tenant, states)
                    later.change(items=changed)
                    await self._imports.save(connection, later)
                account = later
        return await self._next(account, "users" if account.kind == "orders" else "finish")

    async def learn_users(self, account: Import) -> Import:
        """Merge what the file says of users behind the account's position."""
        said = self._staging.said_of("users", account, account.position.get("after", ""))
        async with aclosing(said), aclosing(_chunks(said)) as chunks:
            async for chunk in chunks:
                later, ids = _moved(account, chunk)
                async with self._database.transaction() as connection:
                    states = await self._catalogue.users_to_merge(connection, account.tenant, ids)
                    _merge(later, states, chunk)
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


async def _chunks(said: AsyncGenerator[Said, None]) -> AsyncGenerator[list[Said], None]:
    """Lists that never part what is said of one thing."""
    waiting: list[Said] = []
    async for one in said:
        if len(waiting) >= _CHUNK and one.id != waiting[-1].id:
            yield waiting
            waiting = []
        waiting.append(one)
    if waiting:
        yield waiting


def _moved(account: Import, chunk: list[Said]) -> tuple[Import, list[str]]:
    """The account behind a chunk, and the ids that the chunk is about."""
    later = account.later()
    later.position = {"after": chunk[-1].id}
    return later, list(dict.fromkeys(said.id for said in chunk))


def _merge(account: Import, states: dict[str, State], chunk: list[Said]) -> None:
    for said in chunk:
        states[said.id].put(said.fields, said.attributes, said.at)
    if account.kind != "orders":
        # Each of these is a row of the file; the rows of order files were counted as orders.
        news = sum(states[said.id].is_published for said in chunk)
        account.rows_accepted += news
        account.rows_duplicate += len(chunk) - news
