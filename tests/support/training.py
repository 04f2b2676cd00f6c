"""The configuration of a training, as a test writes it."""

from __future__ import annotations

from typing import Any

from services.engine.domain.solution_config import TrainingConfig


def training_config(**members: Any) -> TrainingConfig:
    """Return a configuration with these members, named as on the wire."""
    return TrainingConfig.model_validate(members)
