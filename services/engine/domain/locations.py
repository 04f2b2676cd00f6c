"""The locations in the object store that a tenant may read and write.

See docs/decisions/0013-tenants-and-object-store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from shared.errors import Permanent

# Folders of a tenant in the data bucket that only the engine writes.
OWN_FOLDERS = ("datasets", "models")
EVERY_BUCKET = "*"

# How Amazon Personalize begins its error messages about a location.
INVALID_INPUT_PATH = "Invalid S3 input path."
INVALID_OUTPUT_PATH = "Invalid S3 output path."

# S3 accepts the ARN of an access point in place of a bucket name, and that can lead to any other bucket.
_NO_BUCKET_NAME = re.compile(r"[:\x00-\x1f\x7f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Location:
    """An object, or a folder if the key is empty or ends with a slash.

    A key without a slash that names no object is a folder, or a prefix of keys.
    """

    bucket: str
    key: str

    @property
    def is_folder(self) -> bool:
        """Return whether the location is a folder: the objects below it."""
        return not self.key or self.key.endswith("/")

    @property
    def uri(self) -> str:
        """Return `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


def parse(uri: str, error_prefix: str) -> Location:
    """Parse `s3://bucket/key`.

    Raise Permanent with a message that begins with `error_prefix` for anything else.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise Permanent(f"{error_prefix} {uri!r} is not of the form s3://bucket/key.")
    if _NO_BUCKET_NAME.search(bucket) or _CONTROL.search(key):
        raise Permanent(f"{error_prefix} {uri!r} names no bucket and key that an object store can have.")
    if any(part in {"..", "."} for part in re.split(r"[/\\]", key)):
        raise Permanent(f"{error_prefix} {uri!r} has a . or .. in its path.")
    return Location(bucket, key)


def as_folder(key: str) -> str:
    """Return a key as the prefix of the files in a folder."""
    return key if not key or key.endswith("/") else f"{key}/"


