"""Former names of services.engine.training.dataset.split."""

from services.engine.training.dataset.split import Holdout, eligible, hold_out

__all__ = ["Holdout", "eligible", "hold_out"]
