"""Experiments on placements: the definition by which the variant of a visitor answers.

See docs/decisions/0033-experiments.
"""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from services.recommender.domain.recipes import split_generation
from services.recommender.metrics import SET_ASIDE
from services.recommender.serving.placements.interleaving import VariantPlacement
from services.recommender.serving.placements.shadows import Shadows
from services.recommender.store.placements import DefinedPlacement
from shared.aws import Arn
from shared.events.placements import StrategyName, StrategyUse
from shared.experiments import Shadow, placement_surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.experiments import Experiments
    from services.recommender.serving.placements.request import PlacementRequest
    from services.recommender.store.campaigns import Campaigns
    from services.recommender.store.filters import Filters
    from services.recommender.store.stored_generations import StoredGenerations
    from shared.events.placements import Placement
    from shared.experiments import Variant

MAX_REMEMBERED: Final = 1_000
"""Definitions of variants that are remembered, so that their rules are prepared once. Arbitrary."""

_NEED_AN_ARGUMENT: Final = {"campaign", "recipe", "fixed"}
_STRATEGIES: Final = frozenset(get_args(StrategyName)) - _NEED_AN_ARGUMENT


class Choice(NamedTuple):
    """The placement that answers, by the variant of the visitor; `all_variants` if several of them answer."""

    named: DefinedPlacement
    assignment: Assignment | None = None
    all_variants: Sequence[VariantPlacement] = ()
    shadows: Shadows | None = None
    """The variants that answer as well, unseen."""

    @property
    def placements(self) -> list[DefinedPlacement]:
        """Return all placements that are answered."""
        return [each.named for each in self.all_variants] if self.all_variants else [self.named]


class PlacementVariants:
    """Chooses the definition of a placement for a visitor."""

    def __init__(
        self, experiments: Experiments, campaigns: Campaigns, filters: Filters, generations: StoredGenerations
    ) -> None:
        self._experiments = experiments
        self._campaigns = campaigns
        self._filters = filters
        self._generations = generations
        # The entries hold the definitions, so that no other one gets their identity.
        self._definitions: dict[tuple[int, int], tuple[Placement, Variant, Placement]] = {}

    async def choose(self, named: DefinedPlacement, request: PlacementRequest) -> Choice:
        """Return the placement as the visitor's variant defines it, with the variant.

        Without a user and a session, outside the traffic, or if the variant names a campaign or a filter
        that does not exist, it is the placement as it is.
        """
        if request.subject is None or not self._experiments.may_run(request.tenant):
            return Choice(named)
        await self._experiments.read()
        assignment = self._experiments.assign(
            request.tenant, placement_surface(named.name), request.user_id, request.session_id
        )
        if assignment is None:
            return Choice(named)
        if assignment.experiment.is_shadow:
            return await self._shadowed(named, assignment)
        if assignment.is_interleaved:
            variants = await self._all_variants(named, assignment)
            return Choice(named, assignment, variants) if variants else Choice(named)
        return await self._by_variant(named, assignment)

    async def _by_variant(self, named: DefinedPlacement, assignment: Assignment) -> Choice:
        definition = self.definition(named.placement, assignment.variant)
        shadows = await self._unseen(named, assignment) if assignment.is_compared else None
        if definition is named.placement:
            return Choice(named, assignment, shadows=shadows)
        if not await self._can_answer(assignment.experiment.tenant, assignment.variant, definition):
            SET_ASIDE.labels(assignment.experiment.name, assignment.variant.name).inc()
            return Choice(named)
        return Choice(DefinedPlacement(named.name, definition, named.revision), assignment, shadows=shadows)

    async def _shadowed(self, named: DefinedPlacement, assignment: Assignment) -> Choice:
        """Return the usual answer, with the other variants for a share of the requests."""
        design = assignment.experiment.design
        if not isinstance(design, Shadow) or random() >= design.share:  # noqa: S311 - a sample
            return Choice(named)
        return Choice(named, shadows=await self._unseen(named, assignment))

    async def _unseen(self, named: DefinedPlacement, assignment: Assignment) -> Shadows | None:
        """Return the variants that can answer beside that of an assignment; None if there is none."""
        experiment = assignment.experiment
        variants = [
            VariantPlacement(variant.name, DefinedPlacement(named.name, definition, named.revision))
            for variant in experiment.enabled
            if variant.name != assignment.variant.name
            and await self._can_answer(
                experiment.tenant, variant, definition := self.definition(named.placement, variant)
            )
        ]
        return Shadows(experiment, variants) if variants else None

    async def _all_variants(
        self, named: DefinedPlacement, assignment: Assignment
    ) -> Sequence[VariantPlacement]:
        """Return the definitions of all variants; none if one of them can't answer: it would always lose."""
        variants = []
        for variant in assignment.experiment.enabled:
            definition = self.definition(named.placement, variant)
            if definition is not named.placement and not await self._can_answer(
                assignment.experiment.tenant, variant, definition
            ):
                SET_ASIDE.labels(assignment.experiment.name, variant.name).inc()
                return ()
            variants.append(
                VariantPlacement(variant.name, DefinedPlacement(named.name, definition, named.revision))
            )
        return variants

    def definition(self, placement: Placement, variant: Variant) -> Placement:
        """Return the definition of a placement by a variant, the same object each time."""
        key = id(placement), id(variant)
        known = self._definitions.get(key)
        if known is not None:
            return known[2]
        if len(self._definitions) >= MAX_REMEMBERED:
            self._definitions.clear()
        definition = variant_definition(placement, variant)
        self._definitions[key] = placement, variant, definition
        return definition

    async def _can_answer(self, tenant: str, variant: Variant, definition: Placement) -> bool:
        """Return whether the campaigns, the filters and the generation that the variant names are known."""
        if variant.strategy is not None:
            _, generation = split_generation(variant.strategy)
            if generation is not None and not await self._generations.has(tenant, generation):
                return False
        filters = [variant.filter] if variant.filter is not None else []
        if variant.placement is not None:
            filters += variant.placement.filters
        campaigns = {use.campaign for use in definition.strategies if use.campaign is not None}
        return all(self._filters.known(tenant, use.name) is not None for use in filters) and all(
            self._campaigns.known(tenant, None, name) is not None for name in campaigns
        )


def variant_definition(placement: Placement, variant: Variant) -> Placement:
    """Return the definition of a placement by a variant: the same object if the variant changes nothing.

    A `placement` replaces the definition, a `strategy` its chain, and a `filter` is added to its filters.
    """
    changes: dict[str, object] = {}
    definition = variant.placement or placement
    if variant.strategy is not None:
        changes["strategies"] = (_strategy_use(variant.strategy),)
    if variant.filter is not None:
        changes["filters"] = (*definition.filters, variant.filter)
    return definition.model_copy(update=changes) if changes else definition


def _strategy_use(strategy: str) -> StrategyUse:
    """Return the strategy that a variant names: one of placements, a campaign's ARN, or a recipe."""
    if strategy.startswith("arn:"):
        return StrategyUse(strategy="campaign", campaign=Arn.parse(strategy, "campaign").name)
    if strategy in _STRATEGIES:
        return StrategyUse.model_validate({"strategy": strategy})
    # Definitions of placements name no generation, so the name may not be one that they take.
    return StrategyUse(strategy="recipe").model_copy(update={"recipe": strategy})
