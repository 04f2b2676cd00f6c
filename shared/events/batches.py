"""A training run: asked for, done, or failed."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from shared.events.envelope import Event, Name, Text


class TrainingRequested(Event):
    """Somebody or something wants a run. `import_id` names the import whose rows it must see."""

    reason: Text
    import_id: Name | None = None


class BatchCompleted(Event):
    """A run's lists lie whole in the object store; its manifest was written last.

    `run` comes from one sequence for the installation and is the generation that the lists become.
    """

    run: int = Field(ge=1)
    bucket: Name
    manifest: Text = Field(description="object key of _manifest.json")
    recipes: tuple[Name, ...]
    started_at: AwareDatetime


class BatchFailed(Event):
    """A run ended without lists; `step` and `reason` say where and why."""

    run: int = Field(ge=1)
    step: Name
    reason: Text
