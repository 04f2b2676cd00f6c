"""The states of jobs. Each lies below the resource that it works on."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from services.engine.domain.deployment_config import BatchInferenceJobConfig
from services.engine.domain.resources import ResourceType
from services.engine.domain.s3_config import DataSource, JobInput, JobOutput
from services.engine.domain.state.resource import ArnValue, Document, Facts, ResourceState

ImportMode = Literal["FULL", "INCREMENTAL"]
IngestionMode = Literal["BULK", "PUT", "ALL"]


class JobFacts(Facts):
    """The facts of a job.

    `store_key` is the access key id with which it uses the object store, or None for the tenant's keys.
    `warnings` are sentences for the owner of the resource.
    """

    store_key: str | None = None
    warnings: list[str] | None = None


class JobState(ResourceState):
    """A resource whose job uses the object store as its tenant may."""

    facts: JobFacts


class DatasetImportJobDocument(Document):
    """The members of a dataset import job."""

    dataset_arn: ArnValue
    data_source: DataSource
    role_arn: str | None = None
    import_mode: ImportMode
    publish_attribution_metrics_to_s3: bool | None = None


class DatasetImportJobFacts(JobFacts):
    """The results of an import.

    `folders` are prefixes of the data bucket that it has written, `rows` counts the imported rows,
    `null_cells` the null cells by column.
    """

    folders: list[str] | None = None
    rows: int | None = None
    null_cells: dict[str, int] | None = None


class DatasetImportJob(JobState):
    """An import of CSV files into a dataset."""

    type: ClassVar[ResourceType] = ResourceType.DATASET_IMPORT_JOB
    document: DatasetImportJobDocument
    facts: DatasetImportJobFacts


class DatasetExportJobDocument(Document):
    """The members of a dataset export job."""

    dataset_arn: ArnValue
    ingestion_mode: IngestionMode
    role_arn: str
    job_output: JobOutput


class DatasetExportJobFacts(JobFacts):
    """The number of rows and files that an export has written."""

    rows: int | None = None
    files: int | None = None


class DatasetExportJob(JobState):
    """An export of a dataset into CSV files."""

    type: ClassVar[ResourceType] = ResourceType.DATASET_EXPORT_JOB
    document: DatasetExportJobDocument
    facts: DatasetExportJobFacts


class DataDeletionJobDocument(Document):
    """The members of a data deletion job; `num_deleted` counts rows."""

    dataset_group_arn: ArnValue
    data_source: DataSource
    role_arn: str
    num_deleted: int | None = None


class DataDeletionJobFacts(JobFacts):
    """The results of a data deletion job so far.

    `deleted` counts rows, `models` counts models that were rewritten. With `rows_erased` the imported parts
    were rewritten too. `receipt` says what each service has erased, once all have confirmed. `users` are the
    ids of a job without a file.
    """

    users: list[str] | None = None
    rows_erased: bool | None = None
    deleted: int | None = None
    models: int | None = None
    receipt: dict[str, Any] | None = None


class DataDeletionJob(JobState):
    """A deletion of users."""

    type: ClassVar[ResourceType] = ResourceType.DATA_DELETION_JOB
    document: DataDeletionJobDocument
    facts: DataDeletionJobFacts


class BatchJobFacts(JobFacts):
    """`filter` is the expression of the job's filter when the job was made.

    `lines` and `errors` count the lines of the input, and those with an error.
    """

    filter: str | None = None
    lines: int | None = None
    errors: int | None = None


class BatchInferenceJobDocument(Document):
    """The members of a batch inference job; `filter_arn` is written as the caller wrote it."""

    solution_version_arn: ArnValue
    filter_arn: str | None = None
    num_results: int
    job_input: JobInput
    job_output: JobOutput
    role_arn: str
    batch_inference_job_config: BatchInferenceJobConfig | None = None
    batch_inference_job_mode: str


class BatchInferenceJob(JobState):
    """Recommendations for each line of a file."""

    type: ClassVar[ResourceType] = ResourceType.BATCH_INFERENCE_JOB
    document: BatchInferenceJobDocument
    facts: BatchJobFacts


class BatchSegmentJobDocument(Document):
    """The members of a batch segment job; `filter_arn` is written as the caller wrote it."""

    solution_version_arn: ArnValue
    filter_arn: str | None = None
    num_results: int
    job_input: JobInput
    job_output: JobOutput
    role_arn: str


class BatchSegmentJob(JobState):
    """User segments for each line of a file."""

    type: ClassVar[ResourceType] = ResourceType.BATCH_SEGMENT_JOB
    document: BatchSegmentJobDocument
    facts: BatchJobFacts
