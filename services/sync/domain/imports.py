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

# The share of the whole work that is done when a step begins, roughly as measured on order files.
_BEGUN = {"orders": 0.35, "items": 0.9, "users": 0.95, "finish": 0.99}


class Reject(NamedTuple):
    """A refused row: its line in the file, the reason's code and sentence, and the row itself."""

    line: int
    code: str
    reason: str
    raw: str

    @property
    def size(self) -> int:
        """Return the bytes of what is kept of it, in UTF-8."""
        return len(self.reason.encode()) + len(self.raw.encode())


class RejectCapacity(NamedTuple):
    """How many refused rows of an import may still be kept, and how many bytes of them."""

    rows: int
    bytes: int


@dataclass(slots=True)
class Import:
    """A file on its way in. `version` guards it: who writes names the version that they read.

    `position` says where the present step goes on: a line of the file, an order's or an item's id.
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
    """How many cells were cut, by column."""
    changes: dict[str, int] = field(default_factory=dict)
    last_seq: int | None = None
    error: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    rejects_deleted_at: datetime | None = None

    def copy(self) -> Import:
        """A copy to write on; it replaces this one when its transaction has committed."""
        return copy.deepcopy(self)

    def count_rejected(self, codes: Iterable[str]) -> None:
        """Count refused rows."""
        for code in codes:
            self.rows_rejected += 1
            self.reasons[code] = self.reasons.get(code, 0) + 1

    def add_rejects(self, rejects: Sequence[Reject], limits: Limits) -> list[Reject]:
        """Count refused rows, and return those that are kept for the report: the first ones."""
        self.count_rejected(reject.code for reject in rejects)
        kept: list[Reject] = []
        for reject in rejects[: self.reject_capacity(limits).rows]:
            if self.reject_bytes + reject.size > limits.max_kept_reject_bytes:
                self.reject_bytes = limits.max_kept_reject_bytes  # None behind it is kept, however short.
                break
            kept.append(reject)
            self.rejects_kept += 1
            self.reject_bytes += reject.size
        return kept

    def reject_capacity(self, limits: Limits) -> RejectCapacity:
        """Return how many refused rows may still be kept."""
        return RejectCapacity(
            max(0, limits.max_kept_rejects - self.rejects_kept),
            max(0, limits.max_kept_reject_bytes - self.reject_bytes),
        )

    def count_changes(self, **counts: int) -> None:
        """Count what the import has changed."""
        for what, count in counts.items():
            if count:
                self.changes[what] = self.changes.get(what, 0) + count

    def count_shortened(self, columns: Counter[str]) -> None:
        """Count cells that were cut, by column; the counter is then empty."""
        for column, count in columns.items():
            self.shortened[column] = self.shortened.get(column, 0) + count
        columns.clear()

    def restart(self) -> None:
        """Read the file again from its beginning; what it has changed so far stays as it is."""
        self.start_step("read")
        self.bytes_read = self.rows_read = self.rows_staged = 0
        self.rows_accepted = self.rows_duplicate = self.rows_rejected = 0
        self.rejects_kept = self.reject_bytes = 0
        self.reasons = {}
        self.shortened = {}
        self.changes = {what: self.changes[what] for what in ("items", "users") if what in self.changes}

    def start_step(self, step: Step) -> None:
        """Go on to another step."""
        self.step = step
        self.position = {}

    @property
    def own_mapping(self) -> Mapping | None:
        """The mapping that came along with the file."""
        return None if self.mapping is None else Mapping.model_validate(self.mapping)

    @property
    def progress(self) -> float:
        """How much is done, from 0 to 1."""
        if self.status == "done":
            return 1.0
        read = min(1.0, self.bytes_read / self.size) if self.size else 0.0
        if self.step == "read":
            return round(read * (_BEGUN["orders"] if self.kind == "orders" else 0.99), 3)
        begun = _BEGUN[self.step]
        if self.step == "orders" and self.rows_staged:
            settled = self.rows_accepted + self.rows_duplicate
            begun += (_BEGUN["items"] - begun) * min(1.0, settled / self.rows_staged)
        return round(begun, 3)
