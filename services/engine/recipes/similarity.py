"""Former module of services.engine.training.methods.item_cosine."""

from services.engine.training.methods.item_cosine import *  # noqa: F403
