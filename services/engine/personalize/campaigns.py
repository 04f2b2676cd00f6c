"""Campaigns: a solution version that the recommender scores live. One costs nothing while it is idle."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from services.engine.domain.resources import NewResource, Resource, Status, Type
from services.engine.personalize import recipes
from services.engine.personalize.context import OperationContext, require_model
from services.engine.personalize.members import (
    ArnText,
    ExplorationConfig,
    Page,
    RankingInfluence,
    ResourceName,
    StatusView,
    Tagged,
    Update,
    WireModel,
    active_update,
    document,
)
from services.engine.store.resources import Resources
from shared.aws import invalid_input
from shared.events import CampaignChanged
from shared.events.topics import CAMPAIGNS

LATEST = "/$LATEST"
_SYNC = "syncWithLatestSolutionVersion"
_UNSET: dict[str, Any] = {"campaignConfig": {}}
"""Default values of a campaign's members."""


class CampaignConfig(WireModel):
    """How a campaign explores, and whether it follows its solution."""

    item_exploration_config: ExplorationConfig | None = None
    enable_metadata_with_recommendations: bool | None = None
    sync_with_latest_solution_version: bool | None = None
    ranking_influence: RankingInfluence | None = None


class CreateCampaign(Tagged):
    """A new campaign."""

    name: ResourceName
    solution_version_arn: ArnText
    min_provisioned_tps: Annotated[int, Field(ge=1, alias="minProvisionedTPS")] = 1
    campaign_config: CampaignConfig | None = None


class UpdateCampaign(WireModel):
    """Another version, or other settings."""

    campaign_arn: ArnText
    solution_version_arn: ArnText | None = None
    min_provisioned_tps: Annotated[int | None, Field(ge=1, alias="minProvisionedTPS")] = None
    campaign_config: CampaignConfig | None = None


class CampaignName(WireModel):
    """Which campaign: what is asked, and what Create and Update answer."""

    campaign_arn: ArnText


class ListCampaigns(Page):
    """The campaigns of a solution, or of all."""

    solution_arn: ArnText | None = None


class CampaignSummary(StatusView):
    """A campaign in a list."""

    arn_member = "campaignArn"

    name: str
    campaign_arn: str


class CampaignUpdate(Update):
    """The newest update of a campaign."""

    solution_version_arn: str
    min_provisioned_tps: Annotated[int, Field(alias="minProvisionedTPS")]
    campaign_config: CampaignConfig | None = None


class Campaign(CampaignSummary):
    """A campaign."""

    solution_version_arn: str
    min_provisioned_tps: Annotated[int, Field(alias="minProvisionedTPS")]
    campaign_config: CampaignConfig | None = None
    latest_campaign_update: CampaignUpdate | None = None


class CampaignDescribed(WireModel):
    """The answer to Describe."""

    campaign: Campaign


class CampaignsListed(WireModel):
    """One page."""

    campaigns: list[CampaignSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateCampaign) -> CampaignName:
    """Deploy an ACTIVE version, at once."""
    version = await _find_version(context, request.solution_version_arn)
    recipes.check_selects_items(version, "campaigns")
    _check_sync(request.campaign_config, request.solution_version_arn)
    campaign = await context.create(
        NewResource(
            Type.CAMPAIGN,
            f"{Type.CAMPAIGN}/{request.name}",
            request.name,
            version.owner,
            document(request, "solution_version_arn") | {"solutionVersionArn": version.arn},
            parent=version.parent,
            facts=_deployed_model(version),
        ),
        request,
    )
    await context.events.publish(CAMPAIGNS, campaign_changed(campaign))
    return CampaignName(campaign_arn=campaign.arn)


async def update(context: OperationContext, request: UpdateCampaign) -> CampaignName:
    """Serve another version, of this or another solution of the group, or with other settings."""
    # The version first: that is the order in which the worker locks the two when a training ends.
    wanted = request.solution_version_arn
    version = await _find_version(context, wanted) if wanted is not None else None
    campaign = await context.find(request.campaign_arn, Type.CAMPAIGN, lock=True)
    fresh = document(request, "campaign_arn", "solution_version_arn")
    facts: dict[str, Any] = {}
    if version is not None and wanted is not None:
        recipes.check_selects_items(version, "campaigns")
        if version.owner != campaign.owner:
            message = (
                f"{version.arn} belongs to another dataset group than the campaign; make a new campaign."
            )
            raise invalid_input(message)
        _check_sync(request.campaign_config, wanted)
        facts = _deployed_model(version)
        fresh["solutionVersionArn"] = version.arn
        before = campaign.document.get("campaignConfig", {})
        if not wanted.endswith(LATEST) and "campaignConfig" not in fresh and before.get(_SYNC):
            # Who pins a version means it: the next one must not take its place.
            fresh["campaignConfig"] = before | {_SYNC: False}
    elif request.campaign_config and request.campaign_config.sync_with_latest_solution_version:
        _check_sync(request.campaign_config, campaign.document["solutionVersionArn"])
    if all(campaign.document.get(name, _UNSET.get(name)) == value for name, value in fresh.items()):
        raise invalid_input(
            f"The campaign {campaign.arn} has this version and these settings already: the update changes "
            "nothing."
        )
    updated = await _save_update(context.resources, campaign, fresh, facts)
    if version is not None and version.parent != campaign.parent:
        await context.resources.set_parent(campaign, version.parent)
    await context.events.publish(CAMPAIGNS, campaign_changed(updated))
    return CampaignName(campaign_arn=updated.arn)


