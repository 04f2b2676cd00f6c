"""Reading batch output from the object store, in chunks of lines."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from services.loader.domain import BatchRefused, ManifestFile
from shared.errors import Transient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 512 * 1024
CHUNK_SECONDS = 60.0
MAX_LINE_BYTES = 8 * 2**20
MAX_MANIFEST_BYTES = 16 * 2**20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Result = TypeVar("Result")


class Files:
    """Reads objects in threads, so that the event loop can send heartbeats."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    async def manifest(self, bucket: str, key: str) -> bytes:
        """Return the manifest; Transient when the store is unavailable, or does not list the object yet."""
        response = await _call(key, lambda: self._client.get_object(Bucket=bucket, Key=key))
        body = response["Body"]
        with contextlib.closing(body):
            return await _call(key, lambda: body.read(MAX_MANIFEST_BYTES))

    async def lines(self, bucket: str, file: ManifestFile) -> AsyncIterator[list[bytes]]:
        """Yield the lines of a file that are not blank, a chunk at a time.

        Raises BatchRefused for a line that is too long, and after the last line when the size or the checksum
        differ from the manifest. Raises Transient when the store is unavailable.
        """
        response = await _call(file.key, lambda: self._client.get_object(Bucket=bucket, Key=file.key))
        checksum, size, rest, first = hashlib.sha256(), 0, b"", True
        body = response["Body"]
        with contextlib.closing(body):
            # The next chunk is read while the caller works on this one.
            next_chunk = asyncio.create_task(_chunk(file.key, body))
            try:
                while chunk := await next_chunk:
                    next_chunk = asyncio.create_task(_chunk(file.key, body))
                    checksum.update(chunk)
                    size += len(chunk)
                    if first:
                        chunk, first = chunk.removeprefix(_BYTE_ORDER_MARK), False
                    *complete, rest = (rest + chunk).split(b"\n")
                    if len(rest) > MAX_LINE_BYTES:
                        raise BatchRefused(f"{file.key} has a line longer than {MAX_LINE_BYTES} bytes")
                    if complete:
                        yield [*_without_blank(complete)]
            finally:
                next_chunk.cancel()
                _end_reads(body)
        if last := [*_without_blank([rest])]:
            yield last
        if (size, checksum.hexdigest()) != (file.bytes, file.sha256):
            raise BatchRefused(
                f"{file.key} is not the file that the manifest describes ({size} bytes of "
                f"{file.bytes}, or another sha256): the output of the run is incomplete; start a new run"
            )


def _without_blank(lines: list[bytes]) -> Iterator[bytes]:
    return (line for line in lines if line and not line.isspace())


async def _chunk(key: str, body: Any) -> bytes:
    """Return the next chunk; Transient when the store sends less than a chunk in a minute."""
    try:
        async with asyncio.timeout(CHUNK_SECONDS):
            return await _call(key, lambda: body.read(CHUNK_BYTES))
    except TimeoutError as error:
        raise Transient(f"the object store sends {key} too slowly") from error


def _end_reads(body: Any) -> None:
    """End the read of another thread, which `close` would await on the event loop."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # there is no connection to end
        body._raw_stream.shutdown()  # noqa: SLF001 - StreamingBody has no method for it


async def _call(key: str, function: Callable[[], Result]) -> Result:
    try:
        return await asyncio.to_thread(function)
    except ClientError as error:
        raise Transient(f"the object store did not return {key}: {error}") from error
    except (BotoCoreError, HTTPClientError, HTTPError, OSError) as error:
        raise Transient(f"the object store broke off at {key}: {error!r}") from error
