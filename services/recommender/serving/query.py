"""The query of a request, and the known properties of its user."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.recommender.store.profiles import Profile
    from shared.filters import Bound, Filter


@dataclass(frozen=True, slots=True)
class BoundFilter:
    """A filter with the values of one request; requests with equal `key` have equal filters and values."""

    filter: Filter
    bound: Bound
    key: Hashable

    @property
    def overrides_history_rules(self) -> bool:
        """Return whether the filter itself selects items by the user's interactions.

        Then the rules on items that the user has seen or purchased do not apply.
        """
        return any(clause.includes and clause.dataset == "INTERACTIONS" for clause in self.filter.clauses)

    def columns(self, dataset: str) -> Sequence[str]:
        """Return the columns of a dataset that the filter reads."""
        return [name for of, name in self.filter.fields if of == dataset]


@dataclass(frozen=True, slots=True)
class Promotion:
    """A share of the answer (percent) for items that pass a filter, or for any items."""

    name: str | None
    percent: int
    bound_filter: BoundFilter | None


@dataclass(frozen=True, slots=True)
class RecommendationQuery:
    """The query of a request: items for a user or for an item, at most `limit`, under conditions."""

    user_id: str | None
    item_id: str | None
    limit: int
    bound_filter: BoundFilter | None = None
    promotion: Promotion | None = None
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The subject of a request: the user with their recent events, the item, and the context columns."""

    tenant: str
    user_id: str | None
    item_id: str | None
    profile: Profile
    context: Mapping[str, str] = field(default_factory=dict)
    model_user_id: str | None = None
    """The id by which models know the user: not `user_id` while the user is being erased."""
