"""Campaigns and their models, which are copied from the object store, verified and mapped into memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError

from services.recommender.domain.deployed_campaign import DeployedCampaign
from services.recommender.domain.filterable_items import FilterableItems
from services.recommender.metrics import MODEL_LOADS, MODELS
from services.recommender.store import SQL
from services.recommender.store.model_copies import ModelCopies
from services.recommender.store.view_fallback import ViewFallback
from shared.aws import Arn
from shared.errors import EndcapError
from shared.events import CampaignChanged, derived_id

if TYPE_CHECKING:
    from pathlib import Path

    from asyncpg import Record
    from mypy_boto3_s3 import S3Client

    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.guarded_database import GuardedDatabase
    from shared.models import Model

RETRY_SECONDS = 5.0
MAX_RETRY_SECONDS = 30.0
"""Limits the traffic of a model that cannot be loaded: every try copies all of it."""
FIRST_MODEL_WAIT_SECONDS = 3.0
"""Time after a campaign's announcement during which requests wait for its first model."""

MAX_NEWEST = 10_000
"""Remembered answers of `newest`, so that names of unknown tenants take no memory. Arbitrary."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _FirstLoad:
    """The first load of a campaign's model: whether it was tried, and until when requests wait for it."""

    tried: asyncio.Event
    deadline: float


