"""Import the new files of a folder or bucket: each version of a file is one import, then a training."""

from __future__ import annotations

import asyncio
import re
import tempfile
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING

from services.sync.domain.imports import Import
from services.sync.domain.json_lines import as_csv
from services.sync.domain.mapping import KINDS, Kind
from services.sync.domain.pulls.configs import Bucket, Folder
from services.sync.metrics import PULLED
from shared.errors import Permanent

if TYPE_CHECKING:
    from services.sync.store import Files, Imports, Pulls
    from services.sync.store.file_places import FilePlaces, FileVersion, Place
    from services.sync.store.sources import Source
    from shared.jobs import Job

TOPIC = "files"
_NAME = re.compile(rf"(?P<kind>{'|'.join(KINDS)})[^/]*\.(csv|jsonl|ndjson)(\.gz)?", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_IN_MEMORY_BYTES = 2**20


class FileRuns:
    """Runs of sources that are places with files."""

    def __init__(
        self, places: FilePlaces, imports: Imports, pulls: Pulls, files: Files, *, max_bytes: int
    ) -> None:
        self._places = places
        self._imports = imports
        self._pulls = pulls
        self._files = files
        self._max_bytes = max_bytes

    async def run(self, source: Source, config: Bucket | Folder, secrets: dict[str, str], job: Job) -> int:
        """Import the new files; return how many. Raises Permanent and Transient as the place does."""
        place = await self._places.of(source, config, secrets)
        count, warnings = 0, list[str]()
        async with aclosing(place.files()) as listed:  # type: ignore[type-var]
            async for file in listed:
                kind = _kind_of(file.key)
                if kind is None or await self._pulls.knows(source.id, TOPIC, file.key, file.version):
                    continue
                if file.size > self._max_bytes:
                    warnings.append(f"{file.key} is larger than {self._max_bytes:,} bytes; split it.")
                    continue
                try:
                    await self._import(source, config, place, file, kind)
                except Permanent as error:
                    warnings.append(f"{file.key} was not imported: {error}")
                    continue
                # A crash before this line imports the file a second time, which changes nothing.
                await self._pulls.remember(source.id, TOPIC, file.key, file.version)
                PULLED.labels("changed").inc()
                count += 1
                await job.report(objects=count)
        await job.report(warnings=warnings[:20])
        return count

    async def _import(
        self, source: Source, config: Bucket | Folder, place: Place, file: FileVersion, kind: Kind
    ) -> None:
        """Copy a file to Endcap's bucket and queue its import."""
        identity = str(uuid.uuid4())
        name = _UNSAFE.sub("-", file.key.rpartition("/")[2])[-100:].strip(".-")
        mapping = config.mappings.get(kind)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as copy, tempfile.TemporaryFile() as converted:
            await place.copy(file, copy)
            copy.seek(0)
            content = await asyncio.to_thread(as_csv, copy, converted, self._max_bytes)
            size = content.seek(0, 2)
            content.seek(0)
            key = f"{source.tenant}/imports/{identity}/{name}"
            etag = await self._files.save(key, content)
        new = Import(
            id=identity,
            tenant=source.tenant,
            kind=kind,
            filename=name,
            origin="request",
            bucket=self._files.data_bucket,
            object_key=key,
            etag=etag,
            size=size,
            said_at=file.modified_at,
            mapping=mapping.model_dump(mode="json") if mapping else None,
        )
        await self._imports.add(new)


def _kind_of(key: str) -> Kind | None:
    match = _NAME.fullmatch(key.rpartition("/")[2])
    return None if match is None else next(kind for kind in KINDS if kind == match["kind"].lower())
