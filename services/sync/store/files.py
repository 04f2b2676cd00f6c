"""Files in the object store, read as a stream of decompressed bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import IO, TYPE_CHECKING, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from services.sync.domain.decompression import PIECE_BYTES, Decompressor
from services.sync.domain.limits import Limits
from services.sync.domain.uploads import Upload
from shared.errors import Permanent, Transient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

# A retry of the same request gets the same answer; for a single object this is not an outage.
_DENIED_STATUS = frozenset({400, 401, 403})
_FAILED_STATUS = frozenset({500, 501, 502, 504})
_MISSING_CODES = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchBucket"})

Result = TypeVar("Result")


class _Missing(Permanent):
    """The object does not exist."""


class StoreDenied(Transient):
    """The store denied the request."""


class StoreFailed(Transient):
    """The store answered with an internal error, possibly for this object alone."""


class Files:
    """Posted files in Endcap's bucket, and uploads in the bucket that clients write to."""

    def __init__(
        self,
        client: S3Client,
        data_bucket: str,
        uploads_bucket: str,
        limits: Limits | None = None,
    ) -> None:
        self._client = client
        self._limits = limits
        self.data_bucket = data_bucket
        self.uploads_bucket = uploads_bucket

    async def save(self, key: str, file: IO[bytes]) -> str:
        """Store a posted file in Endcap's bucket; return its etag."""
        await call_store(lambda: self._client.upload_fileobj(file, self.data_bucket, key))
        head = await call_store(lambda: self._client.head_object(Bucket=self.data_bucket, Key=key))
        return head["ETag"]

    async def delete(self, bucket: str, key: str) -> None:
        """Delete a file if it exists. Raises StoreDenied if the store denies it."""
        with suppress(_Missing):
            await call_store(lambda: self._client.delete_object(Bucket=bucket, Key=key))

    async def upload(self, key: str) -> Upload | None:
        """Return the newest version of an uploaded object, or None if it does not exist.

        Raises Permanent if the store denies access to it or fails for it alone, so that its notice does not
        block others.
        """
        try:
            return await self._head(self.uploads_bucket, key)
        except StoreDenied as error:
            raise Permanent(
                f"{key} in {self.uploads_bucket} cannot be read: {error} Allow sync to read the bucket; its "
                "sweep then finds the file, or replay this notice."
            ) from error
        except StoreFailed as error:
            # The client has tried five times. Find out whether the store fails, or this object alone.
            with suppress(StoreDenied):
                await call_store(lambda: self._client.head_bucket(Bucket=self.uploads_bucket))
            raise Permanent(
                f"{key} in {self.uploads_bucket} cannot be read, although the store works: {error} "
                "The sweep finds the file once it can be read."
            ) from error

    async def version(self, bucket: str, key: str) -> Upload | None:
        """Return the newest version of an object, or None if it does not exist.

        Raises Permanent if the store denies access to it, Transient if the store fails.
        """
        try:
            return await self._head(bucket, key)
        except StoreDenied as error:
            raise Permanent(f"{key} in {bucket} cannot be read: {error} Allow sync to read it.") from error

    async def _head(self, bucket: str, key: str) -> Upload | None:
        """Return the newest version of an object, or None; raises as `call_store` does."""
        try:
            head = await call_store(lambda: self._client.head_object(Bucket=bucket, Key=key))
        except _Missing:
            return None
        return Upload(key, head["ETag"], _to_seconds(head["LastModified"]), head["ContentLength"])

    async def uploads(self) -> AsyncGenerator[list[Upload], None]:
        """Yield all uploaded objects in pages."""
        token: str | None = None
        while True:
            page = await call_store(partial(self._page, token))
            yield [
                Upload(entry["Key"], entry["ETag"], _to_seconds(entry["LastModified"]), entry["Size"])
                for entry in page.get("Contents", [])
            ]
            if not page["IsTruncated"]:
                return
            token = page["NextContinuationToken"]

    def _page(self, token: str | None) -> ListObjectsV2OutputTypeDef:
        if token is None:
            return self._client.list_objects_v2(Bucket=self.uploads_bucket)
        return self._client.list_objects_v2(Bucket=self.uploads_bucket, ContinuationToken=token)

    async def pieces(
        self, bucket: str, key: str, etag: str | None
    ) -> AsyncGenerator[tuple[bytes, int], None]:
        """Yield the decompressed bytes of a file in pieces, each with the compressed bytes read so far.

        Raises Permanent if the object is missing, replaced, damaged, or exceeds the limits.
        """
        condition = {"IfMatch": etag} if etag else {}
        response = await call_store(
            lambda: self._client.get_object(Bucket=bucket, Key=key, **condition)  # type: ignore[arg-type]
        )
        body, decompressor, read = response["Body"], Decompressor(self._limits), 0
        try:
            while piece := await call_store(lambda: body.read(PIECE_BYTES)):
                read += len(piece)
                for plain in decompressor.feed(piece):
                    yield plain, read
                    # One piece may decompress to a thousand: let heartbeats and other imports run in between.
                    await asyncio.sleep(0)
            for plain in decompressor.close():
                yield plain, read
        finally:
            body.close()


async def call_store(call: Callable[[], Result]) -> Result:
    """Call boto3 in a thread; raise Permanent or Transient in place of its errors."""
    try:
        return await asyncio.to_thread(call)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        if code in _MISSING_CODES or status == 404:
            raise _Missing("The file does not exist in the object store any more.") from error
        if status == 412:
            raise Permanent("The file was replaced; its new version is another import.") from error
        # A busy store answers 503, which is Transient.
        kind = (
            StoreDenied
            if status in _DENIED_STATUS
            else StoreFailed
            if status in _FAILED_STATUS
            else Transient
        )
        raise kind(f"The object store answered with an error: {error}.") from error
    except (BotoCoreError, OSError) as error:
        raise Transient(f"The object store cannot be reached: {error}") from error


def _to_seconds(time: datetime) -> datetime:
    """Return a time without fractions of a second, which some stores omit for a single object."""
    return time.astimezone(UTC).replace(microsecond=0)
