"""Dataset groups: each is a tenant."""

from __future__ import annotations

from services.engine.domain.resources import UNFINISHED, NewResource, Resource, Status, Type, tenant_id
from services.engine.personalize import unsupported
from services.engine.personalize.context import OperationContext, check_no_dependents
from services.engine.personalize.members import (
    ArnText,
    Domain,
    KmsKeyArn,
    Page,
    ResourceName,
    RoleArn,
    StatusView,
    Tagged,
    WireModel,
    document,
)
from shared.aws import WireError
from shared.events.topics import FILTERS


class CreateDatasetGroup(Tagged):
    """A new dataset group, and with it a tenant."""

    name: ResourceName
    role_arn: RoleArn | None = None
    kms_key_arn: KmsKeyArn | None = None
    domain: Domain | None = None


class DatasetGroupCreated(WireModel):
    """Where it is; `domain` if one was given."""

    dataset_group_arn: str
    domain: str | None = None


class DatasetGroupName(WireModel):
    """Which dataset group."""

    dataset_group_arn: ArnText


class DatasetGroupSummary(StatusView):
    """A dataset group in a list."""

    arn_member = "datasetGroupArn"

    name: str
    dataset_group_arn: str
    domain: str | None = None


class DatasetGroup(DatasetGroupSummary):
    """A dataset group."""

    role_arn: str | None = None
    kms_key_arn: str | None = None


class DatasetGroupDescribed(WireModel):
    """The answer to Describe."""

    dataset_group: DatasetGroup


class DatasetGroupsListed(WireModel):
    """One page."""

    dataset_groups: list[DatasetGroupSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDatasetGroup) -> DatasetGroupCreated:
    """Make the group and its tenant; both are ACTIVE at once."""
    if context.resources.tenant is not None:
        message = "An API key belongs to one dataset group; making another takes an AWS key pair."
        raise WireError("AccessDeniedException", message)
    if request.domain == "VIDEO_ON_DEMAND":
        raise unsupported.error(unsupported.VIDEO_ON_DEMAND)
    group = await create_group(context, request)
    return DatasetGroupCreated(dataset_group_arn=group.arn, domain=request.domain)


async def create_group(context: OperationContext, request: CreateDatasetGroup) -> Resource:
    """The group and its tenant, for whoever may make one."""
    resources = context.resources
    await resources.lock_account()
    path = f"{Type.DATASET_GROUP}/{request.name}"
    if await resources.get(path) is not None:
        message = f"Another dataset group with the name {request.name} already exists."
        raise WireError("ResourceAlreadyExistsException", message)
    wanted = tenant_id(request.name, lambda _: False)
    used = await resources.used_tenant_ids(wanted)
    tenant = tenant_id(request.name, used.__contains__)
    await resources.add_tenant(tenant, request.name)
    return await context.create(
        NewResource(Type.DATASET_GROUP, path, request.name, tenant, document(request)), request
    )


async def describe(context: OperationContext, request: DatasetGroupName) -> DatasetGroupDescribed:
    """Show a group."""
    group = await context.find(request.dataset_group_arn, Type.DATASET_GROUP)
    return DatasetGroupDescribed(dataset_group=DatasetGroup.of(group))


async def list_page(context: OperationContext, request: Page) -> DatasetGroupsListed:
    """List the account's groups."""
    shown, token = await context.list_page(request, Type.DATASET_GROUP, DatasetGroupSummary)
    return DatasetGroupsListed(dataset_groups=shown, next_token=token)


async def delete(context: OperationContext, request: DatasetGroupName) -> None:
    """Delete a group that holds nothing any more; its tenant's data goes later."""
    group = await context.find(request.dataset_group_arn, Type.DATASET_GROUP, lock=True)
    inside = await context.resources.children(
        group.path, Type.DATASET, Type.SOLUTION, Type.RECOMMENDER, Type.EVENT_TRACKER, with_deleting=True
    )
    deletions = await context.resources.children(group.path, Type.DATA_DELETION_JOB)
    check_no_dependents([*inside, *(job for job in deletions if job.status in UNFINISHED)], group)
    for job in deletions:
        await context.resources.delete(job)
    for left in await context.resources.children(group.path, Type.FILTER, with_deleting=True):
        await context.resources.delete(left)
        await context.events.publish_tombstone(FILTERS, left.owner, f"{left.owner}:{left.name}")
    for left in await context.resources.children(group.path, Type.METRIC_ATTRIBUTION, with_deleting=True):
        await context.resources.delete(left)
    await context.resources.begin_deletion(group)
    await context.resources.retire_tenant(group.owner)
    await context.resources.discard(f"{group.owner}/", context.settings.garbage_hours)


async def lock_active(context: OperationContext, arn: str) -> Resource:
    """The group that something is about to be made in, held so that it isn't deleted meanwhile."""
    group = await context.find(arn, Type.DATASET_GROUP, lock=True)
    if group.status != Status.ACTIVE:
        raise WireError("ResourceInUseException", f"The dataset group {arn} is {group.status}.")
    return group
