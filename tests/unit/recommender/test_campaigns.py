"""Campaigns from the topic and from the view, and while models cannot be loaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from services.recommender.store import campaigns as module
from services.recommender.store.campaigns import Campaigns
from services.recommender.store.catalogues import Catalogues
from services.recommender.store.filters import Filters
from shared.events import CampaignChanged, FilterChanged

ACCOUNT = "000000000000"
SHA = "a" * 64


def a_campaign(tenant: str, status: str = "ACTIVE") -> CampaignChanged:
    return CampaignChanged(
        event_id="e",
        tenant=tenant,
        occurred_at=datetime.now(UTC),
        name="c",
        arn=f"arn:aws:personalize:eu-west-1:{ACCOUNT}:campaign/c",
        status=status,
        recipe="r",
        solution_version_arn="v",
        model_uri="s3://bucket/model",
        model_sha256=SHA,
    )


def a_filter() -> FilterChanged:
    return FilterChanged(
        event_id="e",
        tenant="shop",
        occurred_at=datetime.now(UTC),
        name="f",
        arn="arn",
        status="ACTIVE",
        expression='INCLUDE ItemID WHERE Items.A IN ("b")',
    )


class View:
    """A database in which something changes during a read."""

    def __init__(self, rows: list[dict[str, Any]], meanwhile: Callable[[], None]) -> None:
        self._rows = rows
        self._meanwhile = meanwhile

    async def fetch(self, *_: object) -> list[dict[str, Any]]:
        self._meanwhile()
        return self._rows


class NoModels:
    """An object store that is unavailable."""

    def get_paginator(self, _: str) -> Any:
        raise OSError


def campaigns_of(folder: Path, view: View | None = None, s3: NoModels | None = None) -> Campaigns:
    empty = view or View([], lambda: None)
    return Campaigns(cast("Any", s3), folder, cast("Any", empty), Catalogues(cast("Any", None)), keep=0)


async def test_a_campaign_is_found_by_account_after_its_namesake_was_deleted(tmp_path: Path) -> None:
    campaigns = campaigns_of(tmp_path)
    campaigns.apply("one:c", a_campaign("one", "CREATE FAILED"))
    campaigns.apply("two:c", a_campaign("two", "CREATE FAILED"))
    campaigns.apply("one:c", None)

    deployed = await campaigns.find(None, ACCOUNT, "c")
    assert deployed is not None
    assert deployed.campaign.tenant == "two"


async def test_a_deletion_during_a_read_of_the_view_is_kept(tmp_path: Path) -> None:
    row = a_campaign("shop").model_dump(exclude={"event_id", "occurred_at"})
    view = View([row], lambda: campaigns.apply("shop:c", None))
    campaigns = campaigns_of(tmp_path, view)
    assert await campaigns.find("shop", None, "c") is None

    expression = {"tenant": "shop", "name": "f", "expression": a_filter().expression}
    filters = Filters(cast("Any", View([expression], lambda: filters.apply("shop:f", None))))
    assert await filters.find("shop", "f") is None
    filters.apply("shop:f", a_filter())
    assert await filters.find("shop", "f") is not None


async def test_a_model_that_cannot_be_loaded_is_awaited_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_MODEL_WAIT_SECONDS", 0.2)
    campaigns = campaigns_of(tmp_path)
    campaigns.apply("shop:c", a_campaign("shop"))

    assert await campaigns.find("shop", None, "c") is not None
    # The loader was never started, so a second wait would be seen in the clock that is stopped here.
    monkeypatch.setattr(asyncio, "timeout", _no_wait)
    assert await campaigns.find("shop", None, "c") is not None


def _no_wait(delay: float | None) -> asyncio.Timeout:
    assert delay is not None
    assert delay <= 0, "the time of this campaign is over"
    return asyncio.Timeout(time.monotonic())


async def test_a_campaign_without_a_loaded_model_keeps_no_other_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies are removed while a model cannot be loaded, which is retried at growing intervals."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "MAX_RETRY_SECONDS", 3600.0)
    old = tmp_path / ("b" * 64)
    old.mkdir()
    campaigns = campaigns_of(tmp_path, s3=NoModels())
    campaigns.apply("shop:c", a_campaign("shop"))
    campaigns.retain({"shop:c"})
    pauses: list[float | None] = []
    enough, timeout = asyncio.Event(), asyncio.timeout

    def noted(pause: float | None) -> asyncio.Timeout:
        task = asyncio.current_task()
        if task is not None and task.get_name() == "postgres-prober":  # of the database of another test
            return timeout(pause)
        pauses.append(pause)
        if len(pauses) == 4:
            enough.set()
        return timeout(pause)

    monkeypatch.setattr(asyncio, "timeout", noted)
    await campaigns.start()
    await enough.wait()
    await campaigns.stop()

    assert not old.exists()
    assert pauses[:4] == [None, 0.01, 0.02, 0.04]
