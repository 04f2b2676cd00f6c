"""The two buckets of an installation, and their policies."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.engine.store.objects import ObjectStorage
from shared.errors import Transient
from shared.settings import S3Settings

if TYPE_CHECKING:
    from services.engine.settings import Settings

RETRY_SECONDS = 2.0

_READ = ("s3:GetObject", "s3:ListBucket")
_WRITE = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
_MULTIPART = ("s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts")
_OF_BUCKETS = frozenset(("s3:ListBucket", "s3:ListBucketMultipartUploads"))


@dataclass(frozen=True, slots=True)
class _Right:
    """The actions that a service may take on the objects of a bucket whose keys match a pattern."""

    service: str
    actions: tuple[str, ...]
    keys: str = "*"


# The engine is an administrator of the object store: its jobs read and write the buckets of its clients.
_DATA = (
    _Right("sync", (*_READ, *_WRITE), "*/imports/*"),
    _Right("trainer", (*_READ, *_WRITE, *_MULTIPART), "*/runs/*"),
    _Right("loader", _READ, "*/runs/*"),
    _Right("recommender", _READ, "*/models/*"),
    _Right("analytics", (*_READ, *_WRITE, *_MULTIPART), "*/lake/*"),
)
_UPLOADS = (_Right("sync", (*_READ, "s3:DeleteObject")),)
_CLIENTS = _Right("clients", (*_READ, *_WRITE, *_MULTIPART))


def account_services() -> set[str]:
    """Return the services whose accounts the policies name."""
    return {right.service for right in (*_DATA, *_UPLOADS)}


async def make_buckets(settings: Settings, *, wait: float, clients: str | None) -> None:
    """Create the two buckets; wait up to `wait` seconds for the object store.

    With the access key id of the clients, also set policies that give each account only the access it needs.
    Raise Transient if the object store cannot be reached in that time.
    """
    objects = ObjectStorage.of(settings.s3)
    data, uploads = settings.s3.endcap_data_bucket, settings.s3.endcap_uploads_bucket
    deadline = asyncio.get_running_loop().time() + wait
    for bucket in (uploads, data):
        while True:
            try:
                created = await asyncio.to_thread(objects.ensure_bucket, bucket)
            except Transient as error:
                sys.stdout.write(f"waiting for the object store: {error}\n")
                sys.stdout.flush()
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                sys.stdout.write(f"bucket {bucket} {'created' if created else 'exists'}\n")
                break
    if clients is not None:
        accounts = {"clients": clients} | {
            service: str(S3Settings.of(service).aws_access_key_id) for service in account_services()
        }
        await asyncio.to_thread(objects.set_policy, data, policy(data, _DATA, accounts))
        await asyncio.to_thread(objects.set_policy, uploads, policy(uploads, (*_UPLOADS, _CLIENTS), accounts))


def policy(bucket: str, rights: tuple[_Right, ...], accounts: dict[str, str]) -> dict[str, Any]:
    """Return a bucket policy, whose principals are the access key ids of versitygw's accounts."""
    statements = []
    for right in rights:
        principal = {"AWS": [accounts[right.service]]}
        of_bucket = [action for action in right.actions if action in _OF_BUCKETS]
        of_objects = [action for action in right.actions if action not in _OF_BUCKETS]
        for actions, resource in ((of_bucket, bucket), (of_objects, f"{bucket}/{right.keys}")):
            statements.append(
                {
                    "Effect": "Allow",
                    "Principal": principal,
                    "Action": actions,
                    "Resource": [f"arn:aws:s3:::{resource}"],
                }
            )
    return {"Version": "2012-10-17", "Statement": statements}
