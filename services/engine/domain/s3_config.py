"""The S3 locations in requests for jobs.

https://docs.aws.amazon.com/personalize/latest/dg/API_S3DataConfig.html
"""

from __future__ import annotations

from services.engine.domain.members import KmsKeyArn, S3Location
from shared.aws import WireModel


class DataSource(WireModel):
    """A CSV file, or a folder of CSV files."""

    data_location: S3Location | None = None


class S3DataConfig(WireModel):
    """A location in the object store."""

    path: S3Location
    kms_key_arn: KmsKeyArn | None = None


class JobInput(WireModel):
    """A JSON Lines file, or a folder of JSON Lines files."""

    s3_data_source: S3DataConfig


class JobOutput(WireModel):
    """The folder for a job's output files."""

    s3_data_destination: S3DataConfig
