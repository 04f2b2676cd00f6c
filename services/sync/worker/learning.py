"""The last steps of order files, and the second of item and user files: the shop's state is merged.

Every item and user changes once in an import, however many rows speak of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

import orjson
import structlog

from services.sync.domain.catalogue import State, StateRefused
from services.sync.domain.imports import Import, Reject
from services.sync.domain.limits import Limits
from services.sync.domain.table import kept
from services.sync.metrics import STATES_REFUSED

if TYPE_CHECKING:
    from services.sync.store import Catalogue, Imports, Staging
    from services.sync.store.staging import Said
    from shared.postgres import Connection, Database

_CHUNK_ROWS = 5_000
_CHUNK_IDS = 1_000
"""What one transaction merges at most; the whole states of its ids are in memory."""

log = structlog.get_logger()


class Learning:
    """Merges what a file says, each field with the time when it was said."""

    def __init__(
        self,
        database: Database,
        imports: Imports,
        staging: Staging,
        catalogue: Catalogue,
        *,
        limits: Limits,
    ) -> None:
        self._database = database
        self._imports = imports
        self._staging = staging
        self._catalogue = catalogue
        self._limits = limits

    async def learn_items(self, import_: Import) -> Import:
        """Merge what the file says of items behind the import's position."""
        said = self._staging.said_of("items", import_, import_.position.get("after", ""))
        async with aclosing(said), aclosing(_chunks(said)) as chunks:
            async for chunk in chunks:
                later, ids = _moved(import_, chunk)
                async with self._database.transaction() as connection:
                    states = await self._catalogue.items_to_merge(connection, import_.tenant, ids)
                    await self._merge(connection, later, states, chunk)
                    changed = await self._catalogue.save_items(connection, import_.tenant, states)
                    later.change(items=changed)
                    await self._imports.save(connection, later)
                import_ = later
        return await self._next(import_, "users" if import_.kind == "orders" else "finish")

    async def learn_users(self, import_: Import) -> Import:
        """Merge what the file says of users behind the import's position."""
        said = self._staging.said_of("users", import_, import_.position.get("after", ""))
        async with aclosing(said), aclosing(_chunks(said)) as chunks:
            async for chunk in chunks:
                later, ids = _moved(import_, chunk)
                async with self._database.transaction() as connection:
                    states = await self._catalogue.users_to_merge(connection, import_.tenant, ids)
                    await self._merge(connection, later, states, chunk)
                    changed = await self._catalogue.save_users(connection, import_.tenant, states)
                    later.change(users=changed)
                    await self._imports.save(connection, later)
                import_ = later
        return await self._next(import_, "finish")

    async def _merge(
        self, connection: Connection, import_: Import, states: dict[str, State], chunk: list[Said]
    ) -> None:
        """Merge what is said into the states; what one can't take is refused, and the others go on."""
        merged: list[Said] = []
        rejects: list[Reject] = []
        for said in chunk:
            try:
                states[said.id].put(said.fields, said.attributes, said.at)
            except StateRefused as refusal:
                rejects.append(_reject(said, refusal))
            else:
                merged.append(said)
        for identity in {said.id for said in chunk} - {said.id for said in merged}:
            if states[identity].is_new:
                del states[identity]
        for reject in rejects:
            STATES_REFUSED.labels(import_.kind, reject.code).inc()
        if import_.kind == "orders":
            # Rows of order files were counted as orders, which stay; a name or a price is not taken over.
            if rejects:
                log.warning("sync.states_refused", import_id=import_.id, first=rejects[0].reason)
            return
        await self._imports.refuse(connection, import_.id, import_.keep(rejects, self._limits))
        news = sum(states[said.id].is_published for said in merged)
        import_.rows_accepted += news
        import_.rows_duplicate += len(merged) - news

    async def _next(self, import_: Import, step: Literal["users", "finish"]) -> Import:
        later = import_.later()
        later.begin(step)
        async with self._database.transaction() as connection:
            await self._imports.save(connection, later)
        return later


async def _chunks(said: AsyncGenerator[Said, None]) -> AsyncGenerator[list[Said], None]:
    """Lists that never part what is said of one thing."""
    waiting: list[Said] = []
    ids = 0
    async for one in said:
        is_another = not waiting or one.id != waiting[-1].id
        if is_another and (len(waiting) >= _CHUNK_ROWS or ids >= _CHUNK_IDS):
            yield waiting
            waiting, ids = [], 0
        waiting.append(one)
        ids += is_another
    if waiting:
        yield waiting


def _moved(import_: Import, chunk: list[Said]) -> tuple[Import, list[str]]:
    """The import behind a chunk, and the ids that the chunk is about."""
    later = import_.later()
    later.position = {"after": chunk[-1].id}
    return later, list(dict.fromkeys(said.id for said in chunk))


def _reject(said: Said, refusal: StateRefused) -> Reject:
    raw = orjson.dumps({**said.fields, **said.attributes}).decode()
    return Reject(said.line or 0, refusal.code, str(refusal), kept(raw))
