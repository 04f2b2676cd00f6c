"""Delete posted files and rejected rows some days after their import. Uploaded files are never deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from services.sync.store import StoreDenied

if TYPE_CHECKING:
    from services.sync.store import Files, Imports

EVERY_SECONDS = 600.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """Deletes old files and rejected rows. Several processes may run it at once."""

    imports: Imports
    files: Files
    days: float
    reject_days: float = 30.0

    async def clean(self) -> int:
        """Delete the files and rejected rows that have expired; return the number of files."""
        deleted = 0
        last = ""
        while due := await self.imports.with_old_files(self.days, last):
            for identity, bucket, key in due:
                deleted += await self._delete(identity, bucket, key)
            last = due[-1][0]
        while imports := await self.imports.delete_old_rejects(self.reject_days):
            log.info("sync.rejects_deleted", imports=imports)
        return deleted

    async def _delete(self, identity: str, bucket: str, key: str) -> bool:
        """Delete one file; return False if the store denies it. The next run tries it again."""
        try:
            await self.files.delete(bucket, key)
        except StoreDenied as error:
            log.warning("sync.file_kept", import_id=identity, key=key, error=str(error))
            return False
        await self.imports.file_deleted(identity)
        log.info("sync.file_deleted", import_id=identity, key=key)
        return True
