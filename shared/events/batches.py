"""Training runs: requested, completed or failed."""

from __future__ import annotations

from pydantic import Field

from shared.events.envelope import Event, Name, Text
from shared.events.values import BucketName, Instant, ObjectKey, RecipeName, Whole


class TrainingRequested(Event):
    """A training run is requested. `import_id` names the import whose rows it must include."""

    reason: Text
    import_id: Name | None = None


class BatchCompleted(Event):
    """All lists of a run are in the object store; its manifest was written last.

    `run` is from one sequence for the installation; it is also the generation that the lists become.
    """

    run: Whole
    bucket: BucketName
    manifest: ObjectKey = Field(description="object key of _manifest.json")
    recipes: tuple[RecipeName, ...]
    started_at: Instant


class BatchFailed(Event):
    """A run failed: `step` is where, and `reason` is why."""

    run: Whole
    step: Name
    reason: Text
