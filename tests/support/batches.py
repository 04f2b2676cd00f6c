"""Batch output as the trainer writes it: files of JSON lines in the object store, then the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from shared.events import BatchCompleted, derived_id
from shared.events.batches import RunKind

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STARTED_AT = datetime(2026, 1, 1, 2, tzinfo=UTC)
COMPLETED_AT = datetime(2026, 1, 1, 2, 1, tzinfo=UTC)
_ENGINE_RECIPES = {
    "user-personalization": "aws-user-personalization",
    "similar-items": "aws-similar-items",
    "item-affinity": "endcap-item-affinity",
    "popularity": "popularity",
}
_INPUTS = {"similar-items": "itemId", "popularity": "listId"}


def batch_line(recipe: str, identifier: str, items: Sequence[str], *, error: str | None = None) -> bytes:
    """Return one line of Personalize batch output."""
    scores = [round(1 / (rank + 1), 7) for rank in range(len(items))]
    output = {"recommendedItems": [*items], "scores": scores}
    line = {
        "input": {_INPUTS.get(recipe, "userId"): identifier},
        "output": None if error else output,
        "error": error,
    }
    return orjson.dumps(line)


@dataclass
class Batch:
    """The output of a run, complete or faulty: `manifest_changes` and `stated_rows` override its manifest."""

    run: int
    lines: Mapping[str, Sequence[bytes]]
    tenant: str = "default"
    manifest_changes: dict[str, Any] = field(default_factory=dict)
    stated_rows: dict[str, int] = field(default_factory=dict)
    kind: RunKind = "full"
    base: int | None = None

    @classmethod
    def of(cls, run: int, lists: Mapping[str, Iterable[tuple[str, Sequence[str]]]], **options: Any) -> Batch:
        """Return a complete batch of the lists, (id, items) by recipe."""
        lines = {
            recipe: [batch_line(recipe, identifier, items) for identifier, items in entries]
            for recipe, entries in lists.items()
        }
        return cls(run, lines, **options)

    @property
    def prefix(self) -> str:
        return f"{self.tenant}/runs/{self.run}"

    def key(self, recipe: str) -> str:
        """Return the object key of a recipe's file."""
        return f"{self.prefix}/batch/{recipe}/input.jsonl.out"

    def put(self, s3: S3Client, bucket: str) -> BatchCompleted:
        """Write files and manifest; return the event that the trainer publishes then."""
        recipes = {}
        for recipe, lines in self.lines.items():
            body = b"".join(line + b"\n" for line in lines)
            s3.put_object(Bucket=bucket, Key=self.key(recipe), Body=body)
            recipes[recipe] = {
                "job_name": f"run-{self.run}-{recipe}",
                "job_arn": f"arn:aws:personalize:us-east-1:000000000000:batch-inference-job/{self.run}",
                "engine_recipe": _ENGINE_RECIPES.get(recipe, recipe),
                "files": [
                    {
                        "key": self.key(recipe),
                        "rows": self.stated_rows.get(recipe, len(lines)),
                        "bytes": len(body),
                        "sha256": hashlib.sha256(body).hexdigest(),
                    }
                ],
            }
        manifest = {
            "version": 1,
            "tenant": self.tenant,
            "run": self.run,
            "started_at": STARTED_AT.isoformat(),
            "completed_at": COMPLETED_AT.isoformat(),
            "recipes": recipes,
        }
        s3.put_object(
            Bucket=bucket,
            Key=f"{self.prefix}/_manifest.json",
            Body=orjson.dumps(manifest | self.manifest_changes),
        )
        return self.completed(bucket)

    def completed(self, bucket: str) -> BatchCompleted:
        """Return the event that announces the batch."""
        return BatchCompleted(
            event_id=derived_id(self.tenant, "batch", self.run),
            tenant=self.tenant,
            occurred_at=COMPLETED_AT,
            run=self.run,
            bucket=bucket,
            manifest=f"{self.prefix}/_manifest.json",
            recipes=tuple(self.lines),
            started_at=STARTED_AT,
            kind=self.kind,
            base=self.base,
        )
