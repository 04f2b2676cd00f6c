"""Former module of services.engine.training.methods.rp3beta."""

from services.engine.training.methods.rp3beta import *  # noqa: F403