class Campaigns:
    """Every campaign by tenant and name. A part that loads models in the background."""

    name = "campaigns"

    def __init__(
        self, s3: S3Client, folder: Path, database: GuardedDatabase, catalogues: Catalogues, keep: int = 3
    ) -> None:
        """Keep copies of models below `folder`: those in use, and the newest `keep` others."""
        self._copies = ModelCopies(s3, folder, keep)
        self._is_complete = False
        self._catalogues = catalogues
        self._deployed: dict[tuple[str, str], DeployedCampaign] = {}
        # Tenants by (account, name). There are two while a campaign moves to another tenant, because the two
        # events are on different partitions.
        self._by_account: dict[tuple[str, str], set[str]] = {}
        self._first_loads: dict[tuple[str, str], _FirstLoad] = {}
        # By (tenant, list recipe); emptied whenever a campaign or a model changes.
        self._newest: dict[tuple[str, str], DeployedCampaign | None] = {}
        self._changed = asyncio.Event()
        self._view = ViewFallback(database, SQL.campaigns, self._deployed, self._add_row)
        self._loader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to load models as they are announced."""
        self._loader = asyncio.create_task(self._load_models(), name="campaign-models")

    async def stop(self) -> None:
        """Stop loading."""
        if self._loader is not None:
            self._loader.cancel()
            await asyncio.wait({self._loader}, timeout=5)

    def alive(self) -> str | None:
        """Return why models are no longer loaded; None while they are."""
        if self._loader is not None and self._loader.done():
            return "loading the models of campaigns stopped because of a defect; see the log"
        return None

    def ready(self) -> str | None:
        """Return None: a campaign without its model is answered from lists."""
        return None

    def apply(self, key: str, campaign: CampaignChanged | None) -> None:
        """Apply a record of campaigns-v1; the previous model serves until the new one is loaded."""
        tenant, _, name = key.partition(":")
        before = self._deployed.get((tenant, name))
        self._newest.clear()
        if campaign is None:
            self._view.deleted((tenant, name))
            if before is not None:
                del self._deployed[tenant, name]
                self._finish_first_load((tenant, name))
                self._forget_account(before.campaign)
                self._changed.set()
            return
        self._deployed[tenant, name] = (
            replace(before, campaign=campaign) if before else DeployedCampaign(campaign)
        )
        self._by_account.setdefault((_account(campaign), name), set()).add(tenant)
        if campaign.status == "ACTIVE" and (before is None or _first_model_changed(before, campaign)):
            first_load = _FirstLoad(asyncio.Event(), time.monotonic() + FIRST_MODEL_WAIT_SECONDS)
            self._first_loads.setdefault((tenant, name), first_load)
        self._changed.set()

    def retain(self, keys: set[str]) -> None:
        """Remove the campaigns that only the view had: `keys` are all of campaigns-v1."""
        for tenant, name in list(self._deployed):
            if (key := f"{tenant}:{name}") not in keys:
                self.apply(key, None)
        self._is_complete = True
        self._changed.set()

    def of(self, tenant: str) -> dict[str, str]:
        """Return, by active campaign of a tenant, what answers: `model`, or `lists` until it is loaded."""
        return {
            name: "model" if deployed.model else "lists"
            for (owner, name), deployed in self._deployed.items()
            if owner == tenant and deployed.campaign.status == "ACTIVE"
        }

    def newest(self, tenant: str, list_recipe: str) -> DeployedCampaign | None:
        """Return the active campaign, changed last, whose model may answer instead of a recipe's lists.

        Return None if the tenant has none whose model is loaded. Campaigns that only rank are left out.
        """
        key = tenant, list_recipe
        if key not in self._newest:
            if len(self._newest) >= MAX_NEWEST:
                self._newest.clear()
            self._newest[key] = max(
                (
                    deployed
                    for (owner, _), deployed in self._deployed.items()
                    if owner == tenant and _may_replace(deployed, list_recipe)
                ),
                key=lambda each: each.campaign.occurred_at,
                default=None,
            )
        return self._newest[key]

    async def find(self, tenant: str | None, account: str | None, name: str) -> DeployedCampaign | None:
        """Return the campaign of that name, of a tenant, or if `tenant` is None of any tenant of an account.

        An unknown campaign is looked up in the engine's view, at most twice a second. A program requests
        recommendations as soon as a campaign is ACTIVE, so its first load is awaited for a short time.
        """
        deployed = self.known(tenant, account, name)
        if deployed is None:
            await self._view.read()
            deployed = self.known(tenant, account, name)
        if deployed is None or deployed.model is not None:
            return deployed
        first_load = self._first_loads.get((deployed.campaign.tenant, name))
        if first_load is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(first_load.deadline - time.monotonic()):
                    await first_load.tried.wait()
        return self.known(tenant, account, name)

    def _finish_first_load(self, key: tuple[str, str]) -> None:
        """Let requests continue: the model is loaded, or they are answered from lists."""
        first_load = self._first_loads.pop(key, None)
        if first_load is not None:
            first_load.tried.set()

    def _forget_account(self, campaign: CampaignChanged) -> None:
        key = _account(campaign), campaign.name
        tenants = self._by_account.get(key, set())
        tenants.discard(campaign.tenant)
        if not tenants:
            self._by_account.pop(key, None)

    def known(self, tenant: str | None, account: str | None, name: str) -> DeployedCampaign | None:
        """Return what `find` does, without waiting."""
        tenants = {tenant} if tenant is not None else self._by_account.get((account or "", name), set())
        deployed = [self._deployed[owner, name] for owner in tenants if (owner, name) in self._deployed]
        return max(deployed, key=lambda each: each.campaign.occurred_at, default=None)

    def _add_row(self, row: Record) -> None:
        try:
            campaign = _parse_row(row)
        except ValidationError as error:
            # An invalid row, which no event could contain, does not stop the others.
            log.error("campaigns.row_invalid", tenant=row["tenant"], name=row["name"], error=str(error))  # noqa: TRY400
            return
        self.apply(campaign.key, campaign)

    async def _load_models(self) -> None:
        failures = 0
        while True:
            pause = min(RETRY_SECONDS * 2 ** (failures - 1), MAX_RETRY_SECONDS) if failures else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            failures = 0 if self._changed.is_set() else failures
            self._changed.clear()
            failures = 0 if await self._load_all() else failures + 1
            MODELS.set(sum(deployed.model is not None for deployed in self._deployed.values()))
            # Until all campaigns are known, any copy may belong to one of them.
            if self._is_complete:
                await self._remove_copies()

    async def _load_all(self) -> bool:
        """Load missing models, one after the other; return False if any has to be tried again."""
        all_loaded = True
        for key, deployed in list(self._deployed.items()):
            all_loaded &= await self._load(key, deployed.campaign)
            self._finish_first_load(key)
        return all_loaded

    async def _load(self, key: tuple[str, str], campaign: CampaignChanged) -> bool:
        """Load the model of a campaign if it is not loaded; return False if it has to be tried again."""
        deployed = self._deployed.get(key)
        if deployed is None or deployed.campaign.status != "ACTIVE":
            return True
        if deployed.model is not None and deployed.model.notes.get("sha256") == campaign.model_sha256:
            return True
        try:
            model = await asyncio.to_thread(self._copies.load, campaign)
        except Exception as error:  # noqa: BLE001 - boto3 raises many kinds, and each means "not now"
            MODEL_LOADS.labels("failed").inc()
            log.warning("campaigns.model_not_loaded", campaign=campaign.arn, error=repr(error))
            return False
        MODEL_LOADS.labels("loaded").inc()
        log.info("campaigns.model_loaded", campaign=campaign.arn, sha256=campaign.model_sha256)
        latest = self._deployed.get(key)
        if latest is not None:
            self._newest.clear()
            self._deployed[key] = DeployedCampaign(
                latest.campaign, model, self._filterable_items(key[0], model)
            )
        return True

    def _filterable_items(self, tenant: str, model: Model) -> FilterableItems:
        items = model.items
        return FilterableItems(
            items.strings, items.numbers, model.item_attributes, self._catalogues.of(tenant)
        )

    async def _remove_copies(self) -> None:
        """Remove copies that serve no campaign any more; requests in progress keep what they have mapped."""
        deployed = self._deployed.values()
        in_use = {each.campaign.model_sha256 for each in deployed}
        in_use |= {each.model.notes["sha256"] for each in deployed if each.model is not None}
        removed = await asyncio.to_thread(self._copies.remove_unused, in_use)
        if removed:
            log.info("campaigns.copies_removed", sha256=removed)


def _may_replace(deployed: DeployedCampaign, list_recipe: str) -> bool:
    traits = deployed.traits
    if deployed.model is None or deployed.campaign.status != "ACTIVE" or traits.ranks_only:
        return False
    return traits.list_recipe == list_recipe


def _first_model_changed(before: DeployedCampaign, campaign: CampaignChanged) -> bool:
    """Return whether a campaign without a loaded model is announced with another model, or as active."""
    announced = before.campaign
    unchanged = (announced.status, announced.model_sha256) == (campaign.status, campaign.model_sha256)
    return before.model is None and not unchanged


def _account(campaign: CampaignChanged) -> str:
    try:
        return Arn.parse(campaign.arn).account
    except EndcapError:
        return ""


def _parse_row(row: Record) -> CampaignChanged:
    names = ("tenant", "name", "arn", "status", "recipe", "solution_version_arn", "model_uri")
    return CampaignChanged(
        event_id=derived_id(row["tenant"], row["name"], "view"),
        occurred_at=datetime.now(UTC),
        model_sha256=row["model_sha256"],
        config=row["config"] or {},
        traits=row["traits"],
        **{name: row[name] for name in names},
    )
