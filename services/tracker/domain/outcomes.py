"""The outcome of one record of a request: an interaction, several of them, ignored or rejected."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from shared.events import InteractionRecorded


@dataclass(frozen=True, slots=True)
class AcceptedCall:
    """The events of a call that became several. `id` is the sender's id, else that of the first event."""

    id: str
    events: tuple[InteractionRecorded, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A valid record that is not stored; `reason` is a sentence for people."""

    reason: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An invalid record; `reason` is a sentence for people."""

    reason: str
    id: str | None = None


Outcome = InteractionRecorded | AcceptedCall | Ignored | Rejected


def validation_message(error: ValidationError) -> str:
    """Return the first three problems of a record, each with the name of its field."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems[:3])
