"""Files of results, written with the key pair of the caller: the object store decides what it may write."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from shared import s3
from shared.errors import ApiError, unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from shared.auth.keys import KeyPair
    from shared.settings import S3Settings


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """Writes objects as one caller."""

    client: S3Client

    @classmethod
    def of(cls, pair: KeyPair, settings: S3Settings) -> ResultFiles:
        """Return the files of the owner of a key pair."""
        own = {
            "aws_access_key_id": pair.principal.credential,
            "aws_secret_access_key": SecretStr(pair.secret),
        }
        return cls(s3.client(settings.model_copy(update=own)))

    async def put(self, uri: str, content: bytes) -> None:
        """Write an object; raises ApiError 400 if the store refuses it, 503 if it is not reachable."""
        bucket, key = s3.split_uri(uri)
        try:
            await asyncio.to_thread(self.client.put_object, Bucket=bucket, Key=key, Body=content)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "Unknown")
            detail = f"The object store refused to write {uri}: {code}."
            raise ApiError(400, "OutputRefused", detail) from None
        except (BotoCoreError, OSError):
            raise unavailable("the object store") from None
