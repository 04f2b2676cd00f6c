"""What the worker counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.router.metrics import OUTCOMES
from services.router.store.counting import Correction, Counting, RecordedOutcome, Tie
from services.router.store.erasures import Erasures
from services.router.store.running import Running
from shared.events import InteractionRecorded, UserErasureRequested, VariantExposed
from shared.kafka import Tombstone

if TYPE_CHECKING:
    from services.router.domain.experiments import Experiment

# Whoever was shown something, or logged in, has not done anything yet.
_NO_OUTCOME = frozenset({"impression", "exposure", "identify", "alias"})


@dataclass(frozen=True, slots=True)
class Handlers:
    """Keeps exposures, and what units did while an experiment ran that they may be part of."""

    counting: Counting
    running: Running
    erasures: Erasures

    async def erasures_requested(self, events: Sequence[UserErasureRequested | Tombstone]) -> None:
        """Erase users. The end of an erasure changes nothing: old records may still come for a while."""
        for event in events:
            if not isinstance(event, Tombstone):
                await self.erasures.erase(event)

    async def variants_exposed(self, events: Sequence[VariantExposed]) -> None:
        """Count each unit once."""
        await self.counting.expose(
            [
                (
                    event.tenant,
                    event.experiment,
                    event.experiment_version,
                    event.unit,
                    event.variant,
                    event.occurred_at,
                )
                for event in events
            ]
        )

    async def interactions_recorded(self, events: Sequence[InteractionRecorded]) -> None:
        """Keep the events of users and sessions that have a variant, and who logged in to which session.

        Results are joined when they are read, because an exposure may arrive after what followed it. A
        correction takes the claim back first, so that the event itself counts.
        """
        if not events:
            return
        await self.running.as_of(max(event.received_at for event in events))
        await self.counting.tie(list(self._ties(events)))
        corrections = [event for event in events if event.replaces is not None]
        await self._record([event for event in events if event.replaces is None])
        if corrections:
            await self.counting.correct(list(_corrected(corrections)))
            await self._record(corrections)

    def _ties(self, events: Sequence[InteractionRecorded]) -> Iterator[Tie]:
        """Yield the logins among events of tenants with an experiment."""
        for event in events:
            user, session = event.user_id, event.session_id
            if user is None or session is None or user == session or event.replaces is not None:
                continue
            experiments = self.running.of_tenant(event.tenant)
            if experiments:
                takes_part = any(each.takes_part(user) or each.takes_part(session) for each in experiments)
                yield Tie(event.tenant, session, user, event.occurred_at, takes_part)

    async def _record(self, events: Sequence[InteractionRecorded]) -> None:
        """Record each event once per experiment, under its user, else its session."""
        outcomes: list[RecordedOutcome] = []
        others: list[tuple[InteractionRecorded, Experiment]] = []
        for event in events:
            if event.historical or event.event_type in _NO_OUTCOME:
                continue
            for experiment in self.running.counting(event.tenant, event.occurred_at):
                if any(experiment.takes_part(unit) for unit in (event.user_id, event.session_id) if unit):
                    outcomes.append(_outcome(event, experiment))
                else:
                    others.append((event, experiment))
        if others:
            # Another session of the same user may take part.
            tied = await self.counting.tied([event for event, _ in others])
            outcomes += [_outcome(*others[index]) for index in sorted(tied)]
        await self.counting.record(outcomes)
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
        event.occurred_at,
    )


def _corrected(events: Sequence[InteractionRecorded]) -> Iterator[Correction]:
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
                event.occurred_at,
            )