class Buckets(NamedTuple):
    """The buckets in which every tenant has a prefix: for data that Endcap writes, and for uploads."""

    data: str
    uploads: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A bucket, or a folder in it, that an operator allows in addition to the tenant's own prefixes.

    The bucket `*` stands for all buckets. `prefix` is empty or ends with a slash.
    """

    bucket: str
    prefix: str = ""
    read_only: bool = False

    @classmethod
    def parse(cls, uri: str, shared: Buckets, *, read_only: bool = False) -> Grant:
        """Parse `s3://bucket`, `s3://bucket/folder/` or `s3://*`; raise Permanent for anything else."""
        location = parse(uri, "Invalid location in the object store.")
        grant = cls(location.bucket, as_folder(location.key), read_only)
        if grant.bucket == EVERY_BUCKET and grant.prefix:
            raise Permanent("s3://* is every bucket; it takes no folder.")
        if "//" in f"/{grant.prefix}":
            raise Permanent(f"{uri!r} has an empty name in its path.")
        if _same_bucket(grant.bucket, shared):
            raise Permanent(
                f"In the bucket {grant.bucket} every tenant has a prefix of its own, and no other."
            )
        return grant

    @property
    def uri(self) -> str:
        """Return `s3://bucket/folder/`."""
        return f"s3://{self.bucket}/{self.prefix}" if self.bucket != EVERY_BUCKET else f"s3://{EVERY_BUCKET}"

    def covers(self, bucket: str, key: str, *, write: bool) -> bool:
        """Return whether a key may be used. The key of a folder ends with a slash."""
        if self.bucket not in {EVERY_BUCKET, bucket} or (write and self.read_only):
            return False
        # Some stores treat two slashes as one, and would use another folder than the one that is checked.
        return not self.prefix or (key.startswith(self.prefix) and "//" not in key)


@dataclass(frozen=True, slots=True)
class Access:
    """The locations that the jobs of a tenant may use.

    With `any_bucket` the object store itself checks the key pair of the job, so all buckets are allowed. In
    the shared buckets, where jobs use the engine's keys, a tenant may only use its own prefix in any case.
    """

    tenant: str
    shared: Buckets
    grants: tuple[Grant, ...] = ()
    any_bucket: bool = False

    def check_readable(self, location: Location, error_prefix: str) -> None:
        """Raise Permanent with a message that begins with `error_prefix` if the tenant may not read it.

        A key without a final slash is allowed if the tenant may read the folder of that name.
        """
        if not self.is_readable(Location(location.bucket, as_folder(location.key))):
            self._check(location, error_prefix, write=False)

    def is_readable(self, location: Location) -> bool:
        """Return whether the tenant may read exactly this object or folder."""
        with suppress(Permanent):
            self._check(location, "", write=False)
            return True
        return False

    def check_writable(self, location: Location, error_prefix: str) -> None:
        """Raise Permanent if the tenant may not write a location, or the engine keeps its own files there."""
        location = Location(location.bucket, as_folder(location.key))
        self._check(location, error_prefix, write=True)
        if location.bucket == self.shared.data:
            folder = location.key.removeprefix(f"{self.tenant}/").split("/")[0]
            # On a file system without case distinction, Models and models are the same folder.
            if folder.casefold() in OWN_FOLDERS:
                raise Permanent(
                    f"{error_prefix} {location.uri} is where the engine keeps its own files; choose another "
                    f"folder below {self.tenant}/."
                )

    def _check(self, location: Location, error_prefix: str, *, write: bool) -> None:
        if shared := _same_bucket(location.bucket, self.shared):
            if "//" in location.key:
                raise Permanent(f"{error_prefix} {location.uri} has an empty name in its path.")
            if location.bucket != shared or not location.key.startswith(f"{self.tenant}/"):
                raise Permanent(
                    f"{error_prefix} {location.uri} belongs to another tenant: in the bucket {shared} this "
                    f"dataset group has the prefix {self.tenant}/."
                )
            return
        if self.any_bucket:
            return
        if not any(grant.covers(location.bucket, location.key, write=write) for grant in self.grants):
            verb = "write" if write else "read"
            raise Permanent(
                f"{error_prefix} Insufficient privileges for accessing data in S3: this dataset group may "
                f"not {verb} {location.uri}. An operator of Endcap allows it with `buckets allow --tenant "
                f"{self.tenant} s3://{location.bucket}/…`; s3://{self.shared.uploads}/{self.tenant}/ and "
                f"s3://{self.shared.data}/{self.tenant}/ may be used without."
            )


def _same_bucket(bucket: str, shared: Buckets) -> str | None:
    """Return the shared bucket whose name differs at most in case, or None."""
    return next((name for name in shared if name.casefold() == bucket.casefold()), None)


def model_prefix(tenant: str, solution: str, version: str) -> str:
    """Return the prefix of a model in the data bucket."""
    return f"{tenant}/models/{solution}/{version}/"


def deletion_prefix(tenant: str, job: int, attempt: int | None = None) -> str:
    """Return the prefix in the data bucket of what a deletion job, or one attempt at it, rewrites."""
    return f"{tenant}/datasets/deletions/{job}/{'' if attempt is None else f'{attempt}-'}"


def unused_prefixes(tenant: str, keys: Iterable[str]) -> set[str]:
    """Return the prefixes to delete when a dataset no longer uses the objects with these keys.

    The folder of an import contains parts of one dataset only, so it is deleted as a whole. The folder of a
    deletion job also contains parts of other datasets, so there only the keys themselves are deleted.
    """
    mixed = f"{tenant}/datasets/deletions/"
    return {key if key.startswith(mixed) else key.rpartition("/")[0] + "/" for key in keys}


def dataset_prefix(tenant: str, kind: str, import_id: int) -> str:
    """Return the prefix of one import in the data bucket."""
    return f"{tenant}/datasets/{kind.lower()}/{import_id}/"
