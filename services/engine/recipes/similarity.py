"""Former names of services.engine.training.methods.item_cosine."""

from services.engine.training.methods.item_cosine import item_cosine

similar = item_cosine
