"""What the worker counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.router.metrics import OUTCOMES
from services.router.store.experiments import Counting
from services.router.store.running import Running
from shared.events import InteractionRecorded, VariantExposed

# Whoever was shown something has not done anything yet.
_NO_OUTCOME = frozenset({"impression", "exposure"})


@dataclass(frozen=True, slots=True)
class Handlers:
    """Keeps exposures, and what units did while an experiment ran that they may be part of."""

    counting: Counting
    running: Running

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
        what followed it.
        """
        current = [event for event in events if not event.historical and event.event_type not in _NO_OUTCOME]
        if not current:
            return
        await self.running.as_of(max(event.received_at for event in current))
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
            for event in current
            for experiment in self.running.counting(event.tenant, event.occurred_at)
            for unit in {event.user_id, event.session_id} - {None}
            if unit is not None and experiment.assign(unit) is not None
        ]
        await self.counting.record(rows)
        OUTCOMES.inc(len(rows))
