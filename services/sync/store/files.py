"""Files in the object store, read as a stream of unpacked bytes."""

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

# The store won't say better to the same question: of one object, this is no outage.
_REFUSALS = frozenset({400, 401, 403})
_FAILURES = frozenset({500, 501, 502, 504})
_MISSING = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchBucket"})

Result = TypeVar("Result")


class _Gone(Permanent):
    """The object isn't there, any more or at all."""


class StoreDenied(Transient):
    """The store answered, and declined."""


class StoreFailed(Transient):
    """The store answered that it failed, which it may do for this object alone."""


class Files:
    """Posted files in Endcap's own bucket, and uploads in the one that people write to."""

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

    async def keep(self, key: str, file: IO[bytes]) -> str:
        """Store a posted file in Endcap's bucket; return its etag."""
        await _calling(lambda: self._client.upload_fileobj(file, self.data_bucket, key))
        head = await _calling(lambda: self._client.head_object(Bucket=self.data_bucket, Key=key))
        return head["ETag"]

    async def delete(self, bucket: str, key: str) -> None:
        """Delete a file; one that is gone is no error. Refused when the store keeps this one."""
        with suppress(_Gone):
            await _calling(lambda: self._client.delete_object(Bucket=bucket, Key=key))

    async def upload(self, key: str) -> Upload | None:
        """The newest version of an uploaded object; None when it is gone.

        Permanent when the store refuses to tell, so that an announcement of it does not hold up the others.
        """
        try:
            head = await _calling(lambda: self._client.head_object(Bucket=self.uploads_bucket, Key=key))
        except _Gone:
            return None
        except StoreDenied as error:
            raise Permanent(
                f"{key} in {self.uploads_bucket} can't be looked at: {error} Let sync read the bucket; its "
                "sweep then finds the file, or replay this notice."
            ) from error
        except StoreFailed as error:
            # The client has tried five times: is it the store that fails, or this object?
            with suppress(StoreDenied):
                await _calling(lambda: self._client.head_bucket(Bucket=self.uploads_bucket))
            raise Permanent(
                f"{key} in {self.uploads_bucket} can't be looked at, though the store answers: {error} "
                "The sweep finds the file once the store shows it."
            ) from error
        return Upload(key, head["ETag"], _whole(head["LastModified"]), head["ContentLength"])

    async def uploads(self) -> AsyncGenerator[list[Upload], None]:
        """Everything that was uploaded, a page at a time."""
        token: str | None = None
        while True:
            page = await _calling(partial(self._page, token))
            yield [
                Upload(entry["Key"], entry["ETag"], _whole(entry["LastModified"]), entry["Size"])
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
        """The unpacked bytes of a file in pieces, each with how many packed bytes are read by then.

        Permanent when the object is gone or was replaced, when it is damaged, and when it holds too much.
        """
        guard = {"IfMatch": etag} if etag else {}
        found = await _calling(
            lambda: self._client.get_object(Bucket=bucket, Key=key, **guard)  # type: ignore[arg-type]
        )
        body, unpacker, read = found["Body"], Decompressor(self._limits), 0
        try:
            while piece := await _calling(lambda: body.read(PIECE_BYTES)):
                read += len(piece)
                for plain in unpacker.feed(piece):
                    yield plain, read
                    # A piece may hold a thousand: heartbeats and other imports have their turns between them.
                    await asyncio.sleep(0)
            for plain in unpacker.close():
                yield plain, read
        finally:
            body.close()


async def _calling(call: Callable[[], Result]) -> Result:
    """Call boto3 off the event loop, in our own errors."""
    try:
        return await asyncio.to_thread(call)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        if code in _MISSING or status == 404:
            raise _Gone("The file is gone from the object store.") from error
        if status == 412:
            raise Permanent("The file was replaced; the newer one is imported by itself.") from error
        # A store that is too busy says 503.
        kind = StoreDenied if status in _REFUSALS else StoreFailed if status in _FAILURES else Transient
        raise kind(f"The object store refused: {error}.") from error
    except (BotoCoreError, OSError) as error:
        raise Transient(f"The object store can't be reached: {error}") from error


def _whole(moment: datetime) -> datetime:
    """To the second, since some stores tell no more when they are asked for a single object."""
    return moment.astimezone(UTC).replace(microsecond=0)
