"""Where a job reads and writes: checked when it is made, so that a wrong place is refused at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.engine.domain import locations
from services.engine.domain.locations import Access
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import KmsKeyArn, S3Location, WireModel
from services.engine.store import buckets

LocationUse = tuple[str, str]
"""A URI, and the complaint of the wire about it."""

INVALID_INPUT_PATH = locations.INVALID_INPUT_PATH
INVALID_OUTPUT_PATH = locations.INVALID_OUTPUT_PATH
INVALID_DATA_LOCATION = "Invalid Data location."


class DataSource(WireModel):
    """A CSV file, or a folder of them."""

    data_location: S3Location | None = None


class S3DataConfig(WireModel):
    """A place in the object store."""

    path: S3Location
    kms_key_arn: KmsKeyArn | None = None


class JobInput(WireModel):
    """A JSON Lines file, or a folder of them."""

    s3_data_source: S3DataConfig


class JobOutput(WireModel):
    """Where a job's files go."""

    s3_data_destination: S3DataConfig


async def check_access(
    context: OperationContext,
    tenant: str,
    *,
    reads: Sequence[LocationUse] = (),
    writes: Sequence[LocationUse] = (),
) -> dict[str, Any]:
    """Return what a worker has to know of who made a job that uses these places.

    InvalidInputException for a place that the tenant's jobs may not read, or not write.
    """
    connection, account = context.resources.connection, context.resources.account
    key_id = context.access_key_id
    opens_store = bool(key_id) and await buckets.opens_store(connection, account, key_id)
    grants = await buckets.grants(connection, account, tenant)
    access = Access(tenant, buckets.shared_of(context.settings.s3), grants, any_bucket=opens_store)
    for uri, complaint in reads:
        access.check_readable(locations.parse(uri, complaint), complaint)
    for uri, complaint in writes:
        access.check_writable(locations.parse(uri, complaint), complaint)
    return {"store_key": key_id if opens_store else None}
