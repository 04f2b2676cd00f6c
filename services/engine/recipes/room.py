"""Former module of services.engine.training.dataset.columns."""

from services.engine.training.dataset.columns import *  # noqa: F403
