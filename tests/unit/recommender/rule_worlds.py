"""A small catalogue and its rules for unit tests: real filters over it, and counts in memory."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.properties import flat_properties
from services.recommender.serving.filtering import ItemFilters
from services.recommender.serving.placements.candidates import Candidate
from services.recommender.serving.placements.request import PlacementRequest, Visitor
from services.recommender.serving.placements.rules import RuleCompiler, RuleResult, RuleSources, apply_rules
from services.recommender.store.profiles import Profile
from shared.events.placements import Placement
from shared.filters import Filter

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Filters:
    """Filters by name."""

    def __init__(self, expressions: Mapping[str, str]) -> None:
        self.by_name = {name: Filter.parse(expression) for name, expression in expressions.items()}

    def known(self, _tenant: str, name: str) -> Filter | None:
        return self.by_name.get(name)

    async def find(self, tenant: str, name: str) -> Filter | None:
        return self.known(tenant, name)


class Profiles:
    """Properties of users; counts how often they are read."""

    def __init__(self, properties: Mapping[str, dict[str, Any]]) -> None:
        self._properties = properties
        self.reads = 0

    async def properties(self, _tenant: str, user_id: str) -> dict[str, Any]:
        self.reads += 1
        return self._properties.get(user_id, {})


class Quotas:
    """Answers of the day by item."""

    def __init__(self, answers: Mapping[str, int]) -> None:
        self.answers = answers
        self.counted: list[str] = []

    async def of(self, _tenant: str, _placement: str, _now: datetime) -> Mapping[str, int]:
        return self.answers

    def count(self, _tenant: str, _placement: str, item_ids: Iterable[str], _now: datetime) -> None:
        self.counted += item_ids


class Impressions:
    """Impressions by item; records what they are read for."""

    def __init__(self, impressions: Mapping[str, int]) -> None:
        self._impressions = impressions
        self.reads: list[tuple[set[str], int]] = []

    async def of(self, _tenant: str, subjects: set[str], days: int, _now: datetime) -> Mapping[str, int]:
        self.reads.append((subjects, days))
        return self._impressions


@dataclass
class RuleWorld:
    """A catalogue with the columns of its items, filters, and what is known of visitors."""

    items: Mapping[str, Mapping[str, Any]]
    withdrawn: frozenset[str] = frozenset()
    filters: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    answers: Mapping[str, int] = field(default_factory=dict)
    impressions: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        self.catalogue = Catalogue()
        self.profiles = Profiles(self.users)
        self.quotas = Quotas(self.answers)
        self.read_impressions = Impressions(self.impressions)
        self.stored_filters = Filters(self.filters)
        for item_id in {*self.items, *self.withdrawn}:
            self.put(item_id, **self.items.get(item_id, {}))
        self.sources = RuleSources(
            self.catalogue,
            ItemFilters(self.stored_filters, self.profiles),
            RuleCompiler(),
            self.quotas,
            rng=random.Random(self.seed),
            impressions=self.read_impressions,
        )

    def put(self, item_id: str, **columns: Any) -> None:
        self.catalogue.put(
            item_id,
            None,
            None,
            available=item_id not in self.withdrawn,
            as_of=datetime.now(UTC),
            properties=flat_properties({}, columns),
        )

    async def apply(
        self,
        placement: Placement | dict[str, Any],
        candidates: Iterable[str | tuple[str, str]],
        *,
        request: Mapping[str, Any] | None = None,
        visitor: Visitor | None = None,
        now: datetime = NOON,
    ) -> RuleResult:
        """Apply rules to candidates: item ids of one strategy, or pairs of item id and strategy."""
        if isinstance(placement, dict):
            placement = Placement.model_validate({"strategies": [{"strategy": "for-you"}], **placement})
        pairs = [(each, "for-you") if isinstance(each, str) else each for each in candidates]
        return await apply_rules(
            placement,
            PlacementRequest("shop", "home", **{"explain": True, **(request or {})}),
            visitor or Visitor(Profile()),
            [Candidate(item_id, strategy) for item_id, strategy in pairs],
            self.sources,
            now,
        )


def ids(result: RuleResult) -> list[str]:
    return [candidate.item_id for candidate in result.items]


class Generations:
    """The stored generations: 6 and 7."""

    async def has(self, _: str, generation: int) -> bool:
        return generation in {6, 7}
