"""Replays: logged answers of an experiment, beside what a definition would answer to the same requests.

An item's propensity is the probability with which the visitor got an answer that has it: the sum of the
propensities of the variants whose answers have it. The answers of the variants that were not shown are made
now, for the visitor's events up to the logged answer.

See docs/experiments.md.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from services.recommender.serving.placements.previews import CONCURRENT_REQUESTS, request_of
from services.recommender.store.placements import DefinedPlacement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.serving.placements.variants import PlacementVariants
    from services.recommender.store.erasures import ErasedServings
    from services.recommender.store.serving_log import ServingLog
    from shared.events.placements import Placement
    from shared.events.servings import Serving
    from shared.experiments import Experiment


class Replay(NamedTuple):
    """A logged answer, the items that the definition would show, and the propensities of all of these."""

    serving: Serving
    target_ids: Sequence[str]
    propensities: Mapping[str, float]
    """Items that no variant shows have none."""


class Replays:
    """Replays the logged answers of experiments on placements."""

    def __init__(
        self,
        engine: PlacementEngine,
        variants: PlacementVariants,
        servings: ServingLog,
        erased: ErasedServings,
    ) -> None:
        self._engine = engine
        self._variants = variants
        self._servings = servings
        self._erased = erased

    async def of(
        self, experiment: Experiment, named: DefinedPlacement, changed: Placement, count: int
    ) -> list[Replay]:
        """Return the replays of the last `count` answers of a placement that the experiment's version gave.

        Raise Transient without Kafka or Redis.
        """
        servings = [
            serving
            for serving in await self._servings.recent(experiment.tenant, named.name, count)
            if (serving.experiment, serving.experiment_version) == (experiment.name, experiment.version)
            and serving.propensity is not None
            and not await self._erased.contains(experiment.tenant, serving)
        ]
        definitions = {
            variant.name: DefinedPlacement(named.name, self._variants.definition(named.placement, variant))
            for variant in experiment.variants
        }
        target = DefinedPlacement(named.name, changed)
        turns = asyncio.Semaphore(CONCURRENT_REQUESTS)

        async def replayed(serving: Serving) -> Replay:
            async with turns:
                return await self._replay(experiment, definitions, target, serving)

        try:
            return await asyncio.gather(*map(replayed, servings))
        finally:
            self._engine.forget(experiment.tenant, changed)

    async def _replay(
        self,
        experiment: Experiment,
        definitions: Mapping[str, DefinedPlacement],
        target: DefinedPlacement,
        serving: Serving,
    ) -> Replay:
        request = request_of(experiment.tenant, target.name, serving)
        hidden = [name for name in definitions if name != serving.variant]
        answers = await self._engine.replay(
            request, [target, *(definitions[name] for name in hidden)], serving.served_at.timestamp()
        )
        ids = [[item.item_id for item in answer.items] for answer in answers]
        lists = dict(zip(hidden, ids[1:], strict=True)) | {serving.variant: serving.item_ids}
        propensities: dict[str, float] = {}
        for variant in experiment.variants:
            share = experiment.propensity(variant) or 0.0
            for item_id in set(lists.get(variant.name, ())):
                propensities[item_id] = propensities.get(item_id, 0.0) + share
        items = {*serving.item_ids, *ids[0]}
        return Replay(
            serving, ids[0], {item_id: p for item_id, p in propensities.items() if item_id in items}
        )
