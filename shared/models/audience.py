"""The number of scored events under its former module, for modules that are still to be revised."""

from shared.models.user_scorer import HISTORY

__all__ = ["HISTORY"]
