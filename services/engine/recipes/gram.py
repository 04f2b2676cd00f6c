"""Former module of services.engine.training.methods.gram."""

from services.engine.training.methods.gram import *  # noqa: F403
