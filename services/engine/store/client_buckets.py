"""Buckets of clients, created and described with a client's own key pair, and their recorded policies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from services.engine.store.statements import SQL
from shared import s3
from shared.errors import EndcapError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from shared.auth.keys import KeyPair
    from shared.postgres import Database
    from shared.settings import S3Settings


class BucketError(EndcapError):
    """An answer of the S3 server that is not a success: its code, its HTTP status, its message."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, status, str(self)


@dataclass(frozen=True, slots=True)
class ClientBuckets:
    """The buckets that one client may use. Each call raises BucketError if the S3 server refuses it."""

    client: S3Client
    database: Database

    @classmethod
    def of(cls, pair: KeyPair, settings: S3Settings, database: Database) -> ClientBuckets:
        """Return the buckets of the owner of a key pair."""
        own = {
            "aws_access_key_id": pair.principal.credential,
            "aws_secret_access_key": SecretStr(pair.secret),
        }
        return cls(s3.client(settings.model_copy(update=own)), database)

    async def create(self, bucket: str, options: dict[str, Any]) -> None:
        """Create a bucket at the S3 server, which has one location, and forget an older bucket's policy."""
        await _call(self.client.create_bucket, Bucket=bucket, **options)
        await self.database.execute(*SQL.delete_bucket_policy(bucket=bucket))

    async def put_policy(self, bucket: str, policy: str, enforceable: str | None, *, record: bool) -> None:
        """Let the S3 server enforce the part of a policy that it can, and `record` the whole."""
        await self._require_owner(bucket)
        if enforceable is None:
            await _call(self.client.delete_bucket_policy, Bucket=bucket)
        else:
            await _call(self.client.put_bucket_policy, Bucket=bucket, Policy=enforceable)
        if record:
            await self.database.execute(*SQL.put_bucket_policy(bucket=bucket, policy=policy))
        else:
            await self.database.execute(*SQL.delete_bucket_policy(bucket=bucket))

    async def policy(self, bucket: str) -> str:
        """Return the recorded policy, else that of the S3 server."""
        await self._require_owner(bucket)
        recorded = await self.database.fetchval(*SQL.bucket_policy(bucket=bucket))
        if recorded is not None:
            return str(recorded)
        answer = await _call(self.client.get_bucket_policy, Bucket=bucket)
        return str(answer["Policy"])

    async def delete_policy(self, bucket: str) -> None:
        """Delete the policy here and at the S3 server."""
        await self._require_owner(bucket)
        await self.database.execute(*SQL.delete_bucket_policy(bucket=bucket))
        await _call(self.client.delete_bucket_policy, Bucket=bucket)

    async def _require_owner(self, bucket: str) -> None:
        """Let the S3 server say whether the bucket exists and the caller may see its access rules."""
        await _call(self.client.get_bucket_acl, Bucket=bucket)


async def _call(function: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return await asyncio.to_thread(function, **arguments)
    except ClientError as error:
        problem = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
        raise BucketError(
            str(problem.get("Code", "InternalError")), status, str(problem.get("Message", ""))
        ) from None
    except BotoCoreError:
        message = "The S3 server is not reachable right now; send the same request again in a moment."
        raise BucketError("ServiceUnavailable", 503, message) from None
