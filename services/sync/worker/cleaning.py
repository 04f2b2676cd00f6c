"""Posted files go some days after their import has ended; what people uploaded themselves stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from services.sync.store import Files, Imports

EVERY_SECONDS = 600.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Cleaning:
    """Deletes old files. Several at once do no harm."""

    imports: Imports
    files: Files
    days: float

    async def clean(self) -> int:
        """Delete the files whose time has come; return how many."""
        deleted = 0
        while due := await self.imports.with_old_files(self.days):
            for identity, bucket, key in due:
                await self.files.delete(bucket, key)
                await self.imports.file_deleted(identity)
                log.info("sync.file_deleted", import_id=identity, key=key)
            deleted += len(due)
        return deleted
