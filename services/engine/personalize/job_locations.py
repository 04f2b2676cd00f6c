"""The S3 locations of a job are checked when it is created, so that it is refused at once."""

from __future__ import annotations

from collections.abc import Sequence

from services.engine.domain import locations
from services.engine.domain.locations import Access
from services.engine.domain.s3_config import JobInput, JobOutput
from services.engine.personalize.context import OperationContext
from services.engine.store import buckets

LocationUse = tuple[str, str]
"""A URI, and how Amazon Personalize begins its error message about it."""

INVALID_INPUT_PATH = locations.INVALID_INPUT_PATH
INVALID_OUTPUT_PATH = locations.INVALID_OUTPUT_PATH
INVALID_DATA_LOCATION = "Invalid Data location."


async def check_access(
    context: OperationContext,
    tenant: str,
    *,
    reads: Sequence[LocationUse] = (),
    writes: Sequence[LocationUse] = (),
) -> str | None:
    """Return the access key id that the job uses in the object store, or None for the keys of its tenant.

    Raise shared.errors.Permanent for a location that the tenant's jobs may not read, or not write.
    """
    connection, account = context.resources.connection, context.resources.account
    key_id = context.access_key_id
    opens_store = bool(key_id) and await buckets.opens_store(connection, account, key_id)
    grants = await buckets.grants(connection, account, tenant)
    access = Access(tenant, buckets.shared_of(context.settings.s3), grants, any_bucket=opens_store)
    for uri, error_prefix in reads:
        access.check_readable(locations.parse(uri, error_prefix), error_prefix)
    for uri, error_prefix in writes:
        access.check_writable(locations.parse(uri, error_prefix), error_prefix)
    return key_id if opens_store else None


async def check_input_and_output(
    context: OperationContext, job_input: JobInput, job_output: JobOutput, tenant: str
) -> str | None:
    """Check the locations of a batch job; return and raise as `check_access` does."""
    reads = [(job_input.s3_data_source.path, INVALID_INPUT_PATH)]
    writes = [(job_output.s3_data_destination.path, INVALID_OUTPUT_PATH)]
    return await check_access(context, tenant, reads=reads, writes=writes)
