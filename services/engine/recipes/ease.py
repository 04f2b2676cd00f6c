"""Former names of services.engine.training.methods.ease."""

from services.engine.training.methods.ease import DENSE_ITEMS, ease, ease_of_gram, fits

weights = ease
of_gram = ease_of_gram

__all__ = ["DENSE_ITEMS", "fits", "of_gram", "weights"]
