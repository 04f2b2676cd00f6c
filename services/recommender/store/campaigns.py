"""Campaigns and their models: copied from the object store, checked, mapped into memory, swapped."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError

from services.recommender.domain.filterable_items import FilterableItems
from services.recommender.metrics import MODEL_LOADS, MODELS
from services.recommender.store.copies import Copies
from services.recommender.store.lists import SQL, Guarded
from services.recommender.store.view import View
from shared.aws import Arn
from shared.errors import EndcapError
from shared.events import CampaignChanged, derived_id

if TYPE_CHECKING:
    from pathlib import Path

    from asyncpg import Record
    from mypy_boto3_s3 import S3Client

    from services.recommender.store.states import Catalogues
    from shared.models import Model

RETRY_SECONDS = 5.0
MAX_RETRY_SECONDS = 30.0
"""A model that can't be had is copied whole at every try."""
FIRST_MODEL_SECONDS = 3.0
"""How long after a campaign's announcement questions wait for its model."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Deployed:
    """A campaign with the model that scores it; none while that is being copied."""

    campaign: CampaignChanged
    model: Model | None = None
    filterable_items: FilterableItems | None = None

    @cached_property
    def asked(self) -> Model | None:
        """The model with what the campaign says of popularity and freshness."""
        influence = (self.campaign.config or {}).get("rankingInfluence")
        return replace(self.model, influence=influence) if self.model and influence else self.model

    @cached_property
    def open(self) -> Model | None:
        """The same without a rule on what a user has seen: a filter says what is left out."""
        if self.asked is None or not self.asked.scoring.exclude_seen:
            return self.asked
        return replace(self.asked, scoring=self.asked.scoring.model_copy(update={"exclude_seen": False}))


@dataclass(frozen=True, slots=True)
class _Awaited:
    """The first model of a campaign: whether it was tried, and how long (by the clock) questions wait."""

    tried: asyncio.Event
    until: float


class Campaigns:
    """Every campaign by tenant and name. A part: models are fetched while requests go on."""

    name = "campaigns"

    def __init__(
        self, s3: S3Client, folder: Path, database: Guarded, catalogues: Catalogues, keep: int = 3
    ) -> None:
        """Keep copies of models below `folder`: those of campaigns, and the newest `keep` others."""
        self._copies = Copies(s3, folder, keep)
        self._is_whole = False
        self._catalogues = catalogues
        self._deployed: dict[tuple[str, str], Deployed] = {}
        # Tenants by account and name. More than one while a campaign moves: its events are on two partitions.
        self._by_account: dict[tuple[str, str], set[str]] = {}
        # Of campaigns whose first model was not tried yet.
        self._awaited: dict[tuple[str, str], _Awaited] = {}
        self._news = asyncio.Event()
        self._view = View(database, SQL.campaigns, self._deployed, self._take)
        self._fetcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to fetch models as they are announced."""
        self._fetcher = asyncio.create_task(self._fetch_models(), name="campaign-models")

    async def stop(self) -> None:
        """Stop fetching."""
        if self._fetcher is not None:
            self._fetcher.cancel()
            await asyncio.wait({self._fetcher}, timeout=5)

    def alive(self) -> str | None:
        """Whether models are still fetched."""
        if self._fetcher is not None and self._fetcher.done():
            return "fetching the models of campaigns ended by a defect; see the log"
        return None

    def ready(self) -> str | None:
        """A campaign without its model is answered from lists."""
        return None

    def changed(self, key: str, campaign: CampaignChanged | None) -> None:
        """Take the state of a campaign; the model that it had serves on until the next one is there."""
        tenant, _, name = key.partition(":")
        before = self._deployed.get((tenant, name))
        if campaign is None:
            self._view.went((tenant, name))
            if before is not None:
                del self._deployed[tenant, name]
                self._tried((tenant, name))
                self._forget_account(before.campaign)
                self._news.set()
            return
        self._deployed[tenant, name] = replace(before, campaign=campaign) if before else Deployed(campaign)
        self._by_account.setdefault((_account(campaign), name), set()).add(tenant)
        if campaign.status == "ACTIVE" and (before is None or _lacks(before, campaign)):
            awaited = _Awaited(asyncio.Event(), time.monotonic() + FIRST_MODEL_SECONDS)
            self._awaited.setdefault((tenant, name), awaited)
        self._news.set()

    def whole(self, keys: set[str]) -> None:
        """Drop what the view has told and campaigns-v1 has no more: its tombstone may be compacted away."""
        for tenant, name in list(self._deployed):
            if (key := f"{tenant}:{name}") not in keys:
                self.changed(key, None)
        self._is_whole = True
        self._news.set()

    def of(self, tenant: str) -> dict[str, str]:
        """What answers for each active campaign of a tenant: its `model`, or `lists` until that is here."""
        return {
            name: "model" if deployed.model else "lists"
            for (owner, name), deployed in self._deployed.items()
            if owner == tenant and deployed.campaign.status == "ACTIVE"
        }

    async def find(self, tenant: str | None, account: str | None, name: str) -> Deployed | None:
        """The campaign of that name, of a tenant or else anywhere in an account.

        One that is not known is looked for in the engine's view, twice a second at the most. A program asks
        as soon as a campaign is ACTIVE, so in its first moments its first model is waited for.
        """
        found = self._known(tenant, account, name)
        if found is None:
            await self._view.read()
            found = self._known(tenant, account, name)
        if found is None or found.model is not None:
            return found
        awaited = self._awaited.get((found.campaign.tenant, name))
        if awaited is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(awaited.until - time.monotonic()):
                    await awaited.tried.wait()
        return self._known(tenant, account, name)

    def _tried(self, key: tuple[str, str]) -> None:
        """Nobody waits any longer: the model is there, or lists have to do."""
        awaited = self._awaited.pop(key, None)
        if awaited is not None:
            awaited.tried.set()

    def _forget_account(self, gone: CampaignChanged) -> None:
        place = _account(gone), gone.name
        tenants = self._by_account.get(place, set())
        tenants.discard(gone.tenant)
        if not tenants:
            self._by_account.pop(place, None)

    def _known(self, tenant: str | None, account: str | None, name: str) -> Deployed | None:
        tenants = {tenant} if tenant is not None else self._by_account.get((account or "", name), set())
        found = [self._deployed[owner, name] for owner in tenants if (owner, name) in self._deployed]
        return max(found, key=lambda one: one.campaign.occurred_at, default=None)

    def _take(self, row: Record) -> None:
        try:
            campaign = _campaign(row)
        except ValidationError as error:
            # One row that nobody could have announced does not hold up the others.
            log.error("campaigns.row_invalid", tenant=row["tenant"], name=row["name"], error=str(error))  # noqa: TRY400
            return
        self.changed(campaign.key, campaign)

    async def _fetch_models(self) -> None:
        failures = 0
        while True:
            pause = min(RETRY_SECONDS * 2 ** (failures - 1), MAX_RETRY_SECONDS) if failures else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            failures = 0 if self._news.is_set() else failures
            self._news.clear()
            failures = 0 if await self._bring_all() else failures + 1
            MODELS.set(sum(deployed.model is not None for deployed in self._deployed.values()))
            # Before all campaigns are known, any copy may be wanted in a moment.
            if self._is_whole:
                await self._tidy()

    async def _bring_all(self) -> bool:
        """Fetch what is missing, one model after the other; False when any has to be tried again."""
        all_there = True
        for key, deployed in list(self._deployed.items()):
            all_there &= await self._bring(key, deployed.campaign)
            self._tried(key)
        return all_there

    async def _bring(self, key: tuple[str, str], campaign: CampaignChanged) -> bool:
        """Swap in the model of a campaign if it isn't there; False when that has to be tried again."""
        deployed = self._deployed.get(key)
        if deployed is None or deployed.campaign.status != "ACTIVE":
            return True
        if deployed.model is not None and deployed.model.notes.get("sha256") == campaign.model_sha256:
            return True
        try:
            model = await asyncio.to_thread(self._copies.model, campaign)
        except Exception as error:  # noqa: BLE001 - boto3 raises many kinds, and each means "not now"
            MODEL_LOADS.labels("failed").inc()
            log.warning("campaigns.model_not_loaded", campaign=campaign.arn, error=repr(error))
            return False
        MODEL_LOADS.labels("loaded").inc()
        log.info("campaigns.model_loaded", campaign=campaign.arn, sha256=campaign.model_sha256)
        latest = self._deployed.get(key)
        if latest is not None:
            self._deployed[key] = Deployed(latest.campaign, model, self._filterable_items(key[0], model))
        return True

    def _filterable_items(self, tenant: str, model: Model) -> FilterableItems:
        items = model.items
        return FilterableItems(
            items.strings, items.numbers, model.item_attributes, self._catalogues.of(tenant)
        )

    async def _tidy(self) -> None:
        """Remove copies that serve no campaign any more; requests under way keep what they have mapped."""
        deployed = self._deployed.values()
        in_use = {one.campaign.model_sha256 for one in deployed}
        in_use |= {one.model.notes["sha256"] for one in deployed if one.model is not None}
        gone = await asyncio.to_thread(self._copies.tidy, in_use)
        if gone:
            log.info("campaigns.copies_removed", sha256=gone)


def _lacks(before: Deployed, campaign: CampaignChanged) -> bool:
    """Whether a campaign has had no model so far, and is now announced with one."""
    known = before.campaign
    same = (known.status, known.model_sha256) == (campaign.status, campaign.model_sha256)
    return before.model is None and not same


def _account(campaign: CampaignChanged) -> str:
    try:
        return Arn.parse(campaign.arn).account
    except EndcapError:
        return ""


def _campaign(row: Record) -> CampaignChanged:
    names = ("tenant", "name", "arn", "status", "recipe", "solution_version_arn", "model_uri")
    return CampaignChanged(
        event_id=derived_id(row["tenant"], row["name"], "view"),
        occurred_at=datetime.now(UTC),
        model_sha256=row["model_sha256"],
        config=row["config"] or {},
        **{name: row[name] for name in names},
    )
