"""The event lake: Delta tables in the object store, a folder per tenant and table, partitioned by day.

A record is in a table once. The commit that adds its row also stores its offset as the version of a Delta
application transaction, one per partition of the topic. A writer reads these versions first, leaves out
records that are stored, and its commit fails if another writer has moved a version meanwhile.

See docs/event-lake.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import structlog
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from services.analytics.domain.lake_tables import BY_NAME, TABLES, LakeTable, Row
from shared.errors import Transient
from shared.s3 import client, split_uri

if TYPE_CHECKING:
    from datetime import datetime

    from shared.settings import S3Settings

CHUNK = 500
"""Rows that one deletion names by their offsets; arbitrary."""

log = structlog.get_logger()


class Lake:
    """Reads and writes the tables of all tenants. Its methods block: call them in a thread."""

    def __init__(self, settings: S3Settings) -> None:
        self._bucket = settings.endcap_data_bucket
        self._options = storage_options(settings)
        self._objects = client(settings)

    def uri(self, tenant: str, name: str) -> str:
        """Return the address of a table."""
        return f"s3://{self._bucket}/{tenant}/lake/{name}"

    def open(self, tenant: str, name: str) -> DeltaTable | None:
        """Return a table as it is now; None if it has no rows yet. Raises Transient if S3 is unavailable."""
        try:
            return DeltaTable(self.uri(tenant, name), storage_options=self._options)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise Transient(f"the event lake can't be read: {error}") from error

    def append(self, table: LakeTable, tenant: str, rows: Sequence[Row], ends: Mapping[int, int]) -> int:
        """Add rows of records that are not stored yet; return their number.

        `ends` has the last offset of each partition in the rows. Raises Transient if S3 is unavailable or
        another writer had the partitions meanwhile; the same call may then be repeated.
        """
        try:
            target = self.open(tenant, table.name) or self._create(table, tenant)
            stored = {partition: _version(target, table, partition) for partition in ends}
            fresh = [row for row in rows if row["kafka_offset"] > stored[row["kafka_partition"]]]
            versions = {number: end for number, end in ends.items() if end > stored[number]}
            if not versions:
                return 0
            write_deltalake(
                target,
                pa.Table.from_pylist(fresh, schema=table.schema),
                mode="append",
                commit_properties=CommitProperties(
                    app_transactions=[
                        Transaction(_application(table, number), end)
                        for number, end in sorted(versions.items())
                    ]
                ),
            )
        except (DeltaError, OSError) as error:
            raise Transient(f"the event lake took no rows of {table.name}: {error}") from error
        return len(fresh)

    def _create(self, table: LakeTable, tenant: str) -> DeltaTable:
        return DeltaTable.create(
            self.uri(tenant, table.name),
            schema=table.schema,
            partition_by=["dt"],
            mode="ignore",
            storage_options=self._options,
        )

    def erase(self, tenant: str, user_id: str, session_ids: Sequence[str], until: datetime) -> int:
        """Delete the rows of a user and of sessions before login, and the files that had them.

        Return the number of deleted rows. Raises Transient if S3 is unavailable or a writer was faster.
        """
        deleted = 0
        for table in TABLES:
            target = self.open(tenant, table.name)
            if target is None:
                continue
            files = set(target.file_uris())
            predicate = _of_person(table, user_id, session_ids)
            try:
                result = target.delete(f"({predicate}) AND occurred_at <= {_literal(until)}")
                deleted += int(result.get("num_deleted_rows") or 0)
                self._remove(files - set(target.file_uris()))
            except (DeltaError, OSError) as error:
                raise Transient(f"the event lake did not delete rows of {table.name}: {error}") from error
        return deleted

    def _remove(self, uris: set[str]) -> None:
        """Remove files that had rows of an erased user; a query that reads one of them is repeated."""
        for uri in uris:
            bucket, key = split_uri(uri)
            self._objects.delete_object(Bucket=bucket, Key=key)

    def maintain(self, tenant: str, name: str, oldest_day: str) -> dict[str, int]:
        """Delete old days and repeated rows, join small files, and remove files that are no longer used.

        Return the numbers of repeated rows and of files that went. Raises Transient if a writer was faster.
        """
        table, target = BY_NAME[name], self.open(tenant, name)
        if target is None:
            return {"repeated": 0, "files": 0}
        try:
            target.delete(f"dt < '{oldest_day}'")
            repeated = self._delete_repeated(table, target)
            target.optimize.compact(
                post_commithook_properties=PostCommitHookProperties(create_checkpoint=True)
            )
            return {"repeated": repeated, "files": _remove_files(target)}
        except (CommitFailedError, OSError) as error:
            raise Transient(f"{name} of {tenant} changed while it was compacted: {error}") from error
        except DeltaError as error:
            raise Transient(f"{name} of {tenant} was not compacted: {error}") from error

    def _delete_repeated(self, table: LakeTable, target: DeltaTable) -> int:
        """Delete rows whose event is in another row of their day; an order's own line stays."""
        total = 0
        for day in sorted({entry["dt"] for entry in target.partitions()}):
            names = [table.id_column, "kafka_partition", "kafka_offset"]
            names += ["source"] if table.name == "interactions" else []
            rows = target.to_pyarrow_table(columns=names, filters=[("dt", "=", day)])
            repeated = _repeated(rows, table.id_column)
            for partition, entries in repeated.items():
                for start in range(0, len(entries), CHUNK):
                    chunk = entries[start : start + CHUNK]
                    offsets = ", ".join(str(offset) for offset, _ in chunk)
                    ids = ", ".join(_literal(id_) for _, id_ in chunk)
                    target.delete(
                        f"dt = '{day}' AND kafka_partition = {partition} AND kafka_offset IN ({offsets}) "
                        f"AND {table.id_column} IN ({ids})"
                    )
                    total += len(chunk)
        return total

    def offsets(self, tenant: str, table: LakeTable) -> dict[int, int]:
        """Return the last stored offset of each partition; -1 for none."""
        target = self.open(tenant, table.name)
        return {
            number: -1 if target is None else _version(target, table, number)
            for number in range(table.topic.partitions)
        }

    def ids(self, tenant: str, table: LakeTable) -> list[str]:
        """Return the ids of all rows, one for each row."""
        target = self.open(tenant, table.name)
        if target is None:
            return []
        column = target.to_pyarrow_table(columns=[table.id_column])[table.id_column]
        return [str(id_) for id_ in column.to_pylist()]


