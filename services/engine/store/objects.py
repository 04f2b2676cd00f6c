"""The object store. All calls block, so a service calls them in a thread or a child process.

An object that does not exist or may not be read is a Permanent error, whose message begins with the
`error_prefix` of the caller. A store that cannot be reached is a Transient error.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from services.engine.domain.locations import Location
from services.engine.store.buckets import shared_of
from shared import s3
from shared.errors import Permanent, Transient

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

    from services.engine.store.buckets import TenantStore
    from shared.settings import S3Settings

# Errors that a retry does not remove. The answer to a HEAD request has the status only.
_PERMANENT_CODES = frozenset(
    {
        *("NoSuchBucket", "NoSuchKey", "AccessDenied", "InvalidBucketName", "KeyTooLongError"),
        *("InvalidAccessKeyId", "SignatureDoesNotMatch"),
        *("400", "403", "404"),
    }
)
_MISSING_CODES = frozenset({"NoSuchKey", "404"})
_DELETE_BATCH = 1000
BUFFER_BYTES = 2**20


class _Missing(Permanent):
    """The object does not exist."""


def _ignore_count(_: int) -> None:
    """Do not count bytes."""


@dataclass(frozen=True, slots=True)
class Object:
    """One object of a bucket."""

    bucket: str
    key: str
    size: int

    @property
    def name(self) -> str:
        """Return the last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def uri(self) -> str:
        """Return `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


class ObjectStorage:
    """The object store. Shared buckets are used with the engine's own keys, others with those of a tenant."""

    def __init__(self, client: S3Client, data_bucket: str, store: TenantStore | None = None) -> None:
        """Use a client. `data_bucket` is the bucket that Endcap writes."""
        self._client = client
        self._outside = client
        self._shared = frozenset({data_bucket})
        self._access = store.access if store else None
        self.data_bucket = data_bucket

    @classmethod
    def of(cls, settings: S3Settings, store: TenantStore | None = None) -> ObjectStorage:
        """Return the object store of the settings, for a job with the access of its tenant."""
        objects = cls(s3.client(settings), settings.endcap_data_bucket, store)
        objects._shared = frozenset(shared_of(settings))
        if store is not None and store.keys is not None:
            own = {"aws_access_key_id": store.keys.access_key_id, "aws_secret_access_key": store.keys.secret}
            objects._outside = s3.client(settings.model_copy(update=own))
        return objects

    def check_writable(self, location: Location, error_prefix: str) -> None:
        """Raise Permanent if the tenant's jobs may not write a location."""
        if self._access is not None:
            self._access.check_writable(location, error_prefix)

    def _client_for(self, bucket: str) -> S3Client:
        return self._client if bucket in self._shared else self._outside

    def below(self, bucket: str, prefix: str, error_prefix: str = "Invalid S3 path.") -> Iterator[Object]:
        """Yield the objects whose keys begin with a prefix, without objects that only stand for folders."""
        with _translated(error_prefix, f"s3://{bucket}/{prefix}"):
            pages = self._client_for(bucket).get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    if not entry["Key"].endswith("/"):
                        yield Object(bucket, entry["Key"], entry["Size"])

    def find(self, location: Location, error_prefix: str) -> Object | None:
        """Return the object at a location, or None if there is none that the tenant's jobs may read."""
        if location.is_folder or not self._may_read(location):
            return None
        try:
            with _translated(error_prefix, location.uri):
                head = self._client_for(location.bucket).head_object(Bucket=location.bucket, Key=location.key)
        except _Missing:
            return None
        return Object(location.bucket, location.key, head["ContentLength"])

    def matching(self, location: Location, error_prefix: str) -> list[Object]:
        """Return the readable objects in a folder, or those whose keys begin with the key of a location.

        Raise Permanent if there are none.
        """
        objects = [
            found_object
            for found_object in self.below(location.bucket, location.key, error_prefix)
            if self._may_read(Location(found_object.bucket, found_object.key))
        ]
        if not objects:
            raise Permanent(f"{error_prefix} There is no object whose address begins with {location.uri}.")
        return objects

    def _may_read(self, location: Location) -> bool:
        return self._access is None or self._access.is_readable(location)

    def read(
        self, source: Object, error_prefix: str, seen: Callable[[int], None] = _ignore_count
    ) -> IO[bytes]:
        """Return the bytes of an object as a buffered stream; call `seen` with the size of each read."""
        with _translated(error_prefix, source.uri):
            body = self._client_for(source.bucket).get_object(Bucket=source.bucket, Key=source.key)["Body"]
        return io.BufferedReader(_Body(body, source.uri, seen), BUFFER_BYTES)

    def seekable(self, bucket: str, key: str) -> IO[bytes]:
        """Return an object as a seekable file, of which only the parts that are read are downloaded."""
        uri = f"s3://{bucket}/{key}"
        with _translated("Invalid S3 path.", uri):
            size = self._client_for(bucket).head_object(Bucket=bucket, Key=key)["ContentLength"]
        return cast("IO[bytes]", _Ranges(self._client_for(bucket), Object(bucket, key, size)))

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Download an object to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with _translated("Invalid S3 path.", f"s3://{bucket}/{key}"):
            s3.download(self._client_for(bucket), bucket, key, path)

    def upload(self, path: Path, bucket: str, key: str, error_prefix: str) -> None:
        """Upload a file to an object, which becomes visible only as a whole."""
        with _translated(error_prefix, f"s3://{bucket}/{key}"):
            s3.upload(self._client_for(bucket), path, bucket, key)

    def put(self, body: bytes, key: str) -> None:
        """Write a small object to the data bucket."""
        with _translated("Invalid S3 path.", f"s3://{self.data_bucket}/{key}"):
            self._client.put_object(Bucket=self.data_bucket, Key=key, Body=body)

    def delete_below(self, prefix: str) -> None:
        """Delete all objects below a prefix of the data bucket.

        Raise Permanent if the prefix does not begin with a tenant and a slash, and Transient if the store
        did not delete an object.
        """
        tenant, slash, _ = prefix.partition("/")
        if not tenant or not slash:
            raise Permanent(f"{prefix!r} is not a prefix of one tenant's objects")
        keys = [source.key for source in self.below(self.data_bucket, prefix)]
        for start in range(0, len(keys), _DELETE_BATCH):
            batch = [{"Key": key} for key in keys[start : start + _DELETE_BATCH]]
            with _translated("Invalid S3 path.", f"s3://{self.data_bucket}/{prefix}"):
                answer = self._client.delete_objects(
                    Bucket=self.data_bucket,
                    Delete={"Objects": batch, "Quiet": True},  # type: ignore[typeddict-item]
                )
            for failure in answer.get("Errors", []):
                raise Transient(
                    f"The object store did not delete {failure.get('Key')}: {failure.get('Code')}."
                )

    def ensure_bucket(self, bucket: str) -> bool:
        """Create a bucket unless it exists; return whether it was created."""
        with _translated("The bucket can't be used.", f"s3://{bucket}"):
            try:
                self._client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
                    raise
                self._client.create_bucket(Bucket=bucket)
                return True
        return False

    def set_policy(self, bucket: str, policy: Mapping[str, Any]) -> None:
        """Replace the policy of a bucket."""
        with _translated("The bucket's policy can't be set.", f"s3://{bucket}"):
            self._client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


