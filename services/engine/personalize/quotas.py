"""Quotas: how many resources of a type an account or a dataset group may have."""

from __future__ import annotations

from services.engine.domain.resources import NOUNS, ResourceType
from services.engine.settings import Settings
from services.engine.store.resources import Resources
from shared.aws import WireError

SETTINGS = {
    ResourceType.DATASET_GROUP: "max_dataset_groups",
    ResourceType.SCHEMA: "max_schemas",
    ResourceType.SOLUTION: "max_solutions",
    ResourceType.CAMPAIGN: "max_campaigns",
    ResourceType.RECOMMENDER: "max_recommenders",
    ResourceType.FILTER: "max_filters",
}
"""The setting with the quota of each type.

Other types need none: a dataset group has one event tracker, one metric attribution and one dataset of each
type, and the number of pending jobs is limited.
"""

_OF_ACCOUNT = frozenset({ResourceType.DATASET_GROUP, ResourceType.SCHEMA})


async def check(kind: ResourceType, tenant: str | None, resources: Resources, settings: Settings) -> None:
    """Raise WireError (LimitExceededException) if no more resources of a type may be created.

    `tenant` is the tenant of the new resource.
    """
    setting = SETTINGS.get(kind)
    if setting is None:
        return
    limit: int = getattr(settings, setting)
    is_of_account = kind in _OF_ACCOUNT
    if is_of_account:
        # Count in one call after the other. Within a dataset group its locked row has the same effect.
        await resources.lock_account()
    if await resources.has_at_least(limit, kind, None if is_of_account else tenant):
        owner = "An account" if is_of_account else "A dataset group"
        message = (
            f"{owner} may have {limit} {NOUNS[kind]}s. Delete some that are not needed, or raise the setting "
            f"ENGINE_{setting.upper()}."
        )
        raise WireError("LimitExceededException", message)
