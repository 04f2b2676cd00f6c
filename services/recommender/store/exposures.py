"""Exposures before they are published: what they contain, their ids, and their events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import orjson

from shared.events import VariantExposed, derived_id

if TYPE_CHECKING:
    from shared.experiments import Experiment


class Shown(NamedTuple):
    """The content of an answer that an exposure names."""

    recommendation_id: str | None
    item_ids: tuple[str, ...]


NOTHING_SHOWN = Shown(None, ())
"""For an exposure that no answer belongs to, such as that to a holdout."""


class AnswerFacts(NamedTuple):
    """Facts of an answer: its time, whether the variant's own strategy had no items, and for whom."""

    milliseconds: float | None = None
    fallback: bool | None = None
    device: str | None = None


class Exposure(NamedTuple):
    """An answer that a unit got by a variant; the event is made of it later, when a REST body is parsed."""

    event_id: str
    tenant: str
    experiment: str
    version: int
    surface: str
    variant: str
    propensity: float | None
    window: int | None
    """The window of a switchback."""
    unit: str
    at: float
    """Seconds since 1970."""
    differs: bool
    """True for a mark that the answers of the variants differ."""
    facts: AnswerFacts
    answer: bytes | Shown

    def content(self) -> bytes:
        """Return what the journal keeps; nothing for an exposure that makes no event."""
        answer = self.answer.decode() if isinstance(self.answer, bytes) else list(self.answer)
        try:
            return orjson.dumps((*self[:-2], *self.facts, answer))
        except TypeError:
            return b""

    @classmethod
    def of_content(cls, content: bytes) -> Exposure:
        """Return the exposure that the journal kept; raise ValueError or TypeError for a faulty one."""
        *fields, answer = orjson.loads(content)
        event_id, tenant, experiment, version, surface, variant, propensity, window, unit, at, *more = fields
        differs, *facts = more or [False]  # an earlier release wrote neither mark nor facts
        return cls(
            event_id,
            tenant,
            experiment,
            version,
            surface,
            variant,
            propensity,
            window,
            unit,
            at,
            differs,
            AnswerFacts(*facts),
            answer.encode() if isinstance(answer, str) else Shown(answer[0], tuple(answer[1])),
        )

    def event(self) -> VariantExposed:
        """Return the event; raise an error for an answer that has other contents than a REST body."""
        shown = shown_in(self.answer) if isinstance(self.answer, bytes) else self.answer
        return VariantExposed(
            event_id=self.event_id,
            tenant=self.tenant,
            occurred_at=datetime.fromtimestamp(self.at, UTC),
            experiment=self.experiment,
            experiment_version=self.version,
            variant=self.variant,
            unit=self.unit,
            surface=self.surface,
            propensity=self.propensity,
            window=self.window,
            recommendation_id=shown.recommendation_id,
            item_ids=shown.item_ids,
            differs=self.differs,
            milliseconds=self.facts.milliseconds,
            fallback=self.facts.fallback,
            device=self.facts.device,
        )


def exposure_id(experiment: Experiment, unit: str, at: datetime, *, differs: bool = False) -> str:
    """Return an id that is the same for a unit, a version and a UTC day, or the window of a switchback.

    The mark that answers differ has another id than the exposure of its day.
    """
    window = experiment.window(at.timestamp())
    if window is not None:
        return derived_id(experiment.tenant, experiment.name, experiment.version, unit, "window", window)
    day = at.astimezone(UTC).date().isoformat()
    kind = ("differs",) if differs else ()
    return derived_id(experiment.tenant, experiment.name, experiment.version, unit, day, *kind)


def shown_in(body: bytes) -> Shown:
    """Return the content of a REST answer."""
    answer = orjson.loads(body)
    item_ids = tuple(item["product_id"] for item in answer["recommendations"])
    return Shown(answer.get("recommendation_id"), item_ids)
