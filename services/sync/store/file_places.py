"""Places with files of a shop: a folder, or a bucket of the object store."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from pydantic import SecretStr

from services.sync.domain.object_locations import ObjectLocation
from services.sync.domain.pulls.configs import Bucket, Folder
from services.sync.store.files import call_store
from services.sync.store.statements import SQL
from shared import s3
from shared.errors import Permanent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

    from services.sync.store.sources import Source
    from shared.postgres import Database
    from shared.settings import S3Settings

SETTLED_SECONDS = 10.0
"""Time since the last change of a file in a folder, before it is read: a copy may be under way. Arbitrary."""


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A version of a file: its path in the place, and what changes with its content."""

    key: str
    version: str
    size: int
    modified_at: datetime


class Place(Protocol):
    """A place with files."""

    def files(self) -> AsyncIterator[FileVersion]:
        """Yield the files."""
        ...

    async def copy(self, file: FileVersion, target: IO[bytes]) -> None:
        """Write the content of a file."""
        ...


class FilePlaces:
    """Opens the places of sources."""

    def __init__(self, database: Database, settings: S3Settings, folder: str | None) -> None:
        self._database = database
        self._settings = settings
        self._folder = None if folder is None else Path(folder)

    async def of(self, source: Source, config: Bucket | Folder, secrets: Mapping[str, str]) -> Place:
        """Return the place of a source. Raises Permanent for one that the tenant may not read."""
        if isinstance(config, Folder):
            return FolderPlace(self._checked_folder(config))
        blocks = self._settings
        if config.bucket in {blocks.endcap_data_bucket, blocks.endcap_uploads_bucket}:
            raise Permanent(f"The bucket {config.bucket} is shared by tenants; choose one of the shop.")
        if "access_key_id" in secrets:
            keys = {
                "aws_access_key_id": secrets["access_key_id"],
                "aws_secret_access_key": SecretStr(secrets["secret_access_key"]),
            }
            return BucketPlace(s3.client(blocks.model_copy(update=keys)), config)
        if not await self._is_granted(source.tenant, config.bucket, config.prefix):
            sentence = _not_granted(source.tenant, config.bucket, config.prefix)
            raise Permanent(f"{sentence}, or the source has a key pair of its own.")
        return BucketPlace(s3.client(blocks), config)

    async def check_object(self, tenant: str, location: ObjectLocation) -> None:
        """Raise Permanent for an object that the tenant may not read."""
        if location.bucket == self._settings.endcap_data_bucket:
            raise Permanent(f"The bucket {location.bucket} has Endcap's own files, which are not imported.")
        if location.bucket == self._settings.endcap_uploads_bucket:
            if not location.key.startswith(f"{tenant}/"):
                raise Permanent(
                    f"The tenant's files in {location.bucket} are below s3://{location.bucket}/{tenant}/; "
                    f"{location.uri} is not."
                )
        elif not await self._is_granted(tenant, location.bucket, location.key):
            raise Permanent(f"{_not_granted(tenant, *location)}.")

    async def _is_granted(self, tenant: str, bucket: str, prefix: str) -> bool:
        query = SQL.bucket_granted(tenant=tenant, bucket=bucket, prefix=prefix)
        return bool(await self._database.fetchval(*query))

    def _checked_folder(self, config: Folder) -> Path:
        if self._folder is None:
            raise Permanent("Sources may read no folder here; an operator names one with SYNC_SOURCE_FOLDER.")
        root = self._folder.resolve()
        path = (root / config.path).resolve()
        if not path.is_relative_to(root) or not path.is_dir():
            raise Permanent(f"{config.path} is not a folder below that of SYNC_SOURCE_FOLDER.")
        return path


def _not_granted(tenant: str, bucket: str, prefix: str) -> str:
    """Return the sentence about a part of a bucket that a tenant may not read, without a full stop."""
    return (
        f"The tenant may not read s3://{bucket}/{prefix}: an operator allows it with "
        f"`buckets allow --tenant {tenant} s3://{bucket}/ --read-only`"
    )


class FolderPlace:
    """A folder of the machine on which the worker runs; folders in it are not read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def files(self) -> AsyncIterator[FileVersion]:
        """Yield the files that have not changed for some seconds."""
        for file in await asyncio.to_thread(self._settled):
            yield file

    def _settled(self) -> list[FileVersion]:
        now, files = datetime.now(UTC), []
        for path in sorted(self._path.iterdir()):
            # A link may lead out of the folder.
            if path.is_symlink() or not path.is_file():
                continue
            status = path.stat()
            modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
            if (now - modified_at).total_seconds() >= SETTLED_SECONDS:
                version = f"{status.st_mtime_ns}:{status.st_size}"
                files.append(FileVersion(path.name, version, status.st_size, modified_at))
        return files

    async def copy(self, file: FileVersion, target: IO[bytes]) -> None:
        """Write the content of a file. Raises Permanent if it is gone."""
        try:
            with (self._path / file.key).open("rb") as source:
                await asyncio.to_thread(shutil.copyfileobj, source, target)
        except OSError as error:
            raise Permanent(f"{file.key} can't be read: {error}") from error


class BucketPlace:
    """The objects below a prefix of a bucket."""

    def __init__(self, client: S3Client, config: Bucket) -> None:
        self._client = client
        self._config = config

    async def files(self) -> AsyncIterator[FileVersion]:
        """Yield the objects, sorted by key. Raises Transient if the store can't be reached."""
        token = ""
        while True:
            page = await call_store(lambda token=token: self._page(token))  # type: ignore[misc]
            for entry in page.get("Contents", []):
                version = f"{entry['ETag']}:{entry['LastModified'].isoformat()}"
                yield FileVersion(entry["Key"], version, entry["Size"], entry["LastModified"])
            if not page["IsTruncated"]:
                return
            token = page["NextContinuationToken"]

    def _page(self, token: str) -> dict[str, Any]:
        more = {"ContinuationToken": token} if token else {}
        return dict(
            self._client.list_objects_v2(Bucket=self._config.bucket, Prefix=self._config.prefix, **more)  # type: ignore[arg-type]
        )

    async def copy(self, file: FileVersion, target: IO[bytes]) -> None:
        """Write the content of an object. Raises Permanent if it is gone."""
        await call_store(lambda: self._client.download_fileobj(self._config.bucket, file.key, target))