async def _save_update(
    resources: Resources, campaign: Resource, fresh: dict[str, Any], facts: dict[str, Any]
) -> Resource:
    """Change a campaign, and remember that as its newest update."""
    shown = {
        name: value
        for name, value in (campaign.document | fresh).items()
        if name in {"solutionVersionArn", "minProvisionedTPS", "campaignConfig"}
    }
    latest = {"latestCampaignUpdate": active_update(**shown)}
    return await resources.update(campaign, document=fresh | latest, facts=facts)


async def _find_version(context: OperationContext, arn: str) -> Resource:
    """The version to serve: an ACTIVE one, or with `$LATEST` the newest ACTIVE one of a solution."""
    if not arn.endswith(LATEST):
        version = await context.find(arn, Type.SOLUTION_VERSION, lock=True)
        require_model(version)
        return version
    solution = await context.find(arn.removesuffix(LATEST), Type.SOLUTION, lock=True)
    versions = await context.resources.children(solution.path, Type.SOLUTION_VERSION)
    active = [version for version in versions if version.status == Status.ACTIVE]
    if not active:
        raise invalid_input(f"The solution {solution.arn} has no ACTIVE version yet.")
    return active[0]


def _check_sync(config: CampaignConfig | None, arn: str) -> None:
    if config and config.sync_with_latest_solution_version and not arn.endswith(LATEST):
        raise invalid_input(
            "syncWithLatestSolutionVersion needs a solutionVersionArn of the form <solution ARN>/$LATEST."
        )


def _deployed_model(version: Resource) -> dict[str, Any]:
    return {
        "recipe": version.facts["recipe"],
        "solution_version_arn": version.arn,
        "model_uri": version.facts["model_uri"],
        "model_sha256": version.facts["model_sha256"],
    }


def campaign_changed(campaign: Resource) -> CampaignChanged:
    """The state of a campaign as an event."""
    return CampaignChanged(
        event_id=str(uuid.uuid4()),
        tenant=campaign.owner,
        occurred_at=datetime.now(UTC),
        name=campaign.name,
        arn=campaign.arn,
        status=campaign.status,
        recipe=campaign.facts["recipe"],
        solution_version_arn=campaign.facts["solution_version_arn"],
        model_uri=campaign.facts["model_uri"],
        model_sha256=campaign.facts["model_sha256"],
        config=campaign.document.get("campaignConfig", {}),
    )


async def deploy_to_followers(resources: Resources, version: Resource) -> list[CampaignChanged]:
    """Move the campaigns that follow a solution to its new version; gives what changed."""
    assert version.parent is not None
    events = []
    for campaign in await resources.children(version.parent, Type.CAMPAIGN):
        config = campaign.document.get("campaignConfig", {})
        if config.get(_SYNC):
            fresh = {"solutionVersionArn": version.arn}
            updated = await _save_update(resources, campaign, fresh, _deployed_model(version))
            events.append(campaign_changed(updated))
    return events


async def redeploy(resources: Resources, version: Resource) -> list[CampaignChanged]:
    """Let the campaigns that serve a version take its new model; gives what changed."""
    assert version.parent is not None
    events = []
    for found in await resources.children(version.parent, Type.CAMPAIGN):
        campaign = await resources.get(found.path, lock=True)
        if campaign is not None and campaign.facts["solution_version_arn"] == version.arn:
            updated = await resources.update(campaign, facts=_deployed_model(version))
            events.append(campaign_changed(updated))
    return events


async def describe(context: OperationContext, request: CampaignName) -> CampaignDescribed:
    """Show a campaign."""
    campaign = await context.find(request.campaign_arn, Type.CAMPAIGN)
    return CampaignDescribed(campaign=Campaign.of(campaign))


async def list_page(context: OperationContext, request: ListCampaigns) -> CampaignsListed:
    """List campaigns."""
    solution = await context.find(request.solution_arn, Type.SOLUTION) if request.solution_arn else None
    shown, token = await context.list_page(request, Type.CAMPAIGN, CampaignSummary, solution)
    return CampaignsListed(campaigns=shown, next_token=token)


async def delete(context: OperationContext, request: CampaignName) -> None:
    """Delete a campaign."""
    campaign = await context.find(request.campaign_arn, Type.CAMPAIGN, lock=True)
    await context.resources.begin_deletion(campaign)
    await context.events.publish_tombstone(CAMPAIGNS, campaign.owner, campaign_changed(campaign).key)
