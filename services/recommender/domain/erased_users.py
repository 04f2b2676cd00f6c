"""Users whose erasure was requested: data from before the request is neither used nor stored."""

from __future__ import annotations

from collections.abc import Sequence

from shared.events import InteractionRecorded, UserErasureRequested


class ErasedUsers:
    """The subjects (users and their sessions) of erasures in progress, with the time of each request."""

    def __init__(self) -> None:
        self._requested_at: dict[tuple[str, str], float] = {}
        self._subjects: dict[str, tuple[tuple[str, str], ...]] = {}

    def apply(self, key: str, request: UserErasureRequested | None) -> None:
        """Apply a record of erasures-v1; its key is `tenant:user`, and None ends the erasure."""
        for subject in self._subjects.pop(key, ()):
            self._requested_at.pop(subject, None)
        if request is None:
            return
        subjects = tuple((request.tenant, name) for name in (request.user_id, *request.session_ids))
        self._subjects[key] = subjects
        self._requested_at |= dict.fromkeys(subjects, request.occurred_at.timestamp())

    def model_user_id(self, tenant: str, user_id: str | None) -> str | None:
        """Return the id to look a user up by in a model: "", which no model has, while they are erased."""
        return "" if user_id is not None and (tenant, user_id) in self._requested_at else user_id

    def erased_until(self, tenant: str, subjects: Sequence[str]) -> float:
        """Return the latest request of an erasure in progress, in seconds since 1970; 0 without one."""
        return max((self._requested_at.get((tenant, subject), 0.0) for subject in subjects), default=0.0)

    def without_erased(self, events: list[InteractionRecorded]) -> list[InteractionRecorded]:
        """Return the events without those of erased subjects from before the request."""
        if not self._requested_at:
            return events
        return [
            event
            for event in events
            if event.happened_by.timestamp() > self.erased_until(event.tenant, subjects_of(event))
        ]


def subjects_of(event: InteractionRecorded) -> list[str]:
    """Return the user and the session that an event names."""
    return [subject for subject in (event.user_id, event.session_id) if subject is not None]
