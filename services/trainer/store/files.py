"""Files of runs in the object store: streamed uploads, reading and deletion."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar

import orjson
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from services.trainer.domain import StoredFile
from shared.errors import Permanent, Transient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 * 2**20
CHUNK_BYTES = 2**20
CHUNK_SECONDS = 60.0
_MISSING = {"404", "NoSuchKey", "NotFound"}
_REFUSED = {"NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}

Result = TypeVar("Result")


class Files:
    """The files of the data bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    def uri(self, key: str) -> str:
        """Return `s3://bucket/key`."""
        return f"s3://{self.bucket}/{key}"

    def upload(self, key: str) -> Upload:
        """Return an upload, whose object exists only when it is complete."""
        return Upload(self._client, self.bucket, key)

    async def put_json(self, key: str, document: Any) -> None:
        """Write a small document."""
        body = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        await call(key, lambda: self._client.put_object(Bucket=self.bucket, Key=key, Body=body))

    async def get_json(self, key: str) -> Any:
        """Read a small document; None when it does not exist. Transient when the store is unavailable."""
        try:
            response = await asyncio.to_thread(self._client.get_object, Bucket=self.bucket, Key=key)
            body = response["Body"]
            return orjson.loads(await call(key, body.read))
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise _translated(key, error) from error
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise Transient(f"the object store broke off at {key}: {error!r}") from error

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        """Yield the bytes of a file, a megabyte at a time; Transient for a slow or unavailable store."""
        response = await call(key, lambda: self._client.get_object(Bucket=self.bucket, Key=key))
        body = response["Body"]
        try:
            while True:
                try:
                    async with asyncio.timeout(CHUNK_SECONDS):
                        chunk = await call(key, lambda: body.read(CHUNK_BYTES))
                except TimeoutError as error:
                    raise Transient(f"the object store sends {key} too slowly") from error
                if not chunk:
                    return
                yield chunk
        finally:
            body.close()

    async def describe(self, key: str) -> StoredFile:
        """Read a file and return its number of lines, its size and its checksum."""
        checksum, size, lines, ends_line = hashlib.sha256(), 0, 0, True
        async for chunk in self.chunks(key):
            checksum.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n")
            ends_line = chunk.endswith(b"\n")
        return StoredFile(key, lines + (not ends_line), size, checksum.hexdigest())

    async def keys(self, prefix: str) -> list[str]:
        """Return all keys with a prefix."""

        def listed() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

        return await call(prefix, listed)

    async def delete(self, prefix: str) -> None:
        """Delete all files with a prefix, and abort incomplete uploads there."""
        await self.abort_uploads(prefix)
        for key in await self.keys(prefix):
            await call(
                key,
                lambda key=key: self._client.delete_object(Bucket=self.bucket, Key=key),  # type: ignore[misc]
            )

    async def abort_uploads(self, prefix: str) -> None:
        """Abort uploads whose process has died: their parts are invisible and take space."""

        def abort() -> None:
            uploads = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix)
            for upload in uploads.get("Uploads", []):
                self._client.abort_multipart_upload(
                    Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )

        await call(prefix, abort)


class Upload:
    """A multipart upload with parts of eight megabytes, one of them in memory; an async context manager."""

    def __init__(self, client: S3Client, bucket: str, key: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._buffer = bytearray()
        self._parts: list[CompletedPartTypeDef] = []
        self._upload_id: str | None = None
        self._checksum = hashlib.sha256()
        self._bytes = 0

    async def __aenter__(self) -> Self:
        """Return the upload; nothing is sent before a part is complete."""
        return self

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        """Abort the upload after an error before `finish`."""
        if kind is not None and self._upload_id is not None:
            upload_id, self._upload_id = self._upload_id, None
            await asyncio.to_thread(self._abort, upload_id)

    async def write(self, data: bytes) -> None:
        """Add bytes, and send each part that is complete."""
        self._buffer += data
        while len(self._buffer) >= PART_BYTES:
            part = bytes(self._buffer[:PART_BYTES])
            del self._buffer[:PART_BYTES]
            await self._send(part)

    async def finish(self, rows: int) -> StoredFile:
        """Complete the upload and return the file."""
        rest = bytes(self._buffer)
        if self._upload_id is None:
            self._count(rest)
            await call(
                self._key,
                lambda: self._client.put_object(Bucket=self._bucket, Key=self._key, Body=rest),
            )
        else:
            if rest:
                await self._send(rest)
            upload_id = self._upload_id
            await call(
                self._key,
                lambda: self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=self._key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": self._parts},
                ),
            )
            self._upload_id = None
        return StoredFile(self._key, rows, self._bytes, self._checksum.hexdigest())

    async def _send(self, part: bytes) -> None:
        self._count(part)
        if self._upload_id is None:
            started = await call(
                self._key,
                lambda: self._client.create_multipart_upload(Bucket=self._bucket, Key=self._key),
            )
            self._upload_id = started["UploadId"]
        number, upload_id = len(self._parts) + 1, self._upload_id
        sent = await call(
            self._key,
            lambda: self._client.upload_part(
                Bucket=self._bucket, Key=self._key, UploadId=upload_id, PartNumber=number, Body=part
            ),
        )
        self._parts.append({"ETag": sent["ETag"], "PartNumber": number})

    def _count(self, data: bytes) -> None:
        self._checksum.update(data)
        self._bytes += len(data)

    def _abort(self, upload_id: str) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=upload_id)
        except (BotoCoreError, ClientError, OSError):
            return  # the next attempt aborts it with `abort_uploads`


async def call(key: str, function: Callable[[], Result]) -> Result:
    """Call boto3 in a thread; Transient when the store is unavailable, Permanent when it refuses the call."""
    try:
        return await asyncio.to_thread(function)
    except ClientError as error:
        raise _translated(key, error) from error
    except (BotoCoreError, HTTPClientError, HTTPError, OSError) as error:
        raise Transient(f"the object store broke off at {key}: {error!r}") from error


def _translated(key: str, error: ClientError) -> Permanent | Transient:
    refused = error.response["Error"]["Code"] in _REFUSED
    return (Permanent if refused else Transient)(f"the object store refused {key}: {error}")
