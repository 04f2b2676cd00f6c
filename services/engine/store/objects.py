"""The object store. Every call blocks; the worker's computations run in processes of their own.

What can't be found or read is Permanent with the wire's own words, what is away is Transient.
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

# What the store says of a place that is wrong, and will be the next time; a HEAD has the status alone.
_WRONG = frozenset(
    {
        *("NoSuchBucket", "NoSuchKey", "AccessDenied", "InvalidBucketName", "KeyTooLongError"),
        *("InvalidAccessKeyId", "SignatureDoesNotMatch"),
        *("400", "403", "404"),
    }
)
_MISSING = frozenset({"NoSuchKey", "404"})
_DELETE_AT_ONCE = 1000
BUFFER_BYTES = 2**20


class _Missing(Permanent):
    """There is no such object."""


def _unseen(_: int) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Object:
    """One object of a bucket."""

    bucket: str
    key: str
    size: int

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rpartition("/")[2]

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


class Objects:
    """The object store: the shared buckets with the engine's own keys, others with those of a tenant."""

    def __init__(self, client: S3Client, data_bucket: str, store: TenantStore | None = None) -> None:
        """Use a client; `data_bucket` is the one that Endcap writes."""
        self._client = client
        self._outside = client
        self._shared = frozenset({data_bucket})
        self._access = store.access if store else None
        self.data_bucket = data_bucket

    @classmethod
    def of(cls, settings: S3Settings, store: TenantStore | None = None) -> Objects:
        """The store of the settings, for jobs as that of a tenant."""
        made = cls(s3.client(settings), settings.endcap_data_bucket, store)
        made._shared = frozenset(shared_of(settings))
        if store is not None and store.keys is not None:
            own = {"aws_access_key_id": store.keys.access_key_id, "aws_secret_access_key": store.keys.secret}
            made._outside = s3.client(settings.model_copy(update=own))
        return made

    def check_writable(self, location: Location, complaint: str) -> None:
        """Permanent for a place that the tenant's jobs may not write."""
        if self._access is not None:
            self._access.check_writable(location, complaint)

    def _reaching(self, bucket: str) -> S3Client:
        return self._client if bucket in self._shared else self._outside

    def below(self, bucket: str, prefix: str, complaint: str = "Invalid S3 path.") -> Iterator[Object]:
        """Every object whose key begins with the prefix; folders themselves are left out."""
        with _translated(complaint, f"s3://{bucket}/{prefix}"):
            pages = self._reaching(bucket).get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    if not entry["Key"].endswith("/"):
                        yield Object(bucket, entry["Key"], entry["Size"])

    def find(self, location: Location, complaint: str) -> Object | None:
        """Return the object of a location, or None when there is none that the tenant's jobs may read."""
        if location.is_folder or not self._may_read(location):
            return None
        try:
            with _translated(complaint, location.uri):
                head = self._reaching(location.bucket).head_object(Bucket=location.bucket, Key=location.key)
        except _Missing:
            return None
        return Object(location.bucket, location.key, head["ContentLength"])

    def matching(self, location: Location, complaint: str) -> list[Object]:
        """Return the readable objects in a folder, or whose keys begin with a key that is none.

        Permanent with `complaint` when there is none.
        """
        objects = [
            each
            for each in self.below(location.bucket, location.key, complaint)
            if self._may_read(Location(each.bucket, each.key))
        ]
        if not objects:
            raise Permanent(f"{complaint} There is no object whose address begins with {location.uri}.")
        return objects

    def _may_read(self, location: Location) -> bool:
        return self._access is None or self._access.is_readable(location)

    def read(self, source: Object, complaint: str, seen: Callable[[int], None] = _unseen) -> IO[bytes]:
        """The bytes of an object as a buffered stream; `seen` hears how many have come."""
        with _translated(complaint, source.uri):
            body = self._reaching(source.bucket).get_object(Bucket=source.bucket, Key=source.key)["Body"]
        return io.BufferedReader(_Body(body, source.uri, seen), BUFFER_BYTES)

    def seekable(self, bucket: str, key: str) -> IO[bytes]:
        """An object of which only the parts travel that are read, as of a file with columns."""
        uri = f"s3://{bucket}/{key}"
        with _translated("Invalid S3 path.", uri):
            size = self._reaching(bucket).head_object(Bucket=bucket, Key=key)["ContentLength"]
        return cast("IO[bytes]", _Ranges(self._reaching(bucket), Object(bucket, key, size)))

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Copy an object to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with _translated("Invalid S3 path.", f"s3://{bucket}/{key}"):
            self._reaching(bucket).download_file(bucket, key, str(path))

    def upload(self, path: Path, bucket: str, key: str, complaint: str) -> None:
        """Copy a file to an object, which appears whole or not at all."""
        with _translated(complaint, f"s3://{bucket}/{key}"):
            self._reaching(bucket).upload_file(str(path), bucket, key)

    def put(self, body: bytes, key: str) -> None:
        """Write a small object into the data bucket."""
        with _translated("Invalid S3 path.", f"s3://{self.data_bucket}/{key}"):
            self._client.put_object(Bucket=self.data_bucket, Key=key, Body=body)

    def delete_below(self, prefix: str) -> None:
        """Empty a prefix of the data bucket, which begins with a tenant and a slash; else Permanent."""
        tenant, slash, _ = prefix.partition("/")
        if not tenant or not slash:
            raise Permanent(f"{prefix!r} is not a prefix of one tenant's objects")
        keys = [found.key for found in self.below(self.data_bucket, prefix)]
        for start in range(0, len(keys), _DELETE_AT_ONCE):
            some = [{"Key": key} for key in keys[start : start + _DELETE_AT_ONCE]]
            with _translated("Invalid S3 path.", f"s3://{self.data_bucket}/{prefix}"):
                answer = self._client.delete_objects(
                    Bucket=self.data_bucket,
                    Delete={"Objects": some, "Quiet": True},  # type: ignore[typeddict-item]
                )
            for left in answer.get("Errors", []):
                raise Transient(f"The object store did not delete {left.get('Key')}: {left.get('Code')}.")

    def ensure_bucket(self, bucket: str) -> bool:
        """Make a bucket unless it is there; say whether it was made."""
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
    """The body of an answer as Python's own kind of stream."""

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
    """An object as Python's own kind of file, each read a question of its own."""

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
            found = self._client.get_object(
                Bucket=self._source.bucket, Key=self._source.key, Range=f"bytes={self._at}-{end - 1}"
            )
            chunk = found["Body"].read()
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _translated(complaint: str, uri: str) -> Iterator[None]:
    """Tell a location that is wrong from a store that is away."""
    try:
        yield
    except ClientError as error:
        raise _answered(error, complaint, uri) from error
    except S3UploadFailedError as error:
        if isinstance(error.__context__, ClientError):
            raise _answered(error.__context__, complaint, uri) from error
        raise _away(error, uri) from error
    except ParamValidationError as error:
        raise Permanent(f"{complaint} {uri} is no place that an object store can have.") from error
    except (BotoCoreError, ConnectionError) as error:
        raise _away(error, uri) from error


def _answered(error: ClientError, complaint: str, uri: str) -> Permanent | Transient:
    """What an answer of the store that is no success means."""
    code = error.response.get("Error", {}).get("Code", "")
    if code in _WRONG:
        kind = _Missing if code in _MISSING else Permanent
        return kind(f"{complaint} {uri} can't be read or written: {code}.")
    return Transient(f"The object store answered {code} for {uri}.")


def _away(error: Exception, uri: str) -> Transient:
    return Transient(f"The object store is not reachable for {uri}: {error}")
