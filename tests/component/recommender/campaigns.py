"""Campaigns as the engine announces them, and clients that use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
from botocore.config import Config

from shared.events import CampaignChanged
from tests.component.engine.shapes import differences
from tests.support.waiting import PATIENCE, eventually

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AWS = ("ENDCTESTTESTTESTTEST", "a secret access key of forty characters!")


def campaign(
    world: Any, name: str, recipe: str, bucket: str, sha256: str, status: str = "ACTIVE", **config: Any
) -> CampaignChanged:
    """Return a campaign whose model is in `models/<recipe>` of the bucket."""
    return CampaignChanged(
        event_id=f"{world.tenant}-{name}-{status}-{sha256}",
        tenant=world.tenant,
        occurred_at=datetime.now(UTC),
        name=name,
        arn=f"arn:aws:personalize:us-east-1:{world.account}:campaign/{name}",
        status=status,
        recipe=recipe,
        solution_version_arn=f"arn:aws:personalize:us-east-1:{world.account}:solution/{name}/00000000",
        model_uri=f"s3://{bucket}/models/{recipe}",
        model_sha256=sha256,
        config=config,
    )


def upload_models(client: S3Client, bucket: str, folders: Mapping[str, Path]) -> None:
    """Put the model of each recipe into `models/<recipe>` of the bucket."""
    for recipe, folder in folders.items():
        for file in folder.iterdir():
            client.put_object(Bucket=bucket, Key=f"models/{recipe}/{file.name}", Body=file.read_bytes())


def client(url: str) -> Any:
    """Return a boto3 client that checks every answer against botocore's model."""
    made = boto3.client(
        "personalize-runtime",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id=AWS[0],
        aws_secret_access_key=AWS[1],
        config=Config(retries={"max_attempts": 1}),
    )
    made.meta.events.register("before-parse.personalize-runtime", _walk)
    return made


def _walk(operation_model: Any, response_dict: Any, **_: Any) -> None:
    if response_dict["status_code"] == 200:
        body = json.loads(response_dict["body"])
        assert differences(operation_model.name, body, operation_model.service_model) == []


def arn(name: str) -> str:
    """Return an ARN of another account and another region."""
    return f"arn:aws:personalize:ap-south-1:123456789012:campaign/{name}"


async def loaded(url: str, tenant: str, count: int = 3) -> None:
    """Wait until this number of models is in memory."""
    headers = {"x-api-key": "ek_service_test", "x-endcap-tenant": tenant}

    async def whole() -> bool:
        status = (await caller.get("/api/v1/personalize/status", headers=headers)).json()
        return list(status["campaigns"].values()).count("model") >= count

    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as caller:
        await eventually(whole)


def ids(answer: Any) -> list[str]:
    """Return the item ids of an answer, in order."""
    return [item["itemId"] for item in answer.get("itemList", answer.get("personalizedRanking"))]
