"""A page of a source's answers, and where a run continues behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from services.sync.store.pulls import Pulled


@dataclass(frozen=True, slots=True)
class Page:
    """Objects of a list, and the progress of the run once they are stored."""

    topic: str
    objects: list[Pulled]
    progress: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Days:
    """The days of a run, both included, and what an earlier attempt of it has stored."""

    first: date
    last: date
    progress: dict[str, Any] = field(default_factory=dict)

    def begin_of(self, name: str) -> date:
        """Return the day on which a list continues."""
        text = self.progress.get(name)
        return max(self.first, date.fromisoformat(text)) if text else self.first
