"""Training runs: requested, completed or failed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.events.envelope import Event, Name, Text
from shared.events.values import BucketName, Instant, ObjectKey, RecipeName, Whole

RunKind = Literal["full", "incremental", "vip"]
"""`full` trains and computes all lists; the others compute some lists with the models of a full run."""


class TrainingRequested(Event):
    """A training run is requested. `import_id` names the import whose rows it must include."""

    reason: Text
    import_id: Name | None = None


class BatchCompleted(Event):
    """All lists of a run are in the object store; its manifest was written last.

    `run` is from one sequence for the installation; it is also the generation that the lists become. The
    lists of a kind other than `full` are an overlay of the generation `base`: they replace its lists of the
    same ids. Those of `incremental` join the overlay before, those of `vip` replace it.
    """

    run: Whole
    bucket: BucketName
    manifest: ObjectKey = Field(description="object key of _manifest.json")
    recipes: tuple[RecipeName, ...]
    started_at: Instant
    kind: RunKind = "full"
    base: Whole | None = None


class BatchFailed(Event):
    """A run failed: `step` is where, and `reason` is why."""

    run: Whole
    step: Name
    reason: Text
