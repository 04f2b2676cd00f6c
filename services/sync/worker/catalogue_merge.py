"""Merge items and users into the catalogue: the last steps of order files, the second of item and user files.

An import changes each item and user once, however many rows of the file name it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

import orjson
import structlog

from services.sync.domain.catalogue import State, StateRejected, to_microseconds
from services.sync.domain.imports import Import, Reject
from services.sync.domain.limits import Limits
from services.sync.domain.table import printable
from services.sync.metrics import STATES_REJECTED

if TYPE_CHECKING:
    from services.sync.store import Catalogue, Erasures, Imports, Staging
    from services.sync.store.staging import FieldUpdate
    from shared.postgres import Connection, Database

_CHUNK_ROWS = 5_000
_CHUNK_IDS = 1_000
"""Limits of one transaction, which holds the states of its ids in memory. Arbitrary."""

log = structlog.get_logger()


class CatalogueMerge:
    """Merges the field updates of a file, each with the time it was stated at."""

    def __init__(
        self,
        database: Database,
        imports: Imports,
        staging: Staging,
        catalogue: Catalogue,
        erasures: Erasures,
        *,
        limits: Limits,
    ) -> None:
        self._database = database
        self._imports = imports
        self._staging = staging
        self._catalogue = catalogue
        self._erasures = erasures
        self._limits = limits

    async def merge_items(self, import_: Import) -> Import:
        """Merge the items whose ids follow the import's position; return the import in its next step."""
        updates = self._staging.field_updates("items", import_, import_.position.get("after", ""))
        async with aclosing(updates), aclosing(_chunks(updates)) as chunks:
            async for chunk in chunks:
                updated, ids = _advanced(import_, chunk)
                async with self._database.transaction() as connection:
                    states = await self._catalogue.items_to_merge(connection, import_.tenant, ids)
                    await self._merge(connection, updated, states, chunk)
                    changed = await self._catalogue.save_items(connection, import_.tenant, states)
                    updated.count_changes(items=changed)
                    await self._imports.save(connection, updated)
                import_ = updated
        return await self._begin(import_, "users" if import_.kind == "orders" else "finish")

    async def merge_users(self, import_: Import) -> Import:
        """Merge the users whose ids follow the import's position; return the import in its next step."""
        updates = self._staging.field_updates("users", import_, import_.position.get("after", ""))
        async with aclosing(updates), aclosing(_chunks(updates)) as chunks:
            async for chunk in chunks:
                updated, ids = _advanced(import_, chunk)
                async with self._database.transaction() as connection:
                    states = await self._catalogue.users_to_merge(connection, import_.tenant, ids)
                    remaining = await self._without_erased(connection, updated, states, chunk)
                    await self._merge(connection, updated, states, remaining)
                    changed = await self._catalogue.save_users(connection, import_.tenant, states)
                    updated.count_changes(users=changed)
                    await self._imports.save(connection, updated)
                import_ = updated
        return await self._begin(import_, "finish")

    async def _without_erased(
        self, connection: Connection, import_: Import, states: dict[str, State], chunk: list[FieldUpdate]
    ) -> list[FieldUpdate]:
        """Return the updates without those of users who were erased after them, or after the file was sent.

        The states of users without another update are removed, and rows of user files count as duplicates.
        """
        erased = await self._erasures.erased(connection, import_.tenant, list(states))
        said_at = to_microseconds(import_.said_at)
        remaining = [
            update
            for update in chunk
            if update.id not in erased or min(update.at, said_at) > to_microseconds(erased[update.id])
        ]
        for identity in erased.keys() - {update.id for update in remaining}:
            del states[identity]
        if import_.kind != "orders":
            import_.rows_duplicate += len(chunk) - len(remaining)
        return remaining

    async def _merge(
        self, connection: Connection, import_: Import, states: dict[str, State], chunk: list[FieldUpdate]
    ) -> None:
        """Apply updates to the states, and reject those that a state cannot take."""
        merged: list[FieldUpdate] = []
        rejects: list[Reject] = []
        for update in chunk:
            try:
                states[update.id].put(update.fields, update.attributes, update.at)
            except StateRejected as error:
                rejects.append(_reject(update, error))
            else:
                merged.append(update)
        for identity in {update.id for update in chunk} - {update.id for update in merged}:
            if states[identity].is_new:
                del states[identity]
        for reject in rejects:
            STATES_REJECTED.labels(import_.kind, reject.code).inc()
        if import_.kind == "orders":
            # The rows were counted as orders, which are kept: only a name or a price is not merged.
            if rejects:
                log.warning("sync.states_rejected", import_id=import_.id, first=rejects[0].reason)
            return
        await self._imports.add_rejects(connection, import_.id, import_.add_rejects(rejects, self._limits))
        accepted = sum(states[update.id].is_changed for update in merged)
        import_.rows_accepted += accepted
        import_.rows_duplicate += len(merged) - accepted

    async def _begin(self, import_: Import, step: Literal["users", "finish"]) -> Import:
        updated = import_.copy()
        updated.start_step(step)
        async with self._database.transaction() as connection:
            await self._imports.save(connection, updated)
        return updated


async def _chunks(updates: AsyncGenerator[FieldUpdate, None]) -> AsyncGenerator[list[FieldUpdate], None]:
    """Yield updates in lists; all updates of one id are in the same list."""
    chunk: list[FieldUpdate] = []
    ids = 0
    async for update in updates:
        is_new_id = not chunk or update.id != chunk[-1].id
        if is_new_id and (len(chunk) >= _CHUNK_ROWS or ids >= _CHUNK_IDS):
            yield chunk
            chunk, ids = [], 0
        chunk.append(update)
        ids += is_new_id
    if chunk:
        yield chunk


def _advanced(import_: Import, chunk: list[FieldUpdate]) -> tuple[Import, list[str]]:
    """Return the import positioned after a chunk, and the distinct ids of the chunk."""
    updated = import_.copy()
    updated.position = {"after": chunk[-1].id}
    return updated, list(dict.fromkeys(update.id for update in chunk))


def _reject(update: FieldUpdate, error: StateRejected) -> Reject:
    raw = orjson.dumps({**update.fields, **update.attributes}).decode()
    return Reject(update.line or 0, error.code, str(error), printable(raw))
