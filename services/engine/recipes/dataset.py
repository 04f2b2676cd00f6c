"""Former module of services.engine.training.dataset.dataset."""

from services.engine.training.dataset.dataset import *  # noqa: F403
