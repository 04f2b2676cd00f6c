"""Checks before an experiment is defined or started beside the others of its tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.router.store import SQL
from services.router.store.change_log import parse_row
from shared.errors import ApiError

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.settings import Settings
    from shared.postgres import Connection


async def check_room(connection: Connection, version: StoredVersion) -> None:
    """Raise ApiError (409) if another running experiment has the surface or units of the segment."""
    layer = version.layer
    rows = await connection.fetch(
        *SQL.running_beside(
            tenant=version.tenant,
            name=version.name,
            surface=version.surface,
            layer=None if layer is None else layer.name,
        )
    )
    for running in map(parse_row, rows):
        if layer is not None and running.layer is not None and not layer.overlaps(running.layer):
            continue
        if running.surface == version.surface:
            detail = (
                f"The experiment {running.name} runs on {version.surface}; stop it before you start "
                f"{version.name}, or give both disjoint segments of one layer."
            )
            raise ApiError(409, "SurfaceTaken", detail)
        if running.layer is not None and layer is not None:
            detail = (
                f"The experiment {running.name} has the units from {running.layer.start:g} to "
                f"{running.layer.end:g} of the layer {layer.name}; choose a segment beside it."
            )
            raise ApiError(409, "SegmentTaken", detail)


async def check_cool_down(connection: Connection, version: StoredVersion, days: int) -> None:
    """Raise ApiError (409) if units of the segment were in another experiment in the last days.

    A version that goes on after a pause keeps its segment.
    """
    layer = version.layer
    if days == 0 or layer is None or version.started_at is not None:
        return
    rows = await connection.fetch(
        *SQL.freed_segments(tenant=version.tenant, name=version.name, layer=layer.name, days=days)
    )
    for ended in map(parse_row, rows):
        if ended.layer is not None and ended.stopped_at is not None and layer.overlaps(ended.layer):
            free_at = ended.stopped_at + timedelta(days=days)
            detail = (
                f"The experiment {ended.name} had units of this segment of the layer {layer.name}, which is "
                f"free from {free_at:%Y-%m-%d %H:%M} UTC on. Choose another segment, or wait."
            )
            raise ApiError(409, "SegmentCoolsDown", detail)


async def check_quota(connection: Connection, tenant: str, name: str, settings: Settings) -> None:
    """Raise ApiError (409) if the tenant or the experiment may have no further version."""
    row = await connection.fetchrow(*SQL.count_open(tenant=tenant, name=name))
    assert row is not None
    if row["open_experiments"] >= settings.max_experiments:
        detail = (
            f"A tenant may have {settings.max_experiments} draft and running experiments. Stop some, "
            "delete drafts, or raise the setting ROUTER_MAX_EXPERIMENTS."
        )
        raise ApiError(409, "LimitExceeded", detail)
    if row["versions"] >= settings.max_experiment_versions:
        detail = (
            f"{name} has {row['versions']} versions, which is the limit. Use another name, or raise the "
            "setting ROUTER_MAX_EXPERIMENT_VERSIONS."
        )
        raise ApiError(409, "LimitExceeded", detail)
