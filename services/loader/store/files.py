"""Batch output in the object store, as batches of lines."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from services.loader.domain import ManifestFile, Refused
from shared.errors import Transient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 512 * 1024
CHUNK_SECONDS = 60.0
LONGEST_LINE = 8 * 2**20
LARGEST_MANIFEST = 16 * 2**20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Result = TypeVar("Result")


class Files:
    """Reads objects in threads, so that the event loop keeps its heartbeat."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    async def manifest(self, bucket: str, key: str) -> bytes:
        """The manifest's text. Raises Transient when the store is away, or doesn't show it yet."""
        response = await _call(key, lambda: self._client.get_object(Bucket=bucket, Key=key))
        body = response["Body"]
        with contextlib.closing(body):
            return await _call(key, lambda: body.read(LARGEST_MANIFEST))

    async def lines(self, bucket: str, file: ManifestFile) -> AsyncIterator[list[bytes]]:
        """The lines of a file, chunk by chunk, blank ones left out.

        After the last one, raises Refused when the bytes are not those that the manifest describes.
        """
        response = await _call(file.key, lambda: self._client.get_object(Bucket=bucket, Key=file.key))
        checksum, size, rest, first = hashlib.sha256(), 0, b"", True
        body = response["Body"]
        with contextlib.closing(body):
            # The next chunk is fetched while the caller works on this one.
            coming = asyncio.create_task(_chunk(file.key, body))
            try:
                while chunk := await coming:
                    coming = asyncio.create_task(_chunk(file.key, body))
                    checksum.update(chunk)
                    size += len(chunk)
                    if first:
                        chunk, first = chunk.removeprefix(_BYTE_ORDER_MARK), False
                    *whole, rest = (rest + chunk).split(b"\n")
                    if len(rest) > LONGEST_LINE:
                        raise Refused(f"{file.key} has a line longer than {LONGEST_LINE} bytes")
                    if whole:
                        yield [*_without_blank(whole)]
            finally:
                coming.cancel()
        if last := [*_without_blank([rest])]:
            yield last
        if (size, checksum.hexdigest()) != (file.bytes, file.sha256):
            raise Refused(
                f"{file.key} is not the file that the manifest describes ({size} bytes of "
                f"{file.bytes}, or another sha256): the run's output is torn; start a new run"
            )


def _without_blank(lines: list[bytes]) -> Iterator[bytes]:
    return (line for line in lines if line and not line.isspace())


async def _chunk(key: str, body: Any) -> bytes:
    """The next bytes; Transient for a store that sends less than a chunk in a minute."""
    try:
        async with asyncio.timeout(CHUNK_SECONDS):
            return await _call(key, lambda: body.read(CHUNK_BYTES))
    except TimeoutError as error:
        raise Transient(f"the object store sends {key} too slowly") from error


async def _call(key: str, function: Callable[[], Result]) -> Result:
    try:
        return await asyncio.to_thread(function)
    except ClientError as error:
        raise Transient(f"the object store did not give {key}: {error}") from error
    except (BotoCoreError, HTTPClientError, HTTPError, OSError) as error:
        raise Transient(f"the object store broke off at {key}: {error!r}") from error
