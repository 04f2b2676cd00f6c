"""What the five kinds of jobs have in common: they wait below what they work on, under their own name."""

from __future__ import annotations

from typing import Any

from services.engine.domain.resources import NewResource, Resource, Status, Type
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import ResourceName, Tagged, document

_PARENT_MEMBERS = {
    Type.DATASET_GROUP: "datasetGroupArn",
    Type.DATASET: "datasetArn",
    Type.SOLUTION_VERSION: "solutionVersionArn",
}


class NewJob(Tagged):
    """A request for a job."""

    job_name: ResourceName


async def create_job(
    context: OperationContext, request: NewJob, kind: Type, parent: Resource, most: int, **facts: Any
) -> Resource:
    """A job that waits; LimitExceededException where so many of its kind wait or run already."""
    await context.check_pending_limit(most, parent.owner, kind)
    new = NewResource(
        kind,
        f"{kind}/{request.job_name}",
        request.job_name,
        parent.owner,
        # The parent by its own ARN: the caller's may have another account in it.
        document(request) | {_PARENT_MEMBERS[parent.type]: parent.arn},
        parent=parent.path,
        status=Status.PENDING,
        facts=facts,
    )
    return await context.create(new, request)
