"""Imports of files, summed up by the mapping that reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(slots=True)
class SourceSummary:
    """The imports of one kind by one mapping; `newest_at` is when the newest was sent."""

    kind: str
    source: str
    files: int = 0
    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    newest_at: str = ""


def sources(imports: Iterable[Row]) -> list[SourceSummary]:
    """Return a summary of each mapping, that of the newest import first."""
    summaries: dict[tuple[str, str], SourceSummary] = {}
    for import_ in imports:
        key = import_["kind"], import_["source"] or "not chosen yet"
        summary = summaries.setdefault(key, SourceSummary(*key))
        summary.files += 1
        summary.accepted += import_["rows"]["accepted"]
        summary.rejected += import_["rows"]["rejected"]
        summary.failed += import_["status"] == "failed"
        summary.newest_at = max(summary.newest_at, import_["created_at"] or "")
    return sorted(summaries.values(), key=lambda summary: summary.newest_at, reverse=True)
