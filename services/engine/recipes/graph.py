"""Former names of services.engine.training.methods.rp3beta."""

from services.engine.training.methods.rp3beta import rp3beta

walks = rp3beta