def storage_options(settings: S3Settings) -> dict[str, str]:
    """Return the options of deltalake for an object store; without keys, those of the environment apply."""
    secret = settings.aws_secret_access_key
    options = {
        "AWS_REGION": settings.aws_region,
        "AWS_ENDPOINT_URL": settings.aws_endpoint_url_s3,
        "AWS_ACCESS_KEY_ID": settings.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret.get_secret_value() if secret else None,
        "AWS_ALLOW_HTTP": "true" if (settings.aws_endpoint_url_s3 or "").startswith("http://") else None,
        "aws_conditional_put": "etag",
        "timeout": "30s",
    }
    return {name: value for name, value in options.items() if value}


def _application(table: LakeTable, partition: int) -> str:
    return f"{table.topic.name}/{partition}"


def _version(target: DeltaTable, table: LakeTable, partition: int) -> int:
    version = target.transaction_version(_application(table, partition))
    return -1 if version is None else int(version)


def _repeated(rows: pa.Table, id_column: str) -> dict[int, list[tuple[int, str]]]:
    """Return (offset, id) of repeated rows by partition; an order's line stays, else the first row."""
    best: dict[str, tuple[bool, int, int]] = {}
    repeated: dict[int, list[tuple[int, str]]] = {}
    sources: Iterable[Any] = (
        rows["source"].to_pylist() if "source" in rows.column_names else [None] * rows.num_rows
    )
    columns = (rows[name].to_pylist() for name in (id_column, "kafka_partition", "kafka_offset"))
    for id_, partition, offset, source in zip(*columns, sources, strict=True):
        row = (source != "order", partition, offset)
        kept = best.setdefault(id_, row)
        if kept == row:
            continue
        best[id_], loser = min(kept, row), max(kept, row)
        repeated.setdefault(loser[1], []).append((loser[2], id_))
    return repeated


def _of_person(table: LakeTable, user_id: str, session_ids: Sequence[str]) -> str:
    """Return the predicate of the rows of a user, and of sessions where no user is known."""
    sessions = ", ".join(map(_literal, session_ids))
    if table.persons == ("unit",):
        return f"unit IN ({', '.join(map(_literal, (user_id, *session_ids)))})"
    predicate = f"user_id = {_literal(user_id)}"
    if sessions and "session_id" in table.persons:
        predicate += f" OR (user_id IS NULL AND session_id IN ({sessions}))"
    return predicate


def _literal(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"arrow_cast('{value}', 'Timestamp(Microsecond, Some(\"UTC\"))')"


def _remove_files(target: DeltaTable) -> int:
    """Remove the files that the table has not used for an hour: longer than a query may read them."""
    return len(target.vacuum(retention_hours=1, dry_run=False, enforce_retention_duration=False))
