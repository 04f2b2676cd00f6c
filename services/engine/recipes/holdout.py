"""Former module of services.engine.training.dataset.split."""

from services.engine.training.dataset.split import *  # noqa: F403
