"""Campaigns: each deploys a solution version in the recommender service, which scores its model live."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from services.engine.domain import state
from services.engine.domain.deployment_config import CampaignConfig
from services.engine.domain.resources import ResourceType, Status
from services.engine.personalize import recipes
from services.engine.personalize.context import NewState, OperationContext, require_model
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    StatusView,
    Tagged,
    WireModel,
)
from services.engine.store.resources import Resources
from shared.aws import Arn, invalid_input
from shared.events import CampaignChanged
from shared.events.topics import CAMPAIGNS

LATEST = "$LATEST"
"""The last step of a solutionVersionArn that stands for the newest ACTIVE version of the solution."""
_UNSET = CampaignConfig()


class CreateCampaign(Tagged):
    """The request of CreateCampaign."""

    name: ResourceName
    solution_version_arn: ArnText
    min_provisioned_tps: Annotated[int, Field(ge=1, alias="minProvisionedTPS")] = 1
    campaign_config: CampaignConfig | None = None


class UpdateCampaign(WireModel):
    """The request of UpdateCampaign; members that are absent stay as they are."""

    campaign_arn: ArnText
    solution_version_arn: ArnText | None = None
    min_provisioned_tps: Annotated[int | None, Field(ge=1, alias="minProvisionedTPS")] = None
    campaign_config: CampaignConfig | None = None


class CampaignName(WireModel):
    """The ARN of a campaign, in requests and answers."""

    campaign_arn: ArnText


class ListCampaigns(Page):
    """The request of ListCampaigns."""

    solution_arn: ArnText | None = None


class CampaignSummary(StatusView):
    """The view of a campaign in a list."""

    arn_member = "campaignArn"

    name: str
    campaign_arn: str


class Campaign(CampaignSummary):
    """The view of a campaign in the answer to Describe."""

    solution_version_arn: str
    min_provisioned_tps: Annotated[int, Field(alias="minProvisionedTPS")]
    campaign_config: CampaignConfig | None = None
    latest_campaign_update: state.CampaignUpdate | None = None


class CampaignDescribed(WireModel):
    """The answer to DescribeCampaign."""

    campaign: Campaign


class CampaignsListed(WireModel):
    """One page of the answer to ListCampaigns."""

    campaigns: list[CampaignSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateCampaign) -> CampaignName:
    """Deploy an ACTIVE solution version."""
    version = await _find_version(context, request.solution_version_arn)
    _check_sync(request.campaign_config, request.solution_version_arn)
    document = state.CampaignDocument(
        solution_version_arn=version.arn,
        min_provisioned_tps=request.min_provisioned_tps,
        campaign_config=request.campaign_config,
    )
    new = NewState(
        f"{ResourceType.CAMPAIGN}/{request.name}",
        request.name,
        version.owner,
        document,
        _deployed_model(version),
        parent=version.parent,
    )
    campaign = await context.create(state.Campaign, new, request)
    await context.events.publish(CAMPAIGNS, campaign_changed(campaign))
    return CampaignName(campaign_arn=str(campaign.arn))


async def update(context: OperationContext, request: UpdateCampaign) -> CampaignName:
    """Deploy another version, of this or another solution of the dataset group, or change settings.

    Raise WireError (InvalidInputException) if nothing changes, or the version cannot be deployed.
    """
    # A worker that ends a training also locks the version first, so the two never wait for each other.
    arn = request.solution_version_arn
    version = None if arn is None else await _find_version(context, arn)
    campaign = await context.find(request.campaign_arn, state.Campaign, lock=True)
    document = _updated_document(campaign, request, version)
    if document == campaign.document:
        raise invalid_input(
            f"The campaign {campaign.arn} has this version and these settings already: the update changes "
            "nothing."
        )
    facts = campaign.facts if version is None else _with_model(campaign, version)
    updated = await _save_update(context.resources, campaign, document, facts)
    if version is not None and version.parent != campaign.parent:
        await context.resources.set_parent(campaign, version.parent)
    await context.events.publish(CAMPAIGNS, campaign_changed(updated))
    return CampaignName(campaign_arn=str(updated.arn))


def _updated_document(
    campaign: state.Campaign, request: UpdateCampaign, version: state.SolutionVersion | None
) -> state.CampaignDocument:
    old, arn = campaign.document, request.solution_version_arn
    if version is not None and version.owner != campaign.owner:
        raise invalid_input(
            f"{version.arn} belongs to another dataset group than the campaign; make a new campaign."
        )
    _check_sync(request.campaign_config, arn or str(old.solution_version_arn))
    config = request.campaign_config or old.campaign_config
    is_pinned = arn is not None and not _is_latest(arn)
    if is_pinned and request.campaign_config is None and config and config.sync_with_latest_solution_version:
        # The caller chose this version: newer versions must not replace it.
        config = config.model_copy(update={"sync_with_latest_solution_version": False})
    return old.model_copy(
        update={
            "solution_version_arn": version.arn if version else old.solution_version_arn,
            "min_provisioned_tps": request.min_provisioned_tps or old.min_provisioned_tps,
            "campaign_config": old.campaign_config if config == (old.campaign_config or _UNSET) else config,
        }
    )


async def _save_update(
    resources: Resources,
    campaign: state.Campaign,
    document: state.CampaignDocument,
    facts: state.CampaignFacts,
) -> state.Campaign:
    """Save a campaign, and record the change as its newest update."""
    update = state.CampaignUpdate(
        solution_version_arn=document.solution_version_arn,
        min_provisioned_tps=document.min_provisioned_tps,
        campaign_config=document.campaign_config,
    )
    document = document.model_copy(update={"latest_campaign_update": update})
    return await resources.save(campaign, document=document, facts=facts)


async def _find_version(context: OperationContext, arn: str) -> state.SolutionVersion:
    """Return an ACTIVE version with a model: with `$LATEST` the newest one of the solution."""
    if not _is_latest(arn):
        version = await context.find(arn, state.SolutionVersion, lock=True)
        require_model(version)
        recipes.check_selects_items(version, "campaigns")
        return version
    parsed = Arn.parse(arn, "solution")
    solution = await context.find(replace(parsed, path=parsed.name), state.Solution, lock=True)
    versions = await context.resources.list_children(state.SolutionVersion, solution.path)
    active = [version for version in versions if version.status == Status.ACTIVE]
    if not active:
        raise invalid_input(f"The solution {solution.arn} has no ACTIVE version yet.")
    recipes.check_selects_items(active[0], "campaigns")
    return active[0]


def _is_latest(arn: str) -> bool:
    return Arn.parse(arn).steps[-1] == LATEST


def _check_sync(config: CampaignConfig | None, arn: str) -> None:
    if config and config.sync_with_latest_solution_version and not _is_latest(arn):
        raise invalid_input(
            "syncWithLatestSolutionVersion needs a solutionVersionArn of the form <solution ARN>/$LATEST."
        )


def _deployed_model(version: state.SolutionVersion) -> state.CampaignFacts:
    model = version.facts
    assert model.model_uri is not None
    assert model.model_sha256 is not None
    return state.CampaignFacts(
        recipe=model.recipe,
        solution_version_arn=version.arn,
        model_uri=model.model_uri,
        model_sha256=model.model_sha256,
        traits=model.traits,
    )


def _with_model(campaign: state.Campaign, version: state.SolutionVersion) -> state.CampaignFacts:
    """Return the facts of a campaign that serves a version; its tags stay."""
    return campaign.facts.model_copy(
        update={name: value for name, value in _deployed_model(version) if value is not None}
    )


def campaign_changed(campaign: state.Campaign) -> CampaignChanged:
    """Return the event with the state of a campaign."""
    config = campaign.document.campaign_config or _UNSET
    return CampaignChanged(
        event_id=str(uuid.uuid4()),
        tenant=campaign.owner,
        occurred_at=datetime.now(UTC),
        name=campaign.name,
        arn=str(campaign.arn),
        status=campaign.status,
        recipe=campaign.facts.recipe,
        solution_version_arn=str(campaign.facts.solution_version_arn),
        model_uri=campaign.facts.model_uri,
        model_sha256=campaign.facts.model_sha256,
        config=config.model_dump(mode="json", by_alias=True, exclude_none=True),
        traits=campaign.facts.traits,
    )


async def deploy_to_followers(resources: Resources, version: state.SolutionVersion) -> list[CampaignChanged]:
    """Deploy a new version in the campaigns that follow its solution; return the events of the changes."""
    assert version.parent is not None
    events = []
    for campaign in await resources.list_readable_children(state.Campaign, version.parent):
        config = campaign.document.campaign_config
        if config and config.sync_with_latest_solution_version:
            document = campaign.document.model_copy(update={"solution_version_arn": version.arn})
            facts = _with_model(campaign, version)
            events.append(campaign_changed(await _save_update(resources, campaign, document, facts)))
    return events


async def redeploy(resources: Resources, version: state.SolutionVersion) -> list[CampaignChanged]:
    """Deploy the new model of a version in the campaigns that serve it; return the events of the changes."""
    assert version.parent is not None
    events = []
    for follower in await resources.list_readable_children(state.Campaign, version.parent):
        campaign = await resources.load(state.Campaign, follower.path, lock=True)
        if campaign is not None and campaign.facts.solution_version_arn == version.arn:
            updated = await resources.save(campaign, facts=_with_model(campaign, version))
            events.append(campaign_changed(updated))
    return events


async def describe(context: OperationContext, request: CampaignName) -> CampaignDescribed:
    """Describe a campaign."""
    campaign = await context.find(request.campaign_arn, state.Campaign)
    return CampaignDescribed(campaign=Campaign.of(campaign))


async def list_page(context: OperationContext, request: ListCampaigns) -> CampaignsListed:
    """List campaigns."""
    solution = await context.find_optional(request.solution_arn, state.Solution)
    views, token = await context.list_page(request, state.Campaign, CampaignSummary, solution)
    return CampaignsListed(campaigns=views, next_token=token)


async def delete(context: OperationContext, request: CampaignName) -> None:
    """Delete a campaign."""
    campaign = await context.find(request.campaign_arn, state.Campaign, lock=True)
    await context.resources.begin_deletion(campaign)
    await context.events.publish_tombstone(CAMPAIGNS, campaign.owner, campaign_changed(campaign).key)