class _Body(io.RawIOBase):
    """The body of an answer as a Python stream."""

    def __init__(self, body: StreamingBody, uri: str, seen: Callable[[int], None]) -> None:
        self._body = body
        self._uri = uri
        self._seen = seen

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _translated("Invalid S3 path.", self._uri):
            chunk = self._body.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._seen(len(chunk))
        return len(chunk)


class _Ranges(io.RawIOBase):
    """An object as a Python file. Each read is a request for a range of bytes."""

    def __init__(self, client: S3Client, source: Object) -> None:
        self._client = client
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = begin + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._source.size)
        if end <= self._at:
            return 0
        with _translated("Invalid S3 path.", self._source.uri):
            answer = self._client.get_object(
                Bucket=self._source.bucket, Key=self._source.key, Range=f"bytes={self._at}-{end - 1}"
            )
            chunk = answer["Body"].read()
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _translated(error_prefix: str, uri: str) -> Iterator[None]:
    """Raise errors of boto3 as Permanent or Transient."""
    try:
        yield
    except ClientError as error:
        raise _error_of(error, error_prefix, uri) from error
    except S3UploadFailedError as error:
        if isinstance(error.__context__, ClientError):
            raise _error_of(error.__context__, error_prefix, uri) from error
        raise _unavailable(error, uri) from error
    except ParamValidationError as error:
        raise Permanent(f"{error_prefix} {uri} is no valid location of an object store.") from error
    except (BotoCoreError, ConnectionError) as error:
        raise _unavailable(error, uri) from error


def _error_of(error: ClientError, error_prefix: str, uri: str) -> Permanent | Transient:
    """Return the error for an answer of the store: Permanent if a retry cannot help, else Transient."""
    code = error.response.get("Error", {}).get("Code", "")
    if code in _PERMANENT_CODES:
        kind = _Missing if code in _MISSING_CODES else Permanent
        return kind(f"{error_prefix} {uri} can't be read or written: {code}.")
    return Transient(f"The object store answered {code} for {uri}.")


def _unavailable(error: Exception, uri: str) -> Transient:
    return Transient(f"The object store is not reachable for {uri}: {error}")
