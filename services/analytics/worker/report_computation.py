"""Compute reports of orders: after a training run, each night, and for a selection that is asked for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import structlog

from services.analytics.domain.order_lines import OrderLines
from services.analytics.domain.report_set import Reports, main_categories, reports_of
from services.analytics.domain.selections import Selection, usual_selections
from services.analytics.metrics import REPORT_SECONDS, REPORTS_AT

if TYPE_CHECKING:
    from datetime import date

    from services.analytics.settings import Settings
    from services.analytics.store.order_reports import OrderReports
    from shared.jobs import Job

log = structlog.get_logger()


class ReportComputation:
    """Queues computations, and runs them as jobs."""

    def __init__(self, reports: OrderReports, settings: Settings) -> None:
        self._reports = reports
        self._hour = settings.reports_hour
        self._rules = settings.report_rules

    async def queue_night(self) -> None:
        """Queue the computations of the last night, unless that is done."""
        now = datetime.now(UTC)
        night = now - timedelta(hours=self._hour)
        for tenant in await self._reports.tenants():
            await self._reports.ask_for_all(tenant, f"night:{night:%Y-%m-%d}")

    async def run(self, job: Job) -> None:
        """Compute the selection of a job, or all. A repetition replaces the same reports."""
        tenant = job.tenant
        with REPORT_SECONDS.time():
            snapshot = await self._reports.snapshot(tenant)
            today = snapshot.read_at.astimezone(UTC).date()
            known: dict[bytes, Reports] = {}
            usual: dict[str, None] = {}
            if (single := job.payload.get("selection")) is not None:
                keys = [single]
            else:
                categories = await asyncio.to_thread(main_categories, snapshot.lines)
                usual = dict.fromkeys(selection.key for selection in usual_selections(categories))
                keys = [*usual, *await self._reports.asked_selections(tenant)]
            for key in dict.fromkeys(keys):
                reports = await asyncio.to_thread(self._computed, snapshot.lines, key, today, known)
                await self._reports.store(tenant, key, reports, snapshot, is_usual=key in usual)
            if single is None:
                await self._reports.forget(tenant, snapshot)
                REPORTS_AT.set(snapshot.read_at.timestamp())
        log.info("reports.computed", tenant=tenant, selections=len(keys), lines=len(snapshot.lines))

    def _computed(self, lines: OrderLines, key: str, today: date, known: dict[bytes, Reports]) -> Reports:
        """Return the reports of a selection; selections with the same lines share theirs."""
        selection = Selection.parsed(key)
        mask = lines.mask_of(selection, today)
        digest = sha256(mask.tobytes() + repr(selection.thresholds).encode()).digest()
        if digest not in known:
            known[digest] = reports_of(lines.only(mask), today, selection.thresholds, self._rules)
        return known[digest]
