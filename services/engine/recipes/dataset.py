"""Former names of services.engine.training.dataset.dataset."""

from services.engine.training.dataset.dataset import Dataset

__all__ = ["Dataset"]
