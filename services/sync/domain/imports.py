"""The state of an import: rows read, accepted, rejected and duplicate, and where to continue."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from services.sync.domain.limits import Limits
from services.sync.domain.mapping import Kind, Mapping

Status = Literal["queued", "running", "done", "failed"]
Step = Literal["read", "orders", "items", "users", "finish"]

_PROGRESS = {"orders": 0.35, "items": 0.9, "users": 0.95, "finish": 0.99}
"""Progress at the start of each step. Measured on order files, and rounded."""


class Reject(NamedTuple):
    """A rejected row: its line in the file, the code and sentence of the reason, and the raw row."""

    line: int
    code: str
    reason: str
    raw: str

    @property
    def size(self) -> int:
        """Return the size of the stored texts in UTF-8, in bytes."""
        return len(self.reason.encode()) + len(self.raw.encode())


class RejectCapacity(NamedTuple):
    """The numbers of rejected rows, and of their bytes, that may still be stored for an import."""

    rows: int
    bytes: int


@dataclass(slots=True)
class Import:
    """The state of an import. `version` is for optimistic locking: an update names the version it has read.

    `position` is where the current step continues: a line of the file, or the id of an order, item or user.
    """

    id: str
    tenant: str
    kind: Kind
    filename: str
    origin: str
    bucket: str
    object_key: str
    etag: str | None
    size: int
    said_at: datetime
    mapping: dict[str, Any] | None = None
    source: str | None = None
    encoding: str | None = None
    header: str | None = None
    """The header of the file as a line of CSV with its separator."""
    status: Status = "queued"
    step: Step = "read"
    position: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    bytes_read: int = 0
    rows_read: int = 0
    rows_staged: int = 0
    rows_accepted: int = 0
    rows_duplicate: int = 0
    rows_rejected: int = 0
    rejects_kept: int = 0
    reject_bytes: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    shortened: dict[str, int] = field(default_factory=dict)
    """Number of shortened cells, by column."""
    changes: dict[str, int] = field(default_factory=dict)
    last_seq: int | None = None
    error: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    rejects_deleted_at: datetime | None = None

    def copy(self) -> Import:
        """Return a copy to change; use it in place of this one once its transaction has committed."""
        return copy.deepcopy(self)

    def count_rejected(self, codes: Iterable[str]) -> None:
        """Count rejected rows by their codes."""
        for code in codes:
            self.rows_rejected += 1
            self.reasons[code] = self.reasons.get(code, 0) + 1

    def add_rejects(self, rejects: Sequence[Reject], limits: Limits) -> list[Reject]:
        """Count rejected rows, and return the first ones, which are stored for the report."""
        self.count_rejected(reject.code for reject in rejects)
        kept: list[Reject] = []
        for reject in rejects[: self.reject_capacity(limits).rows]:
            if self.reject_bytes + reject.size > limits.max_kept_reject_bytes:
                self.reject_bytes = limits.max_kept_reject_bytes  # No later row is kept, however short.
                break
            kept.append(reject)
            self.rejects_kept += 1
            self.reject_bytes += reject.size
        return kept

    def reject_capacity(self, limits: Limits) -> RejectCapacity:
        """Return how many rejected rows may still be stored."""
        return RejectCapacity(
            max(0, limits.max_kept_rejects - self.rejects_kept),
            max(0, limits.max_kept_reject_bytes - self.reject_bytes),
        )

    def count_changes(self, **counts: int) -> None:
        """Add to the numbers of changed orders, items, users and so on."""
        for name, count in counts.items():
            if count:
                self.changes[name] = self.changes.get(name, 0) + count

    def count_shortened(self, columns: Counter[str]) -> None:
        """Add the shortened cells by column, and empty the counter."""
        for column, count in columns.items():
            self.shortened[column] = self.shortened.get(column, 0) + count
        columns.clear()

    def restart(self) -> None:
        """Start again at the first line of the file. Changes of items and users remain counted."""
        self.start_step("read")
        self.bytes_read = self.rows_read = self.rows_staged = 0
        self.rows_accepted = self.rows_duplicate = self.rows_rejected = 0
        self.rejects_kept = self.reject_bytes = 0
        self.reasons = {}
        self.shortened = {}
        self.changes = {name: self.changes[name] for name in ("items", "users") if name in self.changes}

    def start_step(self, step: Step) -> None:
        """Go to the start of a step."""
        self.step = step
        self.position = {}

    @property
    def own_mapping(self) -> Mapping | None:
        """Return the mapping that was sent with the file, or None."""
        return None if self.mapping is None else Mapping.model_validate(self.mapping)

    @property
    def progress(self) -> float:
        """Return the progress from 0 to 1."""
        if self.status == "done":
            return 1.0
        read = min(1.0, self.bytes_read / self.size) if self.size else 0.0
        if self.step == "read":
            return round(read * (_PROGRESS["orders"] if self.kind == "orders" else 0.99), 3)
        progress = _PROGRESS[self.step]
        if self.step == "orders" and self.rows_staged:
            processed = self.rows_accepted + self.rows_duplicate
            progress += (_PROGRESS["items"] - progress) * min(1.0, processed / self.rows_staged)
        return round(progress, 3)
