"""Former module of services.engine.training.methods.ease."""

from services.engine.training.methods.ease import *  # noqa: F403
