"""The columns, types and statuses of the resources of the control plane."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.aws import Arn


class Status(StrEnum):
    """The statuses of resources, as on the wire. Clients poll until ACTIVE or CREATE FAILED."""

    PENDING = "CREATE PENDING"
    IN_PROGRESS = "CREATE IN_PROGRESS"
    ACTIVE = "ACTIVE"
    FAILED = "CREATE FAILED"
    STOPPING = "CREATE STOPPING"
    STOPPED = "CREATE STOPPED"
    INACTIVE = "INACTIVE"
    DELETE_PENDING = "DELETE PENDING"
    DELETE_IN_PROGRESS = "DELETE IN_PROGRESS"


UNFINISHED = (Status.PENDING, Status.IN_PROGRESS, Status.STOPPING)
DELETING = (Status.DELETE_PENDING, Status.DELETE_IN_PROGRESS)

DELETE_PENDING_SECONDS = 0.5
DELETE_SECONDS = 1.0
"""Seconds after a deletion at which DELETE PENDING and DELETE IN_PROGRESS end.

Arbitrary: a program that polls right after the deletion sees both. In AWS a deletion takes minutes.
"""


class ResourceType(StrEnum):
    """The types of resources, as in ARNs. Solution versions have the ARN of their solution and an id."""

    DATASET_GROUP = "dataset-group"
    SCHEMA = "schema"
    DATASET = "dataset"
    DATASET_IMPORT_JOB = "dataset-import-job"
    DATASET_EXPORT_JOB = "dataset-export-job"
    DATA_DELETION_JOB = "data-deletion-job"
    SOLUTION = "solution"
    SOLUTION_VERSION = "solution-version"
    BATCH_INFERENCE_JOB = "batch-inference-job"
    BATCH_SEGMENT_JOB = "batch-segment-job"
    METRIC_ATTRIBUTION = "metric-attribution"
    EVENT_TRACKER = "event-tracker"
    CAMPAIGN = "campaign"
    FILTER = "filter"
    RECOMMENDER = "recommender"
    RECOMMENDER_TRAINING = "recommender-training"
    MODEL_RENEWAL = "model-renewal"


NOUNS = {kind: kind.value.replace("-", " ") for kind in ResourceType}


@dataclass(frozen=True, slots=True)
class Resource:
    """A row of the table `resources`: its columns, with `document` and `facts` as plain JSON."""

    id: int
    account: str
    tenant: str | None
    type: ResourceType
    path: str
    parent: str | None
    arn: str
    name: str
    status: str
    failure_reason: str | None
    document: dict[str, Any]
    facts: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @property
    def is_deleting(self) -> bool:
        """Return whether the resource is deleted but still listed."""
        return self.status in DELETING

    @property
    def owner(self) -> str:
        """Return the tenant. Only schemas have none, because they belong to the account."""
        assert self.tenant is not None
        return self.tenant


@dataclass(frozen=True, slots=True)
class NewResource:
    """A row to insert into the table `resources`."""

    type: ResourceType
    path: str
    name: str
    tenant: str | None
    document: dict[str, Any]
    parent: str | None = None
    status: str = Status.ACTIVE
    facts: dict[str, Any] = field(default_factory=dict)


_NOT_IN_A_TENANT_ID = re.compile(r"[^a-z0-9-]+")


def tenant_id(group: str, is_taken: Callable[[str], bool]) -> str:
    """Return the id of a dataset group's tenant: its name in lower case, numbered if that was used before."""
    base = _NOT_IN_A_TENANT_ID.sub("-", group.lower()).strip("-")
    number, candidate = 2, base
    while is_taken(candidate):
        candidate = f"{base}-{number}"
        number += 1
    return candidate


def resource_arn(region: str, account: str, path: str) -> Arn:
    """Return the ARN of the resource at a path such as `solution/shop`."""
    kind, _, name = path.partition("/")
    return Arn(kind, name, region, account)


def resource_path(arn: Arn) -> str:
    """Return the path of the resource with an ARN, such as `solution/shop`."""
    return f"{arn.kind}/{arn.path}"
