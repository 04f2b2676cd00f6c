"""Where a tenant may read and write in the object store."""

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

# What Amazon Personalize says before it says what is wrong with a place.
INVALID_INPUT_PATH = "Invalid S3 input path."
INVALID_OUTPUT_PATH = "Invalid S3 output path."

# A bucket may be named by an ARN of an access point, which can lead to any other bucket.
_NO_BUCKET_NAME = re.compile(r"[:\x00-\x1f\x7f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Location:
    """An object, or a folder when the key is empty or ends with a slash.

    Without a slash it may also be a folder, or the beginning of keys, where it names no object.
    """

    bucket: str
    key: str

    @property
    def is_folder(self) -> bool:
        """Whether the objects below it are meant."""
        return not self.key or self.key.endswith("/")

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


def parse(uri: str, complaint: str) -> Location:
    """Read `s3://bucket/key`; Permanent with the wire's own complaint for anything else."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise Permanent(f"{complaint} {uri!r} is not of the form s3://bucket/key.")
    if _NO_BUCKET_NAME.search(bucket) or _CONTROL.search(key):
        raise Permanent(f"{complaint} {uri!r} names no bucket and key that an object store can have.")
    if any(part in {"..", "."} for part in re.split(r"[/\\]", key)):
        raise Permanent(f"{complaint} {uri!r} has a . or .. in its path.")
    return Location(bucket, key)


def as_folder(key: str) -> str:
    """The key of an output place, to put files below."""
    return key if not key or key.endswith("/") else f"{key}/"


class Buckets(NamedTuple):
    """The buckets in which every tenant has a prefix: what Endcap writes, and what people upload."""

    data: str
    uploads: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A bucket, or a folder in it, that an operator allows beside the tenant's own prefixes.

    The bucket `*` is every bucket; `prefix` is empty or ends with a slash.
    """

    bucket: str
    prefix: str = ""
    read_only: bool = False

    @classmethod
    def parse(cls, uri: str, shared: Buckets, *, read_only: bool = False) -> Grant:
        """Read `s3://bucket`, `s3://bucket/folder/` or `s3://*`; Permanent for anything else."""
        location = parse(uri, "This is no place in the object store.")
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
        """`s3://bucket/folder/`."""
        return f"s3://{self.bucket}/{self.prefix}" if self.bucket != EVERY_BUCKET else f"s3://{EVERY_BUCKET}"

    def covers(self, bucket: str, key: str, *, write: bool) -> bool:
        """Return whether the key may be used; that of a folder ends with a slash."""
        if self.bucket not in {EVERY_BUCKET, bucket} or (write and self.read_only):
            return False
        # Some stores take two slashes for one: then it would be another folder than is checked.
        return not self.prefix or (key.startswith(self.prefix) and "//" not in key)


@dataclass(frozen=True, slots=True)
class Access:
    """Where the jobs of a tenant may read and write.

    `any_bucket`: the object store itself limits the key pair of the job, so every bucket that it opens may be
    used; but for the shared ones, where the engine's keys are used.
    """

    tenant: str
    shared: Buckets
    grants: tuple[Grant, ...] = ()
    any_bucket: bool = False

    def check_readable(self, location: Location, complaint: str) -> None:
        """Permanent, with the wire's own complaint, for a place that the tenant may not read.

        A place without a closing slash may be read as the folder of that name: then only what is in it.
        """
        if not self.is_readable(Location(location.bucket, as_folder(location.key))):
            self._check(location, complaint, write=False)

    def is_readable(self, location: Location) -> bool:
        """Return whether the tenant may read this very object or folder."""
        with suppress(Permanent):
            self._check(location, "", write=False)
            return True
        return False

    def check_writable(self, location: Location, complaint: str) -> None:
        """Permanent for a place that the tenant may not write, or where the engine keeps its own files."""
        location = Location(location.bucket, as_folder(location.key))
        self._check(location, complaint, write=True)
        if location.bucket == self.shared.data:
            folder = location.key.removeprefix(f"{self.tenant}/").split("/")[0]
            # A store on a file system without upper and lower case takes Models for models.
            if folder.casefold() in OWN_FOLDERS:
                raise Permanent(
                    f"{complaint} {location.uri} is where the engine keeps its own files; choose another "
                    f"folder below {self.tenant}/."
                )

    def _check(self, location: Location, complaint: str, *, write: bool) -> None:
        if shared := _same_bucket(location.bucket, self.shared):
            if "//" in location.key:
                raise Permanent(f"{complaint} {location.uri} has an empty name in its path.")
            if location.bucket != shared or not location.key.startswith(f"{self.tenant}/"):
                raise Permanent(
                    f"{complaint} {location.uri} belongs to another tenant: in the bucket {shared} this "
                    f"dataset group has the prefix {self.tenant}/."
                )
            return
        if self.any_bucket:
            return
        if not any(grant.covers(location.bucket, location.key, write=write) for grant in self.grants):
            verb = "write" if write else "read"
            raise Permanent(
                f"{complaint} Insufficient privileges for accessing data in S3: this dataset group may not "
                f"{verb} {location.uri}. An operator of Endcap allows it with `buckets allow --tenant "
                f"{self.tenant} s3://{location.bucket}/…`; s3://{self.shared.uploads}/{self.tenant}/ and "
                f"s3://{self.shared.data}/{self.tenant}/ may be used without."
            )


def _same_bucket(bucket: str, shared: Buckets) -> str | None:
    """Return the shared bucket that a store could take this one for, whatever the case of its letters."""
    return next((name for name in shared if name.casefold() == bucket.casefold()), None)


def model_prefix(tenant: str, solution: str, version: str) -> str:
    """The folder of a version's model in the data bucket."""
    return f"{tenant}/models/{solution}/{version}/"


def deletion_prefix(tenant: str, job: int, attempt: int | None = None) -> str:
    """The beginning of all keys of what a deletion writes anew in the data bucket, or one attempt of it."""
    return f"{tenant}/datasets/deletions/{job}/{'' if attempt is None else f'{attempt}-'}"


def unused_prefixes(tenant: str, keys: Iterable[str]) -> set[str]:
    """The prefixes to empty when a dataset has let go of parts.

    An import's folder holds nothing but its dataset's parts. What a deletion has written may lie beside the
    parts of another dataset, which are in use.
    """
    mixed = f"{tenant}/datasets/deletions/"
    return {key if key.startswith(mixed) else key.rpartition("/")[0] + "/" for key in keys}


def dataset_prefix(tenant: str, kind: str, import_id: int) -> str:
    """The folder of one import in the data bucket."""
    return f"{tenant}/datasets/{kind.lower()}/{import_id}/"
