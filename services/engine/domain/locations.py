"""Where a tenant may read and write in the object store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from shared.errors import Permanent

# Folders of a tenant in the data bucket that only the engine writes.
OWN_FOLDERS = ("datasets", "models")


@dataclass(frozen=True, slots=True)
class Location:
    """An object, or a folder when the key is empty or ends with a slash."""

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
    if any(part in {"..", "."} for part in key.split("/")):
        raise Permanent(f"{complaint} {uri!r} has a . or .. in its path.")
    return Location(bucket, key)


def as_folder(key: str) -> str:
    """The key of an output place, to put files below."""
    return key if not key or key.endswith("/") else f"{key}/"


class Buckets(NamedTuple):
    """The buckets in which every tenant has a prefix: what Endcap writes, and what people upload."""

    data: str
    uploads: str


def check_readable(location: Location, tenant: str, buckets: Buckets, complaint: str) -> None:
    """Refuse another tenant's prefix of a bucket that tenants share."""
    if location.bucket not in buckets:
        return
    if "//" in location.key:
        # Some stores take two slashes for one: then it would be another folder than is checked.
        raise Permanent(f"{complaint} {location.uri} has an empty name in its path.")
    if not location.key.startswith(f"{tenant}/"):
        raise Permanent(
            f"{complaint} {location.uri} belongs to another tenant: in the bucket {location.bucket} this "
            f"dataset group has the prefix {tenant}/."
        )


def check_writable(location: Location, tenant: str, buckets: Buckets, complaint: str) -> None:
    """Refuse another tenant's prefix, and the folders that the engine keeps for itself."""
    check_readable(location, tenant, buckets, complaint)
    if location.bucket == buckets.data:
        folder = location.key.removeprefix(f"{tenant}/").split("/")[0]
        if folder in OWN_FOLDERS:
            raise Permanent(
                f"{complaint} {location.uri} is where the engine keeps its own files; choose another "
                f"folder below {tenant}/."
            )


def model_prefix(tenant: str, solution: str, version: str) -> str:
    """The folder of a version's model in the data bucket."""
    return f"{tenant}/models/{solution}/{version}/"


def deletion_prefix(tenant: str, job: int, attempt: int | None = None) -> str:
    """The beginning of all keys of what a deletion writes anew in the data bucket, or one attempt of it."""
    return f"{tenant}/datasets/deletions/{job}/{'' if attempt is None else f'{attempt}-'}"


def leftovers(tenant: str, keys: Iterable[str]) -> set[str]:
    """The prefixes to empty when a dataset has let go of parts.

    An import's folder holds nothing but its dataset's parts. What a deletion has written may lie beside the
    parts of another dataset, which are in use.
    """
    mixed = f"{tenant}/datasets/deletions/"
    return {key if key.startswith(mixed) else key.rpartition("/")[0] + "/" for key in keys}


def dataset_prefix(tenant: str, kind: str, import_id: int) -> str:
    """The folder of one import in the data bucket."""
    return f"{tenant}/datasets/{kind.lower()}/{import_id}/"
