"""Tags: labels that the owner gives a resource."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.engine.domain.resources import NOUNS, Resource, Type
from services.engine.personalize.context import OperationContext, merge_tags
from services.engine.personalize.members import MOST_TAGS, ArnText, Tag, TagKey, WireModel
from shared.aws import WireError, invalid_input

_UNTAGGED = (Type.SCHEMA, Type.RECOMMENDER_TRAINING, Type.MODEL_RENEWAL)


class ResourceArn(WireModel):
    """Which resource."""

    resource_arn: ArnText


class TagResource(ResourceArn):
    """Tags to add; a key that is there takes the new value."""

    tags: Annotated[tuple[Tag, ...], Field(max_length=200)]


class UntagResource(ResourceArn):
    """Tags to remove; a key that isn't there is none."""

    tag_keys: Annotated[tuple[TagKey, ...], Field(max_length=200)]


class TagsChanged(WireModel):
    """An empty answer."""


class TagsListed(WireModel):
    """The tags of a resource, by key."""

    tags: list[Tag]


async def add(context: OperationContext, request: TagResource) -> TagsChanged:
    """Tag a resource."""
    resource = await _taggable(context, request.resource_arn, lock=True)
    await context.resources.set_facts(resource, tags=merge_tags(resource.facts.get("tags", {}), request.tags))
    return TagsChanged()


async def remove(context: OperationContext, request: UntagResource) -> TagsChanged:
    """Remove tags from a resource."""
    if len(request.tag_keys) > MOST_TAGS:
        message = f"A resource has at most {MOST_TAGS} tags, so {len(request.tag_keys)} can't be removed."
        raise WireError("TooManyTagKeysException", message)
    resource = await _taggable(context, request.resource_arn, lock=True)
    tags = resource.facts.get("tags", {})
    left = {key: value for key, value in tags.items() if key not in request.tag_keys}
    await context.resources.set_facts(resource, tags=left)
    return TagsChanged()


async def list_tags(context: OperationContext, request: ResourceArn) -> TagsListed:
    """Show the tags of a resource."""
    resource = await _taggable(context, request.resource_arn)
    tags = sorted(resource.facts.get("tags", {}).items())
    return TagsListed(tags=[Tag(tag_key=key, tag_value=value) for key, value in tags])


async def _taggable(context: OperationContext, arn: str, *, lock: bool = False) -> Resource:
    resource = await context.find_any(arn, lock=lock)
    if resource.type in _UNTAGGED:
        raise invalid_input(f"A {NOUNS[resource.type]} can't have tags: {arn}.")
    return resource
