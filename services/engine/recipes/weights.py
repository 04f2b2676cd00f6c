"""Former module of services.engine.training.dataset.event_weights."""

from services.engine.training.dataset.event_weights import *  # noqa: F403
