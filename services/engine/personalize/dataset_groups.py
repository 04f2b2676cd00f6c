"""Dataset groups. Each is a tenant."""

from __future__ import annotations

from services.engine.domain import state
from services.engine.domain.resources import ResourceType, Status, tenant_id
from services.engine.personalize import unsupported
from services.engine.personalize.context import (
    NewState,
    OperationContext,
    already_exists,
    check_no_dependents,
    in_use,
)
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
)
from shared.aws import WireError
from shared.events.topics import FILTERS, PLACEMENTS


class CreateDatasetGroup(Tagged):
    """The request of CreateDatasetGroup."""

    name: ResourceName
    role_arn: RoleArn | None = None
    kms_key_arn: KmsKeyArn | None = None
    domain: Domain | None = None


class DatasetGroupCreated(WireModel):
    """The answer to CreateDatasetGroup."""

    dataset_group_arn: str
    domain: str | None = None


class DatasetGroupName(WireModel):
    """The ARN of a dataset group, in requests and answers."""

    dataset_group_arn: ArnText


class DatasetGroupSummary(StatusView):
    """The view of a dataset group in a list."""

    arn_member = "datasetGroupArn"

    name: str
    dataset_group_arn: str
    domain: str | None = None


class DatasetGroup(DatasetGroupSummary):
    """The view of a dataset group in the answer to Describe."""

    role_arn: str | None = None
    kms_key_arn: str | None = None


class DatasetGroupDescribed(WireModel):
    """The answer to DescribeDatasetGroup."""

    dataset_group: DatasetGroup


class DatasetGroupsListed(WireModel):
    """One page of the answer to ListDatasetGroups."""

    dataset_groups: list[DatasetGroupSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDatasetGroup) -> DatasetGroupCreated:
    """Create a dataset group and its tenant.

    Raise WireError (AccessDeniedException) for an API key, which belongs to one dataset group.
    """
    if context.resources.tenant is not None:
        message = "An API key belongs to one dataset group; creating another requires an AWS key pair."
        raise WireError("AccessDeniedException", message)
    if request.domain == "VIDEO_ON_DEMAND":
        raise unsupported.error(unsupported.VIDEO_ON_DEMAND)
    group = await create_group(context, request)
    return DatasetGroupCreated(dataset_group_arn=str(group.arn), domain=request.domain)


async def create_group(context: OperationContext, request: CreateDatasetGroup) -> state.DatasetGroup:
    """Create a dataset group and its tenant without checking whether the caller may create one.

    Raise WireError (ResourceAlreadyExistsException) if the name is taken.
    """
    resources = context.resources
    await resources.lock_account()
    path = f"{ResourceType.DATASET_GROUP}/{request.name}"
    if await resources.get(path) is not None:
        raise already_exists(f"Another dataset group with the name {request.name} already exists.")
    prefix = tenant_id(request.name, lambda _: False)
    used = await resources.used_tenant_ids(prefix)
    tenant = tenant_id(request.name, used.__contains__)
    await resources.add_tenant(tenant, request.name)
    document = state.DatasetGroupDocument(
        role_arn=request.role_arn, kms_key_arn=request.kms_key_arn, domain=request.domain
    )
    new = NewState(path, request.name, tenant, document, state.Facts())
    return await context.create(state.DatasetGroup, new, request)


async def describe(context: OperationContext, request: DatasetGroupName) -> DatasetGroupDescribed:
    """Describe a dataset group."""
    group = await context.find(request.dataset_group_arn, state.DatasetGroup)
    return DatasetGroupDescribed(dataset_group=DatasetGroup.of(group))


async def list_page(context: OperationContext, request: Page) -> DatasetGroupsListed:
    """List the dataset groups of the account."""
    views, token = await context.list_page(request, state.DatasetGroup, DatasetGroupSummary)
    return DatasetGroupsListed(dataset_groups=views, next_token=token)


async def delete(context: OperationContext, request: DatasetGroupName) -> None:
    """Delete a dataset group that is empty; the data of its tenant is deleted later."""
    group = await context.find(request.dataset_group_arn, state.DatasetGroup, lock=True)
    resources = context.resources
    members = await resources.children(
        group.path,
        ResourceType.DATASET,
        ResourceType.SOLUTION,
        ResourceType.RECOMMENDER,
        ResourceType.EVENT_TRACKER,
        with_deleting=True,
    )
    deletions = await resources.list_children(state.DataDeletionJob, group.path)
    check_no_dependents([*members, *(job for job in deletions if job.is_unfinished)], group)
    for job in deletions:
        await resources.delete(job)
    for item_filter in await resources.list_children(state.Filter, group.path, with_deleting=True):
        await resources.delete(item_filter)
        key = f"{item_filter.owner}:{item_filter.name}"
        await context.events.publish_tombstone(FILTERS, item_filter.owner, key)
    for attribution in await resources.list_children(state.MetricAttribution, group.path, with_deleting=True):
        await resources.delete(attribution)
    await resources.begin_deletion(group)
    for name in await resources.drop_placements(group.owner):
        await context.events.publish_tombstone(PLACEMENTS, group.owner, f"{group.owner}:{name}")
    await resources.retire_tenant(group.owner)
    await resources.discard(f"{group.owner}/", context.settings.garbage_hours)


async def lock_active(context: OperationContext, arn: str) -> state.DatasetGroup:
    """Return an ACTIVE dataset group, whose row is held so that it is not deleted in the meantime.

    Raise WireError: ResourceInUseException if its status is another, and as OperationContext.find does.
    """
    group = await context.find(arn, state.DatasetGroup, lock=True)
    if group.status != Status.ACTIVE:
        raise in_use(f"The dataset group {arn} is {group.status}.")
    return group
