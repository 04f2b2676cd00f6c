"""A training run: asked for, done, or failed."""

from __future__ import annotations

from pydantic import Field

from shared.events.envelope import Event, Name, Text
from shared.events.values import BucketName, Instant, ObjectKey, RecipeName, Whole


class TrainingRequested(Event):
    """Somebody or something wants a run. `import_id` names the import whose rows it must see."""

    reason: Text
    import_id: Name | None = None


class BatchCompleted(Event):
    """A run's lists lie whole in the object store; its manifest was written last.

    `run` comes from one sequence for the installation and is the generation that the lists become.
    """

    run: Whole
    bucket: BucketName
    manifest: ObjectKey = Field(description="object key of _manifest.json")
    recipes: tuple[RecipeName, ...]
    started_at: Instant


class BatchFailed(Event):
    """A run ended without lists; `step` and `reason` say where and why."""

    run: Whole
    step: Name
    reason: Text
