"""The job of a run: ask a source for its days, and store what changed, page by page.

A page and its changes are one transaction, and the job remembers the day behind it. A worker that dies loses
its present page; the next attempt asks for it again, and stores only what is not stored yet.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import structlog

from services.sync.domain.pulls.configs import Bucket, Erp, Folder, PullConfig, Query, Rest, ShopifyApi
from services.sync.domain.sources import Webhook, parse_config
from services.sync.metrics import PULLED, PULLS
from services.sync.store.source_api import SourceApi
from services.sync.store.source_database import SourceDatabase
from services.sync.worker.pulls.erp_lists import ErpLists
from services.sync.worker.pulls.page import Days, Page
from services.sync.worker.pulls.query_rows import QueryRows
from services.sync.worker.pulls.rest_lists import RestLists
from services.sync.worker.pulls.shopify_lists import ShopifyLists

if TYPE_CHECKING:
    from services.sync.store import Pulls, Sources
    from services.sync.store.sources import Source
    from services.sync.worker.pulls.file_runs import FileRuns
    from shared.jobs import Job

ApiConfig: TypeAlias = Erp | Rest | ShopifyApi
AskedConfig: TypeAlias = ApiConfig | Query

FIRST_DAYS = 30
"""Days of the first run of a source without a start date."""

MOST_WARNINGS = 20

log = structlog.get_logger()


class Lists(Protocol):
    """The lists of a source."""

    def pages(self, days: Days) -> AsyncIterator[Page]:
        """Yield the objects of the days, page by page."""
        ...


class Puller:
    """Runs of sources."""

    def __init__(
        self, sources: Sources, pulls: Pulls, file_runs: FileRuns | None = None, *, allow_internal: bool
    ) -> None:
        self._sources = sources
        self._pulls = pulls
        self._file_runs = file_runs
        self._allow_internal = allow_internal

    async def run(self, job: Job) -> None:
        """Read all days of a run. Raises Transient without a usable answer, and Permanent for a wrong one."""
        source = await self._sources.by_id(str(job.payload["source_id"]))
        config = None if source is None else parse_config(source.config)
        if source is None or not source.enabled or config is None or isinstance(config, Webhook):
            return
        is_full = bool(job.payload["full"])
        days = _days(config, source, job, is_full=is_full)
        await job.report(first=str(days.first), last=str(days.last))
        if isinstance(config, Bucket | Folder):
            assert self._file_runs is not None
            count = await self._file_runs.run(source, config, self._sources.secrets(source), job)
        else:
            count = await self._ask(source, config, days, job)
        warnings = list(job.progress.get("warnings", []))
        await self._pulls.end(source.id, read_until=days.last, objects=count, warnings=warnings, full=is_full)
        PULLS.labels(source.kind, "done").inc()
        log.info("sync.pull_done", source=source.name, tenant=source.tenant, objects=count, full=is_full)

    async def _ask(self, source: Source, config: AskedConfig, days: Days, job: Job) -> int:
        """Ask a source for its days, and store what changed; return the number of objects."""
        count, warnings = int(job.progress.get("objects", 0)), list(job.progress.get("warnings", []))
        async with aclosing(self._pages(source, config, days)) as pages:
            async for page in pages:
                changed = await self._pulls.add(source, page.topic, page.objects)
                PULLED.labels("changed").inc(changed)
                PULLED.labels("unchanged").inc(len(page.objects) - changed)
                count += len(page.objects)
                warnings = [*warnings, *page.warnings][:MOST_WARNINGS]
                await job.report(**page.progress, objects=count, warnings=warnings)
        return count

    async def failed(self, job: Job, sentence: str) -> None:
        """Record why a run failed; the next one reads the same days."""
        await self._pulls.fail(str(job.payload["source_id"]), sentence)
        PULLS.labels("", "failed").inc()

    async def _pages(self, source: Source, config: AskedConfig, days: Days) -> AsyncGenerator[Page, None]:
        """Yield the pages of a source."""
        secrets = self._sources.secrets(source)
        if isinstance(config, Query):
            database = SourceDatabase(config, secrets["password"], allow_internal=self._allow_internal)
            async for page in QueryRows(config, database).pages(days):
                yield page
            return
        async with self._api(config, secrets.get("token", "")) as api:
            async for page in _lists(config, api).pages(days):
                yield page

    def _api(self, config: ApiConfig, token: str) -> SourceApi:
        match config:
            case Erp():
                headers = {"Authorization": token}
            case Rest():
                headers = {config.auth_header: f"{config.auth_prefix}{token}"}
            case ShopifyApi():
                headers = {"X-Shopify-Access-Token": token}
        return SourceApi(
            config.base_url,
            headers,
            requests_per_second=config.requests_per_second,
            timeout_seconds=config.timeout_seconds,
            allow_internal=self._allow_internal,
        )


def _lists(config: ApiConfig, api: SourceApi) -> Lists:
    match config:
        case Erp():
            return ErpLists(config, api)
        case Rest():
            return RestLists(config, api)
        case ShopifyApi():
            return ShopifyLists(config, api)


def _days(config: PullConfig, source: Source, job: Job, *, is_full: bool) -> Days:
    """Return the days of a run, which all of its attempts share."""
    if "first" in job.progress:
        first, last = (date.fromisoformat(job.progress[name]) for name in ("first", "last"))
        return Days(first, last, job.progress)
    last = datetime.now(ZoneInfo(config.timezone)).date()
    earliest = config.start_date or last - timedelta(days=FIRST_DAYS)
    if is_full or source.read_until is None:
        return Days(earliest, last)
    return Days(max(earliest, min(source.read_until, last) - timedelta(days=config.reread_days)), last)
