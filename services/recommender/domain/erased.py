"""Users whose erasure was requested: nothing that is known of them from before may be used or kept."""

from __future__ import annotations

from shared.events import InteractionRecorded, UserErasureRequested


class Erased:
    """The subjects (users and their sessions) of erasures, each with the time up to which it goes."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}
        self._subjects: dict[str, tuple[tuple[str, str], ...]] = {}

    def changed(self, key: str, request: UserErasureRequested | None) -> None:
        """Hear of a request by its key, `tenant:user`; None when its erasure is over."""
        for subject in self._subjects.pop(key, ()):
            self._until.pop(subject, None)
        if request is None:
            return
        subjects = tuple((request.tenant, name) for name in (request.user_id, *request.session_ids))
        self._subjects[key] = subjects
        self._until |= dict.fromkeys(subjects, request.occurred_at.timestamp())

    def name_in_models(self, tenant: str, user_id: str | None) -> str | None:
        """Return the id to look a user up by in what was trained; no model knows the empty id."""
        return "" if user_id is not None and (tenant, user_id) in self._until else user_id

    def kept(self, events: list[InteractionRecorded]) -> list[InteractionRecorded]:
        """Return the events without those of erased subjects that happened before the erasure."""
        if not self._until:
            return events
        return [event for event in events if event.occurred_at.timestamp() > self._until_of(event)]

    def _until_of(self, event: InteractionRecorded) -> float:
        names = (event.user_id, event.session_id)
        return max(self._until.get((event.tenant, name), 0.0) for name in names if name is not None)
