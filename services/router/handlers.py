"""Record exposures, outcomes and logins, and erase users: the handlers of the worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.router.domain.attribution import is_answered_by
from services.router.metrics import OUTCOMES
from services.router.store.erasures import Erasures
from services.router.store.interleaved_answers import InterleavedAnswers
from services.router.store.outcomes import Correction, Login, OutcomeStore, RecordedOutcome
from services.router.store.running_experiments import RunningExperiments
from services.router.store.shadows import ShadowStore
from services.router.store.windows import WindowStore
from shared.events import InteractionRecorded, UserErasureRequested, VariantExposed
from shared.events.servings import RecommendationServed
from shared.kafka import Tombstone

if TYPE_CHECKING:
    from shared.experiments import Experiment

# They say that a unit was shown something or logged in, not that it did anything: they are many, so they are
# recorded only for metrics that name them.
_NO_OUTCOME = frozenset({"impression", "exposure", "identify", "alias"})


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers of exposures-v1, servings-v1, interactions-v1 and erasures-v1."""

    outcomes: OutcomeStore
    running: RunningExperiments
    erasures: Erasures
    interleaved: InterleavedAnswers
    windows: WindowStore
    shadows: ShadowStore

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Erase users. Tombstones, which end an erasure, change nothing: old records may still arrive."""
        for event in events:
            if not isinstance(event, Tombstone):
                await self.erasures.erase(event)

    async def variants_exposed(self, events: Sequence[VariantExposed]) -> None:
        """Record which unit was exposed to which variant, and in which window of a switchback."""
        await self.windows.record([event for event in events if event.window is not None])
        await self.outcomes.record_exposures([event for event in events if event.window is None])

    async def recommendations_served(self, events: Sequence[RecommendationServed]) -> None:
        """Record which variant picked each item of interleaved answers, and what nobody saw."""
        await self.shadows.record(
            [(event.tenant, each) for event in events for each in event.servings if each.shadow is not None]
        )
        await self.interleaved.record(
            [(event.tenant, serving) for event in events for serving in event.servings if serving.picked_by]
        )

    async def interactions_recorded(self, events: Sequence[InteractionRecorded]) -> None:
        """Record the events of users and sessions that have a variant, and their logins.

        Results join them with exposures when they are read, because an exposure may arrive after an event
        that follows it. A correction first corrects the outcome that it replaces, and is then recorded
        itself. Withheld events count for no variant.
        """
        events = [event for event in events if event.withheld is None]
        if not events:
            return
        await self.running.read_after(max(event.received_at for event in events))
        await self.outcomes.record_logins(list(self._logins(events)))
        corrections = [event for event in events if event.replaces is not None]
        await self._record([event for event in events if event.replaces is None])
        if corrections:
            await self.outcomes.correct(list(_corrections(corrections)))
            await self._record(corrections)

    def _logins(self, events: Sequence[InteractionRecorded]) -> Iterator[Login]:
        """Yield the logins among the events of tenants that have an experiment."""
        for event in events:
            user, session = event.user_id, event.session_id
            if user is None or session is None or user == session or event.replaces is not None:
                continue
            experiments = self.running.of_tenant(event.tenant)
            if experiments:
                takes_part = any(each.takes_part(user) or each.takes_part(session) for each in experiments)
                yield Login(event.tenant, session, user, event.happened_by, takes_part)

    async def _record(self, events: Sequence[InteractionRecorded]) -> None:
        """Record each event once per experiment, under its user, else its session."""
        outcomes: list[RecordedOutcome] = []
        not_in_experiment: list[tuple[InteractionRecorded, Experiment]] = []
        for event in events:
            if event.historical:
                continue
            for experiment in self.running.running_at(event.tenant, event.happened_by):
                if event.event_type in _NO_OUTCOME and event.event_type not in experiment.counted_types:
                    continue
                if any(experiment.takes_part(unit) for unit in (event.user_id, event.session_id) if unit):
                    outcomes.append(_outcome(event, experiment))
                else:
                    not_in_experiment.append((event, experiment))
        if not_in_experiment:
            # Another session of the same user may take part.
            indices = await self.outcomes.with_login([event for event, _ in not_in_experiment])
            outcomes += [_outcome(*not_in_experiment[index]) for index in sorted(indices)]
        await self.outcomes.record(outcomes)
        OUTCOMES.inc(len(outcomes))


def _outcome(event: InteractionRecorded, experiment: Experiment) -> RecordedOutcome:
    return RecordedOutcome(
        event.tenant,
        experiment.name,
        experiment.version,
        event.event_id,
        event.subject,
        event.session_id if event.user_id is not None else None,
        event.event_type,
        event.value,
        event.happened_by,
        event.order_id,
        is_answered_by(event.recommendation_id, experiment),
        event.item_id if experiment.is_interleaved else None,
        event.recommendation_id if experiment.is_interleaved else None,
    )


def _corrections(events: Sequence[InteractionRecorded]) -> Iterator[Correction]:
    for event in events:
        claim = event.replaces
        units = set() if claim is None else {claim.user_id, claim.session_id} - {None}
        for unit in units:
            yield Correction(
                event.tenant,
                event.event_id,
                unit or "",
                unit in {event.user_id, event.session_id},
                event.session_id,
                event.event_type,
                event.value,
                event.happened_by,
            )
