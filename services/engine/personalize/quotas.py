"""Quotas: how many resources of a type an account or a dataset group may have."""

from __future__ import annotations

from services.engine.domain.resources import NOUNS, NewResource, Type
from services.engine.settings import Settings
from services.engine.store.resources import Resources
from shared.aws import WireError

SETTINGS = {
    Type.DATASET_GROUP: "max_dataset_groups",
    Type.SCHEMA: "max_schemas",
    Type.SOLUTION: "max_solutions",
    Type.CAMPAIGN: "max_campaigns",
    Type.RECOMMENDER: "max_recommenders",
    Type.FILTER: "max_filters",
}
"""The setting with the quota of a type. Types that are missing here have no quota of their own: a dataset
group has one event tracker, one metric attribution and one dataset of each type, and jobs are bounded
while they wait."""

_OF_ACCOUNT = frozenset({Type.DATASET_GROUP, Type.SCHEMA})


async def check(new: NewResource, resources: Resources, settings: Settings) -> None:
    """Raise LimitExceededException when there may be no more resources of the type."""
    setting = SETTINGS.get(new.type)
    if setting is None:
        return
    limit: int = getattr(settings, setting)
    of_account = new.type in _OF_ACCOUNT
    if of_account:
        # Two calls at once are counted one after the other; within a group its locked row sees to that.
        await resources.lock_account()
    if await resources.has_at_least(limit, new.type, None if of_account else new.tenant):
        owner = "An account" if of_account else "A dataset group"
        message = (
            f"{owner} may have {limit} {NOUNS[new.type]}s. Delete some that are not needed, or raise the "
            f"setting ENGINE_{setting.upper()}."
        )
        raise WireError("LimitExceededException", message)
