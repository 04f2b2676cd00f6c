"""Incremental updates: a version gets a new model in place of its own when items have changed.

Each renewal of a model is a resource below the version, with a training job. No operation shows it. The
version keeps its ARN, so the campaigns that serve it get the new model.
"""

from __future__ import annotations

import secrets

from services.engine.domain import state
from services.engine.domain.locations import model_prefix
from services.engine.domain.resources import Status
from services.engine.personalize import campaigns
from services.engine.personalize.context import NewState, OperationContext
from services.engine.store.resources import Resources
from shared.events import CampaignChanged

_KEPT_FACTS = ("recipe", "tags")
"""Facts of a version that a renewal does not replace."""


async def enqueue(context: OperationContext, version: state.SolutionVersion) -> state.ModelRenewal:
    """Create a renewal with the settings of a version, and queue it; earlier ones are deleted."""
    for earlier in await context.resources.list_children(state.ModelRenewal, version.path):
        if not earlier.is_unfinished:
            await context.resources.delete(earlier)
    identifier = secrets.token_hex(4)
    document = state.ModelRenewalDocument(
        dataset_group_arn=version.document.dataset_group_arn,
        event_type=version.document.event_type,
        solution_config=version.document.solution_config,
    )
    solution, version_id = version.arn.steps
    facts = state.ModelFacts(
        recipe=version.facts.recipe,
        folder=model_prefix(version.owner, solution, f"{version_id}-{identifier}"),
    )
    new = NewState(
        f"{version.path}/{identifier}",
        f"{version.name}/{identifier}",
        version.owner,
        document,
        facts,
        parent=version.path,
        status=Status.PENDING,
    )
    renewal = await context.create(state.ModelRenewal, new)
    await context.enqueue(renewal)
    return renewal


async def deploy(resources: Resources, renewal: state.ModelRenewal, hours: float) -> list[CampaignChanged]:
    """Replace the model of a version by that of a renewal; return the events of the campaigns that serve it.

    The folder of the replaced model is deleted after `hours`.
    """
    version = await resources.load_parent(state.SolutionVersion, renewal)
    if version is None or version.status != Status.ACTIVE:
        await resources.discard(renewal.facts.folder, hours)
        return []
    await resources.discard(version.facts.folder, hours)
    model = {name: fact for name, fact in renewal.facts if name not in _KEPT_FACTS and fact is not None}
    version = await resources.save(version, facts=version.facts.model_copy(update=model))
    return await campaigns.redeploy(resources, version)
