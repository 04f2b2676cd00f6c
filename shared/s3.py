"""The object store: boto3 with any S3 endpoint."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore import UNSIGNED
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from shared.settings import S3Settings

_WHOLE_BYTES = 8 * 2**20
"""The size up to which an object is one request.

boto3's transfers take three times the CPU time for a file of some KB (measured: 6 and 2 ms). They
divide larger files and move the parts in threads.
"""


def client(settings: S3Settings) -> S3Client:
    """Return a boto3 client. It blocks and is thread-safe: call it through `asyncio.to_thread`.

    Self-hosted stores get path-style addresses, because they rarely have a wildcard DNS name.
    """
    secret = settings.aws_secret_access_key
    return boto3.client(
        "s3",
        endpoint_url=settings.aws_endpoint_url_s3,
        region_name=settings.aws_region,
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if settings.aws_endpoint_url_s3 else "auto"},
            connect_timeout=5,
            read_timeout=60,
            retries={"max_attempts": 5, "mode": "standard"},
            max_pool_connections=16,
        ),
    )


def download(client: S3Client, bucket: str, key: str, path: Path) -> None:
    """Download an object to a file. Raises botocore's errors."""
    answer = client.get_object(Bucket=bucket, Key=key)
    with closing(answer["Body"]) as body:
        if answer["ContentLength"] <= _WHOLE_BYTES:
            path.write_bytes(body.read())
            return
    client.download_file(bucket, key, str(path))


def upload(client: S3Client, path: Path, bucket: str, key: str) -> None:
    """Upload a file to an object, which becomes visible only as a whole. Raises errors of boto3."""
    if path.stat().st_size <= _WHOLE_BYTES:
        client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    else:
        client.upload_file(str(path), bucket, key)


def read_description() -> None:
    """Read botocore's description of S3, as the first client of a process does, in 0.1 s of processor time.

    Processes that are forked afterwards make their clients in a tenth of that.
    """
    boto3.client("s3", region_name="us-east-1", config=Config(signature_version=UNSIGNED))


def split_uri(uri: str) -> tuple[str, str]:
    """Return (bucket, key) of `s3://bucket/key`; raises ValueError for any other text."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        message = f"{uri!r} is not of the form s3://bucket/key"
        raise ValueError(message)
    return bucket, key
