"""Former module of services.engine.training.methods.transitions."""

from services.engine.training.methods.transitions import *  # noqa: F403
