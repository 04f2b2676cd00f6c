"""Incremental updates: a version's model is made anew in its place when items came in.

Each renewal is a resource of its own below the version, and its job that of a training. No operation shows
it. The version keeps its ARN, so what serves it goes on with it.
"""

from __future__ import annotations

import secrets

from services.engine.domain.locations import model_prefix
from services.engine.domain.resources import UNFINISHED, NewResource, Resource, Status, Type
from services.engine.personalize import campaigns
from services.engine.personalize.context import OperationContext
from services.engine.store.resources import Resources
from shared.events import CampaignChanged

_SETTINGS = ("eventType", "solutionConfig", "datasetGroupArn")
_OF_ITS_OWN = ("recipe", "tags")


async def enqueue(context: OperationContext, version: Resource) -> Resource:
    """A renewal that waits for a worker, with the version's settings; earlier ones are forgotten."""
    for other in await context.resources.children(version.path, Type.MODEL_RENEWAL):
        if other.status not in UNFINISHED:
            await context.resources.delete(other)
    identifier = secrets.token_hex(4)
    renewal = await context.create(
        NewResource(
            Type.MODEL_RENEWAL,
            f"{version.path}/{identifier}",
            f"{version.name}/{identifier}",
            version.owner,
            {name: version.document[name] for name in _SETTINGS if name in version.document}
            | {"trainingMode": "FULL"},
            parent=version.path,
            status=Status.PENDING,
            facts={
                "recipe": version.facts["recipe"],
                "folder": model_prefix(
                    version.owner, version.path.split("/")[1], f"{version.path.split('/')[2]}-{identifier}"
                ),
            },
        )
    )
    await context.enqueue(renewal)
    return renewal


async def deploy(resources: Resources, renewal: Resource, hours: float) -> list[CampaignChanged]:
    """Put the model of a renewal in the place of its version's; gives the campaigns that serve it.

    The folder of the model before goes after these hours.
    """
    version = await resources.get(renewal.parent or "", lock=True)
    if version is None or version.status != Status.ACTIVE:
        await resources.discard(renewal.facts["folder"], hours)
        return []
    await resources.discard(version.facts["folder"], hours)
    made = {name: fact for name, fact in renewal.facts.items() if name not in _OF_ITS_OWN}
    version = await resources.update(version, facts=made)
    return await campaigns.redeploy(resources, version)
