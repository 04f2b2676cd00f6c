"""Ids of series: where and by what answers were made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from services.analytics.store.sql import SQL, columns

if TYPE_CHECKING:
    from shared.postgres import Connection

_NAMES = "tenants surfaces placements strategies experiments versions variants"


class Series(NamedTuple):
    """The place and strategy of an answer or of an item in it; all strategies if `strategy` is None."""

    tenant: str
    surface: str
    placement: str | None
    strategy: str | None
    experiment: str | None
    experiment_version: int | None
    variant: str | None


async def series_ids(connection: Connection, series: Iterable[Series]) -> dict[Series, int]:
    """Return the ids of series; new ones are added. The tenants are locked."""
    listed = list(dict.fromkeys(series))
    if not listed:
        return {}
    parameters = columns(_NAMES, listed)
    rows = await connection.fetch(*SQL.series_ids(**parameters))
    if len(rows) < len(listed):
        await connection.execute(*SQL.add_series(**parameters))
        rows = await connection.fetch(*SQL.series_ids(**parameters))
    return {each: row["id"] for each, row in zip(listed, rows, strict=True)}
