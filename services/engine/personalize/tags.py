"""Tags: keys and values that label a resource."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.engine.domain import state
from services.engine.domain.resources import NOUNS, ResourceType
from services.engine.personalize.context import OperationContext, merge_tags
from services.engine.personalize.members import MAX_TAGS, ArnText, Tag, TagKey, WireModel
from shared.aws import WireError, invalid_input

_UNTAGGED = (ResourceType.SCHEMA, ResourceType.RECOMMENDER_TRAINING, ResourceType.MODEL_RENEWAL)


class ResourceArn(WireModel):
    """The request of ListTagsForResource."""

    resource_arn: ArnText


class TagResource(ResourceArn):
    """The request of TagResource; a key that exists takes the new value."""

    tags: Annotated[tuple[Tag, ...], Field(max_length=200)]


class UntagResource(ResourceArn):
    """The request of UntagResource."""

    tag_keys: Annotated[tuple[TagKey, ...], Field(max_length=200)]


class TagsChanged(WireModel):
    """The empty answer to TagResource and UntagResource."""


class TagsListed(WireModel):
    """One page of the answer to ListTags."""

    tags: list[Tag]


async def add(context: OperationContext, request: TagResource) -> TagsChanged:
    """Add tags to a resource."""
    resource = await _find_taggable(context, request.resource_arn, lock=True)
    tags = merge_tags(resource.facts.tags or {}, request.tags)
    await context.resources.set_tags(resource, tags)
    return TagsChanged()


async def remove(context: OperationContext, request: UntagResource) -> TagsChanged:
    """Remove tags from a resource; keys that it does not have are ignored.

    Raise WireError (TooManyTagKeysException) for more than 50 keys.
    """
    if len(request.tag_keys) > MAX_TAGS:
        message = f"A resource has at most {MAX_TAGS} tags, so {len(request.tag_keys)} can't be removed."
        raise WireError("TooManyTagKeysException", message)
    resource = await _find_taggable(context, request.resource_arn, lock=True)
    tags = {key: value for key, value in (resource.facts.tags or {}).items() if key not in request.tag_keys}
    await context.resources.set_tags(resource, tags)
    return TagsChanged()


async def list_tags(context: OperationContext, request: ResourceArn) -> TagsListed:
    """List the tags of a resource, ordered by key."""
    resource = await _find_taggable(context, request.resource_arn)
    tags = sorted((resource.facts.tags or {}).items())
    return TagsListed(tags=[Tag(tag_key=key, tag_value=value) for key, value in tags])


async def _find_taggable(context: OperationContext, arn: str, *, lock: bool = False) -> state.ResourceState:
    row = await context.find_any(arn, lock=lock)
    if row.type in _UNTAGGED:
        raise invalid_input(f"A {NOUNS[row.type]} can't have tags: {arn}.")
    return state.ResourceState.of(row)
