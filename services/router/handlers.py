"""What the worker counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.router.metrics import OUTCOMES
from services.router.store.erasures import Erasures
from services.router.store.experiments import Correction, Counting
from services.router.store.running import Running
from shared.events import InteractionRecorded, UserErasureRequested, VariantExposed
from shared.kafka import Tombstone

# Whoever was shown something has not done anything yet.
_NO_OUTCOME = frozenset({"impression", "exposure"})


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
        """Keep the events of whoever has a variant.

        Whether they were exposed before is asked when results are read: the exposure may come later than
        what followed it. A correction takes the claim back first, so that the event itself counts.
        """
        corrections = [event for event in events if event.replaces is not None]
        current = [
            event
            for event in events
            if not event.historical and event.event_type not in _NO_OUTCOME and event.replaces is None
        ]
        if not current and not corrections:
            return
        await self.running.as_of(max(event.received_at for event in (*current, *corrections)))
        await self._record(current)
        if corrections:
            await self.counting.correct(list(_corrected(corrections)))
            await self._record([event for event in corrections if not event.historical])

    async def _record(self, events: Sequence[InteractionRecorded]) -> None:
        rows = [
            (
                event.tenant,
                experiment.name,
                experiment.version,
                event.event_id,
                unit,
                event.event_type,
                event.value,
                event.occurred_at,
            )
            for event in events
            for experiment in self.running.counting(event.tenant, event.occurred_at)
            for unit in {event.user_id, event.session_id} - {None}
            if unit is not None and experiment.assign(unit) is not None
        ]
        await self.counting.record(rows)
        OUTCOMES.inc(len(rows))


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
                event.event_type,
                event.value,
                event.occurred_at,
            )
