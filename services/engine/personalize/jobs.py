"""The creation of jobs. A job is a pending resource below the resource that it works on."""

from __future__ import annotations

from services.engine.domain import state
from services.engine.domain.resources import Status
from services.engine.personalize.context import NewState, OperationContext
from services.engine.personalize.members import ResourceName, Tagged
from services.engine.store.rows import State


class NewJob(Tagged):
    """A request to create a job."""

    job_name: ResourceName


async def create_job(
    context: OperationContext,
    job: type[State],
    request: NewJob,
    parent: state.ResourceState,
    content: tuple[state.Document, state.JobFacts],
    max_pending: int,
) -> State:
    """Create a pending job with a document and facts; do not queue it.

    Raise WireError (LimitExceededException) if `max_pending` jobs of the type are unfinished in the tenant.
    """
    await context.check_pending_limit(max_pending, parent.owner, job.type)
    document, facts = content
    new = NewState(
        f"{job.type}/{request.job_name}",
        request.job_name,
        parent.owner,
        document,
        facts,
        parent=parent.path,
        status=Status.PENDING,
    )
    return await context.create(job, new, request)
