"""The policies of the two buckets on a real object store: each account gets in where its work is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from deploy.local.components.s3 import account_name
from services.engine.commands.buckets import make_buckets
from services.engine.settings import Settings
from shared.settings import S3Settings
from tests.support.stack import Components, ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# Per account: what it may read, and where it may write; `client` is a bucket that a client has made.
RIGHTS = {
    "sync": ({"data/t/imports/1/a", "uploads/t/a"}, {"data/t/imports/1/a"}),
    "trainer": ({"data/t/runs/1/a"}, {"data/t/runs/1/a"}),
    "loader": ({"data/t/runs/1/a"}, set()),
    "recommender": ({"data/t/models/s/v/a"}, set()),
    "analytics": ({"data/t/lake/orders/a"}, {"data/t/lake/orders/a"}),
    "clients": ({"uploads/t/a", "client/t/a"}, {"uploads/t/a", "client/t/a"}),
}
PLACES = (
    "data/t/imports/1/a",
    "data/t/runs/1/a",
    "data/t/models/s/v/a",
    "data/t/lake/orders/a",
    "uploads/t/a",
    "client/t/a",
)
RIGHTS["engine"] = (set(PLACES), set(PLACES))


@pytest.fixture
async def accounts(
    components: Components, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> dict[str, ObjectStore]:
    """The store as each account reaches it."""
    stack = components.stack
    assert "s3" not in stack.external, "the accounts are those of the stack's own object store"
    names = {"ENDCAP_DATA_BUCKET": "rights-data", "ENDCAP_UPLOADS_BUCKET": "rights-uploads"}
    for name, value in {**s3.environment, **names}.items():
        monkeypatch.setenv(name, value)
    for service, secret in stack.secrets.s3_accounts.items():
        monkeypatch.setenv(f"{service.upper()}_AWS_ACCESS_KEY_ID", account_name(service))
        monkeypatch.setenv(f"{service.upper()}_AWS_SECRET_ACCESS_KEY", secret)
    settings = Settings(s3=S3Settings.of("engine"))
    for _ in range(2):  # again changes nothing
        await make_buckets(settings, wait=0, clients=stack.secrets.aws_access_key_id)
    pairs = {
        service: (account_name(service), secret) for service, secret in stack.secrets.s3_accounts.items()
    }
    pairs["clients"] = (stack.secrets.aws_access_key_id, stack.secrets.aws_secret_access_key)
    return {
        name: replace(s3, access_key_id=pair[0], secret_access_key=pair[1]) for name, pair in pairs.items()
    }


def _allowed(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


def test_each_account_gets_in_where_its_work_is_and_nowhere_else(accounts: dict[str, ObjectStore]) -> None:
    accounts["clients"].client().create_bucket(Bucket="rights-client")
    engine = accounts["engine"].client()
    places = {place: place.partition("/")[::2] for place in PLACES}
    for bucket, key in places.values():
        engine.put_object(Bucket=f"rights-{bucket}", Key=key, Body=b"1")

    rights = {}
    for name, store in accounts.items():
        client = store.client()
        rights[name] = tuple(
            {
                place
                for place, (bucket, key) in places.items()
                if _allowed(partial(call, client, f"rights-{bucket}", key))
            }
            for call in (_read, _write)
        )

    assert rights == RIGHTS


def _read(client: S3Client, bucket: str, key: str) -> None:
    client.get_object(Bucket=bucket, Key=key)


def _write(client: S3Client, bucket: str, key: str) -> None:
    client.put_object(Bucket=bucket, Key=key, Body=b"1")


def test_a_client_can_not_change_who_gets_in(accounts: dict[str, ObjectStore]) -> None:
    client = accounts["clients"].client()

    for bucket in ("rights-data", "rights-uploads"):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_bucket_policy(Bucket=bucket)
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_bucket(Bucket=bucket)
