"""Where a job reads and writes: checked when it is made, so that a wrong place is refused at once."""

from __future__ import annotations

from services.engine.domain import locations
from services.engine.personalize.control import Control
from services.engine.personalize.members import KmsKeyArn, S3Location, WireModel

INVALID_INPUT_PATH = "Invalid S3 input path."
INVALID_OUTPUT_PATH = "Invalid S3 output path."
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


def check_readable(control: Control, uri: str, tenant: str, complaint: str) -> None:
    """InvalidInputException for a place that a tenant's jobs may not read."""
    locations.check_readable(locations.parse(uri, complaint), tenant, _buckets(control), complaint)


def check_writable(control: Control, uri: str, tenant: str, complaint: str = INVALID_OUTPUT_PATH) -> None:
    """InvalidInputException for a place that a tenant's jobs may not write."""
    locations.check_writable(locations.parse(uri, complaint), tenant, _buckets(control), complaint)


def _buckets(control: Control) -> locations.Buckets:
    s3 = control.settings.s3
    return locations.Buckets(s3.endcap_data_bucket, s3.endcap_uploads_bucket)
