"""The event lake: Delta tables in the object store, a folder per tenant and table, partitioned by day.

A record is in a table once. The commit that adds its row also stores its offset as the version of a Delta
application transaction, one per partition of the topic. A writer reads these versions first, leaves out
records that are stored, and its commit fails if another writer has moved a version meanwhile.

See docs/event-lake.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from botocore.exceptions import BotoCoreError, ClientError
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from services.analytics.domain.lake_tables import TABLES, LakeTable, Row
from services.analytics.store.lake_files import delete, literal, repeated_places
from shared import s3
from shared.errors import Transient

if TYPE_CHECKING:
    from datetime import datetime

    from shared.settings import S3Settings

PROPERTIES: Final = {"delta.dataSkippingStatsColumns": "occurred_at"}
"""The column whose extremes the log has of each file. Those of others skip no files, because each file has
all kinds of users and items, and opening a table would cost several times the CPU."""

MOST_KEPT: Final = 64
"""Tables that are kept open between appends, some MB each; arbitrary."""


class Lake:
    """Reads and writes the tables of all tenants. Its methods block: call them in a thread."""

    def __init__(self, settings: S3Settings) -> None:
        self._bucket = settings.endcap_data_bucket
        self._objects = s3.client(settings)
        self._options = storage_options(settings)
        self._written: dict[tuple[str, str], DeltaTable] = {}

    def uri(self, tenant: str, name: str) -> str:
        """Return the address of a table."""
        return f"s3://{self._bucket}/{tenant}/lake/{name}"

    def open(self, tenant: str, name: str) -> DeltaTable | None:
        """Return a table as it is now; None if it has no rows yet. Raises Transient if S3 is unavailable.

        A table that lacks `PROPERTIES` gets them: readers would take the extremes that a deletion does not
        write for null, and leave out files that have rows.
        """
        with failures_as_transient(f"{name} of {tenant} can't be read"):
            try:
                target = DeltaTable(self.uri(tenant, name), storage_options=self._options)
            except TableNotFoundError:
                return None
            if not target.metadata().configuration.items() >= PROPERTIES.items():
                target.alter.set_table_properties(PROPERTIES)
            return target

    def append(self, table: LakeTable, tenant: str, rows: Sequence[Row], ends: Mapping[int, int]) -> int:
        """Add rows of records that are not stored yet; return their number.

        `ends` has the last offset of each partition in the rows. Raises Transient if S3 is unavailable or
        another writer had the partitions meanwhile; the same call may then be repeated.
        """
        with failures_as_transient(f"{table.name} of {tenant} took no rows"):
            target = self._to_write(table, tenant)
            stored = {partition: _version(target, table, partition) for partition in ends}
            fresh = [row for row in rows if row["kafka_offset"] > stored[row["kafka_partition"]]]
            versions = {number: end for number, end in ends.items() if end > stored[number]}
            if not versions:
                return 0
            added = _without_repeated(pa.Table.from_pylist(fresh, schema=table.schema), table.id_column)
            write_deltalake(
                target,
                added,
                mode="append",
                schema_mode="merge",  # a table of an earlier release has fewer columns
                commit_properties=CommitProperties(
                    app_transactions=[
                        Transaction(_application(table, number), end)
                        for number, end in sorted(versions.items())
                    ]
                ),
            )
            self._keep(tenant, table.name, target)
        return int(added.num_rows)

    def _to_write(self, table: LakeTable, tenant: str) -> DeltaTable:
        """Return a table as it is now.

        It takes a tenth of the CPU to bring the table of the last append up to date. Its last commit is
        missing if somebody has deleted it: an append would then begin in the middle of a log. Raises
        DeltaError and ClientError if S3 is unavailable.
        """
        target = self._written.pop((tenant, table.name), None)
        if target is not None:
            target.update_incremental()
            if self._has_commit(target):
                return target
        return self.open(tenant, table.name) or self._create(table, tenant)

    def _keep(self, tenant: str, name: str, target: DeltaTable) -> None:
        """Keep a table for the next append, and forget the one that was appended to the longest ago."""
        self._written[tenant, name] = target
        if len(self._written) > MOST_KEPT:
            self._written.pop(next(iter(self._written)), None)

    def _has_commit(self, target: DeltaTable) -> bool:
        bucket, prefix = s3.split_uri(target.table_uri)
        key = f"{prefix.rstrip('/')}/_delta_log/{target.version():020}.json"
        try:
            self._objects.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
                raise
            return False
        return True

    def _create(self, table: LakeTable, tenant: str) -> DeltaTable:
        return DeltaTable.create(
            self.uri(tenant, table.name),
            schema=table.schema,
            partition_by=["dt"],
            mode="ignore",
            configuration=PROPERTIES,
            storage_options=self._options,
        )

    def erase(self, tenant: str, user_id: str, session_ids: Sequence[str], until: datetime) -> int:
        """Delete the rows of a user and of sessions before login, and all replaced files, which had them.

        Return the number of deleted rows. Raises Transient if S3 is unavailable or a writer was faster.
        """
        deleted = 0
        for table in TABLES:
            target = self.open(tenant, table.name)
            if target is None:
                continue
            predicate = _of_person(table, user_id, session_ids)
            times = [name for name in ("occurred_at", "received_at") if name in table.schema.names]
            before = " OR ".join(f"{name} <= {_time(until)}" for name in times)
            with failures_as_transient(f"{table.name} of {tenant} kept the rows of a user"):
                deleted += delete(target, f"({predicate}) AND ({before})")
                self._remove(target, hours=0)  # a query that reads one of them is repeated
        return deleted

    def remove_unused(self, target: DeltaTable) -> int:
        """Remove files that were unused for an hour, longer than a query may read them; return their number.

        These are replaced files, and those of writers that ended before their commit. Raises Transient if S3
        is unavailable.
        """
        with failures_as_transient(f"{target.table_uri} kept unused files"):
            target.create_checkpoint()
            return self._remove(target, hours=1, untracked=True)

    def _remove(self, target: DeltaTable, hours: int, *, untracked: bool = False) -> int:
        """Remove files one by one: S3 may check a request for many against the policy of the whole bucket."""
        paths = target.vacuum(
            retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=untracked
        )
        bucket, prefix = s3.split_uri(target.table_uri)
        for path in paths:
            self._objects.delete_object(Bucket=bucket, Key=f"{prefix.rstrip('/')}/{path}")
        return len(paths)

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


@contextmanager
def failures_as_transient(sentence: str) -> Iterator[None]:
    """Raise Transient, with the sentence, for failures of the object store and commits that came too late."""
    try:
        yield
    except (DeltaError, OSError, BotoCoreError, ClientError) as error:
        raise Transient(f"the event lake: {sentence}: {error}") from error


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


def _without_repeated(rows: pa.Table, id_column: str) -> pa.Table:
    repeated = repeated_places(rows, id_column)
    places = pa.array(range(rows.num_rows), pa.int64())
    return rows.filter(pc.invert(pc.is_in(places, repeated)))


def _application(table: LakeTable, partition: int) -> str:
    return f"{table.topic.name}/{partition}"


def _version(target: DeltaTable, table: LakeTable, partition: int) -> int:
    version = target.transaction_version(_application(table, partition))
    return -1 if version is None else int(version)


def _of_person(table: LakeTable, user_id: str, session_ids: Sequence[str]) -> str:
    """Return the predicate of the rows of a user, and of sessions where no user is known."""
    sessions = ", ".join(map(literal, session_ids))
    if table.persons == ("unit",):
        return f"unit IN ({', '.join(map(literal, (user_id, *session_ids)))})"
    predicate = f"user_id = {literal(user_id)}"
    if sessions and "session_id" in table.persons:
        predicate += f" OR (user_id IS NULL AND session_id IN ({sessions}))"
    return predicate


def _time(value: datetime) -> str:
    return f"arrow_cast('{value}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
