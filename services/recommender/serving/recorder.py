"""Record what each answer contained, under a new recommendationId.

On the path of the answer that is an id and an entry in a list: publishing it comes later.

See docs/decisions/0038-servings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self

from services.recommender.serving.recommendation import ServedVariant
from services.recommender.serving.serving_documents import (
    listed_document,
    placement_document,
    rest_document,
    scored_document,
)
from services.recommender.store.crash_safe_counters import CrashSafeCounters
from services.recommender.store.exposures import Shown
from services.recommender.store.servings import Servings
from shared.aws.personalize.recommendation_ids import RecommendationIds

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.placements.candidates import PlacementAnswer
    from services.recommender.serving.placements.shadows import ShadowFacts
    from services.recommender.serving.recommendation import Recommended
    from services.recommender.serving.served_lists import ServedItems
    from services.recommender.serving.targets import Target
    from services.recommender.settings import Settings
    from shared.experiments import Experiment
    from shared.kafka import Publisher

PLACEMENT_SOURCE: Final = "placement/"
"""Before the name of a placement, the source of an id: no campaign has such a name."""


class Expose(Protocol):
    """Takes the exposure of a placement's answer to its visitor."""

    def __call__(
        self, assignment: Assignment, answer: Shown, seconds: float, *, is_fallback: bool = False
    ) -> None:
        """Record an answer, which took some seconds."""


class AnswerRecorder:
    """Makes the ids of answers, and records the answers."""

    def __init__(self, servings: Servings, ids: RecommendationIds, expose: Expose | None = None) -> None:
        """Record with `servings`; `expose` takes the exposure of a placement's answer to its visitor."""
        self.servings = servings
        self._ids = ids
        self._expose = expose
        self.shadow: Callable[[PlacementAnswer, str], None] | None = None
        """Takes the answers that have shadows."""

    @classmethod
    def of(cls, publisher: Publisher, settings: Settings, expose: Expose) -> Self:
        """Return a recorder whose `servings` are published with `publisher`."""
        counters = CrashSafeCounters(settings.state_folder, "servings")
        servings = Servings(publisher, counters, settings.servings_bytes)
        return cls(servings, RecommendationIds(settings.recommendation_key), expose)

    def rest(  # noqa: PLR0917 - facts of an answer
        self,
        tenant: str,
        user_id: str | None,
        target: str,
        rows: Sequence[bytes],
        source: bytes,
        generation: int | None,
        request: Mapping[str, Any],
        variant: ServedVariant | None = None,
        session_id: str | None = None,
        scores: ItemScores | None = None,
    ) -> bytes:
        """Return the id of a REST answer by the lists of a recipe; `rows` are its JSON objects.

        `scores` is the list from which the rows, or the first of them, were selected.
        """
        partition = self.servings.partition(tenant, user_id or session_id or "")
        now = time.time_ns() // 1_000_000
        id_ = self._ids.new(tenant, target, partition, now).encode()
        facts = (id_, now, user_id, target, rows, source, generation, request, variant, session_id, scores)
        self.servings.add(tenant, rest_document, facts)
        return id_

    def scored(
        self,
        target: Target,
        surface: Literal["rest", "runtime"],
        user_id: str | None,
        arn: str,
        recommended: Recommended,
        request: Mapping[str, Any],
        variant: ServedVariant | None = None,
    ) -> str:
        """Return the id of an answer of a campaign, recommender or recipe, which `arn` named."""
        partition = self.servings.partition(target.tenant, user_id or "")
        now = time.time_ns() // 1_000_000
        id_ = self._ids.new(target.tenant, target.name, partition, now)
        facts = (id_, now, target, surface, user_id, arn, recommended, request, variant)
        self.servings.add(target.tenant, scored_document, facts)
        return id_

    def listed(
        self,
        tenant: str,
        surface: Literal["rest", "graphql"],
        user_id: str | None,
        target: str,
        served: ServedItems,
        source: bytes,
        generation: int | None,
        request: Mapping[str, Any],
    ) -> str:
        """Return the id of an answer that is a list of items and scores."""
        partition = self.servings.partition(tenant, user_id or "")
        now = time.time_ns() // 1_000_000
        id_ = self._ids.new(tenant, target, partition, now)
        facts = (id_, now, surface, user_id, target, served, source, generation, request)
        self.servings.add(tenant, listed_document, facts)
        return id_

    def shadow_answer(
        self, answer: PlacementAnswer, experiment: Experiment, variant: str, facts: ShadowFacts
    ) -> None:
        """Record an answer of a variant that nobody sees."""
        request = answer.request
        partition = self.servings.partition(request.tenant, request.subject or "")
        now = time.time_ns() // 1_000_000
        id_ = self._ids.new(request.tenant, PLACEMENT_SOURCE + request.placement, partition, now)
        served = ServedVariant(experiment.name, experiment.version, variant)
        self.servings.add(request.tenant, placement_document, (id_, now, answer, served, "placement", facts))

    def placement(
        self,
        answer: PlacementAnswer,
        surface: Literal["placement", "graphql"] = "placement",
    ) -> str:
        """Return the id of a placement's answer, which exposes its variant."""
        request = answer.request
        tenant = request.tenant
        partition = self.servings.partition(tenant, request.subject or "")
        now = time.time_ns() // 1_000_000
        id_ = self._ids.new(tenant, PLACEMENT_SOURCE + request.placement, partition, now)
        assignment = answer.assignment
        variant = None if assignment is None else assignment.answered
        if variant is not None and answer.picked_by:
            variant = variant._replace(picked_by=answer.picked_by)
        facts = (id_, now, answer, variant, surface)
        self.servings.add(tenant, placement_document, facts)
        if answer.shadows is not None and self.shadow is not None:
            self.shadow(answer, id_)
        if assignment is not None and self._expose is not None:
            shown = Shown(id_, tuple([item.item_id for item in answer.items]))
            self._expose(assignment, shown, answer.seconds, is_fallback=answer.is_fallback)
        return id_
