"""The job of a source's run, claimed, whose reports stay in memory."""

from __future__ import annotations

from typing import Any

from shared.jobs import Job
from tests.integration.sync.shop import Shop


class Run(Job):
    """A job without a row."""

    async def report(self, **progress: Any) -> None:
        """Merge the progress."""
        self.progress |= progress


def a_run(shop: Shop, source_id: str, *, full: bool = False, progress: dict[str, Any] | None = None) -> Run:
    """Return the job of a run; `progress` is that of an earlier attempt, and is changed."""
    payload = {"source_id": source_id, "full": full}
    return Run(1, "pull", "k", payload, 1, {} if progress is None else progress, "test", shop.pool)
