"""Former names of services.engine.training.dataset.event_weights."""

from services.engine.training.dataset.event_weights import (
    EVEN,
    GRADED,
    TypeWeights,
    configured_weights,
    counted_interactions,
    model_event_types,
    weights_of,
)

configured = configured_weights
counted = counted_interactions
known_types = model_event_types
numbered = weights_of

__all__ = ["EVEN", "GRADED", "TypeWeights", "configured", "counted", "known_types", "numbered"]
