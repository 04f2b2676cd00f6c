"""Handlers of the events that sync consumes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from services.sync.domain.catalogue import merge_put
from services.sync.domain.uploads import check_key, parse_key
from services.sync.metrics import PUTS, UPLOADS
from services.sync.worker.sweep import add_upload
from shared.errors import Permanent
from shared.events import ItemPut, ObjectNotice, UserErasureRequested, UserPut
from shared.kafka import Tombstone

if TYPE_CHECKING:
    from services.sync.store import Catalogue, Erasures, Files, Imports, Pulls
    from shared.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class Handlers:
    """One method for each topic; it is called with the events of one poll."""

    database: Database
    imports: Imports
    catalogue: Catalogue
    files: Files
    erasures: Erasures
    pulls: Pulls

    async def put(self, puts: Sequence[ItemPut | UserPut]) -> None:
        """Merge puts of items and users in one transaction."""
        items: dict[str, list[ItemPut]] = defaultdict(list)
        users: dict[str, list[UserPut]] = defaultdict(list)
        for put in puts:
            if isinstance(put, ItemPut):
                items[put.tenant].append(put)
            else:
                users[put.tenant].append(put)
        async with self.database.transaction() as connection:
            # Lock tenants in the same order everywhere, to prevent deadlocks.
            for tenant in sorted(items.keys() | users.keys()):
                await self._put_items(connection, tenant, items[tenant])
                await self._put_users(connection, tenant, users[tenant])
        PUTS.labels("item").inc(sum(map(len, items.values())))
        PUTS.labels("user").inc(sum(map(len, users.values())))

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Erase users. A tombstone changes nothing: puts from before the erasure remain rejected."""
        for event in events:
            if not isinstance(event, Tombstone):
                await self.erasures.erase(event)

    async def objects_created(self, notices: Sequence[ObjectNotice]) -> None:
        """Create an import for each uploaded object in the notices; the store's test message has none.

        Raises Permanent for an object that is denied, after all others were processed.
        """
        first_error: Permanent | None = None
        for notice in notices:
            for created in notice.records:
                if created.s3.bucket.name not in {self.files.uploads_bucket, self.files.data_bucket}:
                    await self.pulls.want_bucket(created.s3.bucket.name)
                elif created.s3.bucket.name == self.files.uploads_bucket:
                    try:
                        await self._object_created(created.s3.object.key)
                    except Permanent as error:
                        first_error = first_error or error
        if first_error is not None:
            raise first_error

    async def _object_created(self, key: str) -> None:
        # Amazon S3 URL-encodes the key in its notices; other stores do not.
        last_error: Permanent | None = None
        for candidate in dict.fromkeys((key, unquote_plus(key))):
            try:
                check_key(candidate)
                if parse_key(candidate) is None:
                    continue
                upload = await self.files.upload(candidate)
            except Permanent as error:
                # Without the permission to list a bucket, a missing key is denied: try the other candidate.
                last_error = error
                continue
            if upload is not None:
                await add_upload(self.imports, self.files.uploads_bucket, upload)
                return
        if last_error is not None:
            raise last_error
        UPLOADS.labels("ignored").inc()

    async def _put_items(self, connection: Connection, tenant: str, puts: Sequence[ItemPut]) -> None:
        if not puts:
            return
        ids = list(dict.fromkeys(put.item_id for put in puts))
        states = await self.catalogue.items_to_merge(connection, tenant, ids, accepted=True)
        now = datetime.now(UTC)
        for put in puts:
            merge_put(states[put.item_id], put, now)
        await self.catalogue.save_items(connection, tenant, states)

    async def _put_users(self, connection: Connection, tenant: str, puts: Sequence[UserPut]) -> None:
        if not puts:
            return
        ids = list(dict.fromkeys(put.user_id for put in puts))
        states = await self.catalogue.users_to_merge(connection, tenant, ids, accepted=True)
        erased = await self.erasures.erased(connection, tenant, ids)
        remaining = [
            put for put in puts if put.user_id not in erased or put.occurred_at > erased[put.user_id]
        ]
        now = datetime.now(UTC)
        for put in remaining:
            merge_put(states[put.user_id], put, now)
        changed = {put.user_id: states[put.user_id] for put in remaining}
        await self.catalogue.save_users(connection, tenant, changed)
