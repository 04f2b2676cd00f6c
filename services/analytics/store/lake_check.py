"""Compare the event lake with the log: every record that Kafka still has must be in its table, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from services.analytics.domain.lake_tables import LakeTable, happened_by, rows_of
from services.analytics.store.counting import erased_among
from shared.kafka import RecordReader
from shared.kafka.records import Decoder, Undecodable

if TYPE_CHECKING:
    from services.analytics.settings import Settings
    from services.analytics.store.lake import Lake
    from shared.kafka.records import Received
    from shared.postgres import Database

READ_SECONDS = 600.0
"""Time that reading one partition may take; arbitrary."""


class Comparison(NamedTuple):
    """A table of a tenant against the records of its topic up to the stored offsets."""

    tenant: str
    table: str
    in_log: int
    in_lake: int
    missing: int
    repeated: int


class LakeCheck:
    """Reads the log and the lake of a tenant."""

    def __init__(self, database: Database, lake: Lake, settings: Settings) -> None:
        self._database = database
        self._lake = lake
        self._settings = settings

    async def compare(self, tenant: str, table: LakeTable) -> Comparison:
        """Return what the table lacks. `in_log` counts different events of people who are not erased."""
        ends = await asyncio.to_thread(self._lake.offsets, tenant, table)
        rows = await self._rows_of_log(tenant, table, ends)
        people = {(tenant, name) for row in rows.values() for name in _persons(table, row)}
        erased = await erased_among(self._database, people)
        expected = {
            id_
            for id_, row in rows.items()
            if not any(
                happened_by(row) <= erased[tenant, name]
                for name in _persons(table, row)
                if (tenant, name) in erased
            )
        }
        ids = await asyncio.to_thread(self._lake.ids, tenant, table)
        different = set(ids)
        missing, repeated = len(expected - different), len(ids) - len(different)
        return Comparison(tenant, table.name, len(expected), len(ids), missing, repeated)

    async def _rows_of_log(self, tenant: str, table: LakeTable, ends: dict[int, int]) -> dict[str, Any]:
        """Return the rows of the tenant's records up to the stored offsets, by id."""
        reader = RecordReader(self._settings.kafka, "analytics", table.topic)
        decoder = Decoder(table.topic)
        rows: dict[str, Any] = {}

        def visit(record: Received) -> bool:
            if record.offset > ends[record.partition]:
                return True
            if (record.key or b"").startswith(f"{tenant}:".encode()):
                try:
                    event = decoder.decode(record)
                except Undecodable:
                    return False
                for row in rows_of(table, event, record.partition, record.offset):
                    rows[row[table.id_column]] = row
            return record.offset == ends[record.partition]

        try:
            for partition, end in ends.items():
                if end >= 0:
                    await reader.since(partition, 0, visit, within=READ_SECONDS)
        finally:
            await reader.stop()
        return rows


def _persons(table: LakeTable, row: dict[str, Any]) -> list[str]:
    return [row[name] for name in table.persons if row[name]][:1]
